"""--help in Docker's layout: usage, summary, aliases, options with aligned types; groups and the overview likewise."""

from __future__ import annotations

import sys

from pod.cli import output
from pod.cli.options import LIST_KINDS, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TextIO

_SECTIONS = (("common", "Common Commands"), ("group", "Management Commands"), ("", "Commands"))


def show(command: Command, path: str) -> int:
    """The page of one command, on standard output."""
    output.write(page(command, path))
    return 0


def page(command: Command, path: str) -> str:
    """Usage, summary, aliases and options of a command as text."""
    parts = [f"Usage:  {path} {command.usage}".rstrip(), command.summary]
    if command.aliases:
        names = command.aliases if path in command.aliases else (path, *command.aliases)
        parts.append("Aliases:\n  " + ", ".join(names))
    options = _options(command)
    if options:
        parts.append("Options:\n" + options)
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _options(command: Command) -> str:
    """The aligned lines of all shown flags, sorted by name as pflag does."""
    flags = sorted((Flag(*row) for row in command.flags), key=lambda flag: flag.name)
    lines = []
    for flag in flags:
        if flag.hidden:
            continue
        short = f"-{flag.short}, " if flag.short else "    "
        name = f"  {short}--{flag.name}"
        if flag.value_name:
            name += " " + flag.value_name
        lines.append((name, flag.help + _default(flag)))
    if not lines:
        return ""
    width = max(len(name) for name, _ in lines) + 3
    return "".join(_wrapped(name.ljust(width), text, width) for name, text in lines)


def _default(flag: Flag) -> str:
    """The words that pflag adds for a default that is not the kind's zero."""
    value = flag.default
    if not value or flag.kind in LIST_KINDS:
        return ""
    if isinstance(value, str):
        return f' (default "{value}")'
    if isinstance(value, bool):
        return f" (default {str(value).lower()})"
    return f" (default {value})"


def _wrapped(start: str, text: str, width: int) -> str:
    """One entry, wrapped to 100 columns under its own beginning."""
    lines = []
    room = max(100 - width, 30)
    current = ""
    for word in text.split(" "):
        if current and len(current) + 1 + len(word) > room:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    lines.append(current)
    return (start + ("\n" + " " * width).join(lines)).rstrip() + "\n"


def show_group(command: Command, table: Mapping[str, tuple[Any, ...]], stream: TextIO | None = None) -> int:
    """The page of a group: its commands with their summaries."""
    shown = sorted((name, entry[1]) for name, entry in table.items() if entry[1])
    usage = command.usage if command.flags else "COMMAND"
    text = f"Usage:  {command.path} {usage}\n\n{command.summary}\n\nCommands:\n{_list(shown)}\n"
    if command.flags:
        text += f"Options:\n{_options(command)}\n"
    text += f"Run '{command.path} COMMAND --help' for more information on a command.\n"
    output.write(text, stream or sys.stdout)
    return 0


def show_top(command: Command, table: Mapping[str, tuple[str, str, str]], stream: TextIO | None = None) -> int:
    """The overview: every command that is not hidden, then the global options."""
    text = f"Usage:  {command.path} {command.usage}\n\n{command.summary}\n\n"
    for section, title in _SECTIONS:
        entries = [(name, entry[1]) for name, entry in table.items() if entry[2] == section]
        if section != "common":
            entries.sort()
        text += f"{title}:\n{_list(entries)}\n"
    text += f"Global Options:\n{_options(command)}\nRun 'pod COMMAND --help' for more information on a command.\n"
    output.write(text, stream or sys.stdout)
    return 0


def _list(entries: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in entries)
    return "".join(f"  {name.ljust(width)}   {summary}\n" for name, summary in entries)
