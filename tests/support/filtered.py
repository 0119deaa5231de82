"""Run as a program: ``filtered.py PROFILE ARGV…`` runs ARGV under a seccomp profile (Docker's JSON), compiled by pod.

The profile "deny:NAME,NAME…[=ERRNO]" answers those calls with ENOSYS (or ERRNO) and allows the rest: an older kernel,
or an outer container. no_new_privs is set, as an unprivileged process must.
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

SECCOMP = {"x86_64": 317, "aarch64": 277}


def profile(text: str) -> dict[str, object]:
    """The document that the first argument means."""
    if not text.startswith("deny:"):
        return dict(json.loads(text))
    names, _, errno = text[5:].partition("=")
    rule = {"names": names.split(","), "action": "SCMP_ACT_ERRNO", "errnoRet": int(errno or 38)}
    return {**seccomp.UNCONFINED, "syscalls": [rule]}


def main() -> None:
    machine = os.uname().machine
    code = seccomp.program(machine, 0, emulate_root=False, nesting=False, profile=profile(sys.argv[1]))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(SECCOMP[machine], 1, 0, program):
        raise OSError(ctypes.get_errno(), "attach the filter")
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
