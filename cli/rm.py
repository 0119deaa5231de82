"""``pod rm``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import Conflict, NoSuchContainer, PodError, StoreCorrupt

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
    from pod.cli import output
    from pod.core.container import lifecycle, store

    failed = 0
    for name in options.args:
        try:
            container = store.find(engine, name)
            if options["link"]:
                raise Conflict(
                    "Conflict, cannot remove the default link name of the container",
                    hint="containers have no other links here: leave --link out",
                )
            lifecycle.remove(engine, container, force=options["force"], volumes=options["volumes"])
            output.line(name)
        except NoSuchContainer as error:
            # Docker: an error line, yet with --force nothing has failed.
            output.error(error)
            failed = failed if options["force"] else 1
        except StoreCorrupt as error:
            if not options["force"]:
                output.error(StoreCorrupt(error.message, hint=f"'pod rm -f {name}' takes it away"))
                failed = 1
                continue
            lifecycle.discard(engine, store.find_id(engine, name))
            output.line(name)
        except PodError as error:
            output.error(error)
            failed = 1
    return failed
