"""C compilers of the tests: the host's, and one for arm64."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import places

SOURCES = places.REPOSITORY / "ext/src"
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
EMULATOR = tuple(
    str(SOURCES / name)
    for name in (
        *("emulator/creds.c", "emulator/page_writer.c", "emulator/places.c", "emulator/records_layers.c"),
        *("emulator/sidecar.c", "emulator/table.c", "layer/owners_read.c"),
    )
) + tuple(str(path) for path in sorted((SOURCES / "core").glob("*.c")) if not path.stem.startswith("probe"))
"""What ``tests/ext/emulator_harness.c`` is linked with; it includes records.c itself."""


def host() -> list[str]:
    """The host's compiler; skips where there is none."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("capability compiler: cc is not installed")
    return [found]


def zig(target: str, *flags: str) -> list[str]:
    """zig, of this Python or of the build's tools, for TARGET; skips where there is none."""
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags]
    for program in sorted((places.REPOSITORY / "build").glob("tools-*/ziglang/zig")):
        return [str(program), "cc", "-target", target, *flags]
    pytest.skip("capability zig: neither this Python nor the build has ziglang")


def arm64() -> list[str]:
    """A compiler of static arm64 programs."""
    return zig("aarch64-linux-musl", "-static")


def musl_loader() -> Path:
    """musl's libc.so, which is its loader too, of this host or Debian's package; skips where neither is to be had."""
    machine = os.uname().machine
    name = f"lib/ld-musl-{machine}.so.1"
    if (Path("/") / name).exists():
        return (Path("/") / name).resolve()
    sys.path.insert(0, str(places.REPOSITORY / "packaging"))
    try:
        sysroot = importlib.import_module("sysroot")
    finally:
        sys.path.pop(0)
    try:
        tree = sysroot.Packages(Path(f"/var/tmp/pod-test-musl-{os.getuid()}")).unpack(["musl"], machine)
    except (sysroot.PackageError, OSError) as error:
        pytest.skip(f"capability musl: {error}")
    return (Path(tree) / name).resolve()


def build(compiler: list[str], source: Path, target: Path, *flags: str) -> Path:
    """One program out of SOURCE and what FLAGS name, with the include folders of the emulator; readable for all."""
    common = ["-std=gnu11", "-D_GNU_SOURCE", f'-DPOD_BUILD_ID="{"0" * 32}"', "-g", "-O1", "-w"]
    includes = [f"-I{SOURCES / name}" for name in ("core", "emulator", "helper")]
    # zig compiles musl once, which takes a minute: kept from run to run.
    environ = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": f"/var/tmp/pod-test-zig-{os.getuid()}"}
    command = [*compiler, *common, *includes, str(source), *flags, "-o", str(target)]
    subprocess.run(command, check=True, timeout=300, env=environ)
    target.chmod(0o755)
    return target


def without_isal(folder: Path, part: str, main: str) -> Path:
    """The program ``main`` with ``layer/<part>.c`` as it is where the header of ISA-L lacks: zlib stands in.

    Skips without a compiler or zlib's header.
    """
    if shutil.which("cc") is None or not Path("/usr/include/zlib.h").exists():
        pytest.skip("capability cc: no C compiler with zlib's header")
    text = (SOURCES / f"layer/{part}.c").read_text("utf-8")
    asked = "__has_include(<isa-l/igzip_lib.h>)"
    assert f"#if {asked}" in text
    (folder / f"{part}.c").write_text(text.replace(asked, "0"))
    (folder / "main.c").write_text(main)
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-I", SOURCES / "core", "-I"]
    sources = [folder / "main.c", folder / f"{part}.c", SOURCES / "core/err.c"]
    subprocess.run([*command, SOURCES / "layer", *sources, "-lz", "-o", folder / "run"], check=True, timeout=120)
    return folder / "run"
