"""Datagrams that are meant to harm: floods by containers and by the world, forged senders; by a real netd."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from tests.ext.net_apart import apart, remote
from tests.ext.test_netd_udp import BIND, RECEIVE, REPLY, SEND, descriptors, published, quiet
from tests.support.netd_driver import Net, interface, number

pytestmark = pytest.mark.alike

FLOOD = """
def main(address, port, seconds):
    if os.fork():
        return
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.connect((address, port))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            one.send(b"x" * 1000)
        except OSError:
            pass
    os._exit(0)
"""
TRY = """
def main(payload, address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.5)
        for _ in range(20):
            one.sendto(payload, (address, port))
            try:
                return one.recv(100)
            except OSError:
                pass
"""
FORGE = """
def main(source, target, by, port):
    six = ":" in source
    family = socket.AF_INET6 if six else socket.AF_INET
    content = struct.pack("!HHHH", 4444, port, 12, 0) + b"evil"
    if six:
        words = struct.pack("!II", len(content), 17)
        packet = socket.inet_pton(family, source) + socket.inet_pton(family, target) + words + content
        total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        content = content[:6] + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + content[8:]
        head = struct.pack("!IHBB", 6 << 28, len(content), 17, 64)
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(content), 0, 0, 64, 17, 0)
    head += socket.inet_pton(family, source) + socket.inet_pton(family, target)
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as one:
        one.sendto(head + content, (by, 0))
"""


def echo(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            one.sendto(*one.recvfrom(100))


@apart()
def test_a_flood_of_one_container_does_not_keep_others_from_answers(net: Net) -> None:
    flood, _, _ = net.register(1, interface())
    calm, _, _ = net.register(2, interface())
    with remote("198.51.100.1", 7000) as sink, remote("198.51.100.3", 7001) as friend:
        flood.run(FLOOD, "198.51.100.1", 7000, 3)
        threading.Thread(target=echo, args=(friend,), daemon=True).start()
        for turn in range(10):
            assert calm.run(TRY, b"turn %d" % turn, "198.51.100.3", 7001) == b"turn %d" % turn
        assert sink.recv(2000)


@apart()
def test_a_flood_of_clients_does_not_keep_a_published_port_from_others(net: Net) -> None:
    one, _, _ = net.register(1, published(5300, 53, "0.0.0.0") + interface())
    two, _, _ = net.register(2, interface())
    with remote("198.51.100.3", 7001) as friend:
        two.run(SEND, "c", b"before", "198.51.100.3", 7001)
        seen = friend.recvfrom(100)[1]
        before = descriptors(net)
        for count in range(1500):
            with remote(f"198.51.100.{10 + count % 200}") as client:
                client.sendto(b"", ("198.51.100.1", 5300))
        assert descriptors(net) <= before + 1024 + 16
        one.run(BIND, "s", "0.0.0.0", 53)
        with remote("198.51.100.250") as client:
            client.sendto(b"mine", ("198.51.100.1", 5300))
            data, peer = one.run(RECEIVE, "s")
            while not data:  # of the flood, on its way since before the bind
                data, peer = one.run(RECEIVE, "s")
            assert (data, tuple(peer)) == (b"mine", client.getsockname())
            one.run(REPLY, "s", b"yours", *peer)
            assert client.recv(10) == b"yours"
        friend.sendto(b"after", seen)
        assert two.run(RECEIVE, "c")[0] == b"after"


@apart()
def test_forged_senders_and_loopback_in_disguise_get_nowhere(net: Net) -> None:
    bad, _, _ = net.register(1, interface(v6=True))
    net.register(2, number("HOST_GATEWAY", 1) + interface("other", 19, v6=True))
    heard = [remote("198.51.100.1", 7000), remote("127.0.0.1", 7000), remote("2001:db8::1", 7000), remote("::1", 7000)]
    for source in ("172.19.0.2", "198.51.100.1", "8.8.8.8", "127.0.0.1", "172.18.0.77"):
        for target in ("198.51.100.1", "172.19.0.1", "172.18.0.1"):
            bad.run(FORGE, source, target, "172.18.0.1", 7000)
    for source in ("fd00:19::2", "2001:db8::1", "::1", "::ffff:172.19.0.2", "fd00:18::77"):
        for target in ("2001:db8::1", "fd00:19::1", "::ffff:127.0.0.1", "::127.0.0.1"):
            bad.run(FORGE, source, target, "2001:db8::1", 7000)
    for target in ("::ffff:127.0.0.1", "::ffff:198.51.100.1", "::127.0.0.1", "::1"):
        bad.run(FORGE, "fd00:18::2", target, "2001:db8::1", 7000)
    bad.run(FORGE, "172.18.0.2", "127.0.0.1", "172.18.0.1", 7000)
    bad.run(FORGE, "172.18.0.2", "0.0.0.0", "172.18.0.1", 7000)
    time.sleep(0.3)
    assert [one.getsockname()[0] for one in heard if not quiet(one)] == []
    # The same by its own address arrives: the packets were sound.
    bad.run(FORGE, "172.18.0.2", "198.51.100.1", "172.18.0.1", 7000)
    bad.run(FORGE, "fd00:18::2", "2001:db8::1", "2001:db8::1", 7000)
    for one in (heard[0], heard[2]):
        assert one.recv(10) == b"evil"
    assert net.process(), "netd lives"
