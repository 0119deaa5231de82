"""What has to be done: actions as data, each after those that it needs. Pure; ``--dry-run`` shows it.

network volume   make what the project declares        external   look whether what is declared so is there
create recreate rename start stop end remove kill      a container: ``end`` is stop and remove
wait             until a service's containers are healthy, or have ended well
keep             nothing: it runs as it should
rmnetwork rmvolume rmimage
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WORDS = {
    "network": ("Creating", "Created"),
    "volume": ("Creating", "Created"),
    "create": ("Creating", "Created"),
    "recreate": ("Recreate", "Recreated"),
    "rename": ("Renaming", "Renamed"),
    "start": ("Starting", "Started"),
    "restart": ("Restarting", "Started"),
    "stop": ("Stopping", "Stopped"),
    "end": ("Stopping", "Removed"),
    "remove": ("Removing", "Removed"),
    "kill": ("Killing", "Killed"),
    "pause": ("Pausing", "Paused"),
    "unpause": ("Unpausing", "Unpaused"),
    "wait": ("Waiting", "Healthy"),
    "keep": ("", "Running"),
    "external": ("", ""),
    "rmnetwork": ("Removing", "Removed"),
    "rmvolume": ("Removing", "Removed"),
    "rmimage": ("Removing", "Removed"),
    "pull": ("Pulling", "Pulled"),
    "load": ("Loading", "Loaded"),
    "build": ("Building", "Built"),
    "push": ("Pushing", "Pushed"),
}
"""What is said when an action begins and when it is done, in Docker's words."""

_SUBJECTS = {"network": "Network", "rmnetwork": "Network", "volume": "Volume", "rmvolume": "Volume",
             "rmimage": "Image", "build": "Image"}  # fmt: skip


class Action:
    """One thing to do. ``name`` is what it is done to; ``needs`` are positions of actions that come before."""

    __slots__ = ("data", "kind", "name", "needs", "number", "service")

    def __init__(self, kind: str, name: str, service: str = "", number: int = 0, **data: Any) -> None:
        self.kind = kind
        self.name = name
        self.service = service
        self.number = number
        self.needs: set[int] = set()
        self.data = data

    @property
    def subject(self) -> str:
        """What the lines of progress begin with."""
        if self.kind in ("pull", "load", "push"):
            return self.service
        names = self.data.get("names")
        shown = ", ".join(names) if self.kind == "wait" and names else self.name
        return f"{_SUBJECTS.get(self.kind, 'Container')} {shown}"

    def __repr__(self) -> str:
        more = "".join(f" {key}={value}" for key, value in sorted(self.data.items()))
        return f"{self.kind} {self.name}{more} after {sorted(self.needs)}"


class Plan:
    """Actions; what each needs says in which order they may be done."""

    __slots__ = ("actions", "warnings")

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.warnings: list[str] = []

    def add(self, action: Action, needs: Iterable[int] = ()) -> int:
        """Its position."""
        action.needs.update(needs)
        self.actions.append(action)
        return len(self.actions) - 1

    @property
    def changes(self) -> bool:
        """Whether there is anything to do but to look."""
        return any(action.kind not in ("keep", "external") for action in self.actions)
