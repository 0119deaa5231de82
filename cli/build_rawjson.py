"""--progress rawjson: BuildKit's SolveStatus, a document a line (moby/buildkit client/graph.go).

    {"vertexes": [{"digest", "name", "started", "completed", "cached", "error"}]}
    {"logs": [{"vertex", "stream", "data" (base64), "timestamp"}]}

A vertex' digest names a step within this build; it says nothing of its content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time

from pod.cli.build_progress import Renderer, Step
from pod.core import moments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class RawJson(Renderer):
    """Everything that is known at each change."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started: dict[int, str] = {}

    def _put(self, **document: Any) -> None:
        self._write(json.dumps(document, separators=(",", ":")) + "\n")

    def _vertex(self, step: Step, **more: Any) -> None:
        started = self._started.setdefault(step.number, _now())
        self._put(vertexes=[{"digest": _digest(step), "name": step.name, "started": started, **more}])

    def begin(self, step: Step) -> None:
        self._vertex(step)

    def line(self, step: Step, stream: int, text: str, seconds: float | None) -> None:
        data = base64.b64encode((text + "\n").encode("utf-8", "surrogateescape")).decode()
        self._put(logs=[{"vertex": _digest(step), "stream": stream, "data": data, "timestamp": _now()}])

    def ended(self, step: Step) -> None:
        more: dict[str, Any] = {"completed": _now()}
        if step.state == "cached":
            more["cached"] = True
        if step.state == "failed":
            more["error"] = step.text
        self._vertex(step, **more)


def _digest(step: Step) -> str:
    return "sha256:" + hashlib.sha256(f"{step.number} {step.name}".encode("utf-8", "surrogateescape")).hexdigest()


def _now() -> str:
    return moments.rfc3339(time.time_ns())
