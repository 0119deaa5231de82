"""Instructions to typed operations: arguments counted, flags checked, forms told apart. Nothing is expanded yet. Pure.

    of         one instruction of a file
    triggers   the ONBUILD triggers of a base image's configuration

Source: Docker's Dockerfile reference; buildkit frontend/dockerfile/instructions (behaviour and messages).
"""

from __future__ import annotations

import re

from pod.core import moments
from pod.core.builder import dockerfile, run_mounts
from pod.core.builder.flags import TEXT, TEXTS, TRUTH, Flags
from pod.core.builder.operations import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Operation,
    Run,
    RunMount,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from pod.core.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pod.core.builder.dockerfile import Heredoc, Instruction

__all__ = [
    "Add", "Arg", "Cmd", "Copy", "Entrypoint", "Env", "Expose", "From", "Healthcheck", "Label", "Maintainer", "Onbuild",
    "Operation", "Run", "RunMount", "Shell", "Stopsignal", "User", "Volume", "Workdir", "of", "triggers",
]  # fmt: skip

NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")
LEAST_INTERVAL = 1_000_000
"""Of health checks, in nanoseconds."""

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_SPACES = re.compile(r"[\t\v\f\r ]+")
_ONBUILD = re.compile(r"\s*ONBUILD\s*", re.IGNORECASE)
_DURATION = re.compile(r"\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0")
_MOST_NAME = 255
_MOST_DURATION = (1 << 63) - 1

_COPY_FLAGS = {
    "chown": TEXT, "chmod": TEXT, "link": TRUTH, "exclude": TEXTS, "from": TEXT, "parents": TRUTH,
}  # fmt: skip
_ADD_FLAGS = {
    "chown": TEXT, "chmod": TEXT, "link": TRUTH, "exclude": TEXTS, "checksum": TEXT, "keep-git-dir": TRUTH,
    "unpack": TRUTH,
}  # fmt: skip
_HEALTH_FLAGS = {
    "interval": TEXT, "timeout": TEXT, "start-period": TEXT, "start-interval": TEXT, "retries": TEXT,
}  # fmt: skip


def of(instruction: Instruction) -> Operation:
    """What ``instruction`` asks for. BuildFailed names its line."""
    make = _MAKERS.get(instruction.keyword)
    if make is None:
        guess = dockerfile.fitting(instruction.word, _MAKERS, fold=True)
        raise instruction.failed(f"unknown instruction: {instruction.word[:100]}{guess}")
    return make(instruction)


def triggers(texts: Iterable[str]) -> list[tuple[Operation, Instruction]]:
    """What a base image's OnBuild asks for, in its order. BuildFailed."""
    found = []
    for text in texts:
        file = dockerfile.parse(text.encode("utf-8", "surrogateescape"), "ONBUILD")
        if len(file.instructions) != 1:
            raise file.failed("onbuild trigger should be a single expression", 1, len(file.lines))
        instruction = file.instructions[0]
        _check_trigger(instruction, instruction)
        found.append((of(instruction), instruction))
    return found


def _plain(instruction: Instruction) -> str:
    """The rest of an instruction without flags that takes exactly one argument."""
    Flags(instruction, {})
    if not instruction.rest:
        raise instruction.failed(f"{instruction.keyword} requires exactly one argument")
    return instruction.rest


def _at_least_one(instruction: Instruction) -> BuildFailed:
    return instruction.failed(f"{instruction.keyword} requires at least one argument")


def _from(instruction: Instruction) -> From:
    parts = _SPACES.split(instruction.rest) if instruction.rest else []
    name = ""
    if len(parts) == 3 and parts[1].lower() == "as":
        name = parts[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise instruction.failed(
                f'invalid name for build stage: "{parts[2][:200]}", name can\'t start with a number or contain symbols'
            )
    elif len(parts) != 1:
        raise instruction.failed("FROM requires either one or three arguments")
    flags = Flags(instruction, {"platform": TEXT})
    return From(parts[0], flags.text("platform"), name)


def _run(instruction: Instruction) -> Run:
    flags = Flags(instruction, {"mount": TEXTS, "network": TEXT, "security": TEXT})
    operation = Run(instruction.words, "", instruction.heredocs)
    if not instruction.rest or instruction.words == []:
        raise _at_least_one(instruction)
    if any("\0" in one.content for one in instruction.heredocs):
        raise instruction.failed("a NUL byte")
    if operation.shell:
        _script(operation, instruction.rest)
    if operation.program is not None:
        _check_name(instruction, operation.program)
    for written in flags.texts("mount"):
        try:
            operation.mounts.append(run_mounts.read(written))
        except ValueError as error:
            raise instruction.failed(str(error)) from None
    operation.network = flags.text("network") or "default"
    operation.security = flags.text("security") or "sandbox"
    if operation.network not in NETWORKS:
        raise instruction.failed(f'network mode "{operation.network}" is not supported')
    if operation.security not in SECURITY:
        raise instruction.failed(f'security "{operation.security}" is not valid')
    return operation


def _script(operation: Run, rest: str) -> None:
    """A heredoc alone is the script, or a program if it says which; with others the shell is given all of them."""
    heredocs = operation.heredocs
    if not heredocs:
        operation.script = rest
    elif dockerfile.heredoc(rest) is None:
        operation.script = "".join([rest, *(f"\n{one.content}{one.name}" for one in heredocs)])
    elif heredocs[0].content.startswith("#!"):
        operation.program = heredocs[0]
        operation.shell = False
        operation.argv = ["/dev/pipes/" + heredocs[0].name]
    else:
        operation.script = heredocs[0].text


def _copy(instruction: Instruction) -> Copy:
    sources, target, inline = _sources(instruction)
    operation = Copy(sources, target, inline)
    flags = _copy_flags(instruction, operation, _COPY_FLAGS)
    operation.from_ = flags.text("from")
    operation.parents = flags.truth("parents") or False
    return operation


def _add(instruction: Instruction) -> Add:
    sources, target, inline = _sources(instruction)
    operation = Add(sources, target, inline)
    flags = _copy_flags(instruction, operation, _ADD_FLAGS)
    operation.checksum = flags.text("checksum")
    operation.keep_git_dir = flags.truth("keep-git-dir") or False
    operation.unpack = flags.truth("unpack")
    return operation


def _copy_flags(instruction: Instruction, operation: Copy, kinds: dict[str, str]) -> Flags:
    flags = Flags(instruction, kinds)
    operation.chown = flags.text("chown")
    operation.chmod = flags.text("chmod")
    operation.link = flags.truth("link") or False
    operation.exclude = flags.texts("exclude")
    return flags


def _sources(instruction: Instruction) -> tuple[list[str], str, list[Heredoc]]:
    """Sources, destination and the heredocs among the sources."""
    arguments = _arguments(instruction)
    if len(arguments) < 2:
        raise instruction.failed(
            f"{instruction.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    *sources, target = arguments
    if instruction.words is None and dockerfile.heredoc(target):
        raise instruction.failed(f"{instruction.keyword} cannot accept a heredoc as a destination")
    have = {one.name: one for one in instruction.heredocs}
    paths, inline = [], []
    for source in sources:
        told = dockerfile.heredoc(source) if instruction.words is None else None
        if told is None:
            paths.append(source)
        elif told.name not in have:
            raise instruction.failed(f"the heredoc {source[:200]} has no content here")
        else:
            _check_name(instruction, told)
            inline.append(have[told.name])
    return paths, target, inline


def _check_name(instruction: Instruction, heredoc: Heredoc) -> None:
    """A heredoc that becomes a file has a name that leads nowhere else."""
    name = heredoc.name
    if "/" in name or name in (".", "..") or len(name.encode()) > _MOST_NAME:
        raise instruction.failed(f'invalid name of a file: "{name[:200]}"', hint="a heredoc is a file of its name")


def _arguments(instruction: Instruction) -> list[str]:
    """The JSON form, or what blanks separate."""
    if instruction.words is not None:
        return instruction.words
    return _SPACES.split(instruction.rest) if instruction.rest else []


def _pairs(instruction: Instruction) -> tuple[list[tuple[str, str]], bool]:
    """``name=value …``, or ``name value`` of the old form."""
    keyword = instruction.keyword
    Flags(instruction, {})
    found = split(instruction.rest, instruction.file.escape)
    if not found:
        raise _at_least_one(instruction)
    if "=" not in found[0]:
        name, *value = _SPACES.split(instruction.rest, maxsplit=1)
        if not value:
            raise instruction.failed(f"{keyword} must have two arguments")
        return [(name, value[0])], True
    pairs = []
    for word in found:
        name, equals, text = word.partition("=")
        if not equals:
            raise instruction.failed(f'Syntax error - can\'t find = in "{word[:200]}". Must be of the form: name=value')
        if not name:
            raise instruction.failed(f"{keyword} names can not be blank")
        pairs.append((name, text))
    return pairs, False


def split(text: str, escape: str) -> list[str]:
    """The words of ``text``; quotes and escapes stay in them."""
    found: list[str] = []
    word: list[str] = []
    quote = ""
    place = 0
    while place < len(text):
        character = text[place]
        if character == escape and quote != "'":
            word.append(text[place : place + 2] if place + 1 < len(text) else "")
            place += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character.isspace():
            if word:
                found.append("".join(word))
            word = []
            place += 1
            continue
        word.append(character)
        place += 1
    whole = "".join(word)
    return [*found, whole] if whole else found


def _env(instruction: Instruction) -> Env:
    return Env(*_pairs(instruction))


def _label(instruction: Instruction) -> Label:
    return Label(*_pairs(instruction))


def _arg(instruction: Instruction) -> Arg:
    Flags(instruction, {})
    pairs = []
    for word in split(instruction.rest, instruction.file.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise instruction.failed("ARG names can not be blank")
        pairs.append((name, value if equals else None))
    if not pairs:
        raise _at_least_one(instruction)
    return Arg(pairs)


def _cmd(instruction: Instruction) -> Cmd:
    return Cmd(*_command(instruction))


def _entrypoint(instruction: Instruction) -> Entrypoint:
    return Entrypoint(*_command(instruction))


def _command(instruction: Instruction) -> tuple[list[str], bool]:
    Flags(instruction, {})
    if instruction.words is not None:
        return instruction.words, False
    if not instruction.rest:
        raise _at_least_one(instruction)
    return [instruction.rest], True


def _shell(instruction: Instruction) -> Shell:
    Flags(instruction, {})
    if not instruction.rest or instruction.words == []:
        raise _at_least_one(instruction)
    if instruction.words is None:
        raise instruction.failed("SHELL requires the arguments to be in JSON form")
    return Shell(instruction.words)


def _healthcheck(instruction: Instruction) -> Healthcheck:
    parts = _SPACES.split(instruction.rest, maxsplit=1) if instruction.rest else []
    if not parts:
        raise _at_least_one(instruction)
    kind, text = parts[0].upper(), (parts[1] if len(parts) > 1 else "")
    flags = Flags(instruction, _HEALTH_FLAGS)
    if kind == "NONE":
        if text or instruction.flags:
            raise instruction.failed("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(["NONE"])
    if kind != "CMD":
        raise instruction.failed(f'Unknown type "{kind[:100]}" in HEALTHCHECK (try CMD)')
    if not text or instruction.words == []:
        raise instruction.failed("Missing command after HEALTHCHECK CMD")
    words = instruction.words
    operation = Healthcheck(["CMD-SHELL", text] if words is None else ["CMD", *words])
    for name in ("interval", "timeout", "start-period", "start-interval"):
        setattr(operation, name.replace("-", "_"), _duration(instruction, name, flags.text(name)))
    retries = flags.text("retries")
    if retries:
        if not (retries.isascii() and retries.isdigit() and len(retries) < 10):
            if retries[:1] == "-" and retries[1:].isdigit():
                raise instruction.failed(f"--retries cannot be negative ({retries[:20]})")
            raise instruction.failed(f'invalid --retries "{retries[:100]}"')
        operation.retries = int(retries)
    return operation


def _duration(instruction: Instruction, name: str, text: str) -> int:
    """Nanoseconds; 0 for "" and "0"."""
    if not text:
        return 0
    if len(text) > 100 or not _DURATION.fullmatch(text):
        raise instruction.failed(f'--{name}: time: invalid duration "{text[:100]}"')
    found = 0 if text == "0" else moments.duration(text.lstrip("+").replace("μ", "µ"))
    if found > _MOST_DURATION:
        raise instruction.failed(f'--{name}: time: invalid duration "{text}"')
    if 0 < found < LEAST_INTERVAL:
        raise instruction.failed(f'Interval "{name}" cannot be less than 1ms')
    return found


def _expose(instruction: Instruction) -> Expose:
    Flags(instruction, {})
    if not instruction.rest:
        raise _at_least_one(instruction)
    return Expose(sorted(_SPACES.split(instruction.rest)))


def _volume(instruction: Instruction) -> Volume:
    Flags(instruction, {})
    paths = [one.strip() for one in _arguments(instruction)]
    if not paths:
        raise _at_least_one(instruction)
    if not all(paths):
        raise instruction.failed("VOLUME specified can not be an empty string")
    return Volume(paths)


def _onbuild(instruction: Instruction) -> Onbuild:
    Flags(instruction, {})
    inner = instruction.inner
    if inner is None:
        raise _at_least_one(instruction)
    _check_trigger(instruction, inner)
    text = _ONBUILD.sub("", instruction.text, count=1)
    text += "".join(f"\n{one.content}{one.name}" for one in instruction.heredocs)
    return Onbuild(text, of(inner))


def _check_trigger(instruction: Instruction, inner: Instruction) -> None:
    if inner.keyword == "ONBUILD":
        raise instruction.failed("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if inner.keyword in ("MAINTAINER", "FROM"):
        raise instruction.failed(f"{inner.keyword} isn't allowed as an ONBUILD trigger")


_MAKERS: dict[str, Callable[[Instruction], Operation]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": lambda one: Maintainer(_plain(one)),
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda one: Stopsignal(_plain(one)),
    "USER": lambda one: User(_plain(one)),
    "VOLUME": _volume,
    "WORKDIR": lambda one: Workdir(_plain(one)),
}
