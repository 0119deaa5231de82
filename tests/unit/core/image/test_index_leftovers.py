"""What a writer of index.json left that was killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pod.core.engine import Engine
from pod.core.image import layout


def test_index_when_a_writer_was_killed_then_the_next_removes_its_file_once_it_is_old(engine: Engine) -> None:
    layout.prepare(engine)
    root = Path(engine.paths.root)
    old, young, strange = (root / name for name in (".index.json.1.a", ".index.json.2.b", ".mine"))
    for path in (old, young, strange):
        path.touch()
    os.utime(old, (time.time() - 100,) * 2)
    os.utime(strange, (time.time() - 100,) * 2)
    layout.write_index(engine)
    assert not old.exists()
    assert young.exists()
    assert strange.exists()
