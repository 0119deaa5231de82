"""``pod logout``: a login forgotten; docker/cli: registry logout."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command("logout", "[SERVER]", "Log out from a registry", max_args=1)


def main(engine: Engine, options: Options) -> int:
    """Status 0 also where there was no login, as Docker's."""
    from pod.core.registry import login

    host = login.server(options.args[0] if options.args else "")
    if login.forget(engine, host):
        output.line(f"Removing login credentials for {login.shown(host)}")
    else:
        output.line(f"Not logged in to {login.shown(host)}")
    return 0
