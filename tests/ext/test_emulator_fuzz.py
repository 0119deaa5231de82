"""The emulator under sanitizers against processes that call at random, race with it and die (fuzz_emulator.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pod.core.runtime import plan, seccomp_notify
from tests.support import compilers

SOURCE = Path(__file__).with_name("fuzz_emulator.c")
WRAPPED = ("pod_call_answer", "openat", "ioctl", "syscall")
ROUNDS = int(os.environ.get("POD_FUZZ_ROUNDS", "300"))
SEED = os.environ.get("POD_FUZZ_SEED", "1")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = [str(path) for name in ("core", "emulator") for path in sorted((compilers.SOURCES / name).glob("*.c"))]
    parts = [path for path in parts if "/probe" not in path]
    parts.append(str(compilers.SOURCES / "layer/owners_read.c"))
    parts += [str(SOURCE.with_name(f"fuzz_{name}.c")) for name in ("worker", "listeners")]
    flags = [*compilers.SANITIZE, "-pthread", *(f"-Wl,--wrap={name}" for name in WRAPPED)]
    return compilers.build(compilers.host(), SOURCE, tmp_path_factory.mktemp("fuzz") / "fuzz", *flags, *parts)


def make_place(tmp_path: Path, flags: int, code: bytes) -> Path:
    """SCRATCH, with what the container must not reach."""
    for name in ("outside", "world", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret").write_text("of the host")
    writer = plan.PlanWriter()
    writer.number("FLAGS", flags)
    writer.text("SOCKET_DIR", str(tmp_path / "run"))
    writer.text("UPPER", str(tmp_path / "outside"))
    writer.texts("PRELOAD", ["/none", "/none"])  # so that there is a page
    writer.blob("NOTIFY", code)  # and a socket
    (tmp_path / "plan").write_bytes(writer.finish("0" * 32))
    (tmp_path / "filter").write_bytes(code)
    return tmp_path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make_place(tmp_path, plan.SINGLE_ID, seccomp_notify.programs(os.uname().machine)[0])


def run(fuzz: Path, place: Path, mode: str) -> str:
    arguments = [SEED, str(ROUNDS), str(place), str(place / "plan"), str(place / "filter"), mode]
    environ = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    limit = 100 + ROUNDS // 5
    done = subprocess.run([fuzz, *arguments], capture_output=True, text=True, timeout=limit, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert "ERROR" not in done.stderr
    assert "runtime error" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("pids", ["own", "host"])
def test_emulator_when_called_at_random_then_it_lives_and_nothing_outside_changes(
    fuzz: Path, place: Path, pids: str
) -> None:
    """``host``: a container that sees the host's processes, where /proc/self is the emulator to the emulator."""
    lives_and_changes_nothing(fuzz, place, pids)


def test_emulator_when_only_devices_are_recorded_then_it_lives_and_nothing_outside_changes(
    fuzz: Path, tmp_path: Path
) -> None:
    """With sub-ids: mknod and stat alone are asked, and owners are the kernel's."""
    place = make_place(tmp_path, 0, seccomp_notify.device_programs(os.uname().machine)[1])
    lives_and_changes_nothing(fuzz, place, "devices")


def lives_and_changes_nothing(fuzz: Path, place: Path, mode: str) -> None:
    before = os.stat(place / "outside")
    assert run(fuzz, place, mode) == "0, emulator lives\n"
    assert os.listdir(place / "outside") == ["secret"]
    assert (place / "outside/secret").read_text() == "of the host"
    after = os.stat(place / "outside")
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)
    assert sorted(os.listdir(place)) == ["filter", "outside", "owners", "plan", "run", "world"]
    assert os.listdir(place / "world") == []
    shutil.rmtree(place / "run")


def test_emulator_when_more_listeners_come_than_there_is_room_for_then_places_are_used_again(
    fuzz: Path, place: Path
) -> None:
    said = run(fuzz, place, "many")
    assert said == "taken 255, again 50, answered 255, refused 45\n0, emulator lives\n"
