"""Python's last step: the process becomes the static helper, which carries out plan.bin and is the caller's side
until the end.

The helper runs from a sealed memory file: nothing that a container could reach through /proc/PID/exe can be written
(CVE-2019-5736), and a cache on a noexec file system does not matter.
"""

from __future__ import annotations

import os
import sys

from pod.core import statefile
from pod.core.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pod.core.engine import Engine

_F_ADD_SEALS = 1033
_ALL_SEALS = 0xF
_MFD_NOEXEC_SEAL = 0x8
_MFD_EXEC = 0x10


def helper_path() -> str:
    """The static helper of this machine's architecture, beside the extensions."""
    from pod import ext

    for folder in ext.__path__:
        path = folder + "/pod-helper"
        if os.path.exists(path):
            return path
    raise HostUnsupported(
        f"find pod-helper: none for {os.uname().machine}", hint="in a checkout, build it with 'make dev'"
    )


def netd_path() -> str:
    """The program of the network process, beside the helper."""
    return helper_path()[: -len("pod-helper")] + "pod-netd"


def preloaded(engine: Engine) -> list[str]:
    """[library, tree] of ext/src/core/preload.h: what answers for the emulator inside programs, and the tree that names
    it to glibc. Empty where this build or the store has none.
    """
    library = helper_path()[: -len("pod-helper")] + "pod-root.so"
    tree = engine.paths.cache + "/preload"
    if not os.path.exists(tree + "/etc/ld.so.preload"):
        from pod.core.runtime import preload

        if not preload.make(tree):
            return []
    return [library, tree] if os.path.exists(library) else []


def build_id() -> str:
    """The helper's build id, 32 hex digits."""
    from pod.ext._build import BUILD_ID

    return BUILD_ID


def _memfd(name: str, flags: int, purpose: int) -> int:
    """memfd_create(2) with ``purpose`` (executable or not, said since Linux 6.3), without it on older kernels.

    -1: refused.
    """
    for extra in (purpose, 0):
        try:
            return os.memfd_create(name, flags | extra)
        except OSError:
            continue
    return -1


def _sealed_helper() -> int:
    source = os.open(helper_path(), os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(source).st_size
    target = _memfd("pod", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING, _MFD_EXEC)
    if target < 0:
        os.close(source)
        raise _cannot_execute("memory files are refused")
    done = 0
    while done < size:
        done += os.sendfile(target, source, done, size - done)
    statefile.close_unwritten(source)
    import fcntl

    fcntl.fcntl(target, _F_ADD_SEALS, _ALL_SEALS)
    return target


def memory_file(name: str, data: bytes) -> int:
    """A descriptor (inherited by exec) of a memory file with ``data``."""
    fd = _memfd(name, 0, _MFD_NOEXEC_SEAL)
    if fd < 0:
        raise _cannot_execute("memory files are refused")
    statefile.put(fd, data)
    return fd


def become_client(engine: Engine, plan: bytes, *, control: int = -1) -> NoReturn:
    """Replaces this process by the client of what ``plan`` starts (or, with ``control``, of what runs behind it)."""
    helper = _sealed_helper()
    plan_fd = memory_file("pod-plan", plan)
    argv = ["pod", "run", str(plan_fd)]
    if control >= 0:
        os.set_inheritable(control, True)
        argv = ["pod", "attach", str(plan_fd), str(control)]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # the caller closed it
            stream.flush()
    try:
        os.execve(helper, argv, dict(engine.environ))
    except OSError as error:
        raise _cannot_execute((error.strerror or "failed").lower()) from None


def _cannot_execute(reason: str) -> HostUnsupported:
    return HostUnsupported(
        f"run pod-helper: {reason}",
        hint="the kernel refuses programs in memory (vm.memfd_noexec=2): an administrator can set it to 0 or 1",
    )


def prepared_path(hint: str, words: list[str], *, has_args: bool) -> str:
    """The file of a prepared start (ext/src/helper/prepared.h), by $POD_PREPARED and the words up to IMAGE."""
    state = int(hint[1:17], 16)
    coding = sys.getfilesystemencoding()  # not os.fsencode: the bundle would load the whole of os for it
    for byte in b"".join([word.encode(coding, "surrogateescape") + b"\0" for word in words]):
        state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{hint[17:]}/{state ^ 0x9E3779B97F4A7C15 if has_args else state:016x}"


def own_command() -> list[str]:
    """argv that runs this pod again: the interpreter, its flags, and how it was told where pod is."""
    original = list(getattr(sys, "orig_argv", ()))
    given = len(sys.argv) - 1
    if original:
        return [sys.executable, *original[1 : len(original) - given]]
    return [sys.executable, "-I", "-S", sys.argv[0]] if not sys.argv[0].endswith("__main__.py") else _as_module()


def _as_module() -> list[str]:
    return [sys.executable, "-m", "pod"]
