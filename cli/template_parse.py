"""From text to a tree of cli/template_nodes: the grammar of Go's text/template, with its messages.

Bounded: the text has at most MAX_TEXT characters, nesting at most MAX_DEPTH levels.
"""

from __future__ import annotations

from pod.cli import template_nodes as nodes
from pod.cli.template_lex import Lexer, Token
from pod.cli.template_values import number_of, unquote
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pod.cli.template_nodes import Body, Term

MAX_TEXT = 1 << 20
MAX_DEPTH = 80

_STARTS = frozenset(
    ("bool", "char", "complex", "dot", "field", "identifier", "number", "nil", "raw", "string", "variable", "(")
)


class Parser:
    """Parses one text; ``templates`` collects the bodies of define and block."""

    __slots__ = (
        "ahead",
        "action_line",
        "depth",
        "functions",
        "last",
        "lexer",
        "ranges",
        "templates",
        "token",
        "variables",
    )

    def __init__(self, text: str, functions: Container[str]) -> None:
        if len(text) > MAX_TEXT:
            raise PodError(f"template parsing error: template: longer than {MAX_TEXT} characters")
        self.lexer = Lexer(text).tokens()
        self.functions = functions
        self.templates: dict[str, Body] = {}
        self.ahead: list[Token] = []
        self.token = self.last = Token("text", 0, "", 1)
        self.variables = ["$"]
        self.ranges = 0
        self.depth = 0
        self.action_line = 0

    def error(self, message: str) -> PodError:
        return PodError(f"template parsing error: template: :{self.token.line}: {message}")

    def unexpected(self, token: Token, context: str) -> PodError:
        if token.kind != "error":
            return self.error(f"unexpected {token} in {context}")
        extra = ""
        if self.action_line and self.action_line != token.line:
            extra = f" in action started at :{self.action_line}"
            if token.text.endswith(" action"):
                extra = extra[len(" in action") :]
        return self.error(f"{token}{extra}")

    def next(self) -> Token:
        if self.ahead:
            self.token = self.ahead.pop()
        else:
            # After "eof" or "error" the same token again: whoever reads on meets the same end.
            self.token = self.last = next(self.lexer, self.last)
        return self.token

    def back(self, *tokens: Token) -> None:
        """Puts tokens back, the first to be read again last."""
        self.ahead.extend(tokens)

    def peek(self) -> Token:
        token = self.next()
        self.back(token)
        return token

    def solid(self) -> Token:
        """The next token that is not space."""
        token = self.next()
        while token.kind == "space":
            token = self.next()
        return token

    def peek_solid(self) -> Token:
        token = self.solid()
        self.back(token)
        return token

    def expect(self, kind: str, context: str) -> Token:
        token = self.solid()
        if token.kind != kind:
            raise self.unexpected(token, context)
        return token

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels")

    def parse(self) -> Body:
        root: Body = []
        while self.peek().kind != "eof":
            token = self.peek()
            if token.kind == "left":
                left = self.next()
                word = self.solid()
                if word.kind == "keyword" and word.text == "define":
                    self.define()
                    continue
                self.back(word, left)
            node = self.text_or_action()
            if isinstance(node, nodes.Mark) and node.keyword in ("end", "else"):
                raise self.error(f"unexpected {node}")
            root.append(node)
        return root

    def define(self) -> None:
        context = "define clause"
        name = self.template_name(self.solid(), context)
        self.expect("right", context)
        outer, self.variables = self.variables, ["$"]
        ranges, self.ranges = self.ranges, 0
        body, end = self.body()
        self.variables, self.ranges = outer, ranges
        if end.keyword != "end":
            raise self.error(f"unexpected {end} in {context}")
        self.add(name, body)

    def add(self, name: str, body: Body) -> None:
        """A later definition replaces one that is empty but for space; otherwise it is an error in one text."""
        if not _empty(body) or name not in self.templates:
            if not _empty(self.templates.get(name, [])):
                from pod.cli.template_format import quote

                raise self.error(f"template: multiple definition of template {quote(name)}")
            self.templates[name] = body

    def body(self) -> tuple[Body, nodes.Mark]:
        """Up to {{end}} or {{else}}, which is returned beside what came before."""
        body: Body = []
        while self.peek_solid().kind != "eof":
            node = self.text_or_action()
            if isinstance(node, nodes.Mark) and node.keyword in ("end", "else"):
                return body, node
            body.append(node)
        self.solid()
        raise self.error("unexpected EOF")

    def text_or_action(self) -> nodes.Node:
        token = self.solid()
        if token.kind == "text":
            return nodes.Text(token.pos, token.text)
        if token.kind != "left":
            raise self.unexpected(token, "input")
        self.action_line = token.line
        self.deeper()
        node = self.action()
        self.depth -= 1
        self.action_line = 0
        return node

    def action(self) -> nodes.Node:
        token = self.solid()
        if token.kind != "keyword" or token.text == "define":
            self.back(token)
            return nodes.Action(token.pos, self.pipeline("command", "right"))
        word = token.text
        if word in ("if", "with", "range"):
            return self.control(word)
        if word == "block":
            return self.block()
        if word == "template":
            return self.call()
        if word == "else":
            return self.else_mark()
        if word == "end":
            return nodes.Mark(self.expect("right", "end").pos, "end")
        following = self.solid()
        if following.kind != "right":
            raise self.unexpected(following, "{{" + word + "}}")
        if not self.ranges:
            raise self.error("{{" + word + "}} outside {{range}}")
        return nodes.Mark(token.pos, word)

    def else_mark(self) -> nodes.Mark:
        following = self.peek_solid()
        if following.kind == "keyword" and following.text in ("if", "with"):
            return nodes.Mark(following.pos, "else")  # "else if" reads as {{else}}{{if …}}; control() goes on with it
        return nodes.Mark(self.expect("right", "else").pos, "else")

    def control(self, word: str) -> nodes.Branch:
        mark = len(self.variables)
        self.deeper()
        pipe = self.pipeline(word, "right")
        self.ranges += word == "range"
        body, following = self.body()
        self.ranges -= word == "range"
        otherwise: Body | None = None
        if following.keyword == "else":
            chained = self.peek_solid()
            if word != "range" and chained.kind == "keyword" and chained.text == word:
                self.solid()
                otherwise = [self.control(word)]
            else:
                otherwise, following = self.body()
                if following.keyword != "end":
                    raise self.error(f"expected end; found {following}")
        self.depth -= 1
        del self.variables[mark:]
        return nodes.Branch(pipe.pos, word, pipe, body, otherwise)

    def block(self) -> nodes.Call:
        context = "block clause"
        token = self.solid()
        name = self.template_name(token, context)
        pipe = self.pipeline(context, "right")
        outer, self.variables = self.variables, ["$"]
        ranges, self.ranges = self.ranges, 0
        body, end = self.body()
        self.variables, self.ranges = outer, ranges
        if end.keyword != "end":
            raise self.error(f"unexpected {end} in {context}")
        self.add(name, body)
        return nodes.Call(token.pos, name, pipe)

    def call(self) -> nodes.Call:
        context = "template clause"
        token = self.solid()
        name = self.template_name(token, context)
        pipe = None
        following = self.solid()
        if following.kind != "right":
            self.back(following)
            pipe = self.pipeline(context, "right")
        return nodes.Call(token.pos, name, pipe)

    def template_name(self, token: Token, context: str) -> str:
        if token.kind not in ("string", "raw"):
            raise self.unexpected(token, context)
        return self.unquoted(token)

    def unquoted(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError:
            raise self.error("invalid syntax") from None

    def pipeline(self, context: str, end: str) -> nodes.Pipe:
        pipe = nodes.Pipe(self.peek_solid().pos)
        self.declarations(pipe, context)
        while True:
            token = self.solid()
            if token.kind == end:
                self.check(pipe, context)
                return pipe
            if token.kind not in _STARTS:
                raise self.unexpected(token, context)
            self.back(token)
            pipe.commands.append(self.command())

    def declarations(self, pipe: nodes.Pipe, context: str) -> None:
        """ "$x :=", "$x =", and for range "$i, $x :="."""
        while self.peek_solid().kind == "variable":
            variable = self.solid()
            adjacent = self.next()
            following = adjacent
            while following.kind == "space":
                following = self.next()
            if following.kind in (":=", "=", ","):
                pipe.declared.append(variable.text)
                self.variables.append(variable.text)
            if following.kind in (":=", "="):
                pipe.assigns = following.kind == "="
                return
            if following.kind != ",":
                self.back(following)
                if adjacent is not following:
                    self.back(adjacent)
                self.back(variable)
                return
            if context != "range" or len(pipe.declared) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.peek_solid().kind not in ("variable", "right", ")"):
                raise self.error("range can only initialize variables")

    def check(self, pipe: nodes.Pipe, context: str) -> None:
        if not pipe.commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.args[0], (nodes.Constant, nodes.Dot, nodes.Nil)):
                raise self.error(f"non executable command in pipeline stage {stage}")

    def command(self) -> nodes.Command:
        command = nodes.Command(self.peek_solid().pos, [])
        while True:
            self.peek_solid()
            operand = self.operand()
            if operand is not None:
                command.args.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self.back(token)
            elif token.kind != "|":
                raise self.unexpected(token, "operand")
            break
        if not command.args:
            raise self.error("empty command")
        return command

    def operand(self) -> Term | None:
        """A term, possibly followed by fields."""
        node = self.term()
        if node is None or self.peek().kind != "field":
            return node
        pos = self.peek().pos  # Go places a chain at its second part
        names = []
        while self.peek().kind == "field":
            names.append(self.next().text[1:])
        if isinstance(node, nodes.Field):
            return nodes.Field(pos, node.names + names)
        if isinstance(node, nodes.Variable):
            return nodes.Variable(pos, node.name, node.names + names)
        if isinstance(node, (nodes.Constant, nodes.Dot, nodes.Nil)):
            from pod.cli.template_format import quote

            raise self.error(f"unexpected . after term {quote(str(node))}")
        return nodes.Chain(pos, node, names)

    def term(self) -> Term | None:
        token = self.solid()
        kind, pos = token.kind, token.pos
        if kind in ("bool", "char", "complex", "number", "string", "raw"):
            return self.constant(token)
        if kind == "identifier":
            return self.function(token)
        if kind == "variable":
            if token.text not in self.variables:
                from pod.cli.template_format import quote

                raise self.error(f"undefined variable {quote(token.text)}")
            return nodes.Variable(pos, token.text, [])
        if kind == "field":
            return nodes.Field(pos, [token.text[1:]])
        if kind == "(":
            self.deeper()
            pipe = self.pipeline("parenthesized pipeline", ")")
            self.depth -= 1
            return pipe
        if kind == "dot":
            return nodes.Dot(pos)
        if kind == "nil":
            return nodes.Nil(pos)
        self.back(token)
        return None

    def function(self, token: Token) -> nodes.Identifier:
        if token.text not in self.functions:
            from pod.cli.template_format import quote

            raise self.error(f"function {quote(token.text)} not defined")
        return nodes.Identifier(token.pos, token.text)

    def constant(self, token: Token) -> nodes.Constant:
        if token.kind == "bool":
            return nodes.Constant(token.pos, token.text == "true", token.text)
        if token.kind in ("string", "raw"):
            return nodes.Constant(token.pos, self.unquoted(token), token.text)
        try:
            return nodes.Constant(token.pos, number_of(token.kind, token.text), token.text)
        except ValueError as error:
            raise self.error(str(error)) from None


def _empty(body: Body) -> bool:
    return all(isinstance(node, nodes.Text) and not node.text.strip() for node in body)
