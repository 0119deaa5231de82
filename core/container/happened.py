"""Events of containers that Python tells; those of starts, ends and exec are the helper's (ext/src/helper/event.h)."""

from __future__ import annotations

from pod.core import events, statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine


def tell(engine: Engine, container: Container, action: str, **more: str) -> None:
    """One event of the container, with its labels, image and name and ``more`` attributes. Never fails."""
    config = container.config["Config"]
    attributes: dict[str, str] = statefile.loads("{" + events.label_members(config["Labels"] or {}) + "}")
    attributes.update(image=config["Image"], name=container.name, **more)
    events.emit(engine, "container", action, container.id, attributes)


def apart(engine: Engine, container: Container) -> None:
    """The event "disconnect" of each network of a container whose supervisor could not tell it. Never fails."""
    from pod.core.container import networks
    from pod.core.errors import PodError
    from pod.core.network import store

    for name in networks.names(container):
        try:
            record = store.find(engine, name)
        except (PodError, OSError):
            continue
        attributes = {"container": container.id, "name": name, "type": str(record["Driver"])}
        events.emit(engine, "network", "disconnect", str(record["Id"]), attributes)
