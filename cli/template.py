"""Go's text/template with Docker's functions: the language of every --format.

    parse("{{.Name}}").execute({"Name": "x"})  ->  "x"

Documents are what JSON gives (dict, list, str, int, float, bool, None) and the values of cli/template_values. Failures
are PodError in Go's words: ``template parsing error: template: :1: …`` from parse, and from execute ``template parsing
error: template: :1:2: executing "" at <.X>: …`` (Docker says "parsing" for both).

Bounded: source, nesting, number of steps (ranges), depth of calls, size of the output.
"""

from __future__ import annotations

from pod.cli import template_nodes as nodes
from pod.cli.template_format import MAX_OUTPUT, TooLong, quote, show, type_name
from pod.cli.template_functions import FUNCTIONS, HEADINGS, NAMES, PARAMETERS, truth
from pod.cli.template_parse import Parser
from pod.cli.template_values import NIL, OpenMap, WithMethods, with_open_maps
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from pod.cli.template_nodes import Body, Term

__all__ = ["MAX_CALLS", "MAX_STEPS", "OpenMap", "Template", "parse", "with_open_maps"]

MAX_STEPS = 1000000
"""Nodes walked in one execution."""

MAX_CALLS = 50
"""Templates within templates; Go allows more, and a recursion that needs more has no end."""

_ABSENT = object()
"""The final argument of a command that no other precedes in its pipeline."""


def parse(text: str) -> Template:
    """Reads a template. PodError ``template parsing error: template: :LINE: …`` where it is not one."""
    parser = Parser(text, NAMES)
    try:
        root = parser.parse()
    except RecursionError:
        raise PodError("template parsing error: template: nested too deep") from None
    return Template(text, root, parser.templates)


class Template:
    """A parsed template; may be executed any number of times."""

    __slots__ = ("_root", "_templates", "_text")

    def __init__(self, text: str, root: Body, templates: Mapping[str, Body]) -> None:
        self._text = text
        self._root = root
        self._templates = templates

    def execute(self, data: Any, *, strict: bool = False, headings: bool = False) -> str:
        """The output for ``data``. ``strict`` is Go's option missingkey=error, except for OpenMap.

        ``headings`` leaves values alone that Docker's functions would change, for the first line of a table.
        """
        run = _Execution(self._text, self._templates, strict=strict, headings=headings)
        try:
            run.walk_body(self._root, data)
        except TooLong:
            raise run.error(f"output longer than {MAX_OUTPUT} characters") from None
        except RecursionError:
            raise run.error("nested too deep") from None
        return "".join(run.out)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Execution:
    """One walk over the tree: variables, the node at hand (for errors), the output."""

    __slots__ = (
        "calls",
        "headings",
        "length",
        "name",
        "node",
        "out",
        "steps",
        "strict",
        "templates",
        "text",
        "variables",
    )

    def __init__(self, text: str, templates: Mapping[str, Body], *, strict: bool, headings: bool) -> None:
        self.text = text
        self.templates = templates
        self.strict = strict
        self.headings = headings
        self.name = ""
        self.node: nodes.Node = nodes.Text(0, "")
        self.out: list[str] = []
        self.length = 0
        self.steps = 0
        self.calls = 0
        self.variables: list[list[Any]] = []

    def error(self, message: str) -> PodError:
        before = self.text[: self.node.pos]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode("utf-8", "surrogateescape"))
        where = f"template: :{line}:{column}: executing {quote(self.name)} at <{self.node}>"
        return PodError(f"template parsing error: {where}: {message}")

    def emit(self, text: str) -> None:
        self.length += len(text)
        if self.length > MAX_OUTPUT:
            raise TooLong
        self.out.append(text)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise self.error(f"more than {MAX_STEPS} steps")

    # Bodies and control.

    def walk_body(self, body: Body, dot: Any) -> None:
        if not self.variables:
            self.variables = [["$", dot]]
        for node in body:
            self.walk(node, dot)

    def walk(self, node: nodes.Node, dot: Any) -> None:
        self.node = node
        self.step()
        if isinstance(node, nodes.Text):
            self.emit(node.text)
        elif isinstance(node, nodes.Action):
            value = self.pipeline(node.pipe, dot)
            if not node.pipe.declared:
                self.node = node
                self.emit("<no value>" if value is None else show(value))
        elif isinstance(node, nodes.Branch):
            mark = len(self.variables)
            if node.keyword == "range":
                self.walk_range(node, dot)
            else:
                self.walk_if(node, dot)
            del self.variables[mark:]
        elif isinstance(node, nodes.Call):
            self.walk_call(node, dot)
        elif isinstance(node, nodes.Mark):
            raise _Break if node.keyword == "break" else _Continue

    def walk_if(self, node: nodes.Branch, dot: Any) -> None:
        value = self.pipeline(node.pipe, dot)
        if truth(value):
            self.walk_body(node.body, value if node.keyword == "with" else dot)
        elif node.otherwise is not None:
            self.walk_body(node.otherwise, dot)

    def walk_range(self, node: nodes.Branch, dot: Any) -> None:
        value = self.pipeline(node.pipe, dot)
        items = self.items(value, node)
        mark = len(self.variables)
        empty = True
        try:
            for key, item in items:
                empty = False
                self.step()
                self.bind(node.pipe, key, item)
                try:
                    self.walk_body(node.body, item)
                except _Continue:
                    continue
                finally:
                    del self.variables[mark:]
        except _Break:
            return
        if empty and node.otherwise is not None:
            self.walk_body(node.otherwise, dot)

    def items(self, value: Any, node: nodes.Branch) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return enumerate(value)
        if value is None:
            return ()
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.declared) > 1:
                raise self.error(f"can't use {value} to iterate over more than one variable")
            return ((number, number) for number in range(value))
        raise self.error(f"range can't iterate over {show(value)}")

    def bind(self, pipe: nodes.Pipe, key: Any, item: Any) -> None:
        names = pipe.declared
        if not names:
            return
        values = [item] if len(names) == 1 else [key, item]
        for place, name in enumerate(names):
            if pipe.assigns:
                self.assign(name, values[place])
            else:
                self.variables[place - len(names)][1] = values[place]

    def walk_call(self, node: nodes.Call, dot: Any) -> None:
        body = self.templates.get(node.name)
        if body is None:
            raise self.error(f"template {quote(node.name)} not defined")
        if self.calls >= MAX_CALLS:
            raise self.error(f"exceeded maximum template depth ({MAX_CALLS})")
        value = None if node.pipe is None else self.pipeline(node.pipe, dot)
        outer = self.variables, self.name
        self.variables, self.name = [["$", value]], node.name
        self.calls += 1
        self.walk_body(body, value)
        self.calls -= 1
        self.variables, self.name = outer

    # Pipelines and values.

    def pipeline(self, pipe: nodes.Pipe, dot: Any) -> Any:
        self.node = pipe
        value: Any = _ABSENT
        for command in pipe.commands:
            value = self.command(command, dot, value)
        for name in pipe.declared:
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.variables.append([name, value])
        return value

    def assign(self, name: str, value: Any) -> None:
        for variable in reversed(self.variables):
            if variable[0] == name:
                variable[1] = value
                return
        raise self.error(f"undefined variable: {name}")

    def variable(self, name: str) -> Any:
        for variable in reversed(self.variables):
            if variable[0] == name:
                return variable[1]
        raise self.error(f"undefined variable: {name}")

    def command(self, command: nodes.Command, dot: Any, final: Any) -> Any:
        first = command.args[0]
        self.step()
        if isinstance(first, nodes.Identifier):
            return self.function(first, command, command.args[1:], dot, final)
        has_arguments = len(command.args) > 1 or final is not _ABSENT
        if isinstance(first, (nodes.Field, nodes.Chain)) or (isinstance(first, nodes.Variable) and first.names):
            if len(first.names) == 1 and isinstance(first, nodes.Field) and isinstance(dot, WithMethods):
                method = dot.methods.get(first.names[0])
                if method is not None:
                    return self.method(method, first, command.args[1:], dot, final)
            return self.chain(first, dot, has_arguments=has_arguments)
        if not isinstance(first, nodes.Pipe):
            self.node = first
        if has_arguments:
            raise self.error(f"can't give argument to non-function {first}")
        if isinstance(first, nodes.Nil):
            raise self.error("nil is not a command")
        return self.value(first, dot)

    def method(
        self, method: Callable[[str], str], node: nodes.Field, args: Sequence[Term], dot: Any, final: Any
    ) -> str:
        """A function of one text that belongs to the dot."""
        count = len(args) + (final is not _ABSENT)
        if count != 1:
            raise self.error(f"wrong number of args for {node.names[0]}: want 1 got {count}")
        value = self.argument(args[0], dot, "string") if args else final
        self.node = node
        self.check_type(value, "string")
        return method(value)

    def value(self, node: Term, dot: Any) -> Any:
        """The value of an operand, also as an argument."""
        self.node = node
        if isinstance(node, nodes.Constant):
            return node.value
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Nil):
            return None
        if isinstance(node, nodes.Identifier):
            return self.function(node, node, [], dot, _ABSENT)
        if isinstance(node, nodes.Pipe):
            return self.pipeline(node, dot)
        if isinstance(node, nodes.Variable) and not node.names:
            return self.variable(node.name)
        return self.chain(node, dot, has_arguments=False)

    def chain(self, node: nodes.Field | nodes.Chain | nodes.Variable, dot: Any, *, has_arguments: bool) -> Any:
        """.A.B of the dot, of a variable, of a parenthesised pipeline."""
        self.node = node
        if isinstance(node, nodes.Field):
            value = dot
        elif isinstance(node, nodes.Variable):
            value = self.variable(node.name)
        else:
            inner = node.node
            value = self.value(inner, dot)
        last = len(node.names) - 1
        kind = ""
        for place, name in enumerate(node.names):
            found = self.field(value, name, kind, has_arguments=has_arguments and place == last)
            kind = "interface {}" if isinstance(value, dict) and name in value else ""
            value = found
        return value

    def field(self, value: Any, name: str, kind: str, *, has_arguments: bool) -> Any:
        """One step of a chain; ``kind`` is the static type of what a map gave, "" where there is none."""
        if isinstance(value, dict):
            if has_arguments:
                raise self.error(f"{name} is not a method but has arguments")
            if name not in value and self.strict and not isinstance(value, OpenMap):
                raise self.error(f"map has no entry for key {quote(name)}")
            return value.get(name)
        if value is NIL or (value is None and kind):
            raise self.error(f"nil pointer evaluating {'interface {}' if value is None else '*interface {}'}.{name}")
        if value is None:
            if self.strict:
                raise self.error(f"nil data; no entry for key {quote(name)}")
            return None
        raise self.error(f"can't evaluate field {name} in type {kind or type_name(value)}")

    def function(self, node: nodes.Identifier, command: nodes.Node, args: Sequence[Term], dot: Any, final: Any) -> Any:
        self.node = node
        name = node.name
        if name in ("and", "or"):
            return self.logic(name, args, dot, final)
        function, least, most = FUNCTIONS[name]
        count = len(args) + (final is not _ABSENT)
        if most < 0 and count < least:
            raise self.error(f"wrong number of args for {name}: want at least {least} got {len(args)}")
        if most >= 0 and count != least:
            raise self.error(f"wrong number of args for {name}: want {least} got {count}")
        types = PARAMETERS.get(name, ())
        values = []
        for place, arg in enumerate(args):
            wanted = types[place] if place < len(types) else ""
            values.append(self.argument(arg, dot, wanted))
        if final is not _ABSENT:
            self.check_type(final, types[len(values)] if len(values) < len(types) else "")
            values.append(final)
        if self.headings and name in HEADINGS:
            return values[0]
        try:
            result = function(values)
        except ValueError as error:
            self.node = command
            raise self.error(f"error calling {name}: {error}") from None
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            raise TooLong
        return result

    def argument(self, node: Term, dot: Any, wanted: str) -> Any:
        """The value of an argument for a parameter of type ``wanted`` ("" takes everything)."""
        if wanted and isinstance(node, nodes.Nil):
            self.node = node
            raise self.error(f"cannot assign nil to {wanted}")
        value = self.value(node, dot)
        if wanted and isinstance(node, nodes.Constant) and type_name(value) != wanted:
            raise self.error(f"expected {'integer' if wanted == 'int' else wanted}; found {node}")
        self.check_type(value, wanted)
        return value

    def check_type(self, value: Any, wanted: str) -> None:
        if not wanted or type_name(value) == wanted:
            return
        if value is None:
            raise self.error(f"invalid value; expected {wanted}")
        raise self.error(f"wrong type for value; expected {wanted}; got {type_name(value)}")

    def logic(self, name: str, args: Sequence[Term], dot: Any, final: Any) -> Any:
        """and, or: the first argument that decides, the others are not evaluated."""
        if not args and final is _ABSENT:
            raise self.error(f"wrong number of args for {name}: want at least 1 got 0")
        value = None
        for arg in args:
            value = self.value(arg, dot)
            if truth(value) == (name == "or"):
                return value
        return value if final is _ABSENT else final
