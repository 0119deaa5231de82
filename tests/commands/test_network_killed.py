"""Processes of networks that are killed, started twice, or no longer needed: others go on, nothing remains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import netd, netload, places
from tests.support.inside import Inside, found, free_ports, host_address, reaches
from tests.support.podcli import Pod, command, until

SOON = 1.0
"""Seconds in which all works again."""


def soon() -> float:
    """SOON, and as many times that as there are processes for each processor now."""
    return SOON * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _supervisor(pod: Pod, name: str) -> int:
    record = pod.root / "containers" / pod.inspect(name)["Id"] / "state.json"
    return int(json.loads(record.read_text())["supervisor"])


def _works(inside: Inside, client: netload.Agent, port: int) -> Callable[[], bool]:
    """Names, ways out and published ports of "server" and "client"."""
    address, own = inside.address("server", "one"), host_address()

    def works() -> bool:
        if client.tries("look", "127.0.0.11", 53, 1, "server") != f"0 {address}":
            return False
        return reaches(client, own, inside.host_port) and reaches(inside.host(), "127.0.0.1", port)

    return works


_RARE = [pytest.param(each, marks=pytest.mark.slow) for each in ("pod-holder", "both")]


@pytest.mark.parametrize("victim", ["pod-netd", *_RARE])
def test_network_when_its_process_is_killed_then_all_works_again_and_traffic_went_on(
    pod: Pod, inside: Inside, victim: str
) -> None:
    port = free_ports(1)
    inside.network("one")
    inside.serving("server", "--network", "one", "-p", f"{port}:{netload.PORT}")
    client = inside("client", "--network", "one")
    inside.host()
    works = _works(inside, client, port)
    assert works()
    before = netd.pid(pod.root)
    assert client.ask("hold", inside.address("server", "one"), netload.PORT, 5) == ["5"]
    for name in ("pod-netd", "pod-holder"):
        if victim in (name, "both"):
            for pid in netd.pids(pod.root, name):
                os.kill(pid, signal.SIGKILL)
    begin, bound = time.monotonic(), soon()
    until(works, bound, "names and ports")
    assert time.monotonic() - begin < bound
    assert reaches(client, inside.address("server", "one")), "between containers the bridge goes on"
    assert client.ask("drop") == ["5"], "connections between containers were kept"
    if victim != "pod-holder":
        assert netd.pid(pod.root) not in (0, before)
    third = inside("third", "--network", "one")
    assert found(third, "server") == [inside.address("server", "one")]
    assert len({inside.address(name, "one") for name in ("server", "client", "third")}) == 3


@pytest.mark.parametrize("both", [pytest.param(False, marks=pytest.mark.slow), True])
def test_network_when_a_supervisor_is_killed_then_its_port_is_free_and_others_go_on(
    pod: Pod, inside: Inside, both: bool
) -> None:
    port = free_ports(2)
    dead = port + 1
    inside.network("one")
    inside.serving("server", "--network", "one", "-p", f"{port}:{netload.PORT}")
    inside.serving("victim", "--network", "one", "-p", f"{dead}:{netload.PORT}")
    client = inside("client", "--network", "one")
    inside.host()
    works = _works(inside, client, port)
    assert works()
    supervisor = _supervisor(pod, "victim")
    if both:
        os.kill(netd.pid(pod.root), signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    until(works, soon(), "names and ports of the others")
    until(lambda: not reaches(inside.host(), "127.0.0.1", dead), soon(), "the dead one's port")
    until(lambda: client.ask("look", "127.0.0.11", 53, 1, "victim")[1:] == [], soon(), "the dead one's name")
    inside.serving("next", "--network", "one", "-p", f"{dead}:{netload.PORT}")
    assert reaches(inside.host(), "127.0.0.1", dead)


def test_network_when_its_process_is_killed_then_a_removed_network_is_in_nobodys_way(pod: Pod, inside: Inside) -> None:
    """What the next process finds in the holder was made by the killed one, and perhaps nobody has it any more."""
    inside.network("one")
    inside.serving("server", "--network", "one")
    pod("network", "create", "--subnet", "172.31.0.0/16", "old").ok()
    pod("run", "--rm", "--network", "old", inside.image, "true").ok()
    before = netd.pid(pod.root)
    os.kill(before, signal.SIGKILL)
    until(lambda: netd.pid(pod.root) not in (0, before), soon(), "another process")
    pod("network", "rm", "old").ok()
    inside.network("new", "--subnet", "172.31.0.0/16")
    client = inside("client", "--network", "new")
    inside.host()
    assert reaches(client, host_address(), inside.host_port)
    assert not reaches(client, inside.address("server", "one"))


def _namespaces(pids: list[int]) -> set[str]:
    found = set()
    for pid in pids:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            continue
    return found


def test_network_when_the_last_container_is_gone_then_nothing_remains_within_seconds(
    pod: Pod, inside: Inside
) -> None:
    inside.network("one")
    inside.serving("server", "--network", "one", "-p", str(netload.PORT))
    client = inside("client", "--network", "one", "-p", str(netload.PORT))
    assert reaches(client, inside.address("server", "one"))
    assert {"pod-netd", "pod-holder"} <= set(netd.processes(pod.root).values())
    first = [pod.state(name)["Pid"] for name in ("server", "client")]
    spaces = _namespaces([*netd.processes(pod.root), *first])
    spaces -= {os.readlink("/proc/self/ns/net")}
    assert spaces
    client.process.stdin.close()  # type: ignore[union-attr]
    pod("rm", "-f", "client", "server").ok()
    assert netd.left(pod.root, netd.ENDS + 3) == []
    living = _namespaces([int(entry) for entry in os.listdir("/proc") if entry.isdigit()])
    assert not spaces & living


def test_network_when_runs_begin_at_once_then_they_share_one_process(pod: Pod, inside: Inside) -> None:
    assert netd.left(pod.root, 10) == []
    words = ("run", "--rm", "--network", "bridge", inside.image, "sh", "-c", "ip -4 addr show eth0; sleep 2")
    started = [pod.start(*words) for _ in range(4)]
    until(lambda: len(netd.containers(pod.root)) == 4, 30, "all four")
    assert netd.pid(pod.root)
    assert len(netd.pids(pod.root, "pod-holder")) == 1
    addresses = set()
    for process in started:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        addresses.add(out.split(b"inet ")[1].split(b"/")[0])
    assert len(addresses) == 4


@pytest.mark.alike
def test_network_when_two_versions_use_a_store_then_one_process_serves_both(
    pod: Pod, inside: Inside, tmp_path: Path
) -> None:
    other, environ = _other_version(pod, tmp_path)
    words = ("--network", "bridge", *inside.mount, inside.image, netload.INSIDE, "serve", str(netload.PORT))
    assert netd.left(pod.root, 10) == []
    pod("run", "-d", "--name", "first", *words).ok()
    one = netd.pid(pod.root)
    argv = [*other, "run", "-d", "--name", "second", *words]
    done = subprocess.run(argv, env=environ, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert netd.pid(pod.root) == one
    assert sorted(netd.containers(pod.root)) == ["first", "second"]
    os.kill(one, signal.SIGKILL)
    until(lambda: sorted(netd.containers(pod.root)) == ["first", "second"], soon(), "both again")
    assert reaches(inside("client"), inside.address("second", "bridge"))


def _other_version(pod: Pod, folder: Path) -> tuple[list[str], dict[str, str]]:
    """A copy of pod elsewhere, unpacked elsewhere; of a working tree one with another build's id in all its parts."""
    words = command()
    environ = pod.environ({"XDG_CACHE_HOME": str(folder / "cache")})
    if len(words) == 1:
        return [shutil.copy(words[0], folder / "other-pod")], environ
    ours = (places.REPOSITORY / "ext" / "_build.py").read_bytes().split(b'"')[1]
    parts = ("core", "cli", "ext", "packaging/pod", "packaging/launcher", "tests/support/dev_pod.py")
    for path in (each for part in parts for each in _files(places.REPOSITORY / part)):
        target = folder / path.relative_to(places.REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(os.readlink(path))
            continue
        target.write_bytes(path.read_bytes().replace(ours, ours[::-1]))
        target.chmod(path.stat().st_mode)
    script = folder / "tests/support/dev_pod.py"
    return [word if not word.endswith("dev_pod.py") else str(script) for word in words], environ


def _files(path: Path) -> list[Path]:
    if path.is_symlink() or path.is_file():
        return [path]
    skipped = {"__pycache__", "src"}
    found = (each for each in path.rglob("*") if each.is_symlink() or not each.is_dir())
    return [each for each in found if not skipped.intersection(each.relative_to(path).parts)]
