"""``pod inspect``: containers first, then images, as docker looks."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import NoSuchContainer, NoSuchImage, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers and images",
    (
        ("format", "f", "string", "Format output: 'json', or a Go template"),
        ("size", "s", "bool", "Display total file sizes if the type is container"),
        ("type", "", "string", "Return JSON for that type: container or image"),
    ),
    min_args=1,
)


def main(engine: Engine, options: Options) -> int:
    kind = options["type"]
    if kind not in ("", "container", "image"):
        raise UsageError(f'"{kind}" is not a valid value for --type', hint="container or image")
    if options["size"] and kind == "image":
        raise UsageError("--size is not supported with --type image")
    return show(options.args, options["format"], lambda name: _look_up(engine, name, kind, size=options["size"]))


def show(names: list[str], format: str, look_up: Callable[[str], dict[str, Any]]) -> int:
    """The documents of all names that are found, then the errors of the others: status 1 if there are any."""
    from pod.cli import harmless, output

    if format not in ("", "json"):
        from pod.cli import template

        template.parse(format)  # a broken one is said before anything is looked up
    found: list[Any] = []
    failures: list[NotFound] = []
    for name in names:
        try:
            found.append(look_up(name))
        except NotFound as error:
            failures.append(error)
    if found or not format:
        output.document(harmless.for_reader(found) if format not in ("", "json") else found, format)
    for failure in failures:
        output.error(failure)
    return 1 if failures else 0


def _look_up(engine: Engine, name: str, kind: str, *, size: bool) -> dict[str, Any]:
    from pod.core.container import inspect, lifecycle, store

    if kind != "image":
        try:
            container = lifecycle.settle(engine, store.find(engine, name))
            return inspect.document(engine, container, size=size)
        except NoSuchContainer:
            if kind:
                raise
    from pod.core.image import inspect as image_inspect
    from pod.core.image import store as image_store

    try:
        return image_inspect.document(engine, image_store.resolve(engine, name))
    except NoSuchImage:
        if kind:
            raise
        raise NotFound(f"No such object: {name}", hint="'pod ps -a' and 'pod images' list what there is") from None
