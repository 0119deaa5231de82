"""The native parts of pod.pyz for one machine, by zig: extensions against glibc 2.17, the helper against musl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import isal
import sources
import sysroot

GLIBC = "2.17"
"""Oldest glibc that the extensions load on (RHEL 7); zig links against stubs of exactly that version."""

VERSION_SCRIPT = "{ global: PyInit_*; local: *; };\n"
"""zig's linker has no --exclude-libs: this keeps the static libraries' names out of the extension's table."""


class CompileError(Exception):
    """A compiler said no; its words went to standard error."""


def build(machine: str, packages: sysroot.Packages, work: Path, identity: str) -> dict[str, Path]:
    """layer.abi3.so, process.abi3.so, pod-helper, pod-netd, pod-root.so, _build.py for ``machine``, made below
    ``work``: names to paths.
    """
    headers = packages.python_headers()
    tree = packages.unpack([headers, *[library.package for library in sources.libraries()]], machine)
    output = work / machine
    output.mkdir(parents=True, exist_ok=True)
    (output / "exports.map").write_text(VERSION_SCRIPT, "utf-8")
    made = {}
    for extension in sources.extensions():
        parts = isal_parts(extension, machine, packages, output)
        made[f"{extension.name}.abi3.so"] = build_extension(
            extension, machine, tree, headers, output, identity, parts=parts
        )
    made["pod-helper"] = build_static(machine, output / "pod-helper", identity)
    made["pod-netd"] = build_static(machine, output / "pod-netd", identity)
    made["pod-root.so"] = build_preload(machine, output)
    made["_build.py"] = output / "_build.py"
    made["_build.py"].write_text(sources.build_module(identity), "utf-8")
    return made


def isal_parts(
    extension: sources.Extension, machine: str, packages: sysroot.Packages, output: Path
) -> list[Path]:
    """ISA-L as objects, for the extension that wants it: there is no static library of it to be had."""
    if all(library.name != "isal" for library in extension.libraries):
        return []
    target = ["-target", f"{machine}-linux-gnu.{GLIBC}"]
    return isal.build(machine, packages, output, lambda arguments: execute([*zig(), *target, *arguments]))


def build_extension(
    extension: sources.Extension,
    machine: str,
    tree: Path,
    headers: str,
    output: Path,
    identity: str,
    *,
    parts: list[Path],
) -> Path:
    """One abi3 module with the objects ``parts`` in it, stripped, its only exported name PyInit_NAME."""
    triplet = f"{machine}-linux-gnu"
    version = headers.removeprefix("lib").removesuffix("-dev")
    translated = output / f"{extension.name}.c"
    command = [sys.executable, "-m", "cython", "-3", "-I", "packaging", "--module-name", f"pod.ext.{extension.name}"]
    execute([*command, str(extension.glue.relative_to(sources.ROOT)), "-o", str(translated)])
    target = ["-target", f"{triplet}.{GLIBC}"]
    common = ["-O2", "-g0", "-fPIC", f"-I{tree}/usr/include", f"-I{tree}/usr/include/{triplet}"]
    common += ["-Iext/src/core", "-Iext/src/net", f"-Iext/src/{extension.name}"]
    # pyconfig.h of Debian includes <triplet/pythonX.Y/pyconfig.h>, found through usr/include itself.
    python = [f"-I{tree}/usr/include/{version}", f"-DPy_LIMITED_API={sources.LIMITED_API}", "-w"]
    flags = [*sources.C_FLAGS, *common, *python]
    objects = [compile_one(target, flags, translated, output / f"{extension.name}-glue.o")]
    for path in extension.c_sources:
        name = f"{extension.name}-{path.parent.name}-{path.stem}.o"
        own = [*sources.own_flags(identity), *common]
        objects.append(compile_one(target, own, path.relative_to(sources.ROOT), output / name))
    fortify = Path("packaging/fortify.c")
    if extension.libraries:
        plain = [*sources.C_FLAGS, "-O2", "-g0", "-fPIC"]
        objects.append(compile_one(target, plain, fortify, output / f"{extension.name}-fortify.o"))
    result = output / f"{extension.name}.abi3.so"
    names = [library.name for library in extension.libraries if not (parts and library.name == "isal")]
    archives = [f"{tree}/usr/lib/{triplet}/lib{name}.a" for name in names]
    objects += parts
    link = ["-shared", "-s", "-Wl,-z,relro,-z,now", "-Wl,--gc-sections", f"-Wl,--version-script={output}/exports.map"]
    execute([*zig(), *target, *link, *map(str, objects), *archives, "-lpthread", "-o", str(result)])
    return result


def compile_one(target: list[str], flags: list[str], path: Path, output: Path) -> Path:
    """One object file. Sources are named relative to the repository: no folder of this host gets into it."""
    execute([*zig(), *target, *flags, "-c", str(path), "-o", str(output)])
    return output


def build_static(machine: str, result: Path, identity: str) -> Path:
    """The static program of that name: the whole of it in one command."""
    paths, folders = sources.static_program(result.name)
    files = [str(path.relative_to(sources.ROOT)) for path in paths]
    flags = [*sources.helper_flags(identity), *(f"-Iext/src/{folder}" for folder in folders), "-s"]
    execute([*zig(), "-target", f"{machine}-linux-musl", *flags, *files, "-o", str(result)])
    return result


def build_preload(machine: str, output: Path) -> Path:
    """The library inside a container's programs."""
    result = output / "pod-root.so"
    target = ["-target", f"{machine}-linux-musl"]
    objects = []
    for path in sources.preload_sources():
        name = output / f"preload-{path.stem}.o"
        objects.append(compile_one(target, sources.preload_flags(), path.relative_to(sources.ROOT), name))
    execute([*zig(), *target, *sources.preload_link_flags(), *map(str, objects), "-o", str(result)])
    sources.start_first(result)
    return result


def zig() -> list[str]:
    """The compiler's command, from the ziglang package beside this Python."""
    return [sys.executable, "-m", "ziglang", "cc"]


def environment(work: Path) -> dict[str, str]:
    """zig's caches go where they are found again: the user's cache folder, else the work folder."""
    environ = dict(os.environ)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.access(os.path.dirname(cache) if not os.path.isdir(cache) else cache, os.W_OK):
        cache = str(work)
    environ.setdefault("ZIG_GLOBAL_CACHE_DIR", cache + "/zig")
    environ.setdefault("ZIG_LOCAL_CACHE_DIR", environ["ZIG_GLOBAL_CACHE_DIR"])
    return environ


def execute(command: list[str]) -> None:
    """Runs a compiler in the repository's root."""
    work = sources.ROOT / "build"
    done = subprocess.run(command, cwd=sources.ROOT, env=environment(work), check=False, timeout=900)
    if done.returncode:
        name = Path(command[0]).name if "-m" not in command else command[command.index("-m") + 1]
        raise CompileError(f"{name}: status {done.returncode}: {command[-3]}")


def clean(work: Path) -> None:
    """Forgets what an earlier build left in ``work``."""
    shutil.rmtree(work, ignore_errors=True)
