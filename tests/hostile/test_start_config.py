"""Configurations and user databases made to confuse: bounded, one line, nothing loosened.

CVE-2026-30892, CVE-2023-25173 (exact ids), CVE-2026-94603, CVE-2026-57231 (labels and environment loosen nothing).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import crafted
from tests.support.crafted import SEARCH, Craft
from tests.support.layers import Layer
from tests.support.podcli import Pod
from tests.support.tools import sub_ids

IDS = "touch /dev/shm/own; stat -c '%u %g' /dev/shm/own"
"""Prints uid and gid without looking into /etc/passwd, as id(1) would. /proc tells the truth where ids are emulated."""


def configured(craft: Craft, **config: Any) -> str:
    return craft.make(config={"Cmd": ["true"], "Env": [SEARCH], **config})


NO_IDS = ("4294967296", "-1", "4294967295", "2147483648", "99999999999999999999", "0x10", " ", "ghost")


@pytest.mark.parametrize("user", NO_IDS)
def test_start_when_the_user_is_no_id_then_it_is_refused(pod: Pod, craft: Craft, user: str) -> None:
    image = configured(craft, User=user)
    pod("run", "--rm", image, "id").failed(125, "user")
    pod("run", "--rm", "-u", "0:" + user.replace(" ", "ghost"), image, "id").failed(125, "group")


@pytest.mark.parametrize("user", ["", ":", "0", "root", "0:0", "root:root", "00000"])
def test_start_when_the_user_is_empty_or_root_then_it_is_root(pod: Pod, craft: Craft, user: str) -> None:
    assert pod("run", "--rm", configured(craft, User=user), "id", "-u").ok() == "0\n"


def test_start_when_a_name_of_passwd_is_a_number_then_the_name_wins(pod: Pod, craft: Craft) -> None:
    """Docker's rule; and an empty name is nobody's."""
    passwd = b":x:0:0::/:/bin/sh\n1000:x:77:78::/odd:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n"
    image = craft.make(lambda layer: layer.add("etc/passwd", passwd))
    result = pod("run", "--rm", "-u", "1000", image, "sh", "-c", "id -u; id -g; echo $HOME")
    assert result.ok() == "77\n78\n/odd\n"


DATABASES: dict[str, Callable[[Layer, str], None]] = {
    "huge": lambda layer, name: layer.add(name, b"user:x:4000000000:0::/:/bin/sh\n" * 700_000),
    "fifo": crafted.fifo,
    "folder": lambda layer, name: layer.folder(name),
    "link": lambda layer, name: layer.symlink(name, "../../../../../../etc/passwd"),
    "proc": lambda layer, name: layer.symlink(name, "/proc/self/fd/0"),
    "binary": lambda layer, name: layer.add(name, bytes(range(256)) * 400 + b"\0" * 5000 + b"\xff:\n:::::::\nweb"),
    "long line": lambda layer, name: layer.add(name, b"w" * 3_000_000 + b":x:1:1::/:/bin/sh\n"),
    "device": lambda layer, name: layer.symlink(name, "/dev/zero"),
}


@pytest.mark.parametrize("kind", [*DATABASES, "missing"])
def test_start_when_the_user_databases_are_hostile_then_ids_still_work(pod: Pod, craft: Craft, kind: str) -> None:
    def fill(layer: Layer) -> None:
        for name in ("etc/passwd", "etc/group"):
            layer.whiteout("etc", name[4:])
            if kind in DATABASES:
                DATABASES[kind](layer, name)

    image = craft.make(fill)
    assert pod("run", "--rm", "-u", "33:44", image, "sh", "-c", IDS, timeout=30).ok() == "33 44\n"
    pod("run", "--rm", "-u", "web", image, "true", timeout=30).failed(125, "web")


def test_start_when_passwd_gives_an_id_outside_the_map_then_it_is_refused(pod: Pod, craft: Craft) -> None:
    passwd = b"far:x:2000000000:2000000000::/:/bin/sh\nneg:x:-5:0::/:/bin/sh\nbig:x:4294967296:0::/:/bin/sh\n"
    image = craft.make(lambda layer: layer.add("etc/passwd", passwd))
    if sub_ids():
        pod("run", "--rm", "-u", "far", image, "id").failed(125)
    for name in ("neg", "big"):
        pod("run", "--rm", "-u", name, image, "id").failed(125, name)


@pytest.mark.sub_ids
def test_start_when_a_group_is_added_then_exactly_those_groups_are_there(pod: Pod, craft: Craft) -> None:
    """CVE-2023-25173, CVE-2026-30892: as asked, for run and for exec."""
    image = craft.make()
    done = pod("run", "--rm", "-u", "web", image, "grep", "Groups", "/proc/self/status").ok()
    assert sorted(map(int, done.split()[1:])) == [50, 1000]
    done = pod("run", "--rm", "-u", "33:44", image, "grep", "Groups", "/proc/self/status").ok()
    assert done.split()[1:] == ["44"]
    done = pod("run", "--rm", "-u", "33:44", "--group-add", "audio", image, "grep", "Groups", "/proc/self/status").ok()
    assert sorted(map(int, done.split()[1:])) == [29, 44]


@pytest.mark.parametrize(
    ("search", "code"),
    [
        *(("", 127), (":", 127), ("tools", 0), ("/nowhere::.:tools", 0)),
        *(("/etc/passwd:/bin/sh", 127), ("/" + "x" * 9000, 127)),
    ],
)
def test_start_when_path_has_empty_and_relative_parts_then_the_workdir_counts(
    pod: Pod, craft: Craft, search: str, code: int
) -> None:
    def fill(layer: Layer) -> None:
        layer.folder("work/tools")
        layer.add("work/tools/mine", b"#!/bin/true\n", mode=0o755)

    image = craft.make(fill, {"Cmd": ["mine"], "Env": ["PATH=" + search], "WorkingDir": "/work"})
    result = pod("run", "--rm", image)
    assert result.code == code, result
    if code:
        result.failed(code, "mine")


FOREIGN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(44)
ENTRIES: dict[str, Callable[[Layer, str], None]] = {
    "missing": lambda layer, name: layer.folder("other"),
    "folder": lambda layer, name: layer.folder(name),
    "fifo": crafted.fifo,
    "no interpreter": lambda layer, name: layer.add(name, b"#!/no/such/program\n", mode=0o755),
    "interpreter folder": lambda layer, name: layer.add(name, b"#!/etc\n", mode=0o755),
    "interpreter loop": lambda layer, name: layer.add(name, b"#!/entry\n", mode=0o755),
    "link loop": lambda layer, name: layer.symlink(name, name),
    "plain": lambda layer, name: layer.add(name, b"echo hello\n", mode=0o644),
    "other machine": lambda layer, name: layer.add(name, FOREIGN, mode=0o755),
    "descriptor": lambda layer, name: layer.symlink(name, "/proc/self/fd/3"),
    "empty": lambda layer, name: layer.add(name, b"", mode=0o755),
    "engine": lambda layer, name: layer.symlink(name, "/proc/self/exe"),
}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("folder", 126),
        ("fifo", 126),
        ("no interpreter", 127),
        ("interpreter folder", 126),
        ("interpreter loop", 126),
        ("link loop", 126),
        ("plain", 126),
        ("other machine", 126),
        ("missing", 127),
        ("descriptor", 126),
        ("empty", 126),
    ],
)
def test_start_when_the_entrypoint_cannot_run_then_it_is_dockers_status(
    pod: Pod, craft: Craft, kind: str, code: int
) -> None:
    image = craft.make(lambda layer: ENTRIES[kind](layer, "entry"), {"Entrypoint": ["/entry"], "Env": [SEARCH]})
    pod("run", "--rm", image, timeout=30).failed(code, "/entry")


def test_start_when_the_entrypoint_is_proc_self_exe_then_the_engine_does_not_run_in_it(pod: Pod, craft: Craft) -> None:
    """CVE-2019-5736: it would be the helper itself, with its power over the container."""
    config = {"Entrypoint": ["/entry", "run", "3"], "Env": [SEARCH]}
    image = craft.make(lambda layer: ENTRIES["engine"](layer, "entry"), config)
    result = pod("run", "--rm", image, timeout=30)
    assert result.code != 0
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "program", ["", " ", "\n", "/", ".", "..", "/proc/self/fd/3", "a" * 5000, "a" * 300_000, "/" + "a/" * 3000]
)
def test_start_when_the_program_has_an_odd_name_then_it_is_one_line(pod: Pod, craft: Craft, program: str) -> None:
    result = pod("run", "--rm", craft.make(config={"Entrypoint": [program], "Env": [SEARCH]}), timeout=30)
    assert result.code in (125, 126, 127), result
    result.failed(result.code)


def test_start_when_env_has_newlines_then_they_arrive(pod: Pod, craft: Craft) -> None:
    image = configured(craft, Env=[SEARCH, "TWO=first\nsecond", "PWNED=\x1b[2J"])
    assert pod("run", "--rm", image, "sh", "-c", 'printf %s "$TWO"').ok() == "first\nsecond"


def test_start_when_env_has_no_equals_sign_then_nothing_of_the_host_is_read(pod: Pod, craft: Craft) -> None:
    """A bare name on the command line takes the caller's value; in an image it must not (CVE-2026-57231)."""
    image = configured(craft, Env=[SEARCH, "SECRET_OF_HOST", "", "=x"])
    result = pod("run", "--rm", image, "env", env={"SECRET_OF_HOST": "hunter2"})
    assert "hunter2" not in result.ok()


def test_start_when_env_is_a_megabyte_then_the_kernels_limit_is_said(pod: Pod, craft: Craft) -> None:
    image = configured(craft, Env=[SEARCH, "BIG=" + "x" * (1 << 20)])
    pod("run", "--rm", image, "true", timeout=30).failed(126, "argument list too long")


def test_start_when_env_are_many_then_they_arrive(pod: Pod, craft: Craft) -> None:
    image = configured(craft, Env=[SEARCH, *(f"V{n}=" + "y" * 50 for n in range(8000))])
    assert pod("run", "--rm", image, "sh", "-c", "env | grep -c ^V", timeout=30).ok() == "8000\n"


def test_start_when_env_steers_the_loader_then_the_engine_is_not_steered(pod: Pod, craft: Craft) -> None:
    """CVE-2019-14271, CVE-2022-1227: only the container's program has the image's environment."""
    hostile = ["LD_PRELOAD=/evil.so", "PYTHONPATH=/evil", "PYTHONSTARTUP=/evil", "POD_ROOT=/evil", "BASH_ENV=/evil"]
    image = configured(craft, Env=[SEARCH, *hostile])
    assert pod("run", "--rm", image, "sh", "-c", "echo $POD_ROOT").ok() == "/evil\n"
    pod("run", "--rm", image, "/no/such").failed(127, "/no/such")


def test_start_when_there_are_5000_labels_then_it_runs(pod: Pod, craft: Craft) -> None:
    image = configured(craft, Labels={f"label.{n}": "v" * 40 for n in range(5000)})
    pod("run", "--rm", image, "true", timeout=30).ok()


@pytest.mark.parametrize("target", ["/", "", ".", "..", "../x", "/..", "//", "relative", "/a/../../..", "x" * 5000])
def test_start_when_volume_is_odd_then_it_is_inside_or_refused(pod: Pod, craft: Craft, target: str) -> None:
    result = pod("run", "--rm", configured(craft, Volumes={target: {}}), "true", timeout=30)
    assert result.code in (0, 125), result
    if result.code:
        result.failed(125)


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/proc/self", "/./proc/../proc/"])
def test_start_when_volume_is_in_proc_then_it_is_refused(pod: Pod, craft: Craft, target: str) -> None:
    image = configured(craft, Volumes={target: {}})
    pod("run", "--rm", image, "true", timeout=30).failed(125, "/proc")
    pod("run", "--rm", "-v", f"/tmp:{target}", configured(craft), "true", timeout=30).failed(125, "/proc")
    pod("run", "--rm", "--tmpfs", target, configured(craft), "true", timeout=30).failed(125, "/proc")


@pytest.mark.parametrize("target", ["/sys", "/dev", "/sys/fs/cgroup", "/dev/shm", "/etc", "/etc/hosts", "/bin"])
def test_start_when_volume_covers_a_system_folder_then_nothing_hangs(pod: Pod, craft: Craft, target: str) -> None:
    result = pod("run", "--rm", configured(craft, Volumes={target: {}}), "/bin/true", timeout=30)
    if result.code:
        result.failed(125, target)


def test_start_when_labels_and_annotations_ask_for_power_then_nothing_is_loosened(pod: Pod, craft: Craft) -> None:
    """CVE-2026-94603: only the caller's own words count."""
    words = {
        "io.podman.annotations.privileged": "TRUE",
        "io.podman.annotations.seccomp": "unconfined",
        "io.podman.annotations.apparmor": "unconfined",
        "run.oci.keep_original_groups": "1",
        "run.oci.mount_context_type": "rootcontext",
        "io.containers.capabilities": "SYS_ADMIN",
        "org.opencontainers.image.seccomp": "unconfined",
        "RUN": "podman run --privileged IMAGE",
        "io.buildah.features": "privileged",
    }
    config = {
        "Labels": words,
        "Annotations": words,
        "Privileged": True,
        "CapAdd": ["ALL"],
        "SecurityOpt": ["seccomp=unconfined"],
        "HostConfig": {"Privileged": True, "PidMode": "host"},
        "NetworkMode": "host",
        "Hostname": "evil",
        "Tty": True,
        "OpenStdin": True,
        "Binds": ["/:/host"],
    }
    image = craft.make(config={"Cmd": ["true"], "Env": [SEARCH], **config}, document={"container_config": config})
    plain = pod("run", "--rm", craft.make(), "cat", "/proc/self/status").ok()
    crafty = pod("run", "--rm", image, "cat", "/proc/self/status").ok()
    fields = "CapEff CapPrm CapBnd CapInh CapAmb Seccomp Seccomp_filters NoNewPrivs NSpid"
    for field in fields.split():
        values = [[line for line in text.splitlines() if line.startswith(field + ":")] for text in (plain, crafty)]
        assert values[0] == values[1]
    pod("create", "--name", "told", image).ok()
    document = pod.inspect("told")
    assert document["HostConfig"]["Privileged"] is False
    assert document["HostConfig"]["SecurityOpt"] is None
    assert document["Config"]["Tty"] is False
    assert document["Mounts"] == []
    assert document["Config"]["Hostname"] != "evil"


@pytest.mark.parametrize(
    "config",
    [
        {"Env": "PATH=/bin"},
        {"Env": [1, None, {}]},
        {"Env": {"A": "b"}},
        {"Cmd": "sh"},
        {"Cmd": [1, 2]},
        {"Cmd": {"a": 1}},
        {"Entrypoint": "sh"},
        {"Entrypoint": [None]},
        {"User": 5},
        {"User": {"a": 1}},
        {"WorkingDir": 7},
        {"WorkingDir": ["/"]},
        {"Labels": ["a"]},
        {"Labels": {"a": {"b": 1}}},
        {"Volumes": ["/a"]},
        {"Volumes": "/a"},
        {"Volumes": {"/a": 3}},
        {"ExposedPorts": "80"},
        {"ExposedPorts": ["80/tcp"]},
        {"StopSignal": 9},
        {"StopSignal": "NONSENSE"},
        {"Healthcheck": "yes"},
        {"User": "a\0b"},
        {"WorkingDir": "/a\0b"},
        {"Env": ["A=\0b"]},
        {"Entrypoint": ["/bin/\0sh"]},
        {"Env": ["A=\ud800"]},
        {"Volumes": {"/a\0b": {}}},
        {"WorkingDir": "relative/folder"},
        {"WorkingDir": "../../.."},
        {"WorkingDir": "/" + "w" * 5000},
        {"User": "u" * 100_000},
    ],
    ids=lambda config: json.dumps(config)[:40],
)
def test_start_when_the_configuration_has_wrong_kinds_then_it_is_one_line_or_runs(
    pod: Pod, craft: Craft, config: dict[str, Any]
) -> None:
    image = craft.make(config={"Cmd": ["/bin/true"], "Env": [SEARCH], **config})
    result = pod("run", "-d", "--name", "odd", image, timeout=30)
    assert result.code in (0, 125, 126, 127), result
    assert "bug" not in result.err, result
    if result.code:
        result.failed(result.code)
    else:
        pod("stop", "odd").ok()
        pod.inspect("odd")
        pod("ps", "-a", "--size").ok()
        pod("rm", "-v", "odd").ok()


def test_stop_when_the_image_names_an_unknown_signal_then_term_is_sent(pod: Pod, craft: Craft) -> None:
    image = configured(craft, StopSignal="NONSENSE")
    pod("run", "-d", "--name", "deaf", image, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done").ok()
    pod("stop", "-t", "20", "deaf").ok()
    assert pod.state("deaf")["ExitCode"] == 3
