"""``pod events``: what happens in the store, as it happens; docker/cli: system events."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command
from pod.core import events, moments
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "events",
    "[OPTIONS]",
    "Get real time events from the store",
    (
        ("filter", "f", "filter", "Filter output: container, event, image, label, network, scope, type, volume"),
        ("format", "", "string", "Format output: 'json', or a Go template"),
        ("since", "", "string", "Show all events created since timestamp"),
        ("until", "", "string", "Stream events until this timestamp"),
    ),
    max_args=0,
    aliases=("pod system events", "pod events"),
)

_PAUSE = 0.05
"""Seconds between two looks: the file lies in a home, where nothing need tell of other machines' changes."""


def main(engine: Engine, options: Options) -> int:
    """Shows what is kept since --since, then what comes, until --until or for ever (ended by a signal)."""
    return stream(engine, options["filter"], options["since"], options["until"], _shower(options["format"]))


def stream(
    engine: Engine, filters: list[str], first: str, last: str, show: Callable[[dict[str, Any]], None]
) -> int:
    """Hands ``show`` what the filters let through, between the moments of --since and --until."""
    now = time.time()
    since, until = _moment("since", first, now), _moment("until", last, now)
    if since is not None and until is not None and until < since:
        raise PodError(
            f"`since` time ({first}) cannot be after `until` time ({last})",
            hint="times are RFC 3339, seconds since 1970, or a duration before now like 10m",
        )
    fits = events.matcher(filters)
    # Docker's --until alone shows what is kept too only with --since.
    reader = events.Reader(engine, whole=since is not None)
    try:
        while True:
            over = until is not None and time.time_ns() >= until
            for event in reader.read():
                at = event["timeNano"]
                if (since is None or at >= since) and (until is None or at <= until) and fits(event):
                    show(event)
            if over:
                return 0
            time.sleep(_PAUSE)
    finally:
        reader.close()


def _moment(flag: str, text: str, now: float) -> int | None:
    """Nanoseconds since 1970; None where the flag is not given."""
    if not text:
        return None
    try:
        return moments.parse(text, now)
    except ValueError:
        raise PodError(
            f"invalid value for --{flag}: {text}: no point in time",
            hint="write 2024-01-31T12:00:00, seconds since 1970, or a duration before now like 10m",
        ) from None


def _shower(format: str) -> Callable[[dict[str, Any]], None]:
    if not format:
        return lambda event: output.line(_line(event))
    from pod.cli import template

    if format == "json":
        parsed = template.parse("{{json .}}")
        return lambda event: output.line(output.harmless_json(parsed.execute(event)))
    parsed = template.parse(format)
    return lambda event: output.line(parsed.execute(template.with_open_maps(_fields(event)), strict=True))


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    """The names that a template knows (moby api/types/events.Message)."""
    return {
        "Status": event.get("status", ""),
        "ID": event.get("id", ""),
        "From": event.get("from", ""),
        "Type": event["Type"],
        "Action": event["Action"],
        "Actor": event["Actor"],
        "Scope": event["scope"],
        "Time": event["time"],
        "TimeNano": event["timeNano"],
    }


def _line(event: dict[str, Any]) -> str:
    """ "2024-01-31T12:00:00.000000000Z container start ID (image=busybox, name=x)" on one line, whatever it holds."""
    seconds, rest = divmod(event["timeNano"], moments.SECOND)
    at = time.localtime(seconds)
    zone = time.strftime("%z", at)
    zone = "Z" if zone in ("+0000", "-0000") else f"{zone[:3]}:{zone[3:]}"
    text = f"{event['Type']} {event['Action']} {event['Actor']['ID']}"
    attributes = event["Actor"]["Attributes"]
    if attributes:
        text += " (" + ", ".join(f"{name}={value}" for name, value in attributes.items()) + ")"
    shown = output.visible(text).replace("\n", "\\n").replace("\t", "\\t")
    return time.strftime("%Y-%m-%dT%H:%M:%S", at) + f".{rest:09d}{zone} {shown}"
