"""TCP between containers and the world, by the real pod-netd: what is reached and what not, ports, loads, limits."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ctypes import CDLL
from pathlib import Path
from typing import Any

import pytest

from pod.core.network import wire
from tests.support import compilers, netd_driver, tcp_load
from tests.support.netd_driver import Net, interface, number, wait_for

LOAD = Path(tcp_load.__file__)
INTERNAL = 1 | 4
LISTEN = """
def main(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kept["listener"] = socket.create_server((address, port), family=family)
"""
SERVE = """
def main():
    kept["listener"].settimeout(10)
    connection, peer = kept["listener"].accept()
    connection.sendall(b"hello")
    connection.close()
    return peer[0]
"""
TRY = """
import errno
def main(address, port, limit=5):
    try:
        with socket.create_connection((address, port), timeout=limit) as connection:
            return connection.recv(100).decode()
    except OSError as error:
        return errno.errorcode.get(error.errno) or str(error)
"""
START = """
import subprocess
def main(*args):
    kept["program"] = subprocess.Popen(args, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
"""
STOP = """
def main():
    kept["program"].kill()
    kept["program"].wait()
"""
RUN = """
import subprocess
def main(*args):
    done = subprocess.run(args, capture_output=True, text=True)
    return done.stdout + done.stderr
"""
OPEN = """
import resource
def main(address, port, count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for _ in range(count):
        kept.setdefault("many", []).append(socket.create_connection((address, port), timeout=20))
"""
PING = """
def main():
    for one in kept["many"]:
        one.send(b"x")
    return sum(one.recv(1) == b"x" for one in kept["many"])
"""
ENDED = """
def main():
    kept["many"][0].settimeout(5)
    try:
        return kept["many"][0].recv(1) == b""
    except ConnectionResetError:
        return True
"""
SYNS = """
def main(source, target, port, count):
    def total(data):
        value = sum(struct.unpack(f">{len(data) // 2}H", data))
        while value >> 16:
            value = (value & 0xFFFF) + (value >> 16)
        return ~value & 0xFFFF
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for at in range(count):
            tcp = struct.pack(">HHIIBBHHH", 1024 + at % 60000, port, at, 0, 0x50, 2, 60000, 0, 0)
            tcp = tcp[:16] + struct.pack(">H", total(ends + struct.pack(">HH", 6, len(tcp)) + tcp)) + tcp[18:]
            raw.sendto(struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + ends + tcp, (target, 0))
"""


def public_address() -> str:
    """An address of this host that is not of loopback; empty: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return ""
        found: str = probe.getsockname()[0]
        return "" if found.startswith("127.") else found


HOST = public_address()
needs_address = pytest.mark.skipif(not HOST, reason="capability address: this host has loopback alone")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    return netd_driver.starter(tmp_path_factory.mktemp("start"), compilers.host())


@pytest.fixture(scope="module")
def mapped() -> Iterator[int]:
    yield from netd_driver.mapped_namespace()


@pytest.fixture
def net(tmp_path: Path, library: CDLL, mapped: int) -> Iterator[Net]:
    found = Net(tmp_path, library, mapped)
    yield found
    for pid in found.process() + found.process("pod-holder"):  # faster than its own end, which test_netd.py looks at
        os.kill(pid, signal.SIGKILL)
    found.end()
    wait_for(lambda: not found.process() and not workers(found))


def workers(net: Net) -> list[int]:
    return net.process("pod-netd-tcp")


def port(inside: int, first: int = 0, last: int = 0, host: str = "0.0.0.0", fallback: int = 0) -> bytes:
    """PORT of TCP."""
    numbers = struct.pack("<HHHBB", first, last or first, inside, socket.IPPROTO_TCP, fallback)
    return wire.item("PORT", wire.address(host) + numbers)


def host_port(message: Any) -> int:
    (entries,) = message.state["Ports"].values()
    return int(entries[0]["HostPort"])


class Server:
    """Of the host's; tells each client its address."""

    def __init__(self, address: str = "0.0.0.0", backlog: int = 4096) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.create_server((address, 0), family=family, backlog=backlog)
        self.port: int = self.sock.getsockname()[1]
        self.clients: list[socket.socket] = []

    def answer(self) -> Server:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def _run(self) -> None:
        while True:
            try:
                connection, peer = self.sock.accept()
            except OSError:
                return
            with connection:
                connection.sendall(peer[0].encode())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for one in self.clients:
            one.close()


def fetch(address: str, number_: int) -> str:
    """What a server says; the name of an errno."""
    try:
        with socket.create_connection((address, number_), timeout=5) as connection:
            return connection.recv(100).decode()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


@needs_address
def test_out_when_the_world_accepts_or_refuses_then_the_container_sees_that(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    with Server() as server, socket.socket() as nobody:
        nobody.bind(("0.0.0.0", 0))  # not listening
        assert box.run(TRY, HOST, server.answer().port) == HOST
        assert box.run(TRY, HOST, nobody.getsockname()[1]) == "ECONNREFUSED"
        assert box.run(TRY, "224.0.0.9", server.port, 1) in ("ENETUNREACH", "timed out")


@needs_address
def test_out_when_nobody_takes_the_connection_then_the_container_waits_as_anybody(net: Net) -> None:
    box, _, _ = net.register(1, interface())
    with Server(backlog=0) as server:
        for _ in range(8):  # the kernel drops SYNs when the queue is full
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((HOST, server.port))
            server.clients.append(one)
        time.sleep(0.1)
        assert box.run(TRY, HOST, server.port, 1) == "timed out"


@needs_address
def test_out_when_it_is_not_the_containers_to_reach_then_it_is_refused(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    other, _, _ = net.register(2, interface("other", 19, v6=True))
    inner, _, _ = net.register(3, interface("inner", 20, INTERNAL))
    other.run(LISTEN, "::", 80)
    with Server() as server, Server("127.0.0.1") as near, Server("::1") as near6:
        server.answer(), near.answer(), near6.answer()
        for address, number_ in (("172.18.0.1", near.port), ("fd00:18::1", near6.port), ("172.18.0.1", server.port)):
            assert box.run(TRY, address, number_) == "ECONNREFUSED"
        for address in ("172.19.0.2", "172.19.0.1", "fd00:19::2", "fd00:19::1"):
            assert box.run(TRY, address, 80) == "EHOSTUNREACH", address
        assert inner.run(TRY, HOST, server.port) == "ENETUNREACH"
        assert inner.run(TRY, "172.18.0.2", 80) in ("ENETUNREACH", "EHOSTUNREACH")


def test_out_when_the_hosts_loopback_was_asked_for_then_the_gateway_is_it(net: Net) -> None:
    asked, _, _ = net.register(1, number("HOST_GATEWAY", 1) + interface(v6=True))
    other, _, _ = net.register(2, interface(v6=True))
    with Server("127.0.0.1") as near, Server("::1") as near6:
        near.answer(), near6.answer()
        assert asked.run(TRY, "172.18.0.1", near.port) == "127.0.0.1"
        assert asked.run(TRY, "fd00:18::1", near6.port) == "::1"
        assert other.run(TRY, "172.18.0.1", near.port) == "ECONNREFUSED"


@needs_address
def test_out_when_a_source_is_made_up_then_nothing_leaves(net: Net) -> None:
    box, _, _ = net.register(1, interface())
    net.register(2, interface("other", 19))
    with Server() as server:
        server.sock.settimeout(0.5)
        for source in ("172.19.0.2", "192.0.2.77", "127.0.0.1", HOST, "172.18.0.99"):
            box.run(SYNS, source, HOST, server.port, 3)
        with pytest.raises(TimeoutError):
            server.sock.accept()
        box.run(SYNS, "172.18.0.2", HOST, server.port, 1)  # that it would be seen
        server.sock.accept()[0].close()


@needs_address
def test_out_when_a_container_floods_then_others_are_served(net: Net) -> None:
    flooder, _, _ = net.register(1, interface())
    other, _, _ = net.register(2, interface("other", 19))
    with Server(backlog=0) as deaf, Server() as server:
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((HOST, deaf.port))
            deaf.clients.append(one)
        flooder.run(SYNS, "172.18.0.2", HOST, deaf.port, 20000)
        assert other.run(TRY, HOST, server.answer().port) == HOST
        (netd,) = net.process()
        assert len(os.listdir(f"/proc/{netd}/fd")) < 1024 + 200
        assert flooder.run(TRY, HOST, server.port) == HOST


@needs_address
def test_publish_when_clients_come_then_their_addresses_are_seen(net: Net) -> None:
    box, _, message = net.register(1, port(80) + port(80, host="::") + interface(v6=True))
    ports = message.state["Ports"]["80/tcp"]
    assert [entry["HostIp"] for entry in ports] == ["0.0.0.0", "::"]
    assert ports[0]["HostPort"] == ports[1]["HostPort"]
    for listen, address, seen in (
        ("0.0.0.0", HOST, HOST), ("0.0.0.0", "127.0.0.1", "172.18.0.1"), ("::", "::1", "fd00:18::1"),
    ):  # fmt: skip
        box.run(LISTEN, listen, 80)
        got: list[str] = []
        to = (address, host_port(message))
        client = threading.Thread(target=lambda to=to, got=got: got.append(fetch(*to)))
        client.start()
        assert box.run(SERVE) == seen
        client.join()
        assert got == ["hello"]
        box.run("def main(): kept.pop('listener').close()")
    assert fetch("127.0.0.1", host_port(message)) == "ECONNRESET"


def test_publish_when_ports_are_taken_then_it_is_refused_or_the_next_is_used(net: Net) -> None:
    _, first, message = net.register(1, port(80) + interface())
    taken = host_port(message)
    _, _, refused = net.register(2, port(81, 0) + port(80, taken) + interface())
    assert refused.failure == ("PUBLISH", errno.EADDRINUSE, f"0.0.0.0:{taken}/tcp")
    _, _, ranged = net.register(3, port(80, taken, taken + 20) + interface())
    assert taken < host_port(ranged) <= taken + 20
    first.close()
    wait_for(lambda: fetch("127.0.0.1", taken) == "ECONNREFUSED")
    _, _, again = net.register(4, port(80, taken) + interface())
    assert host_port(again) == taken


def test_publish_when_a_port_is_privileged_then_it_is_said_or_another_is_used(net: Net) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 79:
        pytest.skip("capability privileged_ports: every user may bind them here")
    _, _, refused = net.register(1, port(80, 79) + interface())
    assert refused.failure == ("PUBLISH", errno.EACCES, "0.0.0.0:79/tcp")
    _, _, message = net.register(2, port(80, 79, fallback=1) + interface())
    assert 8079 <= host_port(message) < 8179


def test_publish_when_netd_was_killed_then_the_next_has_the_same_port(net: Net) -> None:
    box, _, message = net.register(1, port(80) + interface())
    (pid,) = net.process()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())  # until then its socket may take connections, and drop them
    (lease,) = message.leases().values()
    _, _, again = net.register(1, port(80) + interface("net", 18, 4, wire.item("LEASE", lease)), box)
    assert host_port(again) == host_port(message)
    box.run(LISTEN, "0.0.0.0", 80)
    client = threading.Thread(target=fetch, args=("127.0.0.1", host_port(message)))
    client.start()
    assert box.run(SERVE) == "172.18.0.1"
    client.join()


def served(net: Net, count: int, at_once: int) -> None:
    """A load out of a container and one into it: nothing lost, no descriptor left."""
    box, _, message = net.register(1, port(8000) + interface())
    box.sock.settimeout(900)
    (netd,) = net.process()
    kinds = dict.fromkeys(("echo", "fetch", "push", "drop", "kick"), count // 5)
    wanted = {"client": kinds, "server": {"reset": count // 5}}
    with socket.create_server(("", 0)) as free:
        number_ = free.getsockname()[1]
    with subprocess.Popen([sys.executable, str(LOAD), "serve", str(number_)], stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        arguments = [sys.executable, str(LOAD), "load", HOST, str(number_), str(count), str(at_once)]
        assert json.loads(box.run(RUN, *arguments)) == wanted
        server.kill()
    box.run(START, sys.executable, str(LOAD), "serve", "8000")
    wait_for(lambda: box.run(TRY, "127.0.0.1", 8000, 0.2) == "timed out")  # it listens
    command = [sys.executable, str(LOAD), "load", "127.0.0.1", str(host_port(message)), str(count), str(at_once)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    found = json.loads(done.stdout)
    found["server"].pop("IncompleteReadError")  # of the one that looked whether it listens
    assert found == wanted
    box.run(STOP)
    wait_for(lambda: len(os.listdir(f"/proc/{netd}/fd")) < 150)


@needs_address
def test_pairs_when_many_kinds_at_once_then_nothing_is_lost_and_nothing_left(net: Net) -> None:
    served(net, 1000, 200)


@needs_address
@pytest.mark.slow
def test_pairs_when_twenty_thousand_come_then_nothing_is_lost_and_nothing_left(net: Net) -> None:
    """No more: a client reaches one port from 28 000 of its own, each for a minute.

    A hundred thousand, to several ports: commands/test_network_ports.py.
    """
    served(net, 20_000, 1000)


def open_many(net: Net, count: int) -> tuple[Any, Any, subprocess.Popen[bytes]]:
    """A container with idle connections to an echo server of the host's, all of which then work."""
    box, connection, _ = net.register(1, interface())
    box.sock.settimeout(200)
    code = (
        "import select,socket,resource\n"
        "resource.setrlimit(7, (resource.getrlimit(7)[1],) * 2)\n"
        "s = socket.create_server(('', 0), backlog=4096); s.setblocking(False); print(s.getsockname()[1], flush=True)\n"
        "e = select.epoll(); e.register(s.fileno(), 1); c = {}\n"
        "while True:\n"
        "  for fd, _ in e.poll():\n"
        "    try:\n"
        "      if fd == s.fileno():\n"
        "        one, _ = s.accept(); c[one.fileno()] = one; e.register(one.fileno(), 1)\n"
        "      elif (d := c[fd].recv(9)): c[fd].send(d)\n"
        "      else: c.pop(fd).close()\n"
        "    except BlockingIOError: pass\n"
        "    except ConnectionError: c.pop(fd).close()\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert server.stdout
    box.run(OPEN, HOST, int(server.stdout.readline()), count)
    assert box.run(PING) == count
    return box, connection, server


def anonymous(pid: int) -> int:
    """kB of memory of a process's own."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0])


@needs_address
def test_pairs_when_there_are_more_than_netd_keeps_then_workers_have_them(net: Net) -> None:
    box, connection, server = open_many(net, 1500)
    with server:
        (worker,) = workers(net)
        (netd,) = net.process()
        assert anonymous(netd) < 2048
        assert len(os.listdir(f"/proc/{worker}/fd")) > 2 * 400
        connection.close()  # the container goes, and its connections
        wait_for(lambda: len(os.listdir(f"/proc/{worker}/fd")) < 10)
        wait_for(lambda: not workers(net))
        box.end()
        server.kill()


@needs_address
@pytest.mark.slow
def test_pairs_when_ten_thousand_are_idle_then_they_are_held_in_little(net: Net) -> None:
    import resource

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20000:
        pytest.skip("capability descriptors: fewer than 20000 for a process")
    _, _, server = open_many(net, 10_000)
    with server:
        held = sum(map(anonymous, net.process() + workers(net)))
        assert held < 2048 + 10_000 // 2  # kB: half a kB a connection, and the processes
        server.kill()


@needs_address
def test_pairs_when_netd_is_killed_then_its_workers_and_connections_end(net: Net) -> None:
    box, _, server = open_many(net, 1200)
    with server:
        assert workers(net)
        os.kill(net.process()[0], signal.SIGKILL)
        wait_for(lambda: not workers(net))
        assert box.run(ENDED)
        server.kill()
