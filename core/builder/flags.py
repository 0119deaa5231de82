"""Flags of instructions: which there are, how often, of which kind. Source: buildkit instructions/bflag (behaviour)."""

from __future__ import annotations

from pod.core.builder.dockerfile import fitting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.builder.dockerfile import Instruction

TRUTH = "truth"
TEXT = "text"
TEXTS = "texts"


class Flags:
    """The flags of one instruction, checked against ``kinds`` (name: TRUTH, TEXT or TEXTS). BuildFailed."""

    __slots__ = ("_found", "_instruction", "_kinds")

    def __init__(self, instruction: Instruction, kinds: dict[str, str]) -> None:
        self._instruction = instruction
        self._kinds = kinds
        self._found: dict[str, list[str]] = {}
        for name, value in instruction.flags:
            kind = kinds.get(name)
            if kind is None:
                raise instruction.failed(f"unknown flag: --{name[:100]}{fitting(name, kinds)}")
            if name in self._found and kind != TEXTS:
                raise instruction.failed(f"duplicate flag specified: --{name}")
            if (value is None and kind != TRUTH) or (value == "" and kind == TRUTH):
                raise instruction.failed(f"missing a value on flag: --{name}")
            if kind == TRUTH and (value or "true").lower() not in ("true", "false"):
                raise instruction.failed(f"expecting boolean value for flag --{name}, not: {value}")
            self._found.setdefault(name, []).append("true" if value is None else value)

    def text(self, name: str) -> str:
        """Its value, "" where it is not told."""
        return self._found.get(name, [""])[0]

    def texts(self, name: str) -> list[str]:
        """Its values in order."""
        return self._found.get(name, [])

    def truth(self, name: str) -> bool | None:
        """Whether it is on; None where it is not told."""
        return self._found[name][0].lower() == "true" if name in self._found else None
