"""The part of a project that a command names: services, what they depend on, and what all these use."""

from __future__ import annotations

from pod.core.compose import checks
from pod.core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.compose.project import Project


def select(project: Project, names: Sequence[str], *, dependencies: bool = True) -> Project:
    """Services that are not meant become disabled ones; all are meant where none is named. Changes ``project``."""
    if not names:
        return project
    wanted: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        if name not in project.services:
            raise NotFound(f"no such service: {name}", hint=f"there are {', '.join(sorted(project.services))}")
        wanted.add(name)
        if dependencies:
            todo += [one for one in checks.needs(project.services[name]) if one in project.services]
    for name in [one for one in project.services if one not in wanted]:
        project.disabled[name] = project.services.pop(name)
    for service in project.services.values():
        depends = {key: value for key, value in (service.get("depends_on") or {}).items() if key in wanted}
        if depends:
            service["depends_on"] = depends
        else:
            service.pop("depends_on", None)
    return project
