"""From what was asked for and what the image says to the container's record (config.json): pure.

The record carries Docker's names (Config, HostConfig, Mounts) so that ``inspect`` is a reading of it, and a member
"Pod" for what Docker does not know.
"""

from __future__ import annotations

from pod.core.errors import PodError, UsageError
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

RECORD_VERSION = 1

_TEXTS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Cmd", "Entrypoint", "Shell")
_SETS = ("Volumes", "ExposedPorts")


class Request:
    """What ``run`` and ``create`` were asked for; every field has the meaning of Docker's flag of that name."""

    __slots__ = (
        "add_host", "annotations", "args", "attach", "auto_remove", "cap_add", "cap_drop", "cgroupns", "command",
        "devices", "dns", "dns_option", "dns_search", "domainname", "entrypoint", "env", "expose", "group_add",
        "healthcheck", "hostname", "idmap", "image_name", "init", "interactive", "ipc", "labels", "log_driver",
        "log_opts", "name", "network", "networks", "pid", "port_fallback", "ports", "privileged", "publish_all",
        "read_only", "restart", "root_emulation", "security_opt",
        "shm_size", "stop_signal", "stop_timeout", "sysctls", "tmpfs", "tty", "ulimits", "user", "userns", "uts",
        "volume_driver", "volumes", "volumes_from", "workdir",
    )  # fmt: skip

    def __init__(self, image_name: str) -> None:
        self.image_name = image_name
        self.command: list[str] = []
        self.entrypoint: str | list[str] | None = None
        self.name = ""
        self.hostname = ""
        self.domainname = ""
        self.user = ""
        self.workdir = ""
        self.env: list[str] = []
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self.attach: set[str] = set()
        self.interactive = self.tty = False
        self.auto_remove = self.init = False
        self.privileged = self.read_only = False
        self.network = "bridge"
        self.networks: dict[str, dict[str, Any]] = {}  # by name, the first one first; see network/endpoints.py
        self.ports: dict[str, list[dict[str, str]]] = {}
        self.publish_all = self.port_fallback = False
        self.pid = ""
        self.ipc = "private"
        self.cgroupns = "private"
        self.uts = ""
        self.userns = ""
        self.restart: dict[str, Any] = {"Name": "no", "MaximumRetryCount": 0}
        self.root_emulation = "auto"
        self.cap_add: list[str] = []
        self.cap_drop: list[str] = []
        self.security_opt: list[str] = []
        self.group_add: list[str] = []
        self.volumes: list[Any] = []
        self.volumes_from: list[tuple[str, bool]] = []
        self.volume_driver = ""
        self.tmpfs: dict[str, str] = {}
        self.devices: list[tuple[str, str, str]] = []
        self.ulimits: list[tuple[str, int, int]] = []
        self.shm_size = defaults.SHM_SIZE
        self.sysctls: dict[str, str] = {}
        self.dns: list[str] = []
        self.dns_search: list[str] = []
        self.dns_option: list[str] = []
        self.add_host: list[str] = []
        self.expose: list[str] = []
        self.healthcheck: dict[str, Any] | None = None
        self.stop_signal = ""
        self.stop_timeout: int | None = None
        self.log_driver = "json-file"
        self.log_opts: dict[str, str] = {}
        self.idmap: Any = None


def make_record(
    request: Request, image: Any, image_config: Mapping[str, Any], container_id: str, created: str
) -> dict[str, Any]:
    """The record of a new container. UsageError where nothing says what to run ("no command specified"), PodError where
    the image's configuration is none.
    """
    config = checked(image_config.get("config") or {}, request.image_name)
    entrypoint, command = command_line(request, config)
    argv = entrypoint + command
    if not argv:
        raise UsageError("no command specified", hint="the image names none: give one after the image's name")
    hostname = request.hostname or container_id[:12]
    record: dict[str, Any] = {
        "version": RECORD_VERSION,
        "Id": container_id,
        "Created": created,
        "Name": "/" + request.name,
        "Path": argv[0],
        "Args": argv[1:],
        "Image": image.id,
        "Config": _config(request, config, hostname, entrypoint, command),
        "HostConfig": _host_config(request),
        "Mounts": [],
        "Pod": {
            "Manifest": image.record.get("manifest", ""),
            "Platform": "/".join(filter(None, (image.record.get("os"), image.record.get("architecture")))),
            "IdMap": {
                "Kind": request.idmap.kind,
                "Key": request.idmap.key,
                "Uids": [list(extent) for extent in request.idmap.uids],
                "Gids": [list(extent) for extent in request.idmap.gids],
            },
            "RootEmulation": request.root_emulation,
        },
    }
    if request.networks:
        record["Networks"] = request.networks
    if request.port_fallback:
        record["Pod"]["PortFallback"] = True
    return record


def checked(config: Mapping[str, Any], image_name: str) -> dict[str, Any]:
    """What a container takes over from an image's configuration, which strangers wrote: right kinds and nothing else,
    so that no label, annotation or further member asks for power. PodError names the first that is of another kind.
    """
    found: dict[str, Any] = {}
    for names, good in ((_TEXTS, _text), (_LISTS, _list), (_SETS, _set), (("Labels",), _map)):
        for name in names:
            value = config.get(name)
            if value is None:
                continue
            if not good(value):
                raise PodError(
                    f"image {image_name}: broken configuration: {name} is not what the OCI image format has there",
                    hint="the image was made by a faulty tool, or by somebody who means harm",
                )
            found[name] = value
    if config.get("Healthcheck"):
        from pod.core.container import health

        found["Healthcheck"] = health.of_image(config["Healthcheck"], image_name)
    return found


def _text(value: object) -> bool:
    """A string that can be an argument: no NUL, and UTF-8."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _set(value: object) -> bool:
    """Go's map of empty structs: the members' values say nothing."""
    return isinstance(value, dict) and all(map(_text, value))


def _map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def command_line(request: Request, config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(entrypoint, command) as Docker merges them: an --entrypoint drops the image's CMD; "" drops the entrypoint.

    A list, which no flag can give, is the whole of it.
    """
    entrypoint = list(config.get("Entrypoint") or [])
    command = list(config.get("Cmd") or [])
    if request.entrypoint is not None:
        asked = request.entrypoint
        entrypoint = list(asked) if isinstance(asked, list) else [asked] if asked else []
        command = []
    if request.command:
        command = list(request.command)
    return entrypoint, command


def merge_env(image_env: list[str], extra: list[str], *, tty: bool, hostname: str) -> list[str]:
    """PATH, HOSTNAME, TERM first, as Docker orders them; later settings of a name replace earlier ones in place."""
    merged: dict[str, str] = {"PATH": "PATH=" + defaults.DEFAULT_PATH, "HOSTNAME": "HOSTNAME=" + hostname}
    if tty:
        merged["TERM"] = "TERM=xterm"
    for entry in image_env + extra:
        merged[entry.partition("=")[0]] = entry
    return list(merged.values())


def _config(
    request: Request, config: Mapping[str, Any], hostname: str, entrypoint: list[str], command: list[str]
) -> dict[str, Any]:
    # A bare name means the caller's value in -e; an image may not read that.
    image_env = [entry for entry in config.get("Env") or [] if "=" in entry[1:]]
    labels = dict(config.get("Labels") or {})
    labels.update(request.labels)
    result: dict[str, Any] = {
        "Hostname": hostname,
        "Domainname": request.domainname,
        "User": request.user or config.get("User") or "",
        "AttachStdin": "stdin" in request.attach,
        "AttachStdout": "stdout" in request.attach,
        "AttachStderr": "stderr" in request.attach,
        "Tty": request.tty,
        "OpenStdin": request.interactive,
        "StdinOnce": request.interactive and "stdin" in request.attach,
        "Env": merge_env(image_env, request.env, tty=request.tty, hostname=hostname),
        "Cmd": command or None,
        "Image": request.image_name,
        "Volumes": _volumes(request, config) or None,
        "WorkingDir": request.workdir or config.get("WorkingDir") or "",
        "Entrypoint": entrypoint or None,
        "Labels": labels,
    }
    exposed = dict(config.get("ExposedPorts") or {})
    exposed.update({port: {} for port in request.expose})
    exposed.update({port: {} for port in request.ports})
    if exposed:
        result["ExposedPorts"] = exposed
    stop_signal = request.stop_signal or config.get("StopSignal")
    if stop_signal:
        result["StopSignal"] = stop_signal
    if request.stop_timeout is not None:
        result["StopTimeout"] = request.stop_timeout
    if config.get("Healthcheck") or request.healthcheck:
        from pod.core.container import health

        result["Healthcheck"] = health.merge(request.healthcheck, config.get("Healthcheck"))
    if config.get("Shell"):
        result["Shell"] = config["Shell"]
    return result


def _volumes(request: Request, config: Mapping[str, Any]) -> dict[str, Any]:
    """The image's VOLUMEs, and those of -v without a source, as Docker's client has it."""
    volumes = dict(config.get("Volumes") or {})
    volumes.update({v.target: {} for v in request.volumes if not v.source and v.document is None})
    return volumes


def _host_config(request: Request) -> dict[str, Any]:
    unconfined = request.privileged or "systempaths=unconfined" in request.security_opt
    return {
        "Binds": [
            v.source + ":" + v.target + (":" + v.mode if v.mode else "")
            for v in request.volumes
            if v.source and v.document is None
        ]
        or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": request.log_driver, "Config": request.log_opts},
        "NetworkMode": request.network,
        "PortBindings": request.ports,
        "RestartPolicy": request.restart,
        "AutoRemove": request.auto_remove,
        "VolumeDriver": request.volume_driver,
        "VolumesFrom": [name + (":ro" if read_only else "") for name, read_only in request.volumes_from] or None,
        "ConsoleSize": [0, 0],
        "CapAdd": request.cap_add or None,
        "CapDrop": request.cap_drop or None,
        "CgroupnsMode": request.cgroupns,
        "Dns": request.dns,
        "DnsOptions": request.dns_option,
        "DnsSearch": request.dns_search,
        "ExtraHosts": request.add_host or None,
        "GroupAdd": request.group_add or None,
        "IpcMode": request.ipc,
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": 0,
        "PidMode": request.pid,
        "Privileged": request.privileged,
        "PublishAllPorts": request.publish_all,
        "ReadonlyRootfs": request.read_only,
        "SecurityOpt": request.security_opt or None,
        "Tmpfs": request.tmpfs,
        "UTSMode": request.uts,
        "UsernsMode": request.userns,
        "ShmSize": request.shm_size,
        "Sysctls": request.sysctls,
        "Runtime": "pod",
        "Isolation": "",
        "Annotations": request.annotations,
        "Devices": [
            {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": mode}
            for host, inside, mode in request.devices
        ],
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in request.ulimits],
        "Init": request.init,
        "MaskedPaths": [] if unconfined else list(defaults.MASKED_PATHS),
        "ReadonlyPaths": [] if unconfined else list(defaults.READONLY_PATHS),
        **_mounts(request),
    }


def _mounts(request: Request) -> dict[str, Any]:
    """--mount; Docker leaves the member out where there is none."""
    documents = [v.document for v in request.volumes if v.document is not None]
    return {"Mounts": documents} if documents else {}
