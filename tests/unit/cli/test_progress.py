"""cli/progress: Docker's lines without a terminal, a line for each layer with one."""

from __future__ import annotations

import sys

import pytest

from pod.cli import progress


def test_view_without_a_terminal_prints_dockers_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress.View(sys.stdout, 0)
    view("pulling", {"tag": "latest", "name": "library/busybox"})
    view("layer", {"id": "0123456789ab", "status": "Pulling fs layer"})
    for done in range(0, 100, 10):
        view("layer", {"id": "0123456789ab", "status": "Downloading", "current": done, "total": 100})
    view("layer", {"id": "0123456789ab", "status": "Download complete"})
    view("layer", {"id": "0123456789ab", "status": "Pull complete"})
    view("digest", {"digest": "sha256:00"})
    view("status", {"text": "Downloaded newer image for busybox:latest"})
    assert capsys.readouterr().out.splitlines() == [
        "latest: Pulling from library/busybox",
        "0123456789ab: Pulling fs layer",
        "0123456789ab: Download complete",
        "0123456789ab: Pull complete",
        "Digest: sha256:00",
        "Status: Downloaded newer image for busybox:latest",
    ]


def test_view_on_a_terminal_redraws_the_line_of_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress.View(sys.stdout, 120)
    view("layer", {"id": "a", "status": "Pulling fs layer"})
    view("layer", {"id": "b", "status": "Pulling fs layer"})
    view("layer", {"id": "a", "status": "Downloading", "current": 500, "total": 1000})
    out = capsys.readouterr().out
    assert out.startswith("a: Pulling fs layer\nb: Pulling fs layer\n\x1b[2A\r\x1b[2Ka: Downloading [====")
    assert out.endswith("500B/1kB\x1b[2B\r")


def test_view_of_a_warning_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    progress.View(sys.stdout, 0)("warning", {"text": "mind\x1b"})
    progress.View(sys.stdout, 0, quiet=True)("warning", {"text": "nothing"})
    captured = capsys.readouterr()
    assert captured.err == "WARNING: mind\\x1b\n"
    assert captured.out == ""


def test_view_of_an_unknown_event_raises() -> None:
    with pytest.raises(ValueError, match="unknown progress event"):
        progress.View(sys.stdout, 0)("nonsense", {})


def test_for_command_sends_pull_to_stdout_and_run_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress.for_command("image pull")("digest", {"digest": "1"})
    progress.for_command("run")("not-local", {"name": "x:latest"})
    captured = capsys.readouterr()
    assert captured.out == "Digest: 1\n"
    assert captured.err == "Unable to find image 'x:latest' locally\n"


def test_bar_shows_bytes_where_it_knows_them() -> None:
    assert progress.bar(None, None, 200) == ""
    assert progress.bar(1500, None, 200) == "1.5kB"
    assert progress.bar(50, 100, 80) == "     50B/100B"
    assert progress.bar(100, 100, 200).startswith("[" + "=" * 50)
