"""Prepared execs: the third `exec` of the same words in the same container needs no Python, hands over what Python
would, and steps aside as soon as anything is different.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pod.cli import exec as exec_command
from tests.support import podcli
from tests.support.podcli import Pod
from tests.support.prepared import NO_PYTHON, Prepared, plan_of, process_of
from tests.support.terminal import Terminal

FLAGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "stdin": ("-i",),
    "terminal": ("-t",),
    "terminal-of-ours": ("-i", "-t", "-e", "TERM=dumb"),
    "keys": ("-it", "--detach-keys", "ctrl-a,x"),
    "environment": ("-e", "A=b c", "-e", "LANG", "-e", "UNSET", "--env-file", "{home}/vars"),
    "user": ("-u", "1000:1000"),
    "user-by-name": ("--user", "web", "-w", "/srv"),
    "privileged": ("--privileged",),
    "odd-words": ("-e", 'A=\t\n\x7f"\\'),
    "detached": ("-d",),
}


def _given(flags: tuple[str, ...]) -> Iterator[str]:
    letters = {row[1]: row[0] for row in exec_command.COMMAND.flags if row[1]}
    for word in flags:
        if word.startswith("--"):
            yield word[2:]
        elif word.startswith("-"):
            yield from (letters[letter] for letter in word[1:])


def test_exec_prepared_table_has_every_flag() -> None:
    assert {row[0] for row in exec_command.COMMAND.flags} == set().union(*map(_given, FLAGS.values()))


def _prime(prepared: Prepared, *words: str, **options: Any) -> Path:
    return prepared.prime_with(lambda: prepared.execute(*words, **options))


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_exec_prepared_is_what_python_gives(prepared: Prepared, sleeper: str, flags: tuple[str, ...]) -> None:
    home = prepared.pod.home
    (home / "vars").write_text("FROM_FILE=1\n# no\n")
    words = [*(flag.format(home=home) for flag in flags), sleeper]
    prepared.pod("exec", sleeper, "true").ok()  # the first one starts the emulator, which others then see
    first = _observe(prepared, words)
    if _on_ours(words):
        file = prepared.prime_with(lambda: _on_terminal(prepared, [*words, "true"]).wait())
    else:
        file = _prime(prepared, *words, "true")
    kept = file.read_bytes()
    with prepared.without_python():
        second = _observe(prepared, words)
    assert file.read_bytes() == kept
    assert second == first


def _on_ours(words: list[str]) -> bool:
    return {"-i", "-t"} <= set(words) or "-it" in words


def _on_terminal(prepared: Prepared, words: list[str]) -> Terminal:
    pod = prepared.pod
    return Terminal(pod.argv("exec", *words), pod.environ(prepared.env), rows=30, columns=99, cwd=pod.home)


SHOW = "id; pwd; env | sort; grep -E '^(Cap|NoNew|Seccomp:|Sig[BCIP])' /proc/self/status; "
SHOW += "ls -l /proc/self/fd | sed 's/.* //'"  # not SigQ: what waits for any process of the user


def _observe(prepared: Prepared, words: list[str]) -> dict[str, Any]:
    """What the client has and what the process sees, with numbers that differ each time taken out."""
    pod, script = prepared.pod, "echo begin; " + SHOW + "; echo end; sleep 1000"
    if "-d" in words:
        script = f"({script}) >/said 2>&1"
        pod("exec", *words, "sh", "-c", script, env=prepared.env).ok()
        look = "while ! grep -q end /said; do sleep 0.05; done; cat /said; rm /said"
        shown = pod("exec", words[-1], "sh", "-c", look).ok()
        return {"shown": _cleaned(shown)}
    if _on_ours(words):
        terminal = _on_terminal(prepared, [*words, "sh", "-c", script])
        shown = terminal.expect(rb"(?s)begin(.*)end").group(0).decode()
        found = _client(terminal.pid, words[-1])
        terminal.hang_up()
        return {"shown": _cleaned(shown), **found}
    process = pod.start("exec", *words, "sh", "-c", script, env=prepared.env)
    assert process.stdout is not None
    lines = []
    while not lines or lines[-1].strip() != b"end":
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr and process.stderr.read()
    found = _client(process.pid, words[-1])
    process.kill()
    process.communicate(timeout=20)
    return {"shown": _cleaned(b"".join(lines).decode()), **found}


def _cleaned(shown: str) -> str:
    """Without the numbers of pipes, terminals and processes."""
    kept = [line.rstrip("\r") for line in shown.splitlines() if "/pts/" not in line and "/proc/" not in line]
    return "\n".join(line.partition(":[")[0] for line in kept)


def _client(pid: int, name: str) -> dict[str, Any]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    wanted = r"^(?:SigBlk|SigIgn|Umask|NoNewPrivs|Name|CapEff):.*$"  # not dumpable: nobody sees more of it
    monitors = [re.findall(wanted, Path(f"/proc/{child}/status").read_text(), re.M) for child in children]
    return {"plan": plan_of(pid, name), "client": process_of(pid), "monitors": monitors}


def test_exec_prepared_third_needs_no_python(prepared: Prepared, sleeper: str) -> None:
    assert prepared.execute(sleeper, "echo", "a").ok() == "a\n"
    assert [path.stat().st_size for path in prepared.files()] == [0]
    _prime(prepared, "-i", sleeper, "true")
    assert prepared.execute("-i", sleeper, "cat", stdin=b"typed", python=False).ok() == "typed"
    assert prepared.execute("-i", sleeper, "sh", "-c", "exit 7", python=False).code == 7
    assert prepared.execute("-i", sleeper, "echo", 'e"f\\\n\x7f', "-it", python=False).ok() == 'e"f\\\n\x7f -it\n'
    assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON  # other words
    assert prepared.execute("-i", sleeper, "echo", "\u00fc", python=False).code == NO_PYTHON


def test_exec_prepared_failure_is_worded_as_ever(prepared: Prepared, sleeper: str) -> None:
    _prime(prepared, sleeper, "true")
    prepared.execute(sleeper, "no-such-program").failed(127, "no-such-program", "hint:")


def test_exec_prepared_ended_container_goes_to_python(prepared: Prepared, sleeper: str) -> None:
    _prime(prepared, sleeper, "true")
    prepared.pod("kill", sleeper).ok()
    prepared.pod.wait_for(sleeper, "exited")
    assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON
    prepared.execute(sleeper, "true").failed(1, "not running")
    prepared.pod("start", sleeper).ok()
    assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON
    assert prepared.execute(sleeper, "echo", "again").ok() == "again\n"


def test_exec_prepared_another_container_of_the_name_is_another(prepared: Prepared, busybox: str, sleeper: str) -> None:
    _prime(prepared, sleeper, "true")
    prepared.pod("rm", "-f", sleeper).ok()
    prepared.pod("run", "-d", "--name", sleeper, "-e", "SECOND=1", busybox, "sleep", "1000").ok()
    assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON
    assert prepared.execute(sleeper, "sh", "-c", "echo $SECOND").ok() == "1\n"


def test_exec_prepared_supervisor_killed_is_seen(prepared: Prepared, sleeper: str) -> None:
    _prime(prepared, sleeper, "true")
    state = json.loads((prepared.pod.root / "containers" / _id(prepared.pod, sleeper) / "state.json").read_text())
    os.kill(state["supervisor"], signal.SIGKILL)
    podcli.until(lambda: not _lives(state["supervisor"]), 10, "its end")
    assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON
    prepared.execute(sleeper, "true").failed(1, "not running")


def _id(pod: Pod, name: str) -> str:
    return str(pod.inspect(name)["Id"])


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_exec_prepared_number_of_another_process_is_not_taken(prepared: Prepared, sleeper: str) -> None:
    """As after the number of a process went to another one: the record's start differs."""
    file = prepared.pod.root / "containers" / _id(prepared.pod, sleeper) / "state.json"
    whole = file.read_text()
    state = json.loads(whole)
    _prime(prepared, sleeper, "true")
    file.write_text(json.dumps({**state, "pidStart": state["pidStart"] + 1}))
    try:
        assert prepared.execute(sleeper, "true", python=False).code == NO_PYTHON
        prepared.execute(sleeper, "true").failed(125, "hint:")
    finally:
        file.write_text(whole)
    assert prepared.execute(sleeper, "echo", "x").ok() == "x\n"


def test_exec_prepared_variables_are_looked_at(prepared: Prepared, sleeper: str, tmp_path: Path) -> None:
    file = tmp_path / "vars"
    file.write_text("A=1\n")
    words = ("--env-file", str(file), sleeper, "sh", "-c", "echo $A")
    _prime(prepared, *words)
    assert prepared.execute(*words, python=False).ok() == "1\n"
    file.write_text("A=2\n")
    assert prepared.execute(*words, python=False).code == NO_PYTHON
    assert prepared.execute(*words).ok() == "2\n"


def test_exec_prepared_file_damaged_anywhere_never_crashes(prepared: Prepared, sleeper: str) -> None:
    file = _prime(prepared, sleeper, "true")
    whole = file.read_bytes()
    chance = random.Random(20261121)
    for number in range(60):
        data = bytearray(whole)
        if number % 4 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(1 + number % 3):
            place = chance.choice((chance.randrange(700), chance.randrange(len(whole))))
            data[place % len(data)] ^= 1 << number % 8
        file.write_bytes(data)
        done = prepared.execute(sleeper, "true", python=False)
        assert done.code < 160, f"mutation {number}: {done!r}"
    file.write_bytes(whole)
    prepared.execute(sleeper, "true", python=False).ok()


def test_exec_prepared_killed_at_any_instant_leaves_nothing(prepared: Prepared, sleeper: str) -> None:
    _prime(prepared, sleeper, "true")
    chance = random.Random(7)
    for _ in range(40):
        argv = prepared.pod.argv("exec", sleeper, "sleep", "999")
        process = subprocess.Popen(argv, env=prepared.pod.environ(prepared.env), stdin=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.012))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    script = "! ps | grep 'sleep 999' | grep -qv grep"
    podcli.until(lambda: prepared.execute(sleeper, "sh", "-c", script).code == 0, 10, "their end")
