"""How the C core's failures reach Python."""

from __future__ import annotations

import os


class StepError(OSError):
    """A step of the C core failed.

    ``errno`` is the system call's (or the nearest one; 0 where none was at fault), ``step`` the stable name of the row
    in ext/src/core/steps.h ("TAR_PATH"), ``path`` what it happened to ("" where nothing has a name), ``words`` the
    row's words for people ("accept an entry's path"). As OSError's other attributes: ``strerror``, ``filename``.
    """

    def __init__(self, errnum: int, step: str, path: str, words: str) -> None:
        reason = os.strerror(errnum) if errnum else "failed"
        super().__init__(errnum, reason, path or None)
        self.step = step
        self.path = path
        self.words = words

    def __reduce__(self) -> tuple[type[StepError], tuple[int, str, str, str]]:
        return type(self), (self.errno or 0, self.step, self.path, self.words)

    def __str__(self) -> str:
        """ "accept an entry's path: ../x: Invalid cross-device link", ready to stand behind "pod: "."""
        return ": ".join(part for part in (self.words, self.path, self.strerror) if part)
