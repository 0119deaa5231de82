"""``pod system autostart``."""

from __future__ import annotations

import os

from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COMMAND = Command(
    "autostart",
    "[OPTIONS]",
    "Start the containers that should run after a login or a reboot",
    (
        ("crontab", "", "bool", "Print the crontab line that calls this command at boot, and start nothing"),
        ("systemd", "", "bool", "Print the systemd user unit that calls this command, and start nothing"),
    ),
    max_args=0,
    path="pod system autostart",
)

SYSTEMD = "/run/systemd/system"
"""There where systemd is the system's manager (sd_booted(3))."""


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import autostart

    if options["crontab"] and options["systemd"]:
        raise UsageError("conflicting options: --crontab and --systemd")
    if options["crontab"]:
        output.line(autostart.crontab_line(engine))
        return 0
    if options["systemd"]:
        if not os.path.isdir(SYSTEMD):
            raise PodError("there is no systemd on this host", hint="--crontab prints a line for cron")
        output.write(autostart.user_unit(engine))
        return 0
    return _start_all(engine)


def _start_all(engine: Engine) -> int:
    """One at a time, and one such command at a time: cron and systemd may both call it at boot."""
    from pod.cli import each, start
    from pod.core import statefile
    from pod.core.container import autostart, settling

    def act(container: Container) -> str | None:
        if not autostart.is_due(engine, container):
            return None
        start.start_one(engine, container)
        return container.name

    with statefile.Lock(engine.run_dir + "/locks/autostart", timeout=600.0):
        return each.each(reversed(settling.settle_all(engine)), act)
