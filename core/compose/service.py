"""A service of the canonical project as what ``create`` is asked for: pure.

Most keys have a flag of ``create`` that means the same; they become words of its command line, so that one code reads,
checks and refuses what ``run`` and Compose share. What no flag can say stands beside them.
"""

from __future__ import annotations

from pod.core import moments
from pod.core.compose import limits
from pod.core.errors import HostUnsupported, PodError, UsageError
from pod.core.volume import mount_syntax
from pod.core.volume.syntax import VolumeSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.compose.project import Project

    Service = Mapping[str, Any]

_TEXTS = {
    "hostname": "hostname", "domainname": "domainname", "user": "user", "working_dir": "workdir",
    "mac_address": "mac-address", "stop_signal": "stop-signal", "cgroup_parent": "cgroup-parent", "cgroup": "cgroupns",
    "uts": "uts", "userns_mode": "userns", "runtime": "runtime", "isolation": "isolation",
}  # fmt: skip
_SWITCHES = {"init": "init", "privileged": "privileged", "read_only": "read-only", "tty": "tty",
             "stdin_open": "interactive"}  # fmt: skip
_LISTS = {
    "cap_add": "cap-add", "cap_drop": "cap-drop", "security_opt": "security-opt", "group_add": "group-add",
    "dns": "dns", "dns_search": "dns-search", "dns_opt": "dns-option", "expose": "expose", "tmpfs": "tmpfs",
    "device_cgroup_rules": "device-cgroup-rule",
}  # fmt: skip
_TABLES = {"sysctls": "sysctl", "annotations": "annotation"}

_REFUSED = {
    "provider": "a provider is a program of the host that Compose runs instead of a container, and pod runs none",
    "credential_spec": "credentials of Windows, which containers of Linux do not have",
    "use_api_socket": "there is no daemon, and so no socket of one",
}


class Wish:
    """What one container of a service is to be: words of ``create``'s flags, and what no flag can say."""

    __slots__ = ("command", "entrypoint", "health", "links", "mounts", "platform", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self.entrypoint: list[str] | None = None
        self.command: list[str] = []
        self.health: dict[str, Any] | None = None
        self.links: list[str] = []
        self.mounts: list[VolumeSpec] = []
        self.platform = ""


def wish(project: Project, name: str, names: Mapping[str, str], *, aliases: bool = True) -> Wish:
    """One container of the service. ``names``: by service the container that stands for it (``service:X``). Without
    ``aliases`` the networks do not know it by the service's name.

    UsageError and HostUnsupported name the service and the key at fault.
    """
    service = project.services[name]
    found = Wish()
    try:
        _refuse(service)
        _plain(service, found.words)
        _environment(service, found.words)
        _namespaces(project, name if aliases else "", service, found, names)
        found.words += _ports(service)
        found.words += limits.words(service)
        _restart(service, found.words)
        _logging(service, found.words)
        _stop(service, found.words)
        found.mounts = [mount(project, entry) for entry in service.get("volumes") or []]
        found.health = healthcheck(service.get("healthcheck"))
    except PodError as error:
        raise type(error)(f"service {name}: {error.message}", hint=error.hint) from None
    found.entrypoint = service.get("entrypoint")
    found.command = list(service.get("command") or [])
    found.platform = service.get("platform") or ""
    return found


def _refuse(service: Service) -> None:
    for key, reason in _REFUSED.items():
        if service.get(key):
            raise HostUnsupported(f"{key}: {reason}", hint=f"leave {key} out of the service")


def _plain(service: Service, words: list[str]) -> None:
    for key, flag in _TEXTS.items():
        if service.get(key):
            words += [f"--{flag}={service[key]}"]
    for key, flag in _SWITCHES.items():
        if service.get(key):
            words.append("--" + flag)
    for key, flag in _LISTS.items():
        words += [f"--{flag}={value}" for value in service.get(key) or []]
    for key, flag in _TABLES.items():
        words += [f"--{flag}={name}={value}" for name, value in _pairs(service.get(key))]
    words += [f"--add-host={text}" for text in _hosts(service.get("extra_hosts"))]
    words += [f"--device={_device(entry)}" for entry in service.get("devices") or []]


def _pairs(value: Any) -> list[tuple[str, str]]:
    """A map, or a list of name=value."""
    if isinstance(value, dict):
        return [(name, "" if item is None else str(item)) for name, item in value.items()]
    return [(text.partition("=")[0], text.partition("=")[2]) for text in value or []]


def _hosts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}={one}" for name, item in value.items() for one in (item if isinstance(item, list) else [item])]
    return list(value or [])


def _device(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    source, target = str(entry.get("source", "")), str(entry.get("target") or entry.get("source", ""))
    return ":".join(filter(None, (source, target, entry.get("permissions", ""))))


def _environment(service: Service, words: list[str]) -> None:
    """A variable without a value is not set: what the caller's environment had for it, the reader has put in."""
    environment = service.get("environment")
    if isinstance(environment, dict):
        words += [f"--env={name}={value}" for name, value in sorted(environment.items()) if value is not None]
    else:
        words += [f"--env={text}" for text in environment or [] if "=" in text]


def _namespaces(project: Project, name: str, service: Service, found: Wish, names: Mapping[str, str]) -> None:
    words = found.words
    for key in ("ipc", "pid"):
        if service.get(key):
            words.append(f"--{key}={_of_service(str(service[key]), names)}")
    mode = str(service.get("network_mode") or "")
    if mode:
        words.append(f"--network={_of_service(mode, names)}")
    else:
        words += _networks(project, name, service)
    for text in service.get("volumes_from") or []:
        words.append(f"--volumes-from={_volumes_from(text, names)}")
    for text in service.get("links") or []:
        target, _, alias = text.partition(":")
        found.links.append(f"{_named(target, names)}:{alias or target}")
    for text in service.get("external_links") or []:
        target, _, alias = text.partition(":")
        found.links.append(f"{target}:{alias or target}")


def _of_service(mode: str, names: Mapping[str, str]) -> str:
    kind, _, target = mode.partition(":")
    return f"container:{_named(target, names)}" if kind == "service" else mode


def _named(service: str, names: Mapping[str, str]) -> str:
    if service not in names:
        raise UsageError(f"no such service: {service}", hint="the services that it may name are those of the project")
    return names[service]


def _volumes_from(text: str, names: Mapping[str, str]) -> str:
    if text.startswith("container:"):
        return text[len("container:") :]
    target, colon, mode = text.partition(":")
    return _named(target, names) + colon + mode


def networks_of(project: Project, service: Service) -> list[tuple[str, Mapping[str, Any]]]:
    """(key of the network, what is asked of it), the one of highest priority first, as Docker connects them."""
    if service.get("network_mode"):
        return []
    asked = service.get("networks")
    if asked is None:
        asked = {"default": None} if "default" in project.networks else {}
    if isinstance(asked, list):
        asked = dict.fromkeys(asked)
    items = [(key, value or {}) for key, value in asked.items()]
    return sorted(items, key=lambda item: (-int(item[1].get("priority") or 0), item[0]))


def network_name(project: Project, key: str) -> str:
    """What the network of that key is called in the store."""
    declared = project.networks.get(key) or {}
    return str(declared.get("name") or f"{project.name}_{key}")


def _networks(project: Project, name: str, service: Service) -> list[str]:
    found = []
    for key, asked in networks_of(project, service):
        called = network_name(project, key)
        if called in ("host", "none"):
            return [f"--network={called}"]
        fields = [f"name={called}", *(f"alias={alias}" for alias in _aliases(name, asked))]
        for member, field in (("ipv4_address", "ip"), ("ipv6_address", "ip6"), ("mac_address", "mac-address")):
            if asked.get(member):
                fields.append(f"{field}={asked[member]}")
        if asked.get("gw_priority"):
            fields.append(f"gw-priority={asked['gw_priority']}")
        fields += [f"driver-opt={option}={value}" for option, value in _pairs(asked.get("driver_opts"))]
        fields += [f"link-local-ip={address}" for address in asked.get("link_local_ips") or []]
        found.append("--network=" + ",".join(map(_csv, fields)))
    return found or ["--network=none"]


def _aliases(name: str, asked: Mapping[str, Any]) -> list[str]:
    """With the service's own name; none for a container that is not to be found by it."""
    return list(dict.fromkeys([name, *(asked.get("aliases") or [])])) if name else []


def _csv(field: str) -> str:
    quoted = field.replace('"', '""')
    return f'"{quoted}"' if "," in field or '"' in field else field


def _ports(service: Service) -> list[str]:
    found = []
    for port in service.get("ports") or []:
        address = port.get("host_ip") or ""
        head = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
        published = port.get("published") or ""
        head += f"{published}:" if published or head else ""
        found.append(f"--publish={head}{port['target']}/{port.get('protocol') or 'tcp'}")
    return found


def _restart(service: Service, words: list[str]) -> None:
    policy = service.get("restart") or ""
    asked = (service.get("deploy") or {}).get("restart_policy")
    if not policy and asked:
        most = asked.get("max_attempts")
        words_of = {"none": "no", "on-failure": "on-failure" + (f":{most}" if most else ""), "any": "always"}
        policy = words_of.get(asked.get("condition") or "any", "always")
    if policy:
        words.append(f"--restart={policy}")


def _logging(service: Service, words: list[str]) -> None:
    logging = service.get("logging") or {}
    if logging.get("driver"):
        words.append(f"--log-driver={logging['driver']}")
    words += [f"--log-opt={name}={value}" for name, value in _pairs(logging.get("options"))]


def _stop(service: Service, words: list[str]) -> None:
    grace = service.get("stop_grace_period")
    if grace:
        seconds = moments.duration(str(grace)) / moments.SECOND
        words.append(f"--stop-timeout={int(seconds + 0.999)}")


def healthcheck(value: Any) -> dict[str, Any] | None:
    """As Docker's Config.Healthcheck."""
    if not value:
        return None
    if value.get("disable"):
        return {"Test": ["NONE"]}
    found: dict[str, Any] = {}
    test = value.get("test")
    if test:
        found["Test"] = ["CMD-SHELL", test] if isinstance(test, str) else list(test)
    spans = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod",
             "start_interval": "StartInterval"}  # fmt: skip
    for key, member in spans.items():
        if value.get(key):
            found[member] = moments.duration(str(value[key]))
    if value.get("retries"):
        found["Retries"] = int(value["retries"])
    return found or None


def mount(project: Project, entry: Mapping[str, Any]) -> VolumeSpec:
    """One of the service's volumes, in its long form."""
    kind, source = str(entry.get("type") or "volume"), str(entry.get("source") or "")
    if kind in ("cluster", "npipe"):
        raise HostUnsupported(
            f"volume {entry.get('target')}: type {kind} needs a swarm or Windows", hint="bind, volume"
        )
    if kind == "volume" and source:
        source = volume_name(project, source)
    fields = [f"type={kind}", f"target={entry.get('target') or ''}", *([f"source={source}"] if source else [])]
    fields += _mount_fields(kind, entry)
    try:
        return mount_syntax.parse(fields, project.directory, int)
    except ValueError as error:
        raise UsageError(f"volume {entry.get('target')}: {error}") from None


def _mount_fields(kind: str, entry: Mapping[str, Any]) -> list[str]:
    """What the kinds have besides source and target."""
    fields = []
    if entry.get("read_only"):
        fields.append("readonly")
    bind, volume, tmpfs = (entry.get(key) or {} for key in ("bind", "volume", "tmpfs"))
    if kind == "bind":
        if bind.get("propagation"):
            fields.append(f"bind-propagation={bind['propagation']}")
        if bind.get("create_host_path", True):
            fields.append("bind-create-src")
        if bind.get("recursive"):
            fields.append(f"bind-recursive={bind['recursive']}")
    if kind == "volume":
        fields += ["volume-nocopy"] if volume.get("nocopy") else []
        fields += [f"volume-subpath={volume['subpath']}"] if volume.get("subpath") else []
    if kind == "image" and (entry.get("image") or {}).get("subpath"):
        fields.append(f"image-subpath={entry['image']['subpath']}")
    if kind == "tmpfs":
        fields += [f"tmpfs-size={tmpfs['size']}"] if tmpfs.get("size") else []
        fields += [f"tmpfs-mode={_octal(tmpfs['mode'])}"] if tmpfs.get("mode") else []
    return fields


def _octal(mode: Any) -> str:
    return f"{mode:o}" if isinstance(mode, int) else str(mode)


def volume_name(project: Project, key: str) -> str:
    """What the volume of that key is called in the store."""
    declared = project.volumes.get(key)
    if declared is None:
        return key
    return str(declared.get("name") or f"{project.name}_{key}")
