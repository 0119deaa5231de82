"""``pod compose cp``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "cp",
    "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n       pod compose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH",
    "Copy files/folders between a service container and the local filesystem",
    (
        ("all", "", "bool", "Include containers created by the run command"),
        ("archive", "a", "bool", "Archive mode (copy all uid/gid information)"),
        compose_project.DRY_RUN,
        ("follow-link", "L", "bool", "Always follow symbol link in SRC_PATH"),
        ("index", "", "int", "Index of the container if service has multiple replicas"),
    ),
    min_args=2,
    max_args=2,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import cp
    from pod.cli.options import parse
    from pod.core.compose import existing
    from pod.core.container import cp_paths
    from pod.core.errors import PodError

    source, source_path = cp_paths.split_argument(options.args[0])
    target, target_path = cp_paths.split_argument(options.args[1])
    if source and target:
        raise PodError("copying between services is not supported", hint="copy to a folder of the host first")
    service = source or target
    if not service:
        raise PodError("unknown copy direction", hint="the form is SERVICE:PATH")
    name, project = compose_project.load_or_name(engine, options, [service])
    found = existing.find(engine, name)
    chosen = [compose_project.one_container(found, service, options["index"])]
    if target and not options["index"]:  # into every container of the service, as Docker
        chosen = compose_project.chosen(found, project, [service], oneoff=options["all"]) or chosen
    words = ["--archive"] if options["archive"] else []
    words += ["--follow-link"] if options["follow-link"] else []
    status = 0
    for one in chosen:
        pair = [f"{one.id}:{source_path}", options.args[1]] if source else [options.args[0], f"{one.id}:{target_path}"]
        status = cp.main(engine, parse(cp.COMMAND, [*words, *pair])) or status
    return status
