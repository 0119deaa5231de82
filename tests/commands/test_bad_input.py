"""Bad input: names that are unknown, ambiguous or strange, states that do not fit, values that mean nothing. One clear
line each, Docker's status, and nothing changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pod.cli import complete, container, main
from tests.support.podcli import Pod


@pytest.fixture
def pair(pod: Pod, busybox: str) -> Iterator[dict[str, str]]:
    """Names to ids of a container that runs and of one that has ended; they are as they were when the test is over."""
    pod("run", "-d", "--name", "runs", "--network", "none", busybox, "sleep", "1000").ok()
    pod("run", "--name", "ended", busybox, "true").ok()
    before = picture(pod)
    yield {name: pod.inspect(name)["Id"] for name in ("runs", "ended")}
    assert picture(pod) == before


def picture(pod: Pod) -> tuple[str, list[str], list[str], list[str]]:
    """Containers, their states, folders and names, and the volumes."""
    rows = pod("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}} {{.Command}} {{.Mounts}}").ok()
    folders = [sorted(os.listdir(pod.root / name)) for name in ("containers", "names")]
    return rows, folders[0], folders[1], pod("volume", "ls", "-q").ok().split()


STOPPED = "container {ended} is not running"
CASES: list[tuple[list[str], int, str]] = [
    # states
    (["exec", "ended", "true"], 1, STOPPED),
    (["kill", "ended"], 1, STOPPED),
    (["attach", "ended"], 1, "You cannot attach to a stopped container, start it first"),
    (["rm", "runs"], 1, "cannot remove container"),
    # names
    (["start", "no body"], 1, "No such container: no body"),
    (["rm", ""], 1, "invalid container name or ID: value is empty"),
    (["stop", "a/b"], 1, "No such container: a/b"),
    (["logs", "../ended"], 1, "No such container: ../ended"),
    (["inspect", "--type", "container", "x\x1b[31m"], 1, "No such container: x\\x1b[31m"),
    (["create", "--name", "a b", "IMAGE"], 125, "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are"),
    (["run", "--name", "../up", "IMAGE"], 125, "Invalid container name (../up)"),
    (["run", "--name", "ü", "IMAGE"], 125, "Invalid container name (ü)"),
    (["run", "--name", "-x", "IMAGE"], 125, "Invalid container name (-x)"),
    (
        ["create", "--name", "ended", "IMAGE"],
        125,
        'Conflict. The container name "/ended" is already in use by container "{ended}". You have to remove (or rename)'
        " that container to be able to reuse that name.",
    ),
    # templates
    (["ps", "--format", "{{.ID"], 1, "template parsing error: template: :1: unclosed action"),
    (["inspect", "-f", "{{nosuch .}}", "runs"], 1, 'function "nosuch" not defined'),
    (["ps", "--format", "{{.NoSuch}}"], 1, "NoSuch"),
    # numbers, sizes, durations, moments
    (["run", "--shm-size", "1x", "IMAGE"], 125, 'invalid argument "1x" for "--shm-size" flag: invalid suffix: \'x\''),
    (["run", "--health-interval", "5x", "IMAGE"], 125, 'time: unknown unit "x" in duration "5x"'),
    (["run", "--stop-timeout", "soon", "IMAGE"], 125, 'invalid argument "soon" for "--stop-timeout" flag'),
    (["stop", "-t", "1.5", "runs"], 125, 'invalid argument "1.5" for "-t, --timeout" flag'),
    (["ps", "-n", "many"], 125, 'invalid argument "many" for "-n, --last" flag'),
    (["run", "--log-opt", "max-size=x", "IMAGE"], 125, "invalid size: 'x'"),
    (["container", "prune", "--filter", "until=x", "-f"], 1, "failed to parse value as time or duration"),
    (["kill", "-s", "NOPE", "runs"], 1, "invalid signal: NOPE"),
    (["stop", "-s", "99", "runs"], 1, "invalid signal: 99"),
    (["run", "--stop-signal", "NOPE", "IMAGE"], 125, "invalid signal: NOPE"),
    (["attach", "--detach-keys", "nokey", "runs"], 125, "invalid detach keys (nokey)"),
    # cp to and from nowhere
    (["cp", "/etc/hostname", "runs:/no/such/place"], 1, "Could not find the file /no/such"),
    (["cp", "runs:/none", "."], 1, "Could not find the file /none in container runs"),
    (["cp", "runs:/etc/hostname", "no/such/"], 1, "invalid output path: directory"),
    (["cp", "no-such-file", "runs:/tmp"], 1, "no-such-file: no such file or directory"),
    (["cp", "a", "b"], 1, "must specify at least one container source"),
    (["cp", "runs:/a", "ended:/b"], 1, "copying between containers is not supported"),
    # words and counts of them
    (["stop"], 1, '"pod stop" requires at least 1 argument.'),
    (["port", "a", "b", "c"], 1, '"pod port" requires at least 1 and at most 2 arguments.'),
    (["ps", "runs"], 1, '"pod ps" accepts no arguments.'),
    (["rm", "--nonsense", "ended"], 125, "unknown flag: --nonsense"),
]


def test_bad_input_gets_one_line_and_changes_nothing(pod: Pod, pair: dict[str, str], busybox: str) -> None:
    for argv, code, words in CASES:
        done = pod(*(busybox if word == "IMAGE" else word for word in argv))
        done.failed(code, words.format(**pair) if "{ended}" in words else words)
        assert done.out in ("", "[]\n"), done


def containers_commands() -> list[str]:
    """Every command whose first argument is a container."""
    found = []
    for name, entry in main.COMMANDS.items():
        if entry[2] not in ("hidden", "group"):
            kinds, _ = complete.operands(main.load(entry[0]).COMMAND.usage)
            if kinds[:1] in (["CONTAINER"], ["OBJECT"], ["CONTAINER:PATH"]):
                found.append(name)
    return found


def test_every_command_says_of_an_unknown_container_that_there_is_none(pod: Pod, pair: dict[str, str]) -> None:
    tried = containers_commands()
    assert set(tried) <= set(container.COMMANDS), "each is also there as: pod container …"
    assert {"attach", "exec", "inspect", "kill", "logs", "port", "rm", "start", "stop"} <= set(tried)
    more = {"exec": ["true"], "rename": ["other"], "cp": ["."], "update": ["--restart", "no"]}
    for name in tried:
        unknown = "nobody:/file" if name == "cp" else "nobody"
        done = pod(name, unknown, *more.get(name, []))
        done.failed(1, "No such object: nobody" if name == "inspect" else "No such container: nobody")


def test_commands_on_several_containers_have_a_line_for_each(pod: Pod, busybox: str) -> None:
    for name in ("one", "two"):
        pod("run", "-d", "--name", name, busybox, "sleep", "1000").ok()
    done = []
    for name in ("kill", "start", "restart", "pause", "unpause", "stop", "wait", "update", "rm"):
        if name not in main.COMMANDS:
            continue
        options = {"update": ["--restart", "no"], "stop": ["-t", "0"], "restart": ["-t", "0"]}.get(name, [])
        result = pod(name, *options, "one", "nobody", "two", "nowhere")
        assert result.code == 1, result
        said = [line for line in result.err.splitlines() if line.startswith("pod: ")]
        assert said == ["pod: No such container: nobody", "pod: No such container: nowhere"], result
        wanted = ["137", "137"] if name == "wait" else ["one", "two"]
        assert result.out.split() == wanted, result
        done.append(name)
    assert done[0] == "kill"
    assert done[-1] == "rm"
    assert pod("ps", "-aq").ok() == ""


def test_prefixes_of_ids_work_where_they_are_unambiguous(pod: Pod, busybox: str) -> None:
    """Seventeen ids: at least two begin with the same digit."""
    first: dict[str, str] = {}
    twice = ""
    for _ in range(17):
        one = pod("create", busybox).ok().strip()
        if one[0] in first:
            twice = one[0]
            break
        first[one[0]] = one
    for command in (["start"], ["inspect"], ["logs"], ["rm", "-f"], ["port"]):
        done = pod(*command, twice)
        done.failed(1, f"multiple IDs found with provided prefix: {twice}")
    assert pod.inspect(one[:13])["Id"] == one
    assert pod("rm", one[:20]).ok().strip() == one[:20]
    assert pod.inspect(twice)["Id"] == first[twice]


def test_a_name_goes_before_the_prefix_of_an_id(pod: Pod, busybox: str) -> None:
    one = pod("create", busybox).ok().strip()
    other = pod("create", "--name", one[:6], busybox).ok().strip()
    assert pod.inspect(one[:6])["Id"] == other
    assert pod.inspect(one[:7])["Id"] == one
    assert pod.inspect(one)["Id"] == one


def test_made_up_names_are_an_adjective_and_a_noun(pod: Pod, busybox: str) -> None:
    pod("create", busybox).ok()
    name = pod("ps", "-a", "--format", "{{.Names}}").ok().strip()
    adjective, noun = name.split("_")
    assert (adjective + noun).isalpha()
    assert (adjective + noun).islower()
