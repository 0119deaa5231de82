"""Hidden ``pod __complete -- WORD… CURRENT``: what may stand at the cursor; asked by the scripts of ``completion``.

Prints a candidate a line, with a tab and a word on it where there is one; or the line ``:files`` where the shell's own
completion of file names is wanted. Never fails and never says anything else: a shell is waiting.

What an argument may be is read from the command's usage line (CONTAINER, IMAGE, NETWORK …), so a command needs nothing
but that. Names come from folders of the store; records are read only where states are asked for.
"""

from __future__ import annotations

import os

from pod.cli import main as entry
from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command("__complete", "-- WORD...", "", interspersed=False)

FILES = ":files"
"""The whole answer where the shell is to complete file names."""

_STATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("attach", "exec", "kill", "pause", "stats", "stop", "top"), ("running", "restarting")),
    "unpause": ("paused",),
    "start": ("created", "exited"),
    "wait": ("running", "paused", "restarting"),
    "rm": ("created", "exited"),
}
"""Commands (by their modules) that make sense for containers in some states only; ``rm --force`` takes all."""

_VALUES: dict[str, tuple[str, ...]] = {
    "cgroupns": ("host", "private"),
    "log-driver": ("json-file", "journald", "local", "none", "syslog"),
    "log-level": ("debug", "info", "warn", "error", "fatal"),
    "pull": ("always", "missing", "never"),
    "restart": ("always", "no", "on-failure", "unless-stopped"),
    "root-emulation": ("auto", "basic", "full", "off"),
    "type": ("container", "image", "network", "volume"),
    "signal": ("HUP", "INT", "KILL", "QUIT", "STOP", "TERM", "USR1", "USR2", "WINCH"),
    "stop-signal": ("HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2", "WINCH"),
    "format": ("json", "table"),
}
_FILE_FLAGS = frozenset(
    (
        "cidfile", "config", "device", "env-file", "file", "iidfile", "label-file", "metadata-file", "output", "root",
        "v", "volume",
    )
)  # fmt: skip
_OF_BUILD: dict[str, tuple[str, ...]] = {
    "call": ("build", "check"),
    "network": ("default", "host", "none"),
    "progress": ("auto", "none", "plain", "quiet", "rawjson", "tty"),
}
_FILTERS = {
    "ps": (
        *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"),
        *("publish", "since", "status", "volume"),
    ),
    "images": ("before", "dangling", "label", "label!", "reference", "since", "until"),
    "image_prune": ("label", "label!", "until"),
    **dict.fromkeys(
        ("builder_du", "builder_prune"), ("description", "id", "inuse", "private", "shared", "unused-for", "until")
    ),
    "container_prune": ("label", "label!", "until"),
    "events": ("container", "event", "image", "label", "network", "type", "volume"),
    "network_ls": ("dangling", "driver", "id", "label", "name", "scope", "type"),
    "network_prune": ("label", "label!", "until"),
    "system_prune": ("label", "label!", "until"),
    "volume_ls": ("dangling", "driver", "label", "name"),
    "volume_prune": ("all", "label", "label!"),
}


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output

    words = options.args or [""]
    try:
        found = candidates(engine, words)
    except (PodError, OSError, ValueError, KeyError, ImportError):
        found = []
    output.write("".join(output.visible(line) + "\n" for line in found))
    return 0


def candidates(engine: Engine, words: Sequence[str]) -> list[str]:
    """The lines for a command line without its first word; its last word is the one to complete, possibly empty."""
    *before, current = words
    root, rest = _after_globals(before)
    if rest is None:
        return _flag_value("", root, current, engine) if root else _flags(entry.GLOBAL, current)
    if root:
        from pod.core.engine import Engine as OtherEngine

        engine = OtherEngine(engine.environ, root=root)
    table: Any = entry.COMMANDS
    if not rest:
        if current[:1] == "-":
            return _flags(entry.GLOBAL, current)
        return _matching(current, ((name, row[1]) for name, row in table.items() if row[2] != "hidden"))
    if rest[0] == "help":
        return _matching(current, ((name, row[1]) for name, row in table.items() if row[2] != "hidden"))
    name = rest.pop(0)
    if name not in table or table[name][0] == "refused":
        return []
    module_name = table[name][0]
    module = entry.load(module_name)
    subcommands = getattr(module, "COMMANDS", None)
    if subcommands is not None:
        if not rest:
            return _matching(current, ((sub, row[1]) for sub, row in subcommands.items() if row[1]))
        sub = rest.pop(0)
        if sub not in subcommands:
            return []
        module_name = subcommands[sub][0]
        leading = list(subcommands[sub][2]) if len(subcommands[sub]) > 2 else []
        rest = leading + rest
        module = entry.load(module_name)
    return _of_command(engine, module_name, module.COMMAND, rest, current)


def _after_globals(words: list[str]) -> tuple[str, list[str] | None]:
    """(what --root said, the words from the command on); (flag, None) where the value of a global flag comes next."""
    root = ""
    rest = list(words)
    with_values = {f"--{row[0]}": row[0] for row in entry.GLOBAL.flags if row[2] != "bool"}
    with_values.update({f"-{row[1]}": row[0] for row in entry.GLOBAL.flags if row[2] != "bool" and row[1]})
    while rest and rest[0][:1] == "-":
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag in with_values:
            if not equals:
                if not rest:
                    return with_values[flag], None
                value = rest.pop(0)
            root = value if flag == "--root" else root
    return root, rest


class _Line:
    """The words of one command so far: its arguments, the flags set, and the flag whose value comes next."""

    __slots__ = ("args", "ended", "given", "pending")

    def __init__(self, command: Command, words: list[str]) -> None:
        self.args: list[str] = []
        self.given: set[str] = set()
        self.pending = ""
        self.ended = False
        long = {row[0]: row for row in command.flags}
        long.update({old: long[name] for old, name in command.spellings})
        short = {row[1]: row for row in command.flags if row[1]}
        for word in words:
            if self.pending:
                self.pending = ""
            elif self.ended or word[:1] != "-" or word == "-":
                self.args.append(word)
                self.ended = self.ended or not command.interspersed
            elif word == "--":
                self.ended = True
            elif word[:2] == "--":
                name, equals, _ = word[2:].partition("=")
                self._take(long.get(name), glued=bool(equals))
            else:
                self._shorts(short, word[1:])

    def _take(self, row: tuple[Any, ...] | None, *, glued: bool) -> None:
        if row is not None:
            self.given.add(row[0])
            self.pending = row[0] if row[2] != "bool" and not glued else ""

    def _shorts(self, short: dict[str, tuple[Any, ...]], letters: str) -> None:
        for place, letter in enumerate(letters):
            row = short.get(letter)
            if row is None:
                return
            self._take(row, glued=place + 1 < len(letters))
            if row[2] != "bool":
                return


def _of_command(engine: Engine, module: str, command: Command, words: list[str], current: str) -> list[str]:
    line = _Line(command, words)
    if line.pending:
        return _flag_value(module, line.pending, current, engine)
    if current[:2] == "--" and "=" in current and not line.ended:
        flag, _, value = current.partition("=")
        found = _flag_value(module, flag[2:], value, engine)
        return found if found == [FILES] else [f"{flag}={candidate}" for candidate in found]
    if current[:1] == "-" and not line.ended:
        return _flags(command, current)
    return _arguments(engine, module, command, line, current)


def _flags(command: Command, current: str) -> list[str]:
    rows = [(f"--{row[0]}", row[3]) for row in command.flags if not (len(row) > 5 and row[5])]
    rows.append(("--help", "Print usage"))
    return _matching(current, sorted(rows))


def _flag_value(module: str, flag: str, current: str, engine: Engine) -> list[str]:
    if flag == "filter":
        return _filter(module, current, engine)
    if module == "build" and flag in _OF_BUILD:
        return _matching(current, [(value, "") for value in _OF_BUILD[flag]])
    if flag == "volumes-from":
        return _matching(current, _containers(engine, (), ()))
    if flag in ("network", "net", "pid", "ipc") and current.startswith("container:"):
        names = _containers(engine, ("running",), ())
        return [f"container:{name}" for name in _matching(current[len("container:") :], names)]
    if flag in ("volume", "v"):
        volumes = [] if "/" in current else _matching(current, [(name + ":", "") for name, _ in _volumes(engine)])
        return volumes or [FILES]
    if flag in ("network", "net"):
        return _matching(current, [*_networks(engine), ("private", "")])
    if flag in _VALUES:
        return _matching(current, [(value, "") for value in _VALUES[flag]])
    if flag in _FILE_FLAGS:
        return [FILES]
    return []


def _filter(module: str, current: str, engine: Engine) -> list[str]:
    name, equals, value = current.partition("=")
    if not equals:
        return _matching(current, [(key + "=", "") for key in _FILTERS.get(module, ("label", "name"))])
    rows: list[tuple[str, str]] = []
    if name == "status":
        from pod.core.container.phase import PHASES

        rows = [(word, "") for word in PHASES]
    elif name == "health":
        rows = [(word, "") for word in ("healthy", "none", "starting", "unhealthy")]
    elif name in ("dangling", "is-task"):
        rows = [("true", ""), ("false", "")]
    elif name in ("ancestor", "image", "reference") or (module == "images" and name in ("before", "since")):
        rows = _images(engine)
    elif name == "driver" and module == "network_ls":
        rows = [(word, "") for word in ("bridge", "host", "ipvlan", "macvlan", "null")]
    elif name in ("before", "since", "name", "container") and module != "network_ls":
        rows = _containers(engine, (), ())
    elif name == "volume":
        rows = _volumes(engine)
    elif name == "network":
        rows = _networks(engine)
    return [f"{name}={candidate}" for candidate in _matching(value, rows)]


def _arguments(engine: Engine, module: str, command: Command, line: _Line, current: str) -> list[str]:
    kinds, repeats = operands(command.usage)
    place = len(line.args)
    if place >= len(kinds):
        if not (kinds and repeats):
            return []
        place = len(kinds) - 1
    kind = kinds[place]
    if kind == "FILES":
        return [FILES]
    states = () if module == "rm" and "force" in line.given else _STATES.get(module, ())
    found: list[tuple[str, str]] = []
    if kind == "CONTAINER:PATH":
        if current[:1] in ("/", ".", "~"):
            return [FILES]
        return _matching(current, [(name + ":", "") for name, _ in _containers(engine, (), ())]) or [FILES]
    if kind in ("CONTAINER", "OBJECT"):
        found += _containers(engine, states, line.args, current)
    for word, listed in (("IMAGE", _images), ("NETWORK", _networks), ("VOLUME", _volumes)):
        if kind in (word, "OBJECT"):
            found += [row for row in listed(engine) if row[0] not in line.args]
    if kind == "SHELL":
        found += [("bash", ""), ("fish", ""), ("zsh", "")]
    return _matching(current, found)


def operands(usage: str) -> tuple[list[str], bool]:
    """What each argument of a usage line is, and whether the last may come again.

    One of CONTAINER, IMAGE, NETWORK, VOLUME, OBJECT (any of these), CONTAINER:PATH, SHELL, FILES, and "" for what pod
    cannot know.
    """
    kinds: list[str] = []
    repeats = False
    for word in usage.partition("\n")[0].split():
        bare = word.strip("[]").removesuffix("...")
        if bare == "OPTIONS":
            continue
        again = word.endswith("...]") or word.endswith("...")
        kind = _kind_of(bare)
        if again and kinds and kinds[-1] == kind:
            repeats = True
            continue
        kinds.append(kind)
        repeats = again
    return kinds, repeats


def _kind_of(word: str) -> str:
    if word in ("CONTAINER", "NETWORK", "VOLUME", "IMAGE", "SHELL"):
        return word
    if word == "NAME|ID":
        return "OBJECT"
    if word.startswith(("SOURCE_IMAGE", "REPOSITORY")):
        return "IMAGE"
    if word.startswith(("CONTAINER:", "SRC_PATH", "DEST_PATH")):
        return "CONTAINER:PATH"
    return "FILES" if word in ("COMMAND", "ARG", "PATH") else ""


def _matching(current: str, rows: Any) -> list[str]:
    return [f"{name}\t{about}" if about else name for name, about in rows if name.startswith(current)]


def _containers(
    engine: Engine, states: tuple[str, ...], taken: Sequence[str], current: str = ""
) -> list[tuple[str, str]]:
    """Names, of those in some states; ids where what is typed is the beginning of no name but of ids."""
    if not states:
        found = [(name, "") for name in _listed(engine.paths.names) if name[:1] != "."]
        if current and not any(name.startswith(current) for name, _ in found):
            found = [(name[:12], "") for name in _listed(engine.paths.containers) if len(name) == 64]
        return sorted(row for row in found if row[0] not in taken)
    from pod.core.container import model

    chosen = [one for one in model.list_all(engine) if one.status in states]
    found = [(one.name, one.config["Config"]["Image"]) for one in chosen]
    if current and not any(name.startswith(current) for name, _ in found):
        found = [(one.id[:12], one.name) for one in chosen]
    return sorted(row for row in found if row[0] not in taken)


def _images(engine: Engine) -> list[tuple[str, str]]:
    from pod.core import paths
    from pod.core.oci import reference

    found = set()
    for name in _listed(engine.paths.refs):
        if name[:1] != ".":
            one = reference.parse(paths.unescape(name))
            if one.tag:
                found.add(one.familiar())
    return [(name, "") for name in sorted(found)]


def _volumes(engine: Engine) -> list[tuple[str, str]]:
    """Without those that nobody named."""
    return [(name, "") for name in sorted(_listed(engine.paths.volumes)) if name[:1] != "." and len(name) != 64]


def _networks(engine: Engine) -> list[tuple[str, str]]:
    from pod.core import paths

    own = [paths.unescape(name) for name in _listed(engine.paths.network_names) if name[:1] != "."]
    return [(name, "") for name in sorted([*own, "bridge", "host", "none"])]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
