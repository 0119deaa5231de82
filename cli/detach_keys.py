"""The keys that detach: --detach-keys, else "detachKeys" of Docker's configuration file, else ctrl-p ctrl-q."""

from __future__ import annotations

import os

from pod.core.container import planning
from pod.core.errors import UsageError

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
        return parse(options["detach-keys"])
    text = _configured(engine)
    return parse(text) if text else planning.DEFAULT_DETACH_KEYS


def parse(text: str) -> bytes:
    """--detach-keys "ctrl-a,x" as bytes; "" means none."""
    keys = bytearray()
    for part in text.split(",") if text else []:
        if len(part) == 1 and part.isascii():
            keys += part.encode()
        elif part.isascii() and part[:5] == "ctrl-" and len(part) == 6 and (part[5].isalpha() or part[5] in "@[\\]^_"):
            keys.append(ord(part[5].upper()) & 0x1F)
        elif part == "DEL":
            keys.append(0x7F)
        else:
            raise UsageError(
                f"invalid detach keys ({text}): Unknown character: '{part}'",
                hint="the form is ctrl-<letter> or a letter, joined by commas: ctrl-p,ctrl-q",
            )
    return bytes(keys)


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
