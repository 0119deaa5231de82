"""``run`` from strange processes: closed stdio, low limits, hostile variables, working directories that are gone."""

from __future__ import annotations

import os
import resource
import subprocess

import pytest

from tests.support.podcli import Pod, Result

SPEAKS = "echo out; echo err >&2; cat; exit 3"
KIB, MIB = 1 << 10, 1 << 20


def run(pod: Pod, *words: str, before=None, prefix=(), env=None, options=(), cwd=None, **streams) -> Result:
    """``run --rm`` of words in a process that ``before`` and ``prefix`` have made strange."""
    argv = [*prefix, *pod.argv("run", "--rm", "--network", "none", *options, *words)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    done = subprocess.run(
        argv, env=pod.environ() if env is None else env, cwd=cwd or pod.home, preexec_fn=before, timeout=60,
        check=False, **streams,
    )  # fmt: skip
    return Result(argv, done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())


@pytest.mark.alike
@pytest.mark.parametrize("closed", ["0", "1", "2", "12", "012"])
def test_run_when_stdio_is_closed_then_the_code_is_right_and_no_file_is_written_over(pod: Pod, busybox, closed):
    """Whatever descriptor 0, 1 or 2 becomes instead (a record, a log, a socket), nothing of the container gets in."""

    def close():
        for digit in closed:
            os.close(int(digit))

    events = pod.root / "events"
    before = events.read_bytes() if events.exists() else b""
    done = run(pod, "-i", busybox, "sh", "-c", SPEAKS, before=close)
    assert done.code == 3, done
    assert done.out == ("" if "1" in closed else "out\n")
    assert done.err == ("" if "2" in closed else "err\n")
    added = events.read_bytes()[len(before) :]
    assert all(line.startswith(b"{") for line in added.splitlines()), added
    assert pod("images", "-q").ok()


@pytest.mark.parametrize(("name", "value"), [("NOFILE", 64), ("AS", 64 * MIB), ("NPROC", 4000)])
def test_run_when_a_limit_is_low_then_it_works(pod: Pod, busybox, name, value):
    number = getattr(resource, "RLIMIT_" + name)
    done = run(pod, busybox, "echo", "ok", before=lambda: resource.setrlimit(number, (value, value)))
    assert done.ok() == "ok\n"


@pytest.mark.parametrize(
    ("name", "value", "word"), [("NOFILE", 12, "ulimit -n"), ("FSIZE", 512, "ulimit -f"), ("NPROC", 1, "ulimit")]
)
def test_run_when_a_limit_is_too_low_then_it_is_named_and_nothing_is_left(pod: Pod, busybox, name, value, word):
    number = getattr(resource, "RLIMIT_" + name)
    before = pod.containers()
    done = run(pod, busybox, "echo", "ok", before=lambda: resource.setrlimit(number, (value, value)))
    done.failed(125, word)
    assert pod.containers() == before
    assert pod("run", "--rm", "--network", "none", busybox, "echo", "ok").ok() == "ok\n"


@pytest.mark.alike
@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_run_when_the_umask_is_strange_then_modes_are_as_ever(pod: Pod, busybox, mask):
    words = ["sh", "-c", "umask; stat -c '%a %n' /etc /etc/hosts /dev /dev/null /dev/shm"]
    wanted = run(pod, busybox, *words).ok()
    assert run(pod, busybox, *words, before=lambda: os.umask(mask)).ok() == wanted


@pytest.mark.alike
def test_run_when_variables_are_hostile_then_neither_python_nor_the_container_sees_them(pod: Pod, busybox, tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("os", "json", "socket", "sitecustomize", "usercustomize", "pod"):
        (evil / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close(); raise SystemExit(9)\n")
    hostile = {
        "PYTHONPATH": str(evil), "PYTHONHOME": str(evil), "PYTHONSTARTUP": str(evil / "os.py"), "PYTHONINSPECT": "1",
        "PYTHONIOENCODING": "utf-16", "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1", "PYTHONVERBOSE": "1",
        "PYTHONCASEOK": "1", "PYTHONOPTIMIZE": "2", "TMPDIR": "/nonexistent/x", "LC_ALL": "xx_YY.KOI8-R",
        "LD_LIBRARY_PATH": str(evil), "IFS": "/", "ENV": str(evil / "os.py"), "BASH_ENV": str(evil / "os.py"),
        "POD_RUN_DIR": "", "XDG_RUNTIME_DIR": "relative",
    }  # fmt: skip
    done = run(pod, busybox, "env", env=pod.environ(hostile))
    assert not [name for name in hostile if f"{name}=" in done.ok()]
    assert not (tmp_path / "ran").exists()


@pytest.mark.alike
@pytest.mark.parametrize("tmpdir", ["link", "file", "fifo"])
def test_run_when_tmpdir_is_a_trap_then_it_is_not_touched(pod: Pod, busybox, tmp_path, tmpdir):
    trap = tmp_path / "trap"
    {"link": lambda: trap.symlink_to("/etc"), "file": trap.touch, "fifo": lambda: os.mkfifo(trap)}[tmpdir]()
    done = run(pod, busybox, "echo", "ok", env=pod.environ({"TMPDIR": str(trap)}))
    assert done.ok() == "ok\n"


@pytest.mark.alike
def test_run_when_home_and_all_else_are_unset_then_the_store_is_found(pod: Pod, busybox):
    env = {name: value for name, value in pod.environ().items() if name in ("POD_ROOT", "XDG_CACHE_HOME")}
    assert run(pod, busybox, "echo", "ok", env=env).ok() == "ok\n"


@pytest.mark.alike
@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"LANG": "", "LC_ALL": ""}])
def test_run_when_the_locale_is_c_then_names_keep_their_bytes(pod: Pod, busybox, variables):
    folder = pod.home / "größe"
    folder.mkdir(exist_ok=True)
    (folder / "ß").write_text("x")
    words = ["sh", "-c", "cd /gr*; echo * $V"]
    options = ("-v", f"{folder}:/größe", "-e", "V=straße")
    done = run(pod, busybox, *words, options=options, env=pod.environ(variables), stdout=subprocess.PIPE)
    assert done.code == 0, done
    assert done.out.split() == ["ß", "straße"]


@pytest.mark.parametrize("kind", ["gone", "shut"])
def test_run_when_the_working_directory_is_gone_or_shut_then_it_works(pod: Pod, busybox, tmp_path, kind):
    folder = tmp_path / "here"
    folder.mkdir()
    script = 'cd "$1" && shift && ' + ('rmdir "$OLDPWD/here"' if kind == "gone" else 'chmod 0 "$PWD"') + ' && exec "$@"'
    prefix = ["sh", "-c", script, "sh", str(folder)]
    done = run(pod, busybox, "pwd", prefix=prefix, cwd=tmp_path)
    if folder.exists():
        folder.chmod(0o700)
    assert done.ok() == "/\n"
