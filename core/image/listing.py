"""`pod images`: which images and names there are, filtered as Docker's --filter does."""

from __future__ import annotations

from pod.core.errors import PodError
from pod.core.image import store
from pod.core.oci import reference as references
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pod.core.engine import Engine
    from pod.core.image.store import Image

    _Test = Callable[[Image, list[Reference]], bool]

FILTERS = ("before", "dangling", "label", "reference", "since", "until")
NONE = "<none>"


class Entry:
    """One row: an image under one name. ``repository``, ``tag`` and ``digest`` are "<none>" where it has none."""

    __slots__ = ("digest", "image", "repository", "tag")

    def __init__(self, image: Image, repository: str, tag: str, digest: str) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.digest = digest


def entries(engine: Engine, filters: Sequence[str] = ()) -> list[Entry]:
    """Rows for all images that the filters ("name=value") let through, newest image first. PodError: bad filter."""
    wanted = _parse(filters)
    names: dict[str, list[Reference]] = {}
    for ref in store.list_refs(engine):
        names.setdefault(ref["image"], []).append(references.parse(ref["name"]))
    images = store.list_images(engine)
    tests = _image_tests(engine, wanted)
    rows: list[Entry] = []
    for image in images:
        references_of = names.get(image.id, [])
        if not all(test(image, references_of) for test in tests):
            continue
        rows += _rows(image, references_of, wanted.get("reference", []))
    return rows


def _parse(filters: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals:
            raise PodError(f"invalid filter: {text}: not of the form name=value", hint=_HINT)
        if key not in FILTERS:
            raise PodError(f"invalid filter '{key}'", hint=_HINT)
        wanted.setdefault(key, []).append(value)
    return wanted


_HINT = "filters are " + ", ".join(FILTERS)


def _rows(image: Image, names: list[Reference], patterns: list[str]) -> list[Entry]:
    shown = [name for name in names if not patterns or any(matches(pattern, name) for pattern in patterns)]
    digest_of = {name.name: name.digest for name in shown if name.digest}
    tagged = {name.name for name in shown if name.tag}
    rows = [
        Entry(image, name.familiar_name, name.tag, digest_of.get(name.name, NONE)) for name in shown if name.tag
    ]
    rows += [
        Entry(image, name.familiar_name, NONE, name.digest)
        for name in shown
        if name.digest and name.name not in tagged
    ]
    if not rows and not patterns:
        rows.append(Entry(image, NONE, NONE, NONE))
    return rows


def matches(pattern: str, name: Reference) -> bool:
    """Docker's FamiliarMatch: Go's path.Match of the familiar name, with and without the tag or digest."""
    expression = _compile(pattern)
    import re

    return any(re.fullmatch(expression, text) for text in (name.familiar(), name.familiar_name))


def _compile(pattern: str) -> str:
    """A Go path.Match pattern as a regular expression: ``*`` and ``?`` do not cross slashes. PodError: bad pattern."""
    import re

    out: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            if not out or out[-1] != "[^/]*":
                out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "\\" and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        elif character == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise PodError(f"invalid filter: reference={pattern}: syntax error in pattern")
            inside = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{inside}]")
            position = end + 1
        else:
            out.append(re.escape(character))
    expression = "".join(out)
    try:
        re.compile(expression)
    except re.error:
        raise PodError(f"invalid filter: reference={pattern}: syntax error in pattern") from None
    return expression


def _truth(value: str) -> bool:
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise PodError(f"invalid filter 'dangling={value}'", hint="it is true or false")


def _created(engine: Engine, name: str) -> str:
    return str(store.resolve(engine, name).record.get("created") or "")


def _image_tests(engine: Engine, wanted: dict[str, list[str]]) -> list[_Test]:
    tests: list[_Test] = []
    for value in wanted.get("dangling", []):
        tests.append(_dangling(_truth(value)))
    for value in wanted.get("label", []):
        tests.append(_label(engine, value))
    for value in wanted.get("before", []):
        tests.append(_older(_created(engine, value)))
    for value in wanted.get("since", []):
        tests.append(_newer(_created(engine, value)))
    for value in wanted.get("until", []):
        tests.append(_older(_instant(value)))
    return tests


def _dangling(wanted: bool) -> _Test:
    return lambda _image, names: (not names) == wanted


def _label(engine: Engine, text: str) -> _Test:
    key, equals, value = text.partition("=")

    def test(image: Image, _names: list[Reference]) -> bool:
        inner = image.config(engine).get("config")
        labels = inner.get("Labels") if isinstance(inner, dict) else None
        return isinstance(labels, dict) and key in labels and (not equals or labels[key] == value)

    return test


def _older(instant: str) -> _Test:
    return lambda image, _names: str(image.record.get("created") or "") < instant


def _newer(instant: str) -> _Test:
    return lambda image, _names: str(image.record.get("created") or "") > instant


def _instant(value: str) -> str:
    """An until value as an RFC 3339 UTC time: seconds since 1970, a time, or a duration before now ("24h")."""
    import time

    units = {"s": 1, "m": 60, "h": 3600}
    try:
        relative = value[-1:] in units
        seconds = time.time() - float(value[:-1]) * units[value[-1]] if relative else float(value)
    except ValueError:
        if len(value) >= 10 and value[4:5] == "-" and value[7:8] == "-":
            return value
        raise PodError(f"invalid filter 'until={value}'", hint="it is a time, or a duration such as 24h") from None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
