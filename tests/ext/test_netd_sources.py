"""Whose address a frame may come from: a container's own, never a neighbour's or the gateway's."""

from __future__ import annotations

import pytest

from pod.core.network import wire
from tests.support.netd_driver import CONNECT, INTERFACES, LISTEN, Container, Net, identity, interface, number

FRAMES = """
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 65535) + (total >> 16)
    return ~total & 65535

def v4(source, target, payload, protocol=17):
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload

def v6(source, target, payload, protocol=17):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 255,
                       socket.inet_pton(socket.AF_INET6, source), socket.inet_pton(socket.AF_INET6, target)) + payload

def datagram(six=None):
    if not six:
        return struct.pack("!HHHH", 999, 777, 8 + 6, 0) + b"forged"
    body = struct.pack("!HHHH", 999, 777, 8 + 6, 0) + b"forged"
    pseudo = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in six) + struct.pack("!II", len(body), 17)
    return body[:6] + struct.pack("!H", checksum(pseudo + body)) + body[8:]

def arp(mac, ip, theirs, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, socket.inet_aton(ip), theirs, socket.inet_aton(target))

def advertisement(mac, ip, target):
    body = struct.pack("!BBHI16sBB6s", 136, 0, 0, 0x60000000, socket.inet_pton(socket.AF_INET6, ip), 2, 1, mac)
    pseudo = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in (ip, target))
    pseudo += struct.pack("!II", len(body), 58)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]

def send(target, source, kind, payload, tags=()):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        frame = target + source + b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags)
        sock.send(frame + struct.pack("!H", kind) + payload)
"""
SEND = FRAMES + """
def main(frames):
    for target, source, kind, how, arguments, tags in frames:
        send(target, source, kind, eval(how)(*arguments), tags)
"""
SPOOF4, SPOOF6 = "lambda a, b: v4(a, b, datagram())", "lambda a, b: v6(a, b, datagram((a, b)))"
ADVERTISE = "lambda mac, a, b: v6(a, b, advertisement(mac, a, b), 58)"
WAIT = """
def main():
    for key, family in (("four", socket.AF_INET), ("six", socket.AF_INET6)):
        kept[key] = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            kept[key].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        kept[key].bind(("", 777))
        kept[key].settimeout(0.2)
"""
HEARD = """
def main():
    found = []
    for key in ("four", "six"):
        try:
            while True:
                found.append(kept[key].recvfrom(100)[1][0])
        except TimeoutError:
            pass
    return sorted(found)
"""
NEIGHBOURS = """
def main():
    return [line.split()[3] for line in open("/proc/net/arp").read().splitlines()[1:]]
"""
GATEWAY, GATEWAY6 = "172.18.0.1", "fd00:18::1"


def _mac(container: Container) -> bytes:
    return bytes.fromhex(container.run(INTERFACES)["eth0"].replace(":", ""))


class Three:
    """An attacker (…2), its victim (…3), and who hears them (…4)."""

    def __init__(self, net: Net) -> None:
        self.attacker, self.victim, self.other = (net.register(count, interface(v6=True))[0] for count in (1, 2, 3))
        self.own, self.theirs, self.to = map(_mac, (self.attacker, self.victim, self.other))
        self.other.run(WAIT)

    def forge(self, *frames: tuple[object, ...]) -> list[str]:
        """Whom the third one heard: (source MAC, protocol, how, arguments, *tags)."""
        self.attacker.run(SEND, [(self.to, *frame[:4], frame[4:]) for frame in frames])
        found: list[str] = self.other.run(HEARD)
        return found


def test_datagrams_of_a_forged_source_reach_nobody(net: Net) -> None:
    three = Three(net)
    ours = (("172.18.0.2", "172.18.0.4"), ("fd00:18::2", "fd00:18::4"))
    sent = [(three.own, 0x800, SPOOF4, ours[0]), (three.own, 0x86DD, SPOOF6, ours[1])]
    assert three.forge(*sent) == ["172.18.0.2", "fd00:18::2"], "its own addresses are heard"
    assert three.forge((three.own, 0x800, SPOOF4, ("172.18.9.9", "172.18.0.4"))) == ["172.18.9.9"], "nobody's too"
    forged = []
    for source in ("172.18.0.3", GATEWAY):
        for tags in ((), (0,), (0, 0), (0, 0, 0)):
            forged.append((three.own, 0x800, SPOOF4, (source, "172.18.0.4"), *tags))
    forged += [(three.own, 0x86DD, SPOOF6, (source, "fd00:18::4")) for source in ("fd00:18::3", GATEWAY6)]
    forged.append((three.theirs, 0x800, SPOOF4, ours[0]))
    assert three.forge(*forged) == []


def test_neighbours_are_not_misled(net: Net) -> None:
    three = Three(net)
    three.victim.run(LISTEN, "0.0.0.0", 80)
    three.victim.run(LISTEN.replace("listener", "other"), "::", 81)
    lies = [(three.own, 0x806, "arp", (three.own, ip, three.to, "172.18.0.4")) for ip in ("172.18.0.3", GATEWAY)]
    lies += [(three.own, 0x86DD, ADVERTISE, (three.own, ip, "fd00:18::4")) for ip in ("fd00:18::3", GATEWAY6)]
    own6 = "lambda mac, a, b, c: v6(c, b, advertisement(mac, a, b), 58)"
    for _ in range(2):
        assert three.other.run(CONNECT, "172.18.0.3", 80)
        assert three.other.run(CONNECT, "fd00:18::3", 81)
        three.forge(*lies, (three.own, 0x86DD, own6, (three.own, "fd00:18::3", "fd00:18::4", "fe80::5")))
        assert three.own.hex(":") not in three.other.run(NEIGHBOURS)
    assert three.other.run(CONNECT, "172.18.0.3", 80)
    assert three.other.run(CONNECT, "fd00:18::3", 81)


@pytest.mark.parametrize("forging", [False, True])
def test_the_hosts_loopback_is_out_of_reach_for_who_forges_one_that_may(net: Net, forging: bool) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(1)
        port = service.getsockname()[1]
        allowed = net.container()
        connection = net.connect()
        items = identity(9) + number("FDS", 31) + number("HOST_GATEWAY", 1)
        done = connection.ask("REGISTER", items + interface("net", 18, 4, v6=True), allowed.fds)
        attacker, _, _ = net.register(1, interface(v6=True))
        sender = attacker if forging else allowed
        address = done.state["Networks"]["net"]["IPAddress"]
        assert not sender.run(CONNECT, GATEWAY, 1), "the neighbour is known now"
        gateway = bytes.fromhex(sender.run(NEIGHBOURS)[0].replace(":", ""))
        to_service = f"lambda a, b: v4(a, b, struct.pack('!HHHH', 999, {port}, 14, 0) + b'forged')"
        for source in (_mac(sender), _mac(allowed)):
            sender.run(SEND, [(gateway, source, 0x800, to_service, (address, GATEWAY), ())])
        if not forging:
            assert service.recv(100) == b"forged"
            return
        with pytest.raises(socket.timeout):
            service.recv(100)


def test_an_address_is_free_again_with_its_container(net: Net) -> None:
    """And one MAC of two networks is known until both are gone."""
    same = wire.item("MAC", bytes.fromhex("0242deadbe01"))
    for _ in range(3):
        _, connection, _ = net.register(1, interface("net", 18, 4, same, v6=True))
        second, other, _ = net.register(2, interface("two", 19, 4, same, v6=True))
        third, _, _ = net.register(3, interface(v6=True) + interface("two", 19, v6=True))
        third.run(LISTEN, "0.0.0.0", 80)
        connection.send("RELEASE")
        assert second.run(CONNECT, "172.19.0.3", 80)
        again, kept, done = net.register(4, interface("net", 18, 4, same, v6=True))
        assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.2"
        assert again.run(CONNECT, "172.18.0.3", 80)
        for one in (connection, other, kept, net.connections[-2]):
            one.close()
