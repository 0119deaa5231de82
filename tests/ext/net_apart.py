"""A host of a test's own for pod-netd: a child in user and network namespaces, where the world is on its loopback.

198.51.100.0/24 and 2001:db8::/64 are the world's addresses: whatever binds one of them is a remote host to containers.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pickle
import resource
import signal
import socket
import struct
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import compilers
from tests.support.netd_driver import NEWNET, NEWUSER, Net, call, starter

SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def settle_host(pings: bool) -> None:
    """Namespaces, loopback, the world's addresses; PINGS: ping sockets are allowed."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEWUSER | NEWNET)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")

    def address(text: str) -> bytes:
        return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))

    datagrams = socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, datagrams) as four, socket.socket(socket.AF_INET6, datagrams) as six:
        fcntl.ioctl(four, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", 0x41))
        fcntl.ioctl(four, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address("198.51.100.1")))
        fcntl.ioctl(four, SIOCSIFNETMASK, struct.pack("16s16s", b"lo:1", address("255.255.255.0")))
        for last in (1, 2):
            world = socket.inet_pton(socket.AF_INET6, f"2001:db8::{last}")
            fcntl.ioctl(six, SIOCSIFADDR, struct.pack("16sIi", world, 64, 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if pings:
        write("/proc/sys/net/ipv4/ping_group_range", "0 0")


def apart(*, pings: bool = True) -> Callable[[Callable[[Net], None]], Callable[[], None]]:
    """Runs a test in such a child, with a Net; its failure is the test's, and nothing of netd's may be left."""

    def decorate(test: Callable[[Net], None]) -> Callable[[], None]:
        @functools.wraps(test)
        def run() -> None:
            start = library()
            ours, theirs = socket.socketpair()
            child = os.fork()
            if child == 0:
                ours.close()
                theirs.sendall(pickle.dumps(outcome(test, pings, start)))
                os._exit(0)
            theirs.close()
            with ours:
                ours.settimeout(90)
                text = b"".join(iter(lambda: ours.recv(65536), b""))
            os.waitpid(child, 0)
            failure = pickle.loads(text) if text else "the child died"
            assert not failure, failure

        del run.__wrapped__  # type: ignore[attr-defined]
        return run

    return decorate


def outcome(test: Callable[[Net], None], pings: bool, start: Any) -> str:
    """The traceback, or ""."""
    try:
        settle_host(pings)
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            net = Net(Path(folder), start)
            try:
                test(net)
            finally:
                net.end()
                # That they end by themselves is test_netd.py's to tell: it takes two seconds.
                for pid in [*net.process(), *net.process("pod-holder")]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
    except BaseException:  # noqa: BLE001
        return traceback.format_exc()
    return ""


@functools.cache
def library() -> Any:
    """netd_start.c, compiled once."""
    with tempfile.TemporaryDirectory() as folder:
        return starter(Path(folder), compilers.host())


def remote(address: str, port: int = 0) -> socket.socket:
    """A socket for datagrams of somebody in the world."""
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    found.settimeout(10)
    found.bind((address, port))
    return found
