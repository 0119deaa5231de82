"""Rules that hold at places of a compose document: ``services.*.ports.[]``: pure.

A place is a path of keys, with ``[]`` for any item of a list. Rules are kept as a tree, which is walked down together
with the document, so that a part of it that no rule is about costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Nodes = list[dict[str, Any]]

ITEM = "[]"
_RULE = ""


class Rules:
    """``rules`` is a table of patterns, each with what holds there."""

    __slots__ = ("start",)

    def __init__(self, rules: Mapping[str, Any]) -> None:
        root: dict[str, Any] = {}
        for pattern, rule in rules.items():
            node = root
            for part in pattern.split("."):
                node = node.setdefault(part, {})
            node[_RULE] = rule
        self.start: Nodes = [root]


def step(nodes: Nodes, key: str) -> Nodes:
    """Where the walk stands one key further down; [] where no rule can hold any more."""
    out = []
    for node in nodes:
        if key and key in node and key != "*":
            out.append(node[key])
        if "*" in node:
            out.append(node["*"])
    return out


def rule(nodes: Nodes) -> Any:
    """What holds here, or None."""
    for node in nodes:
        if _RULE in node:
            return node[_RULE]
    return None


def at(nodes: Nodes, *keys: str) -> Nodes:
    """:func:`step`, several keys down."""
    for key in keys:
        nodes = step(nodes, key)
    return nodes
