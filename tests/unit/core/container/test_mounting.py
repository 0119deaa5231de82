"""The user's mounts of a start: devices of --privileged."""

from __future__ import annotations

from pathlib import Path

from pod.core.container import mounting


def test_host_devices_are_nodes_that_the_caller_may_open() -> None:
    for path in mounting.host_devices():
        assert Path(path).is_char_device() or Path(path).is_block_device()
        assert path not in ("/dev/null", "/dev/console")
