"""What is said once per store, not at every start: how this host or user differs from what Docker's users expect."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine


def before_start(engine: Engine, config: dict[str, Any]) -> None:
    """Warnings that belong to this start and were not said yet; costs a stat each where one applies."""
    facts = engine.facts
    if facts.overlay != "native":
        once(engine, "flatten", f"no overlay here ({facts.overlay_reason}): each container gets a copy of its image")
    if not facts.fresh_proc and config["HostConfig"]["PidMode"] != "host":
        once(engine, "proc", "no own /proc here: containers see the host's, read-only ('pod doctor' says why)")
    single = config["Pod"]["IdMap"]["Kind"] == "single"
    if single and facts.root_emulation != "full" and config["Pod"]["RootEmulation"] == "auto":
        text = f"root emulation is basic here ({facts.root_emulation_reason}): owners and ids are not remembered"
        once(engine, "emulation", text)
    if single and len(os.getgroups()) > 1:
        text = "without subordinate ids your supplementary groups cannot be dropped: containers keep them"
        once(engine, "groups", text)


def once(engine: Engine, topic: str, text: str) -> None:
    """Warns of ``topic``, unless this store's user has been told before."""
    path = f"{engine.paths.cache}/said-{topic}"
    if os.path.exists(path):
        return
    engine.progress("warning", {"text": text})
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError:
        return  # said again next time, no harm
