"""``pod rmi``: removes names and images; docker/cli: image rm."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options
from pod.core.errors import NoSuchImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "rmi",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    (
        ("force", "f", "bool", "Force removal of the image"),
        ("no-prune", "", "bool", "Do not delete untagged parents (images here have none)"),
        ("platform", "", "stringSlice", "Remove the image only if it is for this platform, as os[/arch[/variant]]"),
    ),
    min_args=1,
    aliases=("pod image rm", "pod image remove", "pod rmi"),
)


def main(engine: Engine, options: Options) -> int:
    """Goes on after an image that cannot be removed; its error is said and the status is 1."""
    from pod.cli import each
    from pod.core.image import trash

    def act(name: str) -> None:
        try:
            _remove(engine, name, options)
        except NoSuchImage as error:
            if not options["force"]:
                raise
            output.error(error)

    try:
        return each.each(options.args, act)
    finally:
        trash.empty_later(engine)


def _remove(engine: Engine, name: str, options: Options) -> None:
    from pod.core.container import model
    from pod.core.image import remove, variant

    variant.resolve(engine, name, options["platform"], exactly=True)

    def is_running(container_id: str) -> bool:
        try:
            return model.read(engine, container_id).status in ("running", "orphaned", "elsewhere")
        except FileNotFoundError:
            return False

    for removal in remove.remove(engine, name, force=options["force"], is_running=is_running, later=True):
        output.line(str(removal))
