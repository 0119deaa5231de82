"""The seccomp filter of a container, as the bytes that seccomp(2) takes; built once, then read from the cache.

On the warm path: what builds a filter (seccomp_profile, seccomp_bpf, the tables of numbers) is imported only on a miss.

Cache file, $ROOT/cache/seccomp/<key>:

    "pod-seccomp <key>\\n"   the whole key, so that a file under another name is not taken
    16 bytes                 checksum of header and program, little endian
    program                  struct sock_filter[], little endian: u16 code, u8 jt, u8 jf, u32 k

The folder is the user's own (0700), so the checksum is against damage, not against the user. A file that does not
check is built anew: a damaged one cannot give a weaker filter.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import StoreCorrupt, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.runtime.seccomp_profile import Profile

REVISION = 4
"""Counts changes of the default profile and of the compiler; part of every key."""

NOTIFY_REVISION = 6
"""Counts changes of seccomp_notify.RULES."""

UNCONFINED: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
"""The profile of --privileged and --security-opt seccomp=unconfined: no filter, but for emulated calls."""

MAX_PROFILE = 4 << 20
"""Bytes of a profile's file."""

_MAX_CACHED = 64
_INSTRUCTION = 8
_MAX_PROGRAM = 4096 * _INSTRUCTION
_RET_K = 0x06
_CHECK_MODULUS = (1 << 128) - 159


def program(
    machine: str,
    caps: int,
    *,
    emulate_root: bool,
    nesting: bool,
    profile: dict[str, Any] | None = None,
    kernel: tuple[int, int] | None = None,
) -> bytes:
    """The filter as an array of struct sock_filter; empty where nothing is to be filtered.

    ``machine`` is uname's ("x86_64", "aarch64"); ``caps`` the container's bounding set, on which the default profile
    depends; ``emulate_root`` answers chown, mknod of devices and the set*id calls with success without doing them;
    ``nesting`` lets user namespaces and mounts be made inside; ``profile`` is a document in Docker's JSON format, None
    the default; ``kernel`` (major, minor) is the running one unless given.
    UsageError for a bad profile, HostUnsupported for another machine.
    """
    from pod.core.runtime import seccomp_bpf, seccomp_profile

    if profile == UNCONFINED and not emulate_root:
        return b""
    overrides = seccomp_profile.ROOT_EMULATION if emulate_root else ()
    return seccomp_bpf.compile_filter(machine, _resolved(machine, caps, nesting, profile, kernel), overrides)


def _resolved(
    machine: str, caps: int, nesting: bool, profile: dict[str, Any] | None, kernel: tuple[int, int] | None
) -> Profile:
    from pod.core.runtime import seccomp_profile

    document = seccomp_profile.default_document() if profile is None else profile
    resolved = seccomp_profile.resolve(document, machine, caps, kernel or running_kernel())
    if nesting:
        seccomp_profile.allow_nesting(resolved)
    return resolved


def running_kernel() -> tuple[int, int]:
    """(major, minor) of the running kernel."""
    numbers = [0, 0]
    for place, part in enumerate(os.uname().release.split(".", 2)[:2]):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        numbers[place] = int(digits) if digits else 0
    return numbers[0], numbers[1]


def cached(
    engine: Engine,
    caps: int,
    *,
    emulate_root: bool,
    nesting: bool,
    profile: dict[str, Any] | None = None,
) -> bytes:
    """:func:`program` for this machine, from the cache where it is there; publishes it there where it is not.

    A cache that cannot be written is no failure: the filter is built each time.
    """
    if profile == UNCONFINED and not emulate_root:
        return b""
    machine = os.uname().machine
    key = _key(machine, caps, emulate_root, nesting, profile)
    found = read_cached(engine, key)
    if found:
        return found
    built = program(machine, caps, emulate_root=emulate_root, nesting=nesting, profile=profile)
    if built:
        publish(engine, key, built)
    return built


def notify_filters(engine: Engine, within: tuple[int, bool] | None = None) -> tuple[bytes, ...]:
    """The three programs of full root emulation (seccomp_notify.programs) for this machine, from the cache likewise.

    ``within``: (caps, nesting) of the default profile that they do the work of, too; None: beside another one's.
    """
    return _listening(engine, "notify", ("", "-library", "-basic"), within)


def device_filters(engine: Engine, within: tuple[int, bool] | None = None) -> tuple[bytes, ...]:
    """The two programs that record devices where ids are real (seccomp_notify.device_programs), likewise."""
    return _listening(engine, "devices", ("", "-shown"), within)


def _listening(
    engine: Engine, kind: str, ends: tuple[str, ...], within: tuple[int, bool] | None
) -> tuple[bytes, ...]:
    """The programs of one ``kind``, in the order of the ``ends`` of their names in the cache."""
    machine = os.uname().machine
    profile = _key(machine, within[0], False, within[1], None) if within else f"{REVISION}-{machine}"
    keys = [f"{kind}-{NOTIFY_REVISION}-{profile}{end}" for end in ends]
    found = tuple([read_cached(engine, name) for name in keys])
    if not all(found):
        from pod.core.runtime import seccomp_notify

        build = seccomp_notify.programs if kind == "notify" else seccomp_notify.device_programs
        found = build(machine, within and _resolved(machine, within[0], within[1], None, None))
        for name, code in zip(keys, found):
            publish(engine, name, code)
    return found


def read_cached(engine: Engine, key: str) -> bytes:
    """The program that the cache has under ``key``; empty where it has none that is sound."""
    try:
        return _decode(statefile.read_bytes(f"{engine.paths.cache}/seccomp/{key}", 2 * _MAX_PROGRAM), key)
    except (OSError, StoreCorrupt):
        return b""


def load_profile(path: str) -> dict[str, Any]:
    """The document of --security-opt seccomp=FILE (Docker's JSON format). UsageError names the file and the field."""
    what = f"security option: seccomp={path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            data = file.read(MAX_PROFILE + 1)
    except OSError as error:
        raise UsageError(
            f"{what}: {os.strerror(error.errno or 0).lower()}",
            hint="give the path of a profile in Docker's JSON format, or 'unconfined'",
        ) from None
    from pod.core.runtime import seccomp_profile

    document = seccomp_profile.parse(data, what, MAX_PROFILE)
    try:
        seccomp_profile.resolve(document, os.uname().machine, 0, running_kernel())
    except UsageError as error:
        reason = error.message[len(seccomp_profile.PREFIX) :]
        raise UsageError(f"{what}: {reason}", hint=error.hint) from None
    return document


def _key(machine: str, caps: int, emulate_root: bool, nesting: bool, profile: dict[str, Any] | None) -> str:
    major, minor = running_kernel()
    flags = ("e" if emulate_root else "") + ("n" if nesting else "")
    key = f"{REVISION}-{machine}-{major}.{minor}-{caps:x}-{flags}"
    if profile is not None:
        import hashlib

        key += "-" + hashlib.sha256(statefile.dumps(profile).encode()).hexdigest()
    return key


def _check(header: bytes, code: bytes) -> bytes:
    """16 bytes that change with any bit of either: the number they spell, modulo a prime.

    Long division in C takes microseconds, where hashlib and zlib must first be loaded.
    """
    return (int.from_bytes(header + code, "little") % _CHECK_MODULUS).to_bytes(16, "little")


def _encode(code: bytes, key: str) -> bytes:
    header = f"pod-seccomp {key}\n".encode()
    return header + _check(header, code) + code


def _decode(data: bytes, key: str) -> bytes:
    """The program in a cache file; empty where the file is not what it should be."""
    header = f"pod-seccomp {key}\n".encode()
    code = data[len(header) + 16 :]
    if not data.startswith(header) or data[len(header) : len(header) + 16] != _check(header, code):
        return b""
    if not code or len(code) % _INSTRUCTION or len(code) > _MAX_PROGRAM or code[-8] != _RET_K:
        return b""
    return code


def publish(engine: Engine, key: str, code: bytes) -> None:
    """Puts a program into the cache; a cache that cannot be written is no failure."""
    import contextlib

    folder = f"{engine.paths.cache}/seccomp"
    with contextlib.suppress(OSError):
        os.makedirs(folder, 0o700, exist_ok=True)
        # Of other builds, kernels and options: some kilobytes each. Nobody needs them for more than a moment.
        names = os.listdir(folder)
        for name in names if len(names) >= _MAX_CACHED else ():
            os.unlink(f"{folder}/{name}")
        statefile.write_bytes(f"{folder}/{key}", _encode(code, key))
