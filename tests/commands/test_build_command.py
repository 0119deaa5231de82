"""build as it is typed: outputs, files, what is shown, what is refused, and the cache's commands."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until
from tests.support.registry import Registry

Context = Path


@pytest.fixture
def context(busybox: str, tmp_path: Path) -> Context:
    """A folder with a Dockerfile of three steps, the last of which is a stage of its own."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    (folder / "Dockerfile").write_text(
        f"FROM {busybox} AS base\nRUN echo made > /made && echo shown\nFROM scratch AS out\n"
        "COPY --from=base /made /dir/made\nCOPY --chown=7:8 file /file\n"
    )
    return folder


@pytest.mark.parametrize("words", [["build"], ["image", "build"], ["builder", "build"], ["buildx", "build"]])
def test_build_by_each_name_then_quiet_prints_the_id(pod: Pod, context: Context, words: list[str]) -> None:
    result = pod(*words, "-q", "-t", "built:1", str(context))
    image = result.ok().strip()
    assert image == pod("image", "inspect", "--format", "{{.Id}}", "built:1").ok().strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image)
    assert result.err == ""
    pod("rmi", "built:1").ok()


def test_build_plain_then_steps_their_output_and_a_summary_on_standard_error(pod: Pod, context: Context) -> None:
    result = pod("build", "--no-cache", "-t", "built:2", str(context))
    assert result.ok() == ""
    lines = result.err.splitlines()
    assert any(re.fullmatch(r"#\d+ \[base 2/2\] RUN echo made .*", line) for line in lines), result.err
    assert any(re.fullmatch(r"#\d+ \d+\.\d{3} shown", line) for line in lines), result.err
    assert any(re.fullmatch(r"#\d+ DONE \d+\.\ds", line) for line in lines)
    assert any(line.endswith("naming to docker.io/library/built:2 done") for line in lines)
    assert re.fullmatch(r"Built in [\d.]+s: \d of \d steps cached.*", lines[-1]), lines[-1]
    again = pod("build", "-t", "built:2", str(context))
    again.ok()
    assert re.search(r"^#\d+ CACHED$", again.err, re.MULTILINE)
    pod("rmi", "built:2").ok()


def test_build_on_a_terminal_then_a_live_view(pod: Pod, context: Context) -> None:
    terminal = pod.terminal("build", "--no-cache", str(context))
    try:
        terminal.expect(rb"FINISHED", 60)
        assert terminal.wait(60) == 0
        assert b"Built in " in terminal.seen
    finally:
        terminal.close()


def test_build_rawjson_then_every_line_is_a_document(pod: Pod, context: Context) -> None:
    result = pod("build", "--progress", "rawjson", str(context))
    result.ok()
    documents = [json.loads(line) for line in result.err.splitlines()]
    assert {"vertexes"} <= {key for one in documents for key in one}


def test_build_failure_then_the_lines_around_it_and_docker_words(pod: Pod, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\n\nRUN echo last words && exit 7\nENV A=b\n")
    result = pod("build", "-t", "never:1", "--iidfile", str(tmp_path / "iid"), str(tmp_path))
    result.failed(1, 'process "/bin/sh -c echo last words && exit 7" did not complete successfully: exit code: 7')
    assert "last words" in result.err
    assert "Dockerfile:3" in result.err
    assert ">>> RUN echo last words && exit 7" in result.err
    assert not (tmp_path / "iid").exists()
    pod("image", "inspect", "never:1").failed(1)


def test_build_local_output_then_files_of_the_caller(pod: Pod, context: Context, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    before = pod("images", "-aq", "--no-trunc").ok()
    pod("build", "-q", "-o", str(out), str(context)).ok()
    assert (out / "file").read_text() == "content\n"
    assert (out / "dir/made").read_text() == "made\n"
    found = (out / "file").stat()
    assert (found.st_uid, stat.S_ISREG(found.st_mode)) == (os.geteuid(), True)
    assert pod("images", "-aq", "--no-trunc").ok() == before, "no image without an output that makes one"


def test_build_tar_output_then_owners_are_in_it(pod: Pod, context: Context, tmp_path: Path) -> None:
    path = tmp_path / "o.tar"
    pod("build", "-q", "-o", f"type=tar,dest={path}", str(context)).ok()
    with tarfile.open(path) as archive:
        entries = {entry.name.rstrip("/"): entry for entry in archive}
    assert (entries["file"].uid, entries["file"].gid) == (7, 8)
    assert entries["dir/made"].uid == 0


def test_build_to_standard_output_then_the_archive_alone(pod: Pod, context: Context, tmp_path: Path) -> None:
    path = tmp_path / "o.tar"
    with path.open("wb") as file:
        process = pod.start("build", "-o", "-", str(context))
        out, _ = process.communicate(timeout=120)
        file.write(out)
    assert process.returncode == 0
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert "file" in archive.getnames()


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_build_archive_output_then_load_takes_it(pod: Pod, context: Context, tmp_path: Path, kind: str) -> None:
    path, iid = tmp_path / "o.tar", tmp_path / "iid"
    pod("build", "-t", f"made/{kind}:1", "-o", f"type={kind},dest={path}", "--iidfile", str(iid), str(context)).ok()
    pod("image", "inspect", f"made/{kind}:1").failed(1)
    assert f"made/{kind}:1" in pod("load", "-i", str(path)).ok()
    assert pod("image", "inspect", "--format", "{{.Id}}", f"made/{kind}:1").ok().strip() == iid.read_text()
    pod("rmi", f"made/{kind}:1").ok()


def test_build_files_then_id_and_metadata(pod: Pod, context: Context, tmp_path: Path) -> None:
    iid, metadata = tmp_path / "iid", tmp_path / "metadata"
    pod("build", "-t", "built:3", "--iidfile", str(iid), "--metadata-file", str(metadata), str(context)).ok()
    image = pod("image", "inspect", "--format", "{{.Id}}", "built:3").ok().strip()
    assert iid.read_text() == image
    found = json.loads(metadata.read_text())
    assert found["containerimage.config.digest"] == image
    assert found["image.name"] == "docker.io/library/built:3"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", found["containerimage.digest"])
    pod("rmi", "built:3").ok()


def test_build_push_then_the_registry_has_it(pod: Pod, context: Context, writable_registry: Registry) -> None:
    name = f"{writable_registry.host}/team/pushed:1"
    pod("build", "-q", "--push", "-t", name, str(context)).ok()
    image = pod("image", "inspect", "--format", "{{.Id}}", name).ok().strip()
    pod("rmi", name).ok()
    pod("pull", "-q", name).ok()
    assert pod("image", "inspect", "--format", "{{.Id}}", name).ok().strip() == image
    pod("rmi", name).ok()


def test_builder_du_and_prune(fresh_pod: Pod, tmp_path: Path) -> None:
    pod = fresh_pod
    image = pod.image("busybox:latest")
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nRUN echo one > /one\nRUN echo two > /two\n")
    pod("build", "-q", "-t", "kept:1", str(tmp_path)).ok()
    rows = pod("builder", "du", "--format", "json").ok().splitlines()
    shown = [json.loads(row) for row in rows]
    assert any("echo two" in row["Description"] for row in shown)
    assert {row["Shared"] for row in shown if "echo" in row["Description"]} == {"true"}
    assert pod("buildx", "du").ok().splitlines()[-1].startswith("Total:")
    pod("builder", "prune", "-f").ok()
    assert "echo two" in pod("builder", "du", "--verbose").ok(), "what an image has takes no room: it stays"
    assert _cache_row(pod)["Reclaimable"] == "0B"
    pod("rmi", "kept:1").ok()
    row = _cache_row(pod)
    assert (row["TotalCount"], row["Active"]) == ("2", "0")
    assert row["Size"] != "0B"
    assert "CACHE ID" in pod("system", "df", "-v").ok()
    assert "Deleted build cache objects:" in pod("builder", "prune", "-f").ok()
    pod("builder", "prune", "-af").ok()
    assert "echo" not in pod("builder", "du", "--verbose").ok()
    pod("build", "-q", str(tmp_path)).ok()
    assert "Deleted build cache objects:" in pod("system", "prune", "-af").ok()
    assert _cache_row(pod)["TotalCount"] == "0"
    assert not pod.leftovers()


def _cache_row(pod: Pod) -> dict[str, str]:
    rows = [json.loads(row) for row in pod("system", "df", "--format", "json").ok().splitlines()]
    (found,) = [row for row in rows if row["Type"] == "Build Cache"]
    return dict(found)


@pytest.mark.alike
@pytest.mark.parametrize("command", ["bake", "create", "imagetools", "use", "ls"])
def test_buildx_commands_that_are_not_there_are_refused_by_name(pod: Pod, command: str) -> None:
    pod("buildx", command).failed(1, f"'buildx {command}' is not in pod")


@pytest.mark.alike
def test_build_when_flags_are_wrong_then_nothing_is_read_or_pulled(offline_pod: Pod, tmp_path: Path) -> None:
    pod = offline_pod
    pod("build").failed(1, '"pod build" requires exactly 1 argument')
    pod("build", "--memory", "1m", ".").failed(125, "Minimum memory limit allowed is 6MB")
    pod("build", "--progress", "loud", ".").failed(125, "invalid progress mode loud")
    pod("build", "-q", "--progress", "plain", ".").failed(125, "cannot be used together")
    pod("build", "--iidfile", str(tmp_path / "no/iid"), ".").failed(125, "--iidfile")
    pod("build", "--call", "outline", ".").failed(125, "--call outline")
    pod("build", "--squash", str(tmp_path)).failed(1, "--squash")
    pod("builder", "prune", "-f", "--filter", "color=red").failed(1, "invalid filter 'color'")
    pod("build", str(tmp_path / "none")).failed(1)


@pytest.mark.alike
def test_build_groups_have_help(pod: Pod) -> None:
    for group, commands in (("builder", ("build", "du", "prune")), ("buildx", ("build", "du", "prune"))):
        text = pod(group, "--help").ok()
        for command in commands:
            assert re.search(rf"^  {command} +\S", text, re.MULTILINE), text
            assert "Usage:" in pod(group, command, "--help").ok()
    assert re.search(r"^  build +Build an image from a Dockerfile", pod("--help").ok(), re.MULTILINE)
    assert "-t, --tag list" in pod("build", "--help").ok()


def test_build_check_then_warnings_and_no_image(pod: Pod, tmp_path: Path, busybox: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nCMD echo shell form\n")
    result = pod("build", "--check", str(tmp_path))
    assert result.code == 1
    assert "Check complete, 1 warning has been found!" in result.out
    assert "WARNING: JSONArgsRecommended" in result.out
    built = pod("build", str(tmp_path))
    built.ok()
    assert " 1 warning found:\n - JSONArgsRecommended: " in built.err
    pod("build", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", str(tmp_path)).failed(1, "lint violation found")
    (tmp_path / "Dockerfile").write_text(f'FROM {busybox}\nCMD ["true"]\n')
    assert pod("build", "--call=check", str(tmp_path)).ok().strip() == "Check complete, no warnings found."


@pytest.mark.parametrize("when", [rb"\] RUN", rb"\n#\d+ [\d.]+ begun"])
def test_build_interrupted_then_ends_at_once_and_leaves_nothing(
    pod: Pod, busybox: str, tmp_path: Path, when: bytes
) -> None:
    import signal
    import time

    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nRUN echo begun && sleep 1000\n")
    process = pod.start("build", "--progress", "plain", str(tmp_path))
    assert process.stderr is not None
    seen = b""

    def begun() -> bool:
        nonlocal seen
        assert process.stderr is not None
        seen += os.read(process.stderr.fileno(), 65536)
        return re.search(when, seen) is not None

    until(begun, 30, "the step's output")
    since = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - since < 3  # the issue asks for a second, on a machine that does nothing else
    assert process.returncode == 130
    assert not pod.leftovers()
