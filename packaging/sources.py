"""Which C and Cython sources make which binary, with which flags and libraries, and the build id over them.

Read by setup.py (development: the host's compiler and libraries) and by packaging/build.py (the one file: zig, static
libraries, two architectures), so that both build the same things.

    pod.ext.layer     ext/layer.pyx   + ext/src/core/*.c without probes + ext/src/layer/*.c + ext/src/files/*.c
                      + the records of ext/src/emulator + the libraries of ext/src/layer/LIBS
    pod.ext.process   ext/process.pyx + ext/src/{core,process}/*.c + netlink, nft of src/net, threads of src/layer
    pod-helper        ext/src/core/*.c without probes and sandbox + ext/src/emulator/*.c + ext/src/helper/*.c
                      + ext/src/layer/owners_read.c + what of ext/src/net finds pod-netd, one static program
    pod-netd          ext/src/net/*.c + user namespaces of ext/src/core, one static program
    pod-root.so       ext/src/preload/*.c, a shared library without a C library
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

C_FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-fvisibility=hidden", "-fno-strict-aliasing")
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Werror")
"""For our own C, never for what Cython writes."""

LIMITED_API = "0x03090000"

LIBS_FILE = ROOT / "ext/src/layer/LIBS"


class Library(NamedTuple):
    """One line of ext/src/layer/LIBS: the Debian package of headers and static library, the linker's name, why."""

    package: str
    name: str
    reason: str


class Extension(NamedTuple):
    """A Cython module of the Limited API: its glue, its own C (with our warnings) and the libraries it links."""

    name: str
    glue: Path
    c_sources: tuple[Path, ...]
    libraries: tuple[Library, ...]


def c_files(folder: str) -> tuple[Path, ...]:
    """The C files of one folder below ext/src, sorted."""
    return tuple(sorted((ROOT / "ext/src" / folder).glob("*.c")))


def libraries() -> tuple[Library, ...]:
    """ext/src/layer/LIBS: lines of "package library why…", empty lines and # comments aside."""
    found: list[Library] = []
    if LIBS_FILE.exists():
        for line in LIBS_FILE.read_text("utf-8").splitlines():
            fields = line.split("#", 1)[0].split(None, 2)
            if len(fields) >= 2:
                found.append(Library(fields[0], fields[1].removeprefix("-l"), fields[2] if len(fields) > 2 else ""))
    return tuple(found)


THREADS = (ROOT / "ext/src/layer/threads.c",)


def extensions() -> tuple[Extension, ...]:
    """The extension modules whose glue exists."""
    core = c_files("core")
    unprobing = tuple(path for path in core if path.stem.partition("_")[0] != "probe")
    every = (
        Extension(
            "layer",
            ROOT / "ext/layer.pyx",
            unprobing + c_files("layer") + c_files("files") + records(),
            libraries(),
        ),
        Extension("process", ROOT / "ext/process.pyx", core + c_files("process") + probed() + THREADS, ()),
    )
    return tuple(extension for extension in every if extension.glue.exists())


def probed() -> tuple[Path, ...]:
    """What the trials of networks need: the network process's own way to write links and rules."""
    return tuple(ROOT / f"ext/src/net/{name}.c" for name in ("netlink", "nft"))


def records() -> tuple[Path, ...]:
    """What of the emulator knows who owns a file: cp and export ask it too."""
    names = ("page_writer", "places", "records", "records_copies", "records_layers", "sidecar", "table")
    return tuple(ROOT / f"ext/src/emulator/{name}.c" for name in names)


def helper_sources() -> tuple[Path, ...]:
    """The C files of the static helper; it never probes, and reads no archives."""
    core = tuple(path for path in c_files("core") if path.stem.partition("_")[0] not in ("probe", "sandbox"))
    others = tuple(ROOT / "ext/src" / name for name in ("layer/owners_read.c", "net/netd_start.c", "net/wire.c"))
    return core + c_files("emulator") + c_files("helper") + others


def netd_sources() -> tuple[Path, ...]:
    """The C files of the network process."""
    own = tuple(path for path in c_files("net") if path.stem != "netd_start")
    return own + tuple(ROOT / f"ext/src/core/{name}.c" for name in ("err", "rights", "userns"))


def static_program(name: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The C files of "pod-helper" or "pod-netd", and the folders below ext/src where their headers are."""
    if name == "pod-netd":
        return netd_sources(), ("core", "net")
    return helper_sources(), ("core", "emulator", "helper", "net")


def preload_sources() -> tuple[Path, ...]:
    """The C files of the library that is loaded into a container's programs."""
    return c_files("preload")


def build_id() -> str:
    """32 hex digits over everything that defines plan.bin and who reads it: the C sources and the plan's writer."""
    paths = [path for path in (ROOT / "ext").rglob("*") if path.suffix in {".c", ".h", ".pyx", ".pxd"}]
    paths = [path for path in paths if path.parent != ROOT / "ext" or path.suffix != ".c"]  # what Cython wrote
    paths.append(ROOT / "core/runtime/plan.py")
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.exists()):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:32]


def build_module(identity: str) -> str:
    """Text of the generated module pod/ext/_build.py."""
    note = '"""Of the helper and the extensions beside this file; plan.bin carries it."""'
    return f'"""Written by the build."""\n\nBUILD_ID = "{identity}"\n{note}\n'


def own_flags(identity: str) -> list[str]:
    """Compiler flags of our own C, besides optimisation and those that choose the target."""
    return [*C_FLAGS, *WARNINGS, f'-DPOD_BUILD_ID="{identity}"']


def preload_flags() -> list[str]:
    """Compiler flags of that library besides those that choose the target: nothing of any C library gets into it."""
    alone = ["-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"]
    return [*C_FLAGS, *WARNINGS, *alone, "-O2", "-g0", "-fPIC"]


def preload_link_flags() -> list[str]:
    """Of its linking, apart from the compiling: zig's -nostdlib takes the kernel's headers away too."""
    tables = ["-Wl,-Bsymbolic", "-Wl,--hash-style=both", "-Wl,-z,relro,-z,now,-z,noexecstack", "-Wl,--build-id=none"]
    return ["-shared", "-nostdlib", *tables, "-Wl,-soname,pod-root.so", "-s"]


def start_first(library: Path) -> None:
    """Sets DF_1_INITFIRST (elf.h) in a library that was linked with -z now: its constructor is before all others. zig's
    linker has no flag for it. ValueError where there is no such entry.
    """
    data = library.read_bytes()
    entry = b"\xfb\xff\xff\x6f\0\0\0\0"  # DT_FLAGS_1
    places = [at for at in range(0, len(data) - 16, 8) if data[at : at + 8] == entry]
    if len(places) != 1:
        raise ValueError(f"{library}: {len(places)} entries DT_FLAGS_1")
    at = places[0] + 8
    flags = int.from_bytes(data[at : at + 8], "little") | 0x20
    library.write_bytes(data[:at] + flags.to_bytes(8, "little") + data[at + 8 :])


def helper_flags(identity: str) -> list[str]:
    """Compiler flags of the helper besides those that choose the target."""
    return [*own_flags(identity), "-Os", "-g0", "-static"]
