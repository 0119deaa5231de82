"""What instructions of a Dockerfile ask for: one class each, data alone. Made by instructions.py and expanding.py.

Texts are as written until expanding.expanded has replaced the variables in them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from pod.core.builder.dockerfile import Heredoc

    Pairs = list[tuple[str, str]]
    OptionalPairs = list[tuple[str, Optional[str]]]


class Operation:
    """The base of all; ``keyword`` is the instruction's name in capitals."""

    __slots__ = ()
    keyword = ""


class From(Operation):
    """``name`` is what AS says, in lower case, or ""; ``platform`` is "" where none is told."""

    __slots__ = ("image", "name", "platform")
    keyword = "FROM"

    def __init__(self, image: str, platform: str = "", name: str = "") -> None:
        self.image = image
        self.platform = platform
        self.name = name


class RunMount:
    """RUN --mount. ``written`` is the flag's value; ``pending``: some field waits for its variables.

    ``kind`` bind, cache, tmpfs, secret or ssh; ``source`` "" for the whole of ``origin`` (a stage, an image, a named
    context; "" for the build context or, of a cache, for nothing); ``target`` may be relative to the working directory.
    ``size`` in bytes, 0 for no limit; ``mode``, ``uid``, ``gid`` are None where they are not told.
    """

    __slots__ = (
        "env", "gid", "id", "kind", "mode", "origin", "pending", "readonly", "required", "sharing", "size", "source",
        "target", "uid", "written",
    )  # fmt: skip

    def __init__(self, written: str) -> None:
        self.written = written
        self.pending = False
        self.kind = "bind"
        self.origin = self.source = self.target = self.id = self.sharing = self.env = ""
        self.readonly = self.required = False
        self.size = 0
        self.mode: int | None = None
        self.uid: int | None = None
        self.gid: int | None = None


class Run(Operation):
    """``shell``: ``script`` is for the stage's SHELL, else ``argv`` is the command.

    A heredoc alone is the script itself, or with "#!" the program ``program``, which a read-only file
    /dev/pipes/NAME (mode 0755) holds; other heredocs are in the script for the shell to read.
    """

    __slots__ = ("argv", "heredocs", "mounts", "network", "program", "script", "security", "shell")
    keyword = "RUN"

    def __init__(self, argv: list[str] | None, script: str, heredocs: list[Heredoc]) -> None:
        self.shell = argv is None
        self.argv = argv or []
        self.script = script
        self.heredocs = heredocs
        self.program: Heredoc | None = None
        self.mounts: list[RunMount] = []
        self.network = "default"
        self.security = "sandbox"


class Copy(Operation):
    """``sources`` besides ``inline`` (heredocs: files of that name); ``from_`` is a stage, its number, an image, a
    named context or ""; ``chown`` and ``chmod`` are "" where they are not told.
    """

    __slots__ = ("chmod", "chown", "exclude", "from_", "inline", "link", "parents", "sources", "target")
    keyword = "COPY"

    def __init__(self, sources: list[str], target: str, inline: list[Heredoc]) -> None:
        self.sources = sources
        self.target = target
        self.inline = inline
        self.from_ = self.chown = self.chmod = ""
        self.link = self.parents = False
        self.exclude: list[str] = []


class Add(Copy):
    """``unpack`` is None where it is not told: archives of the context are unpacked, downloads are not."""

    __slots__ = ("checksum", "keep_git_dir", "unpack")
    keyword = "ADD"

    def __init__(self, sources: list[str], target: str, inline: list[Heredoc]) -> None:
        super().__init__(sources, target, inline)
        self.checksum = ""
        self.keep_git_dir = False
        self.unpack: bool | None = None


class Env(Operation):
    """``old``: of the form ``ENV name value``."""

    __slots__ = ("old", "pairs")
    keyword = "ENV"

    def __init__(self, pairs: Pairs, old: bool = False) -> None:
        self.pairs = pairs
        self.old = old


class Label(Operation):
    """``old``: of the form ``LABEL name value``."""

    __slots__ = ("old", "pairs")
    keyword = "LABEL"

    def __init__(self, pairs: Pairs, old: bool = False) -> None:
        self.pairs = pairs
        self.old = old


class Arg(Operation):
    """Names and their defaults; None for a name alone."""

    __slots__ = ("pairs",)
    keyword = "ARG"

    def __init__(self, pairs: OptionalPairs) -> None:
        self.pairs = pairs


class Cmd(Operation):
    """``shell``: ``argv`` is one text for the stage's SHELL."""

    __slots__ = ("argv", "shell")
    keyword = "CMD"

    def __init__(self, argv: list[str], shell: bool) -> None:
        self.argv = argv
        self.shell = shell


class Entrypoint(Cmd):
    """The same; an empty ``argv`` takes the base's away."""

    __slots__ = ()
    keyword = "ENTRYPOINT"


class Shell(Operation):
    """What shell forms go to."""

    __slots__ = ("argv",)
    keyword = "SHELL"

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv


class Healthcheck(Operation):
    """``test`` is ["NONE"], ["CMD", …] or ["CMD-SHELL", text]; times in nanoseconds, 0 where they are not told."""

    __slots__ = ("interval", "retries", "start_interval", "start_period", "test", "timeout")
    keyword = "HEALTHCHECK"

    def __init__(self, test: list[str]) -> None:
        self.test = test
        self.interval = self.timeout = self.start_period = self.start_interval = self.retries = 0


class Expose(Operation):
    """Ports as written; expanded "80/tcp" each, ranges one by one."""

    __slots__ = ("ports",)
    keyword = "EXPOSE"

    def __init__(self, ports: list[str]) -> None:
        self.ports = ports


class Volume(Operation):
    """Mount points."""

    __slots__ = ("paths",)
    keyword = "VOLUME"

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths


class _Text(Operation):
    """An operation that is one text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class User(_Text):
    """``user[:group]``, names or ids."""

    __slots__ = ()
    keyword = "USER"


class Workdir(_Text):
    """A path, maybe relative to the one before."""

    __slots__ = ()
    keyword = "WORKDIR"


class Stopsignal(_Text):
    """A name or number of a signal."""

    __slots__ = ()
    keyword = "STOPSIGNAL"


class Maintainer(_Text):
    """The image's author."""

    __slots__ = ()
    keyword = "MAINTAINER"


class Onbuild(_Text):
    """``text`` is the trigger with its heredocs, as an image's OnBuild holds it; ``inner`` what it asks for."""

    __slots__ = ("inner",)
    keyword = "ONBUILD"

    def __init__(self, text: str, inner: Operation) -> None:
        super().__init__(text)
        self.inner = inner
