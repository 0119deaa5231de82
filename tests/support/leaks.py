"""What a test left behind: processes that hold a store, mounts of it, records of containers, ends of networks.

The network process lives on for two seconds after the last container, for the next one. So after each test it may not
know of any container, and after the last one nothing may be left of it (``netd.left``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.support import netd

_SETTLE = 10.0
"""Seconds that teardown in the background may take on a busy machine."""


def processes(root: Path) -> list[tuple[int, str]]:
    """(pid, command line) of every process that names the store: arguments, environment, mounts, folder, open files.

    A process in another user namespace hides its environment and files, but not its mounts.
    """
    wanted = os.fsencode(root)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        if _names(entry, wanted):
            words = _bytes(f"/proc/{entry}/cmdline").replace(b"\0", b" ").decode(errors="replace")
            found.append((int(entry), words.strip()))
    return found


def _names(pid: str, wanted: bytes) -> bool:
    if _bytes(f"/proc/{pid}/stat").rpartition(b")")[2][1:2] in (b"Z", b"X"):
        return False
    if os.getuid() and b"\nUid:\t0\t" in _bytes(f"/proc/{pid}/status"):
        return False  # root's own: nobody here becomes that, and a host may have many with many mounts
    if any(wanted in _bytes(f"/proc/{pid}/{file}") for file in ("cmdline", "environ", "mountinfo")):
        return True
    return any(target.startswith(wanted) for target in _links(pid))


def _links(pid: str) -> list[bytes]:
    links = [f"/proc/{pid}/cwd", f"/proc/{pid}/root"]
    with contextlib.suppress(OSError):
        links += [f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]
    targets = []
    for link in links:
        try:
            targets.append(os.fsencode(os.readlink(link)))
        except OSError:
            continue
    return targets


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def mounts(root: Path) -> list[str]:
    """Mounts of the store in the namespace of the tests, where none may ever be."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return [line for line in lines if str(root) in line]


def records(root: Path) -> list[str]:
    """Containers and names that the store still has."""
    found = []
    for folder in ("containers", "names"):
        path = root / folder
        if path.is_dir():
            found += [f"{folder}/{name}" for name in sorted(os.listdir(path))]
    return found


def left(root: Path) -> list[str]:
    """All of it at this moment, in words."""
    network = netd.processes(root)
    return [
        *(f"process {pid}: {words}" for pid, words in processes(root) if pid not in network),
        *(f"on a network: {name}" for name in (netd.containers(root) if network else ())),
        *(f"mount: {line}" for line in mounts(root)),
        *(f"record: {name}" for name in records(root)),
    ]


def settled(root: Path, seconds: float = _SETTLE) -> list[str]:
    """What is left after waiting for it to go."""
    deadline = time.monotonic() + seconds
    while True:
        found = left(root)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def end_processes(root: Path) -> None:
    """Kills what still names the store (each by its pid), so that one test's failure does not spoil the next."""
    for _ in range(20):
        found = {pid for pid, _ in processes(root)} | set(netd.processes(root))
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.05)
