"""``pod compose version``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "version",
    "[OPTIONS]",
    "Show the version of Compose that this is like, and of pod",
    (
        compose_project.DRY_RUN,
        ("format", "f", "string", "Format the output. Values: [pretty | json]", "pretty"),
        ("short", "", "bool", "Shows only Compose's version number"),
    ),
    max_args=0,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output, version
    from pod.core import statefile
    from pod.core.compose import labels
    from pod.core.errors import UsageError

    if options["format"] not in ("pretty", "json", ""):
        raise UsageError(f"unsupported format {options['format']!r}", hint="pretty or json")
    if options["short"]:
        output.line(labels.COMPOSE_VERSION)
    elif options["format"] == "json":
        output.line(statefile.dumps({"version": "v" + labels.COMPOSE_VERSION, "pod": version.VERSION}))
    else:
        output.line(f"Docker Compose version v{labels.COMPOSE_VERSION} (pod {version.VERSION})")
    return 0
