"""A prepared start makes what Python makes: the same record, files and plan, and a client and supervisor in the same
state.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pod.cli import run_flags, run_limits, run_request
from tests.support import podcli
from tests.support.podcli import Pod
from tests.support.prepared import Prepared, plan_of, process_of
from tests.support.terminal import Terminal

FLAGS: dict[str, tuple[str, ...]] = {
    "resources": (
        *("-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m", "--memory-swappiness", "9", "-c", "512"),
        *("--cpus", "1", "--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "500", "--oom-score-adj", "900"),
        *("--oom-kill-disable", "--blkio-weight", "300", "--blkio-weight-device", "/dev/null:300"),
        *("--device-read-bps", "/dev/null:1mb", "--device-write-bps", "/dev/null:1mb", "--device-read-iops"),
        *("/dev/null:9", "--device-write-iops", "/dev/null:9", "--device-cgroup-rule", "c 1:3 rwm"),
    ),
    "quota": ("--cpu-quota", "50000", "--cpu-period", "100000", "--strict-limits=false"),
    "all-processors": ("--cpus", f"{os.cpu_count() or 1}"),
    "plain": (),
    "host-network": ("--network", "host"),
    "no-network": ("--network", "none", "--sysctl", "net.ipv4.ip_forward=1", "--expose", "80-82/udp"),
    "published": ("--network", "bridge", "-p", "127.0.0.1::80/udp", "-P", "--expose", "81", "--port-fallback"),
    "networks": ("--network", "name=prepared-net,alias=a", "--network", "name=prepared-other,gw-priority=1"),
    "addresses": (
        *("--network", "prepared-net", "--ip", "10.97.0.9", "--ip6", "fd97::9", "--mac-address", "02:42:0a:61:00:09"),
        *("--network-alias", "b", "--link", "nobody:somebody"),
    ),
    "environment": ("-e", "A=b c", "-e", "LANG", "-e", "UNSET", "--env-file", "{home}/vars"),
    "entrypoint": ("--entrypoint", "/bin/sleep"),
    "entrypoint-dropped": ("--entrypoint", ""),
    "user-and-folder": ("-u", "1000:1000", "-w", "/tmp", "--group-add", "27"),
    "hostname": ("-h", "somewhere", "--domainname", "example.org"),
    "hostname-shared": ("--uts", "host"),
    "confined": ("--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges", "--tmpfs", "/t:size=1m"),
    "seccomp": ("--cap-add", "SYS_PTRACE", "--security-opt", "seccomp={home}/profile.json"),
    "unconfined": ("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
    "nesting": ("--security-opt", "nesting", "--security-opt", "apparmor=unconfined"),
    "wide": ("--privileged", "--pid", "host", "--ipc", "host"),
    "names": ("--dns", "10.0.0.1", "--dns-search", "a.org", "--dns-option", "ndots:2", "--add-host", "a:10.0.0.2"),
    "labels": ("--label", "x=y", "-l", "--name", "--label-file", "{home}/vars", "--annotation", "a=b"),
    "limits": ("--ulimit", "nofile=100:200", "--shm-size", "1m", "--stop-signal", "INT", "--stop-timeout", "3"),
    "binds": ("-v", "/etc/hostname:/x:ro", "-v", "/usr:/host", "-v", "./vars:/vars"),
    "volume": ("-v", "prepared-volume:/data", "-v", "prepared-other:/etc/other:nocopy"),
    "mounts": (
        *("--mount", "type=bind,src=/usr,dst=/host,ro", "--mount", "type=tmpfs,dst=/memory,tmpfs-size=1m"),
        *("--mount", "type=volume,src=prepared-volume,dst=/data,volume-nocopy", "--volume-driver", "local"),
    ),
    "device": ("--device", "/dev/null:/dev/nothing"),
    "attached": ("-a", "stdout", "--sig-proxy=false"),
    "stdin": ("-i", "--attach", "stdin", "--detach-keys", "ctrl-a,x"),
    "terminal": ("-t",),
    "terminal-of-ours": ("-i", "-t", "--detach-keys", ""),
    "init": ("--init", "--log-driver", "none"),
    "logged": ("--log-opt", "max-size=1m", "--log-opt", "tag={{.FullID}}/{{.ImageName}}", "--log-opt", "env=PATH"),
    "logged-by-another": ("--log-driver", "local", "--log-opt", "mode=non-blocking", "--label", "a=b"),
    "kept-ids": ("--userns", "keep-id"),
    "no-emulation": ("--root-emulation", "off"),
    "full-emulation": ("--root-emulation", "full"),
    "basic-emulation": ("--root-emulation", "basic"),
    "named": ("--name", "prepared-name"),
    "healthy": ("--health-cmd", "true", "--health-interval", "1m", "--health-timeout", "2s", "--health-retries", "4"),
    "starting": ("--health-cmd", "a b", "--health-start-period", "1s", "--health-start-interval", "1m0.09s"),
    "no-healthcheck": ("--no-healthcheck",),
    "odd-words": ("-e", 'A=\t\n\x7f"\\', "-l", "x=\x01"),
    "shared-cgroups": ("--cgroupns", "host", "--ipc", "none"),
    "shareable": ("--ipc", "shareable", "--network", "none", "--sysctl", "kernel.shm_rmid_forced=1"),
    "no-op": ("--pull", "never", "-q", "--restart", "no", "--runtime", "pod", "--cgroupns", "private"),
    "kept": ("--rm=false",),
    "restarted": ("--rm=false", "--restart", "on-failure:3"),
    "detached": ("-d",),
}

NOT_PREPARED = {
    "cidfile": "a file elsewhere",
    "gidmap": "only with subordinate ids: test_prepared_mapped_ids_are_what_python_gives",
    "uidmap": "only with subordinate ids: test_prepared_mapped_ids_are_what_python_gives",
    "volumes-from": "another container's record: test_prepared_volumes_from_follow_that_container",
    "platform": "asks the registry's module",
    "cgroup-parent": "wants a control group of version 1 or 2: tests/commands/test_limits.py",
}


def _given(flags: tuple[str, ...]) -> Iterator[str]:
    letters = {row[1]: row[0] for row in run_flags.RUN if row[1]}
    for word in flags:
        if word.startswith("--"):
            yield word[2:].partition("=")[0]
        elif word.startswith("-"):
            yield letters[word[1:]]


def test_prepared_table_has_every_flag_that_is_honoured() -> None:
    refused = {*run_limits.REALTIME, *run_request._LATER, "link-local-ip"}
    tested = {"rm"}.union(*map(_given, FLAGS.values()))
    assert {row[0] for row in run_flags.RUN} - refused - set(NOT_PREPARED) - tested == set()


@pytest.fixture
def files(prepared: Prepared) -> dict[str, str]:
    """Values for the braces in FLAGS."""
    home = prepared.pod.home
    (home / "vars").write_text("FROM_FILE=1\n# no\n")
    (home / "profile.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    for name, *subnets in (("prepared-net", "10.97.0.0/24", "fd97::/64"), ("prepared-other",)):
        given = [word for subnet in subnets for word in ("--subnet", subnet)]
        if not prepared.pod("network", "ls", "-q", "-f", f"name=^{name}$").ok():
            prepared.pod("network", "create", *(["--ipv6"] if given else []), *given, name).ok()
    return {"home": str(home)}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_prepared_container_is_what_python_makes(
    prepared: Prepared, busybox: str, files: dict[str, str], flags: tuple[str, ...]
) -> None:
    _compare(prepared, busybox, [flag.format(**files) for flag in flags])


@pytest.mark.parametrize(
    "flags", [("--uidmap", "0:1:1000", "--gidmap", "0:1:1000"), ("--uidmap", "0:0:10"), ("--userns", "keep-id:uid=7")]
)
def test_prepared_mapped_ids_are_what_python_gives(prepared: Prepared, busybox: str, flags: tuple[str, ...]) -> None:
    if "--uidmap" in flags and prepared.run("--rm", *flags, busybox, "true").code == 125:
        pytest.skip("capability sub-ids: this user has none")
    _compare(prepared, busybox, list(flags))


def _compare(prepared: Prepared, busybox: str, flags: list[str]) -> None:
    program = ["1000"] if "/bin/sleep" in flags else ["sleep", "1000"]
    words = ["--rm", *flags, busybox, *program]
    prepare = ["--rm", *flags, busybox, "0" if "/bin/sleep" in flags else "true"]
    file = _prime(prepared, prepare)
    kept = file.read_bytes()
    prepared.pod.tidy()
    prepared.forget()
    first = _observe(prepared, words, python=True)
    for path in prepared.files():
        path.unlink()
    file.touch(0o600)
    file.write_bytes(kept)
    second = _observe(prepared, words, python=False)
    assert second.keys() == first.keys()
    for key, value in first.items():
        assert second[key] == value, key


def _prime(prepared: Prepared, words: list[str]) -> Path:
    if "-t" in words and "-i" in words:
        return prepared.prime_with(lambda: _on_terminal(prepared, words).wait())
    return prepared.prime(*words)


def _on_terminal(prepared: Prepared, words: list[str]) -> Terminal:
    pod = prepared.pod
    return Terminal(pod.argv("run", *words), pod.environ(prepared.env), rows=30, columns=99, cwd=pod.home)


def _observe(prepared: Prepared, words: list[str], *, python: bool) -> dict[str, Any]:
    """Starts, looks, ends: what there is to see of the container, with its id, name, times and pids taken out."""
    pod = prepared.pod
    before = set(pod.containers())
    with prepared.without_python(not python):
        if "-d" in words:
            pod("run", *words, env=prepared.env).ok()
            pid = 0
        elif "-t" in words and "-i" in words:
            terminal = _on_terminal(prepared, words)
            pid = terminal.pid
        else:
            process = pod.start("run", *words, env=prepared.env)
            pid = process.pid
        podcli.until(lambda: len(set(pod.containers()) - before) == 1, 20, "the container")
        (short,) = set(pod.containers()) - before
        found = normalized(pod, pod.inspect(short)["Id"], pid)
        pod("exec", short, "true").ok()
        pod("rm", "-f", short).ok()
    if pid and "-t" in words and "-i" in words:
        terminal.close()
    elif pid:
        process.communicate(timeout=20)
    assert pod.leftovers() == []
    return found


FILES = ("hostname", "hosts", "resolv.conf")


def _comparable(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """Without the pid, with every random id and port told by its kind."""
    settings.pop("SandboxKey")
    for end in (settings, *settings["Networks"].values()):
        end["EndpointID"] = len(end["EndpointID"])
        end["DNSNames"] = [one for one in end.get("DNSNames") or () if one != name]
    for bindings in settings["Ports"].values():
        for binding in bindings or ():
            binding["HostPort"] = int(binding["HostPort"]) > 1023
    return settings


def _check_turn(plan: dict[str, Any], container: str) -> None:
    """Where the id chooses the processors: they are those of core/runtime/limits.py, and go from the plan."""
    said = json.loads(plan["LIMITS"][:-1]) if "LIMITS" in plan else {"by": {}}
    by = said["by"]
    if "affinity" in (by.get("NanoCpus"), by.get("CpuQuota")) and "affinity" in said and "CpusetCpus" not in by:
        chosen, ours = said.pop("affinity"), sorted(os.sched_getaffinity(0))
        first = int(container[:8], 16) % len(ours)
        assert chosen == sorted((ours + ours)[first : first + len(chosen)]), said
        assert int.from_bytes(plan.pop("AFFINITY").encode("latin-1"), "little") == sum(1 << one for one in chosen)
        plan["LIMITS"] = said


def normalized(pod: Pod, container: str, client: int) -> dict[str, Any]:
    """What inspect, the folder and the client tell, with id, name, times and pids taken out."""
    pod.wait_for(container, "running")
    document = pod.inspect(container)
    document["State"] = {key: document["State"][key] for key in ("Status", "Running", "ExitCode", "Error")}
    document.pop("Created")
    document.pop("ExecIDs")  # of a health check that is at work just now
    name = document.pop("Name")
    document["NetworkSettings"] = _comparable(document["NetworkSettings"], name[1:])
    assert re.fullmatch(r"/([a-z]+_[a-z]+\d*|prepared-name)", name)
    folder = pod.root / "containers" / container
    document["record"] = json.loads((folder / "config.json").read_bytes())
    assert document["record"].pop("Name") == name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", document["record"].pop("Created"))
    if document["HostConfig"]["AutoRemove"]:
        maker = document["record"]["Pod"]["Maker"]
        assert client in (0, maker.pop("pid"))
        assert maker.pop("pidStart") > 0
    document["files"] = {
        path.name: (path.stat().st_mode, path.read_text() if path.name in FILES else "")
        for path in folder.iterdir()
        if path.name not in ("config.json", "state.json")
    }
    if client:
        document["plan"] = plan_of(client, name[1:])
        assert len(document["plan"].pop("LOCK")) == 8
        _check_turn(document["plan"], container)
        if "NET" in document["plan"]:
            # The item of its name, which is as long as the name.
            head = f"\2\0{chr(len(name) - 1)}\0{name[1:]}" + "\0" * (-(len(name) - 1) % 4)
            before, _, after = document["plan"]["NET"].partition(head)
            assert after
            document["plan"]["NET"] = before + after
        document["client"] = process_of(client)
        children = Path(f"/proc/{client}/task/{client}/children").read_text().split()
        document["supervisors"] = [process_of(int(child)) for child in children]
    text = json.dumps(document, sort_keys=True).replace(container, "ID").replace(container[:32], "RUN")
    whole: dict[str, Any] = json.loads(text.replace(container[:12], "SHORT"))
    return whole
