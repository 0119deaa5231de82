"""``pod compose export-bundle``: a whole application as one file; Docker has nothing like it."""

from __future__ import annotations

from pod.cli import compose_project, output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "export-bundle",
    "[OPTIONS] FILE",
    'Write the application as one file (or "-" for STDOUT) that "-f" reads on a machine without a network',
    (
        ("build", "", "bool", "Build images anew"),
        compose_project.DRY_RUN,
        ("pull", "", "string", 'Pull images ("always"|"missing"|"never")'),
        ("quiet", "q", "bool", "Do not tell of images, nor what is not in the bundle"),
    ),
    min_args=1,
    max_args=1,
)
_FAILED = "failed to write bundle"


def main(engine: Engine, options: Options) -> int:
    from pod.cli import archive_output, compose_hands, compose_up
    from pod.core.compose import bundling

    path = "" if options.args[0] == "-" else options.args[0]
    archive_output.check(path, _FAILED)
    project = compose_project.load(engine, options)
    made, left = bundling.make(project)
    voice = compose_hands.hands(engine, options, project)
    voice.how = "quiet" if options["quiet"] else voice.how
    with compose_project.lock(engine, project.name):
        status = compose_up.make_images(engine, options, project, sorted(project.services), voice)
        if status or voice.dry:
            return status
        with archive_output.file(path, _FAILED) as descriptor:
            bundling.write(engine, project, made, descriptor)
    for sentence in [] if options["quiet"] else left:
        output.warning(sentence)
    return 0
