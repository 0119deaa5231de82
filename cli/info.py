"""``pod info``: this host and the store, in the fields and the layout of Docker's ``info``."""

from __future__ import annotations

import os

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

COMMAND = Command(
    "info",
    "[OPTIONS]",
    "Display what pod found on this host and in its store",
    (("format", "f", "string", "Format output using a custom template: 'json', or a Go template"),),
    max_args=0,
)

_LIMITS = (
    ("MemoryLimit", "memory", "memory limit"),
    ("SwapLimit", "memory", "swap limit"),
    ("CpuCfsQuota", "cpu", "cpu cfs quota"),
    ("CpuCfsPeriod", "cpu", "cpu cfs period"),
    ("CPUShares", "cpu", "cpu shares"),
    ("CPUSet", "cpuset", "cpuset"),
    ("PidsLimit", "pids", "pids limit"),
)
"""Docker's field, the controller behind it, the words of Docker's warning."""


def main(engine: Engine, options: Options) -> int:
    """Docker's two sections as one document. Warnings close the text, as Docker's do."""
    document = describe(engine)
    if options["format"]:
        output.document([document], options["format"])
        return 0
    for line in _lines(document):
        output.line(output.visible(line))
    for text in document["Warnings"]:
        output.warning(text.removeprefix("WARNING: "))
    return 0


def describe(engine: Engine) -> dict[str, Any]:
    """The document that --format sees: names and kinds of moby's api/types/system.Info."""
    from pod.cli import version
    from pod.core.container import model
    from pod.core.image import store

    facts = engine.facts
    states = [container.status for container in model.list_all(engine)]
    running = sum(status == "running" for status in states)
    config = engine.config
    client = {"Version": version.VERSION, "Context": "default", "Debug": False, "Plugins": [], "Warnings": None}
    return {
        "ID": _host_id(),
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": sum(status == "paused" for status in states),
        "ContainersStopped": len(states) - running,
        "Images": len(store.list_images(engine)),
        "Driver": "overlay" if facts.overlay == "native" else "plain",
        "DriverStatus": _driver_status(engine),
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "none", "syslog", "journald"],
        },
        **{field: controller in _holding() for field, controller, _ in _LIMITS},
        "OomKillDisable": False,
        "IPv4Forwarding": _flag("/proc/sys/net/ipv4/ip_forward"),
        "Debug": False,
        "LoggingDriver": config.log_driver,
        "CgroupDriver": "none",
        "CgroupVersion": str(facts.cgroup_version) if facts.cgroup_version else "",
        "NEventsListener": 0,
        "KernelVersion": facts.kernel,
        **_system(),
        "Architecture": facts.machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
            "IndexConfigs": {},
            "Mirrors": list(config.registry_mirrors),
        },
        "DockerRootDir": engine.paths.root,
        **_proxies(engine),
        "Name": os.uname().nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": version.VERSION,
        "Runtimes": {"pod": {"path": "pod"}},
        "DefaultRuntime": "pod",
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "pod-helper",
        "SecurityOptions": _security(engine),
        "InsecureRegistries": list(config.insecure_registries),
        "Warnings": _warnings(engine),
        "ClientInfo": client,
    }


def _driver_status(engine: Engine) -> list[list[str]]:
    from pod.core import host_doctor

    facts = engine.facts
    pairs = [["Backing Filesystem", host_doctor.file_system(engine.paths.root)]]
    if facts.overlay == "native":
        pairs += [["Native Overlay Diff", "true"], ["userxattr", "true"], ["volatile", str(facts.volatile).lower()]]
    else:
        pairs.append(["Why no overlay", facts.overlay_reason])
    ids = "own id and sub-ids" if facts.idmap_kind == "range" else f"one id, root emulation {_emulation(engine)}"
    pairs.append(["Id map", ids])
    return pairs


def _security(engine: Engine) -> list[str]:
    facts = engine.facts
    options = ["name=seccomp,profile=builtin"] if facts.seccomp else []
    emulation = [] if facts.idmap_kind == "range" else [f"name=root-emulation,mode={_emulation(engine)}"]
    return [*options, "name=rootless", "name=cgroupns", *emulation]


def _emulation(engine: Engine) -> str:
    """What a new container with one id has unless its flags say otherwise."""
    asked = engine.config.root_emulation
    return engine.facts.root_emulation if asked == "auto" else asked


def _holding() -> set[str]:
    """Controllers of control groups that a container started here would get."""
    from pod.core import cgroups

    places = cgroups.find(look=True)
    return {name for name in ("memory", "cpu", "cpuset", "pids", "io") if places.of(name)[0] or name in places.by_scope}


def _warnings(engine: Engine) -> list[str]:
    """Docker's lines for what is not enforced here, then ours."""
    facts = engine.facts
    holding = _holding()
    lines = [f"WARNING: No {words} support" for _, controller, words in _LIMITS if controller not in holding]
    if "io" not in holding:
        lines += [f"WARNING: No io.{limit} support" for limit in ("weight", "max (rbps)", "max (wbps)")]
    if not facts.userns:
        lines.append(f"WARNING: No container can run: {facts.userns_reason} (see pod doctor)")
    elif facts.idmap_kind != "range":
        lines.append(f"WARNING: Containers have one id: {facts.idmap_reason}")
        if facts.root_emulation != "full":
            lines.append(f"WARNING: Root emulation is basic: {facts.root_emulation_reason}")
    if facts.userns and facts.overlay != "native":
        lines.append(f"WARNING: Images are flattened, no overlay: {facts.overlay_reason}")
    return lines


def _system() -> dict[str, Any]:
    release = _os_release()
    return {
        "OperatingSystem": release.get("PRETTY_NAME") or "Linux",
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "SystemTime": _now(),
    }


def _os_release() -> dict[str, str]:
    """os-release(5); nothing where the system has none."""
    from pod.core import statefile

    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            text = statefile.read_bytes_of_proc(path).decode("utf-8", "replace")
        except OSError:
            continue
        pairs = [line.partition("=") for line in text.split("\n") if line[:1].isupper()]
        return {name: value.strip().strip("\"'") for name, _, value in pairs}
    return {}


def _now() -> str:
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _flag(path: str) -> bool:
    from pod.core import statefile

    try:
        return statefile.read_bytes_of_proc(path).strip() == b"1"
    except OSError:
        return False


def _proxies(engine: Engine) -> dict[str, str]:
    fields = (("HttpProxy", "http_proxy"), ("HttpsProxy", "https_proxy"), ("NoProxy", "no_proxy"))
    return {field: _proxy(engine, name) for field, name in fields}


def _proxy(engine: Engine, name: str) -> str:
    """A proxy variable without the password that may stand in it."""
    value = engine.environ.get(name) or engine.environ.get(name.upper()) or ""
    scheme, found, rest = value.partition("://")
    if found and "@" in rest:
        return f"{scheme}://xxxxx@{rest.rpartition('@')[2]}"
    return value


def _host_id() -> str:
    """One id per machine that does not tell machine-id(5), which is confidential."""
    import uuid

    from pod.core import rundir

    return str(uuid.uuid5(uuid.NAMESPACE_OID, "pod " + rundir.machine_id()))


def _lines(info: dict[str, Any]) -> list[str]:
    """Docker's layout: a space for each level."""
    client = info["ClientInfo"]
    lines = ["Client:", f" Version:    {client['Version']}", f" Context:    {client['Context']}", " Debug Mode: false"]
    lines += ["", "Server:", f" Containers: {info['Containers']}"]
    lines += [f"  {state}: {info['Containers' + state]}" for state in ("Running", "Paused", "Stopped")]
    lines += [f" Images: {info['Images']}", f" Server Version: {info['ServerVersion']}"]
    lines += [f" Storage Driver: {info['Driver']}"]
    lines += [f"  {name}: {value}" for name, value in info["DriverStatus"]]
    lines += [f" Logging Driver: {info['LoggingDriver']}", f" Cgroup Driver: {info['CgroupDriver']}"]
    lines += [f" Cgroup Version: {info['CgroupVersion']}"] if info["CgroupVersion"] else []
    lines += [" Plugins:"]
    lines += [f"  {kind}: {' '.join(info['Plugins'][kind])}" for kind in ("Volume", "Network", "Log")]
    lines += [f" Runtimes: {' '.join(info['Runtimes'])}", f" Default Runtime: {info['DefaultRuntime']}"]
    lines += [f" Init Binary: {info['InitBinary']}", " Security Options:", *_security_lines(info["SecurityOptions"])]
    lines += [
        f" {title}: {info[field]}"
        for title, field in (
            ("Kernel Version", "KernelVersion"),
            ("Operating System", "OperatingSystem"),
            ("OSType", "OSType"),
            ("Architecture", "Architecture"),
            ("CPUs", "NCPU"),
        )
    ]
    lines += [f" Total Memory: {output.human_bytes(info['MemTotal'])}", f" Name: {info['Name']}", f" ID: {info['ID']}"]
    lines += [f" Docker Root Dir: {info['DockerRootDir']}", " Debug Mode: false"]
    lines += [
        f" {title}: {info[field]}"
        for title, field in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))
        if info[field]
    ]
    lines += [" Experimental: false", " Insecure Registries:"]
    lines += [f"  {name}" for name in [*info["InsecureRegistries"], *info["RegistryConfig"]["InsecureRegistryCIDRs"]]]
    mirrors = info["RegistryConfig"]["Mirrors"]
    lines += [" Registry Mirrors:", *(f"  {mirror}" for mirror in mirrors)] if mirrors else []
    return [*lines, f" Live Restore Enabled: {str(info['LiveRestoreEnabled']).lower()}", ""]


def _security_lines(options: list[str]) -> list[str]:
    lines = []
    for option in options:
        name, _, rest = option.partition(",")
        lines.append("  " + name.partition("=")[2])
        if rest:
            lines.append("   Profile: " + rest.partition("=")[2])
    return lines
