"""The processes of a container, as the host's ps shows them, or as /proc does where there is no ps.

Source: moby daemon/top_unix.go: which options are refused, how the answer is cut into columns, and its messages.
"""

from __future__ import annotations

import os
import time

from pod.core.container import members, model
from pod.core.errors import Conflict, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_SECONDS = 20
_LONGEST = 1 << 24
"""Bytes of ps' answer."""


def listing(engine: Engine, container: Container, options: list[str]) -> tuple[list[str], list[list[str]]]:
    """(titles, rows); ``options`` are those of ps(1), "-ef" where there are none. Conflict where nothing runs."""
    model.check_here(container)
    if not container.pid:
        if container.state.get("restarting"):
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        raise Conflict(f"container {container.id} is not running", hint=f"start it first: pod start {container.name}")
    _check(options)
    found = members.processes(container)
    program = _program(engine)
    if not program:
        if options:
            raise PodError("top: this host has no ps, whose options these are", hint="leave them out")
        return list(TITLES), [_row(process) for process in found]
    try:
        text = _run(program, [*(options or ["-ef"]), "-q", ",".join(str(one.pid) for one in found)])
    except PodError:  # options that -q does not go with; then all are shown, and those of others left out
        text = _run(program, options or ["-ef"])
    return _cut(text, {one.pid for one in found})


def _check(options: list[str]) -> None:
    """PodError for a title of the column PID's own: it could not be found any more."""
    import re

    for name, title in re.findall(r"\s+(\S*)=\s*(PID\S*)", " " + " ".join(options)):
        if name != "pid":
            raise PodError(f'specifying "{name}={title}" is not allowed', hint="another title will do")


def _program(engine: Engine) -> str:
    for folder in engine.environ.get("PATH", "").split(":"):
        path = folder + "/ps"
        if folder.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


def _run(program: str, options: list[str]) -> str:
    """What ps says. PodError with its own words where it fails."""
    import subprocess

    environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "COLUMNS": "10000"}
    try:
        done = subprocess.run(
            [program, *options],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, env=environ, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PodError(f"Error running ps: {error}") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise PodError(f"Error running ps: {words[0] if words else 'it failed'}", hint="'man ps' lists its options")
    return done.stdout[:_LONGEST].decode(errors="replace")


def _cut(text: str, pids: set[int]) -> tuple[list[str], list[list[str]]]:
    lines = text.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise PodError("Couldn't find PID field in ps output", hint="let the options show the column PID")
    at, rows, threads = titles.index("PID"), [], False
    for line in lines[1:]:
        fields = line.split()
        if len(fields) <= at:
            continue
        if fields[at] == "-":  # a thread of the process above it
            wanted = threads
        elif fields[at].isdigit():
            wanted = threads = int(fields[at]) in pids
        else:
            raise PodError(f"Unexpected pid '{fields[at]}' in ps output", hint="leave the options out")
        if wanted:
            last = len(titles) - 1
            rows.append([*fields[:last], " ".join(fields[last:])])
    return titles, rows


def _row(process: members.Process) -> list[str]:
    """The columns of ``ps -ef``."""
    tick, now = os.sysconf("SC_CLK_TCK"), time.time()
    with open("/proc/uptime", "rb") as file:
        up = float(file.read().split()[0])
    age = up - process.start / tick
    began = time.localtime(now - age)
    seconds = process.ticks // tick
    share = min(99, int(100 * seconds / age)) if age >= 1 else 0
    return [
        _owner(process.pid),
        str(process.pid),
        str(process.parent),
        str(share),
        time.strftime("%H:%M" if now - age > now - 86400 else "%b%d", began),
        _terminal(process.pid),
        f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        _command(process.pid),
    ]


def _owner(pid: int) -> str:
    import pwd

    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "?"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _terminal(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            number = int(file.read(4096).rpartition(b")")[2].split()[4])
    except (OSError, ValueError, IndexError):
        return "?"
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    return f"pts/{(major - 136) * 256 + minor}" if 136 <= major <= 143 else "?"


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(1 << 16).rstrip(b"\0").replace(b"\0", b" ")
        if not words:
            with open(f"/proc/{pid}/comm", "rb") as file:
                words = b"[" + file.read(64).strip() + b"]"
    except OSError:
        return "<defunct>"
    return words.decode(errors="replace")
