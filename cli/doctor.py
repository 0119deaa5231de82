"""``pod doctor``: what this host allows, found by trying; what pod makes of it; what would change it."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options
from pod.core import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.host import Fact

COMMAND = Command(
    "doctor",
    "[OPTIONS]",
    "Check what this host allows, and say how to allow more",
    (("format", "f", "string", "Format output: 'json' (one document), or a Go template for each fact"),),
    max_args=0,
)

_MARKS = {"ok": "ok", "limit": "--", "stop": "NO"}
_WIDTH = 22


def main(engine: Engine, options: Options) -> int:
    """0 where ``pod run`` can work on this host, 1 where not; the same with every format."""
    facts = host.probe_all(engine)
    stops = [fact.name for fact in facts if fact.level == "stop"]
    form = options["format"]
    if form == "json":
        output.document([{"run": not stops, "facts": [fact.as_dict() for fact in facts]}], "json")
    elif form:
        output.document([{key.capitalize(): value for key, value in fact.as_dict().items()} for fact in facts], form)
    else:
        for fact in facts:
            _show(fact)
        output.line("")
        output.line(f"pod run cannot work here: {', '.join(stops)}" if stops else "pod run can work here")
    return 1 if stops else 0


def _show(fact: Fact) -> None:
    """What was found on the first line; where something is missing, the trial, the outcome and the remedy below."""
    output.line(output.visible(f"{_MARKS[fact.level]}  {fact.name:<{_WIDTH}}{fact.value}"))
    if fact.level == "ok":
        return
    for title, text in (("tried", fact.proof), ("so", fact.consequence), ("to change it", fact.remedy)):
        if text:
            output.line(output.visible(f"{'':{_WIDTH + 4}}{title}: {text}"))
