"""Gets the pinned Python tools into build/tools-<key>/ and runs Python with them: tools.py GROUP -- ARGS…

GROUP is "build" (packaging/requirements-build.txt) or "test" (that and requirements-test.txt). A running Python that
already has them, in the pinned versions, is used as it is. ``pip install --target`` is used because it needs neither a
virtual environment (Debian has no ensurepip without python3-venv) nor a word about externally managed ones (PEP 668).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GROUPS = {"build": ("build",), "test": ("build", "test")}


def requirements(group: str) -> list[str]:
    """Lines "name==version" of the group's files, markers already judged."""
    found = []
    for part in GROUPS[group]:
        for line in (HERE / f"requirements-{part}.txt").read_text("utf-8").splitlines():
            wanted = line.split("#", 1)[0].strip()
            if wanted:
                found.append(wanted)
    return found


def present(wanted: list[str]) -> bool:
    """Whether this Python has exactly these versions ("name==version"; any version for "name>=version") already."""
    from importlib import metadata

    for line in wanted:
        name, _, version = line.partition("==")
        try:
            found = metadata.version(name.partition(">=")[0])
        except metadata.PackageNotFoundError:
            return False
        if version and found != version:
            return False
    return True


def folder(group: str) -> Path | None:
    """Where the tools are, installed if they were not; None where this Python has them."""
    wanted = requirements(group)
    if present(wanted):
        return None
    key = hashlib.sha256("\n".join([*wanted, sys.version]).encode()).hexdigest()[:12]
    cache = os.environ.get("POD_BUILD_CACHE")
    target = (Path(cache) if cache else ROOT / "build") / f"tools-{group}-{key}"
    if (target / ".complete").exists():
        return target
    print(f"+ pip install --target {target} ({len(wanted)} pinned tools)", flush=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--target", str(partial)]
    if subprocess.run([*command, *wanted], check=False).returncode:
        raise SystemExit("tools.py: pip could not install the build tools; is pip there (Debian: python3-pip)?")
    (partial / ".complete").touch()
    try:
        partial.rename(target)
    except OSError:
        if not (target / ".complete").exists():
            raise
    return target


def main() -> None:
    """Replaces itself by Python with the tools in front of its path."""
    group, separator, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    if group not in GROUPS or separator != "--":
        raise SystemExit("usage: tools.py build|test -- ARGS...")
    where = folder(group)
    environ = dict(os.environ)
    if where is not None:
        environ["PYTHONPATH"] = os.pathsep.join([str(where), *filter(None, [environ.get("PYTHONPATH")])])
        environ["PATH"] = os.pathsep.join([str(where / "bin"), environ.get("PATH", os.defpath)])
    os.execve(sys.executable, [sys.executable, *arguments], environ)


main()
