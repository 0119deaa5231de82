"""YAML of a stranger to plain data, with the line of every key; anchors, merge keys, ``!reset`` and ``!override``.

PyYAML's scanner and parser (its pure form) give events; what they mean is decided here as gopkg.in/yaml.v3 does it,
which reads YAML 1.2's scalars (``yes`` is a text), so that a file means the same as for Docker. Bounded: bytes, depth,
nodes after aliases have been resolved.
"""

from __future__ import annotations

import contextlib

from pod.core.errors import ComposeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Path = tuple[str, ...]

MOST_BYTES = 1 << 20
MOST_DEPTH = 64
MOST_NODES = 50_000
"""Of one document, as it is written and with its aliases resolved: what is larger is an attack, or no compose file."""
_MERGE = "<<"
_DEEP = f"nested more than {MOST_DEPTH} levels deep"


class Node:
    """One node of the text. ``value`` is a text, a list of nodes or of pairs of nodes; an alias holds its target."""

    __slots__ = ("busy", "kind", "line", "plain", "tag", "value")

    def __init__(self, kind: str, tag: str, value: Any, line: int, plain: bool = False) -> None:
        self.kind, self.tag, self.value, self.line, self.plain = kind, tag, value, line, plain
        self.busy = False


class Document:
    """What one document of a file says.

    ``lines`` has the line of every key by its path; ``resets`` are the paths that ``!reset`` and ``!override`` name.
    """

    __slots__ = ("data", "file", "lines", "resets")

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self.lines: dict[Path, int] = {}
        self.resets: list[Path] = []


def read(text: bytes, file: str) -> list[Document]:
    """Every document of ``text``; ``file`` is the name that errors say."""
    if len(text) > MOST_BYTES:
        raise ComposeError(f"is larger than {MOST_BYTES >> 20} MiB, which no compose file is", file=file)
    return [_Construction(file).document(root) for root in _nodes(text, file)]


def _nodes(text: bytes, file: str) -> Iterator[Node | None]:
    """The root of each document; None for an empty one."""
    from yaml.events import DocumentStartEvent, StreamEndEvent

    from pod.core.compose import events

    with _worded(text, file):
        decoded = text.decode("utf-8-sig")
        at = events.forbidden(decoded)
        if at >= 0:
            wrong = f"has the character #x{ord(decoded[at]):04x}, which YAML forbids"
            raise ComposeError(wrong, file=file, line=decoded.count("\n", 0, at) + 1)
        source = events.Events(decoded)
        while not isinstance(event := source.get_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                yield _Composition(source, file).node(source.get_event(), 0)
                source.get_event()


@contextlib.contextmanager
def _worded(text: bytes, file: str) -> Iterator[None]:
    """What a text that is no YAML fails with, as ComposeError."""
    from yaml.error import MarkedYAMLError

    try:
        yield
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ComposeError("is not UTF-8", file=file, line=line) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ComposeError(f"is not YAML: {said}", file=file, line=mark.line + 1 if mark else 0) from None
    except RecursionError:
        raise ComposeError(f"is {_DEEP}", file=file) from None
    except ValueError as error:
        raise ComposeError(f"is not YAML: {error}", file=file) from None


class _Composition:
    """Events to nodes; an alias is the very node that it names."""

    def __init__(self, source: Any, file: str) -> None:
        self.source, self.file = source, file
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def node(self, event: Any, depth: int) -> Node:
        kind = type(event).__name__
        line = event.start_mark.line + 1
        self.count += 1
        if depth > MOST_DEPTH or self.count > MOST_NODES:
            wrong = f"has more than {MOST_NODES} nodes" if depth <= MOST_DEPTH else f"is {_DEEP}"
            raise ComposeError(wrong, file=self.file, line=line)
        if kind == "AliasEvent":
            if event.anchor not in self.anchors:
                raise ComposeError(f"unknown anchor {event.anchor!r}", file=self.file, line=line)
            return Node("alias", "", self.anchors[event.anchor], line)
        tag = event.tag or ""
        if kind == "ScalarEvent":
            found = Node("scalar", tag, event.value, line, plain=event.style is None)
        else:
            found = Node("map" if kind == "MappingStartEvent" else "list", tag, [], line)
        if event.anchor:
            self.anchors[event.anchor] = found
        if found.kind == "list":
            while type(inner := self.source.get_event()).__name__ != "SequenceEndEvent":
                found.value.append(self.node(inner, depth + 1))
        elif found.kind == "map":
            while type(inner := self.source.get_event()).__name__ != "MappingEndEvent":
                key = self.node(inner, depth + 1)
                found.value.append((key, self.node(self.source.get_event(), depth + 1)))
        return found


class _Construction:
    """Nodes to data, aliases resolved."""

    def __init__(self, file: str) -> None:
        self.found = Document(file)
        self.count = 0

    def document(self, root: Node | None) -> Document:
        if root is not None:
            self.found.data = self.build(root, (), 0)
        return self.found

    def fail(self, message: str, node: Node, path: Path) -> ComposeError:
        return ComposeError(message, file=self.found.file, line=node.line, path=".".join(path))

    def build(self, node: Node, path: Path, depth: int) -> Any:
        self.count += 1
        if self.count > MOST_NODES:
            raise self.fail(f"has more than {MOST_NODES} nodes when its aliases are resolved", node, path)
        if depth > MOST_DEPTH:
            raise self.fail(f"is {_DEEP}", node, path)
        if node.kind == "alias":
            if node.value.busy:
                raise self.fail("the anchor contains an alias of itself", node, path)
            return self.build(node.value, path, depth + 1)
        if node.tag in ("!reset", "!override"):
            self.found.resets.append(path)
        if node.kind == "scalar":
            return _scalar(self, node, path)
        node.busy = True
        try:
            return self.sequence(node, path, depth) if node.kind == "list" else self.mapping(node, path, depth)
        finally:
            node.busy = False

    def sequence(self, node: Node, path: Path, depth: int) -> list[Any]:
        out = []
        for index, item in enumerate(node.value):
            inner = (*path, str(index))
            self.found.lines[inner] = item.line
            if _target(item).tag == "!reset":
                self.found.resets.append(inner)
                continue
            out.append(self.build(item, inner, depth + 1))
        return out

    def mapping(self, node: Node, path: Path, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merges: list[Node] = []
        lines: dict[str, int] = {}
        for key, value in node.value:
            if _merges(key):
                merges.append(value)
                continue
            name = self.key(key, path)
            inner = (*path, name)
            if name in lines:
                raise self.fail(f"the key {name!r} is there already, in line {lines[name]}", key, path)
            lines[name] = self.found.lines[inner] = key.line
            if _target(value).tag == "!reset":
                self.found.resets.append(inner)
                continue
            out[name] = self.build(value, inner, depth + 1)
        for value in merges:
            for source in self.merged(value, path):
                for name, item in self.build(source, path, depth + 1).items():
                    if name not in lines:
                        out.setdefault(name, item)
        return out

    def merged(self, node: Node, path: Path) -> list[Node]:
        """The mappings that a merge key names, the strongest first."""
        target = _target(node)
        if target.busy:
            raise self.fail("the anchor contains an alias of itself", node, path)
        sources = target.value if target.kind == "list" else [node]
        if any(_target(one).kind != "map" for one in sources):
            raise self.fail("map merge requires a mapping or a list of mappings as the value", node, path)
        return list(sources)

    def key(self, node: Node, path: Path) -> str:
        key = _target(node)
        value = _scalar(self, key, path) if key.kind == "scalar" else None
        if not isinstance(value, str):
            shown = repr(key.value) if key.kind == "scalar" else f"a {key.kind}"
            raise self.fail(f"the key {shown} is not a text", node, path)
        return value


def _merges(key: Node) -> bool:
    return key.kind == "scalar" and key.value == _MERGE and key.plain and key.tag in ("", "tag:yaml.org,2002:merge")


def _target(node: Node) -> Node:
    return node.value if node.kind == "alias" else node


def _scalar(construction: _Construction, node: Node, path: Path) -> Any:
    """What a scalar is, as yaml.v3 reads it into a value of any type."""
    tag = node.tag.replace("tag:yaml.org,2002:", "!!")
    text = node.value
    if tag == "!!binary":
        raise construction.fail("binary data has no place in a compose file", node, path)
    if tag == "!!str" or (not node.plain and tag in ("", "!")):
        return text
    if tag and tag not in ("!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!override", "!reset"):
        return text
    from pod.core.compose import scalars

    value = scalars.plain(text)
    wanted = {"!!int": int, "!!float": (int, float), "!!bool": bool, "!!null": type(None)}.get(tag)
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and tag != "!!bool")):  # type: ignore[arg-type]
        raise construction.fail(f"cannot read {text[:40]!r} as {tag}", node, path)
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        raise construction.fail(f"{text} is no number that a compose file can have", node, path)
    return float(value) if tag == "!!float" and not isinstance(value, float) else value
