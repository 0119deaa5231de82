"""``pod compose events``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "events",
    "[OPTIONS] [SERVICE...]",
    "Receive real time events from containers",
    (
        compose_project.DRY_RUN,
        ("json", "", "bool", "Output events as a stream of json objects"),
        ("since", "", "string", "Show all events created since timestamp"),
        ("until", "", "string", "Stream events until this timestamp"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import events
    from pod.core.compose import labels

    name, _ = compose_project.load_or_name(engine, options, options.args)
    return events.stream(
        engine,
        ["type=container", f"label={labels.PROJECT}={name}"],
        options["since"],
        options["until"],
        _shower(options.args, whole=options["json"]),
    )


def _shower(services: list[str], *, whole: bool) -> Callable[[dict[str, Any]], None]:
    """Docker's two forms of an event of a container."""
    from pod.cli import output
    from pod.core import moments, statefile
    from pod.core.compose import labels

    def show(event: dict[str, Any]) -> None:
        attributes = dict(event["Actor"]["Attributes"])
        service = attributes.get(labels.SERVICE, "")
        if (services and service not in services) or attributes.get(labels.ONEOFF, "").lower() == "true":
            return
        kept = {key: value for key, value in attributes.items() if not key.startswith("com.docker.compose.")}
        at = moments.rfc3339(event["timeNano"])
        action, container = event["Action"], event["Actor"]["ID"]
        if whole:
            found = {"action": action, "attributes": kept, "id": container, "service": service, "time": at,
                     "type": "container"}  # fmt: skip
            output.line(output.harmless_json(statefile.dumps(found)))
            return
        shown = ", ".join(f"{key}={value}" for key, value in sorted(kept.items()))
        output.line(output.visible(f"{at[:10]} {at[11:26]} container {action} {container} ({shown})"))

    return show
