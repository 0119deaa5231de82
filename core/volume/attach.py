"""A new container's mounts: host paths and volumes that -v names, and the image's VOLUMEs."""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import PodError
from pod.core.volume.syntax import VolumeSpec, check_target, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine


def resolve(engine: Engine, specs: list[VolumeSpec], config: dict[str, Any], made: list[str]) -> list[dict[str, Any]]:
    """Docker's Mounts for ``specs`` and the record's Config.Volumes; makes the volumes that are missing.

    Folders made here are appended to ``made``, for the caller to take back if it fails.
    """
    mounts = {}
    for spec in specs:
        mounts[spec.target] = _bind(spec) if spec.kind == "bind" else _volume(engine, spec, made)
    for target in sorted(config["Config"]["Volumes"] or {}):
        path = clean(target)
        check_target(path, f"the image's VOLUME {target}")
        if path not in mounts and path != "/" and path not in config["HostConfig"]["Tmpfs"]:
            mounts[path] = _volume(engine, VolumeSpec("volume", "", path, ""), made)
    return list(mounts.values())


def _bind(spec: VolumeSpec) -> dict[str, Any]:
    if not os.path.lexists(spec.source):
        # As the docker daemon does for -v; the folder stays, it is the user's.
        try:
            os.makedirs(spec.source, exist_ok=True)
        except OSError as error:
            raise PodError(
                f"bind mount: {spec.source}: {error.strerror}", hint="create the folder, or name one that exists"
            ) from None
    return {
        "Type": "bind",
        "Source": spec.source,
        "Destination": spec.target,
        "Mode": spec.mode,
        "RW": not spec.read_only,
        "Propagation": "rprivate",
    }


def _volume(engine: Engine, spec: VolumeSpec, made: list[str]) -> dict[str, Any]:
    name = spec.source or os.urandom(32).hex()
    folder = engine.paths.volume(name)
    if not os.path.isdir(folder):
        make_volume(engine, name, anonymous=not spec.source)
        if not spec.source:
            made.append(folder)
    mount = {
        "Type": "volume",
        "Name": name,
        "Source": folder + "/_data",
        "Destination": spec.target,
        "Driver": "local",
        "Mode": spec.mode,
        "RW": not spec.read_only,
        "Propagation": "",
    }
    if not spec.source:
        mount["Anonymous"] = True
    if not spec.copy:
        mount["NoCopy"] = True
    return mount


def make_volume(engine: Engine, name: str, *, anonymous: bool) -> None:
    """A new local volume {_data, volume.json}; published by rename, so two makers agree."""
    temporary = f"{engine.paths.volumes}/.{name[:64]}.{os.getpid()}.{os.urandom(4).hex()}"
    os.makedirs(temporary + "/_data", 0o755)
    os.chmod(temporary, 0o700)
    os.chmod(temporary + "/_data", 0o755)
    labels = {"com.docker.volume.anonymous": ""} if anonymous else {}
    record = {
        "version": 1,
        "Name": name,
        "Driver": "local",
        "CreatedAt": statefile.timestamp(),
        "Labels": labels,
        "Options": {},
    }
    statefile.write(temporary + "/volume.json", record)
    try:
        os.rename(temporary, engine.paths.volume(name))
    except OSError:
        os.unlink(temporary + "/volume.json")
        os.rmdir(temporary + "/_data")
        os.rmdir(temporary)
        if not os.path.isdir(engine.paths.volume(name)):
            raise
