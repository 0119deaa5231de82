"""The flags of run and create as a container.spec.Request: every one is honoured, or refused with a reason."""

from __future__ import annotations

import os

from pod.core.config import ROOT_EMULATION
from pod.core.container.spec import Request
from pod.core.errors import UsageError
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

_LATER = [
    "storage-opt",
    "gpus",
    "use-api-socket",
    "isolation",
    "cpu-count",
    "cpu-percent",
]


def refuse_unsupported(options: Options) -> None:
    """UsageError for a given flag that nothing would enforce. Never a silent ignore."""
    for name in options.given:
        if name in _LATER:
            raise UsageError(f"--{name}: not there yet in this version", hint="leave it out")
    if options["runtime"] not in ("", "pod"):
        raise UsageError(
            f"unknown or invalid runtime name: {options['runtime']}", hint="pod is its own runtime: leave --runtime out"
        )


def make_request(engine: Engine, options: Options) -> Request:
    """The request, but for the command. UsageError and HostUnsupported name the flag at fault."""
    refuse_unsupported(options)
    given = options.given
    request = Request(options.args[0])
    request.name = options["name"]
    request.interactive = options["interactive"]
    request.tty = options["tty"]
    request.attach = _attached(options)
    request.auto_remove = options.values.get("rm", False)
    request.init = options["init"]
    request.privileged = options["privileged"]
    request.read_only = options["read-only"]
    request.user = options["user"]
    request.workdir = _workdir(options["workdir"])
    request.entrypoint = options["entrypoint"] if "entrypoint" in given else None
    request.hostname, request.domainname = options["hostname"], options["domainname"]
    _namespaces(engine, request, options)
    if "restart" in given:
        _restart(request, options["restart"])
    if given - _PLAIN:
        _details(engine, request, options)
    if not _LIMITS.isdisjoint(given):
        from pod.cli import run_limits

        request.limits = run_limits.members_of_run(options)
    request.strict_limits = options["strict-limits"] or engine.config.strict_limits
    if engine.config.default_ulimits or "ulimit" in given:
        _ulimits(engine, request, options["ulimit"])
    _logging(engine, request, options)
    request.dns = request.dns or list(engine.config.dns)
    return request


_PLAIN = frozenset(
    (
        "interactive", "tty", "rm", "name", "network", "detach", "user", "workdir", "entrypoint", "hostname", "init",
        "restart",
    )
)  # fmt: skip
"""Flags that _details has nothing to do for."""


_LIMITS = frozenset(
    (
        "blkio-weight", "blkio-weight-device", "cgroup-parent", "cpu-period", "cpu-quota", "cpu-rt-period",
        "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems", "device-cgroup-rule", "device-read-bps",
        "device-read-iops", "device-write-bps", "device-write-iops", "memory", "memory-reservation", "memory-swap",
        "memory-swappiness", "oom-kill-disable", "oom-score-adj", "pids-limit",
    )
)  # fmt: skip
_NETWORK = frozenset(("network", "ip", "ip6", "link", "link-local-ip", "mac-address", "network-alias"))
_PORTS = frozenset(("publish", "publish-all", "port-fallback"))
_MOUNTS = frozenset(("mount", "volumes-from", "volume-driver"))


def _restart(request: Request, text: str) -> None:
    from pod.core.container import changes

    request.restart = changes.parse_policy(text)
    if request.auto_remove and request.restart["Name"] != "no":
        raise UsageError("conflicting options: cannot specify both --restart and --rm")


def _attached(options: Options) -> set[str]:
    if options.values.get("detach"):
        return set()
    named = {stream.lower() for stream in options["attach"]}
    return named or {"stdout", "stderr"} | ({"stdin"} if options["interactive"] else set())


def _workdir(path: str) -> str:
    if path and not path.startswith("/"):
        raise UsageError(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def _namespaces(engine: Engine, request: Request, options: Options) -> None:
    networks = options["network"]
    simple = networks in (["host"], ["none"], ["bridge"])
    if simple:
        request.network = networks[0]
    asked = options.given & _NETWORK
    if asked and not (simple and len(asked) == 1):
        from pod.cli import run_networks

        run_networks.apply(engine, request, options)
    request.pid = _mode(engine, "pid", options["pid"], ("", "host", "private")).replace("private", "")
    request.ipc = _mode(engine, "ipc", options["ipc"], ("", "private", "shareable", "none", "host")) or "private"
    request.uts = _one_of("uts", options["uts"], ("", "host"))
    request.cgroupns = _one_of("cgroupns", options["cgroupns"], ("", "private", "host")) or "private"
    if request.network == "host" and not request.hostname:
        request.hostname = os.uname().nodename
    if request.uts == "host":
        if "hostname" in options.given:
            raise UsageError("conflicting options: hostname and the UTS mode")
        request.hostname = os.uname().nodename
    _ids(engine, request, options)


def _mode(engine: Engine, flag: str, value: str, allowed: tuple[str, ...]) -> str:
    """One of ``allowed``, or "container:" and a container's name, as "container:" and its id."""
    kind, colon, name = value.partition(":")
    if kind != "container" or not colon:
        return _one_of(flag, value, (*allowed, "container:NAME"))
    if not name:
        raise UsageError(f"--{flag}: invalid {flag.upper()} mode", hint="the form is container:NAME")
    from pod.core.container import store

    return "container:" + store.find(engine, name).id


def _one_of(flag: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        known = ", ".join(repr(name) for name in allowed if name)
        raise UsageError(f"--{flag}: invalid mode: {value}", hint=f"this version has {known}")
    return str(value)


def _ids(engine: Engine, request: Request, options: Options) -> None:
    from pod.core.runtime import userns

    mode, _, arguments = str(options["userns"]).partition(":")
    emulation = options["root-emulation"] if "root-emulation" in options.given else engine.config.root_emulation
    request.root_emulation = _one_of("root-emulation", emulation, ROOT_EMULATION)
    if options["uidmap"] or options["gidmap"]:
        if mode:
            raise UsageError("conflicting options: --userns and --uidmap or --gidmap")
        request.idmap = userns.custom_map(engine, options["uidmap"], options["gidmap"])
    elif mode == "keep-id":
        uid, gid = _keep_id(arguments)
        request.idmap = userns.keep_id_map(engine, uid, gid)
        request.user = request.user or f"{uid}:{gid}"
    elif mode == "auto":
        from pod.core.container import mapping

        request.idmap = userns.auto_map(engine, mapping.taken_blocks(engine))
    elif mode in ("", "host", "private"):
        request.idmap = engine.idmap
        if mode == "host":
            engine.progress(
                "warning",
                {"text": "--userns=host: without root there is always a user namespace; the default map is used"},
            )
    else:
        raise UsageError(f"invalid user namespace mode: {options['userns']}", hint="keep-id, auto or host")
    request.userns = options["userns"]
    ids = request.idmap
    if request.root_emulation == "full" and ids.kind == "single" and (ids.uids[0][0] or ids.gids[0][0]):
        raise UsageError(
            "--root-emulation=full: not with --userns keep-id, whose one id is not root's",
            hint="leave one of the two out: full emulation knows all users, and -u chooses one",
        )


def _keep_id(arguments: str) -> tuple[int, int]:
    ids = {"uid": os.geteuid(), "gid": os.getegid()}
    for part in arguments.split(",") if arguments else []:
        name, _, value = part.partition("=")
        if name not in ids or not (value.isascii() and value.isdigit()) or len(value) > 9:
            raise UsageError(f"--userns keep-id: invalid option: {part}", hint="the form is keep-id:uid=1000,gid=1000")
        ids[name] = int(value)
    return ids["uid"], ids["gid"]


def _details(engine: Engine, request: Request, options: Options) -> None:
    from pod.cli import run_values as values

    request.env = values.environment(options["env-file"], options["env"], engine.environ)
    request.labels = values.labels(options["label-file"], options["label"])
    request.annotations = dict(options["annotation"])
    request.cap_add, request.cap_drop = options["cap-add"], options["cap-drop"]
    defaults.resolve_caps(request.cap_add, request.cap_drop, request.privileged)
    request.security_opt = values.security_options(options["security-opt"])
    request.group_add = options["group-add"]
    request.volumes = values.volumes(options["volume"])
    if not _MOUNTS.isdisjoint(options.given):
        from pod.cli import run_mounts

        run_mounts.add(request, options)
    request.tmpfs = values.tmpfs(options["tmpfs"])
    request.devices = values.devices(options["device"])
    if "shm-size" in options.given:
        request.shm_size = options["shm-size"] or defaults.SHM_SIZE
    request.sysctls = values.sysctls(options["sysctl"], request.network, request.ipc)
    request.dns, request.dns_search = values.dns(options["dns"]), options["dns-search"]
    request.dns_option = options["dns-option"]
    request.add_host = values.extra_hosts(options["add-host"], request.network)
    request.expose = values.exposed(options["expose"])
    if not _PORTS.isdisjoint(options.given):
        _ports(engine, request, options)
    if options["no-healthcheck"] or any(flag.startswith("health-") for flag in options.given):
        from pod.cli import run_health

        request.healthcheck = run_health.healthcheck(options)
    if options["stop-signal"]:
        defaults.parse_signal(options["stop-signal"])
        request.stop_signal = options["stop-signal"]
    if "stop-timeout" in options.given:
        request.stop_timeout = options["stop-timeout"]


def _ports(engine: Engine, request: Request, options: Options) -> None:
    from pod.cli import run_ports

    request.ports, request.publish_all = run_ports.published(options["publish"]), options["publish-all"]
    request.port_fallback = options["port-fallback"]
    if request.network in ("host", "none") and (request.ports or request.publish_all):
        text = f"Published ports are discarded when using {request.network} network mode"
        engine.progress("warning", {"text": text})


def _ulimits(engine: Engine, request: Request, given: list[str]) -> None:
    from pod.cli import run_values as values

    merged = {limit.name: (limit.name, limit.soft, limit.hard) for limit in engine.config.default_ulimits}
    merged.update({limit[0]: limit for limit in values.ulimits(given)})
    request.ulimits = list(merged.values())


def _logging(engine: Engine, request: Request, options: Options) -> None:
    given = options["log-driver"], options["log-opt"]
    config = engine.config
    if given == ("", []) and config.log_driver == "json-file" and not config.log_opts:
        return
    from pod.core.container import log_options

    opts = log_options.parse(given[1])
    request.log_driver, request.log_opts = log_options.merge(given[0], opts, config.log_driver, config.log_opts)
    log_options.check(request.log_driver, request.log_opts)
