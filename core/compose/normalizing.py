"""What follows from a document without being said in it: default networks, names, dependencies that links imply."""

from __future__ import annotations

from pod.core.compose.canonical import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SHARED = ("network_mode", "ipc", "pid", "uts", "cgroup")
"""Keys that may name another service."""


def environment(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Values that a document takes from the environment by a bare name."""
    for service in (data.get("services") or {}).values():
        entries = service.get("environment") if isinstance(service, dict) else None
        if isinstance(entries, list):
            service["environment"] = [
                f"{one}={environ[one]}" if one in environ else one for one in entries if isinstance(one, str)
            ]
    for config in (data.get("configs") or {}).values():
        name = config.get("environment") if isinstance(config, dict) else None
        if isinstance(name, str) and name in environ:
            config["content"] = environ[name]


def normalize(data: dict[str, Any], environ: Mapping[str, str], *, keep: bool = False) -> None:
    """Changes ``data``, whose ``name`` is set. ``keep`` arguments of builds that have no value."""
    _networks(data)
    for service in (data.get("services") or {}).values():
        _service(service, environ, keep)
    for section in ("networks", "volumes", "configs", "secrets"):
        members = data.get(section) or {}
        for key, member in members.items():
            member = members[key] = {} if member is None else member
            if member.get("name") is None:
                external = str(member.get("external", "")).lower() in ("true", "1", "t")
                member["name"] = key if external else f"{data['name']}_{key}"


def _service(service: dict[str, Any], environ: Mapping[str, str], keep: bool) -> None:
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    build = service.get("build")
    if isinstance(build, dict):
        if build.get("context") is None:
            build["context"] = "."
        if build.get("dockerfile") is None and build.get("dockerfile_inline") is None:
            build["dockerfile"] = "Dockerfile"
        if "args" in build:
            build["args"] = _resolved(build["args"], environ, keep=keep)
    if "environment" in service:
        service["environment"] = _resolved(service["environment"], environ, keep=True)
    for mount in service.get("volumes") or ():
        if isinstance(mount, dict) and isinstance(mount.get("target"), str):
            mount["target"] = clean(mount["target"]) or "."
    depends = _dependencies(service)
    if depends:
        service["depends_on"] = depends


def _networks(data: dict[str, Any]) -> None:
    used = False
    for service in (data.get("services") or {}).values():
        if "network_mode" in service:
            continue
        if not service.get("networks"):
            service["networks"] = {"default": None}
        used = used or "default" in service["networks"]
    if used:
        networks = data.get("networks")
        if networks is None:
            networks = data["networks"] = {}
        networks.setdefault("default", None)


def _dependencies(service: dict[str, Any]) -> dict[str, Any]:
    depends: dict[str, Any] = service.get("depends_on") or {}

    def imply(name: str, restart: bool) -> None:
        depends.setdefault(name, {"condition": "service_started", "restart": restart, "required": True})

    for link in service.get("links") or ():
        parts = link.split(":")
        imply(parts[0] if len(parts) == 2 else link, True)
    for key in SHARED:
        shared = service.get(key)
        if isinstance(shared, str) and shared.startswith("service:"):
            imply(shared[len("service:") :], True)
    for source in service.get("volumes_from") or ():
        if not source.startswith("container:"):
            imply(source.partition(":")[0], False)
    return depends


def _resolved(value: Any, environ: Mapping[str, str], *, keep: bool) -> Any:
    """Names without a value get that of the environment; ``keep`` those that have none there either."""
    if isinstance(value, dict):
        return {
            key: environ[key] if inner is None and key in environ else inner
            for key, inner in value.items()
            if inner is not None or keep or key in environ
        }
    if isinstance(value, list):
        out = []
        for item in value:
            if isinstance(item, str) and "=" not in item:
                if item in environ:
                    out.append(f"{item}={environ[item]}")
                elif keep:
                    out.append(item)
            else:
                out.append(item)
        return out
    return value
