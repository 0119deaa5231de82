"""Resource limits: a hog is held by control groups of version 1 where the suite has some, and without any as far as
docs/limits.md says. (Version 2 and systemd's scopes need another kernel: tests/vm.)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import podcli, tools
from tests.support.grouped import Grouped
from tests.support.podcli import Pod, Result

SPIN = ("sh", "-c", "while :; do :; done")
HOG = ("dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1")
FILL = ("dd", "if=/dev/zero", "of=/dev/null", "bs=40M")
FORKS = "i=0; while [ $i -lt 40 ]; do sleep 9 & i=$((i+1)); done 2>/dev/null; ls /proc | grep -c '^[0-9]'"
SWAP = "memory.memsw.limit_in_bytes"


def share_of_a_processor(pid: int, seconds: float = 2.0) -> float:
    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    before, begin = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)


def held_to(folder: Path, pid: int, wanted: float) -> None:
    """Never more than a tenth above, and held there: with others at work it may get less now and then."""
    stopped = times_stopped(folder)
    share = share_of_a_processor(pid)
    assert share <= wanted * 1.1 + 0.01, share
    podcli.until(lambda: times_stopped(folder) > stopped, 30, "it to use up what it may")


def times_stopped(folder: Path) -> int:
    lines = (folder / "cpu.stat").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("nr_throttled ")))


def enforced(pod: Pod, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pod("inspect", "-f", "{{json .HostConfig.EnforcedBy}}", name).ok())
    return found


# ---- control groups of version 1


@pytest.mark.split_cgroups
def test_memory_when_a_group_holds_it_then_the_hog_is_killed_and_told(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    done = grouped("run", "--name", "hog", "--network", "none", "-m", "50m", busybox, *HOG)
    assert (done.code, done.err) == (137, ""), done
    assert pod.state("hog")["OOMKilled"] is True
    said = pod("events", "--since", "60s", "--until", "0s", "--filter", "event=oom", "--format", "{{.Action}}").ok()
    assert said.split() == ["oom"]
    assert not grouped.left()


@pytest.mark.split_cgroups
def test_processor_when_a_group_holds_it_then_within_a_tenth(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    name = grouped("run", "-d", "--network", "none", "--cpus", "0.5", busybox, *SPIN).ok().strip()
    folder = grouped.made("cpu", name)
    held_to(folder, pod.state(name)["Pid"], 0.5)
    assert enforced(pod, name) == {"NanoCpus": "cgroup v1"}
    assert pod("update", "--cpus", "0.2", name).ok().strip() == name
    time.sleep(0.2)
    held_to(folder, pod.state(name)["Pid"], 0.2)
    grouped("rm", "-f", name).ok()
    assert not grouped.left()


@pytest.mark.split_cgroups
def test_processes_when_a_group_holds_them_then_forks_fail(grouped: Grouped, busybox: str) -> None:
    flags = ("--rm", "--network", "none", "--pids-limit", "15")
    done = grouped("run", *flags, busybox, "sh", "-c", FORKS)
    assert done.code != 0 or int(done.out) <= 16, done  # the shell gives up, or counts those that there are
    assert int(grouped("run", "--rm", "--network", "none", "--pids-limit", "60", busybox, "sh", "-c", FORKS).ok()) > 40


@pytest.mark.split_cgroups
def test_all_flags_when_groups_hold_them_then_the_kernel_has_the_values(grouped: Grouped, busybox: str) -> None:
    disk = next(path for path in sorted(Path("/dev").iterdir()) if path.is_block_device())
    number = f"{os.major(disk.stat().st_rdev)}:{os.minor(disk.stat().st_rdev)}"
    flags = (
        "-m 64m --memory-swap 96m --memory-reservation 32m --memory-swappiness 7 --cpu-shares 512 --cpu-period 50000"
        " --cpu-quota 20000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 33 --oom-score-adj 500"
        f" --device-read-bps {disk}:1mb --device-write-iops {disk}:77"
    )
    name = grouped("run", "-d", "--network", "none", *flags.split(), busybox, "sleep", "60").ok().strip()
    wanted = {
        "memory": {
            "memory.limit_in_bytes": "67108864",
            "memory.soft_limit_in_bytes": "33554432",
            "memory.swappiness": "7",
        },
        "cpu": {"cpu.shares": "512", "cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "20000"},
        "cpuset": {"cpuset.cpus": "0", "cpuset.mems": "0"},
        "pids": {"pids.max": "33"},
        "blkio": {
            "blkio.throttle.read_bps_device": f"{number} 1048576",
            "blkio.throttle.write_iops_device": f"{number} 77",
        },
    }
    if (grouped.folders["memory"] / SWAP).exists():
        wanted["memory"][SWAP] = "100663296"
    for controller, files in wanted.items():
        folder = grouped.made(controller, name)
        assert {file: (folder / file).read_text().strip() for file in files} == files
        assert str(grouped.pod.state(name)["Pid"]) in (folder / "cgroup.procs").read_text().split()
    assert Path(f"/proc/{grouped.pod.state(name)['Pid']}/oom_score_adj").read_text() == "500\n"


@pytest.mark.split_cgroups
def test_exec_when_groups_hold_the_container_then_it_is_in_them(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    name = grouped("run", "-d", "--network", "none", "-m", "64m", busybox, "sleep", "60").ok().strip()
    groups = pod("exec", name, "cat", "/proc/self/cgroup").ok()
    assert any(":memory:/\n" in line + "\n" for line in groups.splitlines())  # the root of its own namespace
    process = pod.start("exec", name, "sleep", "30")
    folder = grouped.made("memory", name)
    podcli.until(lambda: len((folder / "cgroup.procs").read_text().split()) >= 3, 10, "exec to be in the group")
    process.kill()
    assert pod("exec", name, *HOG).code == 137


@pytest.mark.split_cgroups
def test_update_when_memory_grows_and_shrinks_then_the_group_follows(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    container = grouped("run", "-d", "--network", "none", "-m", "100m", busybox, *FILL).ok().strip()
    file = grouped.made("memory", container) / "memory.limit_in_bytes"
    pod("update", "-m", "200m", container).ok()
    assert int(file.read_text()) == 200 << 20
    pod("update", "-m", "120m", container).ok()
    assert int(file.read_text()) == 120 << 20
    podcli.until(lambda: int((file.parent / "memory.usage_in_bytes").read_text()) > 40 << 20, 10, "it to fill")
    pod("update", "-m", "20m", container).failed(1, "memory.limit_in_bytes", "busy")
    assert int(pod("inspect", "-f", "{{.HostConfig.Memory}}", container).ok()) == 120 << 20
    pod("update", "-m", "1m", container).failed(1, "Minimum memory limit allowed is 6MB")


@pytest.mark.split_cgroups
def test_stats_when_groups_count_then_it_says_what_they_say(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    argv = ("run", "-d", "--network", "none", "-m", "100m", "--pids-limit", "9", busybox, *FILL)
    name = grouped(*argv).ok().strip()
    folder = grouped.made("memory", name)
    podcli.until(lambda: int((folder / "memory.usage_in_bytes").read_text()) > 40 << 20, 10, "it to fill")
    used, limit = pod("stats", "--no-stream", "--format", "{{.MemUsage}}", name).ok().strip().split(" / ")
    kernel = int((folder / "memory.usage_in_bytes").read_text()) / (1 << 20)
    assert limit == "100MiB"
    assert abs(float(used[:-3]) - kernel) <= 0.05 * kernel, (used, kernel)


@pytest.mark.split_cgroups
def test_supervisor_when_killed_then_the_next_command_takes_its_groups_away(grouped: Grouped, busybox: str) -> None:
    pod = grouped.pod
    name = grouped("run", "-d", "--network", "none", "-m", "64m", "--cpus", "1", busybox, "sleep", "60").ok().strip()
    assert len(grouped.left()) == 2
    record = json.loads((pod.root / "containers" / name / "state.json").read_text())
    os.kill(record["supervisor"], 9)
    podcli.until(lambda: not Path(f"/proc/{record['pid']}").exists(), 10, "it to end")
    pod("ps", "-a").ok()
    assert not grouped.left()
    assert grouped("start", name).ok().strip() == name
    assert len(grouped.left()) == 2


@pytest.mark.split_cgroups
def test_rm_when_the_supervisor_was_killed_then_no_process_and_no_group_stays(grouped: Grouped, busybox: str) -> None:
    """With the host's pids nothing ends with the first process; the record of the groups goes with the container."""
    pod = grouped.pod
    argv = ("run", "-d", "--pid", "host", "--network", "none", "-m", "64m", "--pids-limit", "50", busybox)
    name = grouped(*argv, "sh", "-c", "sleep 971 & exec sleep 972").ok().strip()
    folder = grouped.made("memory", name)
    podcli.until(lambda: len((folder / "cgroup.procs").read_text().split()) == 2, 10, "both processes")
    both = [int(word) for word in (folder / "cgroup.procs").read_text().split()]
    record = json.loads((pod.root / "containers" / name / "state.json").read_text())
    os.kill(record["supervisor"], 9)
    pod("rm", "-f", name).ok()
    assert not grouped.left()
    podcli.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in both), 10, "both to end")


@pytest.mark.split_cgroups
def test_cgroup_parent_when_it_is_ours_then_groups_are_there(grouped: Grouped, busybox: str) -> None:
    own = grouped.folders["memory"]
    parent = f"/{own.parent.name}/{own.name}/pod-parent"
    argv = ("run", "-d", "--network", "none", "--cgroup-parent", parent, "-m", "64m", busybox, "sleep", "60")
    name = grouped(*argv).ok().strip()
    assert (own / "pod-parent" / f"pod-{name[:24]}").is_dir()
    grouped("rm", "-f", name).ok()
    for folder in grouped.folders.values():
        if (folder / "pod-parent").exists():
            (folder / "pod-parent").rmdir()
    grouped("run", "--cgroup-parent", "/nobody/has/that", busybox, "true").failed(125, "no such control group of yours")
    grouped("run", "--cgroup-parent", "my.slice", busybox, "true").failed(125, "slices are systemd's")


# ---- without a control group


@pytest.fixture
def bare(pod: Pod) -> Callable[..., Result]:
    """``pod`` as it is where no group of version 1 or 2 hands a controller on: the suite's own has none."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    assert not any(line.split(":")[1] in tools.SPLIT and "pod-suite" in line for line in lines)
    return pod


def test_memory_when_it_is_watched_then_the_hog_is_killed_and_told(bare: Pod, busybox: str) -> None:
    done = bare("run", "--name", "hog", "--network", "none", "-m", "50m", busybox, *HOG)
    assert done.code == 137, done
    assert done.err.startswith("WARNING: --memory is enforced by watching alone"), done
    assert bare.state("hog")["OOMKilled"] is True
    modest = ("dd", "if=/dev/zero", "of=/dev/null", "bs=20M", "count=9")
    bare("run", "--name", "modest", "--network", "none", "-m", "50m", busybox, *modest).ok()
    assert bare.state("modest")["OOMKilled"] is False


def test_memory_when_an_exec_takes_it_then_that_is_killed(bare: Pod, busybox: str) -> None:
    name = bare("run", "-d", "--network", "none", "-m", "50m", busybox, "sleep", "60").ok().strip()
    argv = ("exec", name, "sh", "-c", "dd if=/dev/zero bs=200M count=100000 of=/dev/null")
    assert bare(*argv, timeout=30).code == 137
    assert bare.state(name)["Running"] is True
    assert enforced(bare, name) == {"Memory": "supervisor"}
    assert bare("update", "-m", "400m", name).ok().strip() == name
    assert bare("exec", name, "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=20").code == 0


def test_processors_when_there_is_affinity_then_as_many_whole_ones(bare: Pod, busybox: str) -> None:
    own = sorted(os.sched_getaffinity(0))
    name = bare("run", "-d", "--network", "none", "--cpus", "0.5", busybox, "sleep", "60")
    assert "to 1 whole processors" in name.err
    container = name.out.strip()
    allowed = os.sched_getaffinity(bare.state(container)["Pid"])
    assert len(allowed) == 1
    assert allowed <= set(own)
    line = bare("exec", container, "grep", "Cpus_allowed_list", "/proc/self/status").ok()
    assert line.split()[1] == str(next(iter(allowed)))
    text = bare("run", "--rm", "--network", "none", "--cpuset-cpus", str(own[0]), busybox, "nproc")
    assert (text.ok().strip(), text.err) == ("1", "")
    assert "to 1 whole processors" in bare("update", "--cpus", "0.7", container).err
    bare("update", "--cpu-shares", "77", container).failed(1, "started without what could enforce that")


def test_processes_when_there_is_no_group_then_rlimits_hold_them(bare: Pod, busybox: str) -> None:
    done = bare("run", "--rm", "--network", "none", "--pids-limit", "15", busybox, "sh", "-c", FORKS)
    assert "--pids-limit is enforced for each user" in done.err
    assert done.code != 0 or int(done.out) <= 16, done
    assert int(bare("run", "--rm", "--network", "none", "--pids-limit", "60", busybox, "sh", "-c", FORKS).ok()) > 40


def test_limits_when_nothing_enforces_them_then_told_or_refused(bare: Pod, busybox: str) -> None:
    done = bare("run", "--rm", "--network", "none", "--cpu-shares", "512", "--blkio-weight", "300", busybox, "true")
    assert done.code == 0
    assert [line.split()[1] for line in done.err.splitlines()] == ["--cpu-shares", "--blkio-weight"]
    done = bare("run", "--rm", "--strict-limits", "--cpu-shares", "512", busybox, "true")
    done.failed(125, "--strict-limits", "doctor")
    bare("run", "--rm", "--network", "none", "--strict-limits", "--cpuset-cpus", "0", busybox, "true").ok()
    folder = bare.home / ".config/pod"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pod.toml").write_text("strict-limits = true\n")
    try:
        bare("run", "--rm", "-m", "50m", busybox, "true").failed(125, "--strict-limits")
    finally:
        (folder / "pod.toml").unlink()  # the home is that of all tests


def test_oom_score_when_it_is_below_our_own_then_refused(bare: Pod, busybox: str) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    bare("run", "--rm", "--oom-score-adj", str(own - 1), busybox, "true").failed(125, "only root may lower it")
    argv = ("run", "--rm", "--network", "none", "--oom-score-adj", "900", busybox, "cat", "/proc/self/oom_score_adj")
    assert bare(*argv).ok() == "900\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-m", "1m"), "Minimum memory limit allowed is 6MB"),
        (("-m", "64m", "--memory-swap", "32m"), "Minimum memoryswap limit should be larger than memory limit"),
        (("--memory-swap", "32m"), "always set the Memory limit when using Memoryswap"),
        (("-m", "64m", "--memory-reservation", "96m"), "can not be less than memory reservation"),
        (("--memory-swappiness", "101"), "valid memory swappiness range is 0-100"),
        (("--cpus", "900"), "Range of CPUs is from 0.01 to"),
        (("--cpus", "1", "--cpu-quota", "5000"), "Nano CPUs and CPU Quota cannot both be set"),
        (("--cpus", "1", "--cpu-period", "5000"), "Nano CPUs and CPU Period cannot both be set"),
        (("--cpu-period", "5"), "CPU cfs period can not be less than 1ms"),
        (("--cpu-quota", "5"), "CPU cfs quota can not be less than 1ms"),
        (("--cpuset-cpus", "x"), "Invalid value x for cpuset cpus"),
        (("--cpuset-cpus", "8191"), "Requested CPUs are not available"),
        (("--cpuset-mems", "77"), "Requested memory nodes are not available"),
        (("--blkio-weight", "5"), "Range of blkio weight is from 10 to 1000"),
        (("--oom-score-adj", "2000"), "range for oom score adj is [-1000, 1000]"),
        (("--device-read-bps", "sda:1mb"), "bad format"),
        (("--device-read-bps", "/dev/sda:x"), "invalid rate for device"),
        (("--blkio-weight-device", "/dev/sda:5"), "invalid weight for device"),
        (("--device-cgroup-rule", "x 1:2 rwm"), "invalid device cgroup format"),
        (("--cpu-rt-runtime", "95000"), "host administrator's to give"),
    ],
)
def test_limits_when_they_cannot_be_meant_then_dockers_words(
    pod: Pod, busybox: str, flags: tuple[str, ...], words: str
) -> None:
    pod("create", *flags, busybox, "true").failed(125, words)
    assert pod("ps", "-aq").ok() == ""
