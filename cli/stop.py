"""``pod stop``."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

FLAGS = (
    ("signal", "s", "string", "Signal to send to the container"),
    ("timeout", "t", "int", "Seconds to wait before killing the container"),
)
SPELLINGS = (("time", "timeout"),)
"""``stop`` and ``restart`` stop alike."""

COMMAND = Command(
    "stop",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    FLAGS,
    min_args=1,
    aliases=("pod container stop", "pod stop"),
    spellings=SPELLINGS,
)


def how(options: Options) -> tuple[int | None, int | None]:
    """The time-out in seconds and the signal, each None where it is not given."""
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"]) if options["signal"] else None
    return options["timeout"] if "timeout" in options.given else None, number


def main(engine: Engine, options: Options) -> int:
    from pod.cli import each
    from pod.core.container import stopping, store

    timeout, number = how(options)

    def act(name: str) -> str:
        stopping.stop(engine, store.find(engine, name), timeout, number)
        return name

    return each.each(options.args, act)
