"""Go's fmt for the values that templates have: print, println, printf with every verb, flag, width and precision.

    Go                        here
    bool, string              bool, str
    int, float64, complex128  int, float, complex
    []interface {}            list (NilSlice: nil)
    map[string]interface {}   dict (NilMap: nil), always shown sorted by key
    *T(nil)                   NIL
    interface {}(nil)         None

Source: the documentation of Go's fmt and strconv packages. Sizes are bounded by MAX_OUTPUT; widths by Go's own million.
"""

from __future__ import annotations

from pod.cli.template_values import NIL, NilMap, NilSlice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MAX_OUTPUT = 16 << 20
"""Characters of any one text."""

MAX_WIDTH = 1000000
"""Of a width or precision, as in Go."""

MAX_NESTING = 100


class TooLong(Exception):
    """A text would be longer than MAX_OUTPUT."""


_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def quote(text: str, *, mark: str = '"', ascii_only: bool = False) -> str:
    """A Go literal: "a\\tb", with \\x, \\u and \\U for what does not print."""
    parts = [mark]
    for char in text:
        code = ord(char)
        if char == mark:
            parts.append("\\" + char)
        elif char in _NAMED:
            parts.append(_NAMED[char])
        elif 0xDC80 <= code <= 0xDCFF:
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif char.isprintable() and (code < 0x80 or not ascii_only):
            parts.append(char)
        elif code < 0x80:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return "".join(parts) + mark


def type_name(value: Any) -> str:
    """The name of the Go type that holds ``value``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((int, "int"), (str, "string"), (float, "float64"), (complex, "complex128")):
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return "[]string" if value and all(isinstance(item, str) for item in value) else "[]interface {}"
    if isinstance(value, dict):
        texts = value and all(isinstance(item, str) for item in value.values())
        return "map[string]string" if texts else "map[string]interface {}"
    return "*interface {}"


def sprint(args: Sequence[Any]) -> str:
    """fmt.Sprint: spaces between neighbours of which neither is a string."""
    parts: list[str] = []
    for number, arg in enumerate(args):
        if number and not isinstance(arg, str) and not isinstance(args[number - 1], str):
            parts.append(" ")
        parts.append(show(arg))
    return "".join(parts)


def sprintln(args: Sequence[Any]) -> str:
    """fmt.Sprintln: spaces between all, a newline at the end."""
    return " ".join(show(arg) for arg in args) + "\n"


def show(value: Any) -> str:
    """%v of a value."""
    if isinstance(value, str):
        return value
    spec = _Spec()
    spec.verb = "v"
    return _format(spec, value, 0)


def sprintf(text: str, args: Sequence[Any]) -> str:
    """fmt.Sprintf. Mistakes are shown in the text, as Go does (%!d(string=x), %!v(MISSING), %!(EXTRA …))."""
    return _Printf(text, args).run()


class _Spec:
    """One directive: flags, width, precision, verb."""

    __slots__ = ("minus", "plus", "precision", "sharp", "space", "syntax", "verb", "width", "zero")

    def __init__(self) -> None:
        self.minus = self.plus = self.sharp = self.space = self.syntax = self.zero = False
        self.width: int | None = None
        self.precision: int | None = None
        self.verb = ""

    def pad(self, text: str) -> str:
        if self.width is None or len(text) >= self.width:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")


class _Printf:
    """Walks a format once."""

    __slots__ = ("args", "at", "good_index", "length", "number", "out", "reordered", "text")

    def __init__(self, text: str, args: Sequence[Any]) -> None:
        self.text = text
        self.args = args
        self.at = 0
        self.number = 0
        self.reordered = False
        self.good_index = True
        self.out: list[str] = []
        self.length = 0

    def emit(self, text: str) -> None:
        self.out.append(text)
        self.length += len(text)
        if self.length > MAX_OUTPUT:
            raise TooLong

    def run(self) -> str:
        was_reordered = False
        while self.at < len(self.text):
            percent = self.text.find("%", self.at)
            end = len(self.text) if percent < 0 else percent
            if end > self.at:
                self.emit(self.text[self.at : end])
            self.at = end + 1
            if percent >= 0:
                self.reordered = False
                self.good_index = True
                self.directive()
                was_reordered = was_reordered or self.reordered
        if not was_reordered and self.number < len(self.args):
            extra = ", ".join(
                "<nil>" if arg is None else f"{type_name(arg)}={show(arg)}" for arg in self.args[self.number :]
            )
            self.emit(f"%!(EXTRA {extra})")
        return "".join(self.out)

    def directive(self) -> None:
        spec = _Spec()
        while self.at < len(self.text) and self.text[self.at] in "+-# 0":
            flag = self.text[self.at]
            self.at += 1
            spec.minus = spec.minus or flag == "-"
            spec.plus = spec.plus or flag == "+"
            spec.sharp = spec.sharp or flag == "#"
            spec.space = spec.space or flag == " "
            spec.zero = spec.zero or flag == "0"
        indexed = self.index()
        spec.width, indexed = self.size(spec, indexed, "WIDTH")
        if self.text[self.at : self.at + 1] == ".":
            self.at += 1
            if indexed:
                self.good_index = False
            indexed = self.index()
            starred = self.text[self.at : self.at + 1] == "*"
            spec.precision, indexed = self.size(spec, indexed, "PREC")
            if spec.precision is None and not starred:
                spec.precision = 0
        if not indexed:
            self.index()
        spec.zero = spec.zero and not spec.minus
        self.verb(spec)

    def verb(self, spec: _Spec) -> None:
        if self.at >= len(self.text):
            self.emit("%!(NOVERB)")
            return
        spec.verb = self.text[self.at]
        self.at += 1
        if spec.verb == "%":
            self.emit("%")
        elif not self.good_index:
            self.emit(f"%!{spec.verb}(BADINDEX)")
        elif self.number >= len(self.args):
            self.emit(f"%!{spec.verb}(MISSING)")
        else:
            value = self.args[self.number]
            self.number += 1
            if spec.verb == "v":  # %#v is Go's syntax; %+v is for structs, which we do not have
                spec.syntax, spec.sharp, spec.plus = spec.sharp, False, False
            self.emit(_format(spec, value, 0))

    def index(self) -> bool:
        """An argument index "[3]"; whether there was one."""
        if self.text[self.at : self.at + 1] != "[":
            return False
        self.reordered = True
        end = self.text.find("]", self.at)
        if end < 0:
            self.good_index = False
            self.at += 1
            return False
        digits = self.text[self.at + 1 : end]
        self.at = end + 1
        if digits.isascii() and digits.isdigit() and len(digits) < 8 and 1 <= int(digits) <= len(self.args):
            self.number = int(digits) - 1
            return True
        self.good_index = False
        return True

    def size(self, spec: _Spec, indexed: bool, what: str) -> tuple[int | None, bool]:
        """A width or a precision: digits, or "*" for the next argument."""
        if self.text[self.at : self.at + 1] == "*":
            self.at += 1
            return self.star(spec, what), False
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1
        if begin == self.at:
            return None, indexed
        if indexed:
            self.good_index = False
        digits = self.text[begin : self.at]
        if len(digits) > 7 or int(digits) > MAX_WIDTH:
            self.at = len(self.text)  # Go reads on at the end, too: %!(NOVERB)
            return None, indexed
        return int(digits), indexed

    def star(self, spec: _Spec, what: str) -> int | None:
        value = self.args[self.number] if self.number < len(self.args) else None
        self.number += self.number < len(self.args)
        good = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WIDTH
        if not good or (what == "PREC" and isinstance(value, int) and value < 0):
            self.emit(f"%!(BAD{what})")
            return None
        size = int(value or 0)
        if size < 0:
            spec.minus, spec.zero = True, False
            size = -size
        return size


def _format(spec: _Spec, value: Any, depth: int) -> str:
    if depth > MAX_NESTING:
        return "..."
    if spec.verb == "T":
        return _padded_text(spec, type_name(value))
    if value is None or value is NIL:
        return _nil(spec, value, depth)
    if isinstance(value, bool):
        return spec.pad("true" if value else "false") if spec.verb in "tv" else _bad(spec, value)
    if isinstance(value, int):
        return _integer(spec, value)
    if isinstance(value, float):
        return _float(spec, value) if spec.verb in "vbgGxXfFeE" else _bad(spec, value)
    if isinstance(value, complex):
        return _complex(spec, value)
    if isinstance(value, str):
        return _string(spec, value)
    if isinstance(value, dict):
        return _map(spec, value, depth)
    return _list(spec, value, depth)


def _nil(spec: _Spec, value: Any, depth: int) -> str:
    if spec.syntax:
        return spec.pad("(*interface {})(nil)" if value is NIL else "interface {}(nil)" if depth else "<nil>")
    if depth:
        return "<nil>"
    if spec.verb == "v":
        return spec.pad("<nil>")
    if value is NIL:
        return f"%!{spec.verb}(*interface {{}}=<nil>)"
    return f"%!{spec.verb}(<nil>)"


def _bad(spec: _Spec, value: Any) -> str:
    """A verb that does not fit; the value is shown by %v with the same flags."""
    verb, spec.verb = spec.verb, "v"
    text = f"%!{verb}({type_name(value)}={_format(spec, value, 0)})"
    spec.verb = verb
    return text


def _padded_text(spec: _Spec, text: str) -> str:
    if spec.precision is not None:
        text = text[: spec.precision]
    return spec.pad(text)


def _integer(spec: _Spec, value: int) -> str:
    verb = spec.verb
    if verb in "vd":
        return _digits(spec, value, "d", "")
    if verb in "boOxX":
        prefix = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}[verb]
        return _digits(spec, value, verb.replace("O", "o"), prefix if spec.sharp or verb == "O" else "")
    if verb not in "cqU":
        return _bad(spec, value)
    char = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
    if verb == "c":
        return spec.pad(char)
    if verb == "q":
        return spec.pad(quote(char, mark="'", ascii_only=spec.plus))
    text = f"U+{value & (1 << 64) - 1:0{max(spec.precision or 0, 4)}X}"
    if spec.sharp and 0 <= value <= 0x10FFFF and char.isprintable():
        text += f" '{char}'"
    spec.zero = False
    return spec.pad(text)


def _digits(spec: _Spec, value: int, base: str, prefix: str) -> str:
    text = format(abs(value), base)
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    if spec.precision is not None:
        text = "" if spec.precision == 0 and value == 0 else text.rjust(spec.precision, "0")
        if not text:
            return " " * (spec.width or 0)
    elif spec.zero and spec.width is not None:
        text = text.rjust(spec.width - len(sign), "0")
    if prefix == "0" and text.startswith("0"):
        prefix = ""
    zero, spec.zero = spec.zero, False
    text = spec.pad(sign + prefix + text)
    spec.zero = zero
    return text


def _float(spec: _Spec, value: float) -> str:
    text = float_text(value, "g" if spec.verb == "v" else spec.verb, spec.precision, sharp=spec.sharp)
    if text[0] not in "+-":
        text = ("+" if spec.plus or "Inf" in text else " " if spec.space else "") + text
        if "Inf" in text and not spec.plus:
            text = "+Inf"
    zero = spec.zero
    if zero and spec.width is not None and text[-1] not in "fN" and text[0] in "+- ":
        return text[0] + text[1:].rjust(spec.width - 1, "0")
    spec.zero = zero and text[-1] not in "fN"
    text = spec.pad(text)
    spec.zero = zero
    return text


def float_text(value: float, verb: str, precision: int | None, *, sharp: bool = False) -> str:
    """strconv.FormatFloat: verbs e E f F g G b x X; ``precision`` None: %g the shortest that reads back, others 6."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if verb in "bxX":
        return _hex_float(value, verb)
    if verb in "gG" and precision is None:
        return _with_point(_shortest(value, verb)) if sharp else _shortest(value, verb)
    return format(value, f"{'#' if sharp else ''}.{6 if precision is None else precision}{verb}")


def _shortest(value: float, verb: str) -> str:
    """%g with the fewest digits that read back; with an exponent below -4 and from 6 on."""
    sign = "-" if repr(value).startswith("-") else ""
    digits, power = _decimal(repr(abs(value)))
    if -4 <= power < 6:
        if power < 0:
            return sign + "0." + "0" * (-power - 1) + digits
        whole = digits[: power + 1].ljust(power + 1, "0")
        return sign + whole + ("." + digits[power + 1 :] if len(digits) > power + 1 else "")
    text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{text}{'E' if verb == 'G' else 'e'}{'-' if power < 0 else '+'}{abs(power):02d}"


def _with_point(text: str) -> str:
    """%#g: a point in any case, and zeros up to six digits."""
    mantissa, mark, power = text.lower().partition("e")
    digits = len(mantissa.lstrip("-0.").replace(".", ""))
    if "." not in mantissa:
        mantissa += "."
    return mantissa + "0" * (6 - max(digits, 1)) + (mark and text[-len(power) - 1]) + power


def _decimal(text: str) -> tuple[str, int]:
    """The digits of repr(float) without zeros around them, and the power of ten of the first."""
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    power = len(whole) - 1 + int(exponent or 0)
    stripped = digits.lstrip("0")
    if not stripped:
        return "0", 0
    return stripped.rstrip("0"), power - (len(digits) - len(stripped))


def _hex_float(value: float, verb: str) -> str:
    """%x is 0x1.8p+01, %b is 4503599627370496p-52."""
    if verb == "b":
        from math import frexp

        fraction, power = frexp(value)
        return f"{int(fraction * (1 << 53))}p{power - 53:+d}"
    mantissa, _, power_text = value.hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    mantissa = mantissa + "0" if mantissa.endswith("x") else mantissa
    text = f"{mantissa}p{power_text[0]}{power_text[1:].rjust(2, '0')}"
    return text.upper() if verb == "X" else text


def _complex(spec: _Spec, value: complex) -> str:
    if spec.verb not in "vbgGxXfFeE":
        return _bad(spec, value)
    real = _float(spec, value.real)
    plus, spec.plus = spec.plus, True
    imaginary = _float(spec, value.imag)
    spec.plus = plus
    return f"({real}{imaginary}i)"


def _string(spec: _Spec, value: str) -> str:
    verb = spec.verb
    if spec.syntax:
        return spec.pad(quote(value))
    if verb in "vs":
        return _padded_text(spec, value)
    if verb == "q":
        if spec.precision is not None:
            value = value[: spec.precision]
        if spec.sharp and "`" not in value and value.replace("\t", "").isprintable():
            return spec.pad(f"`{value}`")
        return spec.pad(quote(value, ascii_only=spec.plus))
    if verb in "xX":
        data = value.encode("utf-8", "surrogateescape")[: spec.precision]
        prefix = "0x" if spec.sharp and data else ""
        text = prefix + data.hex(" ").replace(" ", " " + prefix) if spec.space and data else prefix + data.hex()
        return spec.pad(text.upper() if verb == "X" else text)
    return _bad(spec, value)


def _map(spec: _Spec, value: dict[str, Any], depth: int) -> str:
    return _collection(spec, value, [(key, value[key]) for key in sorted(value)], depth)


def _list(spec: _Spec, value: list[Any], depth: int) -> str:
    return _collection(spec, value, [(None, item) for item in value], depth)


def _collection(spec: _Spec, value: Any, items: list[tuple[str | None, Any]], depth: int) -> str:
    """[a b], map[k:v k:v]; with %#v Go's own syntax. The directive goes to each element."""
    syntax = spec.syntax
    if syntax and isinstance(value, (NilMap, NilSlice)):
        return f"{type_name(value)}(nil)"
    parts = []
    length = 0
    for key, item in items:
        text = _format(spec, item, depth + 1)
        if key is not None:
            text = _format(spec, key, depth + 1) + ":" + text
        parts.append(text)
        length += len(text)
        if length > MAX_OUTPUT:
            raise TooLong
    if syntax:
        return f"{type_name(value)}{{{', '.join(parts)}}}"
    return ("map[" if isinstance(value, dict) else "[") + " ".join(parts) + "]"


def join_text(parts: Sequence[Any], separator: str, convert: Callable[[Any], str]) -> str:
    """``parts`` joined, within MAX_OUTPUT."""
    texts = [convert(part) for part in parts]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_OUTPUT:
        raise TooLong
    return separator.join(texts)
