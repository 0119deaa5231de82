"""Calls that few programs make: the user with one id gets the answers that the user with sub-ids gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.podcli import Pod

SOURCE = Path(__file__).with_name("emulated_calls.c")
EXPECTED = {
    "opens": """
        1 /w/how 1000:1000 640
        1 /w/in 1000:1000 600
        -1 Invalid cross-device link
        -1 Invalid cross-device link
        -1 Invalid argument
        1 1000:1000 640 0 /w/named 1000:1000 640
        1 1000:44
    """,
    "realtime": """
        -1 Operation not permitted
        -1 Operation not permitted
        0 0 33
    """,
    "narrow": """
        /n 300:0 640
        0 60000:8 100640 1 5 1 ffffffff
        0 60000:8 100640 1 5 1 ffffffff
        0 60000:8 100640 1 5 1 ffffffff
        0 60000
        0 60000:8 100640 1 5 ffffffff
        0 60000:8 100640 1 5 ffffffff
        0 60000:8 100640 1 5 ffffffff
        0 3 4 5 6
        0 9 0 0 60000 60000 0 60000 0 0
        0 12
    """,
}
"""What both users are told."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compilers.build(compilers.host(), SOURCE, tmp_path_factory.mktemp("calls") / "calls", "-static")


def told(pod: Pod, program: Path, mode: str) -> list[str]:
    mount = f"{program}:/calls:ro"
    argv = ("run", "--rm", "--root-emulation=full", "-v", mount, pod.image("debian:12"), "/calls", mode)
    return pod(*argv).ok().splitlines()


@pytest.mark.parametrize(
    "mode", [pytest.param(mode, marks=pytest.mark.x86_64) if mode == "narrow" else mode for mode in EXPECTED]
)
def test_rare_calls_when_made_then_both_users_get_the_same_answers(pod: Pod, program: Path, mode: str) -> None:
    assert told(pod, program, mode) == [line.strip() for line in EXPECTED[mode].split("\n") if line.strip()]


@pytest.mark.no_sub_ids
@pytest.mark.x86_64
def test_calls_of_16_bits_when_ids_do_not_fit_then_the_overflow_id(pod: Pod, program: Path) -> None:
    shown = told(pod, program, "beyond")
    assert [line.split()[1] for line in shown[1:8]] == ["70000:8"] * 3 + ["70000"] + ["65534:8"] * 3
    assert shown[9] == "0 9 0 0 65534 70000 0 65534 0 0"


@pytest.mark.no_sub_ids
def test_record_when_attributes_are_listed_then_it_is_not_there(pod: Pod, program: Path) -> None:
    assert told(pod, program, "attributes") == [
        *["10 10 user.mine"] * 3,
        "-1 Numerical result out of range",
        *["-1 No data available"] * 3,
        "/a 5:6 644",
        "0 ",
        "0 ",
    ]


@pytest.mark.no_sub_ids
def test_record_when_files_are_copied_with_attributes_then_each_has_its_own(pod: Pod) -> None:
    script = """
        touch /f; chown 5:6 /f
        cp --preserve=xattr,mode /f /g; cp -a /f /h; stat -c '%n %u:%g' /g /h
    """
    argv = ("run", "--rm", "--root-emulation=full", pod.image("debian:12"), "sh", "-ec", script)
    assert pod(*argv).ok().splitlines() == ["/g 0:0", "/h 5:6"]
