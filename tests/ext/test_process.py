"""pod.ext.process: probes run in children of their own, and failures carry step, errno and path."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from pod.core import host_probe
from pod.ext import process
from pod.ext.errors import StepError

_NAMES = (
    "userns mountns pidns utsns ipcns cgroupns netns overlay overlay_layers volatile whiteout xattr proc sysfs devpts "
    "mqueue pivot_root mount_setattr seccomp seccomp_notify pidfd_open clone3 openat2 close_range memfd_exec tun fuse "
    "emulation"
)
PROBES = _NAMES.split()


@pytest.mark.parametrize("name", PROBES)
def test_probe_when_run_then_this_process_is_unchanged(tmp_path, name):
    def state():
        namespaces = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "mnt", "net", "pid_for_children")}
        with open("/proc/self/mountinfo") as file:
            mounts = file.read()
        with open("/proc/thread-self/children") as file:
            children = file.read()  # a session's registry may be one
        return namespaces, os.getcwd(), sorted(os.listdir("/proc/self/fd")), str(tmp_path) in mounts, children

    before = state()
    failures = []
    try:
        process.probe(name, str(tmp_path))
    except StepError as error:
        failures.append(error)
    assert all(error.errno and error.step.isupper() and error.words for error in failures)
    assert state() == before
    host_probe.remove_scratch(str(tmp_path))
    assert not tmp_path.exists()



def test_probe_when_unknown_then_einval(tmp_path):
    with pytest.raises(StepError) as caught:
        process.probe("bogus", str(tmp_path))
    assert (caught.value.errno, caught.value.step, caught.value.path) == (errno.EINVAL, "PROBE", "bogus")


def test_probe_when_the_folder_is_missing_then_says_which(tmp_path):
    with pytest.raises(StepError) as caught:
        process.probe("whiteout", str(tmp_path / "none"))
    assert (caught.value.errno, caught.value.step) == (errno.ENOENT, "CHDIR")
    assert caught.value.path.endswith("/none")


def test_probe_when_standard_descriptors_are_closed_then_failures_still_show(tmp_path):
    script = (
        "import os, sys\n"
        "from pod.ext import process\n"
        "os.closerange(0, 3)\n"
        "try:\n"
        "    process.probe('whiteout', sys.argv[1] + '/none')\n"
        "except OSError as error:\n"
        "    os._exit(error.errno)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=20,
        check=False,
    )
    assert done.returncode == errno.ENOENT


@pytest.mark.parametrize("extents", [b"x", b"x" * 11, b"x" * 13])
def test_probe_range_when_extents_are_no_triples_then_refused(extents):
    with pytest.raises(ValueError, match="triples"):
        process.probe_range(extents, b"", "/usr/bin/newuidmap", "/usr/bin/newgidmap")


def test_probe_range_when_the_helper_is_missing_then_its_step_and_path():
    with pytest.raises(StepError) as caught:
        process.probe_range(bytes(12), bytes(12), "/nonexistent/newuidmap", "/nonexistent/newgidmap")
    assert caught.value.step in ("NEWUIDMAP", "USERNS")


def _mapper(path, *lines):
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


def test_probe_range_when_ids_are_mapped_then_both_helpers_run_at_once(tmp_path):
    wait = "for i in 1 2 3 4 5 6 7 8 9 10; do [ -e {} ] && exit 0; sleep 1; done; exit 1"
    one = _mapper(tmp_path / "one", f": >{tmp_path}/begun-one", wait.format(tmp_path / "begun-other"))
    other = _mapper(tmp_path / "other", f": >{tmp_path}/begun-other", wait.format(tmp_path / "begun-one"))
    with pytest.raises(StepError) as caught:
        process.probe_range(bytes(12), bytes(12), one, other)
    assert caught.value.step not in ("NEWUIDMAP", "NEWGIDMAP")  # they have mapped nothing, so it fails later


@pytest.mark.parametrize(
    ("ends", "step"), [((1, 0), "NEWUIDMAP"), ((0, 1), "NEWGIDMAP"), ((1, 1), "NEWUIDMAP")]
)
def test_probe_range_when_a_helper_fails_then_it_is_named_and_both_have_ended(tmp_path, ends, step):
    slow = f"sleep 0.2; : >{tmp_path}/ended"
    one = _mapper(tmp_path / "one", f"exit {ends[0]}")
    other = _mapper(tmp_path / "other", slow, f"exit {ends[1]}")
    with pytest.raises(StepError) as caught:
        process.probe_range(bytes(12), bytes(12), one, other)
    assert (caught.value.step, caught.value.path) == (step, one if step == "NEWUIDMAP" else other)
    assert (tmp_path / "ended").exists()


def test_enter_idmap_when_the_helper_fails_then_the_process_stays_outside(tmp_path):
    before = os.readlink("/proc/self/ns/user")
    with pytest.raises(StepError):
        process.enter_idmap(str(tmp_path), bytes(12), bytes(12), "/bin/false", "/bin/false")
    assert os.readlink("/proc/self/ns/user") == before
