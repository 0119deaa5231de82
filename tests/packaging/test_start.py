"""How pod.pyz starts: cold, warm, damaged, and where there is no place for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.CompletedProcess[str]"]


def version(done: subprocess.CompletedProcess[str]) -> str:
    """What ``pod -v`` printed, after a check that it printed nothing else."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("pod version ")
    return done.stdout


def cache(home: Path) -> Path:
    """The one build's folder in the cache."""
    (folder,) = [path for path in (home / ".cache/pod").iterdir() if not path.name.startswith(".")]
    return folder


def namespace(script: str, *arguments: str) -> list[str]:
    """A shell in user and mount namespaces of its own, where tmpfs can be mounted."""
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", *arguments]


def test_start_cold_then_warm_says_the_same(start: Start, home: Path) -> None:
    cold = version(start("-v"))
    folder = cache(home)
    before = os.stat(folder / "bundle").st_ino
    assert version(start("-v")) == cold
    assert os.stat(folder / "bundle").st_ino == before
    assert {path.name for path in folder.iterdir()} == {
        "_pod_run.py", "bundle", "bundle-run", "bundle-exec", "bundle-ps", "bundle-rm", "bundle-rmi", "bundle-build",
        "bundle-stats", "python", "site", "starts",
    }  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700


def test_start_by_python_works(start: Start, pyz: Path) -> None:
    version(start("-v", program=["python3", str(pyz)]))


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_start_by_each_shell_works(start: Start, pyz: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"capability {shell}: not installed")
    program = [shell, "sh", str(pyz)] if shell == "busybox" else [shell, str(pyz)]
    version(start("-v", program=program))
    version(start("-v", program=program))


def test_start_passes_arguments_untouched(start: Start) -> None:
    for _ in range(2):
        done = start("no such\ncommand *", "")
        assert done.returncode != 0
        assert "no such\ncommand *" in done.stderr


def test_start_from_a_path_with_spaces_and_quotes_works(start: Start, pyz: Path, home: Path) -> None:
    place = home / "a b'c\"d $(x)"
    place.mkdir()
    shutil.copy(pyz, place / "po d.pyz")
    for _ in range(2):
        version(start("-v", program=[str(place / "po d.pyz")]))


def test_start_from_a_read_only_folder_works(start: Start, pyz: Path, home: Path) -> None:
    place = home / "ro"
    place.mkdir()
    shutil.copy(pyz, place / "pod")
    place.chmod(0o555)
    try:
        version(start("-v", program=[str(place / "pod")]))
    finally:
        place.chmod(0o755)


def test_start_through_path_and_link_works(start: Start, pyz: Path, home: Path) -> None:
    (home / "bin").mkdir()
    (home / "bin/pod").symlink_to(pyz)
    for _ in range(2):
        done = start("-v", program=["/bin/sh", "-c", 'exec pod "$@"', "sh"], PATH=f"{home}/bin:/usr/bin:/bin")
        version(done)


@pytest.mark.parametrize("name", ["docker-compose", "pod-compose"])
def test_start_by_a_link_of_that_name_is_compose(start: Start, pyz: Path, home: Path, name: str) -> None:
    (home / name).symlink_to(pyz)
    for _ in range(2):
        done = start("run", "--help", program=[str(home / name)])
        assert "Usage:  pod compose run" in done.stdout


@pytest.mark.parametrize("home_value", [None, "", "/nonexistent", "relative"])
def test_start_without_a_home_works(start: Start, home: Path, home_value: str | None) -> None:
    for _ in range(2):
        version(start("-v", HOME=home_value, XDG_RUNTIME_DIR=str(home)))


def test_start_with_fifty_at_once_works(pyz: Path, home: Path) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen([str(pyz), "-v"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(50)
    ]
    answers = [process.communicate(timeout=120) for process in running]
    assert {process.returncode for process in running} == {0}
    assert {errors for _, errors in answers} == {""}
    assert len({words for words, _ in answers}) == 1
    left = [path.name for path in (home / ".cache/pod").iterdir()]
    assert [name for name in left if not name.startswith(".lock-")] == [cache(home).name]


@pytest.mark.parametrize("name", ["bundle", "site/pod/ext/pod-helper", "site/pod/ext/layer.abi3.so", "_pod_run.py"])
def test_start_when_a_file_is_gone_repairs_it(start: Start, home: Path, name: str) -> None:
    version(start("-v"))
    (cache(home) / name).unlink()
    if name == "_pod_run.py":
        (cache(home) / "python").unlink()  # the folder is whole only where this is
    version(start("-v"))
    assert (cache(home) / name).exists()


def test_start_when_a_module_is_gone_repairs_it(start: Start, home: Path) -> None:
    version(start("-v"))
    shutil.rmtree(cache(home) / "site/pod/cli")
    done = start("version")
    assert done.returncode == 0, done.stderr
    assert (cache(home) / "site/pod/cli/version.py").exists()


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"\xa7\r\r\n" + b"\xff" * 64])
def test_start_when_the_bundle_is_damaged_makes_another(start: Start, home: Path, data: bytes) -> None:
    version(start("-v"))
    (cache(home) / "bundle").write_bytes(data)
    version(start("-v"))
    assert len((cache(home) / "bundle").read_bytes()) > 4096


def test_start_when_its_interpreter_has_gone_finds_another(start: Start, home: Path) -> None:
    version(start("-v"))
    (cache(home) / "python").write_text("/nonexistent/python3.9\n")
    version(start("-v"))
    assert "nonexistent" not in (cache(home) / "python").read_text()


def test_start_when_the_cache_is_a_link_of_someone_else_goes_elsewhere(start: Start, home: Path) -> None:
    target = home / "trap"
    target.mkdir()
    (home / ".cache").mkdir()
    (home / ".cache/pod").symlink_to(target)
    version(start("-v", XDG_RUNTIME_DIR=str(home)))
    assert list(target.iterdir()) == []
    assert (home / "pod").is_dir()


def test_start_when_the_archive_is_cut_ends_in_one_line(start: Start, pyz: Path, home: Path) -> None:
    cut = home / "pod.pyz"
    data = bytearray(pyz.read_bytes())
    place = data.index(b"_images/")
    data[place + 4096 : place + 8192] = bytes(4096)
    cut.write_bytes(bytes(data))
    cut.chmod(0o755)
    done = start("-v", program=[str(cut)])
    if done.returncode:
        assert done.returncode == 125
        assert done.stderr.startswith("pod: start: ")
        assert done.stderr.count("\n") == 1


def test_start_prunes_builds_long_unused(start: Start, home: Path) -> None:
    old = home / ".cache/pod/0123456789abcdef0123"
    old.mkdir(parents=True)
    (home / ".cache/pod").chmod(0o700)
    (old / "python").write_text("/usr/bin/python3\n")
    os.utime(old, (1, 1))
    version(start("-v"))
    assert not old.exists()


FORGET = 'rm -rf "/var/tmp/pod-$(id -u)" 2>/dev/null || true; '
"""The cache that an earlier test, or an earlier run, left for this id where a home is of no use."""


def test_start_where_the_cache_is_noexec_loads_from_memory(start: Start, pyz: Path, home: Path) -> None:
    script = FORGET + 'mount -t tmpfs -o noexec tmpfs "$1"; "$2" -v; "$2" version; '
    script += 'cd "$1"/.cache/pod; grep -c "C = True" */*.py'
    done = start(program=namespace(script, str(home), str(pyz)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1"


def test_start_where_the_home_is_full_goes_elsewhere(start: Start, pyz: Path, home: Path) -> None:
    script = FORGET + 'mount -t tmpfs -o size=64k tmpfs "$1"; "$2" -v; ls -A "$1/.cache/pod"'
    done = start(program=namespace(script, str(home), str(pyz)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pod version ")
    assert not [line for line in done.stdout.splitlines()[1:] if line.startswith(".new-")]


def test_start_where_nothing_can_be_written_runs_from_the_archive(start: Start, pyz: Path, home: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("capability bwrap: not installed")
    jail = ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", str(pyz)]
    version(start("-v", program=jail))
    done = start("version", program=jail)
    assert done.returncode == 0, done.stderr


def test_start_when_files_may_not_grow_then_no_half_written_module_is_left(start: Start, home: Path, pyz: Path) -> None:
    version(start("-v"))
    script = 'ulimit -f 8; exec "$@"'
    for command in ("volume ls", "events --help", "inspect --help"):
        start(*command.split(), program=["sh", "-c", script, "sh", str(pyz)])
    for command in ("volume ls", "events --help", "inspect --help"):
        done = start(*command.split())
        assert done.returncode == 0, done.stderr
    import marshal

    for compiled in cache(home).rglob("*.pyc"):
        marshal.loads(compiled.read_bytes()[16:])
