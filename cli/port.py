"""``pod port``: the published ports of a container; docker/cli: container port."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    min_args=1,
    max_args=2,
    aliases=("pod container port", "pod port"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import lifecycle, ports, store

    container = lifecycle.settle(engine, store.find(engine, options.args[0]))
    found = [port for port in ports.shown(container) if port[3]]
    if len(options.args) == 1:
        output.write("".join(f"{port}/{kind} -> {_address(host)}:{public}\n" for port, kind, host, public in found))
        return 0
    asked = options.args[1]
    try:
        wanted = ports.split(asked)
    except ValueError:
        hint = "a number below 65536, alone or with /tcp, /udp or /sctp"
        raise PodError(f"invalid port ({asked})", hint=hint) from None
    lines = [f"{_address(host)}:{public}\n" for port, kind, host, public in found if (port, kind) == wanted]
    if not lines:
        raise PodError(f"No public port '{asked}' published for {options.args[0]}")
    output.write("".join(lines))
    return 0


def _address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
