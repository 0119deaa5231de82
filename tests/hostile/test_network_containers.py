"""What a container may do to others and to the host by its network: forged addresses, floods, ways to the loopback."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import compilers, netd, netload
from tests.support.crafted import Craft
from tests.support.inside import Inside, found, free_ports, host_address, reaches
from tests.support.podcli import Pod

pytestmark = pytest.mark.alike

SOURCE = Path(__file__).with_name("network_attacks.c")
KILOBYTES = 32 << 10
"""Most that the network process may take, whatever is thrown at it."""


@pytest.fixture(scope="module")
def attacking(craft: Craft, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with /bin/attack."""
    program = tmp_path_factory.mktemp("attack") / "attack"
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compilers.host(), *flags, "-o", str(program), str(SOURCE)], check=True, timeout=120)
    return craft.make(lambda layer: layer.add("bin/attack", program.read_bytes(), mode=0o755))


@pytest.fixture
def inside(pod: Pod, attacking: str, load: Path) -> Iterator[Inside]:
    made = Inside(pod, attacking, load)
    yield made
    made.close()


class Datagrams:
    """A socket of the host's that writes down who sent what."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(1)
        self.port = self.socket.getsockname()[1]

    def received(self) -> list[bytes]:
        got = []
        try:
            while True:
                got.append(self.socket.recv(100))
        except socket.timeout:
            return got


def _attack(pod: Pod, name: str, *words: object) -> str:
    return pod("exec", name, "attack", *map(str, words), timeout=120).ok()


def test_network_when_a_source_address_is_forged_then_the_packet_ends_at_its_bridge(pod: Pod, inside: Inside) -> None:
    inside.network("one", "--subnet", "10.88.1.0/24")
    inside.network("two", "--subnet", "10.88.2.0/24")
    inside.serving("attacker", "--network", "one")
    inside.serving("victim", "--network", "two", "--ip", "10.88.2.9")
    host = Datagrams(host_address())
    for source in ("10.88.2.9", "8.8.8.8", "127.0.0.1", host_address(), "10.88.2.1"):
        _attack(pod, "attacker", "spoof", source, host_address(), host.port, 20)
        _attack(pod, "attacker", "spoof", source, "10.88.2.9", netload.PORT, 20)
    assert host.received() == []
    own = inside.address("attacker", "one")
    assert _attack(pod, "attacker", "spoof", own, host_address(), host.port, 3) == "done\n"
    assert host.received() == [b"spoofed!"] * 3, "a packet with its own address goes out"
    host.socket.close()
    client = inside("client", "--network", "two")
    assert reaches(client, "10.88.2.9")


def test_network_when_anothers_address_is_claimed_then_other_bridges_do_not_hear_of_it(
    pod: Pod, inside: Inside
) -> None:
    inside.network("one", "--subnet", "10.88.1.0/24")
    inside.network("two", "--subnet", "10.88.2.0/24")
    inside.serving("attacker", "--network", "one")
    inside.serving("victim", "--network", "two", "--ip", "10.88.2.9")
    client, neighbour = inside("client", "--network", "two"), inside("neighbour", "--network", "one")
    inside.host()
    assert reaches(client, "10.88.2.9")
    for address in ("10.88.2.9", "10.88.2.1", host_address()):
        _attack(pod, "attacker", "steal", address, 50)
    assert reaches(client, "10.88.2.9")
    for agent in (client, neighbour):
        assert reaches(agent, host_address(), inside.host_port)
    arp = pod("exec", "client", "cat", "/proc/net/arp").ok()
    assert pod.inspect("attacker")["NetworkSettings"]["Networks"]["one"]["MacAddress"] not in arp


def test_network_when_the_hosts_loopback_is_tried_then_nobody_answers(pod: Pod, inside: Inside) -> None:
    inside.network("one")
    client = inside("client", "--network", "one")
    with socket.socket() as service, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        service.bind(("127.0.0.1", 0))
        service.listen()
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(0.5)
        port = service.getsockname()[1]
        gateway = inside.address("client", "one", "Gateway")
        for address in (gateway, host_address(), "127.0.0.1", "0.0.0.0", "169.254.1.2", "127.1.2.3"):
            assert not reaches(client, address, port), address
            client.tries("udpwho", address, datagrams.getsockname()[1])
        own = inside.address("client", "one")
        _attack(pod, "client", "spoof", own, "127.0.0.1", datagrams.getsockname()[1], 3)
        with pytest.raises(socket.timeout):
            datagrams.recv(1)


def test_network_when_the_gateways_ports_are_scanned_then_only_the_resolver_is_there(pod: Pod, inside: Inside) -> None:
    inside.network("one", "--subnet", "10.88.1.0/24")
    inside.network("two", "--subnet", "10.88.2.0/24")
    inside.serving("client", "--network", "one")
    inside.serving("other", "--network", "two")
    assert set(_attack(pod, "client", "scan", "10.88.1.1", 1, 65535).split()) <= {"53", "done"}
    assert _attack(pod, "client", "scan", "10.88.2.1", 1, 200) == "done\n"


def test_network_when_a_container_looks_for_the_control_socket_then_it_is_nowhere(pod: Pod, inside: Inside) -> None:
    inside.serving("client")
    folder = netd.folders(pod.root)[0]
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    for flags in (("--network", "bridge"), ("--network", "host"), ("--network", "none", "--privileged")):
        listed = pod("run", "--rm", *flags, inside.image, "sh", "-c", f"ls -d {folder}; cat /proc/net/unix").out
        assert "@pod" not in listed
        assert folder not in listed.splitlines()[:1]
        if "host" not in flags:
            assert "netd/ctl" not in listed
    held = pod("exec", "client", "sh", "-c", "for fd in /proc/self/fd/*; do readlink $fd; done; true").ok()
    assert "socket:" not in held
    assert "net:" not in held


def _floods() -> list[tuple[object, ...]]:
    address = host_address()
    return [
        ("sockets", address, 9, 15000),
        ("syns", "-", address, 9, 30000),
        ("syns", "-", "203.0.113.77", 80, 30000),
        ("spoof", "-", "203.0.113.77", 80, 30000),
    ]


def test_network_when_one_floods_then_others_are_served_and_memory_is_bounded(pod: Pod, inside: Inside) -> None:
    port = free_ports(1)
    inside.network("one")
    inside.serving("attacker", "--network", "one")
    inside.serving("server", "--network", "one", "-p", f"{port}:{netload.PORT}")
    client = inside("client", "--network", "one")
    inside.host()
    address = inside.address("server", "one")
    for words in _floods():
        flood = threading.Thread(target=pod, args=("exec", "attacker", "attack", *map(str, words)))
        flood.start()
        rounds = 0
        while flood.is_alive() or rounds == 0:
            assert found(client, "server") == [address], words
            assert reaches(client, host_address(), inside.host_port), words
            assert inside.host().ask("udpwho", "127.0.0.1", inside.host_port), words
            asked = (client.tries("udpwho", host_address(), inside.host_port) for _ in range(5))
            assert any(not answer.startswith("error") for answer in asked), words
            assert reaches(inside.host(), "127.0.0.1", port), words
            rounds += 1
        flood.join()
        for pid, name in netd.processes(pod.root).items():
            assert netd.memory(pid) < KILOBYTES, (words, name)
    assert pod("run", "--rm", "--network", "one", inside.image, "true").code == 0


def test_network_when_its_socket_is_flooded_with_garbage_then_containers_start_and_meet(
    pod: Pod, inside: Inside
) -> None:
    """By the user's own programs: nobody else reaches the folder."""
    inside.serving("server")
    folder = netd.folders(pod.root)[0]
    peers = []
    try:
        for number in range(600):
            try:
                peer = netd.connect(folder)
            except OSError:
                break
            peers.append(peer)
            peer.settimeout(0.2)
            try:
                netd.receive(peer)
                peer.send(bytes([number % 256]) * (1 + number * 37 % 3000))
                peer.send(netd.message(number % 16, bytes([number % 256]) * (number % 200)))
            except OSError:
                continue
        client = inside("client")
        assert reaches(client, inside.address("server", "bridge"))
        pid = netd.pid(pod.root)
        assert netd.memory(pid) < KILOBYTES
    finally:
        for peer in peers:
            peer.close()
    assert netd.containers(pod.root)
