"""The small grammars of run's flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pod.cli import explain, run_values
from pod.core.errors import UsageError


def test_environment_files_then_flags_and_bare_names_take_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbf# note\r\nA=1\r\n\r\n  B= two \nC=x\x0cy\xe2\x80\xa8z\nHOME\nNONE\n")
    found = run_values.environment([str(path)], ["D=4", "HOME", "E=", "NONE"], {"HOME": "/h"})
    assert found == ["A=1", "B= two ", "C=x\x0cy\u2028z", "HOME=/h", "D=4", "HOME=/h", "E="]


@pytest.mark.parametrize("content", [b"A B=1\n", b"=x\n", b"\xff\n", b"A=\0\n", b" =1\n", b"A =1\n"])
def test_environment_when_a_file_is_broken_then_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "env").write_bytes(content)
    with pytest.raises(UsageError):
        run_values.environment([str(tmp_path / "env")], [], {})


@pytest.mark.parametrize("path", ["/nowhere", "/etc", "/dev/zero"])
def test_environment_when_a_file_cannot_be_read_then_usage_error(path: str) -> None:
    with pytest.raises(UsageError, match=path):
        run_values.environment([path], [], {})


def test_labels_later_ones_win_and_may_be_empty() -> None:
    assert run_values.labels([], ["a=1", "b", "a=2=3"]) == {"a": "2=3", "b": ""}


GRAMMARS: dict[str, Callable[[list[str]], Any]] = {
    "ulimits": run_values.ulimits,
    "exposed": run_values.exposed,
    "dns": run_values.dns,
    "hosts": lambda given: run_values.extra_hosts(given, "host"),
    "hosts of a network": lambda given: run_values.extra_hosts(given, "bridge"),
    "devices": run_values.devices,
    "tmpfs": run_values.tmpfs,
    "security": run_values.security_options,
    "volumes": run_values.volumes,
    "env": lambda given: run_values.environment([], given, {}),
    "labels": lambda given: run_values.labels([], given),
}


@pytest.mark.parametrize(
    ("grammar", "given", "expected"),
    [
        ("ulimits", ["nofile=1024", "core=-1", "cpu=1:2", "nproc=5:-1"],
         [("nofile", 1024, 1024), ("core", -1, -1), ("cpu", 1, 2), ("nproc", 5, -1)]),
        ("exposed", ["80", "81-83/udp"], ["80/tcp", "81/udp", "82/udp", "83/udp"]),
        ("hosts", ["a:1.2.3.4", "b=[::1]", "c:::1", "d:host-gateway"], ["a:1.2.3.4", "b:::1", "c:::1", "d:127.0.0.1"]),
        ("hosts of a network", ["d:host-gateway"], ["d:host-gateway"]),
        ("devices", ["/dev/null", "/dev/null:/x/../dev/n:rwm"],
         [("/dev/null", "/dev/null", "rwm"), ("/dev/null", "/dev/n", "rwm")]),
        ("tmpfs", ["/a//b/", "/c:size=1m"], {"/a/b": "", "/c": "size=1m"}),
        ("security", ["no-new-privileges", "no-new-privileges:true", "seccomp=unconfined", "label:disable"],
         ["no-new-privileges", "no-new-privileges=true", "seccomp=unconfined", "label=disable"]),
    ],
)  # fmt: skip
def test_value_when_dockers_form_then_read(grammar: str, given: list[str], expected: Any) -> None:
    assert GRAMMARS[grammar](given) == expected


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        *(("ulimits", text) for text in ("", "nofile", "nofile=", "as=1", "nofile=²", "nofile=--1", "nofile=2:1",
                                         "nofile=-1:5", "nofile=" + "9" * 5000, "nofile=1:2:3", "nofile=-2")),
        *(("exposed", text) for text in ("", "0", "65536", "2-1", "a", "80/x", "²", "9" * 5000, "1-", "-1", "1-2-3")),
        *(("dns", text) for text in ("", "one", "1.2.3", "1.2.3.4\nx", "::g")),
        *(("hosts", text) for text in ("", "a", "a:", ":1.2.3.4", "a b:1.2.3.4", "a:1.2.3.4\nx:5.6.7.8", "a:x")),
        *(("devices", text) for text in ("", "null", "/nowhere", "/dev/null:r", "/dev/null:/x:r", "/dev/null:x")),
        *(("tmpfs", text) for text in ("", "/", "a", "/..", "/a:bogus", "/proc", "/proc/sys:ro")),
        *(("security", text) for text in ("", "x", "seccomp", "seccomp=", "apparmor=x", "no-new-privileges=maybe")),
        *(("env", text) for text in ("", "=x")),
        ("labels", "=x"),
    ],
)  # fmt: skip
def test_value_when_it_is_none_then_usage_error(grammar: str, text: str) -> None:
    with pytest.raises(UsageError):
        GRAMMARS[grammar]([text])


@pytest.mark.parametrize("given", [["/a", "/a/"], ["/x:/a", "n1:/a"]])
def test_volumes_when_two_have_one_target_then_usage_error(given: list[str]) -> None:
    with pytest.raises(UsageError, match="Duplicate mount point"):
        run_values.volumes(given)


@pytest.mark.parametrize("name", ["kernel.core_pattern", "net/ipv4/x", "net..x", "vm.overcommit", "", "kernel.shm"])
def test_sysctls_when_not_of_a_namespace_then_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="sysctl"):
        run_values.sysctls({name: "1"}, "none", "private")


@pytest.mark.parametrize(
    ("step", "number", "program", "code", "words"),
    [
        ("EXEC", 2, "x", 127, '"x": executable file not found in $PATH'),
        ("EXEC", 2, "/x", 127, '"/x": no such file or directory'),
        ("EXEC", 13, "/x", 126, "permission denied"),
        ("EXEC", 8, "/x", 126, "exec format error"),
        ("EXEC", 20, "/x", 126, "not a directory"),
        ("SETUID", 2, "x", 125, "unable to find user ghost"),
        ("SETUID", 22, "x", 125, "ids must be in range"),
        ("CHDIR", 2, "x", 125, 'chdir to cwd ("ghost")'),
        ("RESOLVE", 40, "x", 125, "mount target /ghost"),
        ("RESOLVE", 18, "x", 125, "leads to /proc"),
        ("CLONE", 1, "x", 125, "clone"),
        ("NOSUCHSTEP", 9999, "x", 125, "nosuchstep"),
    ],
)
def test_explain_words_status_and_reason(step: str, number: int, program: str, code: int, words: str) -> None:
    error = explain.word("start", "it", program, step, number, "ghost")
    assert error.exit_code == code
    assert words in error.message
    assert error.message.startswith("start container: it: ")
    assert error.hint
