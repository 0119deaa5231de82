"""``pod update``: resource limits and the restart policy of containers, also of those that run."""

from __future__ import annotations

from pod.cli import run_flags
from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

_LIMITS = (
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus",
    "cpuset-mems", "memory", "memory-reservation", "memory-swap", "pids-limit",
)  # fmt: skip

COMMAND = Command(
    "update",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    (
        *(row for row in run_flags.CREATE if row[0] in _LIMITS),
        ("restart", "", "string", "Restart policy to apply when a container exits"),
    ),
    min_args=1,
    aliases=("pod container update", "pod update"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import each, run_limits
    from pod.core.container import changes, lifecycle, store

    if not options.given:
        raise PodError("you must provide one or more flags when using this command", hint="--memory, --cpus, --restart")
    policy = None
    try:
        limits = run_limits.members(options)
        if "restart" in options.given:
            policy = changes.parse_policy(options["restart"])
    except UsageError as error:
        raise PodError(error.message, hint=error.hint) from None

    def act(name: str) -> str:
        container = lifecycle.settle(engine, store.find(engine, name))
        if limits:
            changes.set_limits(engine, container, limits, run_limits.check)
        if policy is not None:
            changes.set_policy(engine, container, policy)
        return name

    return each.each(options.args, act)
