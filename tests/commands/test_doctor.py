from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import podcli, tools

FILTERED = Path(__file__).parents[1] / "support/filtered.py"


def test_doctor_when_run_then_the_facts_and_the_verdict(offline_pod):
    text = offline_pod("doctor").ok()
    assert text.endswith("pod run can work here\n")
    for name in ("user namespaces", "overlay", "ids", "seccomp", "cgroups", "/proc", "tun", "fuse"):
        assert any(line[4:].startswith(name) for line in text.splitlines()), name


def test_doctor_when_json_then_one_document(offline_pod):
    document = json.loads(offline_pod("doctor", "--format", "json").ok())
    assert document["run"] is True
    assert {"name", "level", "value", "proof", "consequence", "remedy"} == set(document["facts"][0])


def test_doctor_when_a_template_is_given_then_a_line_for_each_fact(offline_pod):
    lines = offline_pod("doctor", "--format", "{{.Name}}={{.Level}}").ok().splitlines()
    assert "user namespaces=ok" in lines


@pytest.mark.sub_ids
def test_doctor_when_the_user_has_sub_ids_then_they_are_mapped(offline_pod):
    assert "ids=ok" in offline_pod("doctor", "--format", "{{.Name}}={{.Level}}").ok()


@pytest.mark.no_sub_ids
@pytest.mark.not_root
def test_doctor_when_the_user_has_none_then_the_line_that_gives_some(offline_pod):
    text = offline_pod("doctor").ok()
    assert ("usermod --add-subuids" if tools.find("newuidmap") else "install uidmap") in text


def inside(pod, script, *command, flags="-r"):
    """pod in namespaces of util-linux's making, after ``script``."""
    argv = ["unshare", *flags.split(), "--", "sh", "-c", f'{script} && exec "$@"', "sh", *podcli.command(), *command]
    return subprocess.run(argv, env=pod.environ(), capture_output=True, text=True, timeout=60, check=False)


def refused(pod, *command):
    """pod where user namespaces are forbidden: in one whose limit is 0 (user_namespaces(7))."""
    return inside(pod, "echo 0 >/proc/sys/user/max_user_namespaces", *command)


@pytest.mark.nsenter
def test_doctor_when_the_limit_is_zero_then_the_sysctl_is_named_and_1(offline_pod):
    done = refused(offline_pod, "doctor")
    assert done.returncode == 1, done
    assert "user.max_user_namespaces is 0" in done.stdout
    assert "sysctl -w user.max_user_namespaces=15000" in done.stdout
    assert done.stdout.endswith("pod run cannot work here: user namespaces\n")


@pytest.mark.nsenter
def test_doctor_when_they_are_allowed_again_then_no_memory_of_the_refusal(offline_pod):
    refused(offline_pod, "info")
    assert offline_pod("doctor").code == 0


@pytest.mark.nsenter
@pytest.mark.sub_ids
def test_doctor_when_no_new_privs_is_set_then_one_id_with_that_reason(offline_pod):
    argv = ["setpriv", "--no-new-privs", *podcli.command(), "doctor"]
    done = subprocess.run(argv, env=offline_pod.environ(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "no_new_privs is set on this process" in done.stdout


def test_doctor_when_done_then_nothing_is_left_in_the_store(offline_pod):
    offline_pod("doctor").ok()
    for folder, names, files in os.walk(offline_pod.root):
        assert not [name for name in [*names, *files] if name.startswith("probe")], folder


@pytest.mark.nsenter
def test_doctor_when_proc_is_masked_as_in_a_container_then_no_fresh_one(offline_pod):
    done = inside(offline_pod, "mount -t tmpfs none /proc/fs", "doctor", flags="-r -m -p -f --mount-proc")
    assert done.returncode == 0, done
    assert "/proc                 refused: mount: proc" in done.stdout


@pytest.mark.nsenter
def test_doctor_when_the_store_is_on_an_overlay_then_images_are_flattened(offline_pod):
    base = offline_pod.base
    for name in ("lower", "upper", "work", "merged"):
        (base / name).mkdir()
    mount = f"cd {base} && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged"
    done = inside(offline_pod, mount, "--root", f"{base}/merged/store", "doctor", flags="-r -m")
    (base / "work/work").chmod(0o700)
    assert done.returncode == 0, done
    assert "overlay               refused on overlay" in done.stdout
    assert "each image is flattened" in done.stdout


def under_filter(pod, profile, *command):
    """pod under a seccomp filter: an older kernel, or an outer container."""
    argv = [sys.executable, "-I", str(FILTERED), profile, *podcli.command(), *command]
    return subprocess.run(argv, env=pod.environ(), capture_output=True, text=True, timeout=60, check=False)


def test_doctor_when_newer_calls_are_missing_then_older_ones_serve(offline_pod):
    calls = "clone3,openat2,close_range,pidfd_open,mount_setattr"
    done = under_filter(offline_pod, f"deny:{calls}", "doctor")
    assert done.returncode == 0, done
    assert "newer system calls    missing: clone3, openat2, close_range, pidfd_open, mount_setattr" in done.stdout


def test_doctor_when_a_filter_forbids_user_namespaces_then_it_is_named_and_1(offline_pod):
    done = under_filter(offline_pod, "deny:unshare,clone3=1", "doctor")
    assert done.returncode == 1, done
    assert "user namespaces       refused: " in done.stdout
    assert "seccomp" in done.stdout.partition("refused: ")[2].partition("\n")[0]


def test_doctor_when_mounts_are_forbidden_then_run_cannot_work(offline_pod):
    done = under_filter(offline_pod, "deny:mount=1", "doctor")
    assert done.returncode == 1, done


def test_doctor_when_filters_and_memory_files_are_forbidden_then_said(offline_pod):
    done = under_filter(offline_pod, "deny:seccomp,memfd_create=22", "doctor", "--format", "{{.Name}}={{.Level}}")
    assert "seccomp=limit" in done.stdout.splitlines()
    assert "programs in memory=stop" in done.stdout.splitlines()
