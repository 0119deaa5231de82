"""Go's path.Match, by which Docker compares names with ``--filter reference=``.

    *  any characters but "/"    ?  any one but "/"    [a-z] [^a-z]  one of a class    \\c  the character itself

Source: pkg.go.dev/path#Match, github.com/distribution/reference FamiliarMatch (behaviour).
"""

from __future__ import annotations

from pod.core.oci.reference import DEFAULT_DOMAIN, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Class = tuple[bool, tuple[tuple[str, str], ...]]
    """Whether negated, and the ranges."""
    Token = Union[str, Class]

_STAR = ""
"""The token of ``*``; others are a character or a class."""
_ANY: tuple[bool, tuple[tuple[str, str], ...]] = (True, (("/", "/"),))
"""The token of ``?``."""


class BadPattern(ValueError):
    """Go's ErrBadPattern."""


class Pattern:
    """A pattern, read once. Matching takes at most (length of the text) x (length of the pattern) steps."""

    __slots__ = ("_text", "tokens")

    def __init__(self, text: str) -> None:
        self._text = text
        self.tokens = _read(text)

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` fits."""
        tokens = self.tokens
        at = token = 0
        star, resume = -1, 0
        while at < len(text):
            if token < len(tokens) and tokens[token] != _STAR and _fits(tokens[token], text[at]):
                at, token = at + 1, token + 1
            elif token < len(tokens) and tokens[token] == _STAR:
                star, resume = token, at
                token += 1
            elif star >= 0 and text[resume] != "/":
                resume += 1
                at, token = resume, star + 1
            else:
                return False
        return all(left == _STAR for left in tokens[token:])

    def matches_name(self, name: Reference) -> bool:
        """Docker's FamiliarMatch: the name as people write it, with and without its tag or digest.

        A pattern that begins with the default registry means names written in full.
        """
        if self.matches(name.familiar()) or self.matches(name.familiar_name):
            return True
        full = self._text.startswith(DEFAULT_DOMAIN + "/")
        return full and (self.matches(name.canonical()) or self.matches(name.name))


def _fits(token: Token, character: str) -> bool:
    if isinstance(token, str):
        return token == character
    negated, ranges = token
    return any(low <= character <= high for low, high in ranges) != negated


def _read(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "*":
            if not tokens or tokens[-1] != _STAR:
                tokens.append(_STAR)
            at += 1
        elif character == "?":
            tokens.append(_ANY)
            at += 1
        elif character == "[":
            found, at = _read_class(text, at + 1)
            tokens.append(found)
        else:
            literal, at = _read_literal(text, at) if character == "\\" else (character, at + 1)
            tokens.append(literal)
    return tokens


def _read_class(text: str, at: int) -> tuple[Class, int]:
    """The class that begins after its bracket, and where it ends. It has one range at least."""
    negated = text[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and text[at : at + 1] == "]"):
        low, at = _read_bound(text, at)
        high = low
        if text[at : at + 1] == "-":
            high, at = _read_bound(text, at + 1)
        ranges.append((low, high))
    return (negated, tuple(ranges)), at + 1


def _read_bound(text: str, at: int) -> tuple[str, int]:
    character = text[at : at + 1]
    if character in ("", "-", "]"):
        raise BadPattern("syntax error in pattern")
    return _read_literal(text, at) if character == "\\" else (character, at + 1)


def _read_literal(text: str, at: int) -> tuple[str, int]:
    """What a backslash at ``at`` makes of the next character."""
    if at + 1 >= len(text):
        raise BadPattern("syntax error in pattern")
    return text[at + 1], at + 2
