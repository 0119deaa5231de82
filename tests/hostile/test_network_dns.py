"""Containers that misuse the resolver of pod-netd, and what its answers must not tell; by a real netd, on a host of the
test's own. Servers that lie are in tests/ext/test_resolver_foreign.py.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import time
from pathlib import Path

import pytest

from tests.ext.net_apart import apart
from tests.support import dns
from tests.support.netd_driver import Container, Net, call, interface

pytestmark = pytest.mark.alike

INTERNAL, NAMES = 1, 4
ASK = """
def main(packet, address, stream):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    one.settimeout(3)
    try:
        one.connect((address, 53))
        if stream:
            one.sendall(struct.pack(">H", len(packet)) + packet)
            head = one.recv(2, socket.MSG_WAITALL)
            return one.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        one.send(packet)
        return one.recv(65536)
    except OSError as error:
        return type(error).__name__.encode()
    finally:
        one.close()
"""
FLOOD = """
def main(seconds, packets, address):
    until, sent = time.monotonic() + seconds, 0
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setblocking(False)
    while time.monotonic() < until:
        for packet in packets:
            try:
                one.sendto(packet, (address, 53))
            except OSError:
                pass
            sent += 1
    return sent
"""
CONNECTIONS = """
def main(address, count):
    kept["held"] = []
    for _ in range(count):
        one = socket.socket()
        one.settimeout(2)
        try:
            one.connect((address, 53))
            one.send(b"\\0")
        except OSError:
            pass
        kept["held"].append(one)
    open_ones = 0
    for one in kept["held"]:
        one.settimeout(0.01)
        try:
            open_ones += one.recv(1) != b""
        except TimeoutError:
            open_ones += 1
        except OSError:
            pass
    return open_ones
"""


def ask(one: Container, name: str, kind: int = dns.A, *, at: str = "127.0.0.11", stream: bool = False) -> dns.Message:
    """The answer, or AssertionError with the name of what came instead."""
    answer = one.run(ASK, dns.question(name, kind), at, stream)
    assert len(answer) >= 12 and answer[2] & 0x80, answer  # noqa: PT018
    return dns.read(answer)


def unheard(one: Container, name: str, at: str, *, stream: bool = False) -> bool:
    """No answer at all."""
    answer: bytes = one.run(ASK, dns.question(name), at, stream)
    return answer.isalpha()


def resolv_conf(net: Net) -> None:
    """This host's names are 127.0.0.53's to tell."""
    text = net.folder.parent / "resolv.conf"
    text.write_text("nameserver 127.0.0.53\n")
    call("unshare", 0x20000)  # CLONE_NEWNS
    null = ctypes.c_char_p(None)
    call("mount", b"none", b"/", null, ctypes.c_ulong(0x44000), null)  # MS_REC | MS_PRIVATE
    call("mount", bytes(text), b"/etc/resolv.conf", null, ctypes.c_ulong(0x1000), null)  # MS_BIND


def fine(packet: bytes) -> list[bytes]:
    return [dns.reply(packet, dns.address("192.0.2.7"))]


def size(net: Net) -> tuple[int, int]:
    """Of netd: kB of memory of its own, descriptors."""
    pid = net.process()[0]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]), len(os.listdir(f"/proc/{pid}/fd"))


@apart()
def test_foreign_names_leave_from_the_host(net: Net) -> None:
    """What the others below must not be able to do."""
    resolv_conf(net)
    with dns.Server("127.0.0.53", fine) as server:
        one, _, _ = net.register(1, interface())
        for stream in (False, True):
            found = ask(one, "box1", stream=stream)
            assert found.data() == ["172.18.0.2"]
        assert ask(one, "www.example").data() == ["192.0.2.7"]
        plain, _, _ = net.register(2, interface("bridge", 17, 0))
        assert ask(plain, "www.example", at="172.17.0.1").data() == ["192.0.2.7"]
        assert len(server.asked) == 2


@apart()
def test_an_internal_network_gets_no_question_out(net: Net) -> None:
    resolv_conf(net)
    with dns.Server("127.0.0.53", fine) as server:
        one, _, _ = net.register(1, interface("shut", 18, NAMES | INTERNAL))
        net.register(2, interface("bridge", 17, 0))
        for stream in (False, True):
            found = ask(one, "secret.example", stream=stream)
            assert (found.code, found.recurses) == (dns.REFUSED, False)
            for gateway in ("172.18.0.1", "172.17.0.1", "127.0.0.53"):
                assert unheard(one, "secret.example", gateway, stream=stream), gateway
        assert ask(one, "box1").data() == ["172.18.0.2"]
        assert not server.asked


@apart()
def test_other_networks_names_and_addresses_are_not_told(net: Net) -> None:
    resolv_conf(net)
    with dns.Server("127.0.0.53", lambda packet: [dns.reply(packet, code=dns.NXDOMAIN)]):
        one, _, _ = net.register(1, interface("one", 18))
        two, _, _ = net.register(2, interface("two", 19))
        assert ask(two, "box2").data() == ["172.19.0.2"]
        for name in ("box2", "host2", "box2.two", "2.0.19.172.in-addr.arpa"):
            for kind in (dns.A, dns.AAAA, dns.PTR, dns.ANY):
                assert (found := ask(one, name, kind)).code == dns.NXDOMAIN, name
                assert not found.answers
        for stream in (False, True):
            assert unheard(one, "box2", "172.19.0.1", stream=stream)


@apart()
def test_a_flood_of_questions_does_not_keep_others_from_answers(net: Net) -> None:
    resolv_conf(net)
    with dns.Server("127.0.0.53", lambda packet: fine(packet) if b"calm" in packet else []):
        calm, _, _ = net.register(1, interface())
        other, _, _ = net.register(2, interface("bridge", 17, 0))
        attackers = [net.register(n, interface())[0] for n in range(3, 6)]
        attackers += [net.register(n, interface("bridge", 17, 0))[0] for n in range(6, 8)]
        before = size(net)
        foreign = [dns.question(f"x{n}.example", number=n) for n in range(500)]
        for number, attacker in enumerate(attackers):
            at = "127.0.0.11" if number < 3 else "172.17.0.1"
            code, argument = (FLOOD, (4, foreign if number % 2 else [*foreign, dns.question("box1"), b"x" * 40], at))
            attacker.sock.send(pickle.dumps((code, argument)))
        time.sleep(0.5)
        for number in range(8):
            assert ask(calm, "box1").data() == ["172.18.0.2"]
            assert ask(calm, f"calm{number}.example").data() == ["192.0.2.7"]
            assert ask(other, f"calm-{number}.example", at="172.17.0.1").data() == ["192.0.2.7"]
        memory, descriptors = size(net)
        assert memory - before[0] < 1500
        assert descriptors - before[1] < 1100
        sent = [pickle.loads(attacker.sock.recv(65536))[1] for attacker in attackers]
        assert min(sent) > 2000, "no flood"


@apart()
def test_connections_that_say_nothing_do_not_keep_others_from_answers(net: Net) -> None:
    resolv_conf(net)
    calm, _, _ = net.register(1, interface())
    attacker, _, _ = net.register(2, interface())
    third, _, _ = net.register(3, interface("bridge", 17, 0))
    before = size(net)[1]
    assert attacker.run(CONNECTIONS, "127.0.0.11", 100) <= 32
    assert third.run(CONNECTIONS, "172.17.0.1", 100) <= 32
    assert size(net)[1] - before <= 70
    assert ask(calm, "box1", stream=True).data() == ["172.18.0.2"]
    assert ask(attacker, "box1").data() == ["172.18.0.2"]


@apart()
def test_garbage_ends_nothing(net: Net) -> None:
    resolv_conf(net)
    one, _, _ = net.register(1, interface())
    pid = net.process()
    seed = 1
    packets = []
    for length in range(0, 1400, 29):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        head = bytes.fromhex("0007010000010000000000ff") if length % 2 else b""
        packets.append(head + bytes((seed >> n % 23) * (n + 3) & 255 for n in range(length)))
    one.run(FLOOD, 0.5, packets, "127.0.0.11")
    for packet in packets[::9]:
        one.run(ASK, packet + b"\0" * 3, "127.0.0.11", True)
    assert ask(one, "box1").data() == ["172.18.0.2"]
    assert net.process() == pid
