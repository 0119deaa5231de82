"""Probes that hang, flood, leave processes, or come from images that mean harm: bounded, ended, and told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import podcli
from tests.support.crafted import Craft
from tests.support.podcli import Pod

FAST = ("--health-interval", "100ms", "--health-timeout", "400ms", "--health-retries", "1")


@pytest.fixture(scope="session")
def image(craft: Craft) -> str:
    return craft.make()


def results(pod: Pod, name: str, count: int = 1) -> list[dict[str, Any]]:
    def log() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pod.state(name)["Health"]["Log"]
        return found

    podcli.until(lambda: len(log()) >= count, 20, f"{count} results")
    return log()


def start(pod: Pod, image: str, *flags: str) -> str:
    return pod("run", "-d", "--network", "none", *flags, image, "sleep", "1000").ok().strip()


def processes(pod: Pod, name: str) -> list[str]:
    """The command lines in there, but for process 1, ps itself, and zombies that process 1 does not reap."""
    lines = [line.split(None, 2)[-1] for line in pod("exec", name, "ps").ok().splitlines()[1:]]
    return [line for line in lines if not line.endswith(("sleep 1000", "ps", "]"))]


def supervisor_memory(pod: Pod, name: str) -> int:
    """kB of the supervisor's own."""
    record = json.loads((pod.root / "containers" / name / "state.json").read_text())
    status = Path(f"/proc/{record['supervisor']}/status").read_text()
    return int(re.findall(r"^RssAnon:\s*(\d+)", status, re.M)[0])


HANGS = {
    "ignores": "trap '' TERM INT HUP; echo stuck; while :; do sleep 777; done",
    "daemons": "sleep 777 & (setsid sh -c 'sleep 777 & sleep 777' &) ; (setsid sleep 777 >/dev/null &) ; sleep 777",
    "forks": "f() { sleep 0.01; (setsid sh -c 'while :; do sleep 777; done' &) ; f; }; f",
}


@pytest.mark.parametrize("probe", HANGS.values(), ids=HANGS)
def test_health_probe_that_hangs_is_ended_with_all_it_started(pod: Pod, image: str, probe: str) -> None:
    once = f"test -e /once && exit; touch /once; {probe}"
    name = start(
        pod, image, "--health-cmd", once, "--health-start-period", "1m", "--health-start-interval", "100ms",
        "--health-interval", "1h", "--health-timeout", "500ms",
    )  # fmt: skip
    (first, *_) = results(pod, name)
    assert first["ExitCode"] == -1
    assert first["Output"].startswith("Health check exceeded timeout (500ms)")
    podcli.until(lambda: processes(pod, name) == [], 5, "all that the probe started to go")
    assert pod.state(name)["Running"]


def test_health_probe_that_floods_is_cut(pod: Pod, image: str) -> None:
    name = start(pod, image, "--health-cmd", "yes 0123456", *FAST)
    found = results(pod, name, 3)
    late = "Health check exceeded timeout (400ms): "
    for entry in found:
        assert entry["Output"] == late + "0123456\n" * 512 + "..."
    assert supervisor_memory(pod, name) < 1000
    assert pod("exec", name, "echo", "still there").ok() == "still there\n"
    size = (pod.root / "containers" / name / "health.json").stat().st_size
    assert size < 5 * 8000


def test_health_output_of_any_bytes_is_json(pod: Pod, image: str) -> None:
    name = start(pod, image, "--health-cmd", r"""printf 'a\0\377\303\244\033[2J"\\\r\n'""", *FAST)
    (first, *_) = results(pod, name)
    assert first["Output"] == 'a\0\ufffdä\x1b[2J"\\\r\n'
    shown = pod("inspect", name).ok()
    assert "\x1b" not in shown


def test_health_probe_of_an_image_that_is_not_there_is_told(pod: Pod, craft: Craft) -> None:
    image = craft.make(config={"Cmd": ["sh"], "Healthcheck": {"Test": ["CMD", "/no/such", "x"], "Interval": 1000000}})
    name = start(pod, image)
    (first, *_) = results(pod, name)
    assert (first["ExitCode"], "/no/such" in first["Output"]) == (-1, True)
    assert "No such file" in first["Output"]


def test_health_check_of_an_image_is_run_and_flags_change_parts_of_it(pod: Pod, craft: Craft) -> None:
    check = {"Test": ["CMD-SHELL", "echo from image"], "Interval": 10**8, "Timeout": 10**9, "Retries": 7}
    image = craft.make(config={"Cmd": ["sh"], "Shell": ["/bin/sh", "-ec"], "Healthcheck": check})
    name = start(pod, image, "--health-retries", "4")
    assert results(pod, name)[0]["Output"] == "from image\n"
    assert pod.inspect(name)["Config"]["Healthcheck"] == {**check, "Retries": 4}
    other = start(pod, image, "--no-healthcheck")
    assert "Health" not in pod.state(other)
    third = start(pod, image, "--health-cmd", "echo $-")
    assert "e" in results(pod, third)[0]["Output"], "the image's shell runs it"


@pytest.mark.parametrize(
    "check",
    [
        ["CMD", "true"], "CMD true", {"Test": "true"}, {"Test": ["CMD", 1]}, {"Test": ["CMD", "a\0b"]},
        {"Test": ["CMD", "true"], "Interval": -1}, {"Test": ["CMD", "true"], "Retries": 1 << 70},
        {"Test": ["CMD", "true"], "Timeout": "1s"}, {"Test": ["CMD", "true"], "Interval": True},
    ],
    ids=str,
)  # fmt: skip
def test_health_check_of_an_image_of_a_wrong_kind_is_refused(pod: Pod, craft: Craft, check: Any) -> None:
    image = craft.make(config={"Cmd": ["true"], "Healthcheck": check})
    pod("run", "--rm", image).failed(125, "broken configuration: Healthcheck")
    assert pod.containers() == []


@pytest.mark.parametrize("check", [{}, {"Test": []}, {"Test": ["NONE"]}, {"Test": ["ODD", "x"]}, {"Test": ["CMD"]}])
def test_health_check_of_an_image_that_is_none_is_none(pod: Pod, craft: Craft, check: dict[str, Any]) -> None:
    name = start(pod, craft.make(config={"Cmd": ["true"], "Healthcheck": check}))
    assert "Health" not in pod.state(name)
