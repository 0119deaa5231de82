"""The selection behind ``ps`` and ``container prune``: Docker's filters (moby daemon/list.go, api/types/filters).

Values of one name are alternatives, names must all hold; of ``label`` all values must.
"""

from __future__ import annotations

from pod.core.container import phase, ports, store
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pod.core.container.model import Container
    from pod.core.engine import Engine

    Test = Callable[[Container], bool]

FILTERS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"),
    *("publish", "since", "status", "volume"),
)
_HEALTH = ("healthy", "none", "starting", "unhealthy")


def read(filters: Iterable[str], accepted: Sequence[str] = FILTERS) -> dict[str, list[str]]:
    """The values of each name of "name=value" texts. PodError in Docker's words for a name that is not ``accepted``."""
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, _, value = text.partition("=")
        if key not in accepted:
            raise PodError(f"invalid filter '{key}'", hint="filters are " + ", ".join(accepted))
        wanted.setdefault(key, []).append(value)
    return wanted


def select(engine: Engine, containers: list[Container], wanted: dict[str, list[str]]) -> list[Container]:
    """Those of ``containers`` (the newest first) that all filters let through.

    PodError for a value that means nothing, NoSuchContainer for a ``before`` or ``since`` that does not exist.
    """
    tests = [_MAKERS[name](engine, values) for name, values in wanted.items() if name in _MAKERS]
    first, end = 0, len(containers)
    for name in wanted.get("before", ()):
        first = _place(containers, store.find_id(engine, name)) + 1
    for name in wanted.get("since", ()):
        end = _place(containers, store.find_id(engine, name))
    return [container for container in containers[first:end] if all(test(container) for test in tests)]


def _place(containers: list[Container], container_id: str) -> int:
    for place, container in enumerate(containers):
        if container.id == container_id:
            return place
    return len(containers)


def _patterns(name: str, values: list[str]) -> list[Callable[[str], object]]:
    import re

    found: list[Callable[[str], object]] = []
    for value in values:
        try:
            found.append(re.compile(value).search)
        except (re.error, OverflowError, RecursionError) as error:
            raise PodError(f"invalid filter '{name}={value}': {error}", hint="it is a regular expression") from None
    return found


def _by_name(engine: Engine, values: list[str]) -> Test:
    patterns = _patterns("name", values)
    return lambda one: any(match(one.name) or match("/" + one.name) for match in patterns)


def _by_id(engine: Engine, values: list[str]) -> Test:
    return lambda one: any(one.id.startswith(value) for value in values)


def _by_label(engine: Engine, values: list[str]) -> Test:
    return lambda one: all(has_label(one, value) for value in values)


def has_label(container: Container, text: str) -> bool:
    """Whether it has the label "key", or "key=value"."""
    key, equals, value = text.partition("=")
    labels = container.config["Config"]["Labels"] or {}
    return key in labels and (not equals or labels[key] == value)


def _by_exit(engine: Engine, values: list[str]) -> Test:
    codes = set()
    for value in values:
        try:
            codes.add(int(value))
        except ValueError:
            raise PodError(f"invalid filter 'exited={value}'", hint="it is an exit code, a number") from None
    return lambda one: one.status == "exited" and one.exit_code in codes


def _by_status(engine: Engine, values: list[str]) -> Test:
    for value in values:
        if value not in phase.PHASES:
            raise PodError(f"invalid filter 'status={value}'", hint="one of " + ", ".join(phase.PHASES))
    return lambda one: phase.phase(one) in values


def _by_health(engine: Engine, values: list[str]) -> Test:
    for value in values:
        if value not in _HEALTH:
            raise PodError(f"invalid filter 'health={value}'", hint="one of " + ", ".join(_HEALTH))

    def test(one: Container) -> bool:
        found = phase.health(one)
        return (found["Status"] if found else "none") in values

    return test


def _by_volume(engine: Engine, values: list[str]) -> Test:
    def test(one: Container) -> bool:
        return any(
            value in (mount.get("Name") or mount.get("Source"), mount["Destination"])
            for mount in one.config["Mounts"]
            for value in values
        )

    return test


def _by_network(engine: Engine, values: list[str]) -> Test:
    """Names that contain the value (as Docker's documentation has it), or ids that begin with it."""
    from pod.core.container import networks

    return networks.filter_test(engine, values)


def _by_ports(member: str) -> Callable[[Engine, list[str]], Test]:
    def make(engine: Engine, values: list[str]) -> Test:
        wanted = set()
        for value in values:
            wanted |= ports.read_range(value)

        def test(one: Container) -> bool:
            holder = one.config["HostConfig" if member == "PortBindings" else "Config"]
            for text in holder.get(member) or {}:
                try:
                    if ports.split(text) in wanted:
                        return True
                except ValueError:
                    continue  # an image's, which strangers wrote
            return False

        return test

    return make


def _by_task(engine: Engine, values: list[str]) -> Test:
    """There are no tasks of a swarm: "true" lets nothing through."""
    from pod.core.image import filters

    yes = filters.truth({"is-task": values}, "is-task")
    return lambda one: not yes


def _by_ancestor(engine: Engine, values: list[str]) -> Test:
    """Images by name or id, and those whose layers begin with theirs; an image that is gone by the name it had."""
    from pod.core.image import store as images

    ids: set[str] = set()
    chains: list[list[str]] = []
    for value in values:
        try:
            image = images.resolve(engine, value)
        except PodError:  # no such image, or no name of one: Docker's finds nothing, too
            continue
        ids.add(image.id)
        chains.append(list(image.chain_ids))
    known: dict[str, bool] = {}

    def descends(image_id: str) -> bool:
        try:
            own = list(images.by_id(engine, image_id).chain_ids)
        except PodError:
            return False
        return any(chain and len(own) > len(chain) and own[: len(chain)] == chain for chain in chains)

    def test(one: Container) -> bool:
        image_id = one.config["Image"]
        if image_id in ids or one.config["Config"]["Image"] in values:
            return True
        if image_id not in known:
            known[image_id] = descends(image_id)
        return known[image_id]

    return test


_MAKERS: dict[str, Callable[[Engine, list[str]], Test]] = {
    "ancestor": _by_ancestor,
    "exited": _by_exit,
    "expose": _by_ports("ExposedPorts"),
    "health": _by_health,
    "id": _by_id,
    "is-task": _by_task,
    "label": _by_label,
    "name": _by_name,
    "network": _by_network,
    "publish": _by_ports("PortBindings"),
    "status": _by_status,
    "volume": _by_volume,
}
"""``isolation`` has no maker: outside of Windows Docker, too, lets all through."""
