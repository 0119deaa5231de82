"""C compilers of the tests: the host's, and one for arm64."""

from __future__ import annotations

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
        *("core/beneath.c", "core/err.c", "core/plan.c"),
    )
)
"""What ``tests/ext/emulator_harness.c`` is linked with; it includes records.c itself."""


def host() -> list[str]:
    """The host's compiler; skips where there is none."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("capability compiler: cc is not installed")
    return [found]


def arm64() -> list[str]:
    """A compiler of static arm64 programs: zig, of this Python or of the build's tools; skips where there is none."""
    target = ["cc", "-target", "aarch64-linux-musl", "-static"]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", *target]
    for zig in sorted((places.REPOSITORY / "build").glob("tools-*/ziglang/zig")):
        return [str(zig), *target]
    pytest.skip("capability zig: neither this Python nor the build has ziglang")


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
