"""What full root emulation costs: the same work in containers with it and without (single id only)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench
from tests.support import tools

GOALS = {"stat": (5.0, 0.0), "getuid": (0.5, 0.0), "create+write+close": (0.0, 2.2)}
"""Most that a call may take: microseconds, times of what it takes without (0: no goal)."""
IMPORTING = 200
PYTHON = """\
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
names = [m.name for m in pkgutil.iter_modules() if m.name not in ("antigravity", "this", "idlelib", "turtledemo")]
for name in names:
    if len(sys.modules) > {count}:
        break
    try:
        importlib.import_module(name)
    except Exception:
        pass
"""
_MAKEFILE = "all: {objects}\n\tgcc -o all {objects}\n%.o: %.c\n\tgcc -O2 -c $< -o $@\n"
_SOURCE = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <pthread.h>\n{body}\n"
_FILES = 24


class Missing(Exception):
    """What this case needs and this host lacks."""


def calls(bench: Bench) -> list[str]:
    """Lines of a table: microseconds of each call without emulation, with the library, by the emulator alone."""
    cc = tools.find("cc")
    if cc is None:
        raise Missing("cc: not installed")
    program = bench.scratch / "calls"
    source = Path(__file__).with_name("calls.c")
    subprocess.run([cc, "-O1", "-o", str(program), str(source)], check=True, timeout=60)
    image = bench.pod.image("debian:12")
    columns = []
    for mode, options in (("off", ()), ("full", ()), ("full", ("-v", "/dev/null:/etc/ld.so.preload"))):
        argv = ("run", "--rm", f"--root-emulation={mode}", "-v", f"{program}:/calls:ro", "--tmpfs", "/t", *options)
        text = bench.pod(*argv, image, "sh", "-c", "chown 0 /tmp; exec /calls /t", timeout=300).ok()
        rows = dict(line.rsplit(" ", 1) for line in text.splitlines())
        columns.append({name: float(value) for name, value in rows.items()})
    head = "".join(each.rjust(20) for each in ("", "off", "full", "emulator alone"))
    lines = ["calls of a dynamic program (us)", "  " + head]
    for name, off in columns[0].items():
        full, alone = columns[1][name], columns[2][name]
        most, times = GOALS.get(name, (0.0, 0.0))
        verdict = ""
        if most or times:
            met = full <= most if most else full <= times * off
            verdict = f"  goal <= {most or times} {'us' if most else 'x'}: {'met' if met else 'NOT met'}"
        lines.append("  " + name.ljust(20) + "".join(f"{value:20.2f}" for value in (off, full, alone)) + verdict)
    return lines


def starts(bench: Bench) -> list[Subject]:
    """`true` in a busybox; the emulator is not asked."""
    return _pair(bench, [], bench.pod.image("busybox:latest"), ["true"])


def python(bench: Bench) -> list[Subject]:
    """A Python program that imports many modules, of this host's Debian below a Debian of ours."""
    _needs("/usr/bin/python3")
    program = bench.scratch / "importing.py"
    program.write_text(PYTHON.format(count=IMPORTING))
    words = ["sh", "-c", "chown 0 /tmp; for i in 1 2 3 4; do python3 -I /importing.py; done"]
    return _pair(bench, ["-v", f"{program}:/importing.py:ro"], bench.pod.image("debian:12"), words)


def make(bench: Bench) -> list[Subject]:
    """`make -j2` of a small C project."""
    _needs("/usr/bin/gcc")
    _needs("/usr/bin/make")
    folder = bench.scratch / "project"
    folder.mkdir()
    objects = " ".join(f"part{number}.o" for number in range(_FILES))
    (folder / "Makefile").write_text(_MAKEFILE.format(objects=objects))
    for number in range(_FILES):
        functions = [
            f'int f{number}_{i}(char *s) {{ char b[64]; snprintf(b, 64, "%s%d", s, {i}); return (int)strlen(b); }}'
            for i in range(40)
        ]
        main = ["int main(void) { return 0; }"] if not number else []
        (folder / f"part{number}.c").write_text(_SOURCE.format(body="\n".join(functions + main)))
    words = ["sh", "-c", "chown 0 /tmp; cp -r /project /work && cd /work && exec make -s -j2"]
    return _pair(bench, ["-v", f"{folder}:/project:ro"], bench.pod.image("debian:12"), words)


def _needs(program: str) -> None:
    """This host's programs run over the image's C library: both must be Debian 12."""
    release = Path("/etc/os-release").read_text()
    if not Path(program).exists() or 'VERSION_ID="12"' not in release or "ID=debian" not in release:
        raise Missing(f"{program} of Debian 12: not here")


def _pair(bench: Bench, options: list[str], image: str, words: list[str]) -> list[Subject]:
    """The same start with emulation ("pod") and without ("off")."""
    host = ["-v", "/usr:/usr:ro"] if options else []
    return [
        Subject(
            name,
            bench.pod.argv("run", "--rm", "--network=none", f"--root-emulation={mode}", *host, *options, image, *words),
            bench.pod.environ(),
        )
        for name, mode in (("off", "off"), ("pod", "full"))
    ]
