"""What Docker calls the state of a container, from its records: pure but for the file of its health check.

phase     created running paused restarting exited, and ours: elsewhere
health    "" where no check runs, else starting healthy unhealthy
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container

PHASES = ("created", "running", "paused", "restarting", "exited", "removing", "dead", "elsewhere")
"""What --filter status= takes: Docker's, of which pod has no "removing" and "dead", and ours."""


def phase(container: Container) -> str:
    """One word of :data:`PHASES`."""
    status = container.status
    if status == "restarting":
        return status
    if status in ("running", "orphaned"):
        state = container.state
        return "restarting" if state.get("restarting") else "paused" if state.get("paused") else "running"
    return status


def health(container: Container) -> dict[str, Any] | None:
    """The document of a container's health check (Docker's State.Health), None where there is none."""
    if not container.config["Config"].get("Healthcheck"):
        return None
    from pod.core.container import health as checks

    return checks.read(container)
