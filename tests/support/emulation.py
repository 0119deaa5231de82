"""Containers whose root is emulated in full, looked at from outside."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.podcli import Pod


def build(source: Path, folder: Path, *flags: str) -> Path:
    """A static program out of one C file, for a container; made once in each folder."""
    program = folder / source.stem
    if program.exists():
        return program
    command = ["cc", "-O1", "-static", "-w", *(flags or ("-pthread",)), str(source), "-o", str(program)]
    subprocess.run(command, check=True, timeout=100, capture_output=True)
    program.chmod(0o755)
    return program


def emulators(pod: Pod, name: str) -> list[int]:
    """The emulator's pid, a child of the supervisor; empty before the first call that needs it."""
    init = pod.inspect(name)["State"]["Pid"]
    parent = Path(f"/proc/{init}/status").read_text().split("PPid:")[1].split()[0]
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "pod-emulator\n"]


def emulator(pod: Pod, name: str) -> int:
    """Its pid where it must be there."""
    (found,) = emulators(pod, name)
    return found


@contextlib.contextmanager
def victim(pod: Pod, name: str, program: Path, *options: str) -> Iterator[str]:
    """A Debian that sleeps, with the program as /attacks; the same emulator must live when it ends."""
    mount = f"{program}:/attacks:ro"
    argv = ("run", "-d", "--name", name, "--root-emulation=full", "-v", mount, *options, pod.image("debian:12"))
    pod(*argv, "sleep", "600").ok()
    try:
        pod("exec", name, "true").ok()
        before = emulator(pod, name)
        yield name
        assert pod("exec", name, "stat", "-c", "%U:%G", "/etc/shadow").ok() == "root:shadow\n"
        assert emulator(pod, name) == before
    finally:
        pod("rm", "-f", name).ok()
