"""completion: bash, zsh and fish, each really run, with keys typed where it has a terminal."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod
from tests.support.terminal import Terminal


@pytest.fixture
def program(pod: Pod, tmp_path: Path) -> str:
    """A folder with a program ``pod`` in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pod").write_text(f'#!/bin/sh\nexec {shlex.join(pod.argv())} "$@"\n')
    (folder / "pod").chmod(0o755)
    return str(folder)


@pytest.fixture
def states(pod: Pod, busybox: str) -> None:
    """Containers ready-made (never started), spent-one (exited), busy-bee (runs), and a volume data-one."""
    pod("create", "--name", "ready-made", "-v", "data-one:/data", busybox).ok()
    pod("run", "--name", "spent-one", busybox, "true").ok()
    pod("run", "-d", "--name", "busy-bee", busybox, "sleep", "100").ok()


class Shell:
    """A shell at a terminal. ``typed`` gives the command line that it makes of keys."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.count = 0

    def run(self, line: str) -> None:
        self.count += 1
        self.terminal.send(f"{line}; echo done-$(({self.count}+0))-\n".encode())
        self.terminal.expect(rb"done-%d-\r" % self.count, 60)

    def typed(self, keys: str) -> str:
        """Types the keys, then ctrl-a and ctrl-e to put what stands there into the arguments of echo."""
        self.count += 1
        self.terminal.send(f"{keys}\x01echo '<{self.count}:\x05>'\n".encode())
        found = self.terminal.expect(rb"[\r\n]+<%d:([^\r\n]*)>[\r\n]" % self.count, 60)
        return found[1].decode()


def started(pod: Pod, program: str, argv: list[str]) -> Iterator[Shell]:
    environ = {**pod.environ(), "PATH": f"{program}:{tools.SEARCH}", "PS1": "$ ", "HISTFILE": ""}
    terminal = Terminal(argv, environ, rows=24, columns=500, cwd=pod.home)
    try:
        yield Shell(terminal)
    finally:
        terminal.close()


@pytest.fixture
def bash(pod: Pod, program: str) -> Iterator[Shell]:
    for shell in started(pod, program, ["/bin/bash", "--norc", "--noprofile", "-i"]):
        shell.run("source <(pod completion bash)")
        yield shell


@pytest.fixture
def zsh(pod: Pod, program: str) -> Iterator[Shell]:
    for shell in started(pod, program, [tools.find("zsh") or "zsh", "-f", "-i"]):
        shell.run("autoload -Uz compinit; compinit -D -u; bindkey -e; source <(pod completion zsh)")
        yield shell


def check(pod: Pod, shell: Shell, busybox: str) -> None:
    """What is alike in the shells that have a terminal."""
    (pod.home / "a-file").touch()
    head = busybox[: busybox.rindex("/") + 4]  # beyond the first colon, that of the registry's port
    for keys, line in (
        ("pod insp\t", "pod inspect "),
        ("pod container pru\t", "pod container prune "),
        ("pod ps --no-t\t", "pod ps --no-trunc "),
        ("pod stop \t", "pod stop busy-bee "),
        ("pod start sp\t", "pod start spent-one "),
        ("pod rm re\tsp\t", "pod rm ready-made spent-one "),
        ("pod logs bu\t", "pod logs busy-bee "),
        (f"pod run --rm {head}\t", f"pod run --rm {busybox} "),
        ("pod run -v data\t", "pod run -v data-one:"),
        ("pod run --env-file a-f\t", "pod run --env-file a-file "),
        ("pod ps -f sta\trun\t", "pod ps -f status=running "),
        ("pod --log-level war\t", "pod --log-level warn "),
        ("pod exec busy-bee a-f\t", "pod exec busy-bee a-file "),
        ("pod stop zzz\t", "pod stop zzz"),
    ):
        assert shell.typed(keys).rstrip() == line.rstrip(), keys


def test_completion_in_bash(pod: Pod, bash: Shell, states: None, busybox: str) -> None:
    check(pod, bash, busybox)


@pytest.mark.zsh
def test_completion_in_zsh(pod: Pod, zsh: Shell, states: None, busybox: str) -> None:
    check(pod, zsh, busybox)


@pytest.mark.fish
def test_completion_in_fish(pod: Pod, program: str, states: None, busybox: str) -> None:
    (pod.home / "a-file").touch()
    asked = {
        "pod insp": ["inspect"],
        "pod stop ": ["busy-bee"],
        "pod rm re": ["ready-made"],
        "pod container pru": ["prune"],
        "pod ps --no-t": ["--no-trunc"],
        "pod ps -f status=runn": ["status=running"],
        f"pod run {busybox[:-3]}": [busybox],
        "pod run --env-file a-f": ["a-file"],
        "pod stop zzz": [],
    }
    lines = "".join(f"complete -C {shlex.quote(line)}\necho ===\n" for line in asked)
    environ = {**pod.environ(), "PATH": f"{program}:{tools.SEARCH}"}
    done = subprocess.run(
        [tools.find("fish") or "fish", "--no-config", "-c", f"pod completion fish | source\n{lines}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environ, cwd=pod.home, check=False,
    )  # fmt: skip
    answers = [[row.split("\t")[0] for row in part.split("\n") if row] for part in done.stdout.split("===\n")[:-1]]
    assert dict(zip(asked, answers)) == asked, done.stderr


def test_complete_chooses_by_what_the_command_can_do(pod: Pod, states: None, busybox: str) -> None:
    def ask(*words: str) -> list[str]:
        return [line.split("\t")[0] for line in pod("__complete", "--", *words).ok().splitlines()]

    assert ask("exec", "") == ["busy-bee"]
    assert ask("start", "") == ["ready-made", "spent-one"]
    assert ask("rm", "") == ["ready-made", "spent-one"]
    assert ask("rm", "-f", "") == ["busy-bee", "ready-made", "spent-one"]
    assert ask("rm", "-f", "busy-bee", "") == ["ready-made", "spent-one"]
    assert ask("container", "kill", "") == ["busy-bee"]
    assert ask("inspect", pod.inspect("busy-bee")["Id"][:9]) == [pod.inspect("busy-bee")["Id"][:12]]
    assert {"busy-bee", busybox, "data-one"} <= set(ask("inspect", ""))
    assert ask("rmi", busybox[:-2]) == [busybox]
    assert ask("run", "--ipc", "container:b") == ["container:busy-bee"]
    assert ask("run", busybox, "") == [":files"]
    assert ask("ps", "--filter=status=ex") == ["--filter=status=exited"]
    assert ask("image", "pru") == ["prune"]
    assert ask("cp", "bus") == ["busy-bee:"]
    assert ask("cp", "./") == [":files"]
    assert ask("cp", "a", "b", "") == []
    assert ask("volume", "ls", "-f", "dang") == ["dangling="]
    assert ask("--root", str(pod.home / "none"), "start", "") == []
    for words in (("swarm", ""), ("no-such", "x"), ("ps", "--no-such", "x"), ("ps", "--", "-"), (), ("--root",)):
        assert "pod:" not in pod("__complete", "--", *words).ok()


def test_complete_says_nothing_of_a_store_that_is_broken(pod: Pod, states: None) -> None:
    config = next(iter((pod.root / "containers").glob("*/config.json")))
    kept = config.read_bytes()
    config.write_bytes(b"{")
    try:
        done = pod("__complete", "--", "start", "")
        assert done.code == 0
        assert "Traceback" not in done.err
    finally:
        config.write_bytes(kept)


def test_completion_of_a_shell_that_it_does_not_know(pod: Pod) -> None:
    pod("completion", "tcsh").failed(1, "unknown shell: tcsh")
    pod("completion").failed(1, "requires exactly 1 argument")
