"""Compiles the Compose Specification's JSON schema to Python: ``python packaging/compose_schema.py``, and the build.

fastjsonschema writes a function for it once, so that no command has to read the schema to find a document right. What
it writes needs of fastjsonschema two exceptions alone; they are written in front, so that it is not carried along.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "core" / "compose" / "compose-spec.json"
TARGET = ROOT / "packaging" / "pod" / "_compose_schema.py"
_FORMATS = ("duration", "expose", "ports")
_IMPORT = "from fastjsonschema import JsonSchemaValueException, JsonSchemaValuesException\n"
_DECIMAL = "from decimal import Decimal\n"
"""A type that no document has; its import is what would take the longest."""
_EXCEPTIONS = '''

class JsonSchemaValueException(ValueError):
    def __init__(self, message, value=None, name=None, definition=None, rule=None):
        super().__init__(message)


JsonSchemaValuesException = JsonSchemaValueException
'''
_TAIL = '''

def validate(data, formats):
    """JsonSchemaValueException for a document that is not right."""
    formats = {"expose": _any, "ports": _any, **formats}
    return validate_compose_spec_json(data, formats)


def _any(value):
    return True
'''


def write(target: Path = TARGET) -> None:
    """Writes the module, unless it is there as it should be."""
    import fastjsonschema

    code = fastjsonschema.compile_to_code(
        json.loads(SCHEMA.read_text("utf-8")),
        formats=dict.fromkeys(_FORMATS, str),
        use_default=False,
        detailed_exceptions=False,
    )
    head = '"""Written by packaging/compose_schema.py from compose-spec.json with fastjsonschema."""\n\n'
    text = head + code.replace(_IMPORT, _EXCEPTIONS).replace(_DECIMAL, "Decimal = ()\n") + _TAIL
    if not target.exists() or target.read_text("utf-8") != text:
        target.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
