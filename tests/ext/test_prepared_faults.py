"""Prepared starts in C under sanitizers: every call failing once, a name that is taken over, files damaged at random.

Whatever happens the helper hands over to Python (which ends with 99 here), leaves nothing behind, and takes
nothing away from others.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core.runtime import launch
from tests.support import places

pytestmark = pytest.mark.pure

WRAPPED = (
    "open", "mkdir", "fchmod", "flock", "fsync", "access", "memfd_create", "fexecve", "write", "getrandom", "sendfile",
    "rename",
)  # fmt: skip
IMAGE = "pod.local/busybox"
NO_PYTHON = 99
FINDING = 98


class Helper:
    """A copy of the working tree with an instrumented helper (dynamic: the sanitizers have no static runtime), a store,
    and starts recorded by its Python.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        (self.cache / "starts").mkdir(parents=True)
        (self.cache / "_pod_run.py").write_text(f"import posix\nposix._exit({NO_PYTHON})\n")
        self.root = folder / "store"
        self.program = str(folder / "packaging/pod")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "POD_ROOT": str(self.root),
            "LANG": "C.UTF-8",
            "ASAN_OPTIONS": f"detect_leaks=0:exitcode={FINDING}",
            "UBSAN_OPTIONS": f"exitcode={FINDING}",
        }

    def build(self) -> None:
        places.copy_sources(self.folder)
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("capability compiler: cc is not installed")
        flags = ["-std=gnu11", "-D_GNU_SOURCE", f'-DPOD_BUILD_ID="{launch.build_id()}"', "-g"]
        flags += ["-Iext/src/core", "-Iext/src/helper", "-Iext/src/emulator", "-Iext/src/net"]
        flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        folder = self.folder
        subprocess.run(
            [compiler, *flags, "-Dmain=helper_main", "-c", "ext/src/helper/main.c", "-o", "main.o"],
            cwd=folder, check=True, timeout=300,
        )  # fmt: skip
        parts = ("core", "helper", "emulator")
        files = [str(path) for part in parts for path in folder.glob(f"ext/src/{part}/*.c")]
        others = ("layer/owners_read.c", "net/netd_start.c", "net/netlink.c", "net/nft.c", "net/wire.c")
        files += [str(folder / "ext/src" / name) for name in others]
        files.remove(str(folder / "ext/src/helper/main.c"))
        harness = Path(__file__).with_name("prepared_harness.c")
        wraps = [f"-Wl,--wrap={name}" for name in WRAPPED]
        subprocess.run(
            [compiler, *flags, *files, "main.o", str(harness), *wraps, "-o", "ext/pod-helper"],
            cwd=folder, check=True, timeout=300,
        )  # fmt: skip

    def seed(self) -> int:
        """As pod_prepared_main's: the host, the boot, the interpreter, pod.pyz."""
        state = 0xCBF29CE484222325
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        for text in (socket.gethostname(), boot, sys.executable, self.program):
            for byte in text.encode() + b"\0":
                state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return state

    def record(self, *flags: str) -> Path:
        """Has Python record a start; its file."""
        hint = f"r{self.seed():016x}{self.cache}/starts"
        words = ["run", *flags, IMAGE]
        file = Path(launch.prepared_path(hint, words, has_args=True))
        for _ in range(5):
            command = [sys.executable, "-I", "-S", self.program, *words, "true"]
            subprocess.run(command, env={**self.env, "POD_PREPARED": hint}, check=True, timeout=60)
            if file.exists():
                break
            time.sleep(0.11)  # what was changed a moment ago is not trusted
        assert file.stat().st_size > 56, file.read_bytes()
        return file

    def start(self, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "ext/pod-helper"), "start", sys.executable, str(self.cache), self.program]
        done = subprocess.run(
            [*command, "run", *flags, IMAGE, "true"],
            env={**self.env, **env}, capture_output=True, text=True, errors="replace", timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode != FINDING, done.stderr
        return done

    def traces(self) -> dict[str, Any]:
        """All that a start could leave behind."""
        run = [path.resolve() for path in (self.root / "cache/run").glob("[!.]*")]
        folders = [self.root / "containers", self.root / "names", *(path / "c" for path in run)]
        return {str(folder): sorted(os.listdir(folder)) for folder in folders}


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Helper:
    one = Helper(tmp_path_factory.mktemp("prepared"))
    one.build()
    command = [sys.executable, "-I", "-S", one.program, "run", "--rm", IMAGE, "true"]
    subprocess.run(command, env=one.env, check=True, timeout=60)  # the store, the image, the facts
    return one


@pytest.mark.parametrize("flags", [("--rm", "--name", "the_one"), ("--network", "none")], ids=["removed", "kept"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE])
def test_prepared_any_call_fails(helper: Helper, tmp_path: Path, flags: tuple[str, ...], error: int) -> None:
    helper.record(*flags)
    before = helper.traces()
    log = tmp_path / "log"
    for number in range(1, 200):
        done = helper.start(*flags, FAULT_AT=str(number), FAULT_ERRNO=str(error), FAULT_LOG=str(log))
        if not log.exists():
            break
        log.unlink()
        if done.returncode != 0:  # a call that is tried again in another way may fail
            assert done.returncode == NO_PYTHON, (number, done.stderr)
            assert helper.traces() == before, number
        elif "--rm" not in flags:
            before = helper.traces()
    assert done.returncode == 0
    assert number > 25


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE])
def test_prepared_name_of_another_stays_whatever_fails(helper: Helper, tmp_path: Path, error: int) -> None:
    flags = ("--rm", "--name", "other")
    helper.record(*flags)
    name = helper.root / "names/other"
    name.write_text("f" * 64 + "\n")
    before = helper.traces()
    log = tmp_path / "log"
    for number in range(1, 200):
        done = helper.start(*flags, FAULT_AT=str(number), FAULT_ERRNO=str(error), FAULT_LOG=str(log))
        assert done.returncode == NO_PYTHON
        assert helper.traces() == before, number
        assert name.read_text() == "f" * 64 + "\n"
        if not log.exists():
            break
        log.unlink()
    assert number > 3
    name.unlink()


def test_prepared_name_that_was_taken_over_stays(helper: Helper) -> None:
    flags = ("--rm", "--name", "slow")
    helper.record(*flags)
    name = helper.root / "names/slow"
    before = helper.traces()
    done = helper.start(*flags, STOLEN=str(name))
    assert done.returncode == NO_PYTHON
    assert name.read_text() == "0" * 64 + "\n"
    name.unlink()
    assert helper.traces() == before


def test_prepared_file_damaged_at_random(helper: Helper) -> None:
    flags = ("--rm", "-u", "0", "-d")
    file = helper.record(*flags)
    whole = file.read_bytes()
    chance = random.Random(20261121)
    tables = len(whole) - 1500  # patches, names and places lie at the end, the entries at the beginning
    for number in range(250):
        data = bytearray(whole)
        if number % 4 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(1 + number % 3):
            place = chance.choice((chance.randrange(700), chance.randrange(tables, len(whole)), len(whole)))
            place = min(place, len(data) - 1)
            data[max(place, 0) : place + 1] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))])
        file.write_bytes(data)
        helper.start(*flags)
