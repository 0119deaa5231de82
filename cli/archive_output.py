"""-o of ``save`` and ``export``: the whole archive under its name, or nothing; standard output, but no terminal."""

from __future__ import annotations

import contextlib
import sys

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def check(path: str, failure: str) -> None:
    """PodError where nothing can be written at ``path`` ("": standard output); ``failure`` begins the message."""
    from pod.core.image.archive_write import check_output

    if not path:
        if sys.stdout is not None and sys.stdout.isatty():
            raise PodError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        return
    try:
        check_output(path)
    except PodError as error:
        raise PodError(f"{failure}: {error.message}", hint=error.hint) from None


@contextlib.contextmanager
def file(path: str, failure: str) -> Iterator[int]:
    """A descriptor to write the archive to. What ``path`` had before is replaced once all went well."""
    from pod.core.image.archive_write import whole_file

    if not path:
        sys.stdout.flush()
        yield sys.stdout.fileno()
        return
    with whole_file(path, failure) as descriptor:
        yield descriptor
