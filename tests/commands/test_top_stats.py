"""``top`` and ``stats``: the processes of a container, and what they use."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
from typing import Any

import pytest

from tests.support import podcli
from tests.support.podcli import Pod

TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
KINDS = [(), ("--pid", "host")]


@pytest.fixture
def bare(pod: Pod) -> dict[str, str]:
    """An environment on whose PATH there is no ps."""
    folder = pod.home / "bare"
    folder.mkdir(exist_ok=True)
    for name in ("sh", "python3", "env", "newuidmap", "newgidmap"):
        for place in ("/usr/bin", "/bin"):
            if os.path.exists(f"{place}/{name}") and not (folder / name).exists():
                (folder / name).symlink_to(f"{place}/{name}")
    return {"PATH": str(folder)}


def started(pod: Pod, image: str, *flags: str) -> str:
    """A container with a first process, one below it, and an exec's; beside another that sleeps too. With the host's
    pids it has one alone, as nothing would end the others.
    """
    pod("run", "-d", *flags, image, "sleep", "993").ok()
    if flags:
        return pod("run", "-d", *flags, image, "sleep", "992").ok().strip()
    name = pod("run", "-d", image, "sh", "-c", "sleep 991 & sleep 992; true").ok().strip()
    pod("exec", "-d", name, "sleep", "994").ok()
    podcli.until(lambda: "994" in pod("top", name).out and "992" in pod("top", name).out, 10, "its processes")
    return name


@pytest.mark.parametrize("flags", KINDS, ids=["own-pids", "host-pids"])
def test_top_shows_the_processes_with_the_hosts_numbers(pod: Pod, busybox: str, flags: tuple[str, ...]) -> None:
    name = started(pod, busybox, *flags)
    lines = pod("top", name).ok().splitlines()
    assert lines[0].split() == TITLES
    assert all(line[at] != " " for line in lines for at in range(0, 140, 20)), "columns are 20 wide"
    rows = [line.split(None, 7) for line in lines[1:]]
    all_of_it = ["sh -c sleep 991 & sleep 992; true", "sleep 991", "sleep 992", "sleep 994"]
    assert sorted(row[7] for row in rows) == (["sleep 992"] if flags else all_of_it)
    first = str(pod.state(name)["Pid"])
    assert rows[0][1] == first
    assert {row[0] for row in rows} == {pwd.getpwuid(os.getuid()).pw_name}
    assert [row[2] for row in rows if row[7] == "sleep 991"] == ([] if flags else [first])


def test_top_takes_the_options_of_ps(pod: Pod, busybox: str) -> None:
    name = started(pod, busybox)
    lines = pod("top", name, "-o", "pid,args").ok().splitlines()
    assert lines[0].split() == ["PID", "COMMAND"]
    assert len(lines) == 5
    assert len(pod("top", name, "aux").ok().splitlines()) == 5
    assert len(pod("container", "top", name, "-ef").ok().splitlines()) == 5
    pod("top", name, "-o", "user").failed(1, "Couldn't find PID field in ps output")
    pod("top", name, "-o", "ppid=PID").failed(1, 'specifying "ppid=PID" is not allowed')
    pod("top", name, "--nonsense").failed(1, "Error running ps")


@pytest.mark.parametrize("flags", KINDS, ids=["own-pids", "host-pids"])
def test_top_without_a_ps_reads_the_same_from_proc(
    pod: Pod, busybox: str, bare: dict[str, str], flags: tuple[str, ...]
) -> None:
    name = started(pod, busybox, *flags)
    mine = [line.split(None, 7) for line in pod("top", name, env=bare).ok().splitlines()]
    theirs = [line.split(None, 7) for line in pod("top", name).ok().splitlines()]
    assert mine[0] == theirs[0]
    # Not the share and the start, which are a moment's.
    assert sorted(row[:3] + row[5:] for row in mine) == sorted(row[:3] + row[5:] for row in theirs)
    pod("top", name, "aux", env=bare).failed(1, "this host has no ps")


def test_top_of_what_does_not_run_is_refused(pod: Pod, busybox: str) -> None:
    name = pod("create", busybox, "true").ok().strip()
    pod("top", name).failed(1, f"container {name} is not running")
    pod("top", "no-such").failed(1, "No such container: no-such")
    pod("top").failed(1, "requires at least 1 argument")


def test_stats_counts_what_its_processes_use(pod: Pod, busybox: str) -> None:
    program = "dd if=/dev/zero of=/dev/null bs=1M count=999999 & tail -c 20000000 /dev/zero | sleep 1000"
    program = f"{program} & while :; do true; done"
    busy = pod("run", "-d", "--name", "busy", "--network", "none", busybox, "sh", "-c", program).ok().strip()
    idle = pod("run", "-d", "--name", "idle", "--pid", "host", busybox, "sleep", "1000").ok().strip()
    made = pod("create", "--name", "made", busybox, "true").ok().strip()
    rows = [json.loads(line) for line in pod("stats", "--no-stream", "--format", "json").ok().splitlines()]
    found = {row["Name"]: row for row in rows}
    assert set(found) == {"busy", "idle"}
    wanted = ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"]
    assert list(found["busy"]) == wanted
    assert found["busy"]["ID"] == found["busy"]["Container"] == busy[:12]
    assert float(found["busy"]["CPUPerc"][:-1]) > 3, "the machine may be busy with others"
    assert float(found["idle"]["CPUPerc"][:-1]) < 3
    assert int(found["busy"]["PIDs"]) >= 3
    assert found["idle"]["PIDs"] == "1"
    assert re.fullmatch(r"[\d.]+(Ki|Mi)B / [\d.]+GiB", found["idle"]["MemUsage"])
    assert re.fullmatch(r"\d+\.\d\d%", found["idle"]["MemPerc"])
    assert found["idle"]["NetIO"] == "0B / 0B"
    pod("pause", "busy").ok()
    lines = pod("stats", "--no-stream", "-a", "--no-trunc").ok().splitlines()
    assert re.split(r"\s{2,}", lines[0]) == [
        "CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS",
    ]  # fmt: skip
    shown = {line.split()[1]: line.split()[2:] for line in lines[1:]}
    assert {line.split()[0] for line in lines[1:]} == {busy, idle, made}
    assert shown["busy"][0] == "0.00%", "a paused one uses nothing"
    assert shown["made"] == ["0.00%", "0B", "/", "0B", "0.00%", "0B", "/", "0B", "0B", "/", "0B", "0"]


def test_stats_on_a_terminal_is_drawn_again_and_again(pod: Pod, sleeper: str) -> None:
    terminal = pod.terminal("stats", sleeper, rows=10, columns=120)
    for _ in range(2):
        terminal.expect(rb"\x1b\[H\x1b\[J")
        terminal.expect(b"sleeper")
    terminal.send(b"\x03")
    assert terminal.wait() == 130


def test_stats_of_what_is_not_there_is_refused(pod: Pod, sleeper: str) -> None:
    pod("stats", "--no-stream", sleeper, "no-such").failed(1, "No such container: no-such")
    pod("stats", "--no-stream", "--format", "{{.Nonsense}}", sleeper).failed(1, "Nonsense")
    pod("stats", "--no-stream", "--format", "{{", sleeper).failed(1)
    out = pod("stats", "--no-stream", "--format", "table {{.Container}}\t{{.Name}}", sleeper).ok()
    assert out.split() == ["CONTAINER", "NAME", sleeper, sleeper]


def test_stats_when_its_container_is_removed_then_it_ends(pod: Pod, sleeper: str) -> None:
    process = pod.start("stats", sleeper)
    assert process.stdout is not None
    assert b"CONTAINER ID" in process.stdout.readline()
    pod("rm", "-f", sleeper).ok()
    assert process.wait(20) == 0


def test_stats_when_somebody_looked_before_then_what_changed_is_seen(pod: Pod, busybox: str) -> None:
    """Records are remembered from look to look, as long as they are the same."""

    def names(*words: str) -> dict[str, list[str]]:
        lines = pod("stats", "--no-stream", *words).ok().splitlines()[1:]
        return {line.split()[1]: line.split() for line in lines}

    for name in ("one", "two", "three"):
        pod("run", "-d", "--name", name, "--memory=90m", "--network", "none", busybox, "sleep", "1000").ok()
    assert set(names()) == set(names()) == {"one", "two", "three"}
    pod("rename", "one", "uno").ok()
    assert set(names()) == {"uno", "two", "three"}
    pod("stop", "-t", "0", "two").ok()
    assert set(names()) == set(names()) == {"uno", "three"}
    assert set(names("-a")) == set(names("-a")) == {"uno", "two", "three"}
    pod("update", "--memory", "64m", "uno").ok()
    assert names()["uno"][5] == names()["uno"][5] == "64MiB"
    pod("run", "-d", "--name", "four", "--network", "none", busybox, "sleep", "1000").ok()
    assert set(names()) == {"uno", "three", "four"}
    os.kill(pod.state("three")["Pid"], signal.SIGKILL)
    podcli.until(lambda: set(names()) == {"uno", "four"}, 10, "three is gone")
    record = pod.root / "containers" / pod.inspect("uno")["Id"] / "state.json"
    supervisor = json.loads(record.read_text())["supervisor"]
    assert set(names()) == {"uno", "four"}
    os.kill(supervisor, signal.SIGKILL)
    podcli.until(lambda: set(names()) == {"four"}, 10, "a killed supervisor is noticed")
    pod("rm", "four", "-f").ok()
    assert names() == names() == {}


def test_stats_when_what_is_remembered_is_damaged_then_looked_at_anew(pod: Pod, sleeper: str) -> None:
    out = pod("stats", "--no-stream", "--format", "{{.Name}}").ok()
    looks = pod.run_pointer().resolve() / "looks"
    whole = looks.read_bytes()
    row = json.loads(whole)[0]
    wrong: list[Any] = [[row[:3]], [[*row[:5], "x", *row[6:]]], {}, [[row]], [row, row], [[*row[:9], 1.0, -1.0]]]
    wrong += [[[*row[:5], -1, *row[6:]]], [[*row[:5], 1 << 70, *row[6:]]], [[*row[:9], 1.0, 1e999]]]
    for data in (b"", b"\xff", whole[:40], b"[" * 100000, b"[[]]", *(json.dumps(one).encode() for one in wrong)):
        looks.write_bytes(data)
        assert pod("stats", "--no-stream", "--format", "{{.Name}}").ok() == out, data[:99]
