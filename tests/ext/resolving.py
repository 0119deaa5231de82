"""The resolver's harness driven: a world described, sockets of its network namespace, servers that a test scripts."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import compilers, dns

NET = compilers.SOURCES / "net"
INTERNAL, ISOLATED, NAMES, IPV6 = 1, 2, 4, 8


class Box(NamedTuple):
    """Ports of a container's sockets at 127.0.0.11."""

    udp: int
    tcp: int


SECOND = 0.2
"""What the harness takes for one: it waits for servers 1.5 of them, for an answer 10."""


def build(factory: pytest.TempPathFactory) -> Path:
    """The harness as a program, once a run."""
    folder = factory.getbasetemp() / "resolver"
    if (folder / "harness").exists():
        return folder / "harness"
    folder.mkdir()
    parts = [str(path) for path in sorted(NET.glob("resolver*.c"))]
    parts += [str(NET / "loop.c"), str(compilers.SOURCES / "core/err.c")]
    flags = ['-DPOD_RESOLV_CONF="resolv.conf"', f"-DPOD_DNS_SECOND={int(SECOND * 1000)}", f"-I{NET}"]
    source = Path(__file__).with_name("resolver_harness.c")
    return compilers.build(compilers.host(), source, folder / "harness", *flags, *compilers.SANITIZE, *parts)


class World:
    """One running harness; its working folder has the host's resolv.conf."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(20)
        self.process = subprocess.Popen([str(program)], stdin=theirs.fileno(), cwd=folder, stderr=subprocess.PIPE)
        theirs.close()
        assert self.control.recv(100) == b"ready"
        self.stops: list[threading.Event] = []
        self.threads: list[threading.Thread] = []
        self.sockets: list[socket.socket] = []

    def __call__(self, *words: object) -> str:
        """A line of the harness's language."""
        self.control.send(" ".join(map(str, words)).encode())
        return self.control.recv(1000).decode()

    def net(self, number: str, flags: int = NAMES, v4: str = "172.20.0.0/16", v6: str = "-") -> None:
        """A network named net-NUMBER; gateways are the first addresses."""
        gateways = [base.split("/")[0].rstrip("0") if ":" in base else base.split("/")[0][:-1] for base in (v4, v6)]
        four, six = (f"{gateway}1" if gateway != "-" and gateway else "-" for gateway in gateways)
        self("net", number, f"net-{number}", flags, v4, four, v6, six)

    def box(self, number: str, name: str, *, host: str = "", gateway: int = 0, servers: str = "-") -> Box:
        """A container, on no network yet."""
        udp, tcp = self("box", number, name, host or number[:12], gateway, servers).split()
        return Box(int(udp), int(tcp))

    def end(self, box: str, net: str, v4: str, v6: str = "-", aliases: str = "-", links: str = "-") -> None:
        """An interface of it."""
        self("end", box, net, v4, v6, aliases, links)

    def counts(self) -> tuple[int, ...]:
        """Waiting, streams, bytes held, descriptors, sockets of the holder."""
        return tuple(map(int, self("counts").split()))

    def open(self, kind: int = socket.SOCK_DGRAM, family: int = socket.AF_INET) -> socket.socket:
        """One of the namespace, that gives up after ten seconds."""
        self.control.send(f"socket {family} {kind}".encode())
        _, control, _, _ = self.control.recvmsg(100, 100)
        made = socket.socket(fileno=array.array("i", control[0][2])[0])
        made.settimeout(10)
        self.sockets.append(made)
        return made

    def ask(self, port: int, packet: bytes, *, seconds: float = 10, at: str = "127.0.0.11") -> dns.Message:
        """A question by UDP and its answer; TimeoutError where there is none."""
        with contextlib.closing(self.open()) as client:
            client.settimeout(seconds)
            client.connect((at, port))
            client.send(packet)
            return dns.read(client.recv(65536))

    def stream(self, port: int, at: str = "127.0.0.11") -> socket.socket:
        """A connection to a container's TCP socket."""
        client = self.open(socket.SOCK_STREAM)
        client.connect((at, port))
        return client

    def serve(self, answer: Callable[[bytes], list[bytes]], address: str = "127.0.0.53") -> list[bytes]:
        """A server by UDP whose answers ``answer`` makes; the questions that came so far are the value."""
        listener, asked = self.open(), []  # type: socket.socket, list[bytes]
        listener.bind((address, 53))

        def run(stop: threading.Event) -> None:
            listener.settimeout(0.05)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    packet, client = listener.recvfrom(65536)
                    asked.append(packet)
                    for part in answer(packet):
                        listener.sendto(part, client)

        self.run(run)
        return asked

    def serve_stream(self, answer: Callable[[bytes], bytes | None], address: str = "127.0.0.53") -> list[bytes]:
        """The same by TCP: bytes as they are, one question a connection; None keeps it open without a word."""
        listener, asked = self.open(socket.SOCK_STREAM), []  # type: socket.socket, list[bytes]
        listener.bind((address, 53))
        listener.listen(64)

        def run(stop: threading.Event) -> None:
            listener.settimeout(0.05)
            kept = []
            while not stop.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError):
                    client, _ = listener.accept()
                    client.settimeout(5)
                    head = client.recv(2, socket.MSG_WAITALL)
                    asked.append(client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
                    said = answer(asked[-1])
                    if said is None:
                        kept.append(client)
                        continue
                    client.sendall(said)
                    client.close()
            for client in kept:
                client.close()

        self.run(run)
        return asked

    def run(self, body: Callable[[threading.Event], None]) -> None:
        """A thread until the end of the test."""
        stop = threading.Event()
        thread = threading.Thread(target=body, args=(stop,))
        self.stops.append(stop)
        self.threads.append(thread)
        thread.start()

    def resolv_conf(self, text: str) -> None:
        """Written as programs do: beside it, then renamed."""
        (self.folder / "resolv.new").write_text(text)
        (self.folder / "resolv.new").rename(self.folder / "resolv.conf")

    def end_all(self) -> None:
        """The harness ends by itself and says what it leaked."""
        for stop in self.stops:
            stop.set()
        for thread in self.threads:
            thread.join()
        self.control.close()
        said = self.process.communicate(timeout=20)[1].decode()
        for one in self.sockets:
            one.close()
        assert self.process.returncode == 0, said[-3000:]


def stream_answer(packet: bytes) -> bytes:
    """With its length before it."""
    return len(packet).to_bytes(2, "big") + packet


def read_stream(client: socket.socket) -> dns.Message:
    """One answer off a connection."""
    head = client.recv(2, socket.MSG_WAITALL)
    return dns.read(client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))


def quiet(world: World, seconds: float = 12) -> None:
    """Until nobody waits."""
    until = time.monotonic() + seconds
    while any(world.counts()[:3]):
        assert time.monotonic() < until, world.counts()
        time.sleep(0.05)


@contextlib.contextmanager
def running(program: Path, folder: Path) -> Iterator[World]:
    """A world for one test."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    if not os.path.exists("/proc/self/ns/user"):
        pytest.skip("capability user_namespaces: this kernel has none")
    world = World(program, folder)
    try:
        yield world
    finally:
        world.end_all()
