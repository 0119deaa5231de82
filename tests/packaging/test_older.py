"""Containers that an older pod started belong to today's: they are listed, entered, stopped and removed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.support import leaks
from tests.support.podcli import Pod

PINS = Path(__file__).with_name("older.txt")


def pins() -> list[tuple[str, str]]:
    """(commit, SHA-256 of its pod.pyz) of older.txt."""
    lines = [line.split() for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    return [(commit, digest) for commit, digest, *_ in lines]


def built(commit: str, digest: str, scratch: Path) -> Path:
    """pod.pyz of that commit, out of this repository's own history; kept in the build's cache, checked at each use."""
    base = os.environ.get("POD_BUILD_CACHE") or os.path.expanduser("~/.cache/pod-build")
    kept = Path(base) / f"older-{commit}.pyz"
    if not kept.exists():
        tree = scratch / "older"
        settings = scratch / "gitconfig"  # -c does not reach the process that reads the other repository
        settings.write_text("[safe]\n\tdirectory = *\n")
        env = {**os.environ, "GIT_CONFIG_GLOBAL": str(settings)}
        clone = ["git", "clone", "-q", "--no-checkout", str(ROOT), str(tree)]
        subprocess.run(clone, env=env, check=True, timeout=120)
        subprocess.run(["git", "checkout", "-q", commit], cwd=tree, env=env, check=True, timeout=120)
        partial = kept.with_name(f".{kept.name}.{os.getpid()}")
        build = [sys.executable, "packaging/build.py", "--output", str(partial)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(build, cwd=tree, check=True, timeout=900)
        partial.rename(kept)
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(("commit", "digest"), pins())
def test_older_when_it_started_containers_then_todays_ends_them(
    fresh_pod: Pod, tmp_path: Path, commit: str, digest: str
) -> None:
    pod, older = fresh_pod, built(commit, digest, tmp_path)
    image = pod.image("busybox:latest")

    def run_by_older(name: str, *words: str) -> None:
        argv = [str(older), "run", "-d", "--name", name, *words]
        subprocess.run(argv, env=pod.environ(), check=True, timeout=120, capture_output=True)

    run_by_older("first", image, "sh", "-c", "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.1; done")
    run_by_older("second", "--rm", image, "sleep", "1000")
    try:
        assert pod("exec", "first", "echo", "inside").ok() == "inside\n"
        assert pod("logs", "first").ok() == "hello\n"
        assert sorted(pod("ps", "--format", "{{.Names}} {{.State}}").ok().split("\n")[:2]) == [
            "first running",
            "second running",
        ]
        pod("stop", "first").ok()
        assert pod("inspect", "-f", "{{.State.ExitCode}}", "first").ok() == "3\n"
        assert pod("logs", "first").ok() == "hello\nbye\n"
        pod("start", "first").ok()
        pod("rm", "-f", "first").ok()
        pod("stop", "-t", "0", "second").ok()
        assert pod("ps", "-aq").ok() == ""
        assert leaks.settled(pod.root) == []
    finally:
        leaks.end_processes(pod.root)
