"""Namespaces of `pod run`: each is the container's own unless told otherwise."""

from __future__ import annotations

import os

import pytest

from tests.support.podcli import Pod


def namespace(pod: Pod, kind: str, *arguments: str) -> str:
    return pod("run", "--rm", *arguments, "readlink", f"/proc/self/ns/{kind}").ok().strip()


@pytest.mark.parametrize("kind", ["user", "mnt", "pid", "ipc", "uts", "cgroup"])
def test_run_has_namespaces_of_its_own(pod: Pod, busybox: str, kind: str) -> None:
    seen = namespace(pod, kind, "--network", "none", busybox)
    assert seen.startswith(f"{kind}:[")
    assert seen != os.readlink(f"/proc/self/ns/{kind}")


@pytest.mark.parametrize(("option", "kind"), [("--ipc", "ipc"), ("--uts", "uts"), ("--network", "net")])
def test_run_host_shares_the_namespace(pod: Pod, busybox: str, option: str, kind: str) -> None:
    assert namespace(pod, kind, option, "host", busybox) == os.readlink(f"/proc/self/ns/{kind}")


def test_run_pid_host_shows_the_hosts_processes(pod: Pod, busybox: str) -> None:
    assert namespace(pod, "pid", "--pid", "host", busybox) == os.readlink("/proc/self/ns/pid")


def test_run_old_spelling_of_network_works(pod: Pod, busybox: str) -> None:
    assert namespace(pod, "net", "--net=host", busybox) == os.readlink("/proc/self/ns/net")


def test_run_network_none_has_only_loopback_and_it_is_up(pod: Pod, busybox: str) -> None:
    script = "ls /sys/class/net; ip addr show lo"
    text = pod("run", "--rm", "--network", "none", busybox, "sh", "-c", script).ok()
    assert text.split()[0] == "lo"
    assert text.count("\nlo\n") == 0
    assert "127.0.0.1/8" in text
    assert "UP" in text


def test_run_network_none_may_listen_on_low_ports(pod: Pod, busybox: str) -> None:
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert pod("run", "--rm", "--network", "none", busybox, "sh", "-c", script).ok() == "0\n"


def test_run_unknown_network_is_said(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--network", "nowhere", busybox, "true").failed(125, "nowhere")


def test_run_sees_only_its_own_processes(pod: Pod, busybox: str) -> None:
    listed = pod("run", "--rm", busybox, "sh", "-c", "ls -d /proc/[0-9]*").ok().split()
    assert len(listed) <= 3


def test_run_root_of_the_container_is_the_caller_outside(pod: Pod, busybox: str) -> None:
    words = pod("run", "--rm", busybox, "cat", "/proc/self/uid_map").ok().split()
    assert words[0] == "0"


@pytest.mark.sub_ids
def test_run_with_sub_ids_maps_a_range(pod: Pod, busybox: str) -> None:
    lines = pod("run", "--rm", busybox, "cat", "/proc/self/uid_map").ok().splitlines()
    assert sum(int(line.split()[2]) for line in lines) > 65000


@pytest.mark.no_sub_ids
def test_run_without_sub_ids_maps_one_id(pod: Pod, busybox: str) -> None:
    lines = pod("run", "--rm", busybox, "cat", "/proc/self/uid_map").ok().splitlines()
    assert [line.split()[2] for line in lines] == ["1"]


def test_run_userns_host_is_said_to_be_the_default(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", "--userns", "host", busybox, "id", "-u")
    assert done.ok() == "0\n"
    assert done.err


@pytest.mark.sub_ids
def test_run_uidmap_is_followed(pod: Pod, busybox: str) -> None:
    maps = ("--uidmap", "0:1:100", "--gidmap", "0:1:100")
    words = pod("run", "--rm", *maps, busybox, "cat", "/proc/self/uid_map").ok().split()
    assert (words[0], words[2]) == ("0", "100")


@pytest.mark.no_sub_ids
def test_run_uidmap_without_sub_ids_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--uidmap", "0:1:100", busybox, "true").failed(125, "hint:")
