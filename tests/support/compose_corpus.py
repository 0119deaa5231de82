"""The corpus of compose files (tests/conformance/compose): its cases, and what Docker's Compose makes of them.

A case is ``==== NAME`` and its files; lines before and between say more:

    > FILE        what follows is this file; before the first one it is compose.yaml
    @ LINE        a line of the service "a", whose image is x; compose.yaml has nothing else
    + LINE        the same, of the service "a" in over.yaml, which goes over compose.yaml
    $ FLAGS       of ``compose``; with over.yaml they name both files, else nothing, so that files are searched for
    & SERVICES    arguments of ``config``
    % NAME=VALUE  in the environment
    ! WORDS       it must fail in both, and pod says these; a line for each
    # WORDS       before the first case: what these cases are about

What is expected is in NAME.json beside NAME.txt: what ``docker compose config --format json`` printed, its folder as
DIR, or null where it failed. To write it anew (Debian's package docker-compose has the program; no daemon is needed):

    python -m tests.support.compose_corpus /usr/libexec/docker/cli-plugins/docker-compose
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import places

FOLDER = places.REPOSITORY / "tests" / "conformance" / "compose"
PLACE = "DIR"
DIFFERENCES = {
    "merge/build-of-another-type": "13-merge: what is neither a path nor a mapping is an error; Docker drops it",
    "services/networks-map": "05-services, networks: gw_priority is part of the model; Docker checks it and drops it",
    "services/ulimits": "05-services, ulimits: a limit of 0 is a limit; Docker's JSON has an empty mapping for it",
    "toplevel/target": "15-profiles: what only services use that are not named is left out; Docker keeps it",
}
"""Case to why pod's answer is another than that of Docker's Compose 2.26, with the specification's section."""


class Case:
    """One application."""

    __slots__ = ("environ", "errors", "files", "flags", "group", "name", "services")

    def __init__(self, group: str, name: str) -> None:
        self.group, self.name = group, name
        self.flags: list[str] | None = None
        self.services: list[str] = []
        self.environ: dict[str, str] = {}
        self.errors: list[str] = []
        self.files: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return f"{self.group}/{self.name}"

    def arguments(self) -> list[str]:
        if self.flags is not None:
            return self.flags
        return ["-f", "compose.yaml", "-f", "over.yaml"] if "over.yaml" in self.files else []

    def make(self, above: Path) -> Path:
        """Its files, in a folder of its name."""
        folder = above / self.name
        folder.mkdir(parents=True)
        for name, lines in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", "utf-8")
        return folder


def groups() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(group: str) -> list[Case]:
    """The cases of one file; lines with % before the first hold for all."""
    cases: list[Case] = []
    common: dict[str, str] = {}
    target = "compose.yaml"
    for line in (FOLDER / f"{group}.txt").read_text("utf-8").split("\n"):
        mark, rest = line[:1], line[2:]
        if line.startswith("==== "):
            cases.append(Case(group, line[5:]))
            cases[-1].environ.update(common)
            target = "compose.yaml"
        elif not cases:
            common.update([rest.split("=", 1)] if mark == "%" else [])
        elif mark == ">" and line[1:2] == " ":
            target = rest
            cases[-1].files[target] = []
        elif mark in ("@", "+"):
            files = cases[-1].files
            name, head = ("compose.yaml", ["    image: x"]) if mark == "@" else ("over.yaml", [])
            image = mark == "@" and rest.startswith("image:")
            files.setdefault(name, ["services:", "  a:", *([] if image else head)]).append("    " + rest)
        else:
            _setting(cases[-1], mark, rest, line, target)
    return cases


def _setting(case: Case, mark: str, rest: str, line: str, target: str) -> None:
    if line[1:2] in (" ", "") and mark == "$":
        case.flags = rest.split()
    elif line[1:2] == " " and mark == "&":
        case.services = rest.split()
    elif line[1:2] == " " and mark == "%":
        case.environ.update([rest.split("=", 1)])
    elif line[1:2] == " " and mark == "!":
        case.errors.append(rest)
    else:
        case.files.setdefault(target, []).append(line)


def expected(group: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{group}.json").read_text("utf-8"))
    return found


def placed(value: Any, folder: str) -> Any:
    """Texts with DIR in place of the case's folder, and its folder above as DIR/.."""
    if isinstance(value, dict):
        return {placed(key, folder): placed(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, folder) for inner in value]
    if not isinstance(value, str):
        return value
    above = os.path.dirname(folder)
    return value.replace(folder, PLACE).replace(above, f"{PLACE}/..")


def docker(program: str, case: Case, folder: Path) -> tuple[Any, str]:
    """What the program makes of a case; None where it fails, and what it says."""
    environ: Mapping[str, str] = {"PATH": os.defpath, "HOME": "/home/someone", **case.environ}
    command = [program, *case.arguments(), "config", "--format", "json", *case.services]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip
    if done.returncode:
        return None, done.stderr
    return placed(json.loads(done.stdout), str(folder)), done.stderr


def main() -> None:
    program = sys.argv[1]
    for group in groups():
        found: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as above:
            for case in read(group):
                found[case.name], said = docker(program, case, case.make(Path(above) / group))
                if (found[case.name] is None) != bool(case.errors):
                    print(f"{case}: {said.strip() or 'did not fail'}")
        lines = [f"{json.dumps(name)}: {json.dumps(value, sort_keys=True, separators=(',', ':'))}"
                 for name, value in found.items()]  # fmt: skip
        (FOLDER / f"{group}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
