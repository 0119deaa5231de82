"""Files of variables: ``.env``, ``--env-file``, ``env_file``, ``label_file``, in Docker's dialect."""

from __future__ import annotations

from pod.core.compose.template import Template, TemplateError
from pod.core.errors import ComposeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.template import Lookup, Note

_BLANK = "\t\v\f\r \x85\xa0"
_SPACE = "\n" + _BLANK + "".join(map(chr, (0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)))
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def parse(text: str, file: str, lookup: Lookup, unset: Note | None = None) -> dict[str, str]:
    """Variables of one file; a value may name those before it, and what ``lookup`` knows counts more."""
    return _Reader(text, file, lookup, unset).run()


def raw(text: str, file: str) -> dict[str, str]:
    """``format: raw``: every line is ``NAME=VALUE`` and nothing in it is replaced."""
    out = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.lstrip(_SPACE)
        if not bare or bare[0] == "#":
            continue
        name, mark, value = bare.partition("=")
        if not mark or not name.strip(_SPACE):
            raise ComposeError("expected NAME=VALUE", file=file, line=number)
        out[name.strip(_SPACE)] = value
    return out


class _Reader:
    def __init__(self, text: str, file: str, lookup: Lookup, unset: Note | None) -> None:
        self.text, self.file, self.at = text.removeprefix("\ufeff"), file, 0
        self.found: dict[str, str] = {}
        self.lookup = lookup
        self.template = Template(self.known, unset)

    def known(self, name: str) -> str | None:
        value = self.lookup(name)
        return self.found.get(name) if value is None else value

    def fail(self, message: str) -> ComposeError:
        return ComposeError(message, file=self.file, line=self.text.count("\n", 0, self.at) + 1)

    def run(self) -> dict[str, str]:
        while self.skip():
            name, inherited = self.name()
            if not inherited:
                self.found[name] = self.value()
            else:
                value = self.lookup(name)
                if value is not None:
                    self.found[name] = value
        return self.found

    def skip(self) -> bool:
        """To the next statement; False at the end."""
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif char not in _SPACE:
                return True
            else:
                self.at += 1
        return False

    def name(self) -> tuple[str, bool]:
        """A variable's name, and whether its value is taken from outside."""
        text, start = self.text, self.at
        if text.startswith("export", start) and text[start + 6 : start + 7] in tuple(_SPACE) and start + 6 < len(text):
            start += 6
            while start < len(text) and text[start] in _BLANK:
                start += 1
        end = start
        while end < len(text) and text[end] not in "=:\n":
            char = text[end]
            if char not in _BLANK and char not in "_.-[]" and not char.isalpha() and not char.isnumeric():
                raise self.fail(f"unexpected character {char!r} in a variable's name")
            end += 1
        mark = text[end : end + 1]
        name = text[start:end].rstrip(_SPACE)
        if " " in name:
            raise self.fail("a variable's name cannot contain a space")
        if not name and not mark:
            raise self.fail("expected NAME=VALUE")
        self.at = end + 1
        while self.at < len(text) and text[self.at] in _BLANK and mark != "\n":
            self.at += 1
        return name, mark in ("\n", "")

    def value(self) -> str:
        text = self.text
        quote = text[self.at : self.at + 1]
        if quote in ("'", '"') and quote:
            return self.quoted(quote)
        end = text.find("\n", self.at)
        end = len(text) if end < 0 else end
        value = text[self.at : end].partition(" #")[0].rstrip(_SPACE)
        found = self.replaced(value)
        self.at = min(end + 1, len(text))
        return found

    def quoted(self, quote: str) -> str:
        text, at = self.text, self.at + 1
        out: list[str] = []
        while at < len(text) and text[at] != quote:
            if text[at] == "\\" and at + 1 < len(text):
                out.append(text[at + 1] if text[at + 1] == quote else text[at : at + 2])
                at += 1
            else:
                out.append(text[at])
            at += 1
        if at >= len(text):
            raise self.fail("a quoted value does not end")
        value = "".join(out)
        found = self.replaced(_unescaped(value)) if quote == '"' else value
        self.at = at + 1
        return found

    def replaced(self, value: str) -> str:
        try:
            return self.template.substitute(value)
        except TemplateError as error:
            raise self.fail(str(error)) from None


def _unescaped(value: str) -> str:
    """Escapes of a shell; an escaped dollar sign becomes two, which a template makes one."""
    import re

    def one(found: re.Match[str]) -> str:
        what = found[1]
        if what == "$":
            return "$$"
        if what[0] != "0":
            return _ESCAPES.get(what, found[0])
        if len(what) != 4:
            return found[0]
        code = int(what[1:], 8) if what[1:].isdigit() and not set("89") & set(what) else 256
        return chr(code) if code < 256 else found[0]

    return re.sub(r'\\([abcfnrtv$"\\]|0\d{0,3})', one, value)
