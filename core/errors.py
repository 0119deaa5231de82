"""The exception tree of pod. Library code raises these; cli/main decides what the user sees.

    PodError                          exit 1
    ├── UsageError                    exit 125   bad flags or arguments
    ├── NotFound
    │   ├── NoSuchImage  NoSuchContainer  NoSuchVolume  NoSuchNetwork
    ├── Conflict
    │   ├── NameInUse  StillRunning  ImageInUse
    ├── InvalidReference
    ├── RegistryError
    │   ├── Unauthorized  ManifestUnknown  DigestMismatch  Unreachable
    ├── HostUnsupported               the host lacks something; the hint names what would give it
    ├── StoreCorrupt
    ├── Busy
    ├── BuildFailed(shown, line)      a Dockerfile, or one step of it
    ├── ComposeError(file, line, path)  a compose file, or what it names
    ├── ConfigError(file)
    └── LaunchFailed(step, errno, path)   exit 125, 126 or 127 by (step, errno)

Text convention: ``message`` is "what failed: object: reason" in lower case without a full stop; ``hint`` says what
to do about it. cli/main prints ``pod: <message>`` and then ``hint: <hint>``.
"""

from __future__ import annotations


class PodError(Exception):
    """An expected failure with one clear line for the user.

    ``exit_code`` is the process status a command ends with when this error reaches cli/main; ``run`` and ``create``
    turn 1 into 125, as Docker does.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PodError):
    """Bad flags or arguments (docker/cli: status 125)."""

    exit_code = 125


class NotFound(PodError):
    """The named object does not exist."""


class NoSuchImage(NotFound):
    """No image of that name or id in the store."""


class NoSuchContainer(NotFound):
    """No container of that name or id prefix."""


class NoSuchVolume(NotFound):
    """No volume of that name."""


class NoSuchNetwork(NotFound):
    """No network of that name."""


class Conflict(PodError):
    """The object's state forbids the action."""


class NameInUse(Conflict):
    """Another object carries that name."""


class StillRunning(Conflict):
    """The container must be stopped first."""


class ImageInUse(Conflict):
    """A container or another name still needs the image."""


class InvalidReference(PodError):
    """An image reference that Docker's grammar does not accept."""


class RegistryError(PodError):
    """A registry answered in a way that ends the operation."""


class Unauthorized(RegistryError):
    """The registry wants (other) credentials."""


class ManifestUnknown(RegistryError):
    """The registry has no such repository, tag or digest."""


class DigestMismatch(RegistryError):
    """Received bytes are not those that their digest or size names."""


class Unreachable(RegistryError):
    """The registry could not be talked to at all."""


class HostUnsupported(PodError):
    """This host lacks what the request needs."""

    exit_code = 125


class StoreCorrupt(PodError):
    """An object of the store is not what its record says."""


class Busy(PodError):
    """Another process holds the object and did not let go in time."""


class BuildFailed(PodError):
    """A Dockerfile that cannot be built: ``shown`` is its name, ``line`` to ``last`` are its lines (from 1; 0: none).

    ``excerpt`` is the source around them, lines of text as BuildKit shows them, or ""; ``output`` are the last lines of
    a command that failed.
    """

    def __init__(
        self,
        message: str,
        *,
        shown: str = "",
        line: int = 0,
        last: int = 0,
        excerpt: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.shown = shown
        self.line = line
        self.last = last or line
        self.excerpt = excerpt
        self.output: list[str] = []


def _cut(text: str, most: int) -> str:
    """A stranger's text of bounded length."""
    return text if len(text) <= most else text[: most // 2] + "…" + text[-most // 2 :]


class ComposeError(PodError):
    """A compose file that cannot be used: ``path`` is the key ("services.web.ports.0"), ``line`` counts from 1."""

    def __init__(
        self, message: str, *, file: str = "", line: int = 0, path: str = "", hint: str | None = None
    ) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        place = f"{_cut(path, 300)}: " if path else ""
        super().__init__(_cut(where, 400) + place + _cut(message, 900), hint=hint)
        self.file, self.line, self.path = file, line, path


class ConfigError(PodError):
    """A configuration file could not be understood."""

    exit_code = 125


class LaunchFailed(PodError):
    """The supervisor or the container's first process failed at ``step`` (see ext/src/core/steps.h)."""

    def __init__(
        self,
        message: str,
        *,
        step: str,
        errno: int,
        path: str,
        exit_code: int = 125,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.errno = errno
        self.path = path
        self.exit_code = exit_code
