"""Compose files that attack: what they expand to, how deep they are, what they name; and wrong types everywhere.

Each must end with one clear error, in bounded time and memory.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core.compose import load
from pod.core.compose.project import Project, Request
from pod.core.errors import ComposeError, PodError
from tests.support import places

pytestmark = pytest.mark.pure
SECONDS = 20
MEMORY = 512 << 20


def understand(folder: Path, text: str | bytes | None = None, **options: Any) -> Project:
    if text is not None:
        (folder / "compose.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load.load(Request(environ={"HOME": str(folder)}, cwd=str(folder), **options))


def refused(folder: Path, text: str | bytes | None = None, *words: str) -> ComposeError:
    started = time.monotonic()
    with pytest.raises(ComposeError) as caught:
        understand(folder, text)
    assert time.monotonic() - started < SECONDS
    for word in words:
        assert word in caught.value.message
    assert len(caught.value.message) < 2000
    assert str(folder) in caught.value.message
    return caught.value


def laughs(levels: int, kind: str) -> str:
    """A list of ten, of ten, of ten …"""
    lines = ["x-0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"x-{level}: &a{level} " + (f"[{inner}]" if kind == "list" else f"{{<<: [{inner}]}}"))
    return "\n".join([*lines, "services: {a: {image: x}}"]) + "\n"


def test_file_when_it_laughs_then_the_nodes_are_counted(tmp_path: Path) -> None:
    refused(tmp_path, laughs(12, "list"), "nodes when its aliases are resolved", "compose.yaml:")


def test_file_when_merge_keys_laugh_then_refused(tmp_path: Path) -> None:
    lines = ["x-0: &a0 {k: v}"]
    for level in range(1, 24):
        lines.append(f"x-{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}], k{level}: v}}")
    refused(tmp_path, "\n".join([*lines, "services: {a: {image: x}}"]), "nodes when its aliases are resolved")


@pytest.mark.parametrize("text", ["x-a: &a [*a]", "x-a: &a {b: *a}", "x-a: &a {b: [{c: *a}]}", "x-a: &a {<<: *a}"])
def test_anchor_when_it_contains_itself_then_refused_with_its_line(tmp_path: Path, text: str) -> None:
    refused(tmp_path, f"services: {{a: {{image: x}}}}\n{text}\n", "compose.yaml:2", "alias of itself")


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_file_when_nested_deep_then_refused(tmp_path: Path, pair: str) -> None:
    inner = "[" * 60_000 if pair == "[]" else "{a: " * 60_000
    refused(tmp_path, f"services: {inner}", "nested more than", "compose.yaml:1")


def test_file_when_indented_deep_then_refused(tmp_path: Path) -> None:
    text = "\n".join(" " * level + "a:" for level in range(300))
    refused(tmp_path, text + " x\n", "nested more than")


def test_scalar_when_ten_megabytes_then_the_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, b"services: {a: {image: x, labels: {l: " + b"x" * (10 << 20) + b"}}}\n", "larger than")


def test_scalar_when_as_large_as_a_file_may_be_then_read(tmp_path: Path) -> None:
    project = understand(tmp_path, "services:\n  a:\n    image: x\n    hostname: " + "x" * 900_000 + "\n")
    assert len(project.services["a"]["hostname"]) == 900_000


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/tty", "/", "/proc/self/mem"])
@pytest.mark.parametrize("where", ["include", "extends", "env_file", "label_file"])
def test_file_when_it_names_what_is_no_file_then_refused_at_once(tmp_path: Path, where: str, name: str) -> None:
    texts = {
        "include": f"include: [{name}]\nservices: {{}}\n",
        "extends": f"services: {{a: {{extends: {{file: {name}, service: a}}}}}}\n",
        "env_file": f"services: {{a: {{image: x, env_file: {name}}}}}\n",
        "label_file": f"services: {{a: {{image: x, label_file: {name}}}}}\n",
    }
    (tmp_path / "compose.yaml").write_text(texts[where])
    with pytest.raises(ComposeError, match=name):
        understand(tmp_path)


def test_file_when_it_names_a_pipe_then_nobody_waits_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, "include: [pipe]\nservices: {}\n", "no regular file")


def test_key_when_enormous_then_the_error_is_short(tmp_path: Path) -> None:
    refused(tmp_path, f"services:\n  a:\n    image: x\n    ? {'k' * 100_000}\n    : 1\n", "unknown key")


def test_included_when_above_the_project_then_read_but_its_text_is_not_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:$6$salt$hash:19000:0:::\nhunter2! hash: [\n")
    (tmp_path / "app").mkdir()
    for text in ("include: [../secret]\n", "services: {a: {image: x, env_file: ../secret}}\n"):
        (tmp_path / "app/compose.yaml").write_text(text)
        with pytest.raises(ComposeError) as caught:
            understand(tmp_path / "app")
        assert str(secret) in caught.value.message
        assert "hash" not in caught.value.message
        assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("target", ["../../etc/shadow", "/run/secrets/../../etc/x", "a/../../b"])
@pytest.mark.parametrize("kind", ["secrets", "configs"])
def test_target_when_it_climbs_then_refused(tmp_path: Path, kind: str, target: str) -> None:
    text = f"services: {{a: {{image: x, {kind}: [{{source: s, target: {target}}}]}}}}\n{kind}: {{s: {{file: s}}}}\n"
    refused(tmp_path, text, f"services.a.{kind}.0.target")


def test_include_when_every_file_includes_two_then_they_are_counted(tmp_path: Path) -> None:
    for level in range(20):
        (tmp_path / f"{level}.yaml").write_text(f"include: [{level + 1}.yaml, {level + 1}.yaml]\n")
    (tmp_path / "20.yaml").write_text("services: {a: {image: x}}\n")
    refused(tmp_path, "include: [0.yaml]\n", "a project is more than")


def test_include_when_a_long_row_then_refused(tmp_path: Path) -> None:
    for level in range(150):
        (tmp_path / f"{level}.yaml").write_text(f"include: [{level + 1}.yaml]\nservices: {{}}\n")
    refused(tmp_path, "include: [0.yaml]\n", "include one another")


def test_include_when_circles_by_another_name_then_refused(tmp_path: Path) -> None:
    os.symlink(".", tmp_path / "again")
    refused(tmp_path, "include: [again/compose.yaml]\nservices: {a: {image: x}}\n", "include one another")


def test_extends_when_a_long_row_then_refused(tmp_path: Path) -> None:
    services = {f"s{level}": {"extends": f"s{level + 1}"} for level in range(500)}
    refused(tmp_path, json.dumps({"services": {**services, "s500": {"image": "x"}}}), "extend one another")


def test_extends_when_circles_through_files_then_told(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("services: {b: {extends: {file: compose.yaml, service: a}}}\n")
    refused(tmp_path, "services: {a: {extends: {file: b.yaml, service: b}}}\n", "Circular reference")


def test_dependencies_when_a_circle_of_thousands_then_told(tmp_path: Path) -> None:
    many = 2000
    services = {f"s{one}": {"image": "x", "depends_on": [f"s{(one + 1) % many}"]} for one in range(many)}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": services}))
    with pytest.raises(ComposeError, match="dependency cycle detected"):
        understand(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["${A:-" * 50_000, "${A:-" * 100 + "}" * 100, "${" * 50_000, "${A:-{" * 30_000 + "}"],
    ids=["open", "nested", "braces", "braces-inside"],
)
def test_variables_when_nested_without_end_then_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, json.dumps({"services": {"a": {"image": "x", "labels": {"l": text}}}}), "services.a.labels.l")


@pytest.mark.parametrize("text", ["${A:-x}" * 50_000, "$" * 100_000])
def test_variables_when_many_then_replaced_in_time(tmp_path: Path, text: str) -> None:
    started = time.monotonic()
    project = understand(tmp_path, json.dumps({"services": {"a": {"image": "x", "labels": {"l": text}}}}))
    assert set(project.services["a"]["labels"]["l"]) <= {"x", "$"}
    assert time.monotonic() - started < SECONDS


def test_variables_when_a_long_value_is_named_often_then_bounded(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=" + "x" * 100_000 + "\n")
    labels = {f"l{n}": "$A" for n in range(5000)}
    refused(tmp_path, json.dumps({"services": {"a": {"image": "x", "labels": labels}}}), "variables make this file")


def test_ports_when_ranges_are_large_then_counted(tmp_path: Path) -> None:
    ports = [f"{address}:1-65535:1-65535" for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3")]
    refused(tmp_path, json.dumps({"services": {"a": {"image": "x", "ports": ports}}}), "services.a.ports")


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "1e999999999", "0b" + "1" * 5000, "1" + "_" * 500])
def test_number_when_enormous_then_refused(tmp_path: Path, number: str) -> None:
    refused(tmp_path, f"services: {{a: {{image: x, scale: {number}}}}}\n", "services.a.scale")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"services: \x00", b"a: \x1b[31m", b"\x80", b"a:\xed\xa0\x80"])
def test_file_when_no_text_then_refused_with_its_name(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data, "compose.yaml")


VALUES: list[Any] = [
    None, True, 0, -1, 1 << 70, 1.5, "", "x", "\0", "../..", "service:a", "${X", [], [None], ["x", "x"], [["x"]], [{}],
    {}, {"": ""}, {"x": None}, {"x": {"x": []}}, {"a": 1}, [1, "b", {}], {"service": 3}, {"target": []},
]  # fmt: skip


def schema_keys() -> dict[str, list[str]]:
    text = (places.REPOSITORY / "core/compose/compose-spec.json").read_text("utf-8")
    known = json.loads(text)["definitions"]
    nested = {"build": "service", "deploy": "deployment", "healthcheck": "healthcheck", "develop": "development"}
    found = {"": [*known["service"]["properties"], "x-own", "none"]}
    for key, name in nested.items():
        shape = known[name] if key != "build" else known["service"]["properties"]["build"]["oneOf"][1]
        found[key] = list(shape["properties"])
    return found


def wrong_documents(seed: int, count: int) -> list[dict[str, Any]]:
    """Documents with values of some type at some key."""
    chance = random.Random(seed)
    keys = schema_keys()
    tops = ["services", "networks", "volumes", "secrets", "configs", "include", "name", "version", "x-own"]
    found = []
    for _ in range(count):
        service: dict[str, Any] = {"image": "x"}
        for _ in range(chance.randint(1, 3)):
            part = chance.choice(list(keys))
            key = chance.choice(keys[part])
            place = service if not part else service.setdefault(part, {})
            if isinstance(place, dict):
                place[key] = chance.choice(VALUES)
        extending = {"image": "y", "extends": chance.choice(["a", "c"])}
        document: dict[str, Any] = {"services": {"a": service, "b": extending, "c": {"image": "z"}}}
        if chance.random() < 0.4:
            document[chance.choice(tops)] = chance.choice(VALUES)
        if chance.random() < 0.4:
            document[chance.choice(tops[1:5])] = {"m": chance.choice(VALUES)}
        found.append(document)
    return found


def test_types_when_wrong_everywhere_then_an_error_and_never_a_fault(tmp_path: Path) -> None:
    rounds = int(os.environ.get("POD_FUZZ_ROUNDS", "300"))
    documents = wrong_documents(int(os.environ.get("POD_FUZZ_SEED", "1")), rounds)
    understood = 0
    said: list[str] = []
    for first, second in zip(documents, documents[1:]):
        (tmp_path / "compose.yaml").write_text(json.dumps(first))
        (tmp_path / "over.yaml").write_text(json.dumps(second))
        for files in (["compose.yaml"], ["compose.yaml", "over.yaml"]):
            try:
                understand(tmp_path, files=files)
                understood += 1
            except PodError as error:
                said.append(error.message)
    assert 0 < understood < 2 * rounds
    assert all(0 < len(message) < 2000 for message in said)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
sys.path.insert(0, {packaging!r}); sys.path.append({libraries!r})
from pod.core.compose import load
from pod.core.compose.project import Request
from pod.core.errors import ComposeError
try:
    load.load(Request(environ={{}}, cwd={folder!r}))
except ComposeError as error:
    print(error.message)
"""


@pytest.mark.parametrize(
    "text", [laughs(12, "list"), "a: " + "[" * 900_000, "- a\n" * 240_000, "a: &a [" + "*a, " * 200_000]
)
def test_file_when_memory_is_short_then_still_one_error(tmp_path: Path, text: str) -> None:
    import yaml

    (tmp_path / "compose.yaml").write_text(text)
    code = LIMITED.format(
        memory=MEMORY, packaging=str(places.REPOSITORY / "packaging"), folder=str(tmp_path),
        libraries=str(Path(yaml.__file__).parent.parent),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=3 * SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "compose.yaml" in done.stdout
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10 < MEMORY
