"""The flags --health-* and --no-healthcheck as Docker's Config.Healthcheck."""

from __future__ import annotations

from pod.core.container import health
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options

FLAGS = {
    "health-cmd": "Test",
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-retries": "Retries",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}


def healthcheck(options: Options) -> dict[str, Any] | None:
    """What the flags set; None where they set nothing. UsageError in Docker's words for what makes no sense."""
    given = {member: options[flag] for flag, member in FLAGS.items() if options[flag]}
    if options["no-healthcheck"]:
        if given:
            raise UsageError("--no-healthcheck conflicts with --health-* options", hint="leave one of them out")
        return {"Test": ["NONE"]}
    for flag, member in FLAGS.items():
        if member != "Test" and given.get(member, 0) < 0:
            raise UsageError(f"--{flag} cannot be negative", hint="0 stands for the default")
    if "Test" in given:
        given["Test"] = ["CMD-SHELL", given["Test"]]
    health.check_request(given)
    return given or None
