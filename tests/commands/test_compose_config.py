"""``pod compose config``: what it prints in each form, where it fails, what it says then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.podcli import Pod

pytestmark = pytest.mark.alike

TEXT = """\
services:
  web:
    image: repo/web:${TAG:-1}
    ports: ["8080:80"]
    command: echo $$HOME
    profiles: [front]
  db: {image: postgres, volumes: ["data:/data"], x-note: kept}
volumes: {data: }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/compose.yaml").write_text(TEXT)
    return tmp_path / "shop"


def test_config_when_printed_then_yaml_that_means_the_same_again(offline_pod: Pod, folder: Path) -> None:
    first = offline_pod("compose", "-f", str(folder / "compose.yaml"), "--profile", "*", "config").ok()
    assert first.startswith("name: shop\nservices:\n  db:\n    image: postgres\n")
    assert "    x-note: kept\n" in first
    assert "      - $$HOME\n" in first
    (folder / "again.yaml").write_text(first)
    assert offline_pod("compose", "-f", str(folder / "again.yaml"), "--profile", "*", "config").ok() == first


def test_config_when_json_then_docker_s_members(offline_pod: Pod, folder: Path) -> None:
    found = json.loads(offline_pod("compose", "--project-directory", str(folder), "config", "--format", "json").ok())
    assert list(found) == ["name", "networks", "services", "volumes"]
    assert found["services"]["db"] == {
        "command": None, "entrypoint": None, "image": "postgres", "networks": {"default": None},
        "volumes": [{"type": "volume", "source": "data", "target": "/data", "volume": {}}],
    }  # fmt: skip
    assert offline_pod("compose", "--project-directory", str(folder), "convert", "--format", "json").ok() == (
        json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    )


@pytest.mark.parametrize(
    ("flags", "out"),
    [
        (["--services"], "db\n"), (["--volumes"], "data\n"), (["--networks"], "default\n"),
        (["--images"], "postgres\n"), (["--profiles"], "front\n"), (["--quiet"], ""), (["--services", "web"], "web\n"),
        (["--images", "web"], "repo/web:1\n"),
        (
            ["--variables"],
            "NAME      REQUIRED   DEFAULT VALUE   ALTERNATE VALUE\nTAG       false      1               \n",
        ),
    ],
)  # fmt: skip
def test_config_when_names_are_asked_for_then_one_a_line(
    offline_pod: Pod, folder: Path, flags: list[str], out: str
) -> None:
    assert offline_pod("compose", "--project-directory", str(folder), "config", *flags).ok() == out


def test_config_when_hashes_then_a_line_for_each(offline_pod: Pod, folder: Path) -> None:
    words = ["compose", "-f", str(folder / "compose.yaml"), "--profile", "front", "config", "--hash"]
    every = offline_pod(*words, "*").ok().splitlines()
    assert [line.split()[0] for line in every] == ["db", "web"]
    assert offline_pod(*words, "web").ok().splitlines() == every[1:]
    assert offline_pod(*words, "none").code == 1


def test_config_when_not_interpolated_then_variables_stay(offline_pod: Pod, folder: Path) -> None:
    out = offline_pod("compose", "-f", str(folder / "compose.yaml"), "config", "--no-interpolate").ok()
    assert "    image: repo/web:${TAG:-1}\n" in out
    assert "    command: echo $$HOME\n" in out


def test_config_when_to_a_file_then_there(offline_pod: Pod, folder: Path) -> None:
    made = folder / "out.yaml"
    assert offline_pod("compose", "-f", str(folder / "compose.yaml"), "config", "-o", str(made)).ok() == ""
    assert made.read_text().startswith("name: shop\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  a:\n    imag: x\n", "compose.yaml:3: services.a.imag: unknown key; did you mean 'image'?"),
        ("services:\n  a: {image: [x]}\n", "compose.yaml:2: services.a.image: expected a text, not a list"),
        ("services: {a: {image: \"${X:?set X}\"}}\n", "a.image: required variable X is missing a value: set X"),
        ("services:\n  a: {image: x\n", "compose.yaml:3: is not YAML: "),
    ],
)  # fmt: skip
def test_config_when_the_file_is_wrong_then_file_line_and_key(
    offline_pod: Pod, folder: Path, text: str, said: str
) -> None:
    (folder / "compose.yaml").write_text(text)
    done = offline_pod("compose", "-f", str(folder / "compose.yaml"), "config")
    assert done.code == 1
    assert done.out == ""
    assert said in done.err
    assert done.err.startswith("pod: ")
