"""Folders that another user put where pod.pyz keeps its cache: nothing of theirs is run, nothing is made there.

Nobody here is another user: who asks is told a number that is not theirs, so that their own folders are a stranger's.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Start = Callable[..., "subprocess.CompletedProcess[str]"]
LAUNCHER = Path(__file__).resolve().parents[2] / "packaging" / "launcher"
STRANGER = 4242

pytestmark = pytest.mark.alike


@pytest.fixture
def cold() -> ModuleType:
    """The module of the cold start."""
    spec = importlib.util.spec_from_file_location("pod_cold", LAUNCHER / "cold.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(tmp_path: Path, *, user: int | None = None) -> str:
    """Who goes on after the head of the file: "warm" is the cache in ``tmp_path``'s var, "cold" a Python of PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("python3", "echo cold"), ("id", f"echo {os.getuid() if user is None else user}")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    head = (LAUNCHER / "preamble.sh").read_text().replace("@BUILD@", "build")
    script = tmp_path / "pod"
    script.write_text(head.replace("/var/tmp", str(tmp_path / "var")))
    environ = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path / "nowhere")}
    done = subprocess.run(
        ["sh", str(script), "-v"], env=environ, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()[-1]  # that Python is asked for its version first


def warm_cache(tmp_path: Path, folder: Path) -> None:
    """A cache of this build whose Python says "warm"."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho warm\n")
    python.chmod(0o755)
    (folder / "pod/build").mkdir(parents=True)
    (folder / "pod/build/python").write_text(f"{python}\n")


def test_start_when_the_cache_in_var_tmp_is_ours_and_shut_then_it_is_taken(tmp_path: Path) -> None:
    place = tmp_path / f"var/pod-{os.getuid()}"
    warm_cache(tmp_path, place)
    place.chmod(0o700)
    assert started(tmp_path) == "warm"


@pytest.mark.parametrize("trap", ["link", "writable", "group", "stranger"])
def test_start_when_the_cache_in_var_tmp_could_be_anothers_then_it_is_not_taken(tmp_path: Path, trap: str) -> None:
    """A link could lead to a folder of ours while it is looked at, and elsewhere when it is run."""
    user = STRANGER if trap == "stranger" else os.getuid()
    place = tmp_path / f"var/pod-{user}"
    warm_cache(tmp_path, tmp_path / "real" if trap == "link" else place)
    if trap == "link":
        place.parent.mkdir()
        place.symlink_to(tmp_path / "real")
    place.chmod({"writable": 0o707, "group": 0o770}.get(trap, 0o700))
    assert started(tmp_path, user=user) == "cold"


def test_usable_when_the_folder_is_ours_then_made(cold: ModuleType, tmp_path: Path) -> None:
    assert cold.usable(str(tmp_path / "a"), True) == str(tmp_path / "a/pod")
    assert (tmp_path / "a/pod").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["link", "file", "fifo", "open parent", "link in an open parent"])
def test_usable_when_something_else_is_there_then_nothing_is_made(cold: ModuleType, tmp_path: Path, trap: str) -> None:
    parent, real = tmp_path / "tmp", tmp_path / "real"
    parent.mkdir()
    real.mkdir()
    place = parent / "pod-1"
    if "link" in trap:
        place.symlink_to(real)
    elif trap == "file":
        place.write_text("")
    elif trap == "fifo":
        os.mkfifo(place)
    if "open" in trap:
        parent.chmod(0o777)
    assert cold.usable(str(place), True) is None
    assert list(real.iterdir()) == []


@pytest.mark.parametrize("public", [True, False])
def test_usable_when_it_is_a_strangers_then_nothing_is_made(
    cold: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: STRANGER)
    assert cold.usable(str(tmp_path / "theirs"), public) is None
    assert list((tmp_path / "theirs").iterdir()) == []


def test_usable_when_a_strangers_link_leads_to_a_folder_of_ours_then_nothing_is_made(
    cold: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    told = os.lstat

    def lstat(path: str) -> os.stat_result:
        found = list(told(path))
        if path == str(link):
            found[4] = STRANGER
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", lstat)
    assert cold.usable(str(link), False) is None
    assert list(real.iterdir()) == []


def test_usable_when_the_folder_was_opened_to_others_then_shut(cold: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod").chmod(0o777)
    assert cold.usable(str(tmp_path), False) == str(tmp_path / "pod")
    assert (tmp_path / "pod").stat().st_mode & 0o777 == 0o700


def test_start_in_a_folder_full_of_traps_then_none_of_it_is_imported(start: Start, pyz: Path, tmp_path: Path) -> None:
    """The working directory, PYTHON* and a home are not looked into for modules."""
    trap = tmp_path / "trap"
    (trap / "lib/python3/site-packages").mkdir(parents=True)
    text = f"open({str(tmp_path / 'sprung')!r}, 'w')\nraise SystemExit(9)\n"
    for name in ("os", "sys", "zipimport", "zlib", "pod", "urllib3", "sitecustomize", "encodings", "_pod_run"):
        (trap / f"{name}.py").write_text(text)
    for variables in ({}, {"PYTHONPATH": str(trap), "PYTHONSTARTUP": f"{trap}/os.py", "PYTHONHOME": str(trap)}):
        for _ in range(2):  # cold and warm
            done = start("version", program=["sh", "-c", 'cd "$0" && exec "$@"', str(trap), str(pyz)], **variables)
            assert "Version" in done.stdout, done
            assert not (tmp_path / "sprung").exists()
