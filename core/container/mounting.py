"""The user's mounts of a start: from a record's Mounts to operations of the mount plan."""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import PodError
from pod.core.runtime import defaults, plan, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap


class Images:
    """The images that a container mounts: folders of their layers, as the helper gets them.

    ``lowers`` are the layers of all, topmost first; ``places`` says where in it each destination's are (first, count),
    ``trees`` is the one folder of each where there is no overlay.
    """

    __slots__ = ("lowers", "places", "trees")

    def __init__(self) -> None:
        self.lowers: list[str] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.trees: dict[str, str] = {}


def images(engine: Engine, config: dict[str, Any], directory: str, idmap: IdMap) -> Images:
    """The trees of the images that the record's Mounts name, unpacked where they are not."""
    from pod.core.image import layers
    from pod.core.image.store import Image, by_id

    found = Images()
    for mount in config["Mounts"]:
        if mount["Type"] != "image":
            continue
        built = mount.get("Layers")  # of a stage of a build, which is no image
        image = by_id(engine, mount["Image"], mount["Source"]) if built is None else Image({"id": "", "layers": built})
        if engine.facts.overlay != "native" or not image.chain_ids:
            found.trees[mount["Destination"]] = layers.ensure_flat(engine, image, idmap) + "/diff"
            continue
        folders = [folder + "/diff" for folder in reversed(layers.ensure(engine, image, idmap))]
        if len(folders) == 1:  # overlay without an upper folder wants two
            empty = directory + "/empty"
            os.makedirs(empty, 0o755, exist_ok=True)
            folders.append(empty)
        found.places[mount["Destination"]] = (len(found.lowers), len(folders))
        found.lowers += folders
    return found


def hidden(engine: Engine, config: dict[str, Any]) -> list[plan.Mount]:
    """Covers for the run directory wherever a bind of a host's folder brings it in: its sockets obey this user's
    processes, and a container is to be none of them.
    """
    found = []
    for mount in config["Mounts"]:
        source = mount.get("Device") or (mount["Source"] if mount["Type"] == "bind" else "")
        if source:
            source = os.path.realpath(os.path.join(source, mount.get("Subpath") or "")).rstrip("/")
            run_dir = os.path.realpath(engine.run_dir)
            if (run_dir + "/").startswith(source + "/"):
                found.append(plan.Mount(plan.MASK, mount["Destination"].rstrip("/") + run_dir[len(source) :]))
    return found


def user_mounts(config: dict[str, Any], mounted: Images | None) -> list[plan.Mount]:
    """An operation for each of the record's Mounts."""
    return [_operation(mount, mounted) for mount in config["Mounts"]]


def _operation(mount: dict[str, Any], mounted: Images | None) -> plan.Mount:
    kind, target, below = mount["Type"], mount["Destination"], str(mount.get("Subpath", ""))
    if kind == "tmpfs":
        return rootfs.tmpfs(target, mount["Options"])
    if kind == "image":
        assert mounted is not None
        if target in mounted.trees:
            return rootfs.bind(mounted.trees[target], target, read_only=True, below=below)
        first, count = mounted.places[target]
        return rootfs.image(target, first, count, below)
    if mount.get("Memory") is not None:
        options = [mount["Memory"], "" if mount["RW"] else "ro"]
        return rootfs.tmpfs(target, ",".join(filter(None, options)), bare=True)
    source = mount["Source"]
    if mount.get("Device"):
        source = os.path.realpath(mount["Device"])
    slave = mount.get("Propagation") in ("slave", "rslave")
    if slave:
        _check_slave(source)
    return rootfs.bind(
        source,
        target,
        read_only=not mount["RW"],
        volume=kind == "volume",
        copy=not mount.get("NoCopy"),
        below=below,
        recursive=not mount.get("Top"),
        depth=mount.get("Depth", "below"),
        slave=slave,
    )


def _check_slave(source: str) -> None:
    """PodError in Docker's words where the source's mount hands nothing on: the container would wait in vain."""
    text = statefile.read_bytes_of_proc("/proc/self/mountinfo", 1 << 24).decode("utf-8", "surrogateescape")
    path = os.path.realpath(source)
    best, words = "", [""]
    for line in text.splitlines():
        fields = line.split(" ")
        place = _unescaped(fields[4])
        if (path + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(best):
            best, words = place, fields[6 : fields.index("-")]
    if not any(word.startswith(("shared:", "master:")) for word in words):
        raise PodError(
            f"path {source} is mounted on {best} but it is not a shared or slave mount",
            hint="an administrator can change that (mount --make-shared); else leave the propagation out",
        )


def _unescaped(text: str) -> str:
    """Without the octal escapes of proc_pid_mountinfo(5)."""
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, plain)
    return text


def host_devices() -> list[str]:
    """Device nodes right under /dev that the caller may open: what --privileged hands through."""
    import stat

    own = {*defaults.DEVICES, "console", "ptmx", "core"}
    found = []
    for name in sorted(os.listdir("/dev")):
        if name in own:
            continue
        path = "/dev/" + name
        mode = os.lstat(path).st_mode
        if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and os.access(path, os.R_OK | os.W_OK):
            found.append(path)
    return found
