"""The digest of one service: what ``config --hash`` prints and a container's label tells.

The same bytes are hashed as by Docker's Compose, so its digests are ours but for two keys that it hashes in some of its
versions: dependencies and profiles change no container.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.project import Project

_OUTSIDE = frozenset(("build", "depends_on", "profiles", "pull_policy", "scale"))
"""Keys that change no container: a service that differs in them alone is not made anew."""
_ESCAPED = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
"""What Go's JSON does not leave as it is."""


def service_hash(project: Project, name: str) -> str:
    """sha256 over the canonical service, in hex."""
    import hashlib
    import json

    service = project.services[name] if name in project.services else project.disabled[name]
    kept: dict[str, Any] = {key: value for key, value in service.items() if key not in _OUTSIDE}
    if kept.get("deploy"):
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "replicas"}
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
    for char, escape in _ESCAPED:
        text = text.replace(char, escape)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
