"""Go's constants as values (numbers, characters, strings) and the values that only templates know.

OpenMap     a map whose keys are the user's (labels, options): a missing one is "no value", never an error
NilMap      such a map that is nil: prints map[], json null
NilSlice    a list that is nil: prints [], json null
NIL         a nil pointer: prints <nil>, json null
None        an interface that holds nothing: prints <no value> by itself, <nil> inside others
WithMethods a map with functions of one text beside its members ({{.Label "key"}}); JSON does not show them
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    AnyDict = dict[str, Any]
    AnyList = list[Any]
else:
    AnyDict = dict
    AnyList = list


class OpenMap(AnyDict):
    """See the table above."""

    __slots__ = ()


class NilMap(OpenMap):
    """See the table above."""

    __slots__ = ()


class WithMethods(AnyDict):
    """See the table above. ``methods`` is set by who makes it."""

    __slots__ = ("methods",)
    methods: dict[str, Callable[[str], str]]


class NilSlice(AnyList):
    """See the table above."""

    __slots__ = ()


class _Nil:
    __slots__ = ()

    def __bool__(self) -> bool:
        return False


NIL = _Nil()

_MAPS = frozenset(
    (
        *("Annotations", "Attributes", "Data", "DriverOpts", "ExposedPorts", "Labels", "Networks", "Options"),
        *("PortBindings", "Ports", "StorageOpt", "Sysctls", "Tmpfs", "Volumes"),
    )
)
_SLICES = frozenset(
    (
        *("Aliases", "Args", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps"),
        *("BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd", "DNSNames"),
        *("DeviceCgroupRules", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint"),
        *("Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Layers", "Links", "MaskedPaths", "Mounts", "OnBuild"),
        *("ReadonlyPaths", "RepoDigests", "RepoTags", "SecondaryIPAddresses", "SecondaryIPv6Addresses"),
        *("SecurityOpt", "Shell", "Test", "Ulimits", "VolumesFrom", "Warnings"),
    )
)

MAX_NESTING = 64


def with_open_maps(document: Any, name: str = "", depth: int = 0) -> Any:
    """A document with the values of the table above where Docker's types have maps, slices and pointers."""
    if document is None:
        return NilMap() if name in _MAPS else NilSlice() if name in _SLICES else NIL
    if depth > MAX_NESTING:
        return document
    if isinstance(document, dict):
        items = {key: with_open_maps(value, key, depth + 1) for key, value in document.items()}
        return OpenMap(items) if name in _MAPS else items
    if isinstance(document, (list, tuple)):
        return [with_open_maps(item, "", depth + 1) for item in document]
    return document


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


def unquote(source: str) -> str:
    """The value of a Go string or character literal with its quotes. ValueError where it is not one."""
    mark, inner = source[0], source[1:-1]
    if mark == "`":
        return inner.replace("\r", "")
    data = bytearray()
    at = 0
    while at < len(inner):
        char = inner[at]
        if char != "\\":
            data += char.encode("utf-8", "surrogatepass")
            at += 1
            continue
        at = _escape(inner, at + 1, mark, data)
    return data.decode("utf-8", "surrogateescape")


def _escape(inner: str, at: int, mark: str, data: bytearray) -> int:
    """Appends what the escape after the backslash stands for; returns where it ends."""
    kind = inner[at : at + 1]
    if kind in ("x", "u", "U"):
        digits = inner[at + 1 : at + 1 + {"x": 2, "u": 4, "U": 8}[kind]]
        code = _digits(digits, {"x": 2, "u": 4, "U": 8}[kind], 16)
        at += 1 + len(digits)
    elif "0" <= kind <= "7":
        code = _digits(inner[at : at + 3], 3, 8)
        if code > 255:
            raise ValueError("invalid syntax")
        at += 3
        kind = "x"
    else:
        if kind not in _ESCAPES or (kind in "'\"" and kind != mark):
            raise ValueError("invalid syntax")
        data += _ESCAPES[kind].encode()
        return at + 1
    if kind == "x" and mark == '"':
        data.append(code)
    elif code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("invalid syntax")
    else:
        data += chr(code).encode()
    return at


def _digits(text: str, count: int, base: int) -> int:
    if len(text) != count or not text.isalnum() or not text.isascii():
        raise ValueError("invalid syntax")
    return int(text, base)


def number_of(kind: str, source: str) -> int | float | complex:
    """The value of a char, number or complex token, by Go's rules for constants without a type."""
    from pod.cli.template_format import quote

    if kind == "char":
        try:
            value = unquote(source)
        except ValueError:
            value = ""
        if len(value) != 1:
            raise ValueError(f"malformed character constant: {source}")
        return ord(value)
    try:
        if kind == "complex":
            cut = max(source.rfind("+"), source.rfind("-"))
            while source[cut - 1] in "eEpP":
                cut = max(source.rfind("+", 0, cut), source.rfind("-", 0, cut))
            return complex(_float(source[:cut]), _float(source[cut:-1]))
        if source.endswith("i"):
            return complex(0, _float(source[:-1]))
        return _real(source)
    except (ValueError, OverflowError) as error:
        if str(error).endswith("int"):
            raise
        raise ValueError(f"bad number syntax: {quote(source)}") from None


def _real(source: str) -> int | float:
    unsigned = source.lstrip("+-").lower()
    exponent = "p" if unsigned.startswith("0x") else "e"
    if "." in unsigned or exponent in unsigned:
        return _float(source)
    digits = unsigned
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_":
        digits = "0o" + digits[1:]
    if len(digits) > 100:
        raise ValueError("bad number")
    value = int(digits, 0)
    value = -value if source[0] == "-" else value
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{source} overflows int")
    return value


def _float(source: str) -> float:
    if len(source) > 100:
        raise ValueError("bad number")
    text = source.replace("_", "")
    return float.fromhex(text) if "x" in text.lower() else float(text)
