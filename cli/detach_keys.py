"""The keys that detach: --detach-keys, else "detachKeys" of Docker's configuration file, else ctrl-p ctrl-q."""

from __future__ import annotations

import os

from pod.core.container import planning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

_LARGEST = 1 << 20
"""Bytes of a configuration file that is read."""


def choose(engine: Engine, options: Options) -> bytes:
    """As bytes of the terminal; empty means none. UsageError for keys that Docker does not know either.

    Looked up only where a terminal is in use: nothing else can type them.
    """
    if "detach-keys" in options.given:
        return planning.parse_detach_keys(options["detach-keys"])
    text = _configured(engine)
    return planning.parse_detach_keys(text) if text else planning.DEFAULT_DETACH_KEYS


def _configured(engine: Engine) -> str:
    """A file that cannot be read says nothing: it is Docker's, and logins complain of it where they need it."""
    from pod.core import statefile

    home = engine.environ.get("HOME", "")
    folder = engine.environ.get("DOCKER_CONFIG") or (home + "/.docker" if home else "")
    if not folder or not os.path.isfile(folder + "/config.json"):
        return ""
    try:
        found = statefile.loads(statefile.read_bytes_of_proc(folder + "/config.json", _LARGEST))
    except (OSError, ValueError):
        return ""
    keys = found.get("detachKeys", "") if isinstance(found, dict) else ""
    return keys if isinstance(keys, str) else ""
