"""Short forms of services' keys made long: ports, volumes, devices, hosts, words of a command: pure.

What cannot be read is a ValueError that says what was expected.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOLS = ("tcp", "udp", "sctp")
PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_KINDS = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
_MOST_DIGITS = 5


def kind(value: Any) -> str:
    """What a value is, for people."""
    return "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)


def ports(spec: str) -> list[dict[str, Any]]:
    """``[[IP:]HOST:]CONTAINER[/PROTOCOL]``, ranges too: one long form for each port, in the order of Docker's texts."""
    head, _, container = spec.rpartition(":")
    address, _, host = head.rpartition(":")
    container, _, protocol = container.partition("/")
    protocol = protocol.partition("/")[0].lower() or "tcp"
    if not container:
        raise ValueError(f"no port in {spec!r}: expected [[IP:]HOST:]CONTAINER[/PROTOCOL]")
    ip = _address(address)
    first, last = _range(container, "container")
    host_first, host_last = _range(host, "host") if host else (0, 0)
    if host and last - first != host_last - host_first and last != first:
        raise ValueError(f"the ranges of ports {container} and {host} differ in length")
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}: expected tcp, udp or sctp")
    out: list[dict[str, Any]] = []
    for index in range(last - first + 1):
        found: dict[str, Any] = {"mode": "ingress"}
        if ip:
            found["host_ip"] = ip
        found["target"] = first + index
        if host:
            found["published"] = str(host_first + index)
            if first == last and host_first != host_last:
                found["published"] += f"-{host_last}"
        found["protocol"] = protocol
        out.append(found)
    return sorted(out, key=lambda port: f"{port['target']}/{protocol}")


def _address(text: str) -> str:
    """An address without its brackets."""
    bracketed = text[:1] == "[" and text[-1:] == "]"
    bare = text[1:-1] if bracketed else text
    if not bare and not bracketed:
        return ""
    import ipaddress

    try:
        ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        raise ValueError(f"{text!r} is no IP address") from None
    if ":" in bare and not bracketed:
        raise ValueError(f"{text!r}: an IPv6 address needs brackets")
    return bare


def _range(text: str, which: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    last = last.partition("-")[0] if dash else first
    if not all(one.isascii() and one.isdigit() and int(one[:_MOST_DIGITS]) < 65536 for one in (first, last)) or (
        max(len(first), len(last)) > _MOST_DIGITS
    ):
        raise ValueError(f"{text!r} is no {which} port or range of ports")
    if int(last) < int(first):
        raise ValueError(f"the range of {which} ports {text!r} ends before it begins")
    return int(first), int(last)


def volume(spec: str) -> dict[str, Any]:
    """``[SOURCE:]TARGET[:OPTIONS]``."""
    if not spec:
        raise ValueError("a volume is an empty text: expected [SOURCE:]TARGET[:OPTIONS]")
    if len(spec) <= 2:
        return {"type": "volume", "target": spec}
    parts: list[str] = []
    for part in spec.split(":"):
        if parts and len(parts[-1]) == 1 and parts[-1].isalpha():  # a drive of Windows
            parts[-1] += ":" + part
        else:
            parts.append(part)
    if "" in parts:
        raise ValueError(f"invalid spec: {spec}: empty section between colons")
    if len(parts) > 3:
        raise ValueError(f"invalid spec: {spec}: too many colons")
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    bind, named = _options(parts[2].split(",") if len(parts) > 2 else [])
    found: dict[str, Any] = {"type": "bind" if is_path(source) else "volume"}
    if source:
        found["source"] = source
    found["target"] = target
    if len(parts) > 2 and [one for one in parts[2].split(",") if one in ("ro", "rw")][-1:] == ["ro"]:
        found["read_only"] = True
    places = {"bind": bind, "volume": named}
    places[found["type"]].update({"create_host_path": True} if found["type"] == "bind" else {})
    return {**found, **{key: place for key, place in places.items() if place or key == found["type"]}}


def _options(options: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    bind: dict[str, Any] = {}
    for option in options:
        if option in ("z", "Z"):
            bind["selinux"] = option
        elif option in PROPAGATIONS:
            bind["propagation"] = option
    return bind, {"nocopy": True} if "nocopy" in options else {}


def is_path(source: str) -> bool:
    """Whether a source is a place of the host, and no volume's name."""
    return (source[:1] in (".", "/", "~") and source != "") or source.startswith("\\\\") or (
        len(source) > 1 and source[0].isalpha() and source[1] == ":"
    )  # fmt: skip


def device(spec: str) -> dict[str, Any]:
    """``SOURCE[:TARGET[:PERMISSIONS]]``."""
    parts = spec.split(":")
    if len(parts) > 3:
        raise ValueError(f"confusing device mapping, please use long syntax: {spec}")
    source, target, permissions = [*parts, "", ""][:3]
    return {"source": source, "target": target or source, "permissions": permissions if len(parts) == 3 else "rwm"}


def hosts(value: Any) -> list[str]:
    """extra_hosts of either form as ``NAME=ADDRESS``, sorted."""
    found: dict[str, list[str]] = {}
    if isinstance(value, dict):
        for name, addresses in value.items():
            found[name] = [_text(one) for one in (addresses if isinstance(addresses, list) else [addresses])]
    elif isinstance(value, list):
        for item in map(_text, value):
            name, mark, addresses = item.partition("=" if "=" in item else ":")
            if not mark:
                raise ValueError(f"invalid additional host, missing IP: {item}")
            found.setdefault(name, []).extend(addresses.split(","))
    else:
        raise ValueError(f"expected a list or a mapping, not {kind(value)}")
    out = []
    for name, items in found.items():
        if not name or ":" in name or "=" in name:
            raise ValueError(f"bad host name {name!r}")
        for item in items:
            bare = item[1:-1] if len(item) > 2 and item[0] == "[" and item[-1] == "]" else item
            out.append(f"{name}={bare}")
    return sorted(out)


def _text(value: Any) -> str:
    from pod.core.compose import scalars

    return "" if value is None else scalars.shown(value)


def words(text: str) -> list[str]:
    """A command in one line as words, as Docker splits it: a shell's quotes, the end at a bare ``;``, ``&``, ``|``,
    ``<`` or ``>``; what stands between backquotes or in ``$( )`` stays one word."""
    out: list[str] = []
    word: list[str] = []
    quote, escaped, there = "", False, False
    for char in text:
        if escaped:
            word.append(char)
            escaped, there = False, True
        elif char == "\\" and quote != "'":
            escaped = True
        elif (char in "'\"" and quote in ("", char)) or (char in "'\"" and quote == "`"):
            there = there or quote == char
            quote = "" if quote == char else char
        elif char in " \t\r\n" and not quote:
            if there:
                out.append("".join(word))
            word, there = [], False
        elif char in ";&|<>" and not quote:
            if char == ">" and word and "0" <= word[0] <= "9":
                there = False
            break
        else:
            quote = _substitution(char, quote, word)
            word.append(char)
            there = True
    if quote or escaped:
        raise ValueError(f"invalid command line string: {text[:80]!r}")
    return [*out, "".join(word)] if there else out


def _substitution(char: str, quote: str, word: list[str]) -> str:
    """The quote after a backquote or a parenthesis."""
    if char == "`" and quote in ("", "`"):
        return "" if quote else "`"
    if char == ")" and quote in ("", ")"):
        return "" if quote else ")"
    if char == "(" and quote in ("", ")"):
        if quote or word[-1:] != ["$"]:
            raise ValueError("invalid command line string: a parenthesis needs quotes")
        return ")"
    return quote
