"""Run as a program: ``filtered.py PROFILE ARGV…`` runs ARGV under a seccomp profile (Docker's JSON), compiled by pod.

The profile "deny:NAME,NAME…[=ERRNO]" answers those calls with ENOSYS (or ERRNO) and allows the rest: an older kernel,
or an outer container. "no-netfilter", "no-netlink", "no-ipv6" answer socket(2) of that kind with EAFNOSUPPORT, as a
kernel without it does. "watched" allows everything and has a listener, as an engine has that answers calls itself.
no_new_privs is set, as an unprivileged process must.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))

from pod.core.runtime import seccomp

WITHOUT = {"no-netfilter": {0: 16, 2: 12}, "no-netlink": {0: 16}, "no-ipv6": {0: 10}}
SECCOMP = {"x86_64": 317, "aarch64": 277}


def profile(text: str) -> dict[str, object]:
    """The document that the first argument means."""
    if text in WITHOUT:
        arguments = [{"index": index, "value": value, "op": "SCMP_CMP_EQ"} for index, value in WITHOUT[text].items()]
        rule = {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": arguments}
        return {**seccomp.UNCONFINED, "syscalls": [rule]}
    if not text.startswith("deny:"):
        return dict(json.loads(text))
    names, _, errno = text[5:].partition("=")
    rule = {"names": names.split(","), "action": "SCMP_ACT_ERRNO", "errnoRet": int(errno or 38)}
    return {**seccomp.UNCONFINED, "syscalls": [rule]}


def attach(code: bytes, flags: int) -> int:
    """seccomp(2)'s result."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    result = -1 if libc.prctl(38, 1, 0, 0, 0) else libc.syscall(SECCOMP[os.uname().machine], 1, flags, program)
    if result < 0:
        raise OSError(ctypes.get_errno(), "attach the filter")
    return int(result)


def watched() -> None:
    """Runs the command in a child and keeps the listener (SECCOMP_FILTER_FLAG_NEW_LISTENER) as long as it lives."""
    attach(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000), 8)
    child = os.fork()
    if child == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    status = os.waitpid(child, 0)[1]
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def main() -> None:
    if sys.argv[1] == "watched":
        watched()
    machine = os.uname().machine
    attach(seccomp.program(machine, 0, emulate_root=False, nesting=False, profile=profile(sys.argv[1])), 0)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
