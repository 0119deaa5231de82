"""Builds pod.pyz, the one file for both architectures: ``python packaging/build.py [--output FILE]``.

    1. Debian's static libraries, Python headers and busybox for both machines       sysroot.py
    2. extensions and helper for both machines, by zig                              native.py
    3. an audit of every ELF file                                                   audit.py
    4. the embedded image for both machines                                         image.py
    5. a stage: the packages pod and PURE's, parts of yaml; shiv makes the archive of it      here
    6. the archive written again with our start in front                            archive.py

Everything it makes or gets is below build/. Two builds of one tree give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import archive
import audit
import compose_schema
import image
import native
import sources
import sysroot

ROOT = sources.ROOT
PURE = ("jeepney", "tomli", "urllib3")
"""Packages of requirements-run.txt."""
BUILD = ROOT / "build"
CACHE = Path(os.environ.get("POD_BUILD_CACHE") or BUILD)
"""Where downloaded things are; shared by several trees where the environment names a folder."""

YAML_PARTS = ("error.py", "events.py", "parser.py", "scanner.py", "tokens.py")
"""Of PyYAML: what turns a text into events, and nothing that makes objects of them."""


def main() -> int:
    """Status 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="build.py", description="Builds pod.pyz.")
    parser.add_argument("--output", default="pod.pyz", type=Path)
    parser.add_argument("--force", action="store_true", help="build even when the file is newer than every source")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.force and fresh(options.output):
        return 0
    os.umask(0o022)
    try:
        build(options.output)
    except (sysroot.PackageError, native.CompileError, audit.AuditError, StageError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    size = options.output.stat().st_size
    say(f"{options.output}: {size / 1e6:.2f} MB, {time.monotonic() - started:.0f} s")
    return 0


class StageError(Exception):
    """The stage could not be filled."""


def build(output: Path) -> None:
    """All the steps."""
    packages = sysroot.Packages(CACHE / "debian")
    identity = sources.build_id()
    stage = BUILD / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    say(f"native files for {', '.join(sysroot.DEBIAN)}")
    with ThreadPoolExecutor(len(sysroot.DEBIAN)) as pool:
        list(pool.map(lambda machine: fill_native(stage, machine, packages, identity), sysroot.DEBIAN))
    say("the embedded image")
    image.build(packages, os.uname().machine, ROOT / "packaging/pod/_images")
    say("the archive")
    fill_stage(stage, packages)
    check_syntax(stage)
    plain = BUILD / "shiv.pyz"
    command = [sys.executable, "-m", "shiv", "--site-packages", str(stage), "--compressed", "--reproducible"]
    command += ["-e", "pod.cli.main:main", "-p", "/bin/sh", "-o", str(plain)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(archive.EPOCH)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise StageError(f"shiv: {done.stderr.strip() or done.stdout.strip()}")
    archive.rewrite(plain, output)


def fill_native(stage: Path, machine: str, packages: sysroot.Packages, identity: str) -> None:
    """What is compiled for that machine, looked at by the audit; beside that of another machine, in a thread."""
    made = native.build(machine, packages, BUILD / "native", identity)
    for name, path in sorted(made.items()):
        if name != "_build.py":
            audit.check(path, machine)
        place = stage / "pod/_lib" / machine / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def fill_stage(stage: Path, packages: sysroot.Packages) -> None:
    """pod's Python, its pure dependencies and the notices."""
    shutil.copytree(ROOT / "packaging/pod", stage / "pod", dirs_exist_ok=True, ignore=ignored)
    compose_schema.write(stage / "pod/_compose_schema.py")
    wheels = carried_wheels()
    for name in PURE:
        shutil.copytree(wheels / name, stage / name, ignore=ignored)
        for notice in wheels.glob(f"{name}-*.dist-info/**/LICENSE*"):
            shutil.copy(notice, stage / name / "LICENSE")
    (stage / "yaml").mkdir()
    (stage / "yaml/__init__.py").touch()  # PyYAML's own imports all of it
    for name in YAML_PARTS:
        shutil.copy(wheels / "yaml" / name, stage / "yaml" / name)
    for notice in wheels.glob("pyyaml-*.dist-info/**/LICENSE*"):
        shutil.copy(notice, stage / "yaml/LICENSE")
    shutil.copy(ROOT / "LICENSE", stage / "pod/LICENSE")
    documents = packages.unpack([], "x86_64") / "usr/share/doc"
    (stage / "pod/_notices").mkdir()
    for library in sources.libraries():
        shutil.copy(documents / library.package / "copyright", stage / "pod/_notices" / library.package)
    versions = [f"{name} {packages.version(name, 'x86_64')}" for name in sorted(carried())]
    versions += [line for line in (ROOT / "packaging/requirements-run.txt").read_text().splitlines() if "==" in line]
    text = (ROOT / "THIRD_PARTY.md").read_text("utf-8") + "\n## Versions in this file\n\n"
    (stage / "pod/THIRD_PARTY.md").write_text(text + "".join(f"- {line}\n" for line in versions), "utf-8")


def carried_wheels() -> Path:
    """The pinned pure packages, unpacked. PyYAML has no pure wheel: its modules are any one's, without the C part."""
    pins = [line for line in (ROOT / "packaging/requirements-run.txt").read_text("utf-8").splitlines() if "==" in line]
    wheels = CACHE / f"wheels-{hashlib.sha256(chr(10).join(pins).encode()).hexdigest()[:12]}"
    if (wheels / "yaml").is_dir():
        return wheels
    base = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--no-deps", "--no-compile", "--upgrade"]
    base += ["--target", str(wheels), "--only-binary", ":all:", "--python-version", "3.9"]
    native = [pin for pin in pins if pin.startswith("pyyaml")]
    pure = ["--platform", "any", "--implementation", "py", "--abi", "none", *(pin for pin in pins if pin not in native)]
    compiled = ["--platform", "manylinux2014_x86_64", "--implementation", "cp", "--abi", "cp39", *native]
    for arguments in (pure, compiled):
        if subprocess.run([*base, *arguments], check=False, timeout=600).returncode:
            raise StageError("pip: could not get what requirements-run.txt names")
    return wheels


def check_syntax(stage: Path) -> None:
    """Every module must be readable by this Python (ruff knows the rules of 3.9): the cold start compiles many."""
    for path in sorted(stage.rglob("*.py")):
        try:
            compile(path.read_bytes(), str(path.relative_to(stage)), "exec", dont_inherit=True)
        except SyntaxError as error:
            raise StageError(f"{error.filename}:{error.lineno}: {error.msg}") from None


def carried() -> list[str]:
    """Debian packages whose code is in the file."""
    return [image.PACKAGE, *(library.package for library in sources.libraries())]


def ignored(folder: str, names: list[str]) -> set[str]:
    """What the file does not carry: C and Cython sources, type stubs, what a development build left."""
    unwanted = (".c", ".h", ".pyx", ".pxd", ".pyi", ".so", ".o", ".pyc", ".typed", ".map")
    extra = {"__pycache__", "src", "_build.py", "emscripten", "tests"}
    extra |= {"pod-helper", ".pod-helper.new", "pod-netd", ".pod-netd.new"}
    return {name for name in names if name.endswith(unwanted) or name in extra}


def fresh(output: Path) -> bool:
    """Whether the file is newer than everything it is made of; ``make dev`` after it makes nothing that counts."""
    if not output.exists():
        return False
    newest = output.stat().st_mtime
    parts = [ROOT / name for name in ("core", "cli", "ext", "packaging", "THIRD_PARTY.md", "LICENSE")]
    files = [path for part in parts for path in ([part] if part.is_file() else part.rglob("*"))]
    made = {"_build.py", "_compose_schema.py", "pod-helper", "pod-netd"}
    return all(
        path.stat().st_mtime <= newest
        for path in files
        if path.is_file() and path.suffix not in {".pyc", ".so"} and path.name not in made
        and not (path.suffix == ".c" and path.parent == ROOT / "ext")
    )


def say(text: str) -> None:
    """Progress for the person at the terminal."""
    print(f"+ {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
