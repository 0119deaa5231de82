"""The trials of core/host_probe told to people: what was found, what pod does about it, what would change it."""

from __future__ import annotations

import errno
import os

from pod.core import host_doctor_network, host_probe, statefile
from pod.core.errors import HostUnsupported
from pod.core.host import Fact, process_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.host import Facts
    from pod.core.host_probe import Trial, Trials

_REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs"))
_CALLS = ("clone3", "openat2", "close_range", "pidfd_open", "mount_setattr")
_MACHINES = ("x86_64", "aarch64")


def examine(engine: Engine, trials: Trials, facts: Facts) -> list[Fact]:
    """Every fact, what stops ``run`` first."""
    found = [_kernel(facts), _user_namespaces(trials, facts)]
    if facts.userns:
        found += [
            _ids(facts),
            *_emulation(engine, trials, facts),
            _groups(facts),
            _overlay(engine, facts),
            _whiteouts(trials, facts),
            *_writeback(trials, facts),
            _proc(trials),
            *_small_mounts(trials),
            *host_doctor_network.examine(trials, facts),
            _calls(trials),
        ]
    found += [
        _seccomp(trials, facts),
        _unpacking(trials),
        _memory_files(trials),
        _cgroups(facts),
        _device("tun", "/dev/net/tun", trials["tun"], "pasta and slirp4netns need it; pod's own networks do not"),
        _device("fuse", "/dev/fuse", trials["fuse"], "fuse file systems cannot be mounted in containers"),
        _privileges(facts),
        _folders(engine),
        _configuration(engine),
    ]
    return found


def _kernel(facts: Facts) -> Fact:
    value = f"Linux {facts.kernel} on {facts.machine}"
    if facts.machine in _MACHINES:
        return Fact("kernel", "ok", value, "uname")
    return Fact("kernel", "stop", value, "uname", "this file has programs for x86_64 and aarch64 only")


def _user_namespaces(trials: Trials, facts: Facts) -> Fact:
    proof = "made one, mounted a tmpfs and made a pid namespace in it"
    if facts.userns:
        return Fact("user namespaces", "ok", "allowed", proof, "containers need no root")
    trial = next(trials[name] for name in ("userns", "mountns", "pidns") if not trials[name].ok)
    cause, remedy = why_no_userns(trial, facts.apparmor_restrict_unprivileged_userns)
    return Fact("user namespaces", "stop", f"refused: {cause}", trial.reason, "no container can run", remedy)


def refuse(engine: Engine) -> None:
    """HostUnsupported with cause and remedy; returns where, tried once more, a user namespace works."""
    trials = host_probe.Trials(engine)
    trial = next((trials[name] for name in ("userns", "mountns", "pidns") if not trials[name].ok), None)
    if trial is not None:
        restricted = host_probe.sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1"
        cause, remedy = why_no_userns(trial, restricted)
        raise HostUnsupported(f"no user namespace for a container: {cause}", hint=remedy)


def why_no_userns(trial: Trial, apparmor: bool) -> tuple[str, str]:
    """(what forbids user namespaces, what an administrator would do), from the errno and what the system says."""
    if trial.errno == errno.ENOSPC:
        if host_probe.sysctl("user/max_user_namespaces") == "0":
            return (
                "the sysctl user.max_user_namespaces is 0",
                "sysctl -w user.max_user_namespaces=15000, and the same line in /etc/sysctl.d/",
            )
        return (
            "the limit of user namespaces is used up, here or in an outer namespace",
            "raise user.max_user_namespaces, or end what holds them (lsns -t user)",
        )
    if trial.errno == errno.EUSERS:
        return "user namespaces are nested 32 deep already", "run pod further outside"
    if trial.errno in (errno.EINVAL, errno.ENOSYS):
        return "the kernel is built without them", "a kernel with CONFIG_USER_NS=y"
    return _who_refuses(apparmor)


def _who_refuses(apparmor: bool) -> tuple[str, str]:
    """For EPERM and EACCES: the first of the known guards that is up."""
    if not _is_mapped(os.geteuid()):
        return (
            f"the user id {os.geteuid()} of this process has no place in its user namespace's map",
            "start pod with an id that is mapped (unshare --map-current-user, or the outer container's --user)",
        )
    if host_probe.sysctl("kernel/unprivileged_userns_clone") == "0":
        return (
            "the sysctl kernel.unprivileged_userns_clone is 0",
            "sysctl -w kernel.unprivileged_userns_clone=1, and the same line in /etc/sysctl.d/",
        )
    if process_status().get("Seccomp") == "2":
        return (
            "a seccomp filter on this process (an outer container's, probably)",
            "start the outer container with --security-opt seccomp=unconfined, or pod's with --security-opt nesting",
        )
    if apparmor:
        return (
            "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, and the same line in /etc/sysctl.d/",
        )
    if _chrooted():
        return "this process runs in a chroot, where the kernel refuses them", "run pod outside of the chroot"
    return (
        "a chroot, a security module or an outer container forbids them",
        "ask the administrator which one (SELinux, AppArmor, a sandbox), and to allow user namespaces for you",
    )


def _is_mapped(uid: int) -> bool:
    """Whether ``uid`` is an id inside of our own user namespace; True where /proc does not tell."""
    try:
        text = statefile.read_bytes_of_proc("/proc/self/uid_map").decode("ascii", "replace")
    except OSError:
        return True
    extents = [line.split() for line in text.splitlines()]
    return any(int(inside) <= uid < int(inside) + int(count) for inside, _, count in extents)


def _chrooted() -> bool:
    """Whether our root is not the root of our mount namespace: then mountinfo has no line for "/"."""
    try:
        text = statefile.read_bytes_of_proc("/proc/self/mountinfo", 4 << 20).decode("utf-8", "replace")
    except OSError:
        return False
    return all(line.split(" ")[4] != "/" for line in text.split("\n") if line.count(" ") > 5)


def _ids(facts: Facts) -> Fact:
    if facts.idmap_kind == "range":
        total = sum(count for _, count in facts.uid_ranges) + 1
        listed = ", ".join(f"{start}+{count}" for start, count in facts.uid_ranges)
        return Fact(
            "ids", "ok", f"{total} (own, {listed})", f"mapped with {facts.newuidmap}", "users of a container are real"
        )
    name = host_probe.user_name() or str(os.geteuid())
    remedy = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
    if "not installed" in facts.idmap_reason:
        remedy = "apt-get install uidmap (or shadow-utils)"
    elif facts.no_new_privs:
        remedy = "start pod from a shell without no_new_privs"
    return Fact(
        "ids",
        "limit",
        f"1: {facts.idmap_reason}",
        "subuid, subgid, newuidmap",
        "a container's root is you; its other users are emulated",
        remedy,
    )


def _emulation(engine: Engine, trials: Trials, facts: Facts) -> list[Fact]:
    """Only where containers have one id."""
    name, proof = "root emulation", "answered calls that waited: by a value, by a descriptor, by the kernel"
    asked = engine.config.root_emulation
    if facts.idmap_kind == "range":
        return []
    if facts.root_emulation == "full":
        value = "full" if asked == "auto" else f"full is possible, the configuration asks for {asked}"
        return [Fact(name, "ok", value, proof, "programs find the owners and ids that they set")]
    reason, remedy = trials["emulation"], ""
    if reason.errno == errno.EBUSY:
        remedy = "run pod outside of the other container, or give that one --root-emulation=basic"
    elif reason.errno in (errno.EINVAL, errno.ENOSYS, errno.ENOTTY):
        remedy = "Linux 5.9 or later"
    so = "changing owners and ids is answered with success and not done"
    return [Fact(name, "limit", f"basic: {facts.root_emulation_reason}", proof, so, remedy)]


def _groups(facts: Facts) -> Fact:
    extra = [group for group in os.getgroups() if group != os.getegid()]
    if facts.idmap_kind == "range" or not extra:
        return Fact("groups", "ok", "yours stay outside", "getgroups", "containers have none of your groups")
    return Fact(
        "groups",
        "limit",
        f"{len(extra)} supplementary",
        "getgroups; with one id the kernel denies setgroups",
        "containers keep your groups' rights to files, shown as nogroup",
        "sub-ids for this user (see ids)",
    )


def _overlay(engine: Engine, facts: Facts) -> Fact:
    kind = file_system(engine.paths.root)
    proof = "wrote, renamed, removed lower folders in one, under two layers of whiteouts"
    if facts.overlay == "native":
        return Fact("overlay", "ok", f"native, on {kind}", proof, "layers are shared, starts are quick")
    return Fact(
        "overlay",
        "limit",
        f"refused on {kind}: {facts.overlay_reason}",
        proof,
        "each image is flattened into one tree, once; containers copy it (a reflink where possible)",
        "Linux 5.11 or later, and the store on a local ext4, xfs, btrfs or tmpfs (--root, POD_ROOT)",
    )


def _whiteouts(trials: Trials, facts: Facts) -> Fact:
    if facts.layer_dialect == "overlay":
        return Fact("whiteouts", "ok", "as overlayfs has them", "mknod 0/0, user.* xattr", "layers are ready to mount")
    reason = trials["whiteout"].reason or trials["xattr"].reason
    return Fact(
        "whiteouts",
        "limit",
        f"refused: {reason}",
        "mknod 0/0, user.* xattr",
        "layers keep .wh. files and are flattened",
    )


def _writeback(trials: Trials, facts: Facts) -> list[Fact]:
    name = "volatile overlay"
    if facts.overlay != "native":
        return []
    if facts.volatile:
        return [Fact(name, "ok", "yes", "mounted one", "--rm containers end without waiting for the disk")]
    return [Fact(name, "limit", f"no: {trials['volatile'].reason}", "mounted one", "containers end a little slower")]


def _proc(trials: Trials) -> Fact:
    trial = trials["proc"]
    if trial.ok:
        return Fact("/proc", "ok", "own", "mounted one in a new pid namespace", "containers see their processes only")
    return Fact(
        "/proc",
        "limit",
        f"refused: {trial.reason}",
        "mounted one in a new pid namespace",
        "the outer /proc is bound read-only: containers see all of it",
        "an outer container with an unmasked /proc (--security-opt systempaths=unconfined)",
    )


def _small_mounts(trials: Trials) -> list[Fact]:
    wanted = (
        ("sysfs", "/sys", "the outer /sys is bound read-only"),
        ("devpts", "terminals", "run -t does not work"),
        ("mqueue", "/dev/mqueue", "containers have no POSIX message queues"),
        ("pivot_root", "pivot_root", "MS_MOVE and chroot are used instead"),
    )
    return [
        Fact(
            name, "ok" if trials[probe].ok else "limit", _yes(trials[probe]), "tried it", "" if trials[probe].ok else so
        )
        for probe, name, so in wanted
    ]


def _yes(trial: Trial) -> str:
    return "yes" if trial.ok else f"refused: {trial.reason}"


def _calls(trials: Trials) -> Fact:
    missing = [name for name in _CALLS if not trials[name].ok]
    if not missing:
        return Fact("newer system calls", "ok", "all", "called " + ", ".join(_CALLS))
    return Fact(
        "newer system calls",
        "limit",
        "missing: " + ", ".join(missing),
        "; ".join(trials[name].reason for name in missing),
        "older ones are used",
    )


def _seccomp(trials: Trials, facts: Facts) -> Fact:
    if not facts.seccomp:
        return Fact(
            "seccomp",
            "limit",
            _yes(trials["seccomp"]),
            "attached a filter",
            "containers run only with --security-opt seccomp=unconfined",
            "a kernel with CONFIG_SECCOMP_FILTER=y",
        )
    notify = "with notification" if facts.seccomp_notify else "without notification"
    return Fact("seccomp", "ok", f"filters, {notify}", "attached one of each", "Docker's default profile is applied")


def _unpacking(trials: Trials) -> Fact:
    proof = "went behind all of them, looked and called"
    missing = [trials[name].reason for name in ("sandbox", "landlock") if not trials[name].ok]
    if not missing:
        return Fact("unpacking", "ok", "own root, landlock, list of calls", proof, "archives reach their tree alone")
    return Fact(
        "unpacking",
        "limit",
        "not all walls: " + "; ".join(missing),
        proof,
        "fewer walls stand between a bug in the reading of archives and you",
        "Linux 5.19 or later, with landlock in CONFIG_LSM or lsm=",
    )


def _memory_files(trials: Trials) -> Fact:
    trial = trials["memfd_exec"]
    if trial.ok:
        return Fact(
            "programs in memory", "ok", "allowed", "ran one from a memfd", "the helper is out of containers' reach"
        )
    return Fact(
        "programs in memory",
        "stop",
        f"refused: {trial.reason}",
        "ran one from a memfd",
        "the helper that starts containers cannot be run",
        "sysctl -w vm.memfd_noexec=0",
    )


def _cgroups(facts: Facts) -> Fact:
    """What a limit of a container started here would be enforced by (docs/limits.md)."""
    from pod.core import cgroups

    proof = "looked for a group of ours, and for a systemd manager of ours"
    places = cgroups.find(look=True)
    names = ("memory", "cpu", "cpuset", "pids", "io")
    found = {name: cgroups.SCOPE if name in places.by_scope else places.of(name)[0] for name in names}
    lacking = [name for name in names if not found[name]]
    value = "; ".join(f"{kind}: {', '.join(n for n in names if found[n] == kind)}" for kind in _kinds(found))
    if not lacking:
        return Fact("cgroups", "ok", value, proof)
    if not value:
        value = {0: "none", 1: "v1, none of ours", 2: "v2, none of ours"}[facts.cgroup_version]
    return Fact(
        "cgroups",
        "limit",
        value,
        proof,
        f"without a control group: limits of {', '.join(lacking)} (docs/limits.md says what holds then)",
        "'systemctl edit user@.service': [Service] Delegate=cpu cpuset io memory pids; without systemd a group that is"
        " the user's: its folder and its file cgroup.procs",
    )


def _kinds(found: dict[str, str]) -> list[str]:
    return sorted(set(found.values()) - {""})


def _device(name: str, path: str, trial: Trial, so: str) -> Fact:
    if trial.ok:
        return Fact(name, "ok", "usable", f"opened {path}")
    remedy = f"chmod 0666 {path}" if trial.errno in (errno.EACCES, errno.EPERM) else f"modprobe {name}"
    return Fact(name, "limit", f"refused: {trial.reason}", f"opened {path}", so, remedy)


def _privileges(facts: Facts) -> Fact:
    if facts.no_new_privs:
        return Fact(
            "no_new_privs", "limit", "set on this process", "/proc/self/status", "set-uid newuidmap cannot work"
        )
    return Fact("no_new_privs", "ok", "not set", "/proc/self/status")


def _folders(engine: Engine) -> Fact:
    kind = file_system(engine.paths.root)
    value = f"{engine.paths.root} ({kind}), run directory {engine.run_dir}"
    if kind in _REMOTE:
        return Fact(
            "store",
            "limit",
            value,
            "mountinfo",
            "overlays cannot write there",
            "a store on a local disk: --root, POD_ROOT",
        )
    return Fact("store", "ok", value, "mountinfo")


def _configuration(engine: Engine) -> Fact:
    skipped = engine.config.skipped
    if not skipped:
        return Fact("configuration", "ok", "read", "pod.toml, registries.conf, daemon.json")
    return Fact(
        "configuration",
        "limit",
        "not taken: " + "; ".join(skipped),
        "pod.toml, registries.conf, daemon.json",
        "defaults hold",
    )


def file_system(path: str) -> str:
    """Type of the file system that holds ``path`` (or its nearest existing parent), as mountinfo names it."""
    path = os.path.realpath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        text = statefile.read_bytes_of_proc("/proc/self/mountinfo", 4 << 20).decode("utf-8", "replace")
    except OSError:
        return "unknown"
    best, kind = -1, "unknown"
    for line in text.split("\n"):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 6 or not after:
            continue
        point = fields[4].encode().decode("unicode_escape", "replace")
        below = point == "/" or path == point or path.startswith(point + "/")
        # The device decides where mountinfo tells it (btrfs has others), else the longest path.
        score = len(point) + (1 << 20 if fields[2] == wanted else 0)
        if below and score > best:
            best, kind = score, after.split(" ")[0]
    return kind
