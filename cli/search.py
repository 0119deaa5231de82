"""``pod search``: images of Docker Hub, or of a registry that is named; docker/cli: registry search."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.registry.search import Found

COMMAND = Command(
    "search",
    "[OPTIONS] [REGISTRY/]TERM",
    "Search Docker Hub, or another registry, for images",
    (
        ("filter", "f", "filter", "Filter output based on conditions provided"),
        ("format", "", "string", "Pretty-print search using a Go template"),
        ("limit", "", "int", "Max number of search results", 0),
        ("no-trunc", "", "bool", "Don't truncate output"),
    ),
    min_args=1,
    max_args=1,
)

HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
_DEFAULT = ("Name", "Description", "StarCount", "IsOfficial")
_MOST = 100
_SHORT = 45
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def main(engine: Engine, options: Options) -> int:
    """Docker's table, or each repository by a template."""
    from pod.core.registry import search

    limit = options["limit"] or 25
    if not 1 <= limit <= _MOST:
        raise _refused(f"limit {limit} is outside the range of [1, {_MOST}]")
    stars, official, automated = _conditions(options["filter"])
    found = [
        one
        for one in search.search(engine, options.args[0], limit)
        if one.stars >= stars and official in (None, one.official) and not automated
    ]
    format = options["format"]
    rows = [_row(one, whole=options["no-trunc"], words=format == "json") for one in found]
    if format in ("", "table"):
        output.table([HEADERS[name] for name in _DEFAULT], [[row[name] for name in _DEFAULT] for row in rows])
    else:
        output.format_rows(format, HEADERS, rows)
    return 0


def _conditions(filters: list[str]) -> tuple[int, bool | None, bool]:
    """(least stars, official or not or either, whether only automated ones, of which there are none any more)."""
    stars, official, automated = 0, None, False
    for text in filters:
        name, _, value = text.partition("=")
        if name == "stars" and value.isascii() and value.isdigit():
            stars = max(stars, int(value[:9]))
        elif name == "is-official" and value in _TRUE + _FALSE:
            official = value in _TRUE
        elif name == "is-automated" and value in _TRUE + _FALSE:
            automated = value in _TRUE
        elif name in ("stars", "is-official", "is-automated"):
            raise _refused(f"invalid filter '{text}'")
        else:
            raise _refused(f"invalid filter '{name}'")
    return stars, official, automated


def _refused(text: str) -> UsageError:
    error = UsageError(text)
    error.exit_code = 1  # As Docker's.
    return error


def _row(one: Found, *, whole: bool, words: bool) -> dict[str, Any]:
    text = one.description.replace("\r", " ").replace("\n", " ")
    if not whole and len(text) > _SHORT:
        text = text[: _SHORT - 1] + "…"
    official = ("true" if one.official else "false") if words else "[OK]" if one.official else ""
    return {
        "Name": one.name,
        "Description": text,
        "StarCount": str(one.stars),
        "IsOfficial": official,
        "IsAutomated": "false" if words else "",
    }
