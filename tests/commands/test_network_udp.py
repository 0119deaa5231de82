"""UDP as programs in containers use it."""

from __future__ import annotations

import socket

import pytest

from tests.support import podcli

SERVER = r"""
use IO::Socket::INET;
my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 53) or die $!;
$| = 1; print "up\n";
while (defined(my $who = $s->recv(my $text, 100))) {
  my ($port, $host) = sockaddr_in($who);
  print "heard $text from ", inet_ntoa($host), "\n"; $s->send("answer to $text", 0, $who);
}
"""
CLIENT = r"""
use IO::Socket::INET;
my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $ARGV[0], PeerPort => $ARGV[1]) or die $!;
$s->send("question"); alarm 10; $s->recv(my $text, 100); print "$text\n";
"""


@pytest.fixture
def debian(pod):
    return pod.image("debian:12")


@pytest.fixture
def outside():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(10)
        one.bind(("127.0.0.1", 0))
        yield one


def test_a_published_port_takes_datagrams_and_answers(pod, debian, outside):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        place = one.getsockname()
    run = ("run", "-d", "--name", "udp", "--network", "bridge", "-p", f"127.0.0.1:{place[1]}:53/udp", debian)
    pod(*run, "perl", "-e", SERVER).ok()
    try:
        podcli.until(lambda: "up" in pod("logs", "udp").ok(), 10, "the server is up")
        outside.sendto(b"question", place)
        assert outside.recvfrom(100) == (b"answer to question", place)
        assert pod("logs", "udp").ok() == "up\nheard question from 172.17.0.1\n", "loopback clients are the gateway"
        address = pod("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "udp").ok().strip()
        done = pod("run", "--rm", "--network", "bridge", debian, "perl", "-e", CLIENT, address, "53")
        assert done.ok() == "answer to question\n"
    finally:
        pod("rm", "-f", "udp").ok()


def test_the_hosts_loopback_is_reached_where_it_is_asked_for(pod, debian, outside):
    port = str(outside.getsockname()[1])
    run = ("run", "-d", "--name", "udp", "--network", "bridge", "--add-host", "host.docker.internal:host-gateway")
    pod(*run, debian, "perl", "-e", CLIENT, "host.docker.internal", port).ok()
    try:
        data, peer = outside.recvfrom(100)
        assert (data, peer[0]) == (b"question", "127.0.0.1")
        outside.sendto(b"welcome", peer)
        assert pod("wait", "udp").ok() == "0\n"
        assert pod("logs", "udp").ok() == "welcome\n"
    finally:
        pod("rm", "-f", "udp").ok()
