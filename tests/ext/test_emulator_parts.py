"""Parts of the root emulator on their own, under sanitizers and for arm64: rules of ids, records, parsers of files."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path

import pytest

from pod.ext import layer
from tests.ext import unpacking
from tests.support import compilers, tools

HARNESS = Path(__file__).with_name("emulator_harness.c")
ROUNDS = int(os.environ.get("POD_FUZZ_ROUNDS", "300"))
SEED = os.environ.get("POD_FUZZ_SEED", "1")
RECORD = struct.Struct("<QQqIIIIII")


@pytest.fixture(scope="module", params=["host", pytest.param("arm64", marks=pytest.mark.slow)])
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command: with sanitizers on this machine, by qemu for arm64."""
    program = tmp_path_factory.mktemp("emulator") / "harness"
    if request.param == "host":
        compilers.build(compilers.host(), HARNESS, program, *compilers.SANITIZE, *compilers.EMULATOR)
        return [str(program)]
    qemu = tools.find("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("capability qemu: qemu-aarch64-static is not installed")
    compilers.build(compilers.arm64(), HARNESS, program, *compilers.EMULATOR)
    return [qemu, str(program)]


def run(harness: list[str], *arguments: str, timeout: float = 60) -> list[str]:
    environ = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([*harness, *arguments], capture_output=True, text=True, timeout=timeout, env=environ)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_ids_when_changed_at_random_then_the_rules_hold(harness: list[str]) -> None:
    (said,) = run(harness, "rules", SEED, str(ROUNDS * 100), timeout=60 + ROUNDS // 20)
    assert said.startswith(f"{ROUNDS * 100} changes, ")


def test_attribute_when_mutated_then_only_what_would_be_written_is_believed(harness: list[str]) -> None:
    rounds = ROUNDS * 200
    said = run(harness, "attribute", SEED, str(rounds), timeout=60 + ROUNDS // 20)
    assert said == [f"{rounds} texts, some believed 1, some not 1"]


def check_of(words: bytes) -> int:
    value = 2166136261
    for (word,) in struct.iter_unpack("<I", words):
        value = (value ^ word) * 16777619 & 0xFFFFFFFF
    return (value ^ value >> 15) | 1


def record(ino: int, uid: int = 5, born: int = 10**18) -> bytes:
    body = RECORD.pack(0, ino, born + ino, uid, 6, 0, 0, 0, 0)[:-4]
    return body + struct.pack("<I", check_of(body))


def test_sidecar_when_torn_or_damaged_then_the_sound_records_are_taken(harness: list[str], tmp_path: Path) -> None:
    chance = random.Random(int(SEED))
    cases = {
        b"": 0,
        b"".join(record(n) for n in range(1, 501)): 500,
        b"".join(record(7, n) for n in range(500)): 1,
        record(7) + record(8) + record(7, born=3): 2,  # the inode's number was given again
        b"".join(record(n) + record(n + 1000)[:n] for n in range(1, 48)): 47,
        record(1)[:47]: 0,
        bytes(200_000): 0,
        b"\xff" * 100_003 + record(9): 1,
        chance.randbytes(100_000) + record(1) + b"x" + record(2): 2,
        b"".join(record(n) for n in range(1, 230_001)): 229_376,  # POD_RECORDS_MAX
    }
    files = []
    for number, data in enumerate(cases):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(data)
    assert run(harness, "sidecar", *map(str, files)) == [str(count) for count in cases.values()]


def test_sidecar_when_it_is_huge_then_reading_it_ends(harness: list[str], tmp_path: Path) -> None:
    """A file that says nothing is the slowest: each byte of it might begin a record."""
    with open(tmp_path / "owners", "wb") as file:
        file.truncate(1 << 40)
    with open(tmp_path / "short", "wb") as file:
        file.truncate(4 << 20)
    if len(harness) > 1:  # an emulated processor
        assert run(harness, "sidecar", str(tmp_path / "short")) == ["0"]
    else:
        assert run(harness, "sidecar", str(tmp_path / "owners"), timeout=100) == ["0"]


def test_owners_of_a_layer_when_mutated_then_no_sanitizer_speaks(harness: list[str], tmp_path: Path) -> None:
    entries = unpacking.folder(b"d", uid=1) + unpacking.header(b"d/n", b"3", device=(1, 3))
    for number in range(40):
        attribute = {b"SCHILY.xattr.security.x%d" % number: b"v" * number}
        entries += unpacking.pax(attribute) + unpacking.file(b"d/f%d" % number, uid=number, gid=2)
    archive = tmp_path / "layer.tar"
    archive.write_bytes(entries + unpacking.END)
    owners = tmp_path / "owners"
    (tmp_path / "tree").mkdir()
    root = os.open(tmp_path / "tree", os.O_RDONLY)
    with open(archive, "rb") as source, open(owners, "w+b") as target:
        layer.extract(source.fileno(), root, target.fileno(), mapped=False)
    os.close(root)
    said = run(harness, "owners", SEED, str(ROUNDS * 20), str(owners), timeout=60 + ROUNDS // 10)
    assert said == [f"{ROUNDS * 20} files, some sound 1, some not 1"]
