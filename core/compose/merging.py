"""One compose file over another: what is replaced, merged or appended, and what a list may have once only: pure."""

from __future__ import annotations

from pod.core.compose import patterns, scalars, short_forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.compose.patterns import Nodes
    from pod.core.compose.source import Source

    Path = tuple[str, ...]
    Special = Callable[["Merging", Any, Any, Path, Nodes], Any]


class Merging:
    """The rules at work; errors name the later file's line."""

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source

    def merge(self, base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        """``over`` on top of ``base``, which is changed."""
        return self.mappings(base, over, (), _SPECIAL.start)

    def extend(self, base: dict[str, Any], service: dict[str, Any], name: str) -> dict[str, Any]:
        """A service on top of the one that it extends."""
        nodes = patterns.at(_SPECIAL.start, "services", name)
        return self.mappings(base, service, ("services", name), nodes)

    def values(self, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
        special = patterns.rule(nodes)
        if special is not None:
            return special(self, base, over, path, nodes)
        if over is None:
            return base
        if isinstance(base, dict):
            if not isinstance(over, dict):
                raise self.unlike(path, "a mapping")
            return self.mappings(base, over, path, nodes)
        if isinstance(base, list):
            if not isinstance(over, list):
                raise self.unlike(path, "a list")
            return [*base, *over]
        return over

    def unlike(self, path: Path, wanted: str) -> Exception:
        return self.source.fail(f"cannot override what the file before says: expected {wanted}", path)

    def mappings(self, base: dict[str, Any], over: dict[str, Any], path: Path, nodes: Nodes) -> dict[str, Any]:
        for key, value in over.items():
            if key not in base or key.startswith("x-"):
                base[key] = value
            else:
                base[key] = self.values(base[key], value, (*path, key), patterns.step(nodes, key))
        return base


def as_list(value: Any) -> list[Any]:
    """``KEY=VALUE`` of a mapping, in order; a list as it is."""
    if isinstance(value, dict):
        out = []
        for key, inner in value.items():
            if inner is None:
                out.append(key)
            else:
                out += [f"{key}={scalars.shown(one)}" for one in (inner if isinstance(inner, list) else [inner])]
        return sorted(out)
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, str) else []


def _sequences(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    if not isinstance(over, (dict, list, str, type(None))):
        raise merging.unlike(path, "a list or a mapping")
    return [*as_list(base), *as_list(over)]


def _hosts(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    first = as_list(base)
    return [*first, *(one for one in as_list(over) if one not in first)]


def _replace(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    return over


def _build(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    long = [{"context": one} if isinstance(one, str) else one for one in (base, over)]
    return merging.mappings(_mapping(merging, long[0], path), _mapping(merging, long[1], path), path, nodes)


def _mapping(merging: Merging, value: Any, path: Path) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise merging.unlike(path, "a mapping")
    return value


def _keyed(merging: Merging, value: Any, path: Path, default: dict[str, Any] | None) -> dict[str, Any]:
    """A list of names as a mapping."""
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise merging.source.fail("expected a list of names", path)
        return {one: None if default is None else dict(default) for one in value}
    return _mapping(merging, value, path)


def _depends(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    plain = {"condition": "service_started", "required": True}
    return merging.mappings(
        _keyed(merging, base, path, plain), _keyed(merging, over, path, plain), path, nodes
    )  # fmt: skip


def _networks(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    return merging.mappings(_keyed(merging, base, path, None), _keyed(merging, over, path, None), path, nodes)


def _logging(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    base, over = _mapping(merging, base, path), _mapping(merging, over, path)
    if "driver" not in base or "driver" not in over or base["driver"] == over["driver"]:
        return merging.mappings(base, over, path, nodes)
    return over


def _address_pools(merging: Merging, base: Any, over: Any, path: Path, nodes: Nodes) -> Any:
    """Pools of the same subnet become one."""
    out: list[dict[str, Any]] = []
    if not isinstance(base, list) or not isinstance(over, list):
        raise merging.unlike(path, "a list")

    def known(subnet: Any) -> int:
        return next((index for index, one in enumerate(out) if one.get("subnet") == subnet), -1)

    for first in base:
        left = dict(_mapping(merging, first, path))
        for second in over:
            right = _mapping(merging, second, path)
            if right.get("subnet") != left.get("subnet") and known(right.get("subnet")) < 0:
                out.append(right)
                continue
            left = merging.mappings(left, right, path, nodes)
            at = known(left.get("subnet"))
            if at >= 0:
                out[at] = left
            else:
                out.append(left)
    return out


_SEQUENCES = (
    "networks.*.labels", "volumes.*.labels", "services.*.annotations", "services.*.build.args",
    "services.*.build.additional_contexts", "services.*.build.labels", "services.*.deploy.labels", "services.*.dns",
    "services.*.dns_opt", "services.*.dns_search", "services.*.env_file", "services.*.label_file",
    "services.*.environment", "services.*.labels", "services.*.sysctls", "services.*.tmpfs",
)  # fmt: skip
_SPECIAL = patterns.Rules({
    **dict.fromkeys(_SEQUENCES, _sequences),
    "networks.*.ipam.config": _address_pools,
    "services.*.build": _build,
    "services.*.build.extra_hosts": _hosts,
    "services.*.extra_hosts": _hosts,
    "services.*.command": _replace,
    "services.*.entrypoint": _replace,
    "services.*.healthcheck.test": _replace,
    "services.*.ulimits.*": _replace,
    "services.*.depends_on": _depends,
    "services.*.logging": _logging,
    "services.*.networks": _networks,
})  # fmt: skip


def unique(source: Source, data: dict[str, Any]) -> dict[str, Any]:
    """Of several items of a list that mean the same thing the last one is kept, where the first one stood."""
    _unique(source, data, (), _UNIQUE.start)
    return data


def _unique(source: Source, value: Any, path: Path, nodes: Nodes) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            below = patterns.step(nodes, key)
            if below and isinstance(inner, (dict, list)):
                value[key] = _unique(source, inner, (*path, key), below)
        return value
    index = patterns.rule(nodes)
    if index is None:
        return value
    found: dict[str, Any] = {}
    for number, item in enumerate(value):
        try:
            found[index(item)] = item
        except ValueError as error:
            raise source.fail(str(error), (*path, str(number))) from None
    return list(found.values())


def _by_key(item: Any) -> str:
    if not isinstance(item, str):
        raise ValueError(f"expected a text, not {short_forms.kind(item)}")
    return item.partition("=")[0]


def _by_target(item: Any) -> str:
    if isinstance(item, dict):
        if not isinstance(item.get("target"), str):
            raise ValueError("a mount needs its target")
        return str(item["target"])
    return str(short_forms.volume(item).get("target", "")) if isinstance(item, str) else ""


def _by_device(item: Any) -> str:
    if isinstance(item, dict):
        if not isinstance(item.get("target"), str):
            raise ValueError("a device needs its target")
        return str(item["target"])
    parts = item.split(":") if isinstance(item, str) else [""]
    return str(parts[min(1, len(parts) - 1)])


def _by_number(item: Any) -> str:
    if isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)):
        return str(item)
    raise ValueError(f"expected a port, not {short_forms.kind(item)}")


def _by_mount(place: str) -> Callable[[Any], str]:
    def index(item: Any) -> str:
        if isinstance(item, str):
            return f"{place}/{item}"
        if not isinstance(item, dict):
            raise ValueError(f"expected a name or a mapping, not {short_forms.kind(item)}")
        return str(item["target"]) if "target" in item else f"{place}/{scalars.shown(item.get('source'))}"

    return index


def _by_port(item: Any) -> str:
    if not isinstance(item, dict):
        return scalars.shown(item) if isinstance(item, (str, int)) else ""
    if "target" not in item:
        raise ValueError("a port needs its target")
    return ":".join(
        scalars.shown(item.get(key, default))
        for key, default in (("host_ip", "0.0.0.0"), ("published", None), ("target", 0), ("protocol", "tcp"))
    )


def _by_path(item: Any) -> str:
    if isinstance(item, dict):
        if not isinstance(item.get("path"), str):
            raise ValueError("an env_file needs its path")
        return str(item["path"])
    return str(item)


_UNIQUE = patterns.Rules({
    **dict.fromkeys((
        "networks.*.labels", "networks.*.ipam.options", "services.*.annotations", "services.*.build.args",
        "services.*.build.additional_contexts", "services.*.build.platform", "services.*.build.tags",
        "services.*.build.labels", "services.*.cap_add", "services.*.cap_drop", "services.*.deploy.labels",
        "services.*.dns", "services.*.dns_opt", "services.*.dns_search", "services.*.environment", "services.*.labels",
        "services.*.links", "services.*.networks.*.aliases", "services.*.networks.*.link_local_ips",
        "services.*.profiles", "services.*.sysctls", "services.*.tmpfs",
    ), _by_key),
    "services.*.configs": _by_mount(""),
    "services.*.secrets": _by_mount("/run/secrets"),
    "services.*.devices": _by_device,
    "services.*.env_file": _by_path,
    "services.*.expose": _by_number,
    "services.*.ports": _by_port,
    "services.*.volumes": _by_target,
})  # fmt: skip
