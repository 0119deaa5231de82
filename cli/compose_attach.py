"""``pod compose attach``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "attach",
    "[OPTIONS] SERVICE",
    "Attach local standard input, output, and error streams to a service's running container",
    (
        ("detach-keys", "", "string", "Override the key sequence for detaching from a container"),
        compose_project.DRY_RUN,
        ("index", "", "int", "Index of the container if service has multiple replicas"),
        ("no-stdin", "", "bool", "Do not attach STDIN"),
        ("sig-proxy", "", "bool", "Proxy all received signals to the process", True),
    ),
    min_args=1,
    max_args=1,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import attach
    from pod.cli.options import parse
    from pod.core.compose import existing

    name, _project = compose_project.load_or_name(engine, options, options.args[:1])
    one = compose_project.one_container(existing.find(engine, name), options.args[0], options["index"])
    words = [f"--sig-proxy={'true' if options['sig-proxy'] else 'false'}"]
    words += ["--no-stdin"] if options["no-stdin"] else []
    words += [f"--detach-keys={options['detach-keys']}"] if "detach-keys" in options.given else []
    return int(attach.main(engine, parse(attach.COMMAND, [*words, one.id])))
