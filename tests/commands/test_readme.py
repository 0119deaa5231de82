"""Every command of README.md does what README.md shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support import places
from tests.support.podcli import Pod, command
from tests.support.registry import Registry
from tests.support.terminal import Terminal

README = (places.REPOSITORY / "README.md").read_text()


def sessions() -> list[tuple[str, list[str]]]:
    """(command, lines shown below it) of every fenced console block, in order."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def matches(shown: list[str], seen: str) -> bool:
    """Whether the output is what the README shows, "…" standing for anything."""
    pattern = "".join(".*" if line == "…" else re.escape(line).replace("…", "[^\n]*") + "\n" for line in shown)
    return re.fullmatch(pattern, seen.replace("\r\n", "\n"), re.DOTALL) is not None


@pytest.fixture
def newcomer(fresh_pod: Pod, registry: Registry, writable_registry: Registry) -> Path:
    """A folder with pod.pyz in it, for someone whose docker.io and registry.example.com are test registries."""
    folder = fresh_pod.home / ".config" / "containers"
    folder.mkdir(parents=True)
    places = {"docker.io": registry.host, "registry.example.com": writable_registry.host}
    entries = [
        f'[[registry]]\nprefix = "{name}"\nlocation = "{host}"\ninsecure = true\n' for name, host in places.items()
    ]
    (folder / "registries.conf").write_text("".join(entries))
    work = fresh_pod.base / "first five minutes"
    work.mkdir()
    program = work / "pod.pyz"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    program.chmod(0o755)
    return work


@pytest.mark.image("debian:12")
@pytest.mark.image("busybox:latest")
def test_readme_commands_do_what_it_shows(fresh_pod: Pod, newcomer: Path) -> None:
    shown = sessions()
    assert len(shown) > 10
    for line, expected in shown:
        interactive = " -it " in line
        terminal = Terminal(["/bin/sh", "-c", line], fresh_pod.environ(), rows=24, columns=200, cwd=newcomer)
        try:
            if interactive:
                terminal.expect(rb"# ", 60)
                terminal.send(b"exit\r")
            code = terminal.wait(120)
            seen = terminal.seen.decode(errors="replace")
        finally:
            terminal.close()
        assert code == 0, f"{line}\n{seen}"
        if not interactive and not _pulls(seen):
            assert matches(expected, seen), f"{line}\nshown: {expected}\nseen: {seen}"


def _pulls(seen: str) -> bool:
    """Whether a command first fetched its image: the README leaves those lines out."""
    return "Unable to find image" in seen


def test_readme_make_targets_exist() -> None:
    makefile = (places.REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"^make (\S+)", README, re.MULTILINE):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (places.REPOSITORY / target).exists(), target
