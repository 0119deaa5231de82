"""The next file of a log, while the supervisor rotates between any two looks of the reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from pod.core.container import log_files


def rotate(folder: Path, number: int) -> None:
    """The open file becomes log.NUMBER; the next one says what its number will be."""
    (folder / "log").rename(folder / f"log.{number}")
    (folder / "log").write_text(f"{number + 1}")


def test_next_file_when_several_become_full_after_the_look_then_none_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text("1")
    looks = iter([[], None])

    def numbers(directory: str) -> list[int]:
        found = next(looks, None)
        if found is None:
            return real(directory)
        for number in (1, 2, 3):
            rotate(tmp_path, number)
        return found

    real = log_files.numbers
    monkeypatch.setattr(log_files, "numbers", numbers)
    file = log_files.next_file(str(tmp_path), 0)
    assert file is not None
    assert (file.number, file.read()) == (1, b"1")
    file.close()


def test_next_file_when_a_list_lacks_what_was_renamed_meanwhile_then_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text("1")

    def numbers(directory: str) -> list[int]:
        for number in (1, 2, 3):
            rotate(tmp_path, number)
        return [3]

    monkeypatch.setattr(log_files, "numbers", numbers)
    file = log_files.next_file(str(tmp_path), 0)
    assert file is not None
    assert (file.number, file.read()) == (1, b"1")
    file.close()
