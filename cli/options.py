"""Docker's command line, read as its parser (pflag, as cobra drives it) reads it.

A command module states ``COMMAND = Command(name, usage, summary, flags)``. Each flag is a :class:`Flag` or a plain
tuple in Flag's order ``(name, short, kind, help, default, hidden, value_name)``: a table of constants loads for free.

    kind                                    given as          in Options.values
    bool                                    -x  --x=false     bool
    string ip gpu-request                   text              str
    int int64 uint16                        10 0x1f 0o17      int
    decimal                                 1.5 1/2           int, thousand-millionths (Docker's NanoCpus)
    bytes                                   512m 1.5GiB       int, bytes
    memory-swap (shown as bytes)            1g -1             int, bytes; -1 means no limit
    duration                                1m30s             int, nanoseconds
    map                                     key=value         dict[str, str]
    stringSlice                             a,b ("a,b",c)     list[str], split at commas
    filter                                  name=value        list[str] "name=value", name in lower case
    list stringArray ulimit mount network   text              list[str], one for each time the flag is given

Source: github.com/spf13/pflag (flag.go), docker/cli (opts), docker/go-units (size.go): behaviour and messages.
On the warm path: imports builtins and pod.core.errors only.
"""

from __future__ import annotations

from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    FlagRow = tuple[Any, ...]
else:
    FlagRow = tuple

LIST_KINDS = frozenset(("list", "stringArray", "stringSlice", "filter", "ulimit", "mount", "network"))
_NUMBER_KINDS = frozenset(("int", "int64", "uint16", "bytes", "memory-swap", "decimal", "duration"))
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


class Flag(FlagRow):
    """One flag: a tuple with names. ``default`` None stands for the kind's zero; it is a value, not text.

    ``hidden`` keeps it out of --help; ``value_name`` replaces the kind there.
    """

    __slots__ = ()

    def __new__(
        cls,
        name: str,
        short: str = "",
        kind: str = "bool",
        help: str = "",
        default: Any = None,
        hidden: bool = False,
        value_name: str | None = None,
    ) -> Flag:
        return tuple.__new__(cls, (name, short, kind, help, default, hidden, value_name))

    @property
    def name(self) -> str:
        return str(self[0])

    @property
    def short(self) -> str:
        return str(self[1])

    @property
    def kind(self) -> str:
        return str(self[2])

    @property
    def help(self) -> str:
        return str(self[3])

    @property
    def default(self) -> Any:
        return self[4]

    @property
    def hidden(self) -> bool:
        return bool(self[5])

    @property
    def value_name(self) -> str:
        """The word after the flag in --help; empty for a bool."""
        if self[6] is not None:
            return str(self[6])
        kind = self.kind
        return {"bool": "", "memory-swap": "bytes", "int64": "int", "stringSlice": "strings"}.get(kind, kind)


class Command:
    """What a command's module says about itself. ``usage`` is the line after the name, as in Docker's help.

    ``min_args`` and ``max_args`` bound the arguments (``max_args`` None: no bound). ``interspersed`` False ends our
    flags at the first argument. ``aliases`` are the other full spellings that --help shows. ``path`` is the spelling in
    messages, by default "pod NAME". ``spellings`` pairs old names of flags with the present ones.
    """

    __slots__ = (
        "aliases",
        "flags",
        "interspersed",
        "max_args",
        "min_args",
        "name",
        "path",
        "spellings",
        "summary",
        "usage",
    )

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        flags: Sequence[Flag | tuple[Any, ...]] = (),
        *,
        min_args: int = 0,
        max_args: int | None = None,
        interspersed: bool = True,
        aliases: tuple[str, ...] = (),
        path: str = "",
        spellings: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.flags = flags
        self.min_args = min_args
        self.max_args = max_args
        self.interspersed = interspersed
        self.aliases = aliases
        self.path = path or "pod " + name
        self.spellings = spellings


class Options:
    """The outcome: ``values`` has every flag (defaults applied), ``args`` the arguments, ``given`` the flags set.

    ``group``: the flags between a group and its command, where a group has such (``compose``).
    """

    __slots__ = ("args", "given", "group", "values")

    def __init__(self, values: dict[str, Any], args: list[str], given: set[str]) -> None:
        self.values = values
        self.args = args
        self.given = given
        self.group: Options | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class _Parser:
    """One walk over argv; the names are pflag's where it has them."""

    __slots__ = ("args", "argv", "by_name", "by_short", "command", "given", "hint", "position", "values")

    def __init__(self, command: Command, argv: Sequence[str], hint: str) -> None:
        self.command = command
        self.argv = argv
        self.hint = hint
        self.position = 0
        self.args: list[str] = []
        self.given: set[str] = set()
        self.values: dict[str, Any] = {}
        self.by_name: dict[str, Any] = {}
        self.by_short: dict[str, Any] = {}
        values, by_name, by_short = self.values, self.by_name, self.by_short
        for row in command.flags:
            name = row[0]
            by_name[name] = row
            if row[1]:
                by_short[row[1]] = row
            default = row[4] if len(row) > 4 else None
            values[name] = _zero(row[2]) if default is None else default
        for old, name in command.spellings:
            by_name[old] = by_name[name]
        if "help" not in by_name:
            by_name["help"] = _HELP
            by_short.setdefault("h", _HELP)
            values["help"] = False

    def run(self) -> None:
        argv = self.argv
        while self.position < len(argv):
            word = argv[self.position]
            self.position += 1
            if len(word) < 2 or word[0] != "-":
                if not self.command.interspersed:
                    self.args.extend(argv[self.position - 1 :])
                    return
                self.args.append(word)
            elif word == "--":
                self.args.extend(argv[self.position :])
                return
            elif word[1] == "-":
                self.long(word)
            else:
                self.shorts(word[1:])

    def long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise UsageError(f"bad flag syntax: {word}", hint=self.hint)
        row = self.by_name.get(name)
        if row is None:
            raise UsageError(f"unknown flag: --{name}", hint=self.hint)
        if not equals:
            if row[2] == "bool":
                value = "true"
            elif self.position < len(self.argv):
                value = self.argv[self.position]
                self.position += 1
            else:
                raise UsageError(f"flag needs an argument: --{name}", hint=self.hint)
        self.set(row, value)

    def shorts(self, letters: str) -> None:
        left = letters
        while left:
            row = self.by_short.get(left[0])
            if row is None:
                raise UsageError(f"unknown shorthand flag: '{left[0]}' in -{left}", hint=self.hint)
            if len(left) > 2 and left[1] == "=":
                value, left = left[2:], ""
            elif row[2] == "bool":
                value, left = "true", left[1:]
            elif len(left) > 1:
                value, left = left[1:], ""
            elif self.position < len(self.argv):
                value, left = self.argv[self.position], ""
                self.position += 1
            else:
                raise UsageError(f"flag needs an argument: '{left[0]}' in -{left}", hint=self.hint)
            self.set(row, value)

    def set(self, row: tuple[Any, ...], text: str) -> None:
        name, kind = row[0], row[2]
        try:
            if kind == "bool":
                value: Any = _bool(text)
            elif kind == "string":
                value = text
            elif kind in LIST_KINDS:
                value = self.values[name] if name in self.given else []
                value.extend(_items(kind, text))
            elif kind == "map":
                key, _, item = text.partition("=")
                value = {**self.values[name], key: item}
            else:
                from pod.cli import flag_values

                value = flag_values.convert(kind, text)
        except ValueError as error:
            shown = f"-{row[1]}, --{name}" if row[1] else f"--{name}"
            raise UsageError(f'invalid argument "{text}" for "{shown}" flag: {error}', hint=self.hint) from None
        self.values[name] = value
        self.given.add(name)


_HELP = ("help", "h", "bool", "Print usage", None)


def parse(command: Command, argv: Sequence[str], *, path: str = "") -> Options:
    """Reads ``argv`` (without the command's name). UsageError in Docker's words, with the way to --help as its hint.

    ``path`` is the spelling the user chose ("pod container rm"). With --help given, arguments are not counted.
    """
    path = path or command.path
    parser = _Parser(command, argv, f"See '{path} --help'.")
    parser.run()
    if not parser.values["help"]:
        _count(command, path, len(parser.args), parser.hint)
    return Options(parser.values, parser.args, parser.given)


def _count(command: Command, path: str, count: int, hint: str) -> None:
    """Docker's texts of cli/required.go; a wrong number of arguments ends with status 1, a wrong flag with 125."""
    least, most = command.min_args, command.max_args
    if count >= least and (most is None or count <= most):
        return
    if most == 0:
        words = "accepts no arguments"
    elif least == most:
        words = f"requires exactly {least} {_plural(least)}"
    elif most is None:
        words = f"requires at least {least} {_plural(least)}"
    elif least == 0:
        words = f"requires at most {most} {_plural(most)}"
    else:
        words = f"requires at least {least} and at most {most} {_plural(most)}"
    error = UsageError(f'"{path}" {words}.', hint=f"{hint} Usage: {path} {command.usage}")
    error.exit_code = 1
    raise error


def _plural(count: int) -> str:
    return "argument" if count == 1 else "arguments"


def _zero(kind: str) -> Any:
    if kind == "bool":
        return False
    if kind in LIST_KINDS:
        return []
    if kind in _NUMBER_KINDS:
        return 0
    if kind == "map":
        return {}
    return ""


def _bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _items(kind: str, text: str) -> list[str]:
    if kind == "stringSlice":
        from pod.cli import flag_values

        return flag_values.split_csv(text)
    if kind == "filter":
        if not text:
            return []
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError("bad format of filter (expected name=value)")
        return [f"{name.strip().lower()}={value.strip()}"]
    return [text]
