"""``export``: a container's root file system as an archive, without volumes and whatever else is mounted on it."""

from __future__ import annotations

from pod.core.container import happened, view
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine


def export(engine: Engine, container: Container, stream: int) -> None:
    """Writes the archive to the descriptor ``stream``."""

    def work(plan_fd: int, found: Container) -> dict[str, Any]:
        try:
            result = view.Job("export", plan_fd, "/", stream=stream, flags=view.NO_TOP).result()
        except StepError as error:
            raise view.words(error, "export") from None
        if result["sockets"]:
            text = f"{result['sockets']} sockets left out, which cannot be in an archive; one is {result['name']!r}"
            engine.progress("warning", {"text": text})
        return result

    view.use(engine, container, work, bare=True)
    happened.tell(engine, container, "export")
