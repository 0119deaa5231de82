"""A start's way to its network: interfaces there before the program runs, files, records; and what a death leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core import statefile
from tests.support.podcli import Pod, free_port, until

BRIDGE = ("--network", "bridge")


def _state(pod: Pod, name: str) -> dict[str, Any]:
    """What the supervisor recorded of the container's networks."""
    container_id = pod("inspect", "-f", "{{.Id}}", name).ok().strip()
    found: dict[str, Any] = statefile.read(f"{pod.root}/containers/{container_id}/state.json")
    return found.get("network", {})


def _address(pod: Pod, name: str) -> str:
    address: str = _state(pod, name)["Networks"]["bridge"]["IPAddress"]
    return address


def _netd(pod: Pod) -> int:
    """The process that looks after the networks of this store; 0: none."""
    folder = os.path.realpath(pod.run_pointer()) + "/netd"
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                name = Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            if words[:2] == [b"pod-netd", folder.encode()] and name == "pod-netd":
                return int(entry)
    return 0


@pytest.fixture
def server(pod: Pod, busybox: str) -> str:
    """A container that answers its name on port 80 of the default bridge."""
    script = "while :; do hostname | nc -l -p 80; done"
    pod("run", "-d", "--name", "server", *BRIDGE, "-h", "the-server", busybox, "sh", "-c", script).ok()
    return "server"


def _reaches(pod: Pod, guest: str, address: str) -> bool:
    return pod("exec", guest, "nc", "-w", "3", address, "80").out == "the-server\n"


def test_interfaces_are_there_when_the_program_begins(pod: Pod, busybox: str) -> None:
    script = "ip -4 addr show eth0; ip route; cat /etc/hosts; hostname"
    out = pod("run", "--rm", *BRIDGE, busybox, "sh", "-c", script).ok()
    found = re.search(r"inet (\S+)/", out)
    assert found, out
    assert "default via" in out
    hostname = out.splitlines()[-1]
    assert f"{found.group(1)}\t{hostname}\n" in out
    assert out.count("localhost") >= 2


def test_containers_reach_each_other_and_the_record_tells_where(pod: Pod, busybox: str, server: str) -> None:
    address = _address(pod, server)
    out = pod("run", "--rm", *BRIDGE, busybox, "nc", "-w", "3", address, "80").ok()
    assert out == "the-server\n"
    pod("stop", "-t", "0", server).ok()
    assert _state(pod, server) == {}
    pod("start", server).ok()
    assert _address(pod, server)


def test_a_container_on_another_s_network_has_its_addresses_names_and_files(
    pod: Pod, busybox: str, server: str
) -> None:
    words = ("--network", f"container:{server}")
    script = "hostname; ip -4 addr show eth0; readlink /proc/self/ns/net; cat /etc/hosts; nc -w 3 127.0.0.1 80"
    out = pod("run", "--rm", *words, busybox, "sh", "-c", script).ok()
    assert out.splitlines()[0] == out.splitlines()[-1] == "the-server"
    assert f"inet {_address(pod, server)}/" in out
    assert f"{_address(pod, server)}\tthe-server\n" in out
    assert pod("exec", server, "readlink", "/proc/self/ns/net").ok().strip() in out
    pod("run", "-d", "--name", "guest", *words, busybox, "sleep", "1000").ok()
    assert pod("exec", "guest", "nc", "-w", "3", "127.0.0.1", "80").ok() == "the-server\n"
    pod("rm", "-f", server).ok()
    pod("run", "--rm", "--network", "container:guest", busybox, "hostname").ok()


def test_network_of_a_container_that_does_not_run_is_refused(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "idle", "--network", "none", busybox, "true").ok()
    done = pod("run", "--rm", "--network", "container:idle", busybox, "true")
    done.failed(125, "cannot join network of a non running container")
    pod("run", "--rm", "--network", "container:nobody", busybox, "true").failed(125, "No such container: nobody")


def test_a_policy_s_start_has_a_network_again(pod: Pod, busybox: str, server: str) -> None:
    script = f"nc -w 3 {_address(pod, server)} 80 >> /seen; [ $(wc -l < /seen) -ge 3 ] && exec sleep 1000; exit 1"
    pod("run", "-d", "--name", "again", "--restart", "always", *BRIDGE, busybox, "sh", "-c", script).ok()
    until(lambda: pod("exec", "again", "cat", "/seen").out == "the-server\n" * 3, 30, "three runs with a network")


def test_netd_killed_is_replaced_within_a_second_and_traffic_never_stops(pod: Pod, busybox: str, server: str) -> None:
    address = _address(pod, server)
    pod("run", "-d", "--name", "guest", *BRIDGE, busybox, "sleep", "1000").ok()
    assert _reaches(pod, "guest", address)
    before = _netd(pod)
    os.kill(before, signal.SIGKILL)
    begun = time.monotonic()
    assert _reaches(pod, "guest", address)
    until(lambda: _netd(pod) not in (0, before), 10, "another netd")
    assert time.monotonic() - begun < 5
    assert _reaches(pod, "guest", address)
    assert _address(pod, server) == address
    # It knows who has which address.
    out = pod("run", "--rm", *BRIDGE, busybox, "sh", "-c", f"ip -4 addr show eth0; nc -w 3 {address} 80").ok()
    assert "the-server" in out
    assert f"inet {address}/" not in out
    assert f"inet {_address(pod, 'guest')}/" not in out


def test_netd_and_all_supervisors_but_one_killed(pod: Pod, busybox: str, server: str) -> None:
    pod("run", "-d", "--name", "guest", *BRIDGE, busybox, "sleep", "1000").ok()
    pid = pod.state("guest")["Pid"]
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    before = _netd(pod)
    for one in (before, parent):
        os.kill(one, signal.SIGKILL)
    until(lambda: _netd(pod) not in (0, before), 10, "another netd")
    until(lambda: "Up" not in pod("ps", "-a", "--filter", "name=guest", "--format", "{{.Status}}").out, 10, "its end")
    address = _address(pod, server)
    assert pod("run", "--rm", *BRIDGE, busybox, "nc", "-w", "3", address, "80").ok() == "the-server\n"


def test_nothing_remains_when_the_last_container_is_gone(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", *BRIDGE, busybox, "true").ok()
    until(lambda: _netd(pod) == 0, 10, "netd to end")


def test_a_port_that_is_taken_fails_the_start_in_docker_s_words_and_leaves_nothing(pod: Pod, busybox: str) -> None:
    published = ("-p", f"127.0.0.1:{free_port()}:80")
    pod("run", "-d", "--name", "first", *BRIDGE, *published, busybox, "sleep", "1000").ok()
    done = pod("run", "--rm", *BRIDGE, *published, busybox, "true")
    done.failed(125, "driver failed programming external connectivity", "port is already allocated")
    assert pod("ps", "-aq").ok().split() == [pod("inspect", "-f", "{{.Id}}", "first").ok()[:12]]
    pod("rm", "-f", "first").ok()
    assert pod("run", "--rm", *BRIDGE, *published, busybox, "echo", "free again").ok() == "free again\n"


def test_a_run_directory_of_a_long_path_has_networks_too(pod: Pod, busybox: str, tmp_path: Path) -> None:
    """sun_path has 108 bytes."""
    folder = tmp_path / ("x" * 120) / ("y" * 200)
    folder.mkdir(mode=0o700, parents=True)
    extra = {"POD_RUN_DIR": str(folder), "POD_ROOT": str(tmp_path / "store")}
    pod("pull", busybox, env=extra).ok()
    pod("run", "-d", "--name", "first", *BRIDGE, busybox, "sleep", "1000", env=extra).ok()
    known = json.loads(pod("network", "inspect", "-v", "bridge", env=extra).ok())[0]["Holder"]
    netd = int(Path(f"/proc/{known['Pid']}/stat").read_text().rpartition(")")[2].split()[1])
    assert str(folder).encode() in Path(f"/proc/{netd}/cmdline").read_bytes()
    os.kill(netd, signal.SIGKILL)

    def again() -> bool:
        found = json.loads(pod("network", "inspect", "-v", "bridge", env=extra).ok())[0]["Holder"]
        return bool(found.get("Ends"))

    until(again, 10, "the container to be known to the next one")
    pod("rm", "-f", "first", env=extra).ok()
    pod("rmi", busybox, env=extra).ok()
