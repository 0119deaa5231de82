"""A project as others get it: places of errors, hashes, parts, warnings; the schema compiled and searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pod.core.compose import hashing, interpolating, load, schema, selecting
from pod.core.compose.project import Project, Request
from pod.core.errors import ComposeError, PodError
from tests.support import compose_corpus

pytestmark = pytest.mark.pure


def project(folder: Path, text: str, **options: Any) -> Project:
    (folder / "compose.yaml").write_text(text)
    return load.load(Request(environ={"HOME": "/h"}, cwd=str(folder), project_name="p", **options))


def test_error_when_in_the_second_file_then_that_file_and_its_line(tmp_path: Path) -> None:
    (tmp_path / "over.yaml").write_text("services:\n  a:\n    hostname: h\n    ports:\n      - target: x\n")
    with pytest.raises(ComposeError) as caught:
        project(tmp_path, "services:\n  a:\n    image: x\n", files=["compose.yaml", "over.yaml"])
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "over.yaml"), 5)
    assert caught.value.path == "services.a.ports.0.target"


def test_error_when_of_the_first_file_then_its_line(tmp_path: Path) -> None:
    (tmp_path / "over.yaml").write_text("services:\n  a:\n    hostname: h\n")
    text = "services:\n  a:\n    image: x\n    volumes:\n      - data:/x\n"
    with pytest.raises(ComposeError) as caught:
        project(tmp_path, text, files=["compose.yaml", "over.yaml"])
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "compose.yaml"), 5)


def test_hash_when_what_changes_no_container_changes_then_the_same(tmp_path: Path) -> None:
    plain = hashing.service_hash(project(tmp_path, "services: {a: {image: x, network_mode: none}}"), "a")
    more = "{image: x, network_mode: none, scale: 3, build: ., pull_policy: always, depends_on: [b]}"
    changed = project(tmp_path, f"services: {{a: {more}, b: {{image: y}}}}")
    assert hashing.service_hash(changed, "a") == plain
    # What docker compose 2.26 config --hash prints of it.
    assert plain == "fa20853724571420c95893478b6c90c02b3478d444ede888a8b66d867a9bb9f4"


def test_hash_when_a_container_would_change_then_another(tmp_path: Path) -> None:
    texts = ["{image: x}", "{image: y}", "{image: x, labels: [a=<]}", "{image: x, environment: {A: 1}}"]
    found = [project(tmp_path, f"services: {{a: {text}}}") for text in texts]
    assert len({hashing.service_hash(one, "a") for one in found}) == len(texts)


def test_select_when_a_service_is_named_then_it_and_what_it_needs(tmp_path: Path) -> None:
    text = "services: {a: {image: x, depends_on: [b]}, b: {image: y}, c: {image: z, networks: [n]}}\nnetworks: {n: }\n"
    found = selecting.select(project(tmp_path, text), ["a"])
    assert (sorted(found.services), sorted(found.disabled)) == (["a", "b"], ["c"])
    assert sorted(found.used("networks")) == ["default"]
    alone = selecting.select(project(tmp_path, text), ["a"], dependencies=False)
    assert sorted(alone.services) == ["a"]
    assert "depends_on" not in alone.services["a"]
    with pytest.raises(PodError, match="no such service: d"):
        selecting.select(project(tmp_path, text), ["d"])


def test_target_when_of_a_profile_then_switches_it_on(tmp_path: Path) -> None:
    more = "c: {image: z, profiles: [p]}, d: {image: w, profiles: [q]}"
    text = f"services: {{a: {{image: x}}, b: {{image: y, profiles: [p]}}, {more}}}"
    found = project(tmp_path, text, services=["b"])
    assert sorted(found.services) == ["a", "b", "c"]
    assert sorted(found.disabled) == ["d"]


def test_warnings_when_variables_are_unset_and_version_is_there_then_each_once(tmp_path: Path) -> None:
    found = project(tmp_path, "version: '3'\nservices: {a: {image: x, labels: [a=$N, b=$N]}}")
    assert [text.split(" ")[1] for text in found.warnings] == ['"N"', "the"]
    assert "`version` is obsolete" in found.warnings[1]


def test_environment_when_a_secret_is_of_a_variable_then_it_is_there_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=hidden\n")
    found = project(tmp_path, "services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {environment: TOKEN}}")
    assert found.environment["TOKEN"] == "hidden"
    assert "hidden" not in json.dumps([found.document(), found.shown()])


def test_variables_when_extracted_then_with_their_defaults() -> None:
    found = interpolating.found_variables({"a": ["${B:-x}", "$$C", "${D?e}${E:+f}"], "b": "${F-${G}}"})
    assert found == [
        ("B", False, "x", ""), ("D", True, "", ""), ("E", False, "", "f"), ("F", False, "${G}", ""),
        ("G", False, "", ""),
    ]  # fmt: skip


def test_stdin_when_the_file_then_read_from_there(tmp_path: Path) -> None:
    text = b"services: {a: {image: x, build: .}}"
    found = load.load(Request(environ={}, cwd=str(tmp_path), files=["-"], stdin=text, project_name="p"))
    assert found.services["a"]["build"]["context"] == str(tmp_path)


def test_file_when_above_then_found_and_its_folder_is_the_project(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x}}")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    found = load.load(Request(environ={}, cwd=str(tmp_path / "deep" / "er")))
    assert found.directory == str(tmp_path)


def test_schema_when_compiled_and_when_searched_then_of_one_mind() -> None:
    check: Any = pytest.importorskip("pod._compose_schema")
    search = schema._Search(schema._text())
    both = {True: 0, False: 0}
    for case in [case for group in compose_corpus.groups() for case in compose_corpus.read(group)]:
        for lines in case.files.values():
            try:
                from pod.core.compose import document

                found = document.read("\n".join(lines).encode(), "x")
            except ComposeError:
                continue
            for one in found:
                if isinstance(one.data, dict):
                    right = search.problem(one.data, schema._text(), ()) is None
                    both[right] += 1
                    assert right == accepts(check, one.data), (case, one.data)
    assert both[True] > 200
    assert both[False] > 10


def accepts(check: Any, data: dict[str, Any]) -> bool:
    try:
        check.validate(data, {"duration": schema.duration})
    except check.JsonSchemaValueException:
        return False
    return True
