"""Whether what a container waits for is so: healthy, ended well, running."""

from __future__ import annotations

from pod.core.compose import existing
from pod.core.errors import NoSuchContainer, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.plan import Action
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_FAILED = {"running_or_healthy": "", "updated": "update stopped, the containers after it are as they were: "}
"""By condition, what goes before a failure. "updated": a container that was made anew, before the next one is."""


def met(engine: Engine, action: Action) -> bool:
    """False: not yet. PodError in Docker's words where it will not come."""
    from pod.core.container import lifecycle, store

    condition = action.data["condition"]
    found = []
    for name in action.data["names"]:
        try:
            found.append(lifecycle.settle(engine, store.find(engine, name)))
        except NoSuchContainer:
            raise PodError(f"dependency failed to start: no container for {action.service}") from None
    return all(_met(one, action.service, condition) for one in found)


def _met(one: Container, service: str, condition: str) -> bool:
    if condition == "service_completed_successfully":
        return _completed(one, service)
    if condition == "service_started":
        return one.status != "created"
    health = existing.health_of(one)
    failed = _FAILED.get(condition, "dependency failed to start: ")
    if condition == "service_healthy" and not health and one.is_running:
        raise PodError(
            f"{failed}container {one.name} has no healthcheck configured",
            hint=f"give the service {service} a healthcheck, or wait for service_started",
        )
    if one.status == "exited":
        raise PodError(
            f"{failed}container {one.name} exited ({one.exit_code})",
            hint=f"'pod logs {one.name}' shows what it wrote",
        )
    if health == "unhealthy":
        raise PodError(
            f"{failed}container {one.name} is unhealthy",
            hint=f"'pod inspect {one.name}' shows what its health check said",
        )
    if one.status == "restarting" and condition == "updated":
        raise PodError(
            f"{failed}container {one.name} ended and is started again",
            hint=f"'pod logs {one.name}' shows what it wrote",
        )
    return one.is_running and health in ("", "healthy") and one.status != "restarting"


def _completed(one: Container, service: str) -> bool:
    if one.status != "exited":
        return False
    if one.exit_code:
        raise PodError(
            f'service "{service}" didn\'t complete successfully: exit {one.exit_code}',
            hint=f"'pod logs {one.name}' shows what it wrote",
        )
    return True
