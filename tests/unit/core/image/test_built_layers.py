"""Holds of builds on their base images."""

from __future__ import annotations

import os

from pod.core.engine import Engine
from pod.core.image import built_layers

IMAGE = "sha256:" + "a" * 64


def test_hold_when_it_cannot_be_removed_then_it_ends_with_its_process(engine: Engine) -> None:
    path = built_layers.hold(engine, IMAGE, os.getpid())
    assert built_layers.held(engine) == {IMAGE}
    os.unlink(path)
    os.mkdir(path)  # which unlink(2) refuses
    built_layers.let_all_go(engine)
    assert built_layers.held(engine) == {IMAGE}
    os.rmdir(path)
    gone = built_layers.hold(engine, IMAGE, 1 << 22)
    assert built_layers.held(engine) == set()
    assert not os.path.exists(gone)
