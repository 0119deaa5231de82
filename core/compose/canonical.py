"""Short forms of a merged document made long, and values that Docker gives to what is not said."""

from __future__ import annotations

from pod.core.compose import patterns, short_forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.compose.patterns import Nodes
    from pod.core.compose.source import Source

    Path = tuple[str, ...]

MOST_PORTS = 70_000
"""Of one service, ranges counted."""


class Canonical:
    """``lenient`` leaves what cannot be read as it is: variables are still in it."""

    __slots__ = ("lenient", "source")

    def __init__(self, source: Source, lenient: bool) -> None:
        self.source, self.lenient = source, lenient

    def run(self, data: dict[str, Any]) -> dict[str, Any]:
        self.walk(data, (), _LONG.start)
        for service in _services(data):
            names = service.get("dns")
            if isinstance(names, list):
                service["dns"] = [one for one in names if one not in (None, "")]
        return data

    def walk(self, value: Any, path: Path, nodes: Nodes) -> Any:
        rule = patterns.rule(nodes)
        if rule is not None:
            try:
                value = rule(self, value, path)
            except ValueError as error:
                raise self.source.fail(str(error), path) from None
        if isinstance(value, dict):
            for key, inner in value.items():
                below = patterns.step(nodes, key)
                if below:
                    value[key] = self.walk(inner, (*path, key), below)
        elif isinstance(value, list):
            below = patterns.step(nodes, patterns.ITEM)
            if below:
                for index, inner in enumerate(value):
                    value[index] = self.walk(inner, (*path, str(index)), below)
        return value

    def parsed(self, reader: Callable[[str], Any], text: str) -> Any:
        try:
            return reader(text)
        except ValueError:
            if self.lenient:
                return text
            raise


def _services(data: dict[str, Any]) -> list[dict[str, Any]]:
    services = data.get("services")
    return [one for one in services.values() if isinstance(one, dict)] if isinstance(services, dict) else []


def _wrong(value: Any, wanted: str) -> ValueError:
    return ValueError(f"expected {wanted}, not {short_forms.kind(value)}")


def _build(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, str):
        return {"context": value}
    if not isinstance(value, dict):
        raise _wrong(value, "a folder or a mapping")
    return value


def _file_mount(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, str):
        return {"source": value}
    if not isinstance(value, dict):
        raise _wrong(value, "a name or a mapping")
    return value


def _key_value(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise _wrong(value, "a list or a mapping")
    found = {}
    for item in value:
        key, mark, inner = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not mark:
            if own.lenient:
                return value
            raise ValueError(f"invalid value {item!r}, expected key=value")
        found[key] = inner
    return found


def _depends(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, list):
        return {str(name): {"condition": "service_started", "required": True} for name in value}
    if not isinstance(value, dict):
        raise _wrong(value, "a list or a mapping")
    for name, inner in value.items():
        if not isinstance(inner, dict):
            raise ValueError(f"{name}: expected a mapping, not {short_forms.kind(inner)}")
        inner.setdefault("condition", "service_started")
        inner.setdefault("required", True)
    return value


def _env_files(own: Canonical, value: Any, path: Path) -> Any:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise _wrong(value, "a file or a list")
    out = []
    for item in items:
        if isinstance(item, str):
            item = {"path": item, "required": True}
        elif isinstance(item, dict):
            item.setdefault("required", True)
        out.append(item)
    return out


def _as_list(own: Canonical, value: Any, path: Path) -> Any:
    return [value] if isinstance(value, str) else value


def _extends(own: Canonical, value: Any, path: Path) -> Any:
    return {"service": value} if isinstance(value, str) else value


def _gpus(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, str):
        return [{"count": "all"}]
    if not isinstance(value, list):
        raise _wrong(value, "'all' or a list")
    return value


def _networks(own: Canonical, value: Any, path: Path) -> Any:
    return dict.fromkeys(map(str, value)) if isinstance(value, list) else value


def _volume(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise _wrong(value, "a text or a mapping")
    found = own.parsed(short_forms.volume, value)
    if isinstance(found, dict):
        found["target"] = clean(found["target"])
    return found


def _device(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise _wrong(value, "a text or a mapping")
    return own.parsed(short_forms.device, value)


def _ports(own: Canonical, value: Any, path: Path) -> Any:
    if not isinstance(value, list):
        raise _wrong(value, "a list")
    out: list[Any] = []
    for item in value:
        if isinstance(item, dict):
            out.append(item)
            continue
        if isinstance(item, bool) or not isinstance(item, (int, str)):
            raise _wrong(item, "a port")
        found = own.parsed(short_forms.ports, str(item))
        if isinstance(found, str):
            return value
        out += found
        if len(out) > MOST_PORTS:
            raise ValueError(f"more than {MOST_PORTS} ports of one service")
    return out


def _ssh(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise _wrong(value, "a list or a mapping")
    found: dict[str, Any] = {}
    for item in value:
        name, mark, place = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not mark and name != "default":
            raise ValueError(f"invalid ssh key {item!r}")
        found[name] = place if mark else None
    return found


def _ulimit(own: Canonical, value: Any, path: Path) -> Any:
    if isinstance(value, dict) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if own.lenient and isinstance(value, str):
        return value
    raise _wrong(value, "a number or a mapping of soft and hard")


def _external(own: Canonical, value: Any, path: Path) -> Any:
    if not isinstance(value, dict):
        if value is None:
            return None
        raise _wrong(value, "a mapping")
    external = value.get("external")
    if isinstance(external, dict):
        value["external"] = True
        if "name" in external:
            own.source.warn(f"{'.'.join(path)}: external.name is deprecated. Please set name and external: true")
            if value.setdefault("name", external["name"]) != external["name"]:
                raise ValueError("name and external.name conflict; only use name")
    return value


_LONG = patterns.Rules({
    "services.*.build": _build,
    "services.*.build.secrets.[]": _file_mount,
    "services.*.build.additional_contexts": _key_value,
    "services.*.build.ssh": _ssh,
    "services.*.build.ulimits.*": _ulimit,
    "services.*.depends_on": _depends,
    "services.*.env_file": _env_files,
    "services.*.label_file": _as_list,
    "services.*.extends": _extends,
    "services.*.gpus": _gpus,
    "services.*.networks": _networks,
    "services.*.volumes.[]": _volume,
    "services.*.dns": _as_list,
    "services.*.devices.[]": _device,
    "services.*.secrets.[]": _file_mount,
    "services.*.configs.[]": _file_mount,
    "services.*.ports": _ports,
    "services.*.ulimits.*": _ulimit,
    "volumes.*": _external,
    "networks.*": _external,
    "secrets.*": _external,
    "configs.*": _external,
})  # fmt: skip


def clean(path: str) -> str:
    """A path without ``.``, ``..`` and double slashes, as Go's path.Clean: "//" becomes "/"."""
    import posixpath

    if not path:
        return ""
    found = posixpath.normpath(path)
    return found[1:] if found.startswith("//") else found


def defaults(data: dict[str, Any]) -> None:
    """Values that are given where a file says none."""
    for service in _services(data):
        build = service.get("build")
        if isinstance(build, dict):
            build.setdefault("context", ".")
        for secret in service.get("secrets") or ():
            if isinstance(secret, dict):
                secret.setdefault("target", f"/run/secrets/{secret.get('source')}")
        for port in service.get("ports") or ():
            if isinstance(port, dict):
                port.setdefault("protocol", "tcp")
                port.setdefault("mode", "ingress")
        for request in _requests(service):
            if isinstance(request, dict) and "count" not in request and "device_ids" not in request:
                request["count"] = "all"


def _requests(service: dict[str, Any]) -> list[Any]:
    """Requests for devices of both places."""
    found = list(service.get("gpus") or ()) if isinstance(service.get("gpus"), list) else []
    place: Any = service
    for key in ("deploy", "resources", "reservations", "devices"):
        place = place.get(key) if isinstance(place, dict) else None
    return [*found, *place] if isinstance(place, list) else found
