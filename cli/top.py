"""``pod top``: the processes of a container, with the host's numbers and names."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "top",
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    min_args=1,
    interspersed=False,
    aliases=("pod container top", "pod top"),
)

_NARROWEST, _PADDING = 20, 3
"""Docker's columns here are wider than those of its tables."""


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import lifecycle, store, top

    container = lifecycle.settle(engine, store.find(engine, options.args[0]))
    titles, rows = top.listing(engine, container, options.args[1:])
    lines = [titles, *([output.visible(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(_NARROWEST, *(len(line[at]) + _PADDING for line in lines)) for at in range(len(titles) - 1)]
    for line in lines:
        output.line("".join(cell.ljust(width) for cell, width in zip(line, widths)) + line[-1])
    return 0
