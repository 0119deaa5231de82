"""``pod logs``."""

from __future__ import annotations

import sys

from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.logs import LogLine
    from pod.core.engine import Engine

COMMAND = Command(
    "logs",
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    (
        ("details", "", "bool", "Show extra details provided to logs"),
        ("follow", "f", "bool", "Follow log output"),
        ("since", "", "string", 'Show logs since timestamp (e.g. "2024-01-02T13:23:37Z") or relative (e.g. "42m")'),
        ("tail", "n", "string", "Number of lines to show from the end of the logs", "all"),
        ("timestamps", "t", "bool", "Show timestamps"),
        ("until", "", "string", 'Show logs before timestamp (e.g. "2024-01-02T13:23:37Z") or relative (e.g. "42m")'),
    ),
    min_args=1,
    max_args=1,
    aliases=("pod container logs", "pod logs"),
)


def main(engine: Engine, options: Options) -> int:
    import time

    from pod.cli import output
    from pod.core.container import lifecycle, logs, store

    container = lifecycle.settle(engine, store.find(engine, options.args[0]))
    tail = options["tail"]
    digits = tail[1:] if tail[:1] == "-" else tail
    if tail != "all" and not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise UsageError(f'invalid value for "tail": {tail}', hint="a number of lines, or all")
    now = time.time()

    details, timestamps = options["details"], options["timestamps"]

    def emit(line: LogLine) -> None:
        text = f"{_details(line.attrs)} {line.text}" if details else line.text
        if timestamps:
            text = f"{line.time} {text}"
        output.write(text, sys.stderr if line.stream == "stderr" else sys.stdout)

    logs.read(
        engine,
        container,
        emit,
        tail=-1 if tail == "all" else int(tail),
        since=logs.parse_moment(options["since"], now),
        until=logs.parse_moment(options["until"], now),
        follow=options["follow"],
    )
    return 0


def _details(attrs: dict[str, str]) -> str:
    """Sorted ``name=value`` pairs, escaped as in a URL's query: Docker's."""
    from urllib.parse import quote_plus

    return ",".join(f"{quote_plus(str(name))}={quote_plus(str(attrs[name]))}" for name in sorted(attrs))
