"""The resolver's own C in a network namespace: foreign names, of servers that fail, are silent, lie or overflow."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

import pytest

from tests.ext import resolving
from tests.ext.resolving import INTERNAL, NAMES, SECOND, World
from tests.support import dns

pytestmark = pytest.mark.pure

WEB, DB = "a" * 64, "b" * 64


@pytest.fixture
def web(world: World) -> resolving.Box:
    """A container on a user network."""
    world.net("1")
    made = world.box(WEB, "web")
    world.end(WEB, "1", "172.20.0.2")
    return made


def fine(packet: bytes) -> list[bytes]:
    return [dns.reply(packet, dns.address("192.0.2.7"))]


def coded(code: int, text: str = "192.0.2.9"):  # type: ignore[no-untyped-def]
    return lambda packet: [dns.reply(packet, *([] if code else [dns.address(text)]), code=code)]


def silent(packet: bytes) -> list[bytes]:
    return []


def test_foreign_names_are_asked_as_they_came(world: World, web: resolving.Box) -> None:
    asked = world.serve(fine)
    question = dns.question("WwW.Example.org", dns.A, 99, edns=1400, flags=0x0130)
    found = world.ask(web.udp, question)
    assert (found.id, found.code, found.data()) == (99, dns.OK, ["192.0.2.7"])
    assert found.question == ("WwW.Example.org", dns.A)
    assert asked[0][2:] == question[2:]
    ids = set()
    for number in range(20):
        world.ask(web.udp, dns.question(f"n{number}.example"))
        ids.add(asked[-1][:2])
    assert len(ids) >= 15, "ids are not random"


def test_the_own_letters_are_given_back(world: World, web: resolving.Box) -> None:
    world.serve(lambda packet: [dns.reply(packet.replace(b"eXAMPLE", b"Example"), dns.address("192.0.2.7"))])
    assert world.ask(web.udp, dns.question("eXAMPLE")).question == ("eXAMPLE", dns.A)


@pytest.mark.parametrize("code", [dns.OK, dns.NXDOMAIN, dns.FORMERR])
def test_what_a_server_says_is_passed_on(world: World, web: resolving.Box, code: int) -> None:
    world.resolv_conf("nameserver 127.0.0.53\nnameserver 127.0.0.54\n")
    world.serve(coded(code))
    second = world.serve(fine, "127.0.0.54")
    assert world.ask(web.udp, dns.question("name.example")).code == code
    assert not second


@pytest.mark.parametrize("code", [dns.SERVFAIL, dns.REFUSED, dns.NOTIMP])
def test_the_next_server_is_asked_where_one_fails(world: World, web: resolving.Box, code: int) -> None:
    world.resolv_conf("nameserver 127.0.0.53\nnameserver 127.0.0.54\nnameserver 127.0.0.55\n")
    world.serve(lambda packet: [packet[:2] + struct.pack(">5H", 0x8180 | code, 0, 0, 0, 0)])
    world.serve(coded(code), "127.0.0.54")
    assert world.ask(web.udp, dns.question("one.example")).code == dns.SERVFAIL, "nobody listens at the third"
    third = world.serve(fine, "127.0.0.55")
    assert world.ask(web.udp, dns.question("two.example")).data() == ["192.0.2.7"]
    assert len(third) == 1


def test_a_silent_server_is_not_waited_for_twice(world: World, web: resolving.Box) -> None:
    world.resolv_conf("nameserver 127.0.0.53\nnameserver 127.0.0.54\n")
    first = world.serve(silent)
    world.serve(fine, "127.0.0.54")
    began = time.monotonic()
    assert world.ask(web.udp, dns.question("one.example")).data() == ["192.0.2.7"]
    assert 1.4 * SECOND <= time.monotonic() - began < 1
    began = time.monotonic()
    assert world.ask(web.udp, dns.question("two.example")).data() == ["192.0.2.7"]
    assert time.monotonic() - began < 1.4 * SECOND
    assert len(first) == 1


def test_a_lost_datagram_is_sent_again(world: World, web: resolving.Box) -> None:
    asked: list[bytes] = []
    heard = world.serve(lambda packet: fine(packet) if (asked.append(packet), len(asked))[1] > 1 else [])
    assert world.ask(web.udp, dns.question("one.example")).data() == ["192.0.2.7"]
    assert heard[0] == heard[1]


def test_nobody_answers_then_it_is_said_after_a_while(world: World, web: resolving.Box) -> None:
    world.serve(silent)
    began = time.monotonic()
    assert world.ask(web.udp, dns.question("one.example"), seconds=15).code == dns.SERVFAIL
    assert 9 * SECOND < time.monotonic() - began < 5
    resolving.quiet(world)


def test_the_host_s_file_is_followed(world: World, web: resolving.Box) -> None:
    world.serve(coded(0, "192.0.2.1"))
    world.serve(coded(0, "192.0.2.2"), "127.0.0.54")

    def told(text: str) -> None:
        until = time.monotonic() + 5
        while world.ask(web.udp, dns.question("x.example")).data() != [text]:
            assert time.monotonic() < until

    told("192.0.2.1")
    world.resolv_conf(
        "# nameserver 127.0.0.53\n;\nsearch a b\nnameserver\nnameserver nonsense\n\tnameserver  127.0.0.54 \r\n"
    )
    told("192.0.2.2")
    (world.folder / "resolv.conf").write_text("nameserver 127.0.0.53")  # in place
    told("192.0.2.1")
    (world.folder / "resolv.conf").write_bytes(b"")  # somebody is writing it, or took it away: what was known holds
    time.sleep(0.2)
    told("192.0.2.1")
    (world.folder / "resolv.conf").unlink()
    (world.folder / "target").write_text("nameserver 127.0.0.54\n")
    (world.folder / "resolv.conf").symlink_to("target")
    told("192.0.2.2")


def test_rotate_begins_with_another_one_each_time(world: World, web: resolving.Box) -> None:
    world.resolv_conf("options timeout:1 rotate\nnameserver 127.0.0.53\nnameserver 127.0.0.54\n")
    one, other = world.serve(fine), world.serve(fine, "127.0.0.54")
    for number in range(6):
        world.ask(web.udp, dns.question(f"n{number}.example"))
    assert (len(one), len(other)) == (3, 3)


def test_servers_of_the_container_stand_in_for_the_host_s(world: World, web: resolving.Box) -> None:
    host = world.serve(fine)
    world.serve(coded(0), "127.0.0.60")
    world("address", "172.20.0.53")
    world.serve(coded(0, "192.0.2.3"), "172.20.0.53")
    box = world.box(DB, "db", servers="127.0.0.60")
    world.end(DB, "1", "172.20.0.3")
    assert world.ask(box.udp, dns.question("x.example")).data() == ["192.0.2.9"]
    assert (host, world.counts()[4]) == ([], 0)
    inside = world.box("c" * 64, "c", servers="172.20.0.53")
    world.end("c" * 64, "1", "172.20.0.4")
    assert world.ask(inside.udp, dns.question("x.example")).data() == ["192.0.2.3"]
    assert world.counts()[4] == 1, "a container is asked out of the holder"
    gateway = world.box("d" * 64, "d", servers="172.20.0.1")
    world.end("d" * 64, "1", "172.20.0.5")
    assert world.ask(gateway.udp, dns.question("x.example")).data() == ["192.0.2.7"]


def test_an_internal_network_asks_nobody_outside(world: World, web: resolving.Box) -> None:
    host, outside = world.serve(fine), world.serve(fine, "127.0.0.60")
    world("address", "172.30.0.53")
    world.serve(coded(0), "172.30.0.53")
    world.net("9", NAMES | INTERNAL, "172.30.0.0/16")
    shut = world.box("c" * 64, "shut", servers="127.0.0.60")
    plain = world.box("d" * 64, "plain")
    own = world.box("e" * 64, "own", servers="127.0.0.60,172.30.0.53")
    for number, box in enumerate("cde"):
        world.end(box * 64, "9", f"172.30.0.{number + 2}")
    for box in (shut, plain):
        found = world.ask(box.udp, dns.question("x.example"))
        assert (found.code, found.recurses) == (dns.REFUSED, False)
        client = world.stream(box.tcp)
        client.sendall(resolving.stream_answer(dns.question("x.example")))
        assert resolving.read_stream(client).code == dns.REFUSED
        assert world.ask(box.udp, dns.question("plain")).data() == ["172.30.0.3"]
    assert world.ask(own.udp, dns.question("x.example")).data() == ["192.0.2.9"], "its own network's server"
    assert (host, outside) == ([], [])
    world.end("d" * 64, "1", "172.20.0.9")
    assert world.ask(plain.udp, dns.question("x.example")).data() == ["192.0.2.7"], "on a second network with a way out"


# --- answers that nobody should believe ---------------------------------------------------------------------------

LOOP = b"\xc0\x1b"


def lie(what: str, packet: bytes) -> bytes:
    """One wrong answer to www.example."""
    right, end = fine(packet)[0], len(packet)
    assert len(packet) == 29
    if what == "another id":
        return bytes([right[0] ^ 1]) + right[1:]
    if what == "another name":
        return right.replace(b"example", b"exbmple")
    if what == "another type":
        return right[: end - 3] + b"\x1c" + right[end - 2 :]
    if what == "a question":
        return right[:2] + b"\x01" + right[3:]
    if what == "two questions":
        return right[:4] + b"\0\2" + right[6:end] + right[12:]
    if what == "scrap":
        return right[:7]
    return b""


GUESSES = ("another id", "another name", "another type", "a question", "two questions", "scrap", "nothing")


@pytest.mark.parametrize("what", GUESSES)
def test_guesses_are_passed_over_and_the_true_answer_is_taken(world: World, web: resolving.Box, what: str) -> None:
    world.serve(lambda packet: [lie(what, packet)] * 3 + fine(packet))
    assert world.ask(web.udp, dns.question("www.example")).data() == ["192.0.2.7"]


def test_many_guesses_are_no_answer(world: World, web: resolving.Box) -> None:
    world.serve(lambda packet: [bytes([packet[0], packet[1] ^ (n + 1)]) + fine(packet)[0][2:] for n in range(60)])
    assert world.ask(web.udp, dns.question("www.example")).code == dns.SERVFAIL


def test_an_answer_from_elsewhere_does_not_arrive(world: World, web: resolving.Box) -> None:
    other = world.open()
    other.bind(("127.0.0.99", 53))
    listener = world.open()
    listener.bind(("127.0.0.53", 53))
    client = world.open()
    client.connect(("127.0.0.11", web.udp))
    client.send(dns.question("www.example"))
    packet, place = listener.recvfrom(1000)
    other.sendto(dns.reply(packet, dns.address("6.6.6.6")), place)
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1000)
    listener.sendto(fine(packet)[0], place)
    client.settimeout(5)
    assert dns.read(client.recv(1000)).data() == ["192.0.2.7"]


UNSOUND = {
    "a name that leads to itself": dns.record(dns.A, b"\1\2\3\4", owner=b"\xc0\x1d"),
    "names that lead to each other": dns.record(dns.A, b"\1\2\3\4", owner=b"\xc0\x1f\xc0\x1d"),
    "a name that leads ahead": dns.record(dns.A, b"\1\2\3\4", owner=b"\xc0\x30"),
    "a name that runs over itself, past the end": dns.record(dns.A, b"\1\2\3\4", owner=b"\xc0\x1a") + b"\0" * 13,
    "a name in the head": dns.record(dns.A, b"\1\2\3\4", owner=b"\xc0\x04"),
    "an alias that loops": dns.record(dns.CNAME, b"\xc0\x29"),
    "an alias beyond its end": dns.record(dns.CNAME, b"\x3fabc"),
    "a label of 64": dns.record(dns.A, b"\1\2\3\4", owner=b"\x40" + b"x" * 64 + b"\0"),
    "a name of 300": dns.record(dns.A, b"\1\2\3\4", owner=(b"\x3f" + b"x" * 63) * 4 + b"\0"),
    "a short address": dns.record(dns.A, b"\1\2\3"),
    "a long address": dns.record(dns.AAAA, b"x" * 17),
    "data beyond the end": dns.record(dns.TXT, b"x" * 9)[:-1],
    "SOA without numbers": dns.record(dns.SOA, b"\0\0" + b"x" * 19),
    "MX without a name": dns.record(dns.MX, b"\0\1"),
    "SRV that loops": dns.record(dns.SRV, b"\0" * 6 + b"\xc0\x2f"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_unsound_answers_are_refused(world: World, web: resolving.Box, what: str) -> None:
    world.serve(lambda packet: [dns.reply(packet, UNSOUND[what])])
    world.serve_stream(lambda packet: resolving.stream_answer(dns.reply(packet, UNSOUND[what])))
    assert world.ask(web.udp, dns.question("www.example")).code == dns.SERVFAIL
    client = world.stream(web.tcp)
    client.sendall(resolving.stream_answer(dns.question("www.example")))
    assert resolving.read_stream(client).code == dns.SERVFAIL


def test_more_records_than_there_are_and_trailing_bytes(world: World, web: resolving.Box) -> None:
    world.serve(
        lambda packet: (
            [fine(packet)[0] + b"tail" * 9]
            if b"tail" in packet
            else [dns.reply(packet)[:6] + b"\xff\xff" * 3 + packet[12:]]
        )
    )
    assert world.ask(web.udp, dns.question("many.example")).code == dns.SERVFAIL
    tail = world.ask(web.udp, dns.question("tail.example"))
    assert tail.data() == ["192.0.2.7"]
    assert tail.length == len(dns.question("tail.example")) + 16


# --- large answers, TCP -------------------------------------------------------------------------------------------


def large(packet: bytes, count: int = 2000) -> bytes:
    return dns.reply(packet, *(dns.address(f"10.0.{n // 250}.{n % 250}") for n in range(count)))


def test_a_cut_answer_is_told_and_whole_by_tcp(world: World, web: resolving.Box) -> None:
    world.serve(lambda packet: [large(packet, 30)[:500].replace(b"\x81\x80", b"\x83\x80", 1)])
    streams = world.serve_stream(lambda packet: resolving.stream_answer(large(packet)))
    cut = world.ask(web.udp, dns.question("many.example"))
    assert (cut.cut, cut.answers) == (True, [])
    client = world.stream(web.tcp)
    question = dns.question("many.example", number=5)
    client.sendall(resolving.stream_answer(question))
    whole = resolving.read_stream(client)
    assert (whole.id, whole.cut, len(whole.answers)) == (5, False, 2000)
    assert streams[0][2:] == question[2:]
    client.sendall(resolving.stream_answer(question))
    assert len(resolving.read_stream(client).answers) == 2000
    client.close()
    resolving.quiet(world)


def test_more_than_the_client_takes_is_cut_here(world: World, web: resolving.Box) -> None:
    world.serve(lambda packet: [large(packet, 100)])
    assert world.ask(web.udp, dns.question("many.example")).cut
    assert len(world.ask(web.udp, dns.question("many.example", edns=4096)).answers) == 100


def test_by_tcp_the_next_server_is_asked_too(world: World, web: resolving.Box) -> None:
    world.resolv_conf("nameserver 127.0.0.53\nnameserver 127.0.0.54\nnameserver 127.0.0.55\n")
    world.serve_stream(lambda packet: resolving.stream_answer(large(packet))[:3000], "127.0.0.54")
    world.serve_stream(lambda packet: resolving.stream_answer(large(packet, 3)), "127.0.0.55")
    client = world.stream(web.tcp)
    client.sendall(resolving.stream_answer(dns.question("many.example")))
    assert len(resolving.read_stream(client).answers) == 3


def test_a_stream_that_dribbles_or_lies_about_its_length_ends(world: World, web: resolving.Box) -> None:
    world.serve_stream(lambda packet: None if b"open" in packet else b"\xff\xff" + fine(packet)[0])
    client = world.stream(web.tcp)
    for name in ("open.example", "short.example"):
        client.sendall(resolving.stream_answer(dns.question(name)))
    client.settimeout(15)
    began = time.monotonic()
    assert [resolving.read_stream(client).code for _ in range(2)] == [dns.SERVFAIL] * 2
    assert time.monotonic() - began < 5


# --- crowds and floods --------------------------------------------------------------------------------------------


def test_the_same_question_is_asked_once(world: World, web: resolving.Box) -> None:
    listener = world.open()
    listener.bind(("127.0.0.53", 53))
    clients = [world.open() for _ in range(4)]
    for number, client in enumerate(clients):
        client.connect(("127.0.0.11", web.udp))
        for _ in range(3):  # again and again, as clients do
            client.send(dns.question("www.example", number=number))
    packet, place = listener.recvfrom(1000)
    listener.sendto(fine(packet)[0], place)
    for number, client in enumerate(clients):
        found = dns.read(client.recv(1000))
        assert (found.id, found.data()) == (number, ["192.0.2.7"])
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.recv(1000)
    for client in clients:
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.recv(1000)
    assert world.counts()[:3] == (0, 0, 0)


def test_who_floods_does_not_shut_others_out(world: World, web: resolving.Box) -> None:
    """Ten containers ask foreign names without end of a server that is silent to them; one asks now and then."""
    world.serve(lambda packet: fine(packet) if b"calm" in packet else [])
    ports = []
    for number in range(10):
        ports.append(world.box(f"{number}" * 64, f"n{number}").udp)
        world.end(f"{number}" * 64, "1", f"172.20.3.{number}")
    flooders = [world.open() for _ in ports]
    for client, port in zip(flooders, ports):
        client.connect(("127.0.0.11", port))
        client.settimeout(0.001)
    stop, sent = threading.Event(), [0]

    def flood() -> None:
        while not stop.is_set():
            for client in flooders:
                client.send(dns.question(f"x{sent[0]}.example"))
                sent[0] += 1

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        time.sleep(0.5)
        for number in range(20):
            assert world.ask(web.udp, dns.question(f"calm{number}.example"), seconds=3).data() == ["192.0.2.7"]
            assert world.ask(web.udp, dns.question("n3"), seconds=3).data() == ["172.20.3.3"]
        waiting, _, _, descriptors, _ = world.counts()
    finally:
        stop.set()
        thread.join()
    assert waiting <= 768
    assert descriptors < 1100
    refused = dns.read(flooders[0].recv(1000))
    assert refused.code == dns.SERVFAIL
    assert sent[0] > 2000
    resolving.quiet(world, 15)


def test_connections_are_bounded_and_slow_ones_end(world: World, web: resolving.Box) -> None:
    held = [world.stream(web.tcp) for _ in range(32)]
    for client in held:
        client.sendall(b"\0")
    extra = world.stream(web.tcp)
    with contextlib.suppress(ConnectionError):
        assert extra.recv(1) == b""
    assert world.counts()[1] == 32
    other = world.box(DB, "db")
    world.end(DB, "1", "172.20.0.3")
    client = world.stream(other.tcp)
    client.sendall(resolving.stream_answer(dns.question("web")))
    assert resolving.read_stream(client).data() == ["172.20.0.2"]
    client.close()
    resolving.quiet(world, 14)
    for client in held:
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""


def test_answers_that_nobody_reads_are_bounded(world: World, web: resolving.Box) -> None:
    world.serve_stream(lambda packet: resolving.stream_answer(large(packet, 4000)))
    clients = []
    for _ in range(30):
        client = world.open(socket.SOCK_STREAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.11", web.tcp))
        clients.append(client)
        with contextlib.suppress(ConnectionError):
            client.sendall(resolving.stream_answer(dns.question("many.example")) * 16)
    most, until = 0, time.monotonic() + 10
    while not most and time.monotonic() < until:
        most = max(most, *(world.counts()[2] for _ in range(20)))
        time.sleep(0.05)
    assert 0 < most <= 1 << 20
    resolving.quiet(world, 60)


def test_a_container_that_goes_leaves_nothing(world: World, web: resolving.Box) -> None:
    world.serve(silent)
    world.serve_stream(lambda packet: None)
    before = world.counts()
    box = world.box(DB, "db")
    world.end(DB, "1", "172.20.0.3")
    client, stream = world.open(), world.stream(box.tcp)
    client.connect(("127.0.0.11", box.udp))
    for number in range(20):
        client.send(dns.question(f"n{number}.example"))
    stream.sendall(resolving.stream_answer(dns.question("s.example")))
    world.stream(box.tcp)
    until = time.monotonic() + 5
    while world.counts()[:2] != (21, 2):
        assert time.monotonic() < until, world.counts()
    world("gone", DB)
    assert world.counts() == before


# --- at the gateway's address -------------------------------------------------------------------------------------


def test_the_gateway_s_address_forwards_for_its_own_bridge_alone(world: World, web: resolving.Box) -> None:
    world.serve(fine)
    world.serve(coded(0), "127.0.0.60")
    world.serve_stream(lambda packet: resolving.stream_answer(large(packet)))
    world("net", "0", "bridge", 0, "172.17.0.0/16", "172.17.0.1", "fd00:17::/64", "fd00:17::1")
    world("gateway", "0")
    for address in ("172.17.0.1", "172.17.0.2", "172.17.0.3", "172.20.0.2", "fd00:17::1", "fd00:17::2"):
        world("address", address)
    world.box(DB, "db", servers="127.0.0.60")
    world.end(DB, "0", "172.17.0.3")

    def asked(source: str, name: str = "www.example", kind: int = socket.SOCK_DGRAM, times: int = 5) -> dns.Message:
        six = ":" in source
        client = world.open(kind, socket.AF_INET6 if six else socket.AF_INET)
        client.settimeout(times)
        client.bind((source, 0))
        client.connect(("fd00:17::1" if six else "172.17.0.1", 53))
        if kind == socket.SOCK_STREAM:
            client.sendall(resolving.stream_answer(dns.question(name)))
            return resolving.read_stream(client)
        client.settimeout(0.5)
        for _ in range(times):  # as clients do: the kernel gives new IPv6 addresses their routes a little later
            client.send(dns.question(name))
            with contextlib.suppress(TimeoutError):
                return dns.read(client.recv(4096))
        raise TimeoutError

    assert asked("172.17.0.2").data() == ["192.0.2.7"]
    assert asked("fd00:17::2", times=40).data() == ["192.0.2.7"]
    assert len(asked("172.17.0.2", kind=socket.SOCK_STREAM).answers) == 2000
    assert len(asked("fd00:17::2", kind=socket.SOCK_STREAM).answers) == 2000
    assert asked("172.17.0.3").data() == ["192.0.2.9"], "its own servers"
    assert asked("172.17.0.2", "db").data() == ["192.0.2.7"], "no names here"
    with pytest.raises(TimeoutError):
        asked("172.20.0.2", times=1)
    with pytest.raises((ConnectionError, IndexError, struct.error)):
        asked("172.20.0.2", kind=socket.SOCK_STREAM)
    world("closed", "0")
    with pytest.raises(ConnectionRefusedError):
        asked("172.17.0.2")
