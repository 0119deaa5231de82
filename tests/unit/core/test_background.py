"""pod.core.background: what it begins is nobody's child, holds nothing of ours and says nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pod.core import background


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def read_when_there(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_run_when_it_works_then_it_is_alone_with_dev_null(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    held, other = os.pipe()
    before = children()

    def work() -> None:
        os.write(1, b"heard by nobody")
        streams = {os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)}
        told = [streams == {"/dev/null"}, os.path.exists(f"/proc/self/fd/{held}"), os.getcwd(), os.getsid(0)]
        (tmp_path / ".told").write_text(" ".join(map(str, told)))
        (tmp_path / ".told").rename(tmp_path / "told")

    background.run(work)
    assert children() == before
    *told, session = read_when_there(tmp_path / "told").split()
    assert told == ["True", "False", "/"]
    assert int(session) != os.getsid(0)
    os.close(held)
    os.close(other)
    assert capfd.readouterr().out == ""


def test_run_when_the_work_fails_then_nobody_hears_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    background.run(lambda: 1 // 0)
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert capfd.readouterr() == ("", "")


def test_run_when_there_is_no_process_to_be_had_then_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    background.run(lambda: None)
