"""``pod compose volumes``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "volumes",
    "[OPTIONS] [SERVICE...]",
    "List volumes",
    (
        compose_project.DRY_RUN,
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template", "table"),
        ("quiet", "q", "bool", "Only display volume names"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output, volume_ls
    from pod.core.compose import existing
    from pod.core.container import store
    from pod.core.volume import remove
    from pod.core.volume import store as volumes

    name, project = compose_project.load_or_name(engine, options, options.args)
    found = existing.find(engine, name)
    names = set(found.volumes.values())
    if options.args:
        used = [store.find(engine, one.id).config for one in compose_project.chosen(found, project, options.args)]
        names &= {volume for config in used for volume in remove.names_in(config)}
    kept = [volumes.find(engine, one) for one in sorted(names)]
    if options["quiet"]:
        output.write("".join(volume.name + "\n" for volume in kept))
    elif options["format"] in ("", "table"):
        output.table(("DRIVER", "VOLUME NAME"), [("local", volume.name) for volume in kept])
    else:
        output.format_labelled(options["format"], volume_ls.HEADERS, [(volume_ls.row(one), one.labels) for one in kept])
    return 0
