"""The C core as extension modules: pod.ext.layer (archives and trees), pod.ext.process (id maps, probes)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """``from pod.ext import layer`` in a tree that was never built says what to run."""
    if name not in ("layer", "process"):
        raise AttributeError(f"module 'pod.ext' has no attribute '{name}'")
    try:
        __import__(f"pod.ext.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(f"pod.ext.{name} is not built: run 'make dev' (or 'pip install -e .')") from error
    return sys.modules[f"pod.ext.{name}"]
