"""``pod volume update``: of cluster volumes, in Docker; refused."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "update",
    "[OPTIONS] VOLUME",
    "Update a volume (cluster volumes only)",
    (("availability", "", "string", 'Cluster Volume availability ("active", "pause", "drain")', "active"),),
    max_args=1,
    path="pod volume update",
)


def main(engine: Engine, options: Options) -> NoReturn:
    raise PodError(
        "volume update: only a swarm has volumes that can be updated, and pod is none",
        hint="make a new volume; 'pod volume create --help' shows what it can be",
    )
