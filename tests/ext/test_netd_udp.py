"""Datagrams and echo requests between containers and the world, through a real pod-netd."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

import pytest

from pod.core.network import wire
from tests.ext.net_apart import apart, remote
from tests.support.netd_driver import Connection, Net, interface, number, wait_for

SEND = """
def main(name, payload, address, port):
    if name not in kept:
        kept[name] = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        kept[name].settimeout(10)
    kept[name].sendto(payload, (address, port))
"""
RECEIVE = """
def main(name):
    data, peer = kept[name].recvfrom(65536)
    return data, peer[:2]
"""
BIND = """
def main(name, address, port):
    kept[name] = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    kept[name].settimeout(10)
    if ":" in address:
        kept[name].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    kept[name].bind((address, port))
"""
REPLY = """
def main(name, payload, address, port):
    kept[name].sendto(payload, (address, port))
"""
COMPLAINT = """
def main(address, port, hops=0):
    six = ":" in address
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(10)
        if hops:  # IP_RECVERR: what is no refusal is told, too
            one.setsockopt(41 if six else 0, 25 if six else 11, 1)
            one.setsockopt(41 if six else 0, 16 if six else 2, hops)
        one.connect((address, port))
        one.send(b"x")
        try:
            return one.recv(1)
        except OSError as error:
            return error.errno
"""
STRANGE = """
def main(address, protocol):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as one:
        one.settimeout(10)
        one.setsockopt(0, 11, 1)
        one.connect((address, 0))
        one.send(b"x" * 20)
        try:
            return one.recv(1)
        except OSError as error:
            return error.errno
"""
PING = """
def main(address, payload, wanted):
    six = ":" in address
    raw = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, 58 if six else 1)
    with raw:
        raw.settimeout(10)
        head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0x1234, 7)
        total = sum(struct.unpack(f"!{(len(head) + len(payload)) // 2}H", head + payload))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        raw.sendto(head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:] + payload, (address, 0))
        while True:
            data, peer = raw.recvfrom(65535)
            message = data if six else data[(data[0] & 15) * 4 :]
            if message[0] in wanted:
                return peer[0], message[0], message[1], message[4:]
"""
SPRAY = """
def main(count, address, port):
    kept["spray"] = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for number, one in enumerate(kept["spray"]):
        one.sendto(b"x", (address, port))
        if number % 10 == 0:
            time.sleep(0.002)
"""


ROUTE = """
def main(gateway):
    import fcntl

    def address(text):
        return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))

    every = address("0.0.0.0")  # struct rtentry of linux/route.h: up, by a gateway
    form = "Q16s16s16sHhxxxxQPhxxxxxxPQQHxxxxxx"
    entry = struct.pack(form, 0, every, address(gateway), every, 3, 0, 0, 0, 0, 0, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, 0x890B, entry)
"""


def quiet(one: socket.socket) -> bool:
    """Nothing waits there."""
    one.setblocking(False)
    try:
        return not one.recv(10) and False
    except BlockingIOError:
        return True
    finally:
        one.settimeout(10)


def gone(connection: Connection) -> None:
    """Its supervisor ended: the processes that were forked meanwhile have the socket, too."""
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def published(port: int, container: int, host: str) -> bytes:
    """PORT of UDP."""
    return wire.item("PORT", wire.address(host) + struct.pack("<HHHBB", port, port, container, 17, 0))


@apart()
def test_datagrams_go_out_and_come_back_whole(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    for world, other in (("198.51.100.1", "198.51.100.9"), ("2001:db8::1", "2001:db8::2")):
        with remote(world, 7000) as one, remote(other) as two:
            box.run(SEND, world, b"first", world, 7000)
            data, seen = one.recvfrom(100)
            assert data == b"first"
            assert not seen[0].startswith(("172.", "fd00")), "the host's address is what the world sees"
            one.sendto(b"answer", seen)
            assert box.run(RECEIVE, world) == (b"answer", (world, 7000))
            two.sendto(b"who are you", seen)
            assert box.run(RECEIVE, world) == (b"who are you", (other, two.getsockname()[1]))
            box.run(SEND, world, b"to another", other, two.getsockname()[1])
            assert two.recvfrom(100)[1][1] == seen[1], "every remote sees the same port"
            big = os.urandom(60000)
            for turn in range(50):
                box.run(SEND, world, bytes((turn,)) + big[: turn * 1200], world, 7000)
                data, peer = one.recvfrom(65536)
                assert (data, peer) == (bytes((turn,)) + big[: turn * 1200], seen)
                one.sendto(data, seen)
                assert box.run(RECEIVE, world) == (data, (world, 7000))
            one.sendto(b"", seen)
            assert box.run(RECEIVE, world) == (b"", (world, 7000))


@apart()
def test_nobody_listens_then_the_container_is_told(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    assert box.run(COMPLAINT, "198.51.100.1", 9) == 111
    assert box.run(COMPLAINT, "2001:db8::1", 9) == 111
    assert box.run(COMPLAINT, "198.51.100.1", 9) == 111, "again: an error is told to who it is for"
    # No route: what a router would say.
    assert box.run(PING, "203.0.113.1", b"abcd", (0, 3))[1:3] == (3, 0)


@apart()
def test_hops_that_run_out_and_other_protocols_are_told(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    for address in ("198.51.100.1", "2001:db8::1"):
        assert box.run(COMPLAINT, address, 9, 1) == 113, "time exceeded, by the gateway"
        assert box.run(COMPLAINT, address, 9, 2) == 111, "the port is two hops away"
    assert box.run(STRANGE, "198.51.100.1", 253) == 92, "protocol unreachable"


@apart()
def test_loopback_of_the_host_is_out_of_reach_unless_asked_for(net: Net) -> None:
    one, _, _ = net.register(1, interface(v6=True))
    two, _, _ = net.register(2, number("HOST_GATEWAY", 1) + interface(v6=True))
    for loopback, gateway in (("127.0.0.1", "172.18.0.1"), ("::1", "fd00:18::1")):
        with remote(loopback) as service:
            port = service.getsockname()[1]
            assert one.run(COMPLAINT, gateway, port) == 111
            two.run(SEND, gateway, b"asked", gateway, port)
            data, seen = service.recvfrom(10)
            assert (data, seen[0]) == (b"asked", loopback)
            service.sendto(b"given", seen)
            assert two.run(RECEIVE, gateway) == (b"given", (gateway, port))
            assert quiet(service), "it heard of the other one"
            # Nobody of the host's loopback gets into a container that did not ask for it.
            with remote("198.51.100.1" if gateway[0] == "1" else "2001:db8::1", 7001) as world:
                name = world.getsockname()[0]
                one.run(SEND, name, b"x", name, 7001)
                mapping = world.recvfrom(10)[1]
                service.sendto(b"forged", (loopback, mapping[1]))
                world.sendto(b"real", mapping)
                assert one.run(RECEIVE, name) == (b"real", (name, 7001))


@apart()
def test_an_internal_network_has_no_way_out(net: Net) -> None:
    box, _, _ = net.register(1, interface(flags=5, v6=True))
    with remote("198.51.100.1", 7000) as world:
        box.run(ROUTE, "172.18.0.1")  # it has none; one with NET_ADMIN makes one
        assert box.run(COMPLAINT, "198.51.100.1", 7000) == 113
        assert box.run(PING, "198.51.100.1", b"abcd", (0, 3))[:3] == ("172.18.0.1", 3, 13)
        assert quiet(world)


@apart()
def test_a_published_port_shows_the_client(net: Net) -> None:
    ports = published(5300, 53, "0.0.0.0") + published(5300, 53, "::")
    box, _, answer = net.register(1, ports + interface(v6=True))
    assert answer.type == "DONE", answer.failure
    named = (("198.51.100.7", "198.51.100.1"), ("2001:db8::2", "2001:db8::1"))
    for number_, (client, host) in enumerate((*named, ("127.0.0.1", "127.0.0.1"), ("::1", "::1"))):
        name = "six" if ":" in host else "four"
        if number_ < 2:
            box.run(BIND, name, "::" if name == "six" else "0.0.0.0", 53)
        with remote(client) as one:
            for turn in range(3):
                one.sendto(b"question", (host, 5300))
                data, seen = box.run(RECEIVE, name)
                assert data == b"question"
                if number_ < 2:
                    assert tuple(seen) == one.getsockname()[:2]
                else:
                    assert seen[0] == ("fd00:18::1" if name == "six" else "172.18.0.1")
                box.run(REPLY, name, b"answer%d" % turn, *seen)
                data, peer = one.recvfrom(100)
                assert (data, peer[:2]) == (b"answer%d" % turn, (host, 5300))


@apart()
def test_a_published_port_serves_containers_of_other_networks(net: Net) -> None:
    server, _, _ = net.register(1, published(5300, 53, "0.0.0.0") + interface())
    client, _, _ = net.register(2, interface("other", 19))
    server.run(BIND, "s", "0.0.0.0", 53)
    client.run(SEND, "c", b"question", "198.51.100.1", 5300)
    data, seen = server.run(RECEIVE, "s")
    assert data == b"question"
    server.run(REPLY, "s", b"answer", *seen)
    assert client.run(RECEIVE, "c") == (b"answer", ("198.51.100.1", 5300))


@apart()
def test_a_published_port_is_free_when_its_container_is_gone(net: Net) -> None:
    ports = published(5300, 53, "0.0.0.0")
    _, connection, _ = net.register(1, ports + interface())
    _, _, refused = net.register(2, ports + interface())
    assert refused.failure[:2] == ("PUBLISH", 98)
    gone(connection)
    time.sleep(0.5)
    answer = net.register(3, ports + interface())[2]
    assert answer.type == "DONE", answer.failure


@apart()
def test_the_world_can_be_pinged(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    for address, wanted in (("198.51.100.5", 0), ("2001:db8::1", 129)):
        for size in (0, 56, 3000, 60000):
            payload = os.urandom(size)
            peer, kind, code, rest = box.run(PING, address, payload, (wanted, 1, 3))
            assert (peer, kind, code) == (address, wanted, 0)
            assert rest == struct.pack("!HH", 0x1234, 7) + payload


@apart(pings=False)
def test_where_pings_are_not_allowed_the_answer_says_so(net: Net) -> None:
    box, _, _ = net.register(1, interface(v6=True))
    assert box.run(PING, "198.51.100.5", b"abcd", (0, 3))[:3] == ("172.18.0.1", 3, 13)
    assert box.run(PING, "2001:db8::1", b"abcd", (129, 1))[:3] == ("fd00:18::1", 1, 1)
    # Its own gateway answers by itself.
    assert box.run(PING, "172.18.0.1", b"abcd", (0, 3))[1] == 0


def descriptors(net: Net) -> int:
    return len(os.listdir(f"/proc/{net.process()[0]}/fd"))


def resident(net: Net) -> int:
    """kB that are netd's own."""
    lines = Path(f"/proc/{net.process()[0]}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@apart()
def test_a_container_that_opens_ports_without_end_is_bounded_and_starves_nobody(net: Net) -> None:
    flood, connection, _ = net.register(1, interface())
    calm, _, _ = net.register(2, interface())
    with remote("198.51.100.1", 7000) as world, remote("198.51.100.3", 7001) as friend:
        calm.run(SEND, "c", b"before", "198.51.100.3", 7001)
        seen = friend.recvfrom(100)[1]
        before, memory = descriptors(net), resident(net)
        flood.run(SPRAY, 700, "198.51.100.1", 7000)
        wait_for(lambda: descriptors(net) >= before + 650)  # some datagrams may be lost
        assert resident(net) - memory <= descriptors(net) - before, "1 kB for each mapping"
        for _ in range(3):
            flood.run(SPRAY, 700, "198.51.100.1", 7000)
        assert descriptors(net) <= before + 1024 + 16
        friend.sendto(b"after", seen)
        assert calm.run(RECEIVE, "c") == (b"after", ("198.51.100.3", 7001))
        calm.run(SEND, "c", b"again", "198.51.100.3", 7001)
        assert friend.recvfrom(100) == (b"again", seen), "its mapping is the same"
        gone(connection)
        wait_for(lambda: descriptors(net) <= before + 2)
        assert world


@pytest.mark.slow
@apart()
def test_mappings_end_when_nobody_uses_them(net: Net) -> None:
    box, _, _ = net.register(1, interface())
    with remote("198.51.100.1", 53), remote("198.51.100.1", 7000) as other:
        box.run(SEND, "warm", b"x", "198.51.100.1", 7000)
        assert other.recv(10) == b"x"
        before = descriptors(net)
        box.run(SEND, "dns", b"x", "198.51.100.1", 53)
        wait_for(lambda: descriptors(net) == before + 1)
        start = time.monotonic()
        wait_for(lambda: descriptors(net) == before, 20)
        assert 9 < time.monotonic() - start < 14
        wait_for(lambda: descriptors(net) == before - 1, 30)  # 30 s after it was used once
        assert 27 < time.monotonic() - start < 36
