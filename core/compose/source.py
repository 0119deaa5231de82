"""Where a part of the model comes from: files with the lines of their keys, for errors that name them."""

from __future__ import annotations

from pod.core.errors import ComposeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.document import Document

    Path = tuple[str, ...]

MOST_FILES = 200
MOST_TOTAL = 8 << 20
"""Files of one project, and their bytes, with those that they name."""


class Source:
    """All files that were read for one project; ``fail`` words an error with the place that fits a path best."""

    __slots__ = ("bytes", "count", "documents", "warnings")

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.warnings: list[str] = []
        self.count = self.bytes = 0

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def warn_unset(self, name: str) -> None:
        self.warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    def add(self, document: Document) -> None:
        """The document that errors are looked up in first from now on."""
        if document in self.documents:
            self.documents.remove(document)
        self.documents.append(document)

    def counted(self, name: str, size: int) -> None:
        """One more file of that many bytes."""
        self.count += 1
        self.bytes += size
        if self.count > MOST_FILES or self.bytes > MOST_TOTAL:
            raise ComposeError(
                f"a project is more than {MOST_FILES} files or {MOST_TOTAL >> 20} MiB with this one", file=name
            )

    def place(self, path: Path) -> tuple[str, int]:
        """File and line of the key at ``path``, or of the nearest key above it that some file has."""
        for length in range(len(path), 0, -1):
            for document in reversed(self.documents):
                line = document.lines.get(path[:length])
                if line:
                    return document.file, line
        return (self.documents[-1].file, 1) if self.documents else ("", 0)

    def fail(self, message: str, path: Path = (), hint: str | None = None) -> ComposeError:
        file, line = self.place(path)
        return ComposeError(message, file=file, line=line, path=".".join(path), hint=hint)
