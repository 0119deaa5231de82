"""From request and image to the record: Docker's merging rules."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.container import spec
from pod.core.errors import PodError, UsageError
from pod.core.runtime import defaults
from tests.unit.core.container.conftest import record, request


@pytest.mark.parametrize(
    ("entrypoint", "command", "image", "expected"),
    [
        (None, [], {"Cmd": ["c"]}, ["c"]),
        (None, ["x"], {"Cmd": ["c"]}, ["x"]),
        (None, [], {"Entrypoint": ["e"], "Cmd": ["c"]}, ["e", "c"]),
        (None, ["x", "y"], {"Entrypoint": ["e"], "Cmd": ["c"]}, ["e", "x", "y"]),
        ("n", [], {"Entrypoint": ["e"], "Cmd": ["c"]}, ["n"]),
        ("n", ["x"], {"Entrypoint": ["e"], "Cmd": ["c"]}, ["n", "x"]),
        ("", ["x"], {"Entrypoint": ["e"], "Cmd": ["c"]}, ["x"]),
        (None, [], {"Entrypoint": ["e"]}, ["e"]),
    ],
)
def test_command_line_merges_as_docker(
    entrypoint: str | None, command: list[str], image: dict[str, Any], expected: list[str]
) -> None:
    made = record(entrypoint=entrypoint, command=command, image=image)
    assert [made["Path"], *made["Args"]] == expected


@pytest.mark.parametrize("fields", [{"command": []}, {"command": [], "entrypoint": ""}])
def test_make_record_when_nothing_names_a_command_then_says_so(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no command specified"):
        record(image={"Cmd": []} if "entrypoint" not in fields else {"Entrypoint": ["e"], "Cmd": ["c"]}, **fields)


def test_merge_env_keeps_order_and_the_last_value() -> None:
    merged = spec.merge_env(["A=1", "PATH=/bin", "B=2"], ["A=3", "C=4"], tty=True, hostname="h")
    assert merged == ["PATH=/bin", "HOSTNAME=h", "TERM=xterm", "A=3", "B=2", "C=4"]


def test_merge_env_when_image_has_no_path_then_dockers() -> None:
    assert spec.merge_env([], [], tty=False, hostname="h") == ["PATH=" + defaults.DEFAULT_PATH, "HOSTNAME=h"]


def test_make_record_when_image_env_is_a_bare_name_then_it_is_dropped() -> None:
    env = record(image={"Env": ["BARE", "", "=x", "GOOD=1", "EMPTY="]})["Config"]["Env"]
    assert env[2:] == ["GOOD=1", "EMPTY="]


def test_make_record_labels_of_the_flag_win() -> None:
    assert record(image={"Labels": {"a": "1", "b": "2"}}, labels={"b": "3"})["Config"]["Labels"] == {"a": "1", "b": "3"}


def test_make_record_takes_what_docker_takes_from_the_image() -> None:
    image = {
        "User": "web", "WorkingDir": "/srv", "StopSignal": "SIGUSR1", "Volumes": {"/v": {}},
        "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["NONE"]},
    }  # fmt: skip
    config = record(image=image, expose=["81/udp"])["Config"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("web", "/srv", "SIGUSR1")
    assert config["ExposedPorts"] == {"80/tcp": {}, "81/udp": {}}
    assert (config["Volumes"], config["Healthcheck"]) == ({"/v": {}}, {"Test": ["NONE"]})
    config = record(image=image, user="0", workdir="/", stop_signal="INT", stop_timeout=0)["Config"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"], config["StopTimeout"]) == ("0", "/", "INT", 0)


def test_make_record_hostname_is_the_short_id_unless_given() -> None:
    assert record("f" * 64)["Config"]["Hostname"] == "f" * 12
    assert record(hostname="h")["Config"]["Hostname"] == "h"


@pytest.mark.parametrize(
    "image",
    [
        {"Env": "A=1"}, {"Env": [1]}, {"Env": ["A=\0"]}, {"Env": ["A=\ud800"]}, {"Cmd": "sh"}, {"Cmd": [None]},
        {"Entrypoint": {}}, {"User": 1}, {"User": "\0"}, {"WorkingDir": []}, {"Labels": []}, {"Labels": {"a": 1}},
        {"Volumes": []}, {"Volumes": {"\0": {}}}, {"ExposedPorts": []}, {"StopSignal": 9},
    ],
)  # fmt: skip
def test_make_record_when_the_images_configuration_has_wrong_kinds_then_names_the_member(image: dict[str, Any]) -> None:
    with pytest.raises(PodError, match=f"busybox: broken configuration: {next(iter(image))}"):
        record(image=image)


def test_make_record_when_image_asks_for_power_then_nothing_of_it_is_kept() -> None:
    image = {"Privileged": True, "HostConfig": {"Privileged": True}, "CapAdd": ["ALL"], "Tty": True, "Hostname": "x"}
    assert record(image=image)["HostConfig"] == record()["HostConfig"]
    assert record(image=image)["Config"] == record()["Config"]


@pytest.mark.parametrize("fields", [{"privileged": True}, {"security_opt": ["systempaths=unconfined"]}])
def test_make_record_unconfined_paths_only_when_asked(fields: dict[str, Any]) -> None:
    assert record()["HostConfig"]["MaskedPaths"] == list(defaults.MASKED_PATHS)
    assert record(**fields)["HostConfig"]["MaskedPaths"] == []
    assert record(**fields)["HostConfig"]["ReadonlyPaths"] == []


def test_request_attach_and_stdin_once() -> None:
    config = record(interactive=True, attach={"stdin", "stdout"})["Config"]
    assert (config["OpenStdin"], config["StdinOnce"], config["AttachStdin"], config["AttachStderr"]) == (
        True, True, True, False,
    )  # fmt: skip
    assert request().idmap.kind == "single"
