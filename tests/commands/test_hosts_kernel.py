"""``run`` and ``doctor`` where kernel, outer container or sandbox allow less, or user namespaces not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import places, podcli, tools
from tests.support.podcli import Pod, Result

FILTERED = Path(__file__).parents[1] / "support/filtered.py"
NEWER = (
    "clone3", "openat2", "close_range", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "statx", "copy_file_range",
    "faccessat2", "fchmodat2", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr",
    "io_uring_setup", "landlock_create_ruleset", "process_madvise",
    "keyctl", "userfaultfd", "epoll_pwait2", "name_to_handle_at",
    "process_vm_readv", "kcmp", "getrandom", "futex_waitv", "cachestat", "renameat2",
)  # fmt: skip
"""Calls that kernels of the last ten years brought, or that outer containers refuse: pod has another way for each."""


def inside(pod: Pod, prefix: list[str], *words: str, tmp_path: Path | None = None) -> Result:
    """pod behind ``prefix``; with a run directory of its own, for what this host allows is remembered there."""
    argv = [*prefix, *podcli.command(), *words]
    extra = {"POD_RUN_DIR": str(tmp_path)} if tmp_path else {}
    done = subprocess.run(argv, env=pod.environ(extra), capture_output=True, text=True, timeout=60, check=False)
    return Result(argv, done.returncode, done.stdout, done.stderr)


def namespace(script: str, flags: str = "-r -m") -> list[str]:
    """A shell's ``script`` in namespaces of util-linux's making; then what follows."""
    return ["unshare", *flags.split(), "--", "sh", "-ec", f'{script}\nexec "$@"', "sh"]


def under_filter(profile: str) -> list[str]:
    return [sys.executable, "-I", str(FILTERED), profile]


_CHROOT = """
for name in /*; do
    if [ -L "$name" ]; then cp -P "$name" {root}
    elif [ -d "$name" ]; then mkdir -p {root}$name; mount --rbind "$name" {root}$name; fi
done
cd /; set -- chroot {root} "$@"
"""
"""A folder with all that the host has, which is no mount point itself."""


def forbidden(pod: Pod, way: str) -> list[str]:
    """What makes user namespaces impossible in ``way``."""
    root = pod.base / "chroot"
    root.mkdir(exist_ok=True)
    return {
        "the limit": namespace("echo 0 >/proc/sys/user/max_user_namespaces", "-r"),
        "a filter": under_filter("deny:unshare,clone3=1"),
        "a chroot": namespace(_CHROOT.format(root=root)),
        "an id without place": ["unshare", "--user", "--"],
    }[way]


CAUSES = {
    "the limit": ("user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces"),
    "a filter": ("a seccomp filter on this process", "--security-opt"),
    "a chroot": ("runs in a chroot", "outside of the chroot"),
    "an id without place": ("has no place in its user namespace", "--map-current-user"),
}


@pytest.mark.nsenter
@pytest.mark.parametrize("way", CAUSES)
def test_run_when_user_namespaces_are_forbidden_then_run_and_doctor_name_who_does_it(pod: Pod, busybox, way, tmp_path):
    before = pod.containers()
    done = inside(pod, forbidden(pod, way), "run", "--rm", busybox, "true", tmp_path=tmp_path)
    done.failed(125, *CAUSES[way])
    assert "WARNING" not in done.err
    told = inside(pod, forbidden(pod, way), "doctor", tmp_path=tmp_path)
    assert told.code == 1, told
    assert all(words in told.out for words in CAUSES[way]), told
    assert pod.containers() == before


@pytest.mark.parametrize("errno", [38, 1], ids=["ENOSYS", "EPERM"])
def test_run_when_all_newer_calls_are_denied_then_older_ones_serve(pod: Pod, busybox, errno, tmp_path):
    profile = f"deny:{','.join(NEWER)}={errno}"
    done = inside(
        pod, under_filter(profile), "run", "--rm", "--network", "none", busybox, "echo", "ok", tmp_path=tmp_path
    )
    assert done.ok() == "ok\n"


@pytest.mark.slow
@pytest.mark.parametrize("errno", [38, 1], ids=["ENOSYS", "EPERM"])
@pytest.mark.parametrize("call", NEWER)
def test_run_when_one_newer_call_is_denied_then_an_older_one_serves(pod: Pod, busybox, call, errno, tmp_path):
    filtered = under_filter(f"deny:{call}={errno}")
    done = inside(pod, filtered, "run", "--rm", "--network", "none", busybox, "echo", "ok", tmp_path=tmp_path)
    assert done.ok() == "ok\n"


@pytest.mark.parametrize(("call", "word"), [("memfd_create", "memory"), ("seccomp,prctl", "")])
def test_run_when_what_it_cannot_do_without_is_denied_then_said(pod: Pod, busybox, call, word, tmp_path):
    filtered = under_filter(f"deny:{call}")
    done = inside(pod, filtered, "run", "--rm", "--network", "none", busybox, "true", tmp_path=tmp_path)
    done.failed(125, word)


@pytest.mark.nsenter
def test_run_when_no_new_privs_is_set_then_with_one_id(pod: Pod, busybox, tmp_path):
    argv = ["setpriv", "--no-new-privs", "--"]
    words = ("run", "--rm", "--network", "none", busybox, "cat", "/proc/self/uid_map")
    assert inside(pod, argv, *words, tmp_path=tmp_path).ok().split()[2] == "1"


@pytest.mark.nsenter
@pytest.mark.parametrize(
    "script",
    [
        "mount -t tmpfs none /proc/fs",
        "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        "mount --bind /dev/null /proc/version; mount -t tmpfs none /sys/fs",
        "mount -t tmpfs none /run; mount -o remount,bind,ro /run",
    ],
    ids=["masked proc", "read-only proc/sys", "masked files", "read-only run"],
)
def test_run_when_an_outer_container_masks_then_it_works(pod: Pod, busybox, script, tmp_path):
    prefix = namespace(script, "-r -m -p -f --mount-proc")
    done = inside(pod, prefix, "run", "--rm", "--network", "none", busybox, "ls", "-d", "/proc/self", tmp_path=tmp_path)
    assert done.ok() == "/proc/self\n"


@pytest.mark.nsenter
def test_run_when_the_store_is_read_only_then_said_with_what_to_do(pod: Pod, busybox, tmp_path):
    prefix = namespace(f"mount --bind {pod.root} {pod.root}; mount -o remount,bind,ro {pod.root}")
    inside(pod, prefix, "run", "--rm", busybox, "true", tmp_path=tmp_path).failed(125, "read-only", "POD_ROOT")


@pytest.mark.bwrap
@pytest.mark.parametrize(
    "options", ["--unshare-user --unshare-pid", "--unshare-all", "--unshare-all --die-with-parent"]
)
def test_run_when_under_bubblewrap_then_it_works(pod: Pod, busybox, options, tmp_path):
    argv = ["bwrap", "--dev-bind", "/", "/", "--proc", "/proc", *options.split(), "--"]
    done = inside(pod, argv, "run", "--rm", "--network", "none", busybox, "echo", "ok", tmp_path=tmp_path)
    assert done.ok() == "ok\n"


@pytest.mark.bwrap
def test_run_when_proc_is_of_another_pid_namespace_then_said(pod: Pod, busybox, tmp_path):
    argv = ["bwrap", "--dev-bind", "/", "/", "--unshare-all", "--"]
    done = inside(pod, argv, "run", "--rm", "--network", "none", busybox, "true", tmp_path=tmp_path)
    done.failed(125, "/proc is that of another pid namespace")


@pytest.mark.nsenter
@pytest.mark.alike
def test_run_when_the_uid_is_above_two_to_the_31_and_nobody_knows_it_then_it_is_root_inside(
    pod: Pod, busybox, tmp_path
):
    argv = ["unshare", "--map-user=3000000000", "--map-group=3000000000", "--"]
    done = inside(pod, argv, "run", "--rm", "--network", "none", busybox, "id", "-u", tmp_path=tmp_path)
    assert done.ok() == "0\n"


@pytest.mark.nsenter
@pytest.mark.sub_ids
def test_run_when_the_user_has_fifty_groups_then_it_works(pod: Pod, busybox, tmp_path):
    groups = ",".join(str(number) for number in range(100, 150))
    argv = ["unshare", "-r", "--map-auto", "--", "setpriv", "--groups", groups, "--"]
    done = inside(pod, argv, "run", "--rm", "--network", "none", busybox, "id", "-g", tmp_path=tmp_path)
    assert done.ok() == "0\n"


def nested(pod: Pod, *options: str) -> list[str]:
    """A container with this host's programs in which pod is run once more, with a store in memory."""
    folders = ("/usr", "/lib", "/lib64", "/opt", str(places.REPOSITORY), str(podcli.shared_cache()))
    binds = [word for folder in folders if Path(folder).exists() for word in ("-v", f"{folder}:{folder}:ro")]
    variables = ("POD_ROOT=/inner/store", "HOME=/inner", "XDG_CACHE_HOME=/inner/cache", f"PATH={tools.SEARCH}")
    env = [word for variable in variables for word in ("-e", variable)]
    network = ("--network", "host")  # the registry's
    return ["run", "--rm", *network, "--tmpfs", "/inner:exec,mode=1777", *binds, *env, *options]


def test_run_in_a_container_of_pod_with_nesting_then_it_works(pod: Pod, busybox):
    words = nested(pod, "--security-opt", "nesting")
    done = pod(*words, busybox, *podcli.command(), "run", "--rm", "--network", "none", busybox, "echo", "deep")
    assert done.ok() == "deep\n"


@pytest.mark.sub_ids
def test_run_in_a_container_of_pod_as_a_user_then_it_works(pod: Pod, busybox):
    words = nested(pod, "--security-opt", "nesting", "-u", "1000:1000")
    done = pod(*words, busybox, *podcli.command(), "run", "--rm", "--network", "none", busybox, "echo", "deep")
    assert done.ok() == "deep\n"


@pytest.mark.no_sub_ids
def test_run_in_a_container_of_pod_as_an_emulated_user_then_refused_with_the_reason(pod: Pod, busybox):
    words = nested(pod, "--security-opt", "nesting", "-u", "1000:1000")
    done = pod(*words, busybox, *podcli.command(), "run", "--rm", "--network", "none", busybox, "echo", "deep")
    done.failed(125, "has no place in its user namespace's map")


def test_run_in_a_container_of_pod_without_nesting_then_the_option_is_named(pod: Pod, busybox):
    done = pod(*nested(pod), busybox, *podcli.command(), "run", "--rm", "--network", "none", busybox, "true")
    done.failed(125, "--security-opt nesting")
