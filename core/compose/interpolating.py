"""Variables replaced in a whole document, and texts made the numbers and truth values that their places ask for."""

from __future__ import annotations

from pod.core.compose import patterns
from pod.core.compose.template import Template, TemplateError, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.compose.patterns import Nodes
    from pod.core.compose.source import Source

MOST_TEXT = 16 << 20
"""Characters that variables may make of one file."""

_INTEGERS = (
    "configs.[].mode", "cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares",
    "deploy.replicas", "deploy.update_config.parallelism", "deploy.rollback_config.parallelism",
    "deploy.restart_policy.max_attempts", "deploy.placement.max_replicas_per_node", "healthcheck.retries",
    "oom_score_adj", "pids_limit", "ports.[].target", "scale", "secrets.[].mode", "ulimits.*", "ulimits.*.hard",
    "ulimits.*.soft",
)  # fmt: skip
_FLOATS = ("cpu_percent", "cpus", "deploy.update_config.max_failure_ratio", "deploy.rollback_config.max_failure_ratio")
_TRUTHS = (
    "init", "healthcheck.disable", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty",
    "volumes.[].read_only", "volumes.[].volume.nocopy",
)  # fmt: skip
_TOP_TRUTHS = (
    "networks.*.external", "networks.*.internal", "networks.*.attachable", "networks.*.enable_ipv4",
    "networks.*.enable_ipv6", "volumes.*.external", "secrets.*.external", "configs.*.external",
)  # fmt: skip


def integer(text: str) -> int:
    """Go's Atoi."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def decimal(text: str) -> float:
    """Go's ParseFloat."""
    try:
        return float(text) if text == text.strip() and "_" not in text else float("x")
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def truth(text: str, note: Callable[[str], None] | None = None) -> bool:
    """What YAML calls true and false; the words of YAML 1.1 with a warning."""
    low = text.lower()
    if low in ("true", "false"):
        return low == "true"
    if low in ("y", "yes", "on", "n", "no", "off"):
        meant = low in ("y", "yes", "on")
        if note is not None:
            note(f'"{text}" for boolean is not supported by YAML 1.2, please use `{"true" if meant else "false"}`')
        return meant
    raise ValueError(f"{text!r} is neither true nor false")


_CASTS = patterns.Rules({
    **{f"services.*.{place}": integer for place in _INTEGERS},
    **{f"services.*.{place}": decimal for place in _FLOATS},
    **{f"services.*.{place}": truth for place in _TRUTHS},
    **dict.fromkeys(_TOP_TRUTHS, truth),
})  # fmt: skip


class Interpolation:
    """One file's."""

    __slots__ = ("made", "source", "template")

    def __init__(self, source: Source, template: Template) -> None:
        self.source, self.template = source, template
        self.made = 0

    def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {key: self.walk(value, (key,), patterns.step(_CASTS.start, key)) for key, value in data.items()}

    def walk(self, value: Any, path: tuple[str, ...], nodes: Nodes) -> Any:
        if isinstance(value, str):
            return self.text(value, path, patterns.rule(nodes) if nodes else None)
        if isinstance(value, dict):
            return {
                key: self.walk(inner, (*path, key), patterns.step(nodes, key) if nodes else nodes)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            below = patterns.step(nodes, patterns.ITEM) if nodes else nodes
            return [self.walk(inner, (*path, str(index)), below) for index, inner in enumerate(value)]
        return value

    def text(self, value: str, path: tuple[str, ...], cast: Any) -> Any:
        try:
            found = self.template.substitute(value)
        except TemplateError as error:
            raise self.source.fail(str(error), path) from None
        if found is not value:
            self.made += len(found)
            if self.made > MOST_TEXT:
                raise self.source.fail(f"variables make this file larger than {MOST_TEXT >> 20} MiB", path)
        if cast is None:
            return found
        try:
            return cast(found, self.source.warn) if cast is truth else cast(found)
        except ValueError as error:
            raise self.source.fail(f"expected {_WANTED[cast]}: {error}", path) from None


_WANTED: dict[Any, str] = {integer: "a whole number", decimal: "a number", truth: "true or false"}


def found_variables(value: Any) -> list[tuple[str, bool, str, str]]:
    """Variables that a document names, by name; the last place that names one counts."""
    found: dict[str, tuple[str, bool, str, str]] = {}
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str) and "$" in one:
            for variable in variables(one):
                found[variable[0]] = variable
    return [found[name] for name in sorted(found)]
