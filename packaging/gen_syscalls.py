"""Writes core/runtime/syscalls_*.py: the system call numbers of each architecture, from the kernel's own headers.

    python packaging/gen_syscalls.py [HEADERS]

HEADERS is a folder of <arch>-linux-any/asm/unistd_*.h; without it, that of the installed ziglang package (its lib/libc
holds the sanitised headers of a recent Linux for every architecture; linux-libc-dev has those of one only). Numbers
never change once given, so a newer header only appends: run it again for a newer kernel and read the difference.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

SOURCES = {
    "x86_64": ("x86-linux-any/asm/unistd_64.h",),
    "i386": ("x86-linux-any/asm/unistd_32.h",),
    "aarch64": ("aarch64-linux-any/asm/unistd_64.h",),
    "arm": ("arm-linux-any/asm/unistd-eabi.h", "arm-linux-any/asm/unistd.h"),
}
DEFINE = re.compile(r"^#define\s+__(?:ARM_)?NR_(\w+)\s+(\(.*\)|\d+)\s*$", re.MULTILINE)
BASES = {"__NR_SYSCALL_BASE": 0, "__ARM_NR_BASE": 0x0F0000}


def default_headers() -> Path:
    """The headers inside the installed ziglang package."""
    import importlib.util

    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("gen_syscalls: ziglang is not installed; name a folder of headers")
    return Path(spec.submodule_search_locations[0]) / "lib/libc/include"


def number(text: str) -> int:
    """The value of one define: a decimal, or (BASE + offset) of 32-bit Arm."""
    if text.isdigit():
        return int(text)
    base, _, offset = text.strip("()").replace(" ", "").partition("+")
    return BASES[base] + int(offset, 0)


def read_numbers(files: list[Path]) -> dict[int, str]:
    """number → name of every call that the headers define."""
    found: dict[int, str] = {}
    for file in files:
        for name, value in DEFINE.findall(file.read_text()):
            if name not in ("SYSCALL_BASE", "OABI_SYSCALL_BASE", "BASE"):
                found[number(value)] = name
    return found


def kernel_version(headers: Path) -> str:
    """ "6.13" from linux/version.h."""
    text = (headers / "any-linux-any/linux/version.h").read_text()
    code = int(re.findall(r"LINUX_VERSION_CODE (\d+)", text)[0])
    return f"{code >> 16}.{code >> 8 & 255}"


def render(arch: str, numbers: dict[int, str], version: str) -> str:
    """The module's text: each run of consecutive numbers is its first number, then the names."""
    runs: list[str] = []
    previous = -2
    for value in sorted(numbers):
        if value != previous + 1:
            runs.append(str(value))
        runs[-1] += " " + numbers[value]
        previous = value
    lines = [line for run in runs for line in textwrap.wrap(run, 116, break_on_hyphens=False)]
    return (
        f'"""System call numbers of {arch}, Linux {version}. Written by packaging/gen_syscalls.py; do not edit.\n\n'
        "A number, then the names of that call and of those that follow it.\n"
        '"""\n\nRUNS = """\n' + "\n".join(lines) + '\n"""\n'
    )


def main() -> None:
    """Writes one module per architecture."""
    headers = Path(sys.argv[1]) if len(sys.argv) > 1 else default_headers()
    target = Path(__file__).resolve().parent.parent / "core/runtime"
    version = kernel_version(headers)
    for arch, files in SOURCES.items():
        numbers = read_numbers([headers / file for file in files])
        (target / f"syscalls_{arch}.py").write_text(render(arch, numbers, version))


if __name__ == "__main__":
    main()
