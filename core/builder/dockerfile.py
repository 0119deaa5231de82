"""Dockerfiles read: lines put together, flags, JSON forms and heredocs taken off. What they mean is instructions.py's.

    parse        bytes of a file to its instructions; BuildFailed names the line
    fitting      "did you mean …?"

An instruction's text is UTF-8; other bytes in it become U+FFFD, in heredocs they stay (surrogateescape). Bounded:
MOST_BYTES a file, MOST_LINE a line, MOST_INSTRUCTIONS instructions.

Source: Docker's Dockerfile reference; buildkit frontend/dockerfile/parser (behaviour).
"""

from __future__ import annotations

import json
import re

from pod.core.builder import words
from pod.core.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

    Flag = tuple[str, Optional[str]]
    """Name without "--", and the value; None without "="."""

MOST_BYTES = 2 << 20
MOST_LINE = 65535
"""What Docker's reader takes as one line."""
MOST_INSTRUCTIONS = 4000
_MOST_EXCERPT = 40
_CONTEXT = 2

ESCAPES = ("\\", "`")
_HEREDOC_KEYWORDS = ("ADD", "COPY", "RUN")
_JSON_KEYWORDS = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=(.*)")
_HEREDOC = re.compile(r"\d*<<(-?)(\s*)([^<]*)$")
_OWN_SYNTAX = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@]\S*)?(?:\s.*)?")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_TABS = re.compile(r"^\t+", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


class Heredoc:
    """``<<name`` with its lines. ``expand``: the name was not quoted; ``strip``: "<<-", tabs before lines go;
    ``spaced``: blanks stood before the name.
    """

    __slots__ = ("content", "expand", "name", "spaced", "strip")

    def __init__(self, name: str, expand: bool, strip: bool, content: str = "") -> None:
        self.name = name
        self.expand = expand
        self.strip = strip
        self.content = content
        self.spaced = False

    @property
    def text(self) -> str:
        """The content as it is meant: without the tabs of "<<-"."""
        return _TABS.sub("", self.content) if self.strip else self.content


class Instruction:
    """One instruction as read. ``word`` is the keyword as written, ``text`` the whole on one line, without heredocs.

    ``rest`` is what follows the flags; ``words`` its JSON form (of HEALTHCHECK CMD: of what follows CMD), None for the
    shell's; ``inner`` what ONBUILD holds.
    """

    __slots__ = (
        "file", "first", "flags", "heredocs", "inner", "keyword", "last", "rest", "source", "text", "word", "words",
    )  # fmt: skip

    def __init__(self, file: Dockerfile, text: str, first: int, last: int) -> None:
        self.file = file
        self.text = text.strip()
        self.first, self.last = first, last
        self.word, blank, rest = _split_word(self.text)
        self.keyword = self.word.upper()
        self.flags: list[Flag] = []
        self.heredocs: list[Heredoc] = []
        self.words: list[str] | None = None
        self.inner: Instruction | None = None
        self.source = ""
        self.rest = _take_flags(rest, self.flags).strip() if blank else ""
        if self.keyword == "ONBUILD" and self.rest:
            self.inner = Instruction(file, self.rest, first, last)
        elif self.keyword in _JSON_KEYWORDS:
            self.words = self.json(self.rest)
        elif self.keyword == "HEALTHCHECK":
            self.words = self.json(_split_word(self.rest)[2])

    def json(self, text: str) -> list[str] | None:
        """The texts of a JSON list; None for what is no list and so the shell's."""
        if not text.startswith("["):
            return None
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(one, str) for one in value):
            raise self.failed("when using JSON array syntax, arrays must be comprised of strings only")
        return [_valid(one) for one in value]

    @property
    def takes_heredocs(self) -> bool:
        """Whether "<<" means a heredoc here."""
        if self.inner is not None:
            return self.inner.keyword != "ONBUILD" and self.inner.takes_heredocs
        return self.keyword in _HEREDOC_KEYWORDS and self.words is None and "<<" in self.rest

    def failed(self, reason: str, *, hint: str | None = None, prefix: bool = True) -> BuildFailed:
        """The error of this instruction, with Docker's prefix of mistakes in the language."""
        message = f"dockerfile parse error on line {self.first}: {reason}" if prefix else reason
        return self.file.failed(message, self.first, self.last, hint=hint)


class Dockerfile:
    """A Dockerfile as read. ``lines`` are those of the file, ``warnings`` are (line, text); ``empty`` the lines of
    those that say so of a continuation.

    ``escape``, ``syntax`` and ``check`` are the parser directives; "" where there is none.
    """

    __slots__ = ("check", "empty", "escape", "instructions", "lines", "shown", "syntax", "warnings")

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.escape = "\\"
        self.syntax = self.check = ""
        self.instructions: list[Instruction] = []
        self.lines: list[str] = []
        self.warnings: list[tuple[int, str]] = []
        self.empty: list[int] = []

    def failed(self, message: str, line: int, last: int = 0, *, hint: str | None = None) -> BuildFailed:
        """An error at these lines, with their excerpt."""
        last = max(last, line)
        excerpt = self.excerpt(line, last)
        return BuildFailed(message, shown=self.shown, line=line, last=last, excerpt=excerpt, hint=hint)

    def excerpt(self, line: int, last: int) -> str:
        """The lines and two around them, as BuildKit shows them."""
        if not 0 < line <= len(self.lines):
            return ""
        last = min(last, len(self.lines))
        shown: list[str] = []
        for number in range(max(1, line - _CONTEXT), min(len(self.lines), last + _CONTEXT) + 1):
            if len(shown) == _MOST_EXCERPT:
                shown.append("     |     …")
                break
            mark = ">>>" if line <= number <= last else "   "
            shown.append(f"{number:4d} | {mark} {words.shortened(self.lines[number - 1])}")
        rule = "-" * 20
        return "\n".join([f"{self.shown}:{line}", rule, *shown, rule])


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _valid(text: str) -> str:
    """``text`` without what UTF-8 cannot say: bytes of the file that are none, halves of pairs in JSON."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape" if not _has_other_halves(text) else "surrogatepass")
    return raw.decode("utf-8", "replace")


def _has_other_halves(text: str) -> bool:
    return any("\ud800" <= one <= "\udfff" and not "\udc80" <= one <= "\udcff" for one in text)


def _split_word(text: str) -> tuple[str, str, str]:
    """The first word, the blanks after it, the rest."""
    found = _BLANKS.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _take_flags(text: str, flags: list[Flag]) -> str:
    """Moves ``--name=value`` at the beginning of ``text`` to ``flags``, quotes removed; the rest. "--" ends them."""
    place = 0
    while True:
        while place < len(text) and text[place].isspace():
            place += 1
        if not text.startswith("--", place):
            return text[place:]
        word, place = _flag_word(text, place)
        if word == "--":
            return text[place:]
        name, equals, value = word[2:].partition("=")
        flags.append((name, value if equals else None))


def _flag_word(text: str, place: int) -> tuple[str, int]:
    out: list[str] = []
    quote = ""
    while place < len(text):
        character = text[place]
        if character == "\\":
            out.append(text[place + 1 : place + 2])
            place += 2
            continue
        if quote:
            if character == quote:
                quote = ""
            else:
                out.append(character)
        elif character in "'\"":
            quote = character
        elif character.isspace():
            break
        else:
            out.append(character)
        place += 1
    return "".join(out), min(place, len(text))


def parse(raw: bytes, shown: str = "Dockerfile") -> Dockerfile:
    """What the file says. ``shown`` is its name for messages. BuildFailed."""
    file = Dockerfile(shown)
    if len(raw) > MOST_BYTES:
        raise file.failed(f"{shown} is larger than {MOST_BYTES >> 20} MiB", 0)
    text = raw[len(_BOM) :] if raw.startswith(_BOM) else raw
    reader = _Reader(file, text.decode("utf-8", "surrogateescape").split("\n"))
    reader.directives()
    reader.read()
    if not file.instructions:
        raise file.failed("file with no instructions", 0)
    return file


class _Reader:
    """The lines of a file, taken one after the other. ``place`` counts those taken, so it is the last one's number.

    ``lasts``: the number of the last line of each text, (with tabs before it gone, text); made when it is asked for.
    """

    __slots__ = ("continued", "file", "lasts", "place", "raw")

    def __init__(self, file: Dockerfile, raw: list[str]) -> None:
        self.file = file
        self.raw = raw[:-1] if raw and not raw[-1] else raw
        self.place = 0
        file.lines = [_valid(line.rstrip("\r")) for line in self.raw]
        self.continued = re.compile("")
        self.lasts: dict[tuple[bool, str], int] = {}

    def directives(self) -> None:
        """``# escape=`` and the like, on the first lines; after a "#!" all but ``escape``."""
        seen = set()
        first = 1 if self.raw and self.raw[0].startswith("#!") else 0
        for number, line in enumerate(self.file.lines[first:], first + 1):
            found = _DIRECTIVE.match(line.lstrip())
            name, value = (found[1].lower(), found[2].strip()) if found else ("", "")
            if name not in ("escape", "syntax", "check") or not value:
                break
            if name == "escape" and first:
                continue
            if name in seen:
                raise self.failed(f"only one {name} parser directive can be used", number)
            seen.add(name)
            setattr(self.file, name, value)
            if name == "escape" and value not in ESCAPES:
                shown = words.shortened(value)
                raise self.failed(f"invalid escape token '{shown}' does not match ` or \\", number)
            if name == "syntax" and not _OWN_SYNTAX.fullmatch(value):
                what = f"syntax={words.shortened(value)} is not followed: the file is read as Docker's own"
                self.file.warnings.append((number, what))
        escape = re.escape(self.file.escape)
        # an escape before it makes it a character; alone on its line it continues all the same
        self.continued = re.compile(rf"(?:(?<!{escape})|^){escape}[ \t]*$")

    def failed(self, reason: str, line: int, last: int = 0) -> BuildFailed:
        return self.file.failed(f"dockerfile parse error on line {line}: {reason}", line, last)

    def take(self) -> str:
        """The next line, without what ends it."""
        line = self.raw[self.place].rstrip("\r")
        self.place += 1
        if len(line) > MOST_LINE:
            raise self.failed(f"dockerfile line greater than max allowed size of {MOST_LINE}", self.place)
        return line

    def read(self) -> None:
        """All instructions."""
        while self.place < len(self.raw):
            line = self.take().lstrip()
            first = self.place
            if not line or line.startswith("#"):
                continue
            text = self.whole(line)
            if not text.strip():
                continue
            if "\0" in text:
                raise self.failed("a NUL byte", first, self.place)
            instruction = self.one(_valid(text), first)
            self.file.instructions.append(instruction)
            if len(self.file.instructions) > MOST_INSTRUCTIONS:
                raise self.failed(f"more than {MOST_INSTRUCTIONS} instructions", first)

    def whole(self, line: str) -> str:
        """``line`` with the lines that continue it. Comments between them go, and so do empty ones, with a warning."""
        parts = []
        empty = False
        while True:
            found = self.continued.search(line)
            parts.append(line[: found.start()] if found else line)
            while found and self.place < len(self.raw):
                line = self.take()
                stripped = line.lstrip()
                if stripped and not stripped.startswith("#"):
                    break
                empty |= not stripped
            else:
                break
        if empty:
            self.file.empty.append(self.place)
            self.file.warnings.append((self.place, "Empty continuation line"))
        return "".join(parts)

    def one(self, text: str, first: int) -> Instruction:
        instruction = Instruction(self.file, text, first, self.place)
        if instruction.takes_heredocs:
            holder = instruction.inner or instruction
            for heredoc in heredocs(text):
                if heredoc.spaced and not (holder.keyword == "RUN" and self.ends(heredoc)):
                    # "$((1 << 3))": the shell's, unless a line is its end
                    continue
                self.fill(heredoc, first)
                holder.heredocs.append(heredoc)
            instruction.heredocs = holder.heredocs
            instruction.last = holder.last = self.place
        instruction.source = "\n".join(self.file.lines[first - 1 : self.place])
        return instruction

    def ends(self, heredoc: Heredoc) -> bool:
        """Whether some line to come is the end of ``heredoc``."""
        if not self.lasts:
            for number, line in enumerate(self.raw, 1):
                self.lasts[False, line.rstrip("\r")] = self.lasts[True, line.rstrip("\r").lstrip("\t")] = number
        return self.lasts.get((heredoc.strip, heredoc.name), 0) > self.place

    def fill(self, heredoc: Heredoc, first: int) -> None:
        """Lines up to the one that is the name alone."""
        content: list[str] = []
        while self.place < len(self.raw):
            line = self.raw[self.place]
            plain = self.take()
            if (plain.lstrip("\t") if heredoc.strip else plain) == heredoc.name:
                heredoc.content = "".join(content)
                return
            content.append(line + "\n")
        raise self.failed("unterminated heredoc", first, self.place)


def heredocs(text: str) -> list[Heredoc]:
    """The heredocs that a line announces, still empty."""
    try:
        found = [heredoc(word) for word in words.raw_list(text)]
    except words.BadWord:
        return []
    return [one for one in found if one is not None]


def heredoc(word: str) -> Heredoc | None:
    """``<<EOF`` ``<<-EOF`` ``<<"EOF"`` ``3<<EOF``; None for what is none."""
    found = _HEREDOC.match(word)
    if not found or not found[3]:
        return None
    try:
        plain = words.raw_list(found[3], quotes=False, escapes=False)
        written = words.raw_list(found[3], escapes=False)
    except words.BadWord:
        return None
    if len(plain) != 1 or len(written) != 1:
        return None
    made = Heredoc(plain[0], plain == written, bool(found[1]))
    made.spaced = bool(found[2])
    return made


def fitting(word: str, choices: Iterable[str], *, around: str = "", fold: bool = False) -> str:
    """ " (did you mean NAME?)" for the choice that is two letters away at most, else "".

    ``fold``: case does not count, and NAME has that of ``word``. ``around`` stands before NAME.
    """
    best, least = "", 3
    for choice in sorted(choices):
        distance = _distance(word.lower()[:64], choice.lower()) if fold else _distance(word[:64], choice)
        if distance == 0:
            return ""
        if distance < least:
            best, least = choice, distance
    if not best:
        return ""
    if fold:
        best = best.upper() if word.isupper() else best.lower()
    return f" (did you mean {around}{best}?)"


def _distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for place, left in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, right in enumerate(other, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (left != right))
    return row[-1]
