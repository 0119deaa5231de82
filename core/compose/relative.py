"""Relative paths of a document, each against the folder that it is meant from."""

from __future__ import annotations

from pod.core.compose import patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.patterns import Nodes
    from pod.core.compose.source import Source

    Path = tuple[str, ...]

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")


class Relative:
    """``base`` is absolute, or relative to what includes the document."""

    __slots__ = ("base", "home", "source")

    def __init__(self, source: Source, base: str, home: str) -> None:
        self.source, self.base, self.home = source, base, home

    def run(self, data: dict[str, Any]) -> None:
        self.walk(data, (), _PLACES.start)

    def walk(self, value: Any, path: Path, nodes: Nodes) -> Any:
        rule = patterns.rule(nodes)
        if rule is not None:
            return rule(self, value, path)
        pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in pairs:
            below = patterns.step(nodes, key if isinstance(key, str) else patterns.ITEM)
            if below:
                value[key] = self.walk(inner, (*path, str(key)), below)
        return value

    def join(self, path: str) -> str:
        return joined(self.base, home(path, self.home))


def home(path: str, folder: str) -> str:
    """``~`` and what follows, below the user's home."""
    import posixpath

    return posixpath.normpath(f"{folder}/{path[1:]}") if path[:1] == "~" and folder else path


def joined(base: str, path: str) -> str:
    """Go's filepath.Join, but an absolute path stays."""
    import posixpath

    if path[:1] == "/" or not path:
        return path
    found = posixpath.normpath(posixpath.join(base, path)) if base else posixpath.normpath(path)
    return found[1:] if found.startswith("//") else found


def _path(own: Relative, value: Any, path: Path) -> Any:
    return own.join(value) if isinstance(value, str) else value


def _context(own: Relative, value: Any, path: Path) -> Any:
    if not isinstance(value, str) or "://" in value or value.startswith(("service:", *_REMOTE)):
        return value
    return own.join(value)


def _host_path(own: Relative, value: Any, path: Path) -> Any:
    """Paths that may be Windows' too."""
    if not isinstance(value, str) or (len(value) > 2 and value[1] == ":" and value[2] in "\\/") or value[:2] == "\\\\":
        return value
    return joined(own.base, home(value, own.home)) or own.base


def _mount(own: Relative, value: Any, path: Path) -> Any:
    if isinstance(value, dict) and value.get("type") == "bind":
        if not isinstance(value.get("source"), str):
            raise own.source.fail('invalid mount config for type "bind": field Source must not be empty', path)
        value["source"] = _host_path(own, value["source"], path)
    return value


def _volume(own: Relative, value: Any, path: Path) -> Any:
    options = value.get("driver_opts") if isinstance(value, dict) and value.get("driver") == "local" else None
    if isinstance(options, dict) and options.get("o") == "bind" and "device" in options:
        options["device"] = _host_path(own, options["device"], path)
    return value


def _watched(own: Relative, value: Any, path: Path) -> Any:
    """A watched path without its links: events name the real one."""
    import os

    if not isinstance(value, str):
        return value
    found = own.join(value)
    return os.path.realpath(found) if os.path.lexists(found) and found[:1] == "/" else found


_PLACES = patterns.Rules({
    "services.*.build.context": _context,
    "services.*.build.additional_contexts.*": _context,
    "services.*.build.ssh.*": _host_path,
    "services.*.env_file.[].path": _path,
    "services.*.label_file.[]": _path,
    "services.*.extends.file": _path,
    "services.*.develop.watch.[].path": _watched,
    "services.*.volumes.[]": _mount,
    "configs.*.file": _host_path,
    "secrets.*.file": _host_path,
    "include.path": _path,
    "include.project_directory": _path,
    "include.env_file": _path,
    "volumes.*": _volume,
})  # fmt: skip
