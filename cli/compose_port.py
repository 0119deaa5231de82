"""``pod compose port``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "port",
    "[OPTIONS] SERVICE PRIVATE_PORT",
    "Print the public port for a port binding",
    (
        compose_project.DRY_RUN,
        ("index", "", "int", "Index of the container if service has multiple replicas"),
        ("protocol", "", "string", "tcp or udp", "tcp"),
    ),
    min_args=2,
    max_args=2,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.compose import existing
    from pod.core.container import ports, store
    from pod.core.errors import PodError, UsageError

    name, _project = compose_project.load_or_name(engine, options, options.args[:1])
    one = compose_project.one_container(existing.find(engine, name), options.args[0], options["index"])
    text = options.args[1]
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise UsageError(f"invalid port: {text}", hint="a number; --protocol udp for one of UDP")
    wanted = (int(text), options["protocol"].lower())
    for port, kind, host, public in ports.shown(store.find(engine, one.id)):
        if (port, kind) == wanted and public:
            output.line(f"[{host}]:{public}" if ":" in host else f"{host}:{public}")
            return 0
    raise PodError(f"no port {text}/{options['protocol']} for container {one.name}", hint="'pod compose ps' lists them")
