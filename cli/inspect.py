"""``pod inspect``: containers first, then images, networks and volumes, as docker looks."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import NoSuchContainer, NoSuchImage, NoSuchNetwork, NoSuchVolume, NotFound, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on pod's objects",
    (
        ("format", "f", "string", "Format output: 'json', or a Go template"),
        ("size", "s", "bool", "Display total file sizes if the type is container"),
        ("type", "", "string", "Only objects of this type: container, image, network or volume"),
    ),
    min_args=1,
)

_ELSEWHERE = ("config", "node", "plugin", "secret", "service", "task")
"""Docker's kinds that pod never has."""


def main(engine: Engine, options: Options) -> int:
    kind = options["type"]
    allowed = '", "'.join(_KINDS)
    if "type" in options.given and kind not in _KINDS:
        what = "type is empty" if not kind else f'unknown type: "{kind}"'
        hint = "pod has no objects of that type" if kind in _ELSEWHERE else None
        raise PodError(f'{what}: must be one of "{allowed}"', hint=hint)
    size = options["size"]

    def look_up(name: str) -> dict[str, Any]:
        if kind:
            return _sized(engine, kind, name, size=size)
        for each, (_, missing) in _KINDS.items():
            try:
                return _sized(engine, each, name, size=size)
            except missing:
                continue
        raise NotFound(f"No such object: {name}", hint="'pod ps -a' and 'pod images' list what there is")

    return show(options.args, options["format"], look_up)


def _sized(engine: Engine, kind: str, name: str, *, size: bool) -> dict[str, Any]:
    """The document, and a word where --size says nothing of that kind."""
    document = _KINDS[kind][0](engine, name, size)
    if size and kind != "container":
        from pod.cli import output

        output.warning(f"--size ignored for {kind}s")
    return document


def show(names: list[str], format: str, look_up: Callable[[str], dict[str, Any]]) -> int:
    """The documents of all names that are found, then the errors of the others: status 1 if there are any."""
    from pod.cli import harmless, output

    if format not in ("", "json"):
        from pod.cli import template

        template.parse(format)  # a broken one is said before anything is looked up
    found: list[Any] = []
    failures: list[PodError] = []
    for name in names:
        try:
            found.append(look_up(name))
        except PodError as error:
            failures.append(error)
    if found or not format:
        output.document(harmless.for_reader(found) if format not in ("", "json") else found, format)
    for failure in failures:
        output.error(failure)
    return 1 if failures else 0


def _container(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from pod.core.container import inspect, lifecycle, store

    container = lifecycle.settle(engine, store.find(engine, name))
    return inspect.document(engine, container, size=size)


def _image(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from pod.core.errors import InvalidReference
    from pod.core.image import inspect, store

    try:
        return inspect.document(engine, store.resolve(engine, name))
    except InvalidReference as error:  # what is no name of an image may still be one of something else
        raise NoSuchImage(error.message, hint=error.hint) from None


def _network(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from pod.core.container import networks

    return networks.document(engine, name)


def _volume(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from pod.core.volume import store

    return store.find(engine, name).document()


_KINDS: dict[str, tuple[Callable[[Engine, str, bool], dict[str, Any]], type[PodError]]] = {
    "container": (_container, NoSuchContainer),
    "image": (_image, NoSuchImage),
    "network": (_network, NoSuchNetwork),
    "volume": (_volume, NoSuchVolume),
}
"""Docker's order; each with the error that says there is none of that name."""
