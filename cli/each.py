"""Commands that take several names: every one on its own, an error line for each that fails."""

from __future__ import annotations

from pod.cli import output
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Item = TypeVar("Item")


class Said(Exception):
    """It failed, and the reason was told."""


def each(items: Iterable[Item], act: Callable[[Item], str | None]) -> int:
    """Does ``act`` to every one, printing what it returns; goes on after a failure. 1 where one failed."""
    status = 0
    for item in items:
        try:
            text = act(item)
            if text is not None:
                output.line(text)
        except Said:
            status = 1
        except PodError as error:
            output.error(error)
            status = 1
    return status
