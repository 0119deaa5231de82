"""Services as people run them: detached, with a volume, through restarts and kills, gone without a trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.support import leaks, podcli
from tests.support.podcli import Pod
from tests.support.registry import Registry

WAIT = 30.0
"""Seconds that a service may take to answer on a busy machine."""


@pytest.fixture(scope="module")
def pod(registry: Registry) -> Iterator[Pod]:
    """A store of these tests' own, so that whatever is left in it is theirs."""
    yield from podcli.fresh(registry.name)


def until(answers: Callable[[], str], expected: str) -> None:
    """Asks again and again, as a client of a service that is being restarted does."""
    deadline = time.monotonic() + WAIT
    while (got := answers()) != expected:
        assert time.monotonic() < deadline, f"after {WAIT} s still {got!r}, not {expected!r}"
        time.sleep(0.1)


def state(pod: Pod, name: str) -> tuple[int, int, int]:
    """Its first process and its supervisor, as the host counts them, and how often the policy started it again."""
    document = json.loads(pod("inspect", name).ok())[0]
    record = json.loads((pod.root / "containers" / document["Id"] / "state.json").read_text())
    return document["State"]["Pid"], record["supervisor"], document["RestartCount"]


def kill_main_process(pod: Pod, name: str) -> None:
    """SIGKILL from outside, without pod. With sub-ids the process may have another uid: only its user namespace's owner
    may end it, and the supervisor lives in that namespace.
    """
    pid, supervisor, _ = state(pod, name)
    if os.readlink("/proc/self/ns/user") == os.readlink(f"/proc/{supervisor}/ns/user"):
        os.kill(pid, 9)
        return
    nsenter = shutil.which("nsenter")
    assert nsenter
    subprocess.run(
        [nsenter, "--user", "--preserve-credentials", "-t", str(supervisor), "kill", "-9", str(pid)], check=True
    )


def fetch(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return str(error)


def survives(pod: Pod, name: str, answers: Callable[[], str], expected: str) -> None:
    """``restart``, then SIGKILL of the first process: it answers again, and the policy's count says so."""
    before = state(pod, name)
    pod("restart", name).ok()
    until(answers, expected)
    after = state(pod, name)
    assert after[0] != before[0]
    assert after[2] == 0
    kill_main_process(pod, name)
    until(lambda: str(state(pod, name)[2]), "1")
    until(answers, expected)
    assert state(pod, name)[0] != after[0]


def removed_without_a_trace(pod: Pod, name: str, volume: str) -> None:
    pod("stop", name).ok()
    pod("rm", name).ok()
    pod("volume", "rm", volume).ok()
    assert pod("ps", "-aq").ok() == ""
    assert pod("volume", "ls", "-q").ok() == ""
    assert leaks.settled(pod.root) == []
    assert os.listdir(pod.root / "volumes") == []


def test_services_when_nginx_then_survives_restart_and_kill(pod: Pod) -> None:
    port = podcli.free_port()
    run = ("run", "-d", "--name", "web", "--restart", "always", "-v", "pages:/srv/pages", "-e", f"PORT={port}")
    pod(*run, "--network", "host", pod.image("services:12"), "serve-nginx").ok()  # it listens on the loopback
    until(lambda: fetch(port), "hello from nginx\n")
    pod("exec", "web", "sh", "-c", "echo changed >/srv/pages/index.html").ok()
    survives(pod, "web", lambda: fetch(port), "changed\n")
    assert "GET / HTTP/1.1" in pod("logs", "web").ok()
    removed_without_a_trace(pod, "web", "pages")


def test_services_when_postgres_then_survives_restart_and_kill(pod: Pod) -> None:
    run = ("run", "-d", "--name", "db", "--restart", "unless-stopped", "-v", "rows:/srv/data")
    pod(*run, pod.image("services:12"), "serve-postgres").ok()

    def query(words: str) -> str:
        done = pod("exec", "-u", "postgres", "db", "psql", "-h", "/srv/data", "-Atc", words)
        return done.out if done.code == 0 else done.err

    until(lambda: query("select 1"), "1\n")
    assert query("create table t as select generate_series(1, 1000) as n") == "SELECT 1000\n"
    survives(pod, "db", lambda: query("select sum(n) from t"), "500500\n")
    assert pod("exec", "db", "stat", "-c", "%U:%G %a", "/srv/data/db").ok() == "postgres:postgres 700\n"
    removed_without_a_trace(pod, "db", "rows")


def test_services_when_user_is_postgres_then_its_server_knows_its_peers(pod: Pod) -> None:
    """USER, whom initdb asks for; ``peer``: who asks is told by the kernel of the socket (SO_PEERCRED)."""
    serve = """
        PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); db=/var/lib/postgresql/own
        initdb --no-sync --auth=peer -D $db >&2
        stat -c '%U:%G %a' $db $db/base; exec postgres -D $db -c listen_addresses= -c unix_socket_directories=/tmp
    """
    pod("run", "-d", "--name", "own", "-u", "postgres", pod.image("services:12"), "sh", "-ec", serve).ok()
    asks = ("psql", "-h", "/tmp", "-U", "postgres", "-Atc", "select current_user, 6 * 7")

    def query(*options: str) -> str:
        done = pod("exec", *options, "own", *asks)
        return done.out if done.code == 0 else done.err.splitlines()[-1].partition("FATAL: ")[2].strip()

    try:
        until(query, "postgres|42\n")
        assert query("-u", "root") == 'Peer authentication failed for user "postgres"'
        assert query("-u", "nobody") == 'Peer authentication failed for user "postgres"'
        assert pod("logs", "own").out == "postgres:postgres 700\npostgres:postgres 700\n"
    finally:
        pod("rm", "-f", "-v", "own").ok()
