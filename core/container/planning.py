"""From a container's record to plan.bin: decides every namespace, mount, id and limit of one start.

Pure but for what it is handed: the facts of the host, the folders of the layers, the seccomp filter's bytes.
"""

from __future__ import annotations

import os

from pod.core import rundir, statefile
from pod.core.container import files
from pod.core.errors import HostUnsupported, UsageError
from pod.core.runtime import defaults, launch, plan, rootfs, seccomp, userns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.mounting import Images
    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap

DEFAULT_DETACH_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q"""


class Attachment:
    """The caller's side of a start: which streams, which terminal, what a detached start prints."""

    __slots__ = (
        "bound", "claimed", "created", "detach", "detach_keys", "lock", "printed", "say_detached", "sig_proxy",
        "stderr", "stdin", "stdout", "winsize",
    )  # fmt: skip

    def __init__(self) -> None:
        self.bound = False  # it ends with the caller, however that ends
        self.claimed = False  # claims.py: the supervisor gives it back
        self.created = False  # the client tells of the creation too: it is just made
        self.detach = False
        self.stdin = False
        self.stdout = True
        self.stderr = True
        self.sig_proxy = True
        self.detach_keys = DEFAULT_DETACH_KEYS
        self.lock = -1
        self.printed = ""
        self.say_detached = False  # leaving by the detach keys is an error: attach, exec
        self.winsize = (0, 0)

    def flags(self) -> int:
        """Bits of enum pod_plan_flags."""
        bits = plan.DETACH if self.detach else 0
        bits |= plan.BOUND if self.bound else 0
        bits |= plan.CLAIMED if self.claimed else 0
        if not self.detach:
            bits |= plan.ATTACH_IN if self.stdin else 0
            bits |= plan.ATTACH_OUT if self.stdout else 0
            bits |= plan.ATTACH_ERR if self.stderr else 0
            bits |= plan.SIG_PROXY if self.sig_proxy else 0
            bits |= plan.SAY_DETACHED if self.say_detached else 0
        return bits


def id_map(engine: Engine, config: dict[str, Any]) -> IdMap:
    """The map that the container was created with."""
    record = config["Pod"]["IdMap"]
    uids = [(int(a), int(b), int(c)) for a, b, c in record["Uids"]]
    gids = [(int(a), int(b), int(c)) for a, b, c in record["Gids"]]
    facts = engine.facts
    return userns.IdMap(record["Kind"], record["Key"], uids, gids, facts.newuidmap, facts.newgidmap)


def namespaces(host: dict[str, Any]) -> int:
    """CLONE_NEW* bits of a container with that HostConfig: those that are not the caller's, also if they are another
    container's.
    """
    bits = plan.CLONE_NEWUSER | plan.CLONE_NEWNS
    bits |= 0 if host["CgroupnsMode"] == "host" else plan.CLONE_NEWCGROUP
    bits |= 0 if host["PidMode"] == "host" else plan.CLONE_NEWPID
    bits |= 0 if host["IpcMode"] == "host" else plan.CLONE_NEWIPC
    # A host's name may not be set from a user namespace of ours, so --uts host simply stays in it.
    bits |= 0 if host["UTSMode"] == "host" else plan.CLONE_NEWUTS
    bits |= 0 if host["NetworkMode"] == "host" else plan.CLONE_NEWNET
    return bits


def capabilities(host: dict[str, Any]) -> int:
    """The bounding set."""
    return defaults.resolve_caps(host["CapAdd"] or [], host["CapDrop"] or [], host["Privileged"])


def root_emulation(engine: Engine, config: dict[str, Any]) -> str:
    """What a start of the container would have: "full", "basic" or "off"; "" where its ids are real."""
    if config["Pod"]["IdMap"]["Kind"] != "single":
        return ""
    asked = str(config["Pod"]["RootEmulation"])
    if asked != "auto":
        return asked
    # The emulator gives files to id 0 first, which keep-id leaves unmapped: there the one id owns all.
    ids = config["Pod"]["IdMap"]
    return "basic" if ids["Uids"][0][0] or ids["Gids"][0][0] else engine.facts.root_emulation


def running_emulation(config: dict[str, Any], state: dict[str, Any]) -> str:
    """What a running container has, as its supervisor wrote it down: not what a start of today would give it."""
    if config["Pod"]["IdMap"]["Kind"] != "single":
        return ""
    if state.get("rootEmulation") == "full":
        return "full"
    return "off" if config["Pod"]["RootEmulation"] == "off" else "basic"


def _write_security(engine: Engine, writer: plan.PlanWriter, config: dict[str, Any], caps: int, emulation: str) -> int:
    """The filters of the record's security options, with root emulated in that way; returns flags."""
    host = config["HostConfig"]
    profile: dict[str, Any] | None = seccomp.UNCONFINED if host["Privileged"] else None
    flags, nesting = 0, False
    for option in host["SecurityOpt"] or []:
        name, _, value = option.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges":
            flags = plan.NO_NEW_PRIVS if value in ("", "true") else 0
        elif name == "nesting":
            nesting = True
        elif name == "seccomp":
            profile = seccomp.UNCONFINED if value == "unconfined" else _stored_profile(config, value)
    if not engine.facts.seccomp and profile != seccomp.UNCONFINED:
        raise HostUnsupported(
            "start container: this host refuses seccomp filters",
            hint="--security-opt seccomp=unconfined runs it without one; 'pod doctor' says what was tried",
        )
    emulate = emulation == "basic" and engine.facts.seccomp
    filter_bytes = seccomp.cached(engine, caps, emulate_root=emulate, nesting=nesting, profile=profile)
    if filter_bytes:
        writer.blob("SECCOMP", filter_bytes)
    if emulation not in ("full", "devices", "shown"):
        return flags
    within = (caps, nesting) if profile is None else None
    flags |= plan.ONE_FILTER if within else 0
    if emulation != "full":
        devices, shown = seccomp.device_filters(engine, within)
        writer.blob("NOTIFY", shown if emulation == "shown" else devices)
        writer.blob("FEWER", shown)
        return flags
    calls, fewer, basic = seccomp.notify_filters(engine, within)
    writer.blob("NOTIFY", calls)
    writer.blob("BASIC", basic)
    library = launch.preloaded(engine)
    if library:
        writer.texts("PRELOAD", [*library, "nested"] if _may_nest(host, caps) else library)
        writer.blob("FEWER", fewer)
    return flags


def _stored_profile(config: dict[str, Any], path: str) -> dict[str, Any]:
    """A custom profile is kept in the record: it holds at each start, whatever became of the file."""
    stored = config["Pod"].get("SeccompProfile")
    if not isinstance(stored, dict):
        raise UsageError(f"seccomp profile: {path}: the container's record does not have it")
    return stored


def _log(writer: plan.PlanWriter, config: dict[str, Any]) -> int:
    """The keys LOG_*; none for the default. Flags."""
    log = config["HostConfig"]["LogConfig"]
    if log == {"Type": "json-file", "Config": {}}:
        return 0
    from pod.core.container import log_options

    log_options.write_plan(writer, config)
    return plan.NO_LOG if log["Type"] == "none" else 0


def container_plan(
    engine: Engine,
    config: dict[str, Any],
    directory: str,
    layers: list[str],
    attachment: Attachment,
    images: Images | None = None,
) -> bytes:
    """plan.bin for a start of the container; ``layers`` are the folders of its image's layers, base first, ``images``
    those of the images that it mounts.
    """
    writer = plan.PlanWriter()
    config = _joined(engine, writer, config)
    if not defaults.LIMIT_KEYS.isdisjoint(config["HostConfig"]):
        from pod.core.container import limiting

        config = limiting.write_start(engine, writer, config)
    host, spec = config["HostConfig"], config["Config"]
    flags = attachment.flags() | _process(engine, writer, config, attachment)
    flags |= plan.INIT if host["Init"] else 0
    flags |= plan.READ_ONLY if host["ReadonlyRootfs"] else 0
    flags |= plan.LOOPBACK if files.has_own_network(host) else 0
    flags |= _log(writer, config)
    flags |= plan.REMOVE if host["AutoRemove"] else 0
    flags |= 0 if config["Mounts"] else plan.APART
    writer.number("FLAGS", flags)
    writer.text("ID", config["Id"])
    writer.text("DIR", directory)
    writer.text("SOCKET_DIR", rundir.container_dir(engine, config["Id"]))
    writer.texts("EXPLAIN", explain_command(config, "start"))
    writer.text("HOST", statefile.dumps(engine.host.as_dict())[1:-1])
    if not config["Pod"].get("Build"):  # a step of a build is nobody's container
        write_events(engine, writer, config, "create" if attachment.created else "")
    write_ids(engine, writer, config)
    write_root(engine, writer, config, directory, layers)
    files.write_network(engine, writer, config)
    _write_mounts(engine, writer, config, directory, images)
    if host["UTSMode"] != "host":
        writer.text("HOSTNAME", spec["Hostname"])
        if spec["Domainname"]:
            writer.text("DOMAINNAME", spec["Domainname"])
    writer.texts("SYSCTLS", _sysctls(host, config["Pod"]["IdMap"]))
    if spec.get("Healthcheck"):
        from pod.core.container import health

        own = flags & (plan.NO_NEW_PRIVS | plan.SINGLE_ID | plan.ONE_FILTER)
        own |= plan.EXEC | plan.PROBE | plan.ATTACH_OUT | plan.ATTACH_ERR
        health.write_plan(writer, spec, own, namespaces(host) & ~plan.CLONE_NEWUSER)
    _restart(engine, writer, host)
    if host["AutoRemove"]:
        writer.texts("REMOVE", removal(engine, config, directory))
        writer.text("TRASH", engine.paths.trash)
    if attachment.lock >= 0:
        writer.number("LOCK", attachment.lock)
    if attachment.printed:
        writer.text("PRINT", attachment.printed)
    return writer.finish(launch.build_id())


def write_events(engine: Engine, writer: plan.PlanWriter, config: dict[str, Any], due: str = "") -> None:
    """What the helper needs to tell of events of the container; ``due``: an action that the client tells at once."""
    given = config["Config"]["Labels"] or {}
    labels = statefile.dumps(given)[1:-1]
    if len(labels) > 4096 or "name" in given or "image" in given:
        from pod.core import events

        labels = events.label_members(given)
    image = statefile.dumps(config["Config"]["Image"])
    writer.texts("EVENTS", [engine.paths.root, config["Name"][1:], image, labels, due])


def _restart(engine: Engine, writer: plan.PlanWriter, host: dict[str, Any]) -> None:
    policy = host["RestartPolicy"]
    if policy["Name"] not in ("", "no"):
        most = policy["MaximumRetryCount"]
        writer.text("RESTART", f"{policy['Name']}:{most}" if most else policy["Name"])
    if engine.config.restart_pauses:
        first, last = engine.config.restart_pauses
        writer.number("RESTART_PAUSE", first << 32 | last)


def _joins(host: dict[str, Any]) -> bool:
    """Whether namespaces of another container take the place of its own."""
    return "container:" in (host["PidMode"][:10], host["IpcMode"][:10], host["NetworkMode"][:10])


def _joined(engine: Engine, writer: plan.PlanWriter, config: dict[str, Any]) -> dict[str, Any]:
    """Writes which namespaces a start makes and which it joins; returns the record with the modes that it has then."""
    bits = namespaces(config["HostConfig"])
    if _joins(config["HostConfig"]):
        from pod.core.container import sharing

        joined = sharing.resolve(engine, config)
        config = {**config, "HostConfig": joined.host}
        if joined.network is not None:
            names = {name: joined.network.config["Config"][name] for name in ("Hostname", "Domainname")}
            config.update(Config={**config["Config"], **names}, FilesOf=joined.network.directory)
        sharing.write(writer, joined)
        bits = namespaces(joined.host) & ~joined.bits & ~(plan.CLONE_NEWUSER if joined.bits else 0)
    writer.number("NAMESPACES", bits)
    return config


def _devices(engine: Engine, config: dict[str, Any], *, joined: bool) -> str:
    """mknod of devices, which the kernel refuses where ids are real too, is recorded: "devices", or "shown" where stat
    is to show earlier ones; "" where it is not.

    Not where an engine in the container may want the listener that the kernel has one of, unless it is asked for.
    """
    asked, caps = config["Pod"]["RootEmulation"], capabilities(config["HostConfig"])
    if asked not in ("auto", "full") or not engine.facts.seccomp_notify or not caps >> 27 & 1:
        return ""
    if asked == "auto" and _may_nest(config["HostConfig"], caps):
        return ""
    # The helper looks for earlier devices when a container starts; who joins it has nothing of its folder.
    earlier = joined and os.path.lexists(engine.paths.container(config["Id"]) + "/owners")
    return "shown" if asked == "full" or earlier else "devices"


def _may_nest(host: dict[str, Any], caps: int) -> bool:
    """Whether a process in there may get a user namespace of its own: not under the default profile without
    CAP_SYS_ADMIN.
    """
    own = [option for option in host["SecurityOpt"] or [] if option.startswith(("seccomp", "nesting"))]
    return bool(own or host["Privileged"] or caps >> 21 & 1)


def removal(engine: Engine, config: dict[str, Any], directory: str) -> list[str]:
    """What --rm takes away, in order: the record first, so that a death in between leaves at most a stale name."""
    anonymous = [mount["Source"][: -len("/_data")] for mount in config["Mounts"] if mount.get("Anonymous")]
    return [directory, engine.paths.name(config["Name"][1:]), *anonymous]


def explain_command(config: dict[str, Any], what: str, program: str | None = None) -> list[str]:
    """argv of the Python call that words a failure; the helper adds step, errno and path."""
    if what == "start" and config["Pod"].get("Build"):
        what = "build"
    return [*launch.own_command(), "__explain", what, config["Name"][1:], program or config["Path"]]


def _process(engine: Engine, writer: plan.PlanWriter, config: dict[str, Any], attachment: Attachment) -> int:
    """What the first process is; returns its flag bits."""
    spec = config["Config"]
    process = Process([config["Path"], *config["Args"]], spec["Env"], spec["User"], spec["WorkingDir"] or "/")
    process.interactive = spec["OpenStdin"]
    process.tty = spec["Tty"]
    if "bridge" in config.get("Networks", ()) and config["Networks"]["bridge"].get("Links"):
        from pod.core.container import links

        process.env = links.environment(engine, config) + spec["Env"]
    emulation = root_emulation(engine, config) or _devices(engine, config, joined=False)
    if emulation in ("full", "devices", "shown"):
        writer.texts("RECORDS", record_folders(engine, config))
    return _write_process(engine, writer, config, attachment, process, emulation)


def _write_process(
    engine: Engine,
    writer: plan.PlanWriter,
    config: dict[str, Any],
    attachment: Attachment,
    process: Process,
    emulation: str,
) -> int:
    """What a process of the container runs as, confined as its record says; returns its flag bits."""
    host = config["HostConfig"]
    caps = capabilities({**host, "Privileged": host["Privileged"] or process.privileged})
    flags = _write_security(engine, writer, config, caps, emulation)
    writer.texts("ARGV", process.argv)
    writer.texts("ENV", process.env)
    writer.text("CWD", process.workdir)
    writer.text("USER", process.user)
    if host["GroupAdd"]:
        writer.texts("GROUPS", host["GroupAdd"])
    writer.number("CAPS", caps)
    limits = [(defaults.RLIMITS[limit["Name"]], limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]]
    if limits:
        writer.blob("RLIMITS", plan.rlimits(limits))
    flags |= plan.STDIN if process.interactive else 0
    flags |= plan.SINGLE_ID if config["Pod"]["IdMap"]["Kind"] == "single" else 0
    return flags | (write_terminal(writer, attachment) if process.tty else 0)


def record_folders(engine: Engine, config: dict[str, Any]) -> list[str]:
    """The folders where owners of what can have no attribute are kept: of bind mounts, of each volume."""
    volumes = [mount["Source"][: -len("/_data")] for mount in config["Mounts"] if mount["Type"] == "volume"]
    return [engine.paths.root, *volumes]


def write_terminal(writer: plan.PlanWriter, attachment: Attachment) -> int:
    """The caller's terminal: its size and the keys that detach; returns its flag bit."""
    writer.number("WINSIZE", attachment.winsize[0] << 16 | attachment.winsize[1])
    if attachment.detach_keys:
        writer.blob("DETACH_KEYS", attachment.detach_keys)
    return plan.TTY


def write_ids(engine: Engine, writer: plan.PlanWriter, config: dict[str, Any]) -> None:
    """The id map, and who writes it."""
    idmap = id_map(engine, config)
    writer.blob("UID_MAP", plan.extents(idmap.uids))
    writer.blob("GID_MAP", plan.extents(idmap.gids))
    if idmap.kind == "range":
        writer.text("NEWUIDMAP", idmap.newuidmap)
        writer.text("NEWGIDMAP", idmap.newgidmap)
        writer.text("PINS", userns.pins_dir(engine, idmap))


def write_root(
    engine: Engine, writer: plan.PlanWriter, config: dict[str, Any], directory: str, layers: list[str]
) -> None:
    """Where the root is, and what it is stacked of; ``layers`` empty: a plain tree."""
    if not layers:
        writer.text("ROOT", directory + "/rootfs")
        return
    facts = engine.facts
    writer.texts("LOWERS", [layer + "/diff" for layer in reversed(layers)])
    writer.text("ROOT", directory + "/merged")
    writer.text("UPPER", directory + "/upper")
    writer.text("WORK", directory + "/work")
    # volatile: what a --rm container, or a step of a build, wrote need not survive a crash of the machine, so umount
    # need not wait for the disk.
    volatile = facts.volatile and (config["HostConfig"]["AutoRemove"] or config["Pod"].get("Build"))
    writer.text("OVERLAY", "userxattr,volatile" if volatile else "userxattr")


def _write_mounts(
    engine: Engine, writer: plan.PlanWriter, config: dict[str, Any], directory: str, images: Images | None
) -> None:
    single = config["Pod"]["IdMap"]["Kind"] == "single"
    writer.mounts(mount_operations(engine, config, directory, images, single=single))
    if images is not None and images.lowers:
        writer.texts("IMAGE_LOWERS", images.lowers)
    volumes = [mount for mount in config["Mounts"] if mount["Type"] == "volume"]
    if volumes:
        words = [(mount["Name"], mount["Destination"], "true" if mount["RW"] else "false") for mount in volumes]
        writer.texts("VOLUMES", [word for of_one in words for word in of_one])


def mount_operations(
    engine: Engine, config: dict[str, Any], directory: str, images: Images | None = None, *, single: bool
) -> list[plan.Mount]:
    """All that is mounted into the root, in order: the engine's own, the user's, devices, what hides."""
    host = config["HostConfig"]
    facts = engine.facts
    mounts = rootfs.base_mounts(host, single=single, fresh_proc=facts.fresh_proc, fresh_sys=facts.fresh_sys)
    covers = rootfs.covers(host, fresh_proc=engine.facts.fresh_proc)
    user: list[plan.Mount] = []
    if config["Mounts"]:
        from pod.core.container import mounting

        user = mounting.user_mounts(config, images)
        covers += mounting.hidden(engine, config)
    user += [rootfs.tmpfs(target, options) for target, options in host["Tmpfs"].items()]
    taken = {mount.target for mount in user}
    folder = config.get("FilesOf", directory)  # a start's: of who has the network that it joins
    for name in ("hosts", "hostname", "resolv.conf"):
        if "/etc/" + name not in taken:
            user.append(rootfs.bind(f"{folder}/{name}", "/etc/" + name, read_only=False))
    # A mount below another comes after it, so that a volume on /etc does not hide the files.
    user.sort(key=lambda mount: mount.target.count("/"))
    mounts += user
    mounts += [rootfs.device(device["PathOnHost"], device["PathInContainer"]) for device in host["Devices"]]
    if host["Privileged"]:
        from pod.core.container import mounting

        mounts += [rootfs.device(path, path) for path in mounting.host_devices()]
    return mounts + covers


def _sysctls(host: dict[str, Any], idmap: dict[str, Any]) -> list[str]:
    pairs: list[str] = []
    if files.has_own_network(host):
        last = max(extent[0] + extent[2] - 1 for extent in idmap["Gids"])
        pairs += ["-net/ipv4/ip_unprivileged_port_start", "0"]
        pairs += ["-net/ipv4/ping_group_range", f"0 {min(last, 0x7FFFFFFF)}"]
    for name, value in host["Sysctls"].items():
        pairs += [name.replace(".", "/"), value]
    return pairs


def exec_plan(
    engine: Engine,
    config: dict[str, Any],
    state: dict[str, Any],
    attachment: Attachment,
    process: Process,
) -> bytes:
    """plan.bin for one more process in a running container."""
    writer = plan.PlanWriter()
    if "limits" in state:
        from pod.core.container import limiting

        config = limiting.write_join(writer, config, state)
    emulation = running_emulation(config, state) or _devices(engine, config, joined=True)
    flags = _write_process(engine, writer, config, attachment, process, emulation)
    writer.number("FLAGS", plan.EXEC | attachment.flags() | flags)
    writer.text("ID", config["Id"])
    writer.text("SOCKET_DIR", rundir.container_dir(engine, config["Id"]))
    writer.texts("EXPLAIN", explain_command(config, "exec", process.argv[0]))
    write_events(engine, writer, config)
    writer.number("PID", int(state["pid"]))
    writer.number("PID_START", int(state["pidStart"]))
    bits = namespaces(config["HostConfig"]) & ~plan.CLONE_NEWUSER
    if _joins(config["HostConfig"]):
        from pod.core.container import sharing

        bits = sharing.not_the_hosts(config["HostConfig"], bits, int(state["pid"]))
    writer.number("NAMESPACES", bits)
    return writer.finish(launch.build_id())


class Process:
    """A process of a container, its first one or an exec's: argv, whole environment, user, workdir, terminal, stdin."""

    __slots__ = ("argv", "env", "interactive", "privileged", "tty", "user", "workdir")

    def __init__(self, argv: list[str], env: list[str], user: str, workdir: str) -> None:
        self.argv = argv
        self.env = env
        self.user = user
        self.workdir = workdir
        self.interactive = False
        self.tty = False
        self.privileged = False
