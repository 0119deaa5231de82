"""Networks on hosts that are made to lack something: said before anything is made, or done without."""

from __future__ import annotations

import pytest

from tests.commands.test_doctor import inside, under_filter

PING = ("run", "--rm", "--network", "bridge")

pytestmark = pytest.mark.alike


@pytest.fixture
def busybox(fresh_pod):
    return fresh_pod.image("busybox")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("no-netfilter", "pod: no way out of a network for a container: set up a network: nfnetlink: "),
        ("no-netlink", "pod: no network for a container: set up a network: rtnetlink: "),
    ],
)
def test_run_when_the_kernel_lacks_what_networks_need_then_it_is_named(fresh_pod, busybox, profile, words):
    done = under_filter(fresh_pod, profile, "run", "--network", "bridge", "--name", "one", busybox, "true")
    assert done.returncode == 125
    first, hint = done.stderr.splitlines()
    assert first.startswith(words)
    assert hint.startswith("hint: --network none or --network host do without; a seccomp filter is on this process")
    assert fresh_pod("ps", "-aq").ok() == ""
    for mode in ("none", "host"):
        assert under_filter(fresh_pod, profile, "run", "--rm", "--network", mode, busybox, "true").returncode == 0


def test_start_when_the_kernel_lacks_it_then_the_container_stays_as_it_was(fresh_pod, busybox):
    fresh_pod("create", "--network", "bridge", "--name", "one", busybox, "true").ok()
    done = under_filter(fresh_pod, "no-netfilter", "start", "one")
    assert "no way out of a network" in done.stderr
    assert fresh_pod("ps", "-a", "--format", "{{.State}}").ok() == "created\n"
    fresh_pod("start", "-a", "one").ok()


def test_run_when_ipv6_is_off_then_networks_have_ipv4(fresh_pod, busybox):
    done = under_filter(fresh_pod, "no-ipv6", *PING, busybox, "ping", "-c", "1", "-W", "5", "172.17.0.1")
    assert done.returncode == 0, done
    assert "1 packets received" in done.stdout


@pytest.mark.nsenter
def test_run_when_there_is_no_tun_then_networks_do_not_need_it(fresh_pod, busybox):
    hidden = "mount -t tmpfs none /dev/net"
    done = inside(fresh_pod, hidden, *PING, busybox, "ping", "-c", "1", "172.17.0.1", flags="-r -m")
    assert done.returncode == 0, done
