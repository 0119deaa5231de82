"""``.dockerignore`` and the patterns of ``COPY --exclude``, ``--parents``: the rules of moby/patternmatcher. Pure.

A pattern becomes what that library makes of it, an exact name, a beginning, an end or a regular expression of Go's, and
the last one a list of states that are gone through in (length of the path) x (states) steps, whatever the pattern is:
by :meth:`Pattern.matches` here, by ext/src/files/match.c for whole trees (:meth:`Ignore.encoded`). A test holds them
against each other.

Source: github.com/moby/patternmatcher (behaviour), pkg.go.dev/regexp/syntax, docs.docker.com "dockerignore files".
"""

from __future__ import annotations

import posixpath
import struct

from pod.core.errors import PodError
from pod.core.image import patterns as go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Ranges = tuple[tuple[int, int], ...]
    State = tuple[int, bool, Ranges]
    """Kind, whether the set is what the ranges leave out, code points."""

SET, STAR, SPLIT, DIRS, BEGIN, END, WORD, NOT_WORD = range(8)
"""Of a state (enum pod_match_kind): one of a set; any number of them; go on, or leave the next state out; anything up
to a slash, that with it; what looks at the place alone: the beginning, the end, where a word begins or ends, where not.
"""

EXACT, PREFIX, SUFFIX, STATES = range(4)
"""Of a pattern (enum pod_match_form)."""

MAX_BYTES = 1 << 20
"""Of an ignore file."""
MAX_PATTERNS = 10000
MAX_PATTERN = 4096

_NEVER, _ALWAYS, _PREFIXES = range(3)
_WILD = "*[]?^"
_SPACE = "\t\n\v\f\r \x85\xa0"
_DIGIT: Ranges = ((48, 57),)
_WORDS: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_PERL: dict[str, tuple[bool, Ranges]] = {
    "d": (False, _DIGIT), "D": (True, _DIGIT), "w": (False, _WORDS), "W": (True, _WORDS),
    "s": (False, ((9, 10), (12, 13), (32, 32))), "S": (True, ((9, 10), (12, 13), (32, 32))),
}  # fmt: skip
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)), "alpha": ((65, 90), (97, 122)), "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)), "cntrl": ((0, 31), (127, 127)), "digit": _DIGIT, "graph": ((33, 126),),
    "lower": ((97, 122),), "print": ((32, 126),), "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)), "upper": ((65, 90),), "word": _WORDS, "xdigit": ((48, 57), (65, 70), (97, 102)),
}  # fmt: skip
_LAST = 0x10FFFF


def read(raw: bytes) -> list[str]:
    """The patterns of an ignore file, cleaned as the frontend does it. PodError where it is larger than MAX_BYTES."""
    if len(raw) > MAX_BYTES:
        raise PodError(f"the ignore file has more than {MAX_BYTES} bytes")
    found: list[str] = []
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        text = line.decode("utf-8", "surrogateescape")
        if text.startswith("#"):
            continue
        text = text.strip(_SPACE)
        if not text:
            continue
        inverted = text.startswith("!")
        text = text[1:].strip(_SPACE) if inverted else text
        if text:
            text = clean(text)
            text = text[1:] if len(text) > 1 and text.startswith("/") else text
        found.append("!" + text if inverted else text)
    return found


def clean(path: str) -> str:
    """Go's filepath.Clean."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


class Pattern:
    """One pattern, without its "!" (``exclusion``). ``form`` and ``text``, ``states`` say what it matches."""

    __slots__ = ("exclusion", "form", "source", "states", "text")

    def __init__(self, source: str, *, exclusion: bool = False) -> None:
        self.source = source
        self.exclusion = exclusion
        self.text = ""
        self.states: list[State] = []
        self.form, regular = _regular(source)
        if self.form == STATES:
            self.states = _Reader(regular).read()
        else:
            self.text = {EXACT: source, PREFIX: source[:-2], SUFFIX: source[2:]}[self.form]

    def matches(self, path: str) -> bool:
        if self.form == EXACT:
            return path == self.text
        if self.form == PREFIX:
            return path.startswith(self.text)
        if self.form == SUFFIX:
            return path.endswith(self.text) or (self.text[:1] == "/" and path == self.text[1:])
        return run(self.states, path)

    @property
    def place(self) -> str:
        """Without the globs at its end that say "and what is below"."""
        text = self.source[:-3] if self.source.endswith("/**") else self.source
        return text[:-2] if text.endswith("/*") else text


class Ignore:
    """Patterns in their order; what comes later wins. PodError, with the pattern, for one that makes no sense."""

    __slots__ = ("descend", "patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns: list[Pattern] = []
        for one in patterns:
            text = one.strip(_SPACE)
            if text:
                self.patterns.append(_compiled(clean(text)))
        if len(self.patterns) > MAX_PATTERNS:
            raise PodError(f"more than {MAX_PATTERNS} patterns")
        exceptions = [one for one in self.patterns if one.exclusion]
        self.descend = _PREFIXES if exceptions else _NEVER
        if any(character in one.place for one in exceptions for character in _WILD):
            self.descend = _ALWAYS

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def excluded(self, path: str) -> bool:
        """Whether ``path`` (relative, "/" between its parts) is left out, by itself or with a folder above it."""
        before: list[bool] | None = None
        matched = False
        at = 0
        while at >= 0:
            at = path.find("/", at + 1)
            matched, before = self._step(path if at < 0 else path[:at], before)
        return matched

    def _step(self, path: str, before: list[bool] | None) -> tuple[bool, list[bool]]:
        """MatchesUsingParentResults: what matched the folder above matches what is in it."""
        matched = False
        found = []
        for number, pattern in enumerate(self.patterns):
            hit = bool(before and before[number])
            if not hit and pattern.exclusion == matched:
                hit = pattern.matches(path)
            found.append(hit)
            if hit:
                matched = not pattern.exclusion
        return matched, found

    def may_hold(self, path: str) -> bool:
        """Whether the excluded folder ``path`` may have something in it that a "!" takes back."""
        if self.descend != _PREFIXES:
            return self.descend == _ALWAYS
        return any((one.place + "/").startswith(path + "/") for one in self.patterns if one.exclusion)

    def encoded(self, *, parents: bool = False) -> bytes:
        """For ext/src/files/match.h; ``parents``: what does not match is gone into to find what does."""
        parts = [struct.pack("=II", len(self.patterns), _PREFIXES if parents else self.descend)]
        for one in self.patterns:
            place = _before_wild(one.source) if parents else one.place if one.exclusion else None
            parts.append(struct.pack("=II", one.form, one.exclusion))
            parts.append(text_bytes(one.text))
            parts.append(states_bytes(one.states))
            parts.append(struct.pack("=I", place is not None) + text_bytes(place or ""))
        return b"".join(parts)


def _before_wild(source: str) -> str:
    """The folders that a pattern names before its first wildcard; "" where that is at once."""
    kept: list[str] = []
    for part in source.split("/"):
        if any(character in part for character in _WILD + "\\"):
            return "/".join(kept)
        kept.append(part)
    return "/".join(kept)


def _compiled(text: str) -> Pattern:
    exclusion = text.startswith("!")
    if text == "!":
        raise PodError('illegal exclusion pattern: "!"')
    text = text[1:] if exclusion else text
    if len(text) > MAX_PATTERN:
        raise PodError(f"a pattern of {len(text)} characters: {text[:60]!r}…")
    try:
        go.Pattern(text)
        return Pattern(text, exclusion=exclusion)
    except go.BadPattern as error:
        raise PodError(f"error checking pattern {text!r}: {error}") from None


def text_bytes(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("=I", len(raw)) + raw


def states_bytes(states: Sequence[State]) -> bytes:
    parts = [struct.pack("=I", len(states))]
    for kind, negated, ranges in states:
        parts.append(struct.pack("=III", kind, negated, len(ranges)))
        parts.extend(struct.pack("=II", *one) for one in ranges)
    return b"".join(parts)


def name_states(text: str) -> list[State]:
    """The states of a name as path.Match of Go's takes it. BadPattern."""
    found: list[State] = []
    for token in go.Pattern(text).tokens:
        if token == "":
            found.append((STAR, True, ((47, 47),)))
        elif isinstance(token, str):
            found.append((SET, False, ((_code(token), _code(token)),)))
        else:
            found.append((SET, token[0], tuple((_code(low), _code(high)) for low, high in token[1])))
    return found


# ---- from a pattern to a regular expression, as patternmatcher writes it


def _regular(source: str) -> tuple[int, str]:
    """(form, regular expression) of a cleaned pattern."""
    parts = []
    form = EXACT
    at = number = 0
    while at < len(source):
        character, following = source[at], source[at + 1 : at + 2]
        at += 1
        if character == "*" and following == "*":
            at += 1
            at += source[at : at + 1] == "/"
            if at < len(source):
                parts.append("(.*/)?")
                form = STATES
            elif form == EXACT:
                form = PREFIX
            else:
                parts.append(".*")
                form = STATES
            form = SUFFIX if number == 0 else form
        elif character == "*":
            parts.append("[^/]*")
            form = STATES
        elif character == "?":
            parts.append("[^/]")
            form = STATES
        elif character in ".+()|{}$":
            parts.append("\\" + character)
        elif character == "\\":
            parts.append("\\" + following)
            form = STATES if following else form
            at += len(following)
        else:
            parts.append(character)
            form = STATES if character in "[]" else form
        number += 1
    return form, "^" + "".join(parts) + "$"


# ---- from such an expression to states


class _Reader:
    """Go's syntax as far as :func:`_regular` can write it."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text[1:-1]
        self._at = 0

    def read(self) -> list[State]:
        found: list[State] = []
        while self._at < len(self._text):
            if self._text.startswith("(.*/)?", self._at):
                self._at += 6
                found += [(SPLIT, False, ()), (DIRS, False, ())]
            elif self._text.startswith(".*", self._at):
                self._at += 2
                found.append((STAR, True, ((10, 10),)))
            else:
                state = self._one()
                if state[0] == SET and self._text.startswith("*", self._at):
                    self._at += 1
                    state = (STAR, state[1], state[2])
                found.append(state)
        return found

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise go.BadPattern("error parsing regexp: it breaks off")
        self._at += 1
        return self._text[self._at - 1]

    def _one(self) -> State:
        character = self._next()
        if character == "^":
            return BEGIN, False, ()
        if character == "[":
            return self._class()
        if character != "\\":
            return SET, False, ((_code(character), _code(character)),)
        following = self._text[self._at : self._at + 1]
        if following in ("A", "z", "b", "B"):
            self._at += 1
            return {"A": BEGIN, "z": END, "b": WORD, "B": NOT_WORD}[following], False, ()
        if following in _PERL:
            self._at += 1
            return (SET, *_PERL[following])
        code = self._escaped()
        return SET, False, ((code, code),)

    def _escaped(self) -> int:
        """The code point that stands after a backslash."""
        character = self._next()
        if character in _CONTROL:
            return _CONTROL[character]
        if (character.isascii() and character.isalnum()) or not character.isascii():
            raise go.BadPattern(f"error parsing regexp: invalid escape sequence: `\\{character}`")
        return ord(character)

    def _class(self) -> State:
        negated = self._text.startswith("^", self._at)
        self._at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            ranges += self._posix() or self._perl() or [self._range()]
            first = False
        self._at += 1
        return SET, negated, tuple(ranges)

    def _range(self) -> tuple[int, int]:
        low = self._bound()
        if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
            self._at += 1
            high = self._bound()
            if high < low:
                raise go.BadPattern("error parsing regexp: invalid character class range")
            return low, high
        return low, low

    def _bound(self) -> int:
        character = self._next()
        return self._escaped() if character == "\\" else _code(character)

    def _posix(self) -> list[tuple[int, int]]:
        end = self._text.find(":]", self._at + 2)
        if not self._text.startswith("[:", self._at) or end < 0:
            return []
        name = self._text[self._at + 2 : end]
        self._at = end + 2
        negated = name.startswith("^")
        if name[negated:] not in _POSIX:
            raise go.BadPattern(f"error parsing regexp: invalid character class range: `[:{name}:]`")
        return _ranges(negated, _POSIX[name[negated:]])

    def _perl(self) -> list[tuple[int, int]]:
        if not self._text.startswith("\\", self._at) or self._text[self._at + 1 : self._at + 2] not in _PERL:
            return []
        self._at += 2
        return _ranges(*_PERL[self._text[self._at - 1]])


def _code(character: str) -> int:
    """A byte that is no UTF-8 is U+FFFD, as for Go."""
    code = ord(character)
    return 0xFFFD if 0xDC80 <= code <= 0xDCFF else code


def _ranges(negated: bool, ranges: Ranges) -> list[tuple[int, int]]:
    if not negated:
        return list(ranges)
    found = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    return [*found, (start, _LAST)]


# ---- states gone through


def run(states: Sequence[State], text: str) -> bool:
    """Whether the whole of ``text`` fits."""
    codes = [_code(character) for character in text]
    active = _closed(states, {0}, codes, 0)
    for at, code in enumerate(codes):
        reached: set[int] = set()
        for number in active:
            if number == len(states):
                continue
            kind, negated, ranges = states[number]
            if kind == DIRS:
                reached |= {number} if code != 10 else set()
                reached |= {number + 1} if code == 47 else set()
            elif kind in (SET, STAR) and any(low <= code <= high for low, high in ranges) != negated:
                reached.add(number + (kind == SET))
        active = _closed(states, reached, codes, at + 1)
        if not active:
            return False
    return len(states) in active


def _closed(states: Sequence[State], active: set[int], codes: Sequence[int], at: int) -> set[int]:
    """With the states that are reached without a character; all of them lie further on."""
    found = set(active)
    for number in range(min(found, default=0), len(states)):
        if number not in found:
            continue
        kind = states[number][0]
        if kind == STAR or (kind not in (SET, DIRS, SPLIT) and _holds(kind, codes, at)):
            found.add(number + 1)
        elif kind == SPLIT:
            found |= {number + 1, number + 2}
    return found


def _holds(kind: int, codes: Sequence[int], at: int) -> bool:
    if kind in (BEGIN, END):
        return at == (0 if kind == BEGIN else len(codes))
    before = at > 0 and _is_word(codes[at - 1])
    after = at < len(codes) and _is_word(codes[at])
    return (before != after) == (kind == WORD)


def _is_word(code: int) -> bool:
    return any(low <= code <= high for low, high in _WORDS)
