"""Health checks: what an image and flags ask for, what the supervisor is told, and what it found (health.json).

The supervisor carries them out (ext/src/helper/health.h). Durations are nanoseconds, as in Docker's documents.
Source: moby daemon/health.go, daemon/container.go (validation, defaults and messages).
"""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import PodError, StoreCorrupt, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.runtime.plan import PlanWriter

SECOND = 1_000_000_000
SHORTEST = 1_000_000
_DURATIONS = {"Interval": 30 * SECOND, "Timeout": 30 * SECOND, "StartPeriod": 0, "StartInterval": 5 * SECOND}
"""Docker's default of each; a value of 0 stands for it."""
_RETRIES = 3
_MOST = 1 << 62


def of_image(value: object, image_name: str) -> dict[str, Any]:
    """Healthcheck of an image's configuration, which strangers wrote. PodError where it is of another form."""
    if isinstance(value, dict):
        test = value.get("Test")
        numbers = [value.get(name) or 0 for name in (*_DURATIONS, "Retries")]
        words = isinstance(test, list) and all(isinstance(word, str) and "\0" not in word for word in test)
        if (words or test is None) and all(type(number) is int and 0 <= number < _MOST for number in numbers):
            return {name: value[name] for name in ("Test", *_DURATIONS, "Retries") if value.get(name)}
    raise PodError(
        f"image {image_name}: broken configuration: Healthcheck is not what Docker's image format has there",
        hint="the image was made by a faulty tool, or by somebody who means harm; --no-healthcheck does not mend it",
    )


def check_request(wanted: Mapping[str, Any]) -> None:
    """UsageError for what Docker's daemon refuses of the flags."""
    for name in _DURATIONS:
        if wanted.get(name, 0) and wanted[name] < SHORTEST:
            raise UsageError(
                f"{name} in Healthcheck cannot be less than 1ms", hint="durations are numbers with a unit: 30s, 1m30s"
            )


def merge(wanted: Mapping[str, Any] | None, image: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the flags say, and for the rest what the image says; None where neither has any."""
    if not wanted:
        return dict(image) if image else None
    return {**(image or {}), **wanted}


def command(config: Mapping[str, Any]) -> list[str]:
    """argv of a probe of a container with that Config; [] where there is none to run."""
    test = (config.get("Healthcheck") or {}).get("Test") or []
    if test[:1] == ["CMD"]:
        return list(test[1:])
    if test[:1] == ["CMD-SHELL"] and len(test) > 1:
        return [*(config.get("Shell") or ("/bin/sh", "-c")), *test[1:]]
    return []


def write_plan(writer: PlanWriter, config: Mapping[str, Any], flags: int, namespaces: int) -> None:
    """HEALTH and what belongs to it, where the container with that Config has a check. ``flags`` are those of an exec
    in it, ``namespaces`` those that it joins.
    """
    from pod.core.runtime import plan

    argv = command(config)
    if not argv:
        return
    check = config["Healthcheck"]
    times = {name: check.get(name) or default for name, default in _DURATIONS.items()}
    names = ("Interval", "StartInterval", "StartPeriod", "Timeout")
    numbers = [flags, namespaces, 0, 0, *(max(times[name] // SHORTEST, name != "StartPeriod") for name in names)]
    writer.blob("HEALTH", b"".join(plan.u64(number) for number in (*numbers, check.get("Retries") or _RETRIES)))
    writer.texts("HEALTH_ARGV", argv)
    writer.text("HEALTH_LATE", f"Health check exceeded timeout ({go_duration(times['Timeout'])})")


def go_duration(nanoseconds: int) -> str:
    """Go's time.Duration.String of what is not negative: "1m30s", "1.5s", "250ms"."""
    if nanoseconds < SECOND:
        for unit, size in (("ms", 1_000_000), ("µs", 1000)):
            if nanoseconds >= size:
                return _decimal(nanoseconds, size) + unit
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return text + _decimal(rest, SECOND) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    return f"{whole}.{str(unit + part)[1:].rstrip('0')}" if part else str(whole)


def read(container: Container) -> dict[str, Any] | None:
    """State.Health of Docker's document; None where the container has no check, or never ran.

    What does not run is "unhealthy", also where its supervisor was killed before it could write that. A damaged file is
    none: the next result replaces it.
    """
    if not command(container.config["Config"]):
        return None
    try:
        record = statefile.read(container.directory + "/health.json")
    except (OSError, StoreCorrupt):
        record = {}
    entries, streak = record.get("Log"), record.get("FailingStreak")
    status = str(record.get("Status") or "starting")
    if container.status not in ("running", "orphaned", "elsewhere"):
        if not record:
            return None
        status = "unhealthy"
    return {
        "Status": status,
        "FailingStreak": streak if isinstance(streak, int) else 0,
        "Log": entries if isinstance(entries, list) else [],
    }
