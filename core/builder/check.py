"""Docker's build checks: what works and is probably not meant. Nothing is pulled or run. Pure.

    check      the findings of a file, and the mistake that would end its build
    options    "# check=" and BUILDKIT_DOCKERFILE_CHECK: skip=all, skip=RULE,RULE; error=true; experimental=RULE

Rules that need what an image says (its variables) hold where the caller knows it; with an image that is not known only
a name that is nearly one of the file's is taken for a mistake.

Source: docs.docker.com/reference/build-checks; buildkit frontend/dockerfile/linter (names and messages).
"""

from __future__ import annotations

import re

from pod.core.builder import instructions, stages, words
from pod.core.builder.dockerfile import fitting
from pod.core.builder.expanding import texts
from pod.core.builder.operations import (
    Add,
    Arg,
    Cmd,
    Copy,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Operation,
    Shell,
    Workdir,
)
from pod.core.builder.scopes import Scope
from pod.core.builder.wishes import PREDEFINED
from pod.core.errors import BuildFailed, InvalidReference, PodError
from pod.core.oci import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Optional

    from pod.core.builder.dockerfile import Dockerfile, Instruction
    from pod.core.builder.stages import Plan, Stage

    Environment = Callable[[Stage], Optional[Mapping[str, str]]]
    """The variables of the image that a stage stands on; None where that is not known."""

URL = "https://docs.docker.com/go/dockerfile/rule/"
RULES = {
    "ConsistentInstructionCasing":
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "CopyIgnoredFile": "Attempting to Copy file that is excluded by .dockerignore",
    "DuplicateStageName": "Stage names should be unique",
    "ExposeInvalidFormat": "IP address and host-port mapping should not be used in EXPOSE instruction. "
        "This will become an error in a future release",
    "ExposeProtoCasing": "Protocol in EXPOSE instruction should be lowercase",
    "FromAsCasing": "The 'as' keyword should match the case of the 'from' keyword",
    "FromPlatformFlagConstDisallowed": "FROM --platform flag should not use a constant value",
    "InvalidDefaultArgInFrom": "Default value for global ARG results in an empty or invalid base image name",
    "JSONArgsRecommended":
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "LegacyKeyValueFormat": "Legacy key/value format with whitespace separator should not be used",
    "MaintainerDeprecated":
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "MultipleInstructionsDisallowed":
        "Multiple instructions of the same type should not be used in the same stage",
    "NoEmptyContinuation": "Empty continuation lines will become errors in a future release",
    "RedundantTargetPlatform":
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "ReservedStageName": "Reserved words should not be used as stage names",
    "SecretsUsedInArgOrEnv": "Sensitive data should not be used in the ARG or ENV commands",
    "StageNameCasing": "Stage names should be lowercase",
    "UndefinedArgInFrom": "FROM command must use declared ARGs",
    "UndefinedVar": "Variables should be defined before their use",
    "WorkdirRelativePath": "Relative workdir without an absolute workdir declared within the build can have "
        "unexpected results if the base image changes",
}  # fmt: skip
EXPERIMENTAL = frozenset(("CopyIgnoredFile",))

_RESERVED = frozenset(("context", "scratch"))
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_HARMLESS = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_MOST_FINDINGS = 1000


class Finding:
    """One rule broken: its name, description and page, what is wrong here, and the lines."""

    __slots__ = ("description", "detail", "excerpt", "last", "line", "rule", "url")

    def __init__(self, rule: str, detail: str, file: Dockerfile, line: int, last: int) -> None:
        self.rule = rule
        self.description = RULES[rule]
        self.url = URL + "-".join(_WORDS.findall(rule)).lower() + "/"
        self.detail = detail
        self.line, self.last = line, last
        self.excerpt = file.excerpt(line, last)

    @property
    def short(self) -> str:
        """One line, as a build shows it."""
        return f"{self.rule}: {self.detail} (line {self.line})"

    @property
    def report(self) -> str:
        """Lines of text, as ``--check`` shows it."""
        return f"WARNING: {self.rule} - {self.url}\n{self.detail}\n{self.excerpt}"


class Options:
    """Which rules hold, and whether a finding fails the build."""

    __slots__ = ("error", "experimental", "skip", "skip_all")

    def __init__(self) -> None:
        self.error = self.skip_all = False
        self.skip: frozenset[str] = frozenset()
        self.experimental: frozenset[str] = frozenset()

    def holds(self, rule: str) -> bool:
        """Whether ``rule`` is looked at."""
        if self.skip_all or rule.lower() in self.skip:
            return False
        return rule not in EXPERIMENTAL or bool(self.experimental & {"all", rule.lower()})


def options(text: str) -> Options:
    """What ``text`` says, "skip=…;error=…;experimental=…". BuildFailed."""
    found = Options()
    for part in text.split(";") if text.strip() else ():
        key, equals, value = (one.strip() for one in part.partition("="))
        names = frozenset(one.strip().lower() for one in value.split(","))
        if key == "skip" and equals:
            found.skip_all, found.skip = value == "all", names
        elif key == "experimental" and equals:
            found.experimental = names
        elif key == "error" and value.lower() in _TRUTH:
            found.error = _TRUTH[value.lower()]
        else:
            raise BuildFailed(f'invalid check option "{words.shortened(part.strip())}"')
    return found


def check(
    file: Dockerfile,
    *,
    setting: str = "",
    environment: Environment | None = None,
    excluded: Callable[[str], bool] | None = None,
    **planned: Any,
) -> tuple[list[Finding], BuildFailed | None]:
    """The findings in ``file`` by line, and what would end its build before it begins.

    ``setting`` goes before the file's "# check="; ``planned`` is what stages.plan takes; ``excluded`` says whether
    .dockerignore keeps a path out. BuildFailed for settings that are none.
    """
    checker = _Checker(file, options(setting or file.check), environment or _unknown, excluded)
    failure: BuildFailed | None = None
    try:
        checker.read()
        checker.names()
        checker.defaults(dict(planned, build_args=None))
        checker.go(stages.plan(file, **planned), planned.get("build_args") or {})
    except BuildFailed as error:
        failure = error
    found = {(one.line, one.rule, one.detail): one for one in checker.found[:_MOST_FINDINGS]}
    return [found[key] for key in sorted(found)], failure


def failed(findings: list[Finding]) -> BuildFailed:
    """The error of a build that ``error=true`` ends."""
    return BuildFailed(f"lint violation found for rules: {', '.join(sorted({one.rule for one in findings}))}")


def _unknown(_stage: Stage) -> None:
    return None


class _Checker:
    """One file. ``found`` grows; ``all`` are its operations in order."""

    __slots__ = ("all", "environment", "excluded", "file", "found", "options")

    def __init__(
        self, file: Dockerfile, options: Options, environment: Environment, excluded: Callable[[str], bool] | None
    ) -> None:
        self.file = file
        self.options = options
        self.environment = environment
        self.excluded = excluded
        self.found: list[Finding] = []
        self.all: list[tuple[Operation, Instruction]] = []

    def add(self, rule: str, detail: str, at: Instruction) -> None:
        if self.options.holds(rule):
            self.found.append(Finding(rule, detail, self.file, at.first, at.last))

    def read(self) -> None:
        """What each instruction shows by itself, and the letters of all of them."""
        if self.options.holds("NoEmptyContinuation"):
            for line in self.file.empty:
                self.found.append(Finding("NoEmptyContinuation", "Empty continuation line", self.file, line, line))
        self.casing()
        for instruction in self.file.instructions:
            operation = instructions.of(instruction)
            self.all.append((operation, instruction))
            self.one(operation, instruction)

    def casing(self) -> None:
        words = [instruction.word for instruction in self.file.instructions]
        lower = sum(word.islower() for word in words) > sum(word.isupper() for word in words)
        for instruction in self.file.instructions:
            word = instruction.word
            if word != (word.lower() if lower else word.upper()):
                majority = "lowercase" if lower else "uppercase"
                detail = f"Command '{word}' should match the case of the command majority ({majority})"
                self.add("ConsistentInstructionCasing", detail, instruction)

    def one(self, operation: Operation, at: Instruction) -> None:
        keyword = operation.keyword
        if isinstance(operation, Maintainer):
            self.add("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", at)
        elif isinstance(operation, (Env, Label)) and operation.old:
            detail = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
            self.add("LegacyKeyValueFormat", detail, at)
        elif isinstance(operation, Expose):
            for port in operation.ports:
                self.port(port, at)
        if isinstance(operation, (Env, Arg)):
            for name, _ in operation.pairs:
                if _SECRET.search(name) and not _HARMLESS.search(name):
                    detail = f'Do not use ARG or ENV instructions for sensitive data ({keyword} "{name}")'
                    self.add("SecretsUsedInArgOrEnv", detail, at)

    def port(self, port: str, at: Instruction) -> None:
        protocol = port.partition("/")[2]
        if ":" in port and "$" not in port:
            detail = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            self.add("ExposeInvalidFormat", detail, at)
        if protocol != protocol.lower() and "$" not in protocol:
            detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            self.add("ExposeProtoCasing", detail, at)

    def names(self) -> None:
        """Names of stages, and how FROM is written."""
        seen = set()
        for operation, at in self.all:
            if not isinstance(operation, From):
                continue
            parts = at.rest.split()
            if operation.name:
                if parts[2] != operation.name:
                    self.add("StageNameCasing", f"Stage name '{parts[2]}' should be lowercase", at)
                if parts[1].isupper() != at.word.isupper() and (at.word.isupper() or at.word.islower()):
                    self.add("FromAsCasing", f"'{parts[1]}' and '{at.word}' keywords' casing do not match", at)
                if operation.name in _RESERVED:
                    detail = f'Stage name should not use the same name as reserved stage "{operation.name}"'
                    self.add("ReservedStageName", detail, at)
                if operation.name in seen:
                    detail = f'Duplicate stage name "{operation.name}", stage names should be unique'
                    self.add("DuplicateStageName", detail, at)
                seen.add(operation.name)
            self.platform(operation, at)

    def platform(self, operation: From, at: Instruction) -> None:
        told = operation.platform
        if told in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            detail = (
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"
            )
            self.add("RedundantTargetPlatform", detail.replace("$TARGETPLATFORM", told), at)
        elif told and "$" not in told and not any(part in operation.name for part in told.split("/") if part):
            # stages whose name says for what they are, as build_arm64, are chosen by $TARGETARCH
            detail = f'FROM --platform flag should not use constant value "{told}"'
            self.add("FromPlatformFlagConstDisallowed", detail, at)

    def defaults(self, planned: dict[str, Any]) -> None:
        """FROM with the file's own ARGs alone."""
        declared = stages.platform_names()
        values: dict[str, str | None] = dict.fromkeys(declared, "x")
        escape = self.file.escape
        before = True
        for operation, at in self.all:
            if isinstance(operation, Arg) and before:
                for name, default in operation.pairs:
                    values[name] = None if default is None else _soft(default, values, escape)
                    declared.add(name)
            elif isinstance(operation, From):
                before = False
                for text in (operation.image, operation.platform):
                    for name in _unset(text, {**dict.fromkeys(declared, "x")}, escape):
                        guess = fitting(name, declared)
                        self.add("UndefinedArgInFrom", f"FROM argument '{name}' is not declared{guess}", at)
                base = _soft(operation.image, values, escape)
                if "$" in operation.image and not _is_reference(base):
                    detail = f"Default value for ARG {operation.image} results in empty or invalid base image name"
                    self.add("InvalidDefaultArgInFrom", detail, at)

    def go(self, plan: Plan, build_args: Mapping[str, str | None]) -> None:
        """The stages that the target needs, step by step."""
        states: dict[int, _State] = {}
        for index in plan.needed:
            stage = plan.stages[index]
            state = states[index] = _State(plan, stage, states, build_args, self.environment)
            for operation, at in [*stages.inherited(plan, stage), *stage.operations]:
                self.step(state, operation, at)

    def step(self, state: _State, operation: Operation, at: Instruction) -> None:
        self.variables(state, operation, at)
        if isinstance(operation, (Cmd, Healthcheck)):
            before = state.used.get(operation.keyword)
            if before is not None:
                detail = (
                    f"Multiple {operation.keyword} instructions should not be used in the same stage "
                    "because only the last one will be used"
                )
                self.add("MultipleInstructionsDisallowed", detail, before)
            state.used[operation.keyword] = at
        if isinstance(operation, Cmd) and operation.shell and not state.shell:
            why = "to prevent unintended behavior related to OS signals"
            self.add("JSONArgsRecommended", f"JSON arguments recommended for {operation.keyword} {why}", at)
        if isinstance(operation, Shell):
            state.shell = True
        try:
            done = state.scope.step(operation)
        except (ValueError, PodError):
            # the build will say it where it comes to it
            return
        if isinstance(done, Workdir):
            if done.text.startswith("/"):
                state.workdir = True
            elif not state.workdir and done.text:
                detail = f'Relative workdir "{done.text}" can have unexpected results if the base image changes'
                self.add("WorkdirRelativePath", detail, at)
        if isinstance(done, Copy):
            self.ignored(done, at)

    def variables(self, state: _State, operation: Operation, at: Instruction) -> None:
        declared = {*state.scope.env, *state.scope.args}
        have: dict[str, str | None] = dict.fromkeys((*declared, "PATH", *PREDEFINED), "x")
        for text in texts(operation):
            for name in _unset(text, have, self.file.escape):
                guess = fitting(name, declared, around="$")
                if state.known or guess:
                    self.add("UndefinedVar", f"Usage of undefined variable '${name}'{guess}", at)
            if isinstance(operation, Arg):
                # the text is a name or its default: a later pair may use it
                have[text] = "x"

    def ignored(self, operation: Copy, at: Instruction) -> None:
        if self.excluded is None or operation.from_:
            return
        for source in operation.sources:
            remote = isinstance(operation, Add) and ("://" in source or source.startswith("git@"))
            path = source.strip("/")
            if not remote and path not in ("", ".") and not re.search(r"[*?\[\\]", path) and self.excluded(path):
                detail = f'Attempting to {operation.keyword} file "{source}" that is excluded by .dockerignore'
                self.add("CopyIgnoredFile", detail, at)


class _State:
    """What is known of a stage while its steps go by; ``known``: so are its image's variables."""

    __slots__ = ("known", "scope", "shell", "used", "workdir")

    def __init__(
        self,
        plan: Plan,
        stage: Stage,
        before: dict[int, _State],
        build_args: Mapping[str, str | None],
        environment: Environment,
    ) -> None:
        self.used: dict[str, Instruction] = {}
        base = None if stage.base_stage is None else before[stage.base_stage]
        have: Mapping[str, str] | None = {}
        if base is None and stage.base != stages.SCRATCH:
            have = environment(stage)
        self.scope: Scope = base.scope.child() if base else Scope(plan.meta_args, build_args, have, plan.file.escape)
        self.known: bool = base.known if base else have is not None
        self.shell: bool = base is not None and base.shell
        self.workdir: bool = base is not None and base.workdir


def _unset(text: str, values: Mapping[str, str | None], escape: str) -> list[str]:
    try:
        return words.unset(text, values.get, escape)
    except words.BadWord:
        return []


def _soft(text: str, values: Mapping[str, str | None], escape: str) -> str:
    try:
        return words.expand(text, values.get, escape)
    except words.BadWord:
        return ""


def _is_reference(text: str) -> bool:
    try:
        reference.parse(text)
    except InvalidReference:
        return False
    return True
