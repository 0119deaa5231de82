"""Containers that fight being paused: they wake each other, fork, and kill whoever comes to stop them."""

from __future__ import annotations

import pytest

from tests.commands.test_pause import halted
from tests.support.crafted import Craft
from tests.support.podcli import Pod

FIGHTS = {
    "wake": "for i in 1 2 3 4; do sh -c 'while :; do kill -CONT -1; kill -CONT 1; done' & done; wait",
    "fork": "while :; do (sh -c 'sleep 0.001; true' &) ; (sleep 0.01 &) ; done",
    "kill": "trap '' TERM; for i in 1 2 3; do sh -c 'while :; do for p in /proc/[0-9]*; do p=${p#/proc/};"
    ' [ $p -gt 30 ] && kill -9 $p; done; done 2>/dev/null\' & done; wait',
}


@pytest.mark.parametrize("fight", FIGHTS.values(), ids=FIGHTS)
def test_pause_of_a_container_that_fights_holds(pod: Pod, craft: Craft, fight: str) -> None:
    name = pod("run", "-d", "--network", "none", craft.make(), "sh", "-c", fight).ok().strip()
    for _ in range(1 if fight == FIGHTS["fork"] else 2):
        result = pod("pause", name)
        if result.code:  # who kills every newcomer at once may win, and that is told
            result.failed(1, "Cannot pause container")
            assert pod.state(name)["Status"] == "running"
            continue
        assert halted(pod, name)
        assert pod.state(name)["Status"] == "paused"
        pod("unpause", name).ok()
        assert not halted(pod, name)
    pod("rm", "-f", name).ok()
