"""The syntax of -v and --tmpfs: pure. What a value means is decided here, whether it exists elsewhere."""

from __future__ import annotations

from pod.core.errors import UsageError

_OPTIONS = frozenset(
    ("ro", "rw", "z", "Z", "nocopy", "copy", "private", "rprivate", "cached", "delegated", "consistent")
)
_UNSUPPORTED = frozenset(("shared", "rshared", "slave", "rslave", "unbindable", "runbindable"))
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
    """One -v: ``kind`` is "bind" (source is a host path) or "volume" (source is a name, "" for an anonymous one)."""

    __slots__ = ("copy", "kind", "mode", "read_only", "source", "target")

    def __init__(self, kind: str, source: str, target: str, mode: str) -> None:
        self.kind = kind
        self.source = source
        self.target = target
        self.mode = mode
        options = mode.split(",")
        self.read_only = "ro" in options
        self.copy = "nocopy" not in options


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


def valid_name(name: str) -> bool:
    """Docker's names: two characters or more of [a-zA-Z0-9_.-], the first a letter or digit."""
    return len(name) > 1 and name[0] not in "_.-" and len(name) <= 255 and _NAME.issuperset(name)


def parse_volume(text: str, cwd: str) -> VolumeSpec:
    """-v [SOURCE:]TARGET[:OPTIONS]. UsageError with Docker's words for what is none of these."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise UsageError(f"invalid volume specification: '{text}'", hint="the form is [SOURCE:]TARGET[:ro]")
    mode = ""
    if len(parts) == 3 or (len(parts) == 2 and not parts[1].startswith("/") and parts[0].startswith("/")):
        mode = _check_options(parts.pop(), text)
    target = parts[-1]
    if not target.startswith("/"):
        raise UsageError(
            f"invalid volume specification: '{text}': invalid mount path: '{target}' mount path must be absolute"
        )
    target = clean(target)
    if target == "/":
        raise UsageError(f"invalid volume specification: '{text}': destination can't be '/'")
    check_target(target, f"invalid volume specification: '{text}'", parts[0] if len(parts) > 1 else "")
    if len(parts) == 1:
        return VolumeSpec("volume", "", target, mode)
    return _with_source(parts[0], target, mode, text, cwd)


def _with_source(source: str, target: str, mode: str, text: str, cwd: str) -> VolumeSpec:
    if source.startswith("/"):
        return VolumeSpec("bind", clean(source), target, mode)
    if source in (".", "..") or source.startswith(("./", "../")):
        return VolumeSpec("bind", clean(cwd + "/" + source), target, mode)
    if not valid_name(source):
        raise UsageError(
            f"invalid volume specification: '{text}': \"{source}\" includes invalid characters for a local volume name",
            hint="names have letters, digits, '_', '.' and '-'; a host folder is given as an absolute path or ./path",
        )
    return VolumeSpec("volume", source, target, mode)


def _check_options(mode: str, text: str) -> str:
    for option in mode.split(","):
        if option in _UNSUPPORTED:
            raise UsageError(
                f"invalid volume specification: '{text}': {option}: mount propagation is not there yet",
                hint="leave it out: mounts are private",
            )
        if option not in _OPTIONS:
            raise UsageError(f"invalid volume specification: '{text}': invalid mode: {mode}")
    return mode
