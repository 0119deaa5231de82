"""The same file under other Pythons, and its arm64 half under qemu-user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.support import places

pytestmark = pytest.mark.alike

TREES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}


def in_tree(suite: str, pyz: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script in an unpacked Debian, pod.pyz at /mnt/pod.pyz; bwrap pivots, so namespaces nest inside."""
    tree = places.trees() / suite
    if not tree.is_dir():
        pytest.skip(f"capability tree: {tree} is not there (python3 -m tests.support.prepare --trees, as root)")
    if shutil.which("bwrap") is None:
        pytest.skip("capability bwrap: not installed")
    jail = ["bwrap", "--unshare-user", "--ro-bind", str(tree), "/", "--dev-bind", "/dev", "/dev"]
    jail += ["--bind", "/proc", "/proc", "--bind", "/sys", "/sys", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]
    jail += ["--tmpfs", "/mnt", "--ro-bind", str(pyz), "/mnt/pod.pyz", "--clearenv", "--setenv", "HOME", "/tmp"]
    jail += ["--setenv", "PATH", "/usr/bin:/bin", "sh", "-c", script]
    return subprocess.run(jail, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("suite", TREES)
def test_pyz_in_an_old_or_new_debian_starts_and_imports_its_extensions(pyz: Path, suite: str) -> None:
    probe = "import sys; sys.path.append(sys.argv[1]); import pod.ext.layer, pod.ext.process; print(sys.version[:6])"
    again = f'python3 -I -S -c "{probe}" /tmp/.cache/pod/*/site'
    done = in_tree(suite, pyz, f"/mnt/pod.pyz -v && /mnt/pod.pyz -v && {again}")
    assert done.returncode == 0, done.stderr
    first, second, python = done.stdout.splitlines()
    assert first == second
    assert python.startswith(TREES[suite] + ".")


@pytest.mark.parametrize("suite", TREES)
def test_pyz_in_an_old_or_new_debian_runs_a_container(pyz: Path, suite: str) -> None:
    done = in_tree(suite, pyz, "/mnt/pod.pyz run --rm --network none pod.local/busybox echo hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hello\n"


@pytest.mark.parametrize("suite", TREES)
def test_pyz_in_an_old_or_new_debian_prepares_starts(pyz: Path, suite: str) -> None:
    script = """
        words='run --rm --network none -e A -v /mnt:/x -v vv:/v pod.local/busybox'
        for round in 1 2 3 4; do /mnt/pod.pyz $words echo $round; sleep 0.2; done
        echo 'import posix; posix._exit(99)' >$(echo /tmp/.cache/pod/*/_pod_run.py)
        /mnt/pod.pyz $words echo prepared
        A= /mnt/pod.pyz $words true || echo $?
        mkdir -p /tmp/.config/docker; echo '{}' >/tmp/.config/docker/daemon.json
        /mnt/pod.pyz $words true || echo $?
    """
    done = in_tree(suite, pyz, script)
    assert done.stdout.split() == ["1", "2", "3", "4", "prepared", "99", "99"], done.stderr


@pytest.fixture(scope="session")
def arm(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs an arm64 Python: qemu-user and a tree of Debian's packages."""
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("capability qemu: qemu-aarch64-static is not installed")
    sys.path.insert(0, str(ROOT / "packaging"))
    try:
        import sysroot
    finally:
        del sys.path[0]
    folder = tmp_path_factory.mktemp("arm64") if not os.access(ROOT / "build", os.W_OK) else ROOT / "build/debian-test"
    packages = sysroot.Packages(Path(folder))
    try:
        version = packages.python_headers().removeprefix("lib").removesuffix("-dev")
        names = [f"{version}-minimal", f"lib{version}-minimal", f"lib{version}-stdlib", "libc6", "zlib1g", "libexpat1"]
        tree = packages.unpack(names, "aarch64")
    except sysroot.PackageError as error:
        pytest.skip(f"capability arm64_tree: {error}")
    return [qemu, "-L", str(tree), str(tree / "usr/bin" / version), "-I", "-S"]


@pytest.fixture(scope="session")
def arm_site(arm: list[str], pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the cold start unpacks there (its last step, exec, needs binfmt_misc: so it is left out)."""
    folder = tmp_path_factory.mktemp("arm-cache")
    script = (
        "import sys, zipimport; loader = zipimport.zipimporter(sys.argv[1]); sys.path.insert(0, sys.argv[1])\n"
        "import _pod_cold as cold\n"
        "manifest = cold.Manifest(loader.get_data(sys.argv[1] + '/_pod_manifest').decode())\n"
        "cold.install(loader, manifest, sys.argv[2], sys.argv[2] + '/' + manifest.build); print(manifest.build)"
    )
    done = run([*arm, "-c", script, str(pyz), str(folder)])
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.strip()


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a small environment."""
    environ = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


def lean(arm: list[str], arm_site: Path, pyz: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The lean start there."""
    return run([*arm, str(arm_site / "_pod_run.py"), str(pyz), *arguments], HOME=str(home))


@pytest.mark.slow  # emulated
def test_pyz_on_arm64_starts(arm: list[str], arm_site: Path, pyz: Path, home: Path) -> None:
    done = lean(arm, arm_site, pyz, home, "-v")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pod version ")


@pytest.mark.slow  # emulated
def test_pyz_on_arm64_extracts_a_layer(arm: list[str], arm_site: Path, pyz: Path, home: Path) -> None:
    script = (
        "import sys, os; sys.path.append(sys.argv[1]); from pod.ext import layer\n"
        "blobs = sys.argv[1] + '/pod/_images/aarch64/blobs/sha256'\n"
        "big = max(os.listdir(blobs), key=lambda name: os.stat(blobs + '/' + name).st_size)\n"
        "os.mkdir('root'); root = os.open('root', os.O_RDONLY)\n"
        "owners = os.open('owners', os.O_RDWR | os.O_CREAT, 0o600)\n"
        "blob = os.open(blobs + '/' + big, os.O_RDONLY)\n"
        "result = layer.extract(blob, root, owners, mapped=False, max_bytes=1 << 30, max_entries=10000)\n"
        "assert result[0] == big, result\n"
        "assert os.readlink('root/bin/sh') == 'busybox'; print(os.uname().machine, result[4])"
    )
    done = subprocess.run(
        [*arm, "-c", script, str(arm_site / "site")], cwd=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    machine, entries = done.stdout.split()
    assert machine == "aarch64"
    assert int(entries) > 200


@pytest.mark.slow  # emulated
def test_pyz_on_arm64_doctor_answers(arm: list[str], arm_site: Path, pyz: Path, home: Path) -> None:
    done = lean(arm, arm_site, pyz, home, "doctor")
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.slow  # emulated
def test_pyz_on_arm64_run_works_or_names_the_refused_step(
    arm: list[str], arm_site: Path, pyz: Path, home: Path
) -> None:
    done = lean(arm, arm_site, pyz, home, "run", "--rm", "--network", "none", "pod.local/busybox", "echo", "hello")
    if done.returncode == 0:
        assert done.stdout == "hello\n"
    else:
        assert done.returncode == 125, done.stderr
        assert sum(line.startswith("pod: ") for line in done.stderr.splitlines()) == 1, done.stderr
        assert "Traceback" not in done.stderr
