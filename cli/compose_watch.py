"""``pod compose watch``: files that change go into containers, or make their services anew."""

from __future__ import annotations

import sys
import time

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import NotFound, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.compose.existing import Instance
    from pod.core.compose.project import Project
    from pod.core.compose.watching import Rule
    from pod.core.engine import Engine

COMMAND = Command(
    "watch",
    "[SERVICE...]",
    "Watch build context for service and rebuild/refresh containers when files are updated",
    (
        compose_project.DRY_RUN,
        ("no-up", "", "bool", "Do not build & start services before watching"),
        ("prune", "", "bool", "Prune dangling images on rebuild", True),
        ("quiet", "", "bool", "Hide build output"),
    ),
)

_SHORTEST = 0.2
_SHARE = 10
"""Between two looks passes this many times as long as a look takes, and never less than _SHORTEST seconds."""


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands, compose_up
    from pod.core.compose import watching

    project = compose_project.load(engine, options, options.args)
    if not watching.rules(project, options.args):
        raise PodError("none of the selected services is configured for watch, consider setting a 'develop' section")
    if not options["no-up"]:
        making: dict[str, object] = {
            row[0]: [] if row[2] == "stringArray" else "" if row[2] == "string" else False for row in compose_up.MAKING
        }
        options.values.update({**making, "build": True, "quiet-build": options["quiet"]})
        voice = compose_hands.hands(engine, options, project)
        with compose_project.lock(engine, project.name) as voice.lock:
            status, _ = compose_up.bring_up(engine, options, project, voice)
        if status or voice.dry:
            return status
    watch(engine, options, project)
    return 0


def watch(engine: Engine, options: Options, project: Project) -> None:
    """Until it is interrupted."""
    from pod.cli import output
    from pod.core.compose import watching

    rules = watching.rules(project, options.args)
    seen = [rule.look() for rule in rules]
    output.line("Watch enabled", sys.stderr)
    while True:
        began = time.monotonic()
        for position, rule in enumerate(rules):
            now = rule.look()
            changed, gone = watching.changes(seen[position], now)
            seen[position] = now
            if changed or gone:
                try:
                    _react(engine, options, project, rule, changed, gone)
                except PodError as error:
                    output.error(error)
        time.sleep(max(_SHORTEST, (time.monotonic() - began) * _SHARE))


def _react(engine: Engine, options: Options, project: Project, rule: Rule, changed: list[str], gone: list[str]) -> None:
    from pod.cli import compose_hands, output
    from pod.core.compose import plan_down, work

    voice = compose_hands.hands(engine, options, project)
    if rule.action == "rebuild":
        output.line(f'Rebuilding service "{rule.service}" after changes were detected...', sys.stderr)
        _rebuild(engine, options, project, rule.service)
        return
    if "sync" in rule.action:
        output.line(
            f'Syncing service "{rule.service}" after {len(changed) + len(gone)} changes were detected', sys.stderr
        )
        _sync(engine, project, rule, changed, gone)
    if rule.action.endswith("restart"):
        plan = plan_down.plan_each("restart", _running(engine, project, rule.service), timeout=None)
        compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)


def _running(engine: Engine, project: Project, service: str) -> list[Instance]:
    from pod.core.compose import existing

    return [one for one in existing.find(engine, project.name).of(service) if one.runs]


def _sync(engine: Engine, project: Project, rule: Rule, changed: list[str], gone: list[str]) -> None:
    from pod.cli import compose_hands
    from pod.core.container import cp, store

    hands = compose_hands.Hands(project)
    for one in _running(engine, project, rule.service):
        container = store.find(engine, one.id)
        folders = sorted({rule.place(name).rpartition("/")[0] or "/" for name in changed})
        if folders:
            hands.hook(engine, container, {"command": ["mkdir", "-p", *folders], "user": "0"})
        for name in changed:
            source = f"{rule.path}/{name}" if name else rule.path
            try:
                cp.into(engine, container, source, rule.place(name), follow=False, archive=False)
            except NotFound:
                continue  # gone again: the next look says so
        for start in range(0, len(gone), 200):
            paths = [rule.place(name) for name in gone[start : start + 200]]
            hands.hook(engine, container, {"command": ["rm", "-f", "--", *paths], "user": "0"})


def _rebuild(engine: Engine, options: Options, project: Project, service: str) -> None:
    """In a process of its own, which may fail without ending the watch."""
    from pod.cli import compose_hands, compose_up
    from pod.cli.options import Options as Parsed

    making: dict[str, object] = {
        row[0]: [] if row[2] == "stringArray" else "" if row[2] == "string" else False for row in compose_up.MAKING
    }
    again = Parsed({**making, "build": True, "no-deps": True, "quiet-build": True, "help": False}, [service], set())
    again.group = options.group

    def work() -> int:
        voice = compose_hands.hands(engine, again, project)
        with compose_project.lock(engine, project.name) as voice.lock:
            return compose_up.bring_up(engine, again, project, voice)[0]

    compose_hands.run_child(work)
