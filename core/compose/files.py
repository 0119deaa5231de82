"""Files that a compose file names, read within bounds: nothing but regular files, and none without end."""

from __future__ import annotations

import os

from pod.core.compose import document, dotenv
from pod.core.errors import ComposeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pod.core.compose.document import Document
    from pod.core.compose.source import Source

MOST_VARIABLES = 1 << 20
"""Bytes of one file of variables."""


def read(path: str, source: Source, most: int = document.MOST_BYTES, *, named: bool = False) -> bytes:
    """A file's bytes. ``named``: by the user, on the command line, where a pipe is as good as a file, and of a bundle
    the document in it is meant.
    """
    import stat

    from pod.core.compose import bundle

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | (0 if named else os.O_NONBLOCK))
    except ValueError:
        raise ComposeError("is no path: it has a NUL in it", file=path.replace("\0", "\\0")) from None
    except OSError as error:
        raise ComposeError(f"cannot be read: {error.strerror}", file=path) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not (named and stat.S_ISFIFO(mode)):
        os.close(descriptor)
        raise ComposeError("is a directory" if stat.S_ISDIR(mode) else "is no regular file", file=path)
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = bundle.document(descriptor, path, most) if named else None
            if data is None:
                data = file.read(most + 1)
        except OSError as error:
            raise ComposeError(f"cannot be read: {error.strerror}", file=path) from None
    if len(data) > most:
        raise ComposeError(f"is larger than {most >> 10} KiB", file=path)
    source.counted(path, len(data))
    return data


def variables(
    paths: Sequence[str], known: Mapping[str, str], source: Source, lookup: Callable[[str], str | None] | None = None
) -> dict[str, str]:
    """Files of variables, a later one over an earlier one."""
    found: dict[str, str] = {}

    def look(name: str) -> str | None:
        value = known.get(name)
        return found.get(name) if value is None else value

    for path in paths:
        text = read(path, source, MOST_VARIABLES).decode("utf-8", "surrogateescape")
        found.update(dotenv.parse(text, path, lookup or look, source.warn_unset))
    return found


def service_variables(
    path: str, form: str | None, lookup: Callable[[str], str | None], source: Source
) -> dict[str, str]:
    """One file of env_file, in its format."""
    text = read(path, source, MOST_VARIABLES).decode("utf-8", "surrogateescape")
    if form == "raw":
        return dotenv.raw(text, path)
    if form:
        raise ComposeError(f"unsupported env_file format {form!r} of {path}", hint="there is `raw`, or none")
    return dotenv.parse(text, path, lookup, source.warn_unset)


def documents(path: str, source: Source, given: bytes | None = None, *, named: bool = False) -> list[Document]:
    """Every document of a compose file."""
    found = document.read(read(path, source, named=named) if given is None else given, path)
    for one in found:
        if one.data is not None and not isinstance(one.data, dict):
            raise ComposeError("expected a mapping at the top", file=path, line=1)
    return [one for one in found if one.data is not None]
