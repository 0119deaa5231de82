"""`pod image inspect`: Docker's document about an image (Engine API, ImageInspect)."""

from __future__ import annotations

import os

from pod.core import moments
from pod.core.image import store
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image

ZERO_TIME = "0001-01-01T00:00:00Z"

_CONFIG_DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("Hostname", ""),
    ("Domainname", ""),
    ("User", ""),
    ("AttachStdin", False),
    ("AttachStdout", False),
    ("AttachStderr", False),
    ("Tty", False),
    ("OpenStdin", False),
    ("StdinOnce", False),
    ("Env", None),
    ("Cmd", None),
    ("Image", ""),
    ("Volumes", None),
    ("WorkingDir", ""),
    ("Entrypoint", None),
    ("OnBuild", None),
    ("Labels", None),
)
_CONFIG_OPTIONAL = ("ExposedPorts", "Healthcheck", "ArgsEscaped", "StopSignal", "StopTimeout", "Shell")


def document(engine: Engine, image: Image) -> dict[str, Any]:
    """The image as `docker image inspect` shows it; keys as Docker's, sizes in bytes."""
    config = image.config(engine)
    record = image.record
    names, last_tag = _names(engine, image)
    shown: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": [name.familiar() for name in names if not name.digest],
        "RepoDigests": [name.familiar() for name in names if name.digest],
        "Parent": "",
        "Comment": _text(config, "comment") or _last_comment(config),
        "Created": record.get("created") or ZERO_TIME,
        "DockerVersion": _text(config, "docker_version"),
        "Author": _text(config, "author"),
        "Config": container_config(config),
        "Architecture": record["architecture"],
    }
    if record.get("variant"):
        shown["Variant"] = record["variant"]
    shown["Os"] = record["os"]
    shown["Size"] = record["size"]
    shown["GraphDriver"] = {"Data": _graph(engine, image), "Name": "overlay2"}
    shown["RootFS"] = {"Type": "layers", "Layers": [layer["diffID"] for layer in record["layers"]]}
    shown["Metadata"] = {"LastTagTime": last_tag}
    shown["Descriptor"] = {
        "mediaType": record["mediaType"],
        "digest": record["manifest"],
        "size": _manifest_size(engine, image),
    }
    return shown


def _manifest_size(engine: Engine, image: Image) -> int:
    try:
        return os.stat(engine.paths.blob(image.record["manifest"])).st_size
    except FileNotFoundError:
        raise store.missing(engine, image.id, "its manifest") from None


def container_config(config: dict[str, Any]) -> dict[str, Any]:
    """The "config" of an image configuration with every key that Docker shows (its ContainerConfig)."""
    given = config.get("config")
    if not isinstance(given, dict):
        given = {}
    shown = {key: given.get(key, default) for key, default in _CONFIG_DEFAULTS}
    shown.update({key: given[key] for key in _CONFIG_OPTIONAL if given.get(key) is not None})
    return shown


def _text(config: dict[str, Any], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _last_comment(config: dict[str, Any]) -> str:
    history = config.get("history")
    last = history[-1] if isinstance(history, list) and history else None
    return _text(last, "comment") if isinstance(last, dict) else ""


def _names(engine: Engine, image: Image) -> tuple[list[references.Reference], str]:
    """Its names and digests, and when the newest of the names was given."""
    names = []
    newest = 0
    for ref in store.list_refs(engine):
        if ref["image"] != image.id:
            continue
        names.append(references.parse(ref["name"]))
        if "@" not in ref["name"]:
            try:
                newest = max(newest, os.stat(engine.paths.ref(ref["name"])).st_mtime_ns)
            except FileNotFoundError:
                continue
    return names, moments.rfc3339(newest) if newest else ZERO_TIME


def _graph(engine: Engine, image: Image) -> dict[str, str]:
    folders = [engine.paths.layer(engine.idmap.key, chain) + "/diff" for chain in reversed(image.chain_ids)]
    if not folders:
        return {}
    data = {"UpperDir": folders[0]}
    if folders[1:]:
        data["LowerDir"] = ":".join(folders[1:])
    return data
