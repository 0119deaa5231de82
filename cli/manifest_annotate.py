"""``pod manifest annotate``: another platform for an entry of a list; docker/cli: manifest annotate."""

from __future__ import annotations

from pod.cli.options import Command, Options
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

COMMAND = Command(
    "annotate",
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    "Add additional information to a local image manifest",
    (
        ("arch", "", "string", "Set architecture"),
        ("os", "", "string", "Set operating system"),
        ("os-features", "", "stringSlice", "Set operating system feature"),
        ("os-version", "", "string", "Set operating system version"),
        ("variant", "", "string", "Set architecture variant"),
    ),
    min_args=2,
    max_args=2,
    path="pod manifest annotate",
)

_MEMBERS = {
    "arch": "architecture",
    "os": "os",
    "os-features": "os.features",
    "os-version": "os.version",
    "variant": "variant",
}


def main(engine: Engine, options: Options) -> int:
    """Silent, as Docker is."""
    from pod.core.image import manifest_list

    changes: dict[str, Any] = {}
    for flag, member in _MEMBERS.items():
        value = options[flag]
        if not value:
            continue
        texts = value if isinstance(value, list) else [value]
        if not all(text.isascii() and text.isprintable() and 0 < len(text) <= 100 for text in texts):
            raise UsageError(f"--{flag}: not a word of a platform: {texts[0][:40]!r}")
        changes[member] = value
    manifest_list.annotate(engine, options.args[0], options.args[1], changes)
    return 0
