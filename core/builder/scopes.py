"""Variables of one stage as its steps go by: ENV and ARG, and what of them RUN sees. Pure.

ENV goes before ARG of the same name. ARG takes --build-arg, else its default, else what the ARG of that name before the
first FROM has (platforms' among them). A stage that stands on another begins with all of its variables.

Source: Docker's Dockerfile reference, "ARG" (scope, predefined ARGs); buildkit dispatchArg (behaviour).
"""

from __future__ import annotations

from pod.core.builder import words
from pod.core.builder.expanding import expanded
from pod.core.builder.operations import Arg, Env, Operation
from pod.core.builder.wishes import PREDEFINED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    from pod.core.builder.stages import Plan

    Kind = TypeVar("Kind", bound=Operation)


class Scope:
    """``env`` is the image's; ``args`` are those declared so far, in their order; None for one without a value."""

    __slots__ = ("_build_args", "_escape", "_meta", "args", "env")

    def __init__(
        self,
        meta_args: Mapping[str, str | None],
        build_args: Mapping[str, str | None],
        env: Mapping[str, str] | None = None,
        escape: str = "\\",
    ) -> None:
        self._meta = meta_args
        self._build_args = build_args
        self._escape = escape
        self.env: dict[str, str] = dict(env or {})
        self.args: dict[str, str | None] = {}

    def child(self) -> Scope:
        """For a stage that stands on this one."""
        scope = Scope(self._meta, self._build_args, self.env, self._escape)
        scope.args = dict(self.args)
        return scope

    def lookup(self, name: str) -> str | None:
        """A variable's value now."""
        value = self.env.get(name)
        return self.args.get(name) if value is None else value

    def step(self, operation: Kind) -> Kind:
        """``operation`` with its variables replaced; ENV and ARG hold from the next one on. ValueError."""
        if isinstance(operation, Arg):
            self._declare(operation)
            return operation
        done = expanded(operation, self.lookup, self._escape)
        if isinstance(done, Env):
            self.env.update(done.pairs)
        return done

    def _declare(self, operation: Arg) -> None:
        """Of several in one ARG the later see the earlier."""
        for name, default in operation.pairs:
            name = words.expand(name, self.lookup, self._escape)
            if not name:
                raise ValueError("ARG names can not be blank")
            value = self._build_args.get(name)
            if value is None:
                if default is not None:
                    value = words.expand(default, self.lookup, self._escape)
                else:
                    value = self._meta.get(name)
            self.args[name] = value

    def visible_args(self) -> dict[str, str]:
        """ARGs that RUN sees beside the environment, in the order of their declaration: Docker's "|2 a=1 b=2"."""
        return {name: value for name, value in self.args.items() if value is not None and name not in self.env}

    def proxies(self) -> dict[str, str]:
        """Predefined ARGs that are given and not declared: for RUN's environment alone."""
        given = {name: self._build_args.get(name) for name in PREDEFINED if name not in self.args}
        return {name: value for name, value in given.items() if value is not None and name not in self.env}


def unused(plan: Plan, build_args: Mapping[str, str | None]) -> list[str]:
    """Names of --build-arg that no ARG of the file declares."""
    declared = {*plan.meta_args, *PREDEFINED, "SOURCE_DATE_EPOCH"}
    for stage in plan.stages:
        for operation, _ in stage.operations:
            if isinstance(operation, Arg):
                declared.update(name for name, _default in operation.pairs)
    return sorted(name for name in build_args if name not in declared and not name.startswith("BUILDKIT_"))
