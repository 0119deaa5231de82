"""The members of Docker's container document in Docker's order, with the values of what pod does not record.

Source: Docker Engine API, schemas ContainerInspectResponse, HostConfig, ContainerConfig, EndpointSettings
(docs.docker.com/reference/api/engine); the order is that of the daemon's structs (github.com/moby/moby/api/types).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_HOST: dict[str, Any] = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": None,
    "NetworkMode": "",
    "PortBindings": {},
    "RestartPolicy": None,
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "Mounts": ...,
    "ConsoleSize": [0, 0],
    "Annotations": ...,
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "private",
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "private",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "StorageOpt": ...,
    "Tmpfs": ...,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 0,
    "Sysctls": ...,
    "Runtime": "pod",
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [],
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": False,
    "PidsLimit": None,
    "Ulimits": [],
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "MaskedPaths": [],
    "ReadonlyPaths": [],
    "Init": ...,
}
"""``...``: Docker leaves an empty one out."""

_CONFIG: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "ExposedPorts": ...,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Healthcheck": ...,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": {},
    "StopSignal": ...,
    "StopTimeout": ...,
    "Shell": ...,
}

_ENDPOINT: dict[str, Any] = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "MacAddress": "",
    "DriverOpts": None,
    "GwPriority": 0,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}

_NETWORK: dict[str, Any] = {
    "Bridge": "",
    "SandboxID": "",
    "SandboxKey": "",
    "Ports": {},
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}


def host_config(record: Mapping[str, Any]) -> dict[str, Any]:
    """HostConfig with all of Docker's members, then those that are pod's own."""
    return _filled(_HOST, record)


def config(record: Mapping[str, Any]) -> dict[str, Any]:
    """Config, likewise."""
    return _filled(_CONFIG, record)


def _filled(shape: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for name, default in shape.items():
        value = record.get(name, default)
        if default is not ... or (value is not ... and (value or type(value) is int)):
            result[name] = value
    result.update({name: value for name, value in record.items() if name not in shape})
    return result


def endpoint(asked: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """One of NetworkSettings.Networks: what was asked for, and what a running container has there."""
    result = dict(_ENDPOINT)
    for name in result:
        result[name] = given.get(name) or asked.get(name) or result[name]
    return result


def network_settings(ends: dict[str, dict[str, Any]], ports: dict[str, Any], pid: int) -> dict[str, Any]:
    """NetworkSettings of a container with those ``ends``; at the top are the addresses that it has on the default
    network, as in Docker. ``pid``: of its first process, 0 where there is none.
    """
    result = {**_NETWORK, "Ports": ports, "Networks": ends}
    if pid:
        result["SandboxKey"] = f"/proc/{pid}/ns/net"
    default = ends.get("bridge") or ends.get("private") or {}
    result.update({name: default[name] for name in _NETWORK if name in default})
    return result
