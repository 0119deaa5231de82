"""Docker's document for one container, read from its records."""

from __future__ import annotations

import os

from pod.core.container import execs, inspect_shape, model, phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine


def state(container: Container) -> dict[str, Any]:
    """The member State."""
    record = container.state
    status = phase.phase(container)
    running = status in ("running", "paused", "restarting")
    failure = record.get("error")
    error = ""
    if isinstance(failure, dict):
        error = f"{str(failure.get('step', '')).lower()}: {failure.get('path', '')}"
    result: dict[str, Any] = {
        "Status": status,
        "Running": running,
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": bool(record.get("oomKilled", False)),
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": int(record.get("exitCode", 0)) if status == "restarting" else container.exit_code,
        "Error": error,
        "StartedAt": record.get("startedAt", model.ZERO_TIME),
        "FinishedAt": record.get("finishedAt", model.ZERO_TIME),
    }
    health = phase.health(container)
    if health is not None and record:
        result["Health"] = health
    return result


def document(engine: Engine, container: Container, *, size: bool = False) -> dict[str, Any]:
    """The whole document; ``size`` adds SizeRw and SizeRootFs (bytes), which walks the container's files."""
    config = container.config
    directory = container.directory
    host = config["HostConfig"]
    result: dict[str, Any] = {
        "Id": container.id,
        "Created": config["Created"],
        "Path": config["Path"],
        "Args": config["Args"],
        "State": state(container),
        "Image": config["Image"],
        "ResolvConfPath": directory + "/resolv.conf",
        "HostnamePath": directory + "/hostname",
        "HostsPath": directory + "/hosts",
        "LogPath": "" if host["LogConfig"]["Type"] == "none" else directory + "/log",
        "Name": config["Name"],
        "RestartCount": int(container.state.get("restartCount", 0)),
        "Driver": "overlay" if engine.facts.overlay == "native" else "plain",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs.running(engine, container) or None,
        "HostConfig": inspect_shape.host_config(
            {**_with_links(container), "RootEmulation": _root_emulation(engine, container)}
        ),
        "GraphDriver": _graph_driver(engine, container),
    }
    if size:
        result["SizeRw"], result["SizeRootFs"] = sizes(engine, container)
    if isinstance(container.state.get("limits"), dict) and container.is_running:
        result["HostConfig"]["EnforcedBy"] = container.state["limits"].get("by", {})
    result["Mounts"] = [_mount(mount) for mount in config["Mounts"]]
    result["Config"] = inspect_shape.config(config["Config"])
    result["NetworkSettings"] = _network(container)
    return result


def _with_links(container: Container) -> dict[str, Any]:
    """HostConfig, with the links of the default network as Docker shows them: "/db:/web/alias"."""
    host: dict[str, Any] = container.config["HostConfig"]
    found = (container.config.get("Networks") or {}).get("bridge", {}).get("Links")
    if not found:
        return host
    pairs = (link.partition(":") for link in found)
    return {**host, "Links": [f"/{name}:/{container.name}/{alias}" for name, _, alias in pairs]}


def _network(container: Container) -> dict[str, Any]:
    """NetworkSettings: of what runs as netd said it, with Docker's names for what was asked."""
    from pod.core.container import networks, ports
    from pod.core.network import endpoints, wire

    config, live = container.config, networks.ends(container)
    asked = wire.networks_of(config)
    ends = {}
    for name in networks.names(container):
        wanted = dict(asked.get(name) or {})
        if endpoints.is_user_defined(name):
            own = [container.name, *(wanted.get("Aliases") or ()), container.id[:12], config["Config"]["Hostname"]]
            wanted["DNSNames"] = list(dict.fromkeys(filter(None, own)))
        elif name == "bridge":
            wanted.pop("Links", None)
        ends[name] = inspect_shape.endpoint(wanted, live.get(name) or {})
    return inspect_shape.network_settings(ends, ports.document(container), container.pid)


def sizes(engine: Engine, container: Container) -> tuple[int, int]:
    """Bytes of what the container has written, and of that with its image; walks the container's files."""
    from pod.core.container import view

    image = _image_size(engine, container)
    if os.path.isdir(container.directory + "/rootfs"):  # a copy of the image that it writes to
        whole = view.tree_size(engine, container, container.directory + "/rootfs")
        return max(whole - image, 0), max(whole, image)
    written = view.tree_size(engine, container, container.directory + "/upper")
    return written, written + image


def _root_emulation(engine: Engine, container: Container) -> str:
    """Ours, not Docker's: what it runs with, else what it would be started with."""
    from pod.core.container import planning

    if container.is_running:
        return planning.running_emulation(container.config, container.state)
    return planning.root_emulation(engine, container.config)


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    from pod.core.volume.attach import OURS

    return {name: value for name, value in mount.items() if name not in OURS}


def _graph_driver(engine: Engine, container: Container) -> dict[str, Any]:
    directory = container.directory
    if engine.facts.overlay != "native":
        return {"Name": "plain", "Data": {"MergedDir": directory + "/rootfs", "UpperDir": directory + "/rootfs"}}
    from pod.core.errors import PodError
    from pod.core.image.store import by_id

    key = container.config["Pod"]["IdMap"]["Key"]
    try:
        chain = by_id(engine, container.config["Image"]).chain_ids
    except PodError:
        chain = []
    lower = [engine.paths.layer(key, chain_id) + "/diff" for chain_id in reversed(chain)]
    return {
        "Name": "overlay",
        "Data": {
            "LowerDir": ":".join(lower),
            "MergedDir": directory + "/merged",
            "UpperDir": directory + "/upper",
            "WorkDir": directory + "/work",
        },
    }


def _image_size(engine: Engine, container: Container) -> int:
    from pod.core.errors import PodError
    from pod.core.image.store import by_id

    try:
        return int(by_id(engine, container.config["Image"]).record.get("size", 0))
    except PodError:
        return 0
