"""A new container's mounts: what -v, --mount and --volumes-from name, and the image's VOLUMEs.

Beyond Docker's members a mount of the record has: Anonymous, NoCopy, Subpath, Device and Memory (a volume's driver
options), Options (of a tmpfs), Top, Depth, MustExist (of binds), Image (its id).
"""

from __future__ import annotations

import os

from pod.core.errors import PodError, UsageError
from pod.core.volume import options as driver_options
from pod.core.volume import store
from pod.core.volume.syntax import VolumeSpec, check_target, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

OURS = ("Anonymous", "NoCopy", "Subpath", "Device", "Memory", "Options", "Top", "Depth", "Image", "MustExist")
"""Members of a mount that Docker's documents do not have."""


def resolve(
    engine: Engine,
    specs: list[VolumeSpec],
    config: dict[str, Any],
    made: list[str],
    others: list[tuple[dict[str, Any], bool]] | None = None,
) -> list[dict[str, Any]]:
    """Docker's Mounts for ``specs`` and the record's Config.Volumes; makes the volumes that are missing.

    ``others``: records of the containers of --volumes-from, and whether theirs are to be read-only. Folders of
    anonymous volumes made here are appended to ``made``, for the caller to take back if it fails.
    """
    mounts: dict[str, dict[str, Any]] = {}
    for record, read_only in others or []:
        for mount in record["Mounts"]:
            if mount["Type"] in ("bind", "volume"):
                mounts[mount["Destination"]] = _shared(engine, mount, read_only=read_only)
    taken = {clean(target) for target in config["HostConfig"]["Tmpfs"]}
    for spec in specs:
        if spec.target in taken:
            raise UsageError(f"Duplicate mount point: {spec.target}")
        taken.add(spec.target)
        mounts[spec.target] = _MAKERS[spec.kind](engine, spec, made)
    for target in sorted(config["Config"]["Volumes"] or {}):
        path = clean(target)
        check_target(path, f"the image's VOLUME {target}")
        if path not in mounts and path not in taken and path != "/":
            mounts[path] = _volume(engine, VolumeSpec("volume", "", path, ""), made)
    if config["Config"]["User"]:
        from pod.core.volume import writable

        writable.warn(engine, config, mounts.values())
    return list(mounts.values())


def confirm(engine: Engine, mounts: list[dict[str, Any]]) -> None:
    """PodError where a volume went meanwhile: it was removed between its making and the record that names it."""
    for mount in mounts:
        if mount["Type"] == "volume" and not os.path.isdir(engine.paths.volume(mount["Name"])):
            raise PodError(f"get {mount['Name']}: no such volume", hint="it was removed a moment ago; try again")


def _shared(engine: Engine, mount: dict[str, Any], *, read_only: bool) -> dict[str, Any]:
    """A mount of another container. The image's content is not copied into it, as in Docker."""
    if mount.get("Anonymous"):
        from pod.core.volume import remove

        try:
            remove.share(engine, mount["Name"])
        except FileNotFoundError:
            raise PodError(f"get {mount['Name']}: no such volume", hint="it was removed a moment ago") from None
    shared = {**mount, "RW": mount["RW"] and not read_only}
    if mount["Type"] == "volume":
        shared["NoCopy"] = True
    return shared


def find_source(path: str, *, made: bool) -> None:
    """A bind's source that is missing is ``made``, as the docker daemon does for -v; the folder stays.
    PodError where it is not to be, or cannot.
    """
    if os.path.lexists(path):
        return
    if not made:
        raise PodError(
            f'invalid mount config for type "bind": bind source path does not exist: {path}',
            hint="create it, or use -v, which makes a folder there",
        )
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise PodError(
            f"bind mount: {path}: {error.strerror}", hint="create the folder, or name one that exists"
        ) from None


def _bind(_engine: Engine, spec: VolumeSpec, _made: list[str]) -> dict[str, Any]:
    find_source(spec.source, made=spec.makes_source)
    mount: dict[str, Any] = {
        "Type": "bind",
        "Source": spec.source,
        "Destination": spec.target,
        "Mode": spec.mode,
        "RW": not spec.read_only,
        "Propagation": spec.propagation or "rprivate",
    }
    if not spec.recursive:
        mount["Top"] = True
    if not spec.makes_source:
        mount["MustExist"] = True
    if spec.depth != "below":
        mount["Depth"] = spec.depth
    return mount


def _volume(engine: Engine, spec: VolumeSpec, made: list[str]) -> dict[str, Any]:
    volume = _find_or_make(engine, spec, made)
    mount: dict[str, Any] = {
        "Type": "volume",
        "Name": volume.name,
        "Source": volume.mountpoint,
        "Destination": spec.target,
        "Driver": "local",
        "Mode": spec.mode,
        "RW": not spec.read_only,
        "Propagation": "",
    }
    if not spec.source or spec.anonymous:
        mount["Anonymous"] = True
    if not spec.copy:
        mount["NoCopy"] = True
    if spec.subpath:
        mount["Subpath"] = spec.subpath
    if volume.options:
        _add_options(engine, mount, volume)
    return mount


def _find_or_make(engine: Engine, spec: VolumeSpec, made: list[str]) -> store.Volume:
    store.check_driver(spec.driver)
    if not spec.source:
        volume = store.create(engine, options=spec.driver_options, labels=spec.labels)
        made.append(volume.folder)
        return volume
    if os.path.isdir(engine.paths.volume(spec.source)) and not spec.driver_options:
        volume = store.find(engine, spec.source)
    else:
        volume = store.create(engine, spec.source, options=spec.driver_options, labels=spec.labels)
    if volume.anonymous:
        from pod.core.volume import remove

        remove.share(engine, volume.name)
    return volume


def _add_options(engine: Engine, mount: dict[str, Any], volume: store.Volume) -> None:
    """What the volume's driver options mean for a mount of it."""
    device, memory = driver_options.device(volume.options), driver_options.memory(volume.options)
    if device:
        if not os.path.isdir(device):
            raise PodError(
                f"failed to mount local volume: mount {device}:{volume.mountpoint}: no such directory",
                hint=f"the volume {volume.name} was made for that folder of the host",
            )
        mount["Device"] = device
        mount["RW"] = mount["RW"] and not driver_options.read_only(volume.options)
    if memory is not None:
        mount["Memory"] = memory
        from pod.core.volume import remove

        if remove.users(engine).get(volume.name):
            text = f"volume {volume.name} is a tmpfs: without root each container has its own, empty at first"
            engine.progress("warning", {"text": text})


def _tmpfs(_engine: Engine, spec: VolumeSpec, _made: list[str]) -> dict[str, Any]:
    return {
        "Type": "tmpfs",
        "Source": "",
        "Destination": spec.target,
        "Mode": "",
        "RW": not spec.read_only,
        "Propagation": "",
        "Options": spec.options,
    }


def _image(engine: Engine, spec: VolumeSpec, _made: list[str]) -> dict[str, Any]:
    """An image of the store, read-only. It is not pulled, as in Docker; NoSuchImage."""
    from pod.core.image.store import resolve as resolve_image

    image = resolve_image(engine, spec.source)
    mount = {
        "Type": "image",
        "Source": spec.source,
        "Destination": spec.target,
        "Mode": "",
        "RW": False,
        "Propagation": "",
        "Image": image.id,
    }
    if spec.subpath:
        mount["Subpath"] = spec.subpath
    return mount


_MAKERS = {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs, "image": _image}
