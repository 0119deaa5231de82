"""pod-netd begins, is killed, comes back, and meets clients that mean it no good."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import signal
import socket
import stat
import struct
import threading
import time
from pathlib import Path

import pytest

from pod.core.network import wire
from tests.ext.test_netd import answers
from tests.support import places
from tests.support.netd_driver import (
    CONNECT,
    INTERFACES,
    LISTEN,
    Connection,
    Message,
    Net,
    identity,
    interface,
    number,
    packet,
    subnet,
    text,
    wait_for,
)


def kill(net: Net, name: str = "pod-netd") -> None:
    """SIGKILL to all of that name; waits until they are gone."""
    gone = net.process(name)
    assert gone
    for pid in gone:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not set(gone) & set(net.process(name)))


def hello(connection: Connection) -> list[int]:
    """The descriptors that a supervisor keeps."""
    found = connection.receive()
    assert found.type == "HELLO"
    return found.fds


def again(
    net: Net, count: int, done: Message, kept: list[int], fds: list[int], *more: bytes
) -> tuple[Connection, Message]:
    """A supervisor whose netd was killed; it comes again where that one goes, too."""
    lease = wire.item("LEASE", done.get("LEASE"))
    items = identity(count) + number("FDS", 31) + interface("net", 18, 4, lease, *more, v6=True)
    for _ in range(3):
        connection = net.connect(kept)
        with contextlib.suppress(ConnectionError, EOFError):
            return connection, connection.ask("REGISTER", items, fds)
    raise AssertionError("each netd goes before it answers")


def test_netd_that_was_killed_comes_back_and_traffic_never_stopped(net: Net) -> None:
    first = net.connect()
    kept = hello(first)
    one = net.container()
    done = first.ask("REGISTER", identity(1) + number("FDS", 31) + interface(v6=True), one.fds)
    two, _, done2 = net.register(2, interface(v6=True))
    one.run(LISTEN, "0.0.0.0", 80)
    kill(net)
    assert two.run(CONNECT, "172.18.0.2", 80)
    with pytest.raises((EOFError, ConnectionResetError)):
        first.receive()
    # The other registers first: addresses are those of the leases all the same.
    _, after2 = again(net, 2, done2, kept, two.fds)
    first, after = again(net, 1, done, kept, one.fds)
    assert (after.state, after2.state) == (done.state, done2.state)
    assert (after.get("HOSTS"), after.get("LEASE")) == (done.get("HOSTS"), done.get("LEASE"))
    assert two.run(CONNECT, "172.18.0.2", 80)
    assert answers(one, two, "172.18.0.3", 81)
    assert len(net.process()) == 1
    three, _, done3 = net.register(3, interface(v6=True))
    assert done3.state["Networks"]["net"]["IPAddress"] == "172.18.0.4"
    assert three.run(CONNECT, "172.18.0.2", 80)


def test_a_client_that_comes_before_any_supervisor_finds_the_same_bridges(net: Net) -> None:
    one, _, _ = net.register(1, interface(v6=True))
    (holder,) = net.process("pod-holder")
    kill(net)
    two, _, _ = net.register(2, interface("net", 18, 4, wire.item("ADDRESS", wire.address("172.18.0.9")), v6=True))
    assert answers(two, one, "172.18.0.2", 80)
    assert len(net.process("pod-holder")) == 2, "the old one lingers, and its pin is gone"
    assert len([path for path in net.folder.iterdir() if path.name.startswith("holder-")]) == 1
    assert holder in net.process("pod-holder")


def test_netd_and_holder_killed_at_once_leave_the_bridges_to_supervisors(net: Net) -> None:
    first = net.connect()
    kept = hello(first)
    one = net.container()
    done = first.ask("REGISTER", identity(1) + number("FDS", 31) + interface(v6=True), one.fds)
    two, _, done2 = net.register(2, interface(v6=True))
    kill(net, "pod-holder")
    kill(net)
    for count, container, answer in ((1, one, done), (2, two, done2)):
        assert again(net, count, answer, kept, container.fds)[1].state == answer.state
    assert answers(two, one, "172.18.0.2", 80)


def test_a_holder_that_was_killed_is_made_again(net: Net) -> None:
    one, _, _ = net.register(1, interface(v6=True))
    (old,) = net.process("pod-holder")
    kill(net, "pod-holder")
    (new,) = wait_for(lambda: net.process("pod-holder"))
    assert new != old
    two, _, done = net.register(2, interface(v6=True) + interface("other", 19, v6=True))
    assert done.type == "DONE"
    assert answers(two, one, "172.18.0.2", 80)


def test_a_world_that_is_lost_is_made_anew_in_running_containers(net: Net) -> None:
    one, _, done = net.register(1, interface(v6=True))
    two, _, done2 = net.register(2, interface(v6=True))
    kill(net, "pod-holder")
    kill(net)
    for path in net.folder.glob("holder-*"):
        path.unlink()
    for count, container, answer in ((1, one, done), (2, two, done2)):
        connection = net.connect()
        lease = wire.item("LEASE", answer.get("LEASE"))
        items = identity(count) + number("FDS", 31) + interface("net", 18, 4, lease, v6=True)
        after = connection.ask("REGISTER", items, container.fds)
        assert after.state == answer.state
    assert sorted(one.run(INTERFACES)) == ["eth0", "lo"]
    assert answers(two, one, "172.18.0.2", 80)


def test_many_that_start_at_once_find_one_netd(net: Net) -> None:
    for _ in range(3):
        found: list[Connection] = []
        threads = [threading.Thread(target=lambda all_=found: all_.append(net.connect())) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 16
        assert {json.loads(one.ask("QUERY").get("JSON"))["Holder"] for one in found} == set(net.process("pod-holder"))
        assert len(net.process()) == 1
        for one in found:
            one.close()
        kill(net)
        kill(net, "pod-holder")


@pytest.mark.slow
def test_a_start_while_the_old_one_goes_finds_one_that_stays(net: Net) -> None:
    """Again and again at the moment when it goes: whoever is connected is served."""
    for delay in (1.9, 1.98, 2.02, 2.06, 2.1, 2.2):
        net.connect().close()
        time.sleep(delay)
        connection = net.connect()
        assert connection.ask("QUERY").type == "ANSWER"
        connection.close()
    assert len(net.process()) == 1


def test_what_a_newer_version_says_is_answered_or_skipped(net: Net) -> None:
    container = net.container()
    strange = struct.pack("<HH", 999, 5) + b"12345\0\0\0"
    short_lease = wire.item("LEASE", wire.address("172.18.0.7"))
    long_lease = wire.item("LEASE", wire.address("172.18.0.8") + bytes(400))
    longer = wire.item("SUBNET", wire.address("10.0.0.0") * 4 + bytes((8, 4, 0, 0)) + b"more")
    items = strange + identity(1) + strange + number("FDS", 31)
    connection = net.connect()
    done = connection.ask("REGISTER", items + interface("net", 18, 4, short_lease, strange), container.fds)
    assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.7"
    done = net.register(2, interface("net", 18, 4, long_lease))[2]
    assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.8"
    connection.sock.send(struct.pack("<IHHII", 0x54454E50, 2, 77, 5, len(strange)) + strange)
    failed = connection.receive()
    assert (failed.type, failed.serial, failed.failure) == ("FAILED", 5, ("NETWORK", errno.EOPNOTSUPP, "message"))
    assert connection.ask("QUERY", strange).type == "ANSWER"
    assert net.register(3, interface("net", 18) + longer)[2].type == "DONE"


def garbage() -> list[bytes]:
    rng = random.Random(7)
    good = packet("REGISTER", identity(1) + number("FDS", 31) + interface(v6=True))
    found = [b"x", b"PNET", good[:-1], good + b"\0", good[:20], packet("REGISTER", b"\1\0\xff\xff")]
    found += [b"\0" * 16, packet("REGISTER", b"\0\0\4\0\0"), good[:12] + b"\xff\xff\xff\xff" + good[16:]]
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        found.append(bytes(data))
    return found


def test_garbage_ends_its_connection_and_nobody_else(net: Net) -> None:
    _, connection, _ = net.register(1, interface())
    for data in garbage():
        bad = net.connect()
        bad.receive().close()
        with contextlib.suppress(OSError):
            bad.sock.send(data)
        bad.close()
        net.connections.remove(bad)
    assert connection.ask("QUERY").type == "ANSWER"
    done = net.register(2, interface())[2]
    assert done.type == "DONE", done.items
    (pid,) = net.process()
    for number_ in [16, 33]:  # more descriptors than it wants, and those of nothing
        bad = net.connect()
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(number_)]
        before = len(os.listdir(f"/proc/{pid}/fd"))
        with contextlib.suppress(EOFError, OSError):
            for _ in range(20):
                bad.send("QUERY", b"", fds)
            bad.receive().close()
        bad.close()
        wait_for(lambda count=before: len(os.listdir(f"/proc/{pid}/fd")) <= count)
        for fd in fds:
            os.close(fd)
    failed = net.connect().ask("REGISTER", identity(9) + number("FDS", 31) + interface(), [0, 1, 2])
    assert failed.type == "FAILED"
    assert connection.ask("QUERY").type == "ANSWER"


@pytest.mark.parametrize(
    ("items", "path"),
    [
        (b"", "container"),
        (text("CONTAINER", "x" * 65), "container"),
        (identity(3) + wire.item("END", b"") * 33, "interfaces"),
        (identity(3) + interface() + text("ALIAS", "a") * 65, "aliases"),
        (identity(3) + interface() + wire.item("TAKEN", bytes(16)) * 65, "taken addresses"),
        (identity(3) + interface("b", 19).replace(b"br-19", b"../19"), "bridge"),
        (identity(3) + interface("b", 19).replace(b"br-19", b"br-18"), "b"),
        (identity(3) + interface("b", 19) + subnet("172.16.0.0", "172.16.0.1", "172.16.0.1", "172.31.0.1", 12), "b"),
        (identity(3) + interface() + wire.item("SUBNET", bytes(66) + b"\4\0"), "subnet"),
        (identity(3) + interface() + wire.item("MAC", b"\1\0\0\0\0\0"), "mac address"),
        (identity(3) + wire.item("PORT", bytes(24)), "port"),
        (identity(3) + interface() + text("NET_NAME", "a\0b"), "network's name"),
        (identity(1) + interface(), "container"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(net: Net, items: bytes, path: str) -> None:
    net.register(1, interface())
    container = net.container()
    failed = net.connect().ask("REGISTER", number("FDS", 31) + items, container.fds)
    assert (failed.type, failed.failure[0], failed.failure[2]) == ("FAILED", "NETWORK", path)
    assert net.register(2, interface())[2].state["Networks"]["net"]["IPAddress"] == "172.18.0.3"


def test_who_does_not_read_is_not_read_from_and_costs_little(net: Net) -> None:
    _, connection, _ = net.register(1, interface())
    slow = net.connect()
    slow.sock.settimeout(0.2)
    sent = 0
    with contextlib.suppress(TimeoutError, BlockingIOError):
        for _ in range(100_000):
            slow.send("QUERY")
            sent += 1
    assert sent < 5000
    (pid,) = net.process()
    assert connection.ask("QUERY").type == "ANSWER"
    assert resident(net, pid) < 2048
    slow.sock.settimeout(20)
    for _ in range(sent):  # all that it asked is answered in the end
        while (found := slow.receive()).type != "ANSWER":
            found.close()


def resident(net: Net, pid: int) -> int:
    """Private and shared memory, kB (PSS); 0 of a program with sanitizers, whose memory is another's affair."""
    if net.program != places.REPOSITORY / "ext/pod-netd":
        return 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError


def test_a_flood_of_connections_is_bounded_and_containers_are_still_served(net: Net) -> None:
    _, connection, _ = net.register(1, interface())
    two = net.container()
    (pid,) = net.process()
    before = len(os.listdir(f"/proc/{pid}/fd"))
    flood = []
    try:
        for _ in range(250):  # more would meet the limit of descriptors on their way, which the user has
            flood.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            flood[-1].settimeout(5)
            flood[-1].connect(str(net.folder / "ctl"))
        assert connection.ask("QUERY").type == "ANSWER"
        assert net.register(2, interface(), two)[2].type == "DONE"
        assert resident(net, pid) < 2048
    finally:
        for one in flood:
            one.close()
    wait_for(lambda: len(os.listdir(f"/proc/{pid}/fd")) < before + 20)


def test_the_folder_is_the_users_alone_and_memory_is_small(net: Net) -> None:
    for count in range(1, 6):
        assert net.register(count, interface(v6=True))[2].type == "DONE"
    assert stat.S_IMODE(net.folder.stat().st_mode) == 0o700
    (pid,) = net.process()
    assert resident(net, pid) + sum(resident(net, one) for one in net.process("pod-holder")) < 2048


def test_a_netd_that_cannot_work_says_why(net: Net, tmp_path: Path) -> None:
    with socket.socket() as nothing:
        connection = net.connect([nothing.fileno(), nothing.fileno(), os.open(net.program, os.O_RDONLY)])
    answer = connection.receive()
    # Descriptors that are no namespaces: it makes its own.
    assert answer.type == "HELLO"
    kill(net)
    kill(net, "pod-holder")
    net.program = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError):
        net.connect()
    net.program.write_text("#!/nowhere\n")
    with pytest.raises((EOFError, ConnectionError)):
        net.connect().receive()


@pytest.mark.slow
def test_containers_come_and_go_a_thousand_times(net: Net) -> None:
    _, keep, _ = net.register(0, interface())
    (pid,) = net.process()
    before = None
    for count in range(1, 1001):
        container, connection, done = net.register(count, interface())
        assert done.type == "DONE"
        container.end()
        connection.close()
        net.connections.remove(connection)
        net.containers.remove(container)
        if count == 200:
            before = (len(os.listdir(f"/proc/{pid}/fd")), resident(net, pid))
    assert before
    assert wait_for(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before[0] + 2)
    assert resident(net, pid) < before[1] + 64
    assert keep.ask("QUERY").type == "ANSWER"
