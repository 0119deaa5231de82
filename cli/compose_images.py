"""``pod compose images``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "images",
    "[OPTIONS] [SERVICE...]",
    "List images used by the created containers",
    (
        compose_project.DRY_RUN,
        ("format", "", "string", "Format the output. Values: [table | json]", "table"),
        ("quiet", "q", "bool", "Only display IDs"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core import statefile
    from pod.core.compose import existing
    from pod.core.container import store
    from pod.core.errors import PodError, UsageError
    from pod.core.image import sizes
    from pod.core.image import store as images
    from pod.core.oci import reference

    if options["format"] not in ("table", "json"):
        raise UsageError(f"unsupported format {options['format']!r}", hint="table or json")
    name, project = compose_project.load_or_name(engine, options, options.args)
    known, rows = sizes.Sizes(engine), []
    for one in compose_project.chosen(existing.find(engine, name), project, options.args):
        config = store.find(engine, one.id).config
        try:
            parsed = reference.parse(config["Config"]["Image"])
            repository, tag = parsed.familiar_name, parsed.tag or ("" if parsed.digest else "latest")
        except PodError:
            repository, tag = "<none>", "<none>"
        try:
            size = sum(known.of_layer(layer) or 0 for layer in images.by_id(engine, one.image).record["layers"])
        except PodError:
            size = 0
        rows.append((one, repository, tag, config["Pod"].get("Platform", ""), size))
    if options["quiet"]:
        for text in dict.fromkeys(row[0].image for row in rows):
            output.line(text.partition(":")[2])
    elif options["format"] == "json":
        found = [
            {"ID": one.image, "ContainerName": one.name, "Repository": repository, "Tag": tag, "Platform": platform,
             "Size": size}
            for one, repository, tag, platform, size in rows
        ]  # fmt: skip
        output.line(output.harmless_json(statefile.dumps(found)))
    else:
        head = ("CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE")
        output.table(head, [
            (one.name, repository, tag, platform, one.image.partition(":")[2][:12], output.human_size(size))
            for one, repository, tag, platform, size in rows
        ])  # fmt: skip
    return 0
