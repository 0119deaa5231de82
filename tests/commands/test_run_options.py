"""Options of `pod run` that shape the program: environment, folder, user, names, files of the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod


def environment(pod: Pod, *arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
    lines = pod("run", "--rm", *arguments, "env", env=env).ok().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_run_environment_is_the_images_and_nothing_of_the_callers(pod: Pod, busybox: str) -> None:
    seen = environment(pod, busybox, env={"SECRET_OF_CALLER": "x"})
    assert seen["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert seen["HOME"] == "/root"
    assert set(seen) <= {"PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "container"}


def test_run_e_sets_takes_over_and_empties(pod: Pod, busybox: str) -> None:
    caller = {"TAKEN": "from caller", "NOT_SET_TWICE": "1"}
    seen = environment(pod, "-e", "A=b=c", "-eTAKEN", "--env=EMPTY=", "-e", "MISSING_THERE", busybox, env=caller)
    assert (seen["A"], seen["TAKEN"], seen["EMPTY"]) == ("b=c", "from caller", "")
    assert "MISSING_THERE" not in seen
    assert "NOT_SET_TWICE" not in seen


def test_run_env_file_is_read_as_docker_reads_it(pod: Pod, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text('# comment\nONE=1\n\nTWO=with spaces  \nTAKEN\nQUOTED="kept"\n')
    seen = environment(pod, "--env-file", str(file), "-e", "ONE=later wins", busybox, env={"TAKEN": "yes"})
    assert (seen["ONE"], seen["TWO"], seen["TAKEN"], seen["QUOTED"]) == (
        "later wins",
        "with spaces  ",
        "yes",
        '"kept"',
    )


def test_run_env_file_missing_is_said(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--env-file", "/no/such/file", busybox, "true").failed(125, "/no/such/file")


def test_run_w_sets_and_makes_the_folder(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "-w", "/made/for/this", busybox, "pwd").ok() == "/made/for/this\n"


def test_run_w_relative_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "-w", "relative", busybox, "pwd").failed(125, "relative")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("web", "1000 1000"),
        ("1000", "1000 1000"),
        ("1000:50", "1000 50"),
        ("web:staff", "1000 50"),
        ("4321", "4321 0"),
        ("0", "0 0"),
    ],
)
def test_run_u_takes_names_and_numbers(pod: Pod, busybox: str, user: str, expected: str) -> None:
    assert pod("run", "--rm", "-u", user, busybox, "sh", "-c", "echo $(id -u) $(id -g)").ok() == expected + "\n"


@pytest.mark.sub_ids
def test_run_u_by_name_joins_its_groups(pod: Pod, busybox: str) -> None:
    assert set(pod("run", "--rm", "-u", "web", busybox, "id", "-G").ok().split()) == {"1000", "50"}


@pytest.mark.sub_ids
def test_run_group_add_takes_names_and_numbers(pod: Pod, busybox: str) -> None:
    groups = pod("run", "--rm", "--group-add", "audio", "--group-add", "777", busybox, "id", "-G").ok().split()
    assert {"0", "29", "777"} <= set(groups)


def test_run_u_sets_home(pod: Pod, busybox: str) -> None:
    assert environment(pod, "-u", "web", busybox)["HOME"] == "/srv"


def test_run_u_unknown_name_is_said(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "-u", "nobody-here", busybox, "true").failed(125, "nobody-here", "hint:")


def test_run_entrypoint_replaces_both(pod: Pod) -> None:
    image = pod.image("configured:latest")
    assert pod("run", "--rm", "--entrypoint", "echo", image, "own").ok() == "own\n"
    assert pod("run", "--rm", "--entrypoint", "pwd", image).ok() == "/srv/work\n"
    assert pod("run", "--rm", "--entrypoint", "", image, "echo", "plain").ok() == "plain\n"


def test_run_image_configuration_is_followed(pod: Pod) -> None:
    image = pod.image("configured:latest")
    assert pod("run", "--rm", image).ok() == "entry 2 echo default\ndefault\n"
    script = "id -un; pwd; echo $COLOUR; cat /srv/volume/from-image"
    assert pod("run", "--rm", image, "sh", "-c", script).ok().splitlines()[1:] == [
        "web",
        "/srv/work",
        "blue",
        "copied up",
    ]


def test_run_hostname_is_the_short_id_unless_given(pod: Pod, busybox: str) -> None:
    none = ("--network", "none")
    short = pod("run", "--rm", *none, busybox, "hostname").ok().strip()
    assert len(short) == 12
    assert int(short, 16) >= 0
    script = "hostname; cat /etc/hostname; echo $HOSTNAME"
    assert pod("run", "--rm", *none, "-h", "box", busybox, "sh", "-c", script).ok() == "box\nbox\nbox\n"


def test_run_network_host_keeps_the_hosts_name(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "--network", "host", busybox, "hostname").ok().strip() == os.uname().nodename


def test_run_hosts_file_has_localhost_and_what_was_added(pod: Pod, busybox: str) -> None:
    arguments = ("--add-host", "db:10.1.2.3", "--add-host", "six:2001:db8::1")
    lines = [line.split() for line in pod("run", "--rm", *arguments, busybox, "cat", "/etc/hosts").ok().splitlines()]
    assert ["10.1.2.3", "db"] in lines
    assert ["2001:db8::1", "six"] in lines
    assert any(line[:2] == ["127.0.0.1", "localhost"] for line in lines)


def test_run_dns_options_make_resolv_conf(pod: Pod, busybox: str) -> None:
    arguments = ("--dns", "192.0.2.1", "--dns-search", "example.org", "--dns-option", "ndots:3")
    text = pod("run", "--rm", *arguments, busybox, "cat", "/etc/resolv.conf").ok()
    assert "nameserver 192.0.2.1" in text
    assert "search example.org" in text
    assert "options ndots:3" in text


def test_run_cidfile_holds_the_id_and_is_not_overwritten(pod: Pod, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    pod("run", "--cidfile", str(file), "--name", "with-cid", busybox, "true").ok()
    assert file.read_text() == pod.inspect("with-cid")["Id"]
    pod("run", "--rm", "--cidfile", str(file), busybox, "true").failed(125, str(file))


def test_run_labels_and_name_are_recorded(pod: Pod, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("from-file=1\n")
    arguments = ("--name", "labelled", "-l", "a=b", "--label", "bare", "--label-file", str(file))
    pod("run", *arguments, busybox, "true").ok()
    document = pod.inspect("labelled")
    assert document["Name"] == "/labelled"
    assert document["Config"]["Labels"] == {"a": "b", "bare": "", "from-file": "1"}


def test_run_name_in_use_is_refused(pod: Pod, sleeper: str, busybox: str) -> None:
    pod("run", "--name", sleeper, busybox, "true").failed(125, sleeper, "in use", "hint:")
    assert len(pod.containers()) == 1


def test_run_bad_name_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "../escape", busybox, "true").failed(125, "../escape")


def test_run_ulimit_sets_both_limits(pod: Pod, busybox: str) -> None:
    script = "ulimit -Sn; ulimit -Hn; ulimit -Sc"
    arguments = ("--ulimit", "nofile=512:1024", "--ulimit", "core=0")
    assert pod("run", "--rm", *arguments, busybox, "sh", "-c", script).ok().split() == ["512", "1024", "0"]


def test_run_pull_never_does_not_ask_the_registry(fresh_pod: Pod) -> None:
    fresh_pod("run", "--rm", "--pull", "never", "127.0.0.1:1/not/here", "true").failed(125, "127.0.0.1:1/not/here")


def test_run_unknown_image_is_pulled_with_dockers_lines(fresh_pod: Pod) -> None:
    assert fresh_pod._registry_name is not None
    name = fresh_pod._registry_name("busybox:latest")
    done = fresh_pod("run", "--rm", name, "echo", "hi")
    assert done.ok() == "hi\n"
    assert f"Unable to find image '{name}' locally" in done.err
    assert "Pull complete" in done.err
    assert "Status: Downloaded newer image for" in done.err
    assert fresh_pod("run", "--rm", name, "echo", "hi").err == ""


@pytest.mark.image("multi:latest")
def test_run_platform_chooses_the_manifest(fresh_pod: Pod) -> None:
    assert fresh_pod._registry_name is not None
    name = fresh_pod._registry_name("multi:latest")
    assert fresh_pod("run", "--rm", "-q", "--platform", "linux/amd64", name, "cat", "/machine").out == "amd64\n"
    fresh_pod("pull", "-q", "--platform", "linux/arm64", name).ok()
    assert fresh_pod.inspect(name)["Architecture"] == "arm64"
