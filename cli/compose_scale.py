"""``pod compose scale``."""

from __future__ import annotations

from pod.cli import compose_project, compose_up
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "scale",
    "[SERVICE=REPLICAS...]",
    "Scale services",
    (
        compose_project.DRY_RUN,
        ("no-deps", "", "bool", "Don't start linked services"),
    ),
    min_args=1,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands

    services = [text.partition("=")[0] for text in options.args]
    project = compose_project.load(engine, options, services)
    more: dict[str, object] = {
        row[0]: [] if row[2] == "stringArray" else "" if row[2] == "string" else False for row in compose_up.MAKING
    }
    options.values.update(more)
    options.values["scale"], options.args = options.args, services
    options.values["no-recreate"] = True
    voice = compose_hands.hands(engine, options, project)
    with compose_project.lock(engine, project.name) as voice.lock:
        return compose_up.bring_up(engine, options, project, voice)[0]
