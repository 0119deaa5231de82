"""The build's gate: what every ELF file of pod.pyz must and must not have. Also ``python packaging/audit.py FILE…``.

An extension: the right machine, only libc, libm, libpthread, libdl needed, no symbol version above glibc 2.17, no
RPATH, no executable stack, full RELRO, PyInit_* as its only exports, and every import either Python's or also in
musl's libc.
The library of root emulation: nothing needed, no import that is not weak, no thread-local storage, both hash tables.
The helper and the network process: the right machine, static (no interpreter, nothing needed), no executable stack.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
NEEDED = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"}
LOADERS = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
GLIBC = (2, 17)


class AuditError(Exception):
    """A file that must not be shipped: the file, then what is wrong with it."""


def check(path: Path, machine: str) -> None:
    """Raises AuditError with every fault of the file."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        faults = [*check_any(elf, machine)]
        kinds = {"pod-helper": check_helper, "pod-netd": check_helper, "pod-root.so": check_preload}
        faults += kinds.get(path.name, check_extension)(elf)
    if faults:
        raise AuditError(f"{path}: " + "; ".join(faults))


def check_any(elf: Any, machine: str) -> list[str]:
    """Faults of either kind of file."""
    faults = []
    if elf["e_machine"] != MACHINES[machine]:
        faults.append(f"machine {elf['e_machine']}")
    stack = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_GNU_STACK"]
    if not stack or stack[0]["p_flags"] & 1:
        faults.append("executable stack")
    if any(section.name.startswith(".debug") for section in elf.iter_sections()):
        faults.append("debug sections")
    return faults


def check_helper(elf: Any) -> list[str]:
    """Faults of a static program."""
    kinds = {segment["p_type"] for segment in elf.iter_segments()}
    return ["it is dynamically linked"] if "PT_INTERP" in kinds or dynamic_tags(elf).get("DT_NEEDED") else []


def check_preload(elf: Any) -> list[str]:
    """Faults of the library inside a container's programs: it must load beside any C library, and beside none."""
    tags = dynamic_tags(elf)
    imports = names(elf)[1]
    faults = [f"it has {tag}" for tag in ("DT_NEEDED", "DT_RPATH", "DT_RUNPATH", "DT_TEXTREL") if tag in tags]
    faults += [f"it has no {tag}" for tag in ("DT_HASH", "DT_GNU_HASH") if tag not in tags]
    if any(segment["p_type"] == "PT_TLS" for segment in elf.iter_segments()):
        faults.append("thread-local storage")
    if imports:
        faults.append(f"imports {', '.join(sorted(imports))}")
    if not any(tag.entry.d_val & 0x20 for tag in tags.get("DT_FLAGS_1", [])):
        faults.append("it is not initialised first")
    return faults


def check_extension(elf: Any) -> list[str]:
    """Faults of an extension."""
    faults = []
    tags = dynamic_tags(elf)
    strange = {tag.needed for tag in tags.get("DT_NEEDED", [])} - NEEDED - LOADERS
    if strange:
        faults.append(f"needs {', '.join(sorted(strange))}")
    if "DT_RPATH" in tags or "DT_RUNPATH" in tags:
        faults.append("has an RPATH")
    relro = any(segment["p_type"] == "PT_GNU_RELRO" for segment in elf.iter_segments())
    flags = [tag.entry.d_val for tag in tags.get("DT_FLAGS", [])]
    if not relro or not ((flags and flags[0] & 0x8) or "DT_BIND_NOW" in tags):
        faults.append("no full RELRO")
    new = [version for version in glibc_versions(elf) if version > GLIBC]
    if new:
        faults.append(f"needs glibc {'.'.join(map(str, max(new)))}")
    exports, imports = names(elf)
    if not exports or any(not name.startswith("PyInit_") for name in exports):
        faults.append(f"exports {', '.join(sorted(exports)[:5]) or 'nothing'}")
    foreign = {name for name in imports if not name.startswith(("Py", "_Py"))} - musl_names()
    if foreign:
        faults.append(f"imports what musl has not: {', '.join(sorted(foreign))}")
    return faults


def dynamic_tags(elf: Any) -> dict[str, list[Any]]:
    """Tags of the dynamic section by their names."""
    found: dict[str, list[Any]] = {}
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                found.setdefault(tag.entry.d_tag, []).append(tag)
    return found


def glibc_versions(elf: Any) -> list[tuple[int, ...]]:
    """The GLIBC_x.y versions that the imports ask for."""
    found = []
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.(\d+))?", version.name)
                    if match:
                        found.append(tuple(int(part) for part in match.groups() if part))
    return found


def names(elf: Any) -> tuple[set[str], set[str]]:
    """Exported and imported names of the dynamic symbol table; a weak import may stay without an answer."""
    exports, imports = set(), set()
    table = elf.get_section_by_name(".dynsym")
    if isinstance(table, SymbolTableSection):
        for symbol in table.iter_symbols():
            bind = symbol["st_info"]["bind"]
            if not symbol.name or bind == "STB_LOCAL":
                continue
            if symbol["st_shndx"] != "SHN_UNDEF":
                exports.add(symbol.name)
            elif bind == "STB_GLOBAL":
                imports.add(symbol.name)
    return exports, imports


def musl_names() -> set[str]:
    """Names that musl's libc.so defines, from the linker stub that zig carries (lib/libc/musl/libc.S)."""
    import ziglang

    text = (Path(ziglang.__file__).parent / "lib/libc/musl/libc.S").read_text("utf-8")
    return set(re.findall(r"^\s*\.(?:globl|weak)\s+(\w+)", text, re.MULTILINE)) | set(
        re.findall(r"^WEAK\w+\s+(\w+)", text, re.MULTILINE)
    )


def main() -> int:
    """Audits the named files for the machine that their headers name."""
    status = 0
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            found = ELFFile(file)["e_machine"]
        machine = next((key for key, value in MACHINES.items() if value == found), "x86_64")
        try:
            check(Path(name), machine)
        except AuditError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
