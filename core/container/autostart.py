"""What should run after a login or a reboot: there is no daemon that would start it, so cron, a systemd user unit or a
login script calls ``pod system autostart``.
"""

from __future__ import annotations

import os
import sys

from pod.core import paths
from pod.core.runtime import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_UNIT = """\
# ~/.config/systemd/user/pod-autostart.service; then
#   systemctl --user daemon-reload && systemctl --user enable pod-autostart
# and, for it to run at boot and not at the first login:  loginctl enable-linger
[Unit]
Description=Containers of pod that are always to run

[Service]
Type=oneshot
RemainAfterExit=yes
{environment}ExecStart={command}

[Install]
WantedBy=default.target
"""


def is_due(engine: Engine, container: Container) -> bool:
    """Whether a settled container should run and does not.

    always: after a reboot also when the user stopped it before (as Docker when its daemon starts); in the same boot
    only when something else ended it. unless-stopped: unless the user stopped it. on-failure and no: never, as Docker.
    What never ran, and what another machine of a shared home ran last, is left alone.
    """
    policy, state = container.config["HostConfig"]["RestartPolicy"]["Name"], container.state
    if policy not in ("always", "unless-stopped") or container.status != "exited":
        return False
    here = engine.host
    if (state.get("machine"), state.get("hostname")) != (here.machine, here.hostname):
        return False
    if not container.stopped_by_user:
        return True
    return policy == "always" and state.get("boot") != here.boot


def _command() -> list[str]:
    """How this pod is run again: the one file, else whatever runs it now."""
    program = os.path.abspath(sys.argv[0])
    return [program] if os.access(program, os.X_OK) else launch.own_command()


def _variables(engine: Engine) -> dict[str, str]:
    """What cron and systemd do not know of the present environment, and the store's place depends on."""
    found = {name: engine.environ[name] for name in ("POD_CONFIG", "POD_RUN_DIR") if name in engine.environ}
    if engine.paths.root != paths.data_root({"HOME": engine.environ.get("HOME", "")}):
        found["POD_ROOT"] = engine.paths.root
    return found


def crontab_line(engine: Engine) -> str:
    """A line for crontab(5), which takes a bare % for the end of the command."""
    import shlex

    words = [f"{name}={shlex.quote(value)}" for name, value in sorted(_variables(engine).items())]
    words += [shlex.quote(word) for word in (*_command(), "system", "autostart")]
    return "@reboot " + " ".join(words).replace("%", "\\%")


def user_unit(engine: Engine) -> str:
    """A unit of systemd.service(5) for the user's manager."""
    lines = [f"Environment={_quoted(name + '=' + value)}\n" for name, value in sorted(_variables(engine).items())]
    command = " ".join([_quoted(word).replace("$", "$$") for word in (*_command(), "system", "autostart")])
    return _UNIT.format(environment="".join(lines), command=command)


def _quoted(word: str) -> str:
    """As systemd.syntax(7) has it, where % begins a specifier."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n") + '"'
