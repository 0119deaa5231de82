"""The syntax of -v, and what -v, --mount and --volumes-from have in common: pure."""

from __future__ import annotations

from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROPAGATIONS = frozenset(("private", "rprivate", "slave", "rslave", "shared", "rshared"))
_GROUPS = (
    frozenset(("ro", "rw")),
    frozenset(("z", "Z")),
    PROPAGATIONS,
    frozenset(("nocopy",)),
    frozenset(("cached", "delegated", "consistent")),
)
"""Docker's options of -v: one of each group at most (moby volume/mounts, linuxValidMountMode)."""
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


_OVER_PROC = frozenset(
    "/proc/" + name
    for name in (
        "cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev",
        "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled",
    )
)  # fmt: skip
"""What may be bound over files of /proc: lxcfs's, as in runc (checkProcMount)."""


class VolumeSpec:
    """One -v or --mount. ``kind`` is "bind" (``source`` is a host path), "volume" (a name, "" for an anonymous one),
    "tmpfs" (``options``) or "image" (a reference).

    ``mode`` is what -v had after the target. ``depth`` says how far read-only reaches below a bind: "below" (where the
    kernel can), "top", "whole" (or an error). ``document``: the entry of HostConfig.Mounts, for --mount. ``driver``,
    ``labels`` and ``driver_options`` are for a volume that is made. ``anonymous``: a volume that nobody named, though
    ``source`` says which: it goes with the container.
    """

    __slots__ = (
        "anonymous", "copy", "depth", "document", "driver", "driver_options", "kind", "labels", "makes_source", "mode",
        "options",
        "propagation", "read_only", "recursive", "source", "subpath", "target",
    )  # fmt: skip

    def __init__(self, kind: str, source: str, target: str, mode: str) -> None:
        self.kind = kind
        self.source = source
        self.target = target
        self.mode = mode
        options = mode.split(",")
        self.read_only = "ro" in options
        self.copy = "nocopy" not in options
        self.propagation = next((option for option in options if option in PROPAGATIONS), "")
        self.anonymous = False
        self.depth = "below"
        self.recursive = True
        self.makes_source = True
        self.subpath = ""
        self.options = ""
        self.driver = ""
        self.driver_options: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.document: dict[str, Any] | None = None


def clean(path: str) -> str:
    """``path`` (absolute) without empty, "." and ".." parts (Go's path.Clean)."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def check_target(target: str, what: str, source: str = "") -> None:
    """UsageError for a mount that would cover /proc or what lies in it: masks and lookups rely on that.

    The host's /proc over /proc is allowed, and lxcfs's files.
    """
    if target != "/proc" and not target.startswith("/proc/"):
        return
    if source and (target in _OVER_PROC or source == target == "/proc"):
        return
    raise UsageError(f"{what}: {target} cannot be mounted: it is inside /proc", hint="name another target")


def check_propagation(mode: str, what: str) -> None:
    """UsageError for what no mount namespace of a user's can do: its mounts never reach the host's
    (mount_namespaces(7), "Restrictions on mount namespaces").
    """
    if mode in ("shared", "rshared"):
        raise UsageError(
            f"{what}: {mode}: what a container mounts cannot reach the host without root",
            hint=f"{mode.replace('shared', 'slave')} shows the container what the host mounts there later",
        )


def valid_name(name: str) -> bool:
    """Docker's names: two characters or more of [a-zA-Z0-9_.-], the first a letter or digit."""
    return len(name) > 1 and name[0] not in "_.-" and len(name) <= 255 and _NAME.issuperset(name)


def parse_volume(text: str, cwd: str) -> VolumeSpec:
    """-v [SOURCE:]TARGET[:OPTIONS]. UsageError with Docker's words for what is none of these."""
    what = f"invalid volume specification: '{text}'"
    parts = text.split(":")
    if len(parts) > 3 or not all(parts) or (len(parts) == 2 and _is_mode(parts[1])):
        raise UsageError(what, hint="the form is [SOURCE:]TARGET[:ro]")
    mode = ""
    if len(parts) == 3:
        mode = parts.pop()
        if not _is_mode(mode):
            raise UsageError(f"{what}: invalid mode: {mode}")
    target = parts[-1]
    if not target.startswith("/"):
        raise UsageError(f"{what}: invalid mount path: '{target}' mount path must be absolute")
    target = clean(target)
    if target == "/":
        raise UsageError(f"{what}: destination can't be '/'")
    check_target(target, what, parts[0] if len(parts) > 1 else "")
    if len(parts) == 1:
        return VolumeSpec("volume", "", target, mode)
    spec = _with_source(parts[0], target, mode, what, cwd)
    if spec.propagation and spec.kind == "volume":
        raise UsageError(f"{what}: {spec.propagation}: a volume has no propagation", hint="it is for bind mounts")
    check_propagation(spec.propagation, what)
    return spec


def _with_source(source: str, target: str, mode: str, what: str, cwd: str) -> VolumeSpec:
    if source.startswith("/"):
        return VolumeSpec("bind", clean(source), target, mode)
    if source in (".", "..") or source.startswith(("./", "../")):
        return VolumeSpec("bind", clean(cwd + "/" + source), target, mode)
    if not valid_name(source):
        raise UsageError(
            f'{what}: "{source}" includes invalid characters for a local volume name',
            hint="names have letters, digits, '_', '.' and '-'; a host folder is given as an absolute path or ./path",
        )
    return VolumeSpec("volume", source, target, mode)


def _is_mode(mode: str) -> bool:
    """Whether all of it are options, none of them twice or beside its contrary."""
    options = mode.split(",")
    known = all(any(option in group for group in _GROUPS) for option in options)
    return known and all(sum(option in group for option in options) <= 1 for group in _GROUPS)


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """--volumes-from CONTAINER[:ro|rw…]: (container, read-only). UsageError in Docker's words."""
    name, colon, mode = text.partition(":")
    if not text:
        raise UsageError("volumes-from specification cannot be an empty string")
    if not name or (colon and (not mode or not _is_mode(mode))):
        raise UsageError(f"invalid mode for volumes-from: '{text}'", hint="the form is CONTAINER[:ro]")
    options = mode.split(",")
    if "nocopy" in options or not PROPAGATIONS.isdisjoint(options):
        raise UsageError(f"invalid mode for volumes-from: '{text}'", hint="ro or rw")
    return name, "ro" in options
