"""tests/ext with the extension modules and the static programs under address and undefined-behaviour sanitizers:
``python3 -m tests.support.sanitized [pytest arguments]`` (make test-sanitized).

Built in a copy of the tree, build/sanitized, so that the working one stays what it is. What a sanitizer finds is
written to a folder by whichever process it is in, also one that nobody waits for; any such file is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import places

CACHE = Path(os.environ.get("POD_BUILD_CACHE") or places.REPOSITORY / "build")
TREE = CACHE / "sanitized"
PARTS = ("core", "cli", "ext", "packaging", "tests", "docs")
FILES = ("setup.py", "pyproject.toml", "ARCHITECTURE.md", "README.md", "Makefile")
OWN = ("test_emulator_parts.py", "test_fuzz.py")
"""Tests that do their work in instrumented programs of their own, always."""
BUILT = ("__pycache__", "*.so", "pod-helper", "pod-netd", "_build.py", "_images")


def copy() -> None:
    """The sources as they are now, with their times: objects of what did not change are kept (build/)."""
    for part in PARTS:
        shutil.rmtree(TREE / part, ignore_errors=True)
        shutil.copytree(places.REPOSITORY / part, TREE / part, symlinks=True, ignore=shutil.ignore_patterns(*BUILT))
    for name in FILES:
        shutil.copy2(places.REPOSITORY / name, TREE / name)


def build() -> None:
    """The extension modules and the static programs, which are dynamic here: sanitizers have no static runtime."""
    environ = {**os.environ, "POD_SANITIZE": "1", "POD_BUILD_CACHE": str(CACHE)}
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=TREE, env=environ, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode:
        sys.exit(done.stderr[-4000:])


def loading() -> list[str]:
    """The tests that load an extension module; others build programs of their own, with sanitizers in them as ever."""
    words = ("pod.ext import", "pod.ext.errors", "tests.ext.unpacking")
    files = [path for path in sorted((TREE / "tests/ext").glob("test_*.py")) if path.name not in OWN]
    return [str(path.relative_to(TREE)) for path in files if any(word in path.read_text() for word in words)]


def runtime() -> str:
    """Words for LD_PRELOAD: Python itself is not instrumented."""
    found = []
    for name in ("libasan.so", "libubsan.so"):
        path = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        found.append(os.path.realpath(path.strip()))
    return " ".join(found)


def main() -> int:
    """pytest's status; 1 where a sanitizer wrote something."""
    copy()
    build()
    arguments = sys.argv[1:] if any("tests/" in word for word in sys.argv[1:]) else [*loading(), *sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="pod-sanitized-", dir="/var/tmp") as folder:
        # Not leaks: Python's own at its end are many. Processes that confine themselves have no symbolizer.
        common = f"halt_on_error=1:exitcode=99:log_path={folder}/finding"
        environ = {
            **os.environ,
            "LD_PRELOAD": runtime(),
            "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:{common}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:{common}",
            "POD_UNDER_TEST": "dev",
            "POD_SANITIZED": "1",
            "PYTHONMALLOC": "malloc",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder}/t", *arguments]
        command += ["-o", "faulthandler_timeout=120"]
        status = subprocess.run(command, cwd=TREE, env=environ, check=False).returncode
        findings = sorted(Path(folder).glob("finding*"))
        for path in findings:
            print(f"--- {path.name}\n{path.read_text(errors='replace')}")
        print(f"{len(findings)} findings of sanitizers")
    return status or (1 if findings else 0)


if __name__ == "__main__":
    sys.exit(main())
