"""``pod rm``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import Conflict, NoSuchContainer, StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "rm",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    (
        ("force", "f", "bool", "Force the removal of a running container (uses SIGKILL)"),
        ("link", "l", "bool", "Remove the specified link"),
        ("volumes", "v", "bool", "Remove anonymous volumes associated with the container"),
    ),
    min_args=1,
    aliases=("pod container rm", "pod container remove", "pod rm"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import each, output
    from pod.core.container import lifecycle, store

    def act(name: str) -> str | None:
        try:
            container = store.find(engine, name)
            if options["link"]:
                raise Conflict(
                    "Conflict, cannot remove the default link name of the container",
                    hint="containers have no other links here: leave --link out",
                )
            lifecycle.remove(engine, container, force=options["force"], volumes=options["volumes"])
        except NoSuchContainer as error:
            if not options["force"]:
                raise
            output.error(error)  # Docker: an error line, yet with --force nothing has failed
            return None
        except StoreCorrupt as error:
            if not options["force"]:
                raise StoreCorrupt(error.message, hint=f"'pod rm -f {name}' takes it away") from None
            lifecycle.discard(engine, store.find_id(engine, name))
        return name

    return each.each(options.args, act)
