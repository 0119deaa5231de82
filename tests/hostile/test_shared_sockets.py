"""The sockets of supervisor and emulator: others do not reach them, garbage does them no harm, none is abstract."""

from __future__ import annotations

import array
import os
import random
import socket
import struct
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

ROUNDS = 400
HARMLESS = [kind for kind in range(256) if chr(kind) not in "SPQI"]
"""Types of frames; SIGNAL, PAUSE, QUIT and INPUT do as they say for whoever is the user."""


class Victim:
    """A running container: its sockets' folder and its supervisor."""

    def __init__(self, pod: Pod, image: str) -> None:
        pod("run", "-d", "--name", "victim", image, "sh", "-c", "chown 5 /tmp; exec sleep 1000").ok()
        run_dir = os.readlink(pod.run_pointer())
        self.folder = Path(run_dir, "c", pod.inspect("victim")["Id"][:32])
        stat = Path(f"/proc/{pod.state('victim')['Pid']}/stat").read_text()
        self.supervisor = int(stat.rpartition(")")[2].split()[1])

    def connect(self, name: str = "ctl") -> socket.socket:
        """A connection; by a short path, for sun_path has 108 bytes."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for bound in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # not settimeout: that makes a full queue a failure
            peer.setsockopt(socket.SOL_SOCKET, bound, struct.pack("@ll", 10, 0))
        folder = os.open(self.folder, os.O_PATH)
        try:
            peer.connect(f"/proc/self/fd/{folder}/{name}")
        finally:
            os.close(folder)
        return peer

    def hello(self) -> bytes:
        with self.connect() as peer:
            return peer.recv(8)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.supervisor}/fd"))


@pytest.fixture
def victim(pod: Pod, attacking: str) -> Victim:
    return Victim(pod, attacking)


def works(pod: Pod, victim: Victim) -> None:
    """The container is as it was: it runs, can be executed in, attached to, and asked."""
    assert pod("exec", "victim", "sh", "-c", "chown 7 /tmp && echo fine").ok() == "fine\n"
    assert pod.state("victim")["Status"] == "running"
    assert victim.hello()[:1] == b"H"


def send_with_descriptors(peer: socket.socket, data: bytes, count: int) -> None:
    here = os.open("/dev/null", os.O_RDONLY)
    try:
        rights = array.array("i", [here] * count)
        peer.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if count else [])
    except OSError:
        pass  # it closed the connection, as it may
    finally:
        os.close(here)


def test_supervisor_when_its_socket_is_fed_with_garbage_then_it_goes_on(pod: Pod, victim: Victim) -> None:
    before = victim.descriptors()
    chance = random.Random(20)
    for _ in range(ROUNDS):
        with victim.connect() as peer:
            for _ in range(chance.randrange(1, 4)):
                rest = (chance.getrandbits(bits) for bits in (8, 16, 32))
                data = struct.pack("<BBHI", chance.choice(HARMLESS), *rest)
                data += chance.randbytes(chance.choice((0, 1, 500, 32768, 40000)))
                send_with_descriptors(peer, data[chance.choice((0, 0, 0, 3, 8)) :], chance.choice((0, 0, 1, 50)))
    for kind, value in ((b"S", 65), (b"S", 0), (b"S", 1 << 31), (b"P", 0)):
        with victim.connect() as peer:
            peer.send(struct.pack("<cBHI", kind, 0, 0, value))
    works(pod, victim)
    until(lambda: victim.descriptors() <= before + 1, 10, "the supervisor to close its connections")


def test_supervisor_when_connections_say_nothing_then_others_are_served(pod: Pod, victim: Victim) -> None:
    idle = [victim.connect() for _ in range(40)]
    for peer in idle:
        peer.close()
    works(pod, victim)


@pytest.mark.no_sub_ids
def test_emulator_when_its_socket_is_fed_with_garbage_then_it_goes_on(pod: Pod, victim: Victim) -> None:
    chance = random.Random(21)
    for _ in range(ROUNDS // 4):
        with victim.connect("emu") as peer:
            data = chance.randbytes(chance.choice((1, 8, 64, 300, 2000)))
            send_with_descriptors(peer, data, chance.choice((0, 1, 1, 40)))
    works(pod, victim)


def test_sockets_are_in_shut_folders_and_none_is_abstract(pod: Pod, victim: Victim) -> None:
    for folder in (victim.folder, victim.folder.parent, victim.folder.parent.parent):
        st = folder.stat()
        assert (st.st_mode & 0o777, st.st_uid) == (0o700, os.getuid())
    for path in victim.folder.iterdir():
        if path.is_socket():
            assert path.stat().st_mode & 0o077 == 0, path
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    abstract = {row[6] for row in rows if len(row) > 7 and row[7].startswith("@")}
    links = [os.readlink(path) for path in Path(f"/proc/{victim.supervisor}/fd").iterdir()]
    assert any(link.startswith("socket:") for link in links)
    assert [link for link in links if link.strip("socket:[]") in abstract] == []


@pytest.mark.sub_ids
def test_sockets_when_another_user_gets_them_then_only_the_user_is_answered(
    pod: Pod, victim: Victim, attacking: str
) -> None:
    """Another id of the range is another user to the kernel. With folder and socket opened SO_PEERCRED is left."""
    words = ("-v", f"{victim.folder}:/given", attacking, "attack", "connect", "/given/ctl")
    assert pod("run", "--rm", *words).ok() == "connect done\nH\n", "who has the folder and is the user is answered"
    assert pod("run", "--rm", "-u", "1000", *words).ok() == "connect 13\n-\n"
    victim.folder.chmod(0o777)
    (victim.folder / "ctl").chmod(0o777)
    assert pod("run", "--rm", "-u", "1000", *words).ok() == "connect done\n-\n"
    victim.folder.chmod(0o700)
    works(pod, victim)
