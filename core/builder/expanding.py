"""Variables of operations replaced, in just those fields where Docker does: the engine calls this step by step. Pure.

    ADD, COPY     sources, destination, --chown, --chmod, --exclude, --checksum, heredocs whose name is not quoted
    ENV, LABEL    names and values                    ARG     names and defaults
    EXPOSE        ports, split at blanks              VOLUME, USER, WORKDIR, STOPSIGNAL   all of it
    RUN           what fields of --mount say

Not: FROM (stages.plan has done it, with the global ARGs), --from, CMD, ENTRYPOINT, RUN's command, SHELL, HEALTHCHECK,
ONBUILD (its time comes in the next build).

Source: Docker's Dockerfile reference, "Environment replacement"; buildkit instructions/commands (behaviour).
"""

from __future__ import annotations

import copy
import re

from pod.core.builder import run_mounts, words
from pod.core.builder.dockerfile import Heredoc
from pod.core.builder.operations import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    Label,
    Operation,
    Run,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pod.core.builder.words import Lookup

    Kind = TypeVar("Kind", bound=Operation)
    Word = Callable[[str], str]

MOST_PORTS = 1000
"""In one EXPOSE; moby has no limit, an image's document has."""
MOST_CONTENT = 4 << 20
"""Characters of a heredoc whose variables are replaced."""
_OCTAL = re.compile(r"[0-7]{1,5}")
_SYMBOLIC = re.compile(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*")
_CHECKSUM = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")


def expanded(operation: Kind, lookup: Lookup, escape: str = "\\") -> Kind:
    """A copy of ``operation`` with its variables replaced; the same where there is nothing to replace.

    ValueError (words.BadWord is one), or PodError for a signal that is none, says what is wrong with it; the caller
    knows the line: instruction.failed.
    """
    act = _ACTIONS.get(operation.keyword)
    if act is None:
        return operation
    changed = copy.copy(operation)
    act(changed, lookup, escape)
    return changed


def texts(operation: Operation) -> list[str]:
    """Every text of ``operation`` that expanded() looks at, for those who ask which variables it uses."""
    if isinstance(operation, Copy):
        found = [*operation.sources, operation.target, operation.chown, operation.chmod, *operation.exclude]
        found += [operation.checksum] if isinstance(operation, Add) else []
        return [one for one in found if one]
    if isinstance(operation, (Env, Label)):
        return [text for pair in operation.pairs for text in pair]
    if isinstance(operation, Arg):
        return [text for pair in operation.pairs for text in pair if text is not None]
    if isinstance(operation, Expose):
        return operation.ports
    if isinstance(operation, Volume):
        return operation.paths
    if isinstance(operation, (User, Workdir, Stopsignal)):
        return [operation.text]
    return [mount.written for mount in operation.mounts] if isinstance(operation, Run) else []


def _copy(operation: Copy, lookup: Lookup, escape: str) -> None:
    def word(text: str) -> str:
        return words.expand(text, lookup, escape)

    operation.sources = [word(one) for one in operation.sources]
    operation.target = word(operation.target)
    operation.chown, operation.chmod = word(operation.chown), word(operation.chmod)
    operation.exclude = [word(one) for one in operation.exclude]
    operation.inline = [_content(one, lookup) for one in operation.inline]
    if not operation.target:
        raise ValueError(f"{operation.keyword} needs a destination")
    if operation.chmod and not valid_mode(operation.chmod):
        raise ValueError(
            f"invalid chmod parameter: '{operation.chmod}'. it should be octal string and between 0 and 07777"
        )
    if isinstance(operation, Add):
        operation.checksum = word(operation.checksum)
        if operation.checksum and not _CHECKSUM.fullmatch(operation.checksum):
            raise ValueError(f'invalid checksum digest format: "{words.shortened(operation.checksum)}"')


def valid_mode(text: str) -> bool:
    """Whether ``text`` is a mode as chmod(1) takes it: octal up to 7777, or u=rwX,g-w …"""
    if _OCTAL.fullmatch(text):
        return int(text, 8) <= 0o7777
    return len(text) <= 200 and bool(_SYMBOLIC.fullmatch(text))


def _content(heredoc: Heredoc, lookup: Lookup) -> Heredoc:
    """``heredoc`` with variables in its lines, unless its name is quoted. Quotes stay, backslashes go, as in Docker."""
    if not heredoc.expand or not heredoc.content:
        return heredoc
    lexer = words.Lexer(heredoc.text, lookup, plain_quotes=True, most=MOST_CONTENT)
    return Heredoc(heredoc.name, True, False, lexer.until("")[0])


def _pairs(operation: Env | Label, lookup: Lookup, escape: str) -> None:
    found = []
    for name, value in operation.pairs:
        name = words.expand(name, lookup, escape)
        if not name or "=" in name:
            raise ValueError(f"{operation.keyword} names can not be blank" if not name else f'invalid name "{name}"')
        found.append((name, words.expand(value, lookup, escape)))
    operation.pairs = found


def _arg(operation: Arg, lookup: Lookup, escape: str) -> None:
    found = []
    for name, value in operation.pairs:
        name = words.expand(name, lookup, escape)
        if not name:
            raise ValueError("ARG names can not be blank")
        found.append((name, None if value is None else words.expand(value, lookup, escape)))
    operation.pairs = found


def _expose(operation: Expose, lookup: Lookup, escape: str) -> None:
    told = [port for text in operation.ports for port in words.expand_list(text, lookup, escape)]
    found = dict.fromkeys(port for text in told for port in ports(text))
    if len(found) > MOST_PORTS:
        raise ValueError(f"more than {MOST_PORTS} ports")
    operation.ports = list(found)


def ports(text: str) -> list[str]:
    """ "80/tcp" … of "80", "53/udp", "8000-8010", and of "8080:80", whose first half means nothing. ValueError."""
    numbers, slash, protocol = text.rpartition(":")[2].partition("/")
    protocol = protocol.lower() if slash else "tcp"
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol[:60]}")
    if not (first + last).isascii() or not (first.isdigit() and last.isdigit()) or max(len(first), len(last)) > 5:
        raise ValueError(f"invalid containerPort: {text[:60]}")
    if not 0 <= int(first) <= int(last) <= 65535:
        raise ValueError(f"invalid range format for containerPort: {text[:60]}")
    return [f"{port}/{protocol}" for port in range(int(first), min(int(last), int(first) + MOST_PORTS) + 1)]


def _volume(operation: Volume, lookup: Lookup, escape: str) -> None:
    operation.paths = [words.expand(one, lookup, escape) for one in operation.paths]
    if not all(operation.paths):
        raise ValueError("VOLUME specified can not be an empty string")


def _text(operation: User | Workdir | Stopsignal, lookup: Lookup, escape: str) -> None:
    operation.text = words.expand(operation.text, lookup, escape)
    if isinstance(operation, Stopsignal):
        defaults.parse_signal(operation.text)


def _run(operation: Run, lookup: Lookup, escape: str) -> None:
    def word(text: str) -> str:
        return words.expand(text, lookup, escape)

    operation.mounts = [run_mounts.read(one.written, word) if one.pending else one for one in operation.mounts]


_ACTIONS: dict[str, Callable[..., None]] = {
    "ADD": _copy,
    "ARG": _arg,
    "COPY": _copy,
    "ENV": _pairs,
    "EXPOSE": _expose,
    "LABEL": _pairs,
    "RUN": _run,
    "STOPSIGNAL": _text,
    "USER": _text,
    "VOLUME": _volume,
    "WORKDIR": _text,
}
