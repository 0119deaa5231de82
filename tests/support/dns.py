"""DNS messages for tests: questions, answers, what is in them. Sources: RFC 1035, 3596, 6891."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 65, 255
OK, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
POINTER = b"\xc0\x0c"
"""To the question's name."""


class Record(NamedTuple):
    """``data``: an address or a name as text, or bytes."""

    name: str
    type: int
    ttl: int
    data: str | bytes


class Message(NamedTuple):
    """What a test asks about an answer."""

    id: int
    code: int
    cut: bool
    recurses: bool
    question: tuple[str, int] | None
    answers: list[Record]
    edns: bool
    length: int

    def data(self) -> list[str | bytes]:
        """Of the answers, in their order."""
        return [record.data for record in self.answers]


def name(text: str) -> bytes:
    """On the wire."""
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(text: str, kind: int = A, number: int = 0x1234, *, edns: int = 0, flags: int = 0x0100) -> bytes:
    """A message that asks; ``edns``: the size that it takes, 0 for none."""
    opt = b"\0" + struct.pack(">HHIH", OPT, edns, 0, 0) if edns else b""
    return struct.pack(">6H", number, flags, 1, 0, 0, bool(opt)) + name(text) + struct.pack(">HH", kind, 1) + opt


def record(kind: int, data: bytes, *, owner: bytes = POINTER, ttl: int = 60) -> bytes:
    """One record of an answer."""
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def address(text: str, **more: object) -> bytes:
    """A record A or AAAA."""
    packed = ipaddress.ip_address(text).packed
    return record(A if len(packed) == 4 else AAAA, packed, **more)  # type: ignore[arg-type]


def after_name(packet: bytes, at: int) -> int:
    """Where what follows the name begins."""
    while True:
        length = packet[at]
        if length >= 0xC0:
            return at + 2
        at += length + 1
        if not length:
            return at


def read_name(packet: bytes, at: int) -> str:
    """The text, pointers followed."""
    labels: list[str] = []
    for _ in range(300):
        length = packet[at]
        if length >= 0xC0:
            at = (length & 0x3F) << 8 | packet[at + 1]
            continue
        if not length:
            return ".".join(labels)
        labels.append(packet[at + 1 : at + 1 + length].decode("latin-1"))
        at += length + 1
    raise AssertionError("a name that loops")


def reply(asked: bytes, *records: bytes, code: int = 0, flags: int = 0x8180) -> bytes:
    """The answer to a message, without the OPT of it."""
    end = after_name(asked, 12) + 4
    return asked[:2] + struct.pack(">5H", flags | code, 1, len(records), 0, 0) + asked[12:end] + b"".join(records)


def read(packet: bytes) -> Message:
    """A message taken apart; AssertionError or IndexError where it is none."""
    number, flags, asked, answers, authority, more = struct.unpack(">6H", packet[:12])
    assert asked <= 1
    assert not authority
    at, found, edns = 12, [], False
    about = None
    if asked:
        end = after_name(packet, at)
        about = (read_name(packet, at), struct.unpack(">H", packet[end : end + 2])[0])
        at = end + 4
    for index in range(answers + more):
        owner, end = read_name(packet, at), after_name(packet, at)
        kind, _, ttl, length = struct.unpack(">HHIH", packet[end : end + 10])
        body = packet[end + 10 : end + 10 + length]
        assert len(body) == length
        at = end + 10 + length
        if index >= answers:
            edns |= kind == OPT
            continue
        data: str | bytes = body
        if kind in (A, AAAA):
            data = str(ipaddress.ip_address(body))
        elif kind in (PTR, CNAME, NS):
            data = read_name(packet, end + 10)
        found.append(Record(owner, kind, ttl, data))
    assert at == len(packet)
    cut, recurses = bool(flags & 0x0200), bool(flags & 0x0080)
    return Message(number, flags & 15, cut, recurses, about, found, edns, len(packet))


class Server:
    """A server by UDP on port 53, in a thread: ``answer`` makes answers of questions, ``asked`` has those that came."""

    def __init__(self, where: str, answer: Callable[[bytes], list[bytes]]) -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((where, 53))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                packet, client = self._socket.recvfrom(65536)
                self.asked.append(packet)
                for part in self._answer(packet):
                    self._socket.sendto(part, client)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
