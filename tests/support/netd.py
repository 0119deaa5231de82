"""The network process of a store, as anybody may look at it: its processes, and what it answers when asked (wire.h)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

_MAGIC, _VERSION, _HELLO, _QUERY, _ANSWER, _JSON = 0x54454E50, 1, 1, 10, 11, 45
_HEAD = struct.Struct("<IHHII")
ENDS = 5.0
"""Seconds after the last container by which nothing of it is left (it waits two for another)."""


def folders(root: Path) -> list[str]:
    """Where the network processes of a store have their socket: one of each run directory."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(root / "cache/run"):
            folder = os.path.realpath(root / "cache/run" / name)
            if os.path.isdir(folder):
                found += [f"{folder}/{each}" for each in os.listdir(folder) if each.partition("-")[0] == "netd"]
    return found


def processes(root: Path) -> dict[int, str]:
    """pid → name of all that belongs to it: "pod-netd", "pod-holder" inside the bridges' namespace, "pod-netd-tcp"."""
    wanted = [b"pod-netd\0" + os.fsencode(folder) for folder in folders(root)]
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
            if any(words.startswith(each + b"\0") for each in wanted):
                found[int(entry)] = Path(f"/proc/{entry}/comm").read_text().strip()
    return found


def pids(root: Path, name: str) -> list[int]:
    return [pid for pid, its in processes(root).items() if its == name]


def pid(root: Path) -> int:
    """The one that all containers are with; 0: none."""
    found = pids(root, "pod-netd")
    assert len(found) < 2, f"several: {found}"
    return found[0] if found else 0


def memory(pid: int) -> int:
    """kB of a process that are its own (status(5): RssAnon), not of files; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def connect(folder: str) -> socket.socket:
    """A connection; by a short path, for sun_path has 108 bytes."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(5)
    at = -1
    try:
        at = os.open(folder, os.O_PATH)
        peer.connect(f"/proc/self/fd/{at}/ctl")
    except OSError:
        peer.close()
        raise
    finally:
        if at >= 0:
            os.close(at)
    return peer


def receive(peer: socket.socket) -> tuple[int, bytes]:
    """(type, items) of one message; descriptors that came along are closed."""
    message, rights, _, _ = peer.recvmsg(1 << 18, socket.CMSG_SPACE(64))
    for _, kind, data in rights:
        if kind == socket.SCM_RIGHTS:
            for fd in struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]):
                os.close(fd)
    if len(message) < _HEAD.size:
        raise ConnectionResetError("the network process hung up")
    return _HEAD.unpack_from(message)[2], message[_HEAD.size :]


def message(kind: int, items: bytes = b"", serial: int = 1) -> bytes:
    return _HEAD.pack(_MAGIC, _VERSION, kind, serial, len(items)) + items


def ask(root: Path) -> dict[str, Any]:
    """All that it knows: {"Holder": pid, "Networks": […], "Containers": […], "Cut": false}; {} where none runs."""
    for folder in folders(root):
        with contextlib.suppress(OSError), connect(folder) as peer:
            peer.send(message(_QUERY))
            while True:
                kind, items = receive(peer)
                if kind == _ANSWER:
                    return _json(items)
    return {}


def _json(items: bytes) -> dict[str, Any]:
    text, at = b"", 0
    while at + 4 <= len(items):
        tag, length = struct.unpack_from("<HH", items, at)
        if tag == _JSON:
            text += items[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def containers(root: Path) -> list[str]:
    """Names of the containers that are on networks."""
    return [each["Name"] for each in ask(root).get("Containers", [])]


def left(root: Path, seconds: float = 0) -> list[str]:
    """Processes and files of it that are there after so many seconds at most, in words."""
    deadline = time.monotonic() + seconds
    while True:
        found = [f"process {pid}: {name}" for pid, name in sorted(processes(root).items())]
        for folder in folders(root):
            with contextlib.suppress(OSError):
                found += [f"{folder}/{name}" for name in os.listdir(folder) if name != "lock"]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
