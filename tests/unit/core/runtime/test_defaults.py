from __future__ import annotations

import os
import resource
import signal

import pytest

from pod.core.errors import PodError, UsageError
from pod.core.runtime import defaults

DOCKER_DEFAULT = 0x00000000A80425FB
"""CapEff of root in a plain Docker container."""


def bit(*names: str) -> int:
    return sum(1 << defaults.CAPABILITIES[name] for name in names)


def test_capabilities_when_counted_then_all_41_of_linux():
    assert len(defaults.CAPABILITIES) == 41
    assert defaults.CAPABILITIES["SYS_ADMIN"] == 21
    assert defaults.CAPABILITIES["CHECKPOINT_RESTORE"] == 40


def test_resolve_caps_when_nothing_is_said_then_dockers_mask():
    assert defaults.resolve_caps([], [], False) == DOCKER_DEFAULT


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["NET_ADMIN"], [], DOCKER_DEFAULT | bit("NET_ADMIN")),
        (["cap_net_admin", "Sys_Time"], [], DOCKER_DEFAULT | bit("NET_ADMIN", "SYS_TIME")),
        ([], ["CHOWN", "cap_kill"], DOCKER_DEFAULT & ~bit("CHOWN", "KILL")),
        ([], ["ALL"], 0),
        (["NET_RAW"], ["all"], bit("NET_RAW")),
        (["ALL"], [], defaults.ALL_CAPS),
        (["CAP_ALL"], ["SYS_ADMIN"], defaults.ALL_CAPS & ~bit("SYS_ADMIN")),
        (["ALL"], ["ALL"], defaults.ALL_CAPS),
        (["CHOWN"], ["CHOWN"], DOCKER_DEFAULT),
    ],
)
def test_resolve_caps_when_added_and_dropped_then_as_docker(add, drop, expected):
    assert defaults.resolve_caps(add, drop, False) == expected


def test_resolve_caps_when_privileged_then_all_whatever_is_dropped():
    assert defaults.resolve_caps([], ["ALL"], True) == defaults.ALL_CAPS


@pytest.mark.parametrize("name", ["", "CAP_", "NET", "CAP_CAP_CHOWN", "CHOWN,KILL", "X" * 5000])
def test_resolve_caps_when_unknown_then_refused_by_name(name):
    with pytest.raises(UsageError) as caught:
        defaults.resolve_caps([name], [], False)
    assert caught.value.message == f'invalid capability: "{name}"'


def test_resolve_caps_when_privileged_and_unknown_then_still_refused():
    with pytest.raises(UsageError):
        defaults.resolve_caps(["BOGUS"], [], True)


def test_capability_names_when_given_a_mask_then_in_kernel_order():
    assert defaults.capability_names(bit("KILL", "CHOWN")) == ["CAP_CHOWN", "CAP_KILL"]


def test_signals_when_compared_with_this_system_then_the_same():
    for name, number in defaults.SIGNALS.items():
        assert getattr(signal, "SIG" + name, number) == number
    assert len(defaults.SIGNALS) == 31


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("15", 15),
        ("64", 64),
        ("sigkill", 9),
        ("SIGIOT", 6),
        ("RTMIN", 34),
        ("RTMIN+3", 37),
        ("SIGRTMIN+30", 64),
        ("RTMAX-1", 63),
        ("SIGRTMAX", 64),
    ],
)
def test_parse_signal_when_written_as_people_do_then_its_number(text, number):
    assert defaults.parse_signal(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65",
        "-1",
        "SIG",
        "SIGSIGTERM",
        "RTMIN+31",
        "RTMIN-1",
        "RTMIN+",
        "RTMIN+x",
        "RTMAX-31",
        "١٥",
        "9" * 4000,
    ],
)
def test_parse_signal_when_senseless_then_refused(text):
    with pytest.raises(PodError):
        defaults.parse_signal(text)


def test_signal_name_when_parsed_again_then_the_same_number():
    for number in [*range(1, 32), *range(34, 65)]:
        assert defaults.parse_signal(defaults.signal_name(number)) == number


def test_rlimits_when_compared_with_this_system_then_the_same():
    for name, number in defaults.RLIMITS.items():
        assert getattr(resource, "RLIMIT_" + name.upper(), number) == number
    assert "as" not in defaults.RLIMITS


def test_devices_when_looked_up_then_they_are_character_devices():
    for name in defaults.DEVICES:
        assert os.path.exists("/dev/" + name)
