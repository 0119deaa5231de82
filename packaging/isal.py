"""The part of ISA-L that inflates gzip and deflates by its first level, for one machine: Debian's packages have only
the shared library.

From Debian's source package, unchanged: the C and assembler files named here, and isal_parts.c for what they expect of
the rest. The assemblers are Debian's, unpacked like everything else.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import sysroot

SOURCE = "libisal"
C_FILES = (
    *("igzip/igzip_inflate.c", "igzip/hufftables_c.c", "crc/crc_base.c"),
    *("igzip/igzip.c", "igzip/igzip_base.c", "igzip/igzip_icf_base.c", "igzip/igzip_icf_body.c", "igzip/encode_df.c"),
    *("igzip/huff_codes.c", "igzip/flatten_ll.c", "igzip/proc_heap_base.c"),
)
ASSEMBLER = {
    "x86_64": (
        *("igzip/igzip_decode_block_stateless_01.asm", "igzip/igzip_decode_block_stateless_04.asm"),
        *("igzip/rfc1951_lookup.asm", "crc/crc32_gzip_refl_by8.asm"),
        *("igzip/igzip_icf_body_h1_gr_bt.asm", "igzip/igzip_icf_finish.asm", "igzip/encode_df_04.asm"),
    ),
    "aarch64": (
        *("igzip/aarch64/igzip_decode_huffman_code_block_aarch64.S", "crc/aarch64/crc32_gzip_refl_pmull.S"),
        *("igzip/aarch64/isal_deflate_icf_body_hash_hist.S", "igzip/aarch64/isal_deflate_icf_finish_hash_hist.S"),
        "igzip/aarch64/encode_df.S",
    ),
}
INCLUDES = ("include", "igzip", "crc", "igzip/aarch64", "crc/aarch64")


TOOLS = {"x86_64": ("nasm",), "aarch64": ("binutils-aarch64-linux-gnu", "libbinutils")}
"""Debian packages of the assembler for each machine; they run on this host."""


def build(
    machine: str, packages: sysroot.Packages, output: Path, compiler: Callable[[list[str]], None]
) -> list[Path]:
    """Object files below ``output``. ``compiler`` runs the C compiler for the machine with the given arguments."""
    tree = packages.source(SOURCE)
    flags = ["-O2", "-g0", "-fPIC", "-w", "-ffunction-sections", "-fdata-sections", *includes(tree)]
    made = [output / "isal-parts.o"]
    compiler([*flags, "-c", "packaging/isal_parts.c", "-o", str(made[0])])
    for name in C_FILES:
        made.append(output / f"isal-{Path(name).stem}.o")
        compiler([*flags, "-c", str(tree / name), "-o", str(made[-1])])
    for name in ASSEMBLER[machine]:
        made.append(output / f"isal-{Path(name).stem}-asm.o")
        source = tree / name
        if machine == "aarch64":  # GNU's macros, which zig does not know, but C's preprocessor before them
            source = made[-1].with_suffix(".s")
            compiler(["-E", "-P", "-D__ASSEMBLY__", *includes(tree), str(tree / name), "-o", str(source)])
        assemble(machine, packages, tree, source, made[-1])
    return made


def includes(tree: Path) -> list[str]:
    """As options, for C and for nasm."""
    return [f"-I{tree / name}/" for name in INCLUDES]


def assemble(machine: str, packages: sysroot.Packages, tree: Path, source: Path, target: Path) -> None:
    """One file, by Debian's assembler."""
    host = os.uname().machine
    root = packages.unpack(list(TOOLS[machine]), host)
    command = [str(root / "usr/bin/nasm"), "-f", "elf64", *includes(tree)]
    if machine == "aarch64":
        command = [str(root / "usr/bin/aarch64-linux-gnu-as")]
    environ = {**os.environ, "LD_LIBRARY_PATH": str(root / f"usr/lib/{host}-linux-gnu")}
    done = subprocess.run(
        [*command, str(source), "-o", str(target)],
        env=environ, check=False, timeout=300, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise sysroot.PackageError(f"assemble {source.name}: {words[-1]}")
