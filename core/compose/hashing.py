"""The digest of one service: what ``config --hash`` prints and a container's label tells."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.project import Project

_OUTSIDE = frozenset(("build", "pull_policy", "scale", "depends_on", "profiles"))
"""Keys that change no container: a service that differs in them alone is not made anew."""


def service_hash(project: Project, name: str) -> str:
    """sha256 over the canonical service, in hex."""
    import hashlib
    import json

    service = project.services[name] if name in project.services else project.disabled[name]
    kept = {key: value for key, value in service.items() if key not in _OUTSIDE}
    if "deploy" in kept and kept["deploy"]:
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "replicas"}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
