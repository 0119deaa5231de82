"""The syntax of --mount: pure. ``type=bind,source=/a,target=/b,readonly``, fields split already.

Keys, rules and messages: docker/cli opts/mount.go, moby volume/mounts/linux_parser.go.
"""

from __future__ import annotations

from pod.core.errors import UsageError
from pod.core.volume.syntax import PROPAGATIONS, VolumeSpec, check_propagation, check_target, clean, valid_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KINDS = ("bind", "volume", "tmpfs", "image")
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_BARE = ("readonly", "volume-nocopy", "bind-nonrecursive", "bind-create-src")
_DEPTHS = {"enabled": "below", "disabled": "below", "writable": "top", "readonly": "whole"}
_TMPFS_MODE_BITS = 12


def parse(fields: list[str], cwd: str, size: Callable[[str], int]) -> VolumeSpec:
    """One --mount. ``size`` reads "64m". ValueError for what the client refuses (its text is the end of ``invalid
    argument … for "--mount" flag``), UsageError for what Docker's daemon refuses.
    """
    found = _read(fields)
    kind = found.get("type", "volume")
    for prefix in KINDS:
        if kind != prefix and any(key.startswith(prefix + "-") for key in found):
            raise ValueError(f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    spec = VolumeSpec(kind, _source(found.get("source", ""), cwd), found.get("target", ""), "")
    spec.read_only = _truth("readonly", found)
    spec.propagation = found.get("bind-propagation", "").lower()
    spec.makes_source = _truth("bind-create-src", found)
    spec.subpath = found.get("volume-subpath") or found.get("image-subpath") or ""
    spec.copy = not _truth("volume-nocopy", found)
    spec.driver = found.get("volume-driver", "")
    spec.labels = found.get("volume-label", {})
    spec.driver_options = found.get("volume-opt", {})
    _depth(spec, found)
    spec.options = _tmpfs(spec, found, size)
    _check(spec, f'invalid mount config for type "{kind}"')
    spec.document = _document(spec, found, size)
    spec.target = clean(spec.target)
    return spec


def _read(fields: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        key = _ALIASES.get(key, key)
        if not equals:
            if key not in _BARE:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        if key not in _KEYS:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        if key in ("volume-label", "volume-opt"):
            name, _, item = value.partition("=")
            found.setdefault(key, {}).update({name: item} if name else {})
        else:
            found[key] = value.lower() if key in ("type", "consistency") else value
    if found.get("type", "volume") == "":
        raise ValueError("type is required")
    return found


_KEYS = frozenset(
    (
        "type", "source", "target", "readonly", "consistency", "bind-propagation", "bind-nonrecursive",
        "bind-recursive", "bind-create-src", "volume-subpath", "volume-nocopy", "volume-label", "volume-driver",
        "volume-opt", "image-subpath", "tmpfs-size", "tmpfs-mode",
    )
)  # fmt: skip


def _source(source: str, cwd: str) -> str:
    return clean(cwd + "/" + source) if source == "." or source.startswith("./") else source


def _truth(key: str, found: dict[str, Any]) -> bool:
    value = found.get(key, "false")
    if value not in _TRUE and value not in _FALSE:
        raise ValueError(f"invalid value for {key}: {value}")
    return value in _TRUE


def _depth(spec: VolumeSpec, found: dict[str, Any]) -> None:
    recursion = found.get("bind-recursive", "enabled")
    if recursion not in _DEPTHS:
        raise ValueError(
            f'invalid value for bind-recursive: {recursion} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    spec.depth = _DEPTHS[recursion]
    spec.recursive = recursion != "disabled" and not _truth("bind-nonrecursive", found)
    if recursion in ("writable", "readonly") and not spec.read_only:
        raise ValueError(
            f"option 'bind-recursive={recursion}' requires 'readonly' to be specified in conjunction"
        )
    if recursion == "readonly" and spec.propagation != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _tmpfs(spec: VolumeSpec, found: dict[str, Any], size: Callable[[str], int]) -> str:
    """The options of a tmpfs as --tmpfs has them."""
    options = ["ro"] if spec.kind == "tmpfs" and spec.read_only else []
    if "tmpfs-mode" in found:
        options.append(f"mode={_mode(found['tmpfs-mode']):o}")
    if "tmpfs-size" in found:
        options.append(f"size={_size(found['tmpfs-size'], size)}")
    return ",".join(options)


def _mode(text: str) -> int:
    try:
        if not text or not set(text) <= set("01234567"):
            raise ValueError
        mode = int(text, 8)
    except ValueError:
        raise ValueError(f"invalid value for tmpfs-mode: {text}") from None
    if mode >> _TMPFS_MODE_BITS:
        raise ValueError(f"invalid value for tmpfs-mode: {text}")
    return mode


def _size(text: str, size: Callable[[str], int]) -> int:
    try:
        found = size(text)
    except ValueError:
        found = -1
    if found < 0:
        raise ValueError(f"invalid value for tmpfs-size: {text}")
    return found


def _check(spec: VolumeSpec, what: str) -> None:
    """What Docker's daemon refuses."""
    if spec.kind not in KINDS:
        raise UsageError(f"{what}: mount type unknown", hint="bind, volume, tmpfs or image")
    if not spec.target:
        raise UsageError(f"{what}: field Target must not be empty")
    if not spec.target.startswith("/"):
        raise UsageError(f"{what}: invalid mount path: '{spec.target}' mount path must be absolute")
    if clean(spec.target) == "/":
        raise UsageError(f"{what}: invalid specification: destination can't be '/'")
    check_target(clean(spec.target), what, spec.source if spec.kind == "bind" else "")
    if spec.subpath and not _is_local(spec.subpath):
        raise UsageError(f"{what}: subpath must be a relative path within the {spec.kind}")
    if spec.kind == "tmpfs" and spec.source:
        raise UsageError(f"{what}: field Source must not be specified")
    if spec.kind in ("bind", "image") and not spec.source:
        raise UsageError(f"{what}: field Source must not be empty")
    if spec.kind == "bind":
        _check_bind(spec, what)
    elif spec.kind == "volume":
        _check_volume(spec, what)


def _check_bind(spec: VolumeSpec, what: str) -> None:
    if not spec.source.startswith("/"):
        raise UsageError(f"{what}: invalid mount path: '{spec.source}' mount path must be absolute")
    if spec.propagation and spec.propagation not in PROPAGATIONS:
        raise UsageError(f"{what}: invalid propagation mode: {spec.propagation}")
    check_propagation(spec.propagation, what)
    spec.source = clean(spec.source)


def _check_volume(spec: VolumeSpec, what: str) -> None:
    if spec.source and not valid_name(spec.source):
        raise UsageError(
            f'{what}: "{spec.source}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            hint="if you intended to pass a host directory, use type=bind with an absolute path",
        )
    if not spec.source and spec.subpath:
        raise UsageError(f"{what}: must not set Subpath when using anonymous volumes")
    if not spec.source and spec.read_only:
        raise UsageError(f"{what}: must not set ReadOnly mode when using anonymous volumes")


def _is_local(path: str) -> bool:
    """Go's filepath.IsLocal: relative, and no ".." leads above its beginning."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return not path.startswith("/")


def _document(spec: VolumeSpec, found: dict[str, Any], size: Callable[[str], int]) -> dict[str, Any]:
    """The entry of HostConfig.Mounts, as Docker's API has it: empty members are left out."""
    document: dict[str, Any] = {"Type": spec.kind}
    document.update({"Source": spec.source} if spec.source else {}, Target=spec.target)
    document.update({"ReadOnly": True} if spec.read_only else {})
    document.update({"Consistency": found["consistency"]} if found.get("consistency") else {})
    further: dict[str, Any] = {}
    if spec.kind == "bind":
        further = {
            "Propagation": spec.propagation, "NonRecursive": not spec.recursive, "CreateMountpoint": spec.makes_source,
            "ReadOnlyNonRecursive": spec.depth == "top", "ReadOnlyForceRecursive": spec.depth == "whole",
        }  # fmt: skip
    elif spec.kind == "volume":
        driver = {key: value for key, value in (("Name", spec.driver), ("Options", spec.driver_options)) if value}
        further = {"NoCopy": not spec.copy, "Labels": spec.labels, "DriverConfig": driver, "Subpath": spec.subpath}
    elif spec.kind == "image":
        further = {"Subpath": spec.subpath}
    elif "tmpfs-size" in found or "tmpfs-mode" in found:
        further = {"SizeBytes": _size(found.get("tmpfs-size", "0"), size), "Mode": _mode(found.get("tmpfs-mode", "0"))}
    further = {key: value for key, value in further.items() if value}
    if further:
        document[spec.kind.capitalize() + "Options"] = further
    return document
