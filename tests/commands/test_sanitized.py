"""The static helper's sources under AddressSanitizer and UndefinedBehaviorSanitizer, carrying out real containers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import places

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree whose helper is instrumented (and dynamic: the sanitizers have no static runtime)."""
    folder = tmp_path_factory.mktemp("sanitized")
    places.copy_sources(folder)
    sys.path.insert(0, str(places.REPOSITORY / "packaging"))
    try:
        import sources
    finally:
        sys.path.pop(0)
    build = sources.build_id()
    flags = ["-std=gnu11", "-D_GNU_SOURCE", f'-DPOD_BUILD_ID="{build}"', "-g"]
    flags += [f"-Iext/src/{part}" for part in ("core", "emulator", "helper", "net")]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    files = [str(path.relative_to(places.REPOSITORY)) for path in sources.helper_sources()]
    command = ["cc", *flags, *sanitize, *files, "-o", "ext/pod-helper"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder


@pytest.fixture
def run(tree: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs pod out of that tree; findings of a sanitizer fail the test, also those of processes nobody waits for."""
    environ = {
        **os.environ,
        "POD_ROOT": str(tmp_path / "store"),
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode=99:log_path={tmp_path}/finding",
        "UBSAN_OPTIONS": f"exitcode=99:log_path={tmp_path}/finding",
    }
    program = [sys.executable, "-B", str(tree / "packaging/pod")]

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments], env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    yield run
    for container in run("ps", "-aq").stdout.split():
        run("rm", "-f", container)
    findings = [path.read_text() for path in tmp_path.glob("finding*")]
    assert findings == []


IMAGE = "pod.local/busybox"


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (("--rm", IMAGE, "echo", "hello"), 0, "hello\n"),
        (("--rm", "--network", "none", IMAGE, "sh", "-c", "exit 7"), 7, ""),
        (("--rm", IMAGE, "no-such-program"), 127, ""),
        (("--rm", IMAGE, "/etc/passwd"), 126, ""),
        (("--rm", "-u", "nosuch", IMAGE, "id"), 125, ""),
        (("--rm", "-u", "33:users", "--group-add", "5", IMAGE, "id", "-u"), 0, "33\n"),
        (("--rm", "--init", "--read-only", "--tmpfs", "/t", IMAGE, "sh", "-c", "echo x > /t/x; cat /t/x"), 0, "x\n"),
        (("--rm", "-v", "data:/bin/data", "-w", "/a/b", "--ulimit", "nofile=64", IMAGE, "pwd"), 0, "/a/b\n"),
        (("--rm", "--privileged", "--pid", "host", "--ipc", "host", IMAGE, "true"), 0, ""),
    ],
    ids=lambda value: " ".join(value[:-1]) if isinstance(value, tuple) else None,
)
def test_sanitized_run(run: Run, arguments: tuple[str, ...], code: int, out: str) -> None:
    done = run("run", *arguments)
    assert (done.returncode, done.stdout) == (code, out), done.stderr


def test_sanitized_log_of_odd_bytes(run: Run) -> None:
    script = "seq 20000 | tail -n 1; printf '\\377\\n\\303\\251\\n'; head -c 70000 /dev/zero | tr '\\0' a"
    assert run("run", "--name", "odd", "-d", IMAGE, "sh", "-c", script).returncode == 0
    run("stop", "-t", "5", "odd")
    assert run("logs", "odd").stdout == "20000\n\ufffd\n\u00e9\n" + "a" * 70000


def test_sanitized_life_of_a_container(run: Run) -> None:
    assert run("run", "-d", "-i", "--name", "one", IMAGE, "cat").returncode == 0
    assert run("exec", "-i", "one", "cat", stdin="x" * 100_000).stdout == "x" * 100_000
    assert run("exec", "one", "no-such-program").returncode == 127
    assert run("kill", "one").returncode == 0
    assert run("start", "one").returncode == 0
    assert run("rm", "-f", "one").returncode == 0


ROOT = """
    set -e
    chown 5:6 /etc/passwd; stat -c %u:%g /etc/passwd; mkdir -p /home/eve; chown 1000:1001 /home/eve
    mknod /dev/x c 1 3; stat -c '%F %t:%T' /dev/x; ln -s x /home/link; chown -h 7:8 /home/link; cp -a /home /copy
    find /copy -exec stat -c '%n %u:%g' {} + | sort; i=0
    while [ $i -lt 40 ]; do (stat /etc/passwd >/dev/null & kill -9 $!) 2>/dev/null; i=$((i+1)); done; rm -r /copy
"""
ROOT_SEES = """5:6
character special file 1:3
/copy 0:0
/copy/eve 1000:1001
/copy/link 7:8
"""
USER = """
    cd /home/eve; touch f; mkdir d; ln -s f l; mkfifo p; stat -c '%n %u:%g' *; chown 0 f 2>/dev/null || id -u; rm -r *
"""
USER_SEES = "d 1000:1001\nf 1000:1001\nl 1000:1001\np 1000:1001\n1000\n"


@pytest.mark.no_sub_ids
def test_sanitized_emulator(run: Run) -> None:
    """A finding in it ends it, and then nothing is answered any more."""
    full = ("--root-emulation=full", IMAGE)
    done = run("run", "-d", "--name", "one", *full, "sleep", "300")
    assert done.returncode == 0, done.stderr
    for _ in range(2):
        done = run("exec", "one", "sh", "-c", ROOT)
        assert (done.returncode, done.stdout) == (0, ROOT_SEES), done.stderr
        done = run("exec", "-u", "1000:1001", "one", "sh", "-c", USER)
        assert (done.returncode, done.stdout) == (0, USER_SEES), done.stderr
        assert run("exec", "-u", "1:2", "one", "id", "-G").stdout == "2\n"
        assert run("exec", "one", "rm", "-r", "/home", "/dev/x").returncode == 0
        assert run("stop", "-t", "1", "one").returncode == 0
        assert run("start", "one").returncode == 0
    assert run("run", "--rm", "-u", "3:4", *full, "id", "-g").stdout == "4\n"
    assert run("rm", "-f", "one").returncode == 0
