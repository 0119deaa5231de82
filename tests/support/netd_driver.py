"""What plays supervisors and containers for pod-netd's tests: namespaces by unshare, messages by struct.

A container here is a forked process in a user and network namespace of its own that answers to Python functions.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pod.core.network import wire
from tests.support import compilers, places

NEWUSER, NEWNET = 0x10000000, 0x40000000
TYPES = {
    "HELLO": 1, "REGISTER": 2, "RELEASE": 3, "CONNECT": 4, "DISCONNECT": 5, "RENAME": 6, "DONE": 7, "FAILED": 8,
    "CHANGED": 9, "QUERY": 10, "ANSWER": 11,
}  # fmt: skip
NAMES = {number: name for name, number in TYPES.items()}
TAGS = {number: name for name, number in wire.TAGS.items()}
SOURCES = places.REPOSITORY / "ext/src"
libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """A function of libc; OSError."""
    result: int = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


class Start(ctypes.Structure):
    """struct pod_netd_start."""

    _fields_ = (
        ("folder", ctypes.c_char_p), ("program", ctypes.c_char_p), ("program_fd", ctypes.c_int),
        ("mapped", ctypes.c_int), ("userns", ctypes.c_int), ("netns", ctypes.c_int),
    )  # fmt: skip


class Error(ctypes.Structure):
    """struct pod_err."""

    _fields_ = (("step", ctypes.c_int32), ("errnum", ctypes.c_int32), ("path", ctypes.c_char * 256))


def starter(folder: Path, compiler: list[str]) -> ctypes.CDLL:
    """netd_start.c as a library."""
    library = folder / "netd_start.so"
    files = [str(SOURCES / f"{name}.c") for name in ("net/netd_start", "core/confine", "core/plan", "core/err")]
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", '-DPOD_BUILD_ID="' + "0" * 32 + '"']
    folders = [f"-I{SOURCES / name}" for name in ("core", "net")]
    subprocess.run([*compiler, *flags, *folders, *files, "-o", str(library)], check=True, timeout=60)
    return ctypes.CDLL(str(library))


def sanitized_program(folder: Path, compiler: list[str]) -> Path:
    """pod-netd with address and undefined-behaviour sanitizers; what they find is written to finding.PID beside it."""
    options = f"log_path={folder}/finding:detect_leaks=0:print_stacktrace=1"
    asked = ("__asan_default_options", "__ubsan_default_options")
    lines = [f'const char *{name}(void);\nconst char *{name}(void) {{ return "{options}"; }}\n' for name in asked]
    (folder / "options.c").write_text("".join(lines))
    sys.path.insert(0, str(places.REPOSITORY / "packaging"))
    try:
        import sources
    finally:
        sys.path.pop(0)
    files, folders = sources.static_program("pod-netd")
    flags = [*sources.own_flags("0" * 32), "-O1", "-g", *compilers.SANITIZE]
    includes = [f"-I{SOURCES / name}" for name in folders]
    program = folder / "pod-netd"
    command = [*compiler, *flags, *includes, str(folder / "options.c"), *map(str, files), "-o", str(program)]
    subprocess.run(command, check=True, timeout=200)
    folder.chmod(0o755)
    return program


class Message:
    """A message: its type, serial, items in order, descriptors."""

    def __init__(self, packet: bytes, fds: list[int]) -> None:
        magic, self.version, number, self.serial, length = struct.unpack_from("<IHHII", packet)
        assert magic == 0x54454E50
        assert length == len(packet) - 16
        self.type, self.fds = NAMES[number], fds
        self.items: list[tuple[str, bytes]] = []
        at = 16
        while at < len(packet):
            tag, size = struct.unpack_from("<HH", packet, at)
            self.items.append((TAGS[tag], packet[at + 4 : at + 4 + size]))
            at += 4 + size + -size % 4

    def get(self, tag: str) -> bytes:
        """The first item of that tag."""
        return next(value for name, value in self.items if name == tag)

    @property
    def state(self) -> Any:
        """STATE."""
        return json.loads(b"".join(value for name, value in self.items if name == "STATE"))

    @property
    def failure(self) -> tuple[str, int, str]:
        """FAILED's step, errno and path."""
        return self.get("STEP").decode(), int.from_bytes(self.get("ERRNO"), "little"), self.get("PATH").decode()

    def close(self) -> None:
        """Lets go of the descriptors."""
        while self.fds:
            os.close(self.fds.pop())

    def leases(self) -> dict[bytes, bytes]:
        """By network."""
        ids = [value for name, value in self.items if name == "NET_ID"]
        return dict(zip(ids, [value for name, value in self.items if name == "LEASE"]))


def packet(kind: str, items: bytes, serial: int = 7) -> bytes:
    """A message as it is sent."""
    return struct.pack("<IHHII", 0x54454E50, 1, TYPES[kind], serial, len(items)) + items


class Connection:
    """To netd."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(20)

    def send(self, kind: str, items: bytes = b"", fds: list[int] | None = None, serial: int = 7) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([packet(kind, items, serial)], rights)

    def receive(self) -> Message:
        """EOFError at the end."""
        data, ancillary, _, _ = self.sock.recvmsg(1 << 18, 4096)
        if not data:
            raise EOFError
        fds = array.array("i")
        for _, _, rights in ancillary:
            fds.frombytes(rights)
        return Message(data, list(fds))

    def ask(self, kind: str, items: bytes = b"", fds: list[int] | None = None) -> Message:
        """What is answered; what comes unasked meanwhile is kept in ``changed``."""
        self.send(kind, items, fds)
        while True:
            found = self.receive()
            found.close()
            if found.type not in ("HELLO", "CHANGED"):
                return found

    def close(self) -> None:
        """For netd too: containers, which are forks, have it open."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Container:
    """A process in namespaces of its own (below those of ``mapped``)."""

    def __init__(self, mapped: int = -1) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            kept = sorted({0, 1, 2, theirs.fileno(), max(mapped, 0)})
            for low, high in zip(kept, [*kept[1:], 65536]):
                os.closerange(low + 1, high)
            try:
                self._live(theirs, mapped)
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        self.sock = ours
        self.sock.settimeout(30)
        data, ancillary, _, _ = ours.recvmsg(64, 4096)
        assert data == b"ready"
        fds = array.array("i")
        fds.frombytes(ancillary[0][2])
        self.fds = list(fds)

    @staticmethod
    def _live(sock: socket.socket, mapped: int) -> None:
        if mapped >= 0:
            call("setns", mapped, NEWUSER)
        call("unshare", NEWUSER | NEWNET)
        fds = [os.open("/proc/self/ns/net", os.O_RDONLY)]
        sockets = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) for protocol in (0, 12)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            import fcntl

            fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", 0x41))  # SIOCSIFFLAGS
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sockets.append(socket.socket(socket.AF_INET, kind))
            sockets[-1].bind(("127.0.0.11", 0))
        sockets[-1].listen()
        fds += [one.fileno() for one in sockets]
        sock.sendmsg([b"ready"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        for one in sockets:
            one.close()
        kept: dict[str, Any] = {}
        while True:
            data = sock.recv(65536)
            if not data:
                os._exit(0)
            try:
                code, arguments = pickle.loads(data)
                scope: dict[str, Any] = {"kept": kept, "socket": socket, "os": os, "struct": struct, "time": time}
                exec(code, scope)
                answer = (True, scope["main"](*arguments))
            except Exception:  # noqa: BLE001
                answer = (False, traceback.format_exc())
            sock.send(pickle.dumps(answer))

    def run(self, code: str, *arguments: Any) -> Any:
        """What ``main`` of the code gives, in there."""
        self.sock.send(pickle.dumps((code, arguments)))
        worked, answer = pickle.loads(self.sock.recv(65536))
        assert worked, answer
        return answer

    def end(self) -> None:
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


LISTEN = """
def main(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kept["listener"] = socket.create_server((address, port), family=family)
"""
CONNECT = """
def main(address, port):
    try:
        socket.create_connection((address, port), timeout=3).close()
        return True
    except OSError:
        return False
"""
INTERFACES = """
def main():
    import fcntl
    found = {}
    with socket.socket() as control:
        for _, name in socket.if_nameindex():
            answer = fcntl.ioctl(control, 0x8927, struct.pack("16s24x", name.encode()))  # SIOCGIFHWADDR
            found[name] = answer[18:24].hex(":")
    return found
"""
ROUTES = """
def main():
    return [open("/proc/net/route").read(), open("/proc/net/ipv6_route").read(), open("/proc/net/if_inet6").read()]
"""


def subnet(base: str, gateway: str, first: str, last: str, prefix: int) -> bytes:
    """SUBNET."""
    family = 6 if ":" in base else 4
    places_ = b"".join(wire.address(one) for one in (base, gateway, first, last))
    return wire.item("SUBNET", places_ + bytes((prefix, family, 0, 0)))


def text(tag: str, value: str) -> bytes:
    return wire.item(tag, value.encode())


def number(tag: str, value: int) -> bytes:
    return wire.item(tag, struct.pack("<I", value & 0xFFFFFFFF))


def interface(name: str = "net", third: int = 18, flags: int = 4, *more: bytes, v6: bool = False) -> bytes:
    """END and what follows, of a network 172.THIRD.0.0/16."""
    parts = [wire.item("END", b""), text("NET_ID", f"{third:064x}"), text("NET_NAME", name)]
    parts += [text("BRIDGE", f"br-{third}"), number("NET_FLAGS", flags | (8 if v6 else 0))]
    base = f"172.{third}"
    parts.append(subnet(f"{base}.0.0", f"{base}.0.1", f"{base}.0.1", f"{base}.255.254", 16))
    if v6:
        parts.append(subnet(f"fd00:{third}::", f"fd00:{third}::1", f"fd00:{third}::1", f"fd00:{third}::ffff", 64))
    return b"".join([*parts, *more])


def identity(number_: int) -> bytes:
    """CONTAINER, NAME, HOSTNAME."""
    return text("CONTAINER", f"{number_:064x}") + text("NAME", f"box{number_}") + text("HOSTNAME", f"host{number_}")


class Net:
    """A run directory with its netd, containers and connections; everything ends with the test."""

    def __init__(self, folder: Path, library: ctypes.CDLL, mapped: int = -1) -> None:
        self.folder, self.library, self.mapped = folder / "netd", library, mapped
        self.program = places.REPOSITORY / "ext/pod-netd"
        self.containers: list[Container] = []
        self.connections: list[Connection] = []

    def connect(self, hello: list[int] | None = None) -> Connection:
        """pod_netd_connect: of a client, or with what HELLO brought, of a supervisor."""
        start = Start(os.fsencode(self.folder), os.fsencode(self.program), -1, self.mapped, -1, -1)
        if hello:
            start.userns, start.netns, start.program_fd, start.program = *hello, None
        error = Error()
        for _ in range(3):  # one that is being killed, or just goes, may still have the socket
            fd = self.library.pod_netd_connect(ctypes.byref(start), ctypes.byref(error))
            if fd < 0:
                raise OSError(error.errnum, os.strerror(error.errnum), error.path.decode())
            found = Connection(socket.socket(fileno=fd))
            with contextlib.suppress(ConnectionError):
                if found.sock.recv(1, socket.MSG_PEEK):
                    self.connections.append(found)
                    return found
            found.close()
        raise EOFError

    def container(self) -> Container:
        found = Container(self.mapped)
        self.containers.append(found)
        return found

    def register(
        self, count: int, items: bytes, container: Container | None = None
    ) -> tuple[Container, Connection, Message]:
        """A container numbered COUNT and its supervisor's connection, and the answer."""
        container = container or self.container()
        connection = self.connect()
        answer = connection.ask("REGISTER", identity(count) + number("FDS", 31) + items, container.fds)
        return container, connection, answer

    def process(self, name: str = "pod-netd") -> list[int]:
        """Pids of our netd, or holder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "comm").read_text().strip() == name and os.fsencode(self.folder) in (
                        entry / "cmdline"
                    ).read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def end(self) -> None:
        for connection in self.connections:
            connection.close()
        for container in self.containers:
            if container.fds:
                container.end()
        for name in ("pod-netd", "pod-holder"):  # which would go by themselves in two seconds
            for pid in self.process(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def wait_for(what: Callable[[], Any], seconds: float = 10) -> Any:
    """What it gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


def mapped_namespace() -> Iterator[int]:
    """A mapped user namespace of this user (its sub-ids), as supervisors live in; -1 where there are none."""
    import getpass

    ranges = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines() if ":" in line]
    mine = [entry for entry in ranges if entry[0] in (getpass.getuser(), str(os.getuid()))]
    if not mine:
        yield -1
        return
    command = [
        sys.executable,
        "-c",
        "import ctypes,sys;ctypes.CDLL(None).unshare(0x10000000);print(1,flush=True);sys.stdin.read()",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        for program, own in (("newuidmap", os.getuid()), ("newgidmap", os.getgid())):
            numbers = ["0", str(own), "1", "1", mine[0][1], mine[0][2]]
            subprocess.run([program, str(child.pid), *numbers], check=True, timeout=20)
        fd = os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY)
        yield fd
        os.close(fd)
        child.kill()
