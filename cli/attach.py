"""``pod attach``: this process becomes a further client of a running container."""

from __future__ import annotations

import os

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "attach",
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    (
        ("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        ("no-stdin", "", "bool", "Do not attach STDIN"),
        ("sig-proxy", "", "bool", "Proxy all received signals to the process", True),
    ),
    min_args=1,
    max_args=1,
    aliases=("pod container attach", "pod attach"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import detach_keys, run
    from pod.core.container import attach, lifecycle, planning, store
    from pod.core.errors import PodError

    container = lifecycle.settle(engine, store.find(engine, options.args[0]))
    attachment = planning.Attachment()
    attachment.stdin = not options["no-stdin"]
    attachment.sig_proxy = options["sig-proxy"]
    attachment.say_detached = True
    attachment.winsize = run.window_size()
    attachment.detach_keys = detach_keys.choose(engine, options)
    attach.check(container)
    if attachment.stdin and container.config["Config"]["Tty"] and not os.isatty(0):
        raise PodError("the input device is not a TTY", hint="--no-stdin leaves it out")
    attach.attach(engine, container, attachment)
