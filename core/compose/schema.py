"""A document held against the specification's JSON schema, and what is wrong with it in words.

The schema (compose-spec.json beside this file: github.com/compose-spec/compose-spec, Apache-2.0) is compiled to Python
by fastjsonschema when pod is built (packaging/compose_schema.py), so that a document that is right costs little. What
is wrong with another one is looked for once more in the schema itself: a compiled check says "not valid by one
definition", people want to know the key and what belongs there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.source import Source

    Path = tuple[str, ...]
    Schema = dict[str, Any]

_WORDS = {
    "object": "a mapping", "array": "a list", "string": "a text", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "null": "nothing",
}  # fmt: skip


def duration(value: Any) -> bool:
    """The schema's format "duration"."""
    from pod.core.compose import scalars

    return not isinstance(value, str) or scalars.duration(value) is not None


def validate(source: Source, data: dict[str, Any]) -> None:
    """ComposeError names the key that is most to blame."""
    for name, service in (data.get("services") or {}).items() if isinstance(data.get("services"), dict) else ():
        if isinstance(service, dict) and "provider" in service:
            raise source.fail(
                "services of a provider are not supported: it is a program of the host that pod would have to trust",
                ("services", name, "provider"),
                hint="make it a service with an image",
            )
    if not _valid(data):
        found = _Search(_text()).problem(data, _text(), ())
        message, path = found if found else ("does not match the specification", ())
        raise source.fail(message, path)


def _valid(data: dict[str, Any]) -> bool:
    try:
        from pod import _compose_schema  # made by the build
    except ImportError:
        return _Search(_text()).problem(data, _text(), ()) is None
    check: Any = _compose_schema
    try:
        check.validate(data, {"duration": duration})
    except check.JsonSchemaValueException:
        return False
    return True


def _text() -> Schema:
    global _SCHEMA
    if _SCHEMA is None:
        import json
        import pkgutil

        data = pkgutil.get_data("pod.core.compose", "compose-spec.json")
        _SCHEMA = json.loads(data or b"{}")
    found: Schema = _SCHEMA
    return found


_SCHEMA: Any = None


class _Search:
    """What of a schema a value breaks: message and path of the deepest, most specific problem."""

    def __init__(self, root: Schema) -> None:
        self.root = root

    def resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.root["definitions"][schema["$ref"].rpartition("/")[2]]
        return schema

    def problem(self, value: Any, schema: Schema, path: Path) -> tuple[str, Path] | None:
        schema = self.resolved(schema)
        types = schema.get("type")
        if types is not None:
            names = [types] if isinstance(types, str) else types
            if not any(_is(value, name) for name in names):
                return _unexpected(value, names), path
        if "enum" in schema and value not in schema["enum"]:
            return f"expected one of {', '.join(map(str, schema['enum']))}, not {_quoted(value)}", path
        found = self.choice(value, schema["oneOf"], path) if "oneOf" in schema else None
        if found:
            return found
        if schema.get("format") == "duration" and not duration(value):
            return f"expected a duration such as 1m30s, not {_quoted(value)}", path
        if isinstance(value, dict):
            return self.mapping(value, schema, path)
        if isinstance(value, list):
            return self.sequence(value, schema, path)
        return _bounds(value, schema, path)

    def choice(self, value: Any, options: list[Schema], path: Path) -> tuple[str, Path] | None:
        """Of several forms the problem of the one that comes closest."""
        found = [self.problem(value, option, path) for option in options]
        if None in found:
            return None
        problems = [one for one in found if one]
        deepest = max(problems, key=lambda one: len(one[1]))
        if len(deepest[1]) > len(path):
            return deepest
        wanted: list[str] = []
        for option, problem in zip(options, problems):
            names = self.types(option)
            if any(_is(value, name) for name in names):
                return problem
            wanted += names
        return _unexpected(value, wanted), path

    def types(self, schema: Schema) -> list[str]:
        schema = self.resolved(schema)
        names = schema.get("type", [])
        if not names and "oneOf" in schema:
            return [name for option in schema["oneOf"] for name in self.types(option)]
        return [names] if isinstance(names, str) else list(names)

    def mapping(self, value: dict[str, Any], schema: Schema, path: Path) -> tuple[str, Path] | None:
        import re

        named = schema.get("properties", {})
        matched = schema.get("patternProperties", {})
        for key in schema.get("required", ()):
            if key not in value:
                return f"lacks {key!r}", path
        for key, inner in value.items():
            inside = [named[key]] if key in named else []
            inside += [one for pattern, one in matched.items() if re.search(pattern.replace("$", r"\Z"), key)]
            if not inside and schema.get("additionalProperties") is False:
                return _unknown(key, list(named), matched), (*path, key)
            for one in inside:
                found = self.problem(inner, one, (*path, key))
                if found:
                    return found
        return None

    def sequence(self, value: list[Any], schema: Schema, path: Path) -> tuple[str, Path] | None:
        if "items" in schema:
            for index, item in enumerate(value):
                found = self.problem(item, schema["items"], (*path, str(index)))
                if found:
                    return found
        if schema.get("uniqueItems"):
            seen: set[str] = set()
            for index, item in enumerate(value):
                text = _key(item)
                if text in seen:
                    return f"{_quoted(item)} is in the list twice", (*path, str(index))
                seen.add(text)
        return None


def _key(value: Any) -> str:
    import json

    return json.dumps(value, sort_keys=True)


def _is(value: Any, name: str) -> bool:
    if name == "null":
        return value is None
    if name == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if name == "number":
        return isinstance(value, (int, float))
    return isinstance(value, {"object": dict, "array": list, "string": str}[name])


def _bounds(value: Any, schema: Schema, path: Path) -> tuple[str, Path] | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"expected at least {schema['minimum']}, not {value}", path
        if "maximum" in schema and value > schema["maximum"]:
            return f"expected at most {schema['maximum']}, not {value}", path
    return None


def _unexpected(value: Any, names: list[str]) -> str:
    from pod.core.compose import short_forms

    words = list(dict.fromkeys(_WORDS[name] for name in names))
    wanted = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    shown = "" if value is None or isinstance(value, (dict, list)) else f" ({_quoted(value)})"
    return f"expected {wanted}, not {short_forms.kind(value)}{shown}"


def _quoted(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _unknown(key: str, known: list[str], matched: Schema) -> str:
    import difflib

    if not known and len(matched) == 1:
        return f"{_quoted(key)} is no name: expected letters, digits, '.', '_' and '-'"
    close = difflib.get_close_matches(key[:60], known, 1)
    return "unknown key" + (f"; did you mean {close[0]!r}?" if close else "")
