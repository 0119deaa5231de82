"""Tokens of Go's text/template: text, actions between {{ and }}, trim markers, comments.

Source: the package's documentation and the behaviour of its scanner; token names are ours.

    kind                  text
    text                  everything outside {{ }}
    left right            the delimiters
    bool char complex     true  'a'  1+2i
    number string raw     12 0x1f 1.5e3 2i   "…"   `…`
    field identifier      .Name   name
    variable dot nil      $ $x   .   nil
    keyword               if else end range with define template block break continue
    ( ) | , := = space    themselves; any other printable ASCII is a token of its own
    error eof             the message that ends everything
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"))

_SPACE = " \t\r\n"
_ENDS_WORD = " \t\r\n.,|:)("
_DIGITS = "0123456789_"


class Token:
    """One token; ``pos`` is its offset in characters, ``line`` counts from 1."""

    __slots__ = ("kind", "line", "pos", "text")

    def __init__(self, kind: str, pos: int, text: str, line: int) -> None:
        self.kind = kind
        self.pos = pos
        self.text = text
        self.line = line

    def __str__(self) -> str:
        """As Go's messages show a token."""
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind == "keyword" or self.text in (".", "nil"):
            return f"<{self.text}>"
        from pod.cli.template_format import quote

        return quote(self.text[:10]) + "..." if len(self.text) > 10 else quote(self.text)


class _Stop(Exception):
    """Carries the message of an error token."""


def rune(char: str) -> str:
    """A character as Go's %#U shows it: U+002B '+'."""
    if not char:
        return "U+FFFFFFFFFFFFFFFF"
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")


class Lexer:
    """Yields tokens; ends after "eof" or "error"."""

    __slots__ = ("depth", "line", "pos", "start", "start_line", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.start = 0
        self.line = 1
        self.start_line = 1
        self.depth = 0

    def tokens(self) -> Iterator[Token]:
        try:
            while True:
                yield from self._outside()
                if self.pos >= len(self.text):
                    yield Token("eof", self.pos, "", self.line)
                    return
                yield from self._action()
        except _Stop as stop:
            yield Token("error", self.start, str(stop), self.start_line)

    def _token(self, kind: str) -> Token:
        text = self.text[self.start : self.pos]
        token = Token(kind, self.start, text, self.start_line)
        self._skip()
        return token

    def _skip(self) -> None:
        self.line = self.start_line + self.text.count("\n", self.start, self.pos)
        self.start, self.start_line = self.pos, self.line

    def _peek(self, ahead: int = 0) -> str:
        return self.text[self.pos + ahead : self.pos + ahead + 1]

    def _outside(self) -> Iterator[Token]:
        """Text up to the next action that is not a comment, with what trim markers take away left out."""
        while True:
            found = self.text.find("{{", self.pos)
            self.pos = len(self.text) if found < 0 else found
            end = self.pos
            if found >= 0 and self._trims(found + 2):
                while end > self.start and self.text[end - 1] in _SPACE:
                    end -= 1
            if end > self.start:
                yield Token("text", self.start, self.text[self.start : end], self.start_line)
            self._skip()
            if found < 0 or not self._comment():
                return

    def _trims(self, at: int) -> bool:
        """Whether a left delimiter that ends at ``at`` is followed by "- "."""
        return self.text[at : at + 1] == "-" and self.text[at + 1 : at + 2] in tuple(_SPACE)

    def _comment(self) -> bool:
        """Passes over a comment at the left delimiter here, if it is one."""
        at = self.pos + 2
        if self._trims(at):
            at += 2
        if not self.text.startswith("/*", at):
            return False
        end = self.text.find("*/", at)
        if end < 0:
            raise _Stop("unclosed comment")
        self.pos = end + 2
        trim, length = self._at_right()
        if not length:
            raise _Stop("comment ends before closing delimiter")
        self._close(trim, length)
        return True

    def _at_right(self) -> tuple[bool, int]:
        """Whether a right delimiter is here: (does it trim, its length with the marker; 0 where there is none)."""
        if self.text.startswith("}}", self.pos):
            return False, 2
        if self._peek() in tuple(_SPACE) and self.text.startswith("-}}", self.pos + 1):
            return True, 4
        return False, 0

    def _close(self, trim: bool, length: int) -> None:
        self.pos += length
        if trim:
            while self.pos < len(self.text) and self.text[self.pos] in _SPACE:
                self.pos += 1
        self._skip()

    def _action(self) -> Iterator[Token]:
        self.pos += 4 if self._trims(self.pos + 2) else 2
        yield Token("left", self.start, "{{", self.start_line)
        self._skip()
        self.depth = 0
        while True:
            trim, length = self._at_right()
            if length:
                if self.depth:
                    raise _Stop("unclosed left paren")
                yield Token("right", self.start, "}}", self.start_line)
                self._close(trim, length)
                return
            yield self._inside()

    def _inside(self) -> Token:
        char = self._peek()
        if not char:
            raise _Stop("unclosed action")
        following = self._peek(1)
        if char in _SPACE:
            return self._spaces()
        if char in "\"`'":
            return self._quoted(char)
        if char == "$" or (char == "." and not ("0" <= following <= "9")):
            return self._name(char)
        if char in "+-." or "0" <= char <= "9":
            return self._number()
        if char == "_" or char.isalpha() or char.isdigit():
            return self._word()
        return self._sign(char, following)

    def _sign(self, char: str, following: str) -> Token:
        self.pos += 1
        if char == ":":
            if following != "=":
                raise _Stop("expected :=")
            self.pos += 1
            return self._token(":=")
        if char == "(":
            self.depth += 1
        elif char == ")":
            self.depth -= 1
            if self.depth < 0:
                raise _Stop("unexpected right paren")
        elif not " " < char <= "~":
            raise _Stop(f"unrecognized character in action: {rune(char)}")
        return self._token(char)

    def _spaces(self) -> Token:
        while self._peek() and self._peek() in _SPACE and not self._at_right()[1]:
            self.pos += 1
        return self._token("space")

    def _quoted(self, mark: str) -> Token:
        kind, name = {
            '"': ("string", "quoted string"),
            "`": ("raw", "raw quoted string"),
            "'": ("char", "character constant"),
        }[mark]
        self.pos += 1
        while True:
            char = self._peek()
            if char == "\\" and mark != "`":
                self.pos += 1
                char = self._peek()
                self.pos += 1
                if char and char != "\n":
                    continue
                raise _Stop(f"unterminated {name}")
            if not char or (char == "\n" and mark != "`"):
                raise _Stop(f"unterminated {name}")
            self.pos += 1
            if char == mark:
                return self._token(kind)

    def _alphanumeric(self) -> None:
        while True:
            char = self._peek()
            if not (char == "_" or char.isalpha() or char.isdigit()):
                return
            self.pos += 1

    def _ended(self) -> None:
        """A name must be followed by something that ends it: "$x+2" is not accepted."""
        char = self._peek()
        if char and char not in _ENDS_WORD and char != "}":
            raise _Stop(f"bad character {rune(char)}")

    def _name(self, mark: str) -> Token:
        self.pos += 1
        self._alphanumeric()
        self._ended()
        if self.pos - self.start == 1 and mark == ".":
            return self._token("dot")
        return self._token("variable" if mark == "$" else "field")

    def _word(self) -> Token:
        self._alphanumeric()
        self._ended()
        word = self.text[self.start : self.pos]
        if word in KEYWORDS:
            return self._token("keyword")
        if word in ("true", "false"):
            return self._token("bool")
        return self._token("nil" if word == "nil" else "identifier")

    def _number(self) -> Token:
        good = self._scan_number()
        if good and self._peek() and self._peek() in "+-":
            good = self._scan_number() and self.text[self.pos - 1] == "i"
            if good:
                return self._token("complex")
        if not good:
            from pod.cli.template_format import quote

            raise _Stop(f"bad number syntax: {quote(self.text[self.start : self.pos])}")
        return self._token("number")

    def _accept(self, valid: str, *, run: bool = False) -> bool:
        begin = self.pos
        while self._peek() and self._peek() in valid:
            self.pos += 1
            if not run:
                break
        return self.pos > begin

    def _scan_number(self) -> bool:
        """Passes over something like a number; what it is worth is decided by the parser."""
        self._accept("+-")
        digits, exponent = _DIGITS, "eE"
        if self._accept("0"):
            if self._accept("xX"):
                digits, exponent = _DIGITS + "abcdefABCDEF", "pP"
            elif self._accept("oO"):
                digits = "01234567_"
            elif self._accept("bB"):
                digits = "01_"
        self._accept(digits, run=True)
        if self._accept("."):
            self._accept(digits, run=True)
        if self._accept(exponent):
            self._accept("+-")
            self._accept(_DIGITS, run=True)
        self._accept("i")
        char = self._peek()
        if char == "_" or char.isalpha() or char.isdigit():
            self.pos += 1
            return False
        return True
