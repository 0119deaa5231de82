"""Networks: pod's bridge beside pasta and slirp4netns (alone, and through podman) and a program without a container.

All are up at once and are measured in turn, by the same program (tests/support/netload.c): from inside to a server on
the host's address ("out" sends, "in" receives), and from the host to a published port ("pub" is the same two ways). CPU
is what the process in between took of it, by the scheduler's own clock, a GB.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import peers
from tests.bench.measure import Subject
from tests.support import netd, netload, tools
from tests.support.netload import Agent, Broken

BYTES = 400_000_000
COLUMNS = ("out", "in", "pub out", "pub in", "rtt", "connect", "pub rtt", "pub connect")
GOALS = (
    ("out", "pasta", 2.0, True, "throughput out"),
    ("in", "pasta", 2.0, True, "throughput in"),
    ("out", "slirp4netns", 4.0, True, "throughput out"),
    ("in", "slirp4netns", 2.5, True, "throughput in"),
    ("cpu out", "pasta", 0.8, False, "CPU per GB out"),
    ("cpu in", "pasta", 0.35, False, "CPU per GB in"),
    ("rtt", "pasta", 1.2, False, "round trip"),
    ("connect", "pasta", 2.1, False, "connect"),
)
"""What is compared, with whom, the share of theirs, whether more is better."""
DNS_GOAL = 20_000
IDLE = 10_000
_FAILURES = 2
"""How many broken rounds a peer may have (pasta of 2023 resets a connection now and then) before it is left out."""
NETD_GOAL = 2048
"""kB that the network process may have."""


class Place:
    """Somewhere to run netload: its agent, how the host reaches it, which processes stand in between."""

    def __init__(self, name: str, agent: Agent, port: int, between: Callable[[], list[int]]) -> None:
        self.name = name
        self.agent = agent
        self.port = port
        self.between = between
        self.found: dict[str, list[float]] = {}
        self.close: list[Callable[[], None]] = [agent.close]

    def note(self, column: str, value: float) -> None:
        self.found.setdefault(column, []).append(value)

    def median(self, column: str) -> float | None:
        return statistics.median(self.found[column]) if self.found.get(column) else None

    def cpu(self) -> float:
        """Seconds on a CPU of all threads in between (sched_debug's first number is in ns)."""
        total = 0
        for pid in self.between():
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        return total / 1e9

    def end(self) -> None:
        for step in self.close:
            with contextlib.suppress(Exception):
                step()


def own_address() -> str:
    """The host's address on the way to the world (no packet is sent). Missing where there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            raise peers.MissingPeer(f"no address but the loopback's: {error}") from None
        return str(probe.getsockname()[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _called(*names: str) -> list[int]:
    """Processes whose name begins so."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{entry}/comm").read_text().strip().startswith(names):
                found.append(int(entry))
    return found


def _new(names: tuple[str, ...], before: list[int]) -> list[int]:
    return [pid for pid in _called(*names) if pid not in before]


def _host(bench: peers.Bench, program: Path) -> Place:
    port = free_port()
    return Place("host", Agent([str(program), "agent", str(port)], bench.environ), port, list)


def _pod(bench: peers.Bench, program: Path) -> Place:
    image, port = bench.pod.image("busybox:latest"), free_port()
    flags = ["run", "-i", "--rm", "--name", "netload"]
    flags += ["-p", f"{port}:{netload.PORT}", "-p", f"{port}:{netload.PORT}/udp"]
    mount = ["-v", f"{program}:{netload.INSIDE}:ro"]
    words = [*flags, *mount, image, netload.INSIDE, "agent", str(netload.PORT)]
    agent = Agent(bench.pod.argv(*words), bench.pod.environ())
    place = Place("pod", agent, port, lambda: list(netd.processes(bench.pod.root)))
    place.close.append(lambda: _forget(bench, "netload"))
    return place


def _forget(bench: peers.Bench, name: str) -> None:
    bench.pod("rm", "-f", name)


def _pasta(bench: peers.Bench, program: Path) -> Place:
    """With an address of its own: the host's would be local inside, and could not be the server's."""
    port = free_port()
    options = ["--foreground", "--config-net", "-a", "10.99.0.2", "-n", "24", "-g", "10.99.0.1"]
    options += ["-t", f"{port}:{netload.PORT}"]
    argv = [bench.program("pasta"), *options, "--", str(program), "agent", str(netload.PORT)]
    agent = Agent(argv, bench.environ)
    return Place("pasta", agent, port, lambda: [agent.process.pid])


def _slirp(bench: peers.Bench, program: Path) -> Place:
    port, api = free_port(), bench.scratch / "slirp.api"
    slirp = bench.program("slirp4netns")
    unshare = [tools.find("unshare") or "unshare", "--user", "--map-root-user", "--net"]
    agent = Agent([*unshare, "--", str(program), "agent", str(netload.PORT)], bench.environ)
    argv = [slirp, "--configure", "--mtu=65520", f"--api-socket={api}", str(agent.process.pid), "tap0"]
    log = (bench.scratch / "slirp.log").open("wb")
    process = subprocess.Popen(argv, env=bench.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    place = Place("slirp4netns", agent, port, lambda: [process.pid])
    place.close += [process.kill, lambda: _reap(process), log.close]
    forward = {"proto": "tcp", "host_addr": "0.0.0.0", "host_port": port, "guest_port": netload.PORT}
    try:
        _slirp_forward(api, forward)
    except OSError as error:
        place.end()
        raise Broken(f"slirp4netns: {error} {(bench.scratch / 'slirp.log').read_text()[-200:]}") from None
    return place


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait(10)


def _slirp_forward(api: Path, forward: dict[str, object]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(api))
                peer.sendall(json.dumps({"execute": "add_hostfwd", "arguments": forward}).encode())
                peer.shutdown(socket.SHUT_WR)
                peer.recv(4096)
                time.sleep(1)
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _podman(bench: peers.Bench, program: Path, *network: str) -> Place:
    argv, image, port = bench.podman(), bench.registry.name("busybox:latest"), free_port()
    peers.ready([*argv, "pull", "--quiet", "--tls-verify=false", image], bench)
    name = f"podman-{network[0] if network else 'default'}"
    options = ["run", "-i", "--rm", "--pull", "never", "--name", name, "-p", f"{port}:{netload.PORT}"]
    options += ["-v", f"{program}:{netload.INSIDE}:ro", *(("--network", network[0]) if network else ())]
    if peers.crun_works():
        options.append("--cgroups=disabled")
    kinds = ("slirp4netns", "rootlessport", "exe", "pasta")
    before = _called(*kinds)
    agent = Agent([*argv, *options, image, netload.INSIDE, "agent", str(netload.PORT)], bench.environ)
    place = Place(name, agent, port, lambda: _new(kinds, before))
    place.close.append(lambda: peers.ready([*argv, "rm", "--force", "--time", "0", name], bench))
    return place


def _podman_pasta(bench: peers.Bench, program: Path) -> Place:
    return _podman(bench, program, "pasta")


def open_places(bench: peers.Bench) -> tuple[list[Place], list[str]]:
    program = netload.build(bench.scratch)
    places, missing = [], []
    for make in (_host, _pod, _pasta, _slirp, _podman, _podman_pasta):
        try:
            places.append(make(bench, program))
        except (peers.MissingPeer, Broken, AssertionError, OSError, subprocess.SubprocessError) as error:
            missing.append(f"{make.__name__[1:]}: {' '.join(str(error).split())[:300]}")
    return places, missing


def measure(place: Place, host: Place, address: str) -> None:
    """One round of one place: throughput in Gb/s, CPU seconds a GB, microseconds."""
    for column, asking, where, verb in (
        ("out", place.agent, host.port, "send"),
        ("in", place.agent, host.port, "recv"),
        ("pub out", host.agent, place.port, "recv"),
        ("pub in", host.agent, place.port, "send"),
    ):
        before = place.cpu()
        seconds = float(asking.ask(verb, address, where, BYTES)[0])
        place.note(column, BYTES * 8 / 1e9 / seconds)
        place.note("cpu " + column, (place.cpu() - before) * 1e9 / BYTES)
    for column, asking, where, verb, count in (
        ("rtt", place.agent, host.port, "rtt", 3000),
        ("connect", place.agent, host.port, "connect", 500),
        ("pub rtt", host.agent, place.port, "rtt", 3000),
        ("pub connect", host.agent, place.port, "connect", 500),
    ):
        place.note(column, float(asking.ask(verb, address, where, count)[0]))


def traffic(bench: peers.Bench, rounds: int) -> list[str]:
    """The lines of the tables; whoever fails is left out and named."""
    address = own_address()
    places, missing = open_places(bench)
    try:
        for number in range(rounds + 1):
            for place in list(places):
                try:
                    measure(place, places[0], address)
                except Broken as error:
                    missing.append(f"{place.name}, round {number}: {' '.join(str(error).split())[:300]}")
                    if place.agent.process.poll() is not None or place.found.get("failed", [0.0])[-1] >= _FAILURES:
                        places.remove(place)
                        place.end()
                    place.note("failed", len(place.found.get("failed", [])) + 1)
                if number == 0:
                    place.found.clear()
        held = idle(places, address)
    finally:
        for place in places:
            place.end()
    return [*table(places, rounds), *held, *(f"  left out: {line}" for line in missing)]


def table(places: list[Place], rounds: int) -> list[str]:
    load = os.getloadavg()[0]
    sizes = f"{rounds} rounds, {BYTES / 1e6:.0f} MB each, load {load:.1f}"
    lines = [f"networks: medians of {sizes} (Gb/s; CPU-s per GB; us)"]
    heads = [*COLUMNS[:4], *(f"cpu {name}" for name in COLUMNS[:4]), *COLUMNS[4:]]
    lines.append("  " + "".ljust(16) + "".join(head.rjust(13) for head in heads))
    for place in places:
        cells = []
        for head in heads:
            value = place.median(head)
            shown = f"{value:.3f}" if value is not None and head.startswith("cpu") else f"{value or 0:.1f}"
            cells.append("-" if value is None else shown)
        lines.append("  " + place.name.ljust(16) + "".join(cell.rjust(13) for cell in cells))
    by_name = {place.name: place for place in places}
    for column, peer, share, more, words in GOALS:
        ours = by_name["pod"].median(column) if "pod" in by_name else None
        theirs = by_name[peer].median(column) if peer in by_name else None
        if ours is None or not theirs:
            continue
        met = ours >= share * theirs if more else ours <= share * theirs
        sign = ">=" if more else "<="
        lines.append(f"  goal {words} {sign} {share} x {peer}: {ours / theirs:.2f}, {'met' if met else 'NOT met'}")
    return lines


def _memory(pids: list[int]) -> int:
    """kB that are these processes' own (RssAnon and RssShmem: what is mapped of files is the page cache's)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1])
    return total


def idle(places: list[Place], address: str) -> list[str]:
    """What idle connections and mappings cost pod's process in memory."""
    pods = [place for place in places if place.name == "pod"]
    if not pods:
        return []
    place, lines = pods[0], []
    empty = _memory(place.between())
    lines.append(f"  memory of netd after the rounds: {empty} kB; goal <= {NETD_GOAL}: {_verdict(empty <= NETD_GOAL)}")
    for verb, words, most in (("hold", "TCP connections", 0.0), ("maps", "UDP mappings", 1.0)):
        try:
            count = int(place.agent.ask(verb, address, places[0].port, IDLE, seconds=300)[0])
            each = (_memory(place.between()) - empty) / max(1, count)
            alive = int(place.agent.ask("drop", seconds=300)[0])
        except Broken as error:
            lines.append(f"  {words}: {error}")
            continue
        goal = f"; goal <= {most} kB: {_verdict(each <= most)}" if most else ""
        lines.append(f"  {words}: {count} of {IDLE} stood, {alive} still worked, {each:.2f} kB each in netd{goal}")
    return lines


def _verdict(met: bool) -> str:
    return "met" if met else "NOT met"


def names(bench: peers.Bench) -> list[str]:
    """Answers a second of the resolver in a container, about another on its network."""
    image, program = bench.pod.image("busybox:latest"), bench.scratch / "netload"
    bench.pod("network", "create", "bench").ok()
    try:
        flags = ["--network", "bench", "-v", f"{program}:{netload.INSIDE}:ro"]
        bench.pod("run", "-d", "--name", "server", "--network", "bench", image, "sleep", "1000").ok()
        words = ["run", "-i", "--rm", *flags, image, netload.INSIDE, "agent", str(netload.PORT)]
        agent = Agent(bench.pod.argv(*words), bench.pod.environ())
        try:
            rates = []
            for _ in range(5):
                answered, named, rate = agent.ask("dns", "127.0.0.11", 53, 20_000, "server", 32)
                if answered != named:
                    return [f"  names: {answered} answers, {named} with an address"]
                rates.append(float(rate))
        finally:
            agent.close()
    finally:
        bench.pod("rm", "-f", "server")
        bench.pod("network", "rm", "bench")
    rate = statistics.median(rates)
    return [f"  goal names >= {DNS_GOAL} answers/s: {rate:.0f}, {_verdict(rate >= DNS_GOAL)}"]


def starts(bench: peers.Bench) -> tuple[list[Subject], list[str]]:
    """Warm starts: on no network, on the bridge, podman's default."""
    image, missing = bench.pod.image("busybox:latest"), []
    subjects = [
        Subject(
            name,
            bench.pod.argv("run", "--rm", "--network", network, image, "true"),
            bench.pod.environ(),
            before=lambda: time.sleep(0.02),
        )
        for name, network in (("pod none", "none"), ("pod", "bridge"))
    ]
    try:
        podman = bench.podman()
        reference = bench.registry.name("busybox:latest")
        peers.ready([*podman, "pull", "--quiet", "--tls-verify=false", reference], bench)
        options = ["run", "--rm", "--pull", "never", *(["--cgroups=disabled"] if peers.crun_works() else [])]
        subjects.append(Subject("podman", [*podman, *options, reference, "true"], bench.environ))
    except peers.MissingPeer as error:
        missing.append(str(error))
    return subjects, missing


def run(bench: peers.Bench, rounds: int) -> list[str]:
    """All but the starts, which are a table like others."""
    lines: list[str] = []
    for part in (lambda: traffic(bench, rounds), lambda: names(bench)):
        try:
            lines += part()
        except (peers.MissingPeer, Broken, AssertionError, OSError, subprocess.SubprocessError) as error:
            lines.append(f"  not measured: {' '.join(str(error).split())[:400]}")
    return lines
