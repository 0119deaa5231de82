"""The resolver's own C in a network namespace: names of the world (test_resolver_foreign.py has the others)."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.ext import resolving
from tests.ext.resolving import NAMES, World
from tests.support import dns

WEB, DB, FAR = "a" * 64, "b" * 12 + "0" * 52, "c" * 64


@pytest.fixture
def web(world: World) -> resolving.Box:
    """web and db on one network with both families, far on another; nobody serves foreign names."""
    world.net("1", NAMES, "172.20.0.0/16", "fd00:20::/64")
    world.net("2", NAMES, "172.21.0.0/16")
    made = world.box(WEB, "web")
    world.box(DB, "db", host="db.host")
    world.box(FAR, "far")
    world.end(WEB, "1", "172.20.0.2", "fd00:20::2")
    world.end(DB, "1", "172.20.0.3", "fd00:20::3", "database,DB-Alias")
    world.end(FAR, "2", "172.21.0.2")
    return made


@pytest.mark.parametrize("asked", ["db", "DB", "database", "db-alias", "b" * 12, "db.host", "db.net-1", "Db.NET-1"])
def test_every_name_of_a_container_leads_to_its_addresses(world: World, web: resolving.Box, asked: str) -> None:
    four = world.ask(web.udp, dns.question(asked, dns.A, 77))
    assert (four.id, four.code, four.recurses, four.question) == (77, dns.OK, True, (asked, dns.A))
    assert four.answers == [dns.Record(asked, dns.A, 600, "172.20.0.3")]
    assert world.ask(web.udp, dns.question(asked, dns.AAAA)).data() == ["fd00:20::3"]
    assert world.ask(web.udp, dns.question(asked, dns.ANY)).data() == ["172.20.0.3", "fd00:20::3"]


def test_names_of_other_networks_are_foreign(world: World, web: resolving.Box) -> None:
    for asked in ("far", "far.net-2", "far.net-1", "db.net-2", "dB.", "bbbbbbbbbbb", "a" * 13):
        found = world.ask(web.udp, dns.question(asked))
        if asked == "dB.":
            assert found.data() == ["172.20.0.3"]
        else:
            assert (found.code, found.answers) == (dns.SERVFAIL, []), asked


def test_where_one_family_exists_the_other_has_no_data(world: World, web: resolving.Box) -> None:
    world.box("d" * 64, "four")
    world.end("d" * 64, "1", "172.20.0.9")
    for kind in (dns.AAAA, dns.MX, dns.TXT, dns.SRV, dns.HTTPS, dns.SOA):
        found = world.ask(web.udp, dns.question("four", kind))
        assert (found.code, found.answers) == (dns.OK, []), kind


def test_connect_disconnect_rename_and_gone_hold_at_once(world: World, web: resolving.Box) -> None:
    world.end(FAR, "1", "172.20.0.7")
    assert world.ask(web.udp, dns.question("far")).data() == ["172.20.0.7"]
    world("rename", FAR, "near")
    assert world.ask(web.udp, dns.question("near")).data() == ["172.20.0.7"]
    assert world.ask(web.udp, dns.question("far")).code == dns.SERVFAIL
    world("apart", FAR, "1")
    assert world.ask(web.udp, dns.question("near")).code == dns.SERVFAIL
    world("gone", DB)
    assert world.ask(web.udp, dns.question("db")).code == dns.SERVFAIL


def test_equal_aliases_take_turns_each_name_on_its_own(world: World, web: resolving.Box) -> None:
    for number in range(3):
        world.box(str(number) * 64, f"replica-{number}")
        world.end(str(number) * 64, "1", f"172.20.1.{number}", f"fd00:20::1:{number}", "app,other")
    first = []
    for _ in range(6):
        found = world.ask(web.udp, dns.question("app")).data()
        assert sorted(map(str, found)) == ["172.20.1.0", "172.20.1.1", "172.20.1.2"]
        first.append(found[0])
        # As getaddrinfo asks for both families, and others for other names.
        assert len(world.ask(web.udp, dns.question("app", dns.AAAA)).data()) == 3
        world.ask(web.udp, dns.question("other"))
    assert first[:3] == first[3:]
    assert len(set(first)) == 3


def test_links_are_known_to_one_container_alone(world: World, web: resolving.Box) -> None:
    world.box("d" * 64, "client")
    world.end("d" * 64, "1", "172.20.0.9", "-", "-", f"store={DB},nobody={'9' * 64}")
    udp = world.box("e" * 64, "late").udp
    world.end("e" * 64, "1", "172.20.0.10", "-", "-", f"store={DB}")
    assert world.ask(udp, dns.question("Store")).data() == ["172.20.0.3"]
    assert world.ask(udp, dns.question("store.net-1")).data() == ["172.20.0.3"]
    assert world.ask(web.udp, dns.question("store")).code == dns.SERVFAIL


def test_addresses_of_own_networks_have_names(world: World, web: resolving.Box) -> None:
    assert world.ask(web.udp, dns.question("3.0.20.172.in-addr.arpa", dns.PTR)).data() == ["db.net-1"]
    six = ".".join(reversed("fd000020" + "0" * 23 + "3")) + ".ip6.arpa"
    assert world.ask(web.udp, dns.question(six.upper(), dns.PTR)).data() == ["db.net-1"]
    for nobody in ("200.0.20.172.in-addr.arpa", "1.0.20.172.in-addr.arpa"):
        found = world.ask(web.udp, dns.question(nobody, dns.PTR))
        assert (found.code, found.answers) == (dns.NXDOMAIN, [])
    for foreign in ("2.0.21.172.in-addr.arpa", "0.20.172.in-addr.arpa", "256.0.20.172.in-addr.arpa", "in-addr.arpa"):
        assert world.ask(web.udp, dns.question(foreign, dns.PTR)).code == dns.SERVFAIL


def test_the_host_has_a_name_for_who_asked_for_it(world: World, web: resolving.Box) -> None:
    udp = world.box("d" * 64, "wants", gateway=1).udp
    world.end("d" * 64, "1", "172.20.0.9")
    for asked in ("host.docker.internal", "Gateway.Docker.Internal"):
        assert world.ask(udp, dns.question(asked)).data() == ["172.20.0.1"]
        assert world.ask(udp, dns.question(asked, dns.AAAA)).data() == ["fd00:20::1"]
        assert world.ask(web.udp, dns.question(asked)).code == dns.SERVFAIL


def test_a_network_without_names_has_none(world: World, web: resolving.Box) -> None:
    world.net("3", 0, "172.17.0.0/16")
    world.end(WEB, "3", "172.17.0.2")
    world.end(FAR, "3", "172.17.0.3")
    assert world.ask(web.udp, dns.question("far")).code == dns.SERVFAIL


@pytest.mark.parametrize("edns", [0, 512, 600, 1232, 4096])
def test_more_than_fits_is_cut_and_whole_by_tcp(world: World, web: resolving.Box, edns: int) -> None:
    for number in range(100):
        world.box(f"{number:064}", f"replica-{number}")
        world.end(f"{number:064}", "1", f"172.20.2.{number}", "-", "many")
    found = world.ask(web.udp, dns.question("many", edns=edns))
    assert found.cut
    assert found.edns == bool(edns)
    assert found.length <= max(512, min(edns, 1232))
    assert found.length > max(512, min(edns, 1232)) - 16 - 11 * bool(edns)
    client = world.stream(web.tcp)
    client.sendall(resolving.stream_answer(dns.question("many", edns=edns)))
    whole = resolving.read_stream(client)
    assert not whole.cut
    assert len(set(whole.data())) == 100


def test_a_connection_asks_as_often_as_it_likes_byte_by_byte(world: World, web: resolving.Box) -> None:
    client = world.stream(web.tcp)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in resolving.stream_answer(dns.question("db", number=1)):
        client.sendall(bytes([byte]))
    assert resolving.read_stream(client).id == 1
    client.sendall(b"".join(resolving.stream_answer(dns.question("db", number=n)) for n in range(2, 40)))
    client.shutdown(socket.SHUT_WR)
    assert [resolving.read_stream(client).id for _ in range(2, 40)] == list(range(2, 40))
    assert client.recv(10) == b""
    resolving.quiet(world)


HEAD = bytes.fromhex("0007 0100 0001 0000 0000 0000")
MESSY = {
    "two questions": (HEAD[:5] + b"\x02" + HEAD[6:] + dns.name("db") + b"\0\1\0\1" + dns.name("db") + b"\0\1\0\1"),
    "no question": HEAD[:5] + b"\0" + HEAD[6:],
    "a pointer as the name": HEAD + b"\xc0\x0c\0\1\0\1",
    "a label of 64": HEAD + b"\x40" + b"x" * 64 + b"\0\0\1\0\1",
    "a name of 256": HEAD + (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1",
    "a name without end": HEAD + b"\x3f" + b"x" * 63,
    "no type": HEAD + dns.name("db") + b"\0\1",
    "records that are not there": HEAD[:10] + b"\xff\xff" + dns.name("db") + b"\0\1\0\1",
    "a record that loops": HEAD[:10] + b"\0\1" + dns.name("db") + b"\0\1\0\1" + b"\xc0\x14\0\1\0\1" + b"\0" * 6,
    "two OPT": HEAD[:10] + b"\0\2" + dns.name("db") + b"\0\1\0\1" + (b"\0\0\x29\x10\0" + b"\0" * 6) * 2,
}


@pytest.mark.parametrize("what", MESSY)
def test_what_is_no_sound_question_is_refused(world: World, web: resolving.Box, what: str) -> None:
    found = world.ask(web.udp, MESSY[what])
    assert (found.id, found.code, found.answers) == (7, dns.FORMERR, [])
    client = world.stream(web.tcp)
    client.sendall(resolving.stream_answer(MESSY[what]))
    assert resolving.read_stream(client).code == dns.FORMERR


def test_other_requests_answers_and_scraps(world: World, web: resolving.Box) -> None:
    assert world.ask(web.udp, dns.question("db", flags=0x2900)).code == dns.NOTIMP
    version = world.ask(web.udp, dns.question("db", edns=1232)[:-6] + b"\0\1\0\0\0\0")
    assert (version.code, version.edns, version.answers) == (0, True, [])
    for silent in (b"", b"x" * 11, dns.reply(dns.question("db")), dns.question("db") + b"\0" * 2000):
        with pytest.raises(TimeoutError):
            world.ask(web.udp, silent, seconds=0.2)
    for ended in (b"\0\0", b"\xff\xff" + b"x" * 2000, resolving.stream_answer(dns.reply(dns.question("db")))):
        client = world.stream(web.tcp)
        client.sendall(ended)
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""
    assert world.ask(web.udp, dns.question("db")).data() == ["172.20.0.3"]


def test_labels_that_no_text_tells_are_not_names_of_the_world(world: World, web: resolving.Box) -> None:
    odd = dns.question("x")[:12] + b"\x08db.net-1\0\0\1\0\1"
    assert world.ask(web.udp, odd).code == dns.SERVFAIL


def test_longest_names(world: World, web: resolving.Box) -> None:
    label = "x" * 63
    longest = ".".join([label, label, label, "y" * 61])
    found = world.ask(web.udp, dns.question(longest))
    assert (found.code, found.question) == (dns.SERVFAIL, (longest, dns.A))
    world.box("d" * 64, "d" * 250)
    world.end("d" * 64, "1", "172.20.0.9")
    found = world.ask(web.udp, dns.question("9.0.20.172.in-addr.arpa", dns.PTR))
    assert (found.code, found.answers) == (dns.OK, [])
