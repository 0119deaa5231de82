"""``pod volume rm``; docker/cli: volume rm."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "rm",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    (("force", "f", "bool", "Force the removal of one or more volumes: one that is not there is no failure"),),
    min_args=1,
    aliases=("pod volume rm", "pod volume remove"),
    path="pod volume rm",
)


def main(engine: Engine, options: Options) -> int:
    """Each volume's name once it is gone, an error line for each of the others; the bytes follow in the background."""
    from pod.cli import each
    from pod.core.image import trash
    from pod.core.volume import remove

    def act(name: str) -> str:
        remove.remove(engine, name, force=options["force"])
        return name

    status = each.each(options.args, act)
    trash.empty_later(engine)
    return status
