"""Words of a Dockerfile: quotes, escapes and $VARIABLES with the modifiers of shells. Pure.

    expand        one word, quotes removed: ENV, LABEL, WORKDIR, COPY …
    expand_list   the words of a text, split at blanks that neither quote nor escape protects: EXPOSE, heredocs
    name          $name ${name}
                  ${name:-w} ${name-w} ${name:+w} ${name+w} ${name:?w} ${name?w}
                  ${name#p} ${name##p} ${name%p} ${name%%p} ${name/p/w} ${name//p/w}

Single quotes keep everything. Patterns have ``*``, ``?`` and ``\\``; they are matched by searches for the parts between
the stars, so that no pattern costs more than its length times the value's. Bounded: MOST_TEXT characters of a result,
MOST_WORK characters looked at by patterns, MOST_DEPTH modifiers in each other.

Source: Docker's Dockerfile reference, "Environment replacement"; buildkit frontend/dockerfile/shell (behaviour).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    Lookup = Callable[[str], Optional[str]]
    """A variable's value; None for one that is not set."""
    Segment = list[Optional[str]]
    """Characters between two stars; None stands for any one."""

MOST_TEXT = 1 << 18
"""Twice what execve takes as one variable (MAX_ARG_STRLEN)."""
MOST_WORK = 1 << 24
MOST_DEPTH = 64

_SPECIAL = frozenset("@*#?-$!0")
_STAR = "*"
_PLAIN = re.compile(r"[^$'\"\\`}/<]+")
_HEREDOC = re.compile(r"<<-?[ \t]*")
"""What is never special, taken in one piece."""


class BadWord(ValueError):
    """A word that cannot be expanded; the text says why."""


def expand(text: str, lookup: Lookup, escape: str = "\\") -> str:
    """``text`` with variables replaced and quotes removed. BadWord."""
    return _process(Lexer(text, lookup, escape))[0]


def expand_list(text: str, lookup: Lookup, escape: str = "\\") -> list[str]:
    """The words of ``text`` after that; values of variables are split too, unless quoted. Empty words go. BadWord."""
    return _process(Lexer(text, lookup, escape))[1]


def unset(text: str, lookup: Lookup, escape: str = "\\") -> list[str]:
    """Names that ``text`` uses, that are not set, and for which no modifier says what to do. BadWord."""
    lexer = Lexer(text, lookup, escape)
    _process(lexer)
    return sorted(lexer.unset)


def raw_list(text: str, *, quotes: bool = True, escapes: bool = True) -> list[str]:
    """The words of ``text`` as written: variables stay, if asked for quotes and escapes too. BadWord.

    With both, blanks after "<<" do not end a word.
    """
    lexer = Lexer(text, _nothing, raw_quotes=quotes, raw_escapes=escapes, keep_unset=True)
    lexer.joins = quotes and escapes
    return _process(lexer)[1]


def _nothing(_name: str) -> None:
    return None


def _process(lexer: Lexer) -> tuple[str, list[str]]:
    try:
        return lexer.until("")
    except BadWord as error:
        raise BadWord(f'failed to process "{shortened(lexer.text)}": {error}') from None


def shortened(text: str) -> str:
    """For messages."""
    return text if len(text) <= 200 else text[:200] + "…"


class _Words:
    """Words as they grow: blanks that come plain end one."""

    __slots__ = ("found", "word")

    def __init__(self) -> None:
        self.found: list[str] = []
        self.word: list[str] = []

    def plain(self, text: str) -> None:
        if not any(map(str.isspace, text)):
            self.word.append(text)
            return
        for character in text:
            if character.isspace():
                self.end()
            else:
                self.word.append(character)

    def end(self) -> None:
        whole = "".join(self.word)
        if whole:
            self.found.append(whole)
        self.word = []


class Lexer:
    """One pass over one text.

    Flags: quotes or escapes stay, variables that are not set stay as written, quotes are characters like others.
    """

    __slots__ = (
        "depth", "escape", "joins", "keep_unset", "lookup", "most", "place", "plain_quotes", "raw_escapes",
        "raw_quotes", "size", "text", "unset", "work",
    )  # fmt: skip

    def __init__(
        self,
        text: str,
        lookup: Lookup,
        escape: str = "\\",
        *,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
        keep_unset: bool = False,
        plain_quotes: bool = False,
        most: int = MOST_TEXT,
    ) -> None:
        self.text = text
        self.lookup = lookup
        self.escape = escape
        self.raw_quotes = raw_quotes
        self.raw_escapes = raw_escapes
        self.keep_unset = keep_unset
        self.plain_quotes = plain_quotes
        self.most = most
        self.joins = False
        self.place = self.depth = self.size = self.work = 0
        self.unset: set[str] = set()

    def until(self, stop: str) -> tuple[str, list[str]]:
        """The text up to ``stop`` (a character; "" for the end), as one and as words."""
        out: list[str] = []
        words = _Words()
        text = self.text
        while self.place < len(text):
            character = text[self.place]
            if character == stop:
                self.place += 1
                words.end()
                return "".join(out), words.found
            if character == "$":
                piece = self.dollar()
                words.plain(piece)
            elif character in "'\"" and not self.plain_quotes:
                piece = self.single() if character == "'" else self.double()
                words.word.append(piece)
            elif character == self.escape:
                piece = self.escaped()
                words.word.append(piece)
            else:
                piece = self.plain(words)
            out.append(self.counted(piece))
        if stop:
            raise BadWord(f"unexpected end of statement while looking for matching {stop}")
        words.end()
        return "".join(out), words.found

    def plain(self, words: _Words) -> str:
        """What at the place means nothing but itself, added to ``words``."""
        found = _HEREDOC.match(self.text, self.place) if self.joins else None
        if found:
            words.word.append(found[0])
        else:
            found = _PLAIN.match(self.text, self.place)
            words.plain(found[0] if found else self.text[self.place])
        piece = found[0] if found else self.text[self.place]
        self.place += len(piece)
        return piece

    def counted(self, piece: str) -> str:
        """``piece``, if there is room for it."""
        self.size += len(piece)
        if self.size > self.most:
            raise BadWord(f"more than {self.most} characters after expansion")
        return piece

    def escaped(self) -> str:
        """The escape at the place and the character that it protects; an escape that ends the text is nothing."""
        following = self.text[self.place + 1 : self.place + 2]
        self.place += 2
        return (self.escape if self.raw_escapes else "") + following

    def single(self) -> str:
        end = self.text.find("'", self.place + 1)
        if end < 0:
            raise BadWord("unexpected end of statement while looking for matching single-quote")
        inner = self.text[self.place + 1 : end]
        self.place = end + 1
        return f"'{inner}'" if self.raw_quotes else inner

    def double(self) -> str:
        out: list[str] = []
        text = self.text
        self.place += 1
        while self.place < len(text):
            character = text[self.place]
            if character == '"':
                self.place += 1
                inner = "".join(out)
                return f'"{inner}"' if self.raw_quotes else inner
            if character == "$":
                out.append(self.dollar())
                continue
            if character == self.escape:
                following = text[self.place + 1 : self.place + 2]
                if self.raw_escapes:
                    out.append(character)
                if not following:
                    break
                if following in ('"', "$", self.escape):
                    character = following
                    self.place += 1
            out.append(character)
            self.place += 1
        raise BadWord("unexpected end of statement while looking for matching double-quote")

    def name(self) -> str:
        """The name at the place: letters, digits and _; digits alone; or one of the shell's own parameters."""
        text, start = self.text, self.place
        end = start
        if text[start : start + 1].isdigit():
            while text[end : end + 1].isdigit():
                end += 1
        elif text[start : start + 1] in _SPECIAL:
            end += 1
        else:
            while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                end += 1
        self.place = end
        return text[start:end]

    def dollar(self) -> str:
        """What the "$" at the place stands for."""
        self.place += 1
        text = self.text
        if text[self.place : self.place + 1] != "{":
            name = self.name() if self.place < len(text) else ""
            return self.value_of(name, "$" + name) if name else "$"
        self.place += 1
        following = text[self.place : self.place + 1]
        if not following:
            raise BadWord("syntax error: missing '}'")
        if following in "{}:":
            raise BadWord("syntax error: bad substitution")
        name = self.name()
        modifier = text[self.place : self.place + 1]
        if not modifier:
            raise BadWord("syntax error: missing '}'")
        self.place += 1
        if modifier == "}":
            return self.value_of(name, f"${{{name}}}")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise BadWord(f"more than {MOST_DEPTH} substitutions in each other")
        try:
            return self.replaced(name) if modifier == "/" else self.modified(name, modifier)
        finally:
            self.depth -= 1

    def value_of(self, name: str, written: str) -> str:
        value = self.lookup(name)
        if value is None:
            self.unset.add(name)
            return written if self.keep_unset else ""
        return value

    def modified(self, name: str, modifier: str) -> str:
        """${name:-word} and the others whose modifier has one word."""
        colon = modifier == ":"
        if colon:
            modifier = self.text[self.place : self.place + 1]
            self.place += 1
        written = (":" if colon else "") + modifier
        if modifier not in ("-", "+", "?", "#", "%"):
            raise BadWord(f"unsupported modifier ({written}) in substitution")
        word = self.part("}", raw=modifier in "#%", missing="}")
        value = self.lookup(name)
        if value is None and self.keep_unset:
            return f"${{{name}{written}{word}}}"
        absent = value is None or (colon and not value)
        if modifier == "-":
            return word if absent else value or ""
        if modifier == "+":
            return "" if absent else word
        if modifier == "?":
            if absent:
                why = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                raise BadWord(f"{name}: {word or why}")
            return value or ""
        if value is None:
            self.unset.add(name)
        return self.trimmed(value or "", word, modifier)

    def trimmed(self, value: str, pattern: str, side: str) -> str:
        """``value`` without what ``pattern`` matches at its beginning (#) or end (%); doubled, the longest."""
        greedy = pattern.startswith(side)
        segments = self.segments(pattern[1:] if greedy else pattern, value)
        if side == "%":
            value = value[::-1]
            segments = [segment[::-1] for segment in reversed(segments)]
        found = _find(segments, value, 0, anchored=True, greedy=greedy)
        value = value[found[1] :] if found else value
        return value[::-1] if side == "%" else value

    def replaced(self, name: str) -> str:
        """${name/pattern/word}, ${name//pattern/word}."""
        every = self.text[self.place : self.place + 1] == "/"
        self.place += every
        pattern = self.part("/", raw=True, missing="/")
        word = self.part("}", raw=True, missing="}")
        value = self.lookup(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{'/' if every else ''}{pattern}/{word}}}"
        if value is None:
            self.unset.add(name)
        return self.substituted(value or "", self.segments(pattern, value or ""), word, every)

    def substituted(self, value: str, segments: list[Segment], word: str, every: bool) -> str:
        out: list[str] = []
        place, last = 0, -1
        while place <= len(value):
            found = _find(segments, value, place, anchored=False, greedy=True)
            if found is None:
                break
            start, end = found
            self.work += end - place
            if start == end == last:
                # an empty match that touches the one before it does not count
                out.append(value[place : place + 1])
                place, last = place + 1, -1
                continue
            out += [value[place:start], self.counted(word)]
            place = last = end
            if not every:
                break
            if start == end:
                out.append(value[place : place + 1])
                place += 1
        return "".join([*out, value[place:]])

    def part(self, stop: str, *, raw: bool, missing: str) -> str:
        """The text of a substitution up to ``stop``; with ``raw`` escapes stay, for the pattern reads them."""
        before, self.raw_escapes = self.raw_escapes, raw
        try:
            return self.until(stop)[0]
        except BadWord:
            if self.place >= len(self.text):
                where = "'/' in ${}" if missing == "/" else "'}'"
                raise BadWord(f"syntax error: missing {where}") from None
            raise
        finally:
            self.raw_escapes = before

    def segments(self, pattern: str, value: str) -> list[Segment]:
        """The parts of a pattern between its stars."""
        self.work += len(pattern) + len(value)
        if self.work > MOST_WORK:
            raise BadWord("patterns look at too much text")
        found: list[Segment] = [[]]
        place = 0
        while place < len(pattern):
            character = pattern[place]
            place += 1
            if character == _STAR:
                found.append([])
            elif character == "?":
                found[-1].append(None)
            elif character == "\\":
                following = pattern[place : place + 1]
                if not following or following not in "*?\\}/":
                    raise BadWord(
                        f"invalid pattern ({shortened(pattern)}) in substitution: invalid escape '\\{following}'"
                    )
                found[-1].append(following)
                place += 1
            else:
                found[-1].append(character)
        return found


def _find(segments: list[Segment], value: str, place: int, *, anchored: bool, greedy: bool) -> tuple[int, int] | None:
    """Where the pattern matches at ``place``, or (not ``anchored``) first after it: from, to; None for nowhere.

    Taking each part as early as it comes leaves most room for the next, so nothing is ever tried twice.
    """
    first, *rest = segments
    start = place if anchored else _early(first, value, place)
    if anchored and not _at(first, value, place):
        return None
    if start < 0:
        return None
    end = start + len(first)
    for number, segment in enumerate(rest):
        last = number == len(rest) - 1
        found = _late(segment, value, end) if last and greedy else _early(segment, value, end)
        if found < 0:
            return None
        end = found + len(segment)
    return start, end


def _pattern(segment: Segment) -> re.Pattern[str]:
    return re.compile("".join("." if one is None else re.escape(one) for one in segment), re.DOTALL)


def _at(segment: Segment, value: str, place: int) -> bool:
    return _pattern(segment).match(value, place) is not None


def _early(segment: Segment, value: str, place: int) -> int:
    found = _pattern(segment).search(value, place)
    return found.start() if found else -1


def _late(segment: Segment, value: str, place: int) -> int:
    if None not in segment:
        return value.rfind("".join(one or "" for one in segment), place)
    pattern = _pattern(segment)
    for start in range(len(value) - len(segment), place - 1, -1):
        if pattern.match(value, start):
            return start
    return -1
