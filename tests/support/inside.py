"""Containers with netload in them, and the networks that a test made."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from tests.support import netload
from tests.support.netload import Agent
from tests.support.podcli import Pod, until

RESOLVER = "127.0.0.11"
A, PTR, AAAA = 1, 12, 28
NXDOMAIN, REFUSED = "3", "5"


def host_address(family: socket.AddressFamily = socket.AF_INET) -> str:
    """The host's own address towards the world; empty where it has none."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9) if family == socket.AF_INET else ("2001:db8::1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has, TCP and UDP."""
    begin = 21000 + os.getpid() * 61 % 9000  # others test here, too
    for first in range(begin, 32000, count):
        try:
            for port in range(first, first + count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET6, kind) as probe:
                        probe.bind(("::", port))
        except OSError:
            continue
        else:
            return first
    raise AssertionError("no free ports")


def _network(flags: tuple[str, ...]) -> tuple[str, ...]:
    return flags if "--network" in flags else ("--network", "bridge", *flags)


class Inside:
    """``inside("a", "--network", "x")`` runs netload in a container of that name and gives its agent."""

    def __init__(self, pod: Pod, image: str, program: Path) -> None:
        self.pod = pod
        self.image = image
        self.mount = ("-v", f"{program}:{netload.INSIDE}:ro")
        self._agents: list[Agent] = []
        self._networks: list[str] = []
        self._host: Agent | None = None
        self._program = program

    def network(self, name: str, *flags: str) -> str:
        self.pod("network", "create", *flags, name).ok()
        self._networks.append(name)
        return name

    def __call__(self, name: str, *flags: str) -> Agent:
        words = ("run", "-i", "--name", name, *self.mount, *_network(flags), self.image)
        return self._agent(self.pod.argv(*words, netload.INSIDE, "agent", str(netload.PORT)))

    def joined(self, name: str) -> Agent:
        """An agent without a server of its own, by exec in a running container."""
        return self._agent(self.pod.argv("exec", "-i", name, netload.INSIDE, "agent", "0"))

    def serving(self, name: str, *flags: str, ports: int = 1) -> None:
        """A detached container that serves, on so many ports, by the time this returns."""
        words = (*self.mount, *_network(flags), self.image, netload.INSIDE, "serve", str(netload.PORT), str(ports))
        self.pod("run", "-d", "--name", name, *words).ok()
        until(lambda: "ready" in self.pod("logs", name).out, 20, f"{name} to listen")

    def host(self, ports: int = 1) -> Agent:
        """netload on the host; its server is on ``host_port``, or on so many ports from there on."""
        if self._host is None:
            self.host_port = free_ports(ports)
            self._host = self._agent([str(self._program), "agent", str(self.host_port), str(ports)])
        return self._host

    def _agent(self, argv: list[str]) -> Agent:
        agent = Agent(argv, self.pod.environ(), seconds=60)
        self._agents.append(agent)
        return agent

    def networks_of(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.pod.inspect(name)["NetworkSettings"]["Networks"]
        return found

    def address(self, name: str, network: str, key: str = "IPAddress") -> str:
        return str(self.networks_of(name)[network][key])

    def close(self) -> None:
        for agent in self._agents:
            if agent.process.stdin:
                agent.process.stdin.close()
        self.pod.tidy()
        for agent in self._agents:
            agent.close()
        if self._networks:
            self.pod("network", "rm", *self._networks).ok()


def reaches(agent: Agent, address: str, port: int = netload.PORT) -> bool:
    """A connection stands and a byte comes back. No way there is an answer, not a silence."""
    answer = agent.tries("rtt", address, port, 1, seconds=40)
    return not answer.startswith("error")


def wait_to_reach(agent: Agent, address: str, port: int = netload.PORT) -> None:
    """:func:`reaches` within ten seconds: a server that has just been started need not listen yet."""
    answers: list[str] = []

    def there() -> bool:
        answers.append(f"{time.monotonic():.2f} {agent.tries('rtt', address, port, 1, seconds=40)}")
        return " error" not in answers[-1]

    try:
        until(there, 10, f"{address}:{port} to answer")
    except AssertionError as late:
        raise AssertionError(f"{late}: {answers[:2]} … {answers[-1]}") from None


def found(agent: Agent, name: str, kind: int = A) -> list[str]:
    """Sorted addresses that the resolver has for a name; ["rcode N"] where it says that there is none."""
    answer = agent.ask("look", RESOLVER, 53, kind, name)
    return sorted(answer[1:]) if answer[0] == "0" else [f"rcode {answer[0]}"]
