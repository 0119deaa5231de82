"""Dockerfiles built: what of the language shows only where steps are carried out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.podcli import Pod


def build(pod: Pod, folder: Path, text: str, *flags: str) -> dict[str, object]:
    """The configuration of the image built:language."""
    (folder / "Dockerfile").write_text(text)
    pod("build", "-q", "-t", "built:language", *flags, str(folder)).ok()
    found: dict[str, object] = json.loads(
        pod("image", "inspect", "--format", "{{json .Config}}", "built:language").ok()
    )
    return found


def test_onbuild_of_a_stage_when_another_stands_on_it_then_done_there_and_gone(pod: Pod, tmp_path: Path) -> None:
    config = build(
        pod,
        tmp_path,
        "FROM scratch AS source\nCOPY <<file /\ncontent\nfile\n"
        "FROM scratch AS base\nENV A=1\nONBUILD ENV B=$A\nONBUILD COPY --from=source /file /copied\n"
        "FROM base AS middle\nENV C=$B\nFROM middle\nENV D=4\n",
    )
    assert [entry for entry in config["Env"] if not entry.startswith("PATH=")] == ["A=1", "B=1", "C=1", "D=4"]  # type: ignore[attr-defined]
    assert not config.get("OnBuild")
    pod("rmi", "built:language").ok()


def test_heredocs_and_args_when_run_then_as_written(pod: Pod, busybox: str, tmp_path: Path) -> None:
    build(
        pod,
        tmp_path,
        f"ARG outer=o\nFROM {busybox}\nARG outer\nARG inner=i\nENV kept=k\n"
        'COPY <<plain <<"quoted" /d/\n$kept "q" ${inner%i}\nplain\n$kept\nquoted\n'
        "RUN <<EOF\necho \"$outer$inner$kept\" >/d/script\nEOF\n"
        "RUN <<EOF\n#!/bin/sh -e\necho $0 >/d/program\nEOF\n"
        "RUN cat <<A >/d/shell && cat <<'B' >>/d/shell\n$((1 << 3))\nA\n$x\nB\n"
        "RUN echo $((1 << 4)) >/d/shift\n"
        'RUN ["sh", "-c", "echo \\"$kept\\" >/d/words"]\n',
        "--build-arg", "inner=given",
    )  # fmt: skip
    shown = pod("run", "--rm", "built:language", "sh", "-c", "cd /d && tail -n +1 -v * | grep -v '^$'").ok()
    assert shown.splitlines() == [
        "==> plain <==", 'k "q" given', "==> program <==", "/dev/pipes/EOF", "==> quoted <==", "$kept",
        "==> script <==", "ogivenk", "==> shell <==", "8", "$x", "==> shift <==", "16", "==> words <==", "k",
    ]  # fmt: skip
    pod("rmi", "built:language").ok()


@pytest.mark.alike
def test_heredoc_when_its_name_looks_like_a_pattern_then_a_file_all_the_same(pod: Pod, tmp_path: Path) -> None:
    names = ("[a]", "b*", "c")
    heads = " ".join(f"<<{name}" for name in names)
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nCOPY {heads} /x/\n" + "".join(f"{n}!\n{n}\n" for n in names))
    pod("build", "-q", "--output", f"type=local,dest={tmp_path}/out", str(tmp_path)).ok()
    assert {file.name: file.read_text() for file in (tmp_path / "out" / "x").iterdir()} == {n: f"{n}!\n" for n in names}


@pytest.mark.alike
def test_heredoc_when_its_name_leads_out_then_refused(pod: Pod, tmp_path: Path) -> None:
    target = tmp_path / "outside"
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nCOPY <<{target} /x\nmine\n{target}\n")
    result = pod("build", str(tmp_path))
    result.failed(1, "line 2", "invalid name of a file")
    assert not target.exists()


def test_from_when_a_context_has_files_then_refused_and_of_an_image_taken(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    config = build(pod, tmp_path, "FROM thing\nENV A=1\n", "--build-context", f"thing=docker-image://{busybox}")
    assert config["Cmd"] == ["sh"]
    pod("rmi", "built:language").ok()
    done = pod("build", "--build-context", f"thing={tmp_path}", str(tmp_path))
    done.failed(1, "build context thing: files, and no image", "docker-image://")


def test_triggers_of_an_image_when_they_take_from_stages_then_those_are_built_first(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    """Also with stages at the same time; what leads round in a circle is refused."""
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nONBUILD COPY --from=source /s /copied\n")
    pod("build", "-q", "-t", "built:triggers", str(tmp_path)).ok()
    text = (
        "FROM scratch AS before\nCOPY <<s /s\ncontent\ns\nFROM scratch AS source\nCOPY --from=before /s /s\n"
        "FROM scratch AS other\nCOPY Dockerfile /\nFROM built:triggers\nCOPY --from=other /Dockerfile /\n"
    )
    build(pod, tmp_path, text)
    assert pod("run", "--rm", "built:language", "cat", "/copied").ok() == "content\n"
    pod("rmi", "built:language").ok()
    (tmp_path / "Dockerfile").write_text(
        "FROM built:triggers AS last\nFROM scratch AS source\nCOPY --from=last /copied /s\nFROM last\n"
    )
    pod("build", str(tmp_path)).failed(1, "circular dependency detected")
    pod("rmi", "built:triggers").ok()
