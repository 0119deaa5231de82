"""Mutated archives under the address, undefined-behaviour and thread sanitizers: a short run; `make fuzz-long`."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ext.test_beneath import FLAGS
from tests.ext.unpacking import (
    END,
    base256,
    checked,
    file,
    folder,
    gnu_long,
    hardlink,
    header,
    octal,
    pad,
    pax,
    symlink,
)
from tests.fuzz.targets import libraries, unpacked
from tests.support import tools

pytestmark = pytest.mark.pure

SOURCES = Path(__file__).parents[2] / "ext/src"


def sparse_gnu() -> bytes:
    block = bytearray(header(b"s", b"S", size=5, magic=b"ustar  \0"))
    block[386:434] = octal(1024, 12) + octal(3, 12) + octal(9000, 12) + octal(2, 12)
    block[483:495] = octal(20_000, 12)
    return checked(bytes(block)) + pad(b"abcde")


def samples() -> list[bytes]:
    sparse = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"5000"}
    tree = folder(b"./") + folder(b"d", 0o700, uid=1) + file(b"d/f", b"text" * 300, uid=2) + symlink(b"d/s", b"../d")
    tree += hardlink(b"h", b"d/s/f") + header(b"n", b"3", device=(1, 3)) + header(b"p", b"6") + file(b"d/s/.wh.x")
    tree += file(b".wh.h") + file(b"d/.wh..wh..opq") + symlink(b"up", b"../../..") + file(b"up/x", b"y") + folder(b"h")
    odd = gnu_long(b"l/" * 300 + b"n") + file(b"x", b"1") + gnu_long(b"t" * 3000, b"K") + symlink(b"t", b"x")
    odd += pax({b"path": b"pax/" * 60, b"uid": b"70000", b"mtime": b"-1.5", b"SCHILY.xattr.user.a": b"b\0c"})
    odd += file(b"q", b"2") + pax({b"gid": b"8", b"comment": b"x"}, b"g") + file(b"r")
    odd += header(b"b", uid=base256(1 << 31, 8)) + sparse_gnu()
    odd += pax(sparse) + file(b"x", pad(b"2\n10\n3\n4000\n2\n") + b"abcde")
    odd += pax({b"GNU.sparse.size": b"50", b"GNU.sparse.map": b"0,1,40,2"}) + file(b"m", b"abc")
    members = gzip.compress(tree) + gzip.compress(odd + END)
    return [tree + END, odd + END, tree + odd, gzip.compress(tree + END), members]


def build(target: Path, flags: list[str]) -> None:
    """The harness with everything of ext/src/layer, and what it stands on, instrumented."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("capability compiler: cc is not installed")
    core = [str(path) for path in sorted((SOURCES / "core").glob("*.c")) if not path.stem.startswith("probe")]
    layer = [str(path) for path in sorted((SOURCES / "layer").glob("*.c"))]
    includes = [f"-I{SOURCES}/core", f"-I{SOURCES}/layer", *unpacked()]
    source = str(Path(__file__).parent / "fuzz_layer.c")
    flags = [*flags, "-D_GNU_SOURCE", f'-DPOD_BUILD_ID="{"0" * 32}"']
    command = [compiler, *flags, *includes, source, *core, *layer, *libraries(), "-o", str(target)]
    subprocess.run(command, check=True, timeout=180)


def write_samples(folder: Path) -> list[str]:
    names = [folder / f"sample{number}" for number in range(len(samples()))]
    for name, data in zip(names, samples()):
        name.write_bytes(data)
    if tools.find("zstd"):
        subprocess.run(["zstd", "-q", str(names[0]), str(names[1])], check=True, timeout=60)
        names += [Path(f"{names[0]}.zst"), Path(f"{names[1]}.zst")]
    return [str(name) for name in names]


def fuzz(program: Path, folder: Path, rounds: int) -> None:
    """Mutates and extracts, half of the time in threads; fails with what a sanitizer says."""
    (folder / "outer").mkdir()
    (folder / "outer/scratch").mkdir()
    seed = os.environ.get("POD_FUZZ_SEED", "1")
    command = [str(program), seed, str(rounds), str(folder / "outer/scratch"), *write_samples(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + rounds // 10)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == ""
    assert os.listdir(folder / "outer") == ["scratch"]


def test_extract_when_archives_are_mutated_then_no_sanitizer_speaks(tmp_path):
    build(tmp_path / "fuzz", FLAGS)
    fuzz(tmp_path / "fuzz", tmp_path, int(os.environ.get("POD_FUZZ_ROUNDS", "300")))


def test_extract_when_threads_share_data_then_no_sanitizer_sees_a_race(tmp_path):
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=thread"]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }")
    trial = [shutil.which("cc") or "cc", *flags, str(tmp_path / "empty.c"), "-o", str(tmp_path / "empty")]
    if subprocess.run(trial, stderr=subprocess.DEVNULL).returncode or subprocess.run([tmp_path / "empty"]).returncode:
        pytest.skip("capability thread_sanitizer: this compiler or kernel has none")
    build(tmp_path / "fuzz", flags)
    fuzz(tmp_path / "fuzz", tmp_path, int(os.environ.get("POD_FUZZ_ROUNDS", "300")) // 3)
