"""Development build: ``make dev`` or ``pip install -e .`` — the host's C compiler and libraries, in place.

Builds pod.ext.layer and pod.ext.process (Cython, Limited API), the static programs ext/pod-helper and ext/pod-netd,
ext/_build.py and the check of compose files (packaging/compose_schema.py).
The release file is built by packaging/build.py from the same lists (packaging/sources.py).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent


def load(name: str):  # type: ignore[no-untyped-def]
    """packaging/NAME.py by its path: the name "packaging" belongs to a distribution that setuptools itself uses."""
    spec = importlib.util.spec_from_file_location(f"pod_{name}", HERE / f"packaging/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"pod_{name}"] = module
    spec.loader.exec_module(module)
    return module


SOURCES = load("sources")
HEADERS = ("Python.h", "openssl/sha.h", "zlib.h", "zstd.h")


@functools.lru_cache
def sysroot_flags() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Include and library folders of Debian's -dev packages, unpacked beside the build where this host lacks some."""
    text = "".join(f"#include <{name}>\n" for name in HEADERS)
    command = [*host_compiler(), "-E", "-x", "c", "-I", sysconfig.get_path("include"), "-", "-o", os.devnull]
    if subprocess.run(command, input=text, text=True, check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return (), ()
    cache = Path(os.environ.get("POD_BUILD_CACHE") or HERE / "build")
    packages = load("sysroot").Packages(cache / "debian-dev")  # without libisal-dev: it has no static library
    headers = packages.python_headers()
    machine = os.uname().machine
    root = packages.unpack([headers, "libssl-dev", "zlib1g-dev", "libzstd-dev"], machine)
    include = f"{root}/usr/include"
    triplet = f"{machine}-linux-gnu"
    version = headers.removeprefix("lib").removesuffix("-dev")
    return (f"{include}/{version}", include, f"{include}/{triplet}"), (f"{root}/usr/lib/{triplet}",)


def extension(description) -> Extension:  # type: ignore[no-untyped-def]
    """A setuptools Extension; the C files are compiled apart from Cython's, with our warnings as errors."""
    includes, library_folders = sysroot_flags()
    glue = description.glue.relative_to(HERE)
    return Extension(
        f"pod.ext.{description.name}",
        [str(glue)],
        define_macros=[("Py_LIMITED_API", SOURCES.LIMITED_API)],
        py_limited_api=True,
        include_dirs=["ext/src/core", "ext/src/net", f"ext/src/{description.name}", *includes],
        libraries=[stand_in(library.name) for library in description.libraries],
        library_dirs=list(library_folders),
        extra_compile_args=[*SOURCES.C_FLAGS, *sanitize()],
        extra_link_args=sanitize(),
        depends=[str(path) for path in [*description.c_sources, *(HERE / "ext").rglob("*.h")]],
    )


def stand_in(library: str) -> str:
    """zlib where the host has no ISA-L: ext/src/layer/inflate.c asks the compiler the same question."""
    if library != "isal":
        return library
    includes = [f"-I{folder}" for folder in sysroot_flags()[0]]
    command = [*host_compiler(), *includes, "-E", "-x", "c", "-o", os.devnull, "-"]
    text = "#include <isa-l/igzip_lib.h>\n"
    return library if subprocess.run(command, input=text, text=True, stderr=subprocess.DEVNULL).returncode == 0 else "z"


def sanitize() -> list[str]:
    """POD_SANITIZE=1: address and undefined-behaviour sanitizers (load the module under LD_PRELOAD of libasan)."""
    return ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"] if os.environ.get("POD_SANITIZE") == "1" else []


class BuildExt(build_ext):
    """build_ext that compiles our own C with warnings as errors, and builds the helper and _build.py too."""

    def run(self) -> None:
        self.build_temp = str(Path(self.build_temp).absolute())
        super().run()
        target = HERE / "ext" if self.inplace else Path(self.build_lib) / "pod/ext"
        target.mkdir(parents=True, exist_ok=True)
        identity = SOURCES.build_id()
        build_static(target / "pod-helper", identity)
        build_static(target / "pod-netd", identity)
        build_preload(target / "pod-root.so")
        write_if_changed(target / "_build.py", SOURCES.build_module(identity))
        load("compose_schema").write()

    def build_extension(self, ext: Extension) -> None:
        description = next(one for one in SOURCES.extensions() if ext.name.endswith("." + one.name))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            ext.extra_objects = list(pool.map(functools.partial(self.compile_own, ext), description.c_sources))
        ext.depends = [*ext.depends, *ext.extra_objects]  # of a new build id some are new though no source of it is
        super().build_extension(ext)

    def compile_own(self, ext: Extension, path: Path) -> str:
        """Compiles one file of ours when it or a header is newer than its object."""
        identity = SOURCES.build_id()
        mark = f".{identity[:8]}.o" if "POD_BUILD_ID" in path.read_text("utf-8") else ".o"
        output = Path(self.build_temp) / ext.name / path.relative_to(HERE).with_suffix(mark)
        newest = max(one.stat().st_mtime for one in [path, *(HERE / "ext").rglob("*.h"), HERE / "packaging/sources.py"])
        if output.exists() and output.stat().st_mtime > newest:
            return str(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        includes = [f"-I{folder}" for folder in ext.include_dirs]
        command = [*host_compiler(), *SOURCES.own_flags(identity), "-O2", "-g", "-fPIC", *sanitize(), *includes]
        execute([*command, "-c", str(path), "-o", str(output)])
        return str(output)


def host_compiler() -> list[str]:
    """$CC, else cc, else zig from the Python index."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    if shutil.which("cc"):
        return ["cc"]
    return [sys.executable, "-m", "ziglang", "cc"]


def helper_compiler() -> list[str]:
    """zig with musl where it is installed (small, no libc of the host in it), else the host's compiler."""
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-target", os.uname().machine + "-linux-musl", "-s"]
    return host_compiler()


def build_static(output: Path, identity: str) -> None:
    """A static program, unless that of this build id is there; replaced by rename, for the old one may be running."""
    sources, folders = SOURCES.static_program(output.name)
    stamp = output.parent / "_build.py"
    if output.exists() and stamp.exists() and identity in stamp.read_text("utf-8"):
        return
    temporary = output.with_name(f".{output.name}.new")
    flags = [*SOURCES.helper_flags(identity), *(f"-I{HERE / 'ext/src' / name}" for name in folders)]
    compiler = helper_compiler()
    if sanitize():  # their runtime is a shared library, of the host's compiler
        compiler = host_compiler()
        flags = [*(flag for flag in flags if flag != "-static"), "-O1", "-g", "-w", *sanitize()]
    execute([*compiler, *flags, *map(str, sources), "-o", str(temporary)])
    temporary.replace(output)


def build_preload(output: Path) -> None:
    """The library inside a container's programs; replaced by rename, for programs may have the old one mapped."""
    sources = SOURCES.preload_sources()
    headers = [*(HERE / "ext/src/preload").glob("*.h"), HERE / "ext/src/core/page.h", HERE / "packaging/sources.py"]
    if output.exists() and output.stat().st_mtime > max(path.stat().st_mtime for path in [*sources, *headers]):
        return
    temporary = output.with_name(".pod-root.new")
    flags = [*SOURCES.preload_flags(), *SOURCES.preload_link_flags()]
    execute([*host_compiler(), *flags, *map(str, sources), "-o", str(temporary)])
    SOURCES.start_first(temporary)
    temporary.chmod(0o644)
    temporary.replace(output)


def write_if_changed(path: Path, text: str) -> None:
    """Keeps the old file's time when its content is already right."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def execute(command: list[str]) -> None:
    """Runs a compiler; its words are the error."""
    print(shlex.join(command))
    if subprocess.run(command, cwd=HERE, check=False).returncode:
        raise SystemExit(f"setup.py: {command[0]} failed")


def cython_modules() -> list[Extension]:
    """Extensions of the tree, translated by Cython."""
    found = [extension(one) for one in SOURCES.extensions()]
    if not found:
        return []
    from Cython.Build import cythonize

    return cythonize(found, include_path=["packaging"], language_level=3, build_dir=None)  # type: ignore[no-any-return]


setup(ext_modules=cython_modules(), cmdclass={"build_ext": BuildExt})
