"""``pod inspect``: containers first, then images, as docker looks."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import NoSuchContainer, NoSuchImage, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    from pod.cli import output

    kind = options["type"]
    if kind not in ("", "container", "image"):
        raise UsageError(f'"{kind}" is not a valid value for --type', hint="container or image")
    if options["size"] and kind == "image":
        raise UsageError("--size is not supported with --type image")
    if options["format"] not in ("", "json"):
        from pod.cli import template

        template.parse(options["format"])  # a broken one is said before anything is looked up
    found: list[Any] = []
    failures: list[NotFound] = []
    for name in options.args:
        try:
            found.append(_look_up(engine, name, kind, size=options["size"]))
        except NotFound as error:
            failures.append(error)
    if found or not options["format"]:
        output.document(found, options["format"])
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
