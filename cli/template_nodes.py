"""The parse tree of a template. ``str`` of a node is its source as Go prints it, for "executing … at <…>".

Every node has ``pos``, its offset in the source in characters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union


class Node:
    __slots__ = ("pos",)

    def __init__(self, pos: int) -> None:
        self.pos = pos


class Constant(Node):
    """A bool, number, character or string; ``source`` is how it was written."""

    __slots__ = ("source", "value")

    def __init__(self, pos: int, value: Any, source: str) -> None:
        self.pos = pos
        self.value = value
        self.source = source

    def __str__(self) -> str:
        return self.source


class Dot(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "."


class Nil(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "nil"


class Identifier(Node):
    """The name of a function."""

    __slots__ = ("name",)

    def __init__(self, pos: int, name: str) -> None:
        self.pos = pos
        self.name = name

    def __str__(self) -> str:
        return self.name


class Field(Node):
    """.A.B: ``names`` is ["A", "B"]."""

    __slots__ = ("names",)

    def __init__(self, pos: int, names: list[str]) -> None:
        self.pos = pos
        self.names = names

    def __str__(self) -> str:
        return "." + ".".join(self.names)


class Variable(Node):
    """$x.A.B: ``name`` is "$x", ``names`` ["A", "B"]."""

    __slots__ = ("name", "names")

    def __init__(self, pos: int, name: str, names: list[str]) -> None:
        self.pos = pos
        self.name = name
        self.names = names

    def __str__(self) -> str:
        return ".".join([self.name, *self.names])


class Chain(Node):
    """(pipeline).A.B"""

    __slots__ = ("names", "node")

    def __init__(self, pos: int, node: Term, names: list[str]) -> None:
        self.pos = pos
        self.node = node
        self.names = names

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return ".".join([inner, *self.names])


class Command(Node):
    """An operand and its arguments."""

    __slots__ = ("args",)

    def __init__(self, pos: int, args: list[Term]) -> None:
        self.pos = pos
        self.args = args

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


class Pipe(Node):
    """``declared`` variables, := or = (``assigns``), and commands."""

    __slots__ = ("assigns", "commands", "declared")

    def __init__(self, pos: int) -> None:
        self.pos = pos
        self.declared: list[str] = []
        self.assigns = False
        self.commands: list[Command] = []

    def __str__(self) -> str:
        text = " | ".join(str(command) for command in self.commands)
        if self.declared:
            text = ", ".join(self.declared) + (" = " if self.assigns else " := ") + text
        return text


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, pos: int, text: str) -> None:
        self.pos = pos
        self.text = text

    def __str__(self) -> str:
        return self.text


class Action(Node):
    __slots__ = ("pipe",)

    def __init__(self, pos: int, pipe: Pipe) -> None:
        self.pos = pos
        self.pipe = pipe

    def __str__(self) -> str:
        return "{{" + str(self.pipe) + "}}"


class Branch(Node):
    """if, with, range: ``keyword``, the pipeline, the body, what follows else."""

    __slots__ = ("body", "keyword", "otherwise", "pipe")

    def __init__(self, pos: int, keyword: str, pipe: Pipe, body: Body, otherwise: Body | None) -> None:
        self.pos = pos
        self.keyword = keyword
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise

    def __str__(self) -> str:
        tail = "" if self.otherwise is None else "{{else}}" + "".join(map(str, self.otherwise))
        return f"{{{{{self.keyword} {self.pipe}}}}}" + "".join(map(str, self.body)) + tail + "{{end}}"


class Call(Node):
    """{{template "name" pipeline}}"""

    __slots__ = ("name", "pipe")

    def __init__(self, pos: int, name: str, pipe: Pipe | None) -> None:
        self.pos = pos
        self.name = name
        self.pipe = pipe

    def __str__(self) -> str:
        from pod.cli.template_format import quote

        tail = "" if self.pipe is None else f" {self.pipe}"
        return f"{{{{template {quote(self.name)}{tail}}}}}"


class Mark(Node):
    """break, continue, end, else: ``keyword``."""

    __slots__ = ("keyword",)

    def __init__(self, pos: int, keyword: str) -> None:
        self.pos = pos
        self.keyword = keyword

    def __str__(self) -> str:
        return "{{" + self.keyword + "}}"


if TYPE_CHECKING:
    Term = Union[Constant, Dot, Nil, Identifier, Field, Variable, Chain, Pipe]
    Body = list[Node]
