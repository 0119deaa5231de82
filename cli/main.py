"""The entry of the command line: finds the command's module, imports that one alone, words every failure.

    pod [global flags] COMMAND [flags] [arguments]

A command's module has ``COMMAND`` (cli/options.py) and ``main(engine, options) -> int``. A group's module (container,
image, system) has ``COMMAND`` and ``COMMANDS: dict[name, (module, summary, leading arguments)]``, where an empty
summary marks another spelling that --help does not list.

Exit codes as docker/cli: 125 for flags that cannot be read and for every failure of run and create, 1 for the others,
130 after SIGINT, 141 when the reader of our output went away.
"""

from __future__ import annotations

import _signal  # what "signal" is made of, without its enumerations: every start comes here
import os
import sys

from pod.cli.options import Command, Options, parse
from pod.core.engine import Engine
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence
    from types import ModuleType
    from typing import Any

COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run", "Create and run a new container from an image", "common"),
    "exec": ("exec", "Execute a command in a running container", "common"),
    "ps": ("ps", "List containers", "common"),
    "build": ("build", "Build an image from a Dockerfile", "common"),
    "pull": ("pull", "Download an image from a registry", "common"),
    "push": ("push", "Upload an image to a registry", "common"),
    "images": ("images", "List images", "common"),
    "version": ("version", "Show the version of pod and of what it is made with", "common"),
    "info": ("info", "Display what pod found on this host and in its store", "common"),
    "doctor": ("doctor", "Check what this host allows, and say how to allow more", "common"),
    "compose": ("compose", "Whole applications from one file", "group"),
    "builder": ("builder", "Manage builds", "group"),
    "buildx": ("buildx", "Builds, under the name of Docker's plugin", "group"),
    "container": ("container", "Manage containers", "group"),
    "image": ("image", "Manage images", "group"),
    "manifest": ("manifest", "Manage image manifests and manifest lists", "group"),
    "network": ("network", "Manage networks", "group"),
    "system": ("system", "Manage pod", "group"),
    "volume": ("volume", "Manage volumes", "group"),
    "attach": ("attach", "Attach local standard input, output, and error streams to a running container", ""),
    "commit": ("commit", "Create a new image from a container's changes", ""),
    "completion": ("completion", "Print the script that teaches a shell to complete pod's command lines", ""),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem", ""),
    "create": ("create", "Create a new container", ""),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem", ""),
    "events": ("events", "Get real time events from the store", ""),
    "export": ("export", "Export a container's filesystem as a tar archive", ""),
    "history": ("history", "Show the history of an image", ""),
    "import": ("image_import", "Import the contents from a tarball to create a filesystem image", ""),
    "inspect": ("inspect", "Return low-level information on pod's objects", ""),
    "kill": ("kill", "Kill one or more running containers", ""),
    "load": ("load", "Load an image from a tar archive or STDIN", ""),
    "login": ("login", "Authenticate to a registry", ""),
    "logout": ("logout", "Log out from a registry", ""),
    "logs": ("logs", "Fetch the logs of a container", ""),
    "port": ("port", "List port mappings or a specific mapping for the container", ""),
    "pause": ("pause", "Pause all processes within one or more containers", ""),
    "rename": ("rename", "Rename a container", ""),
    "restart": ("restart", "Restart one or more containers", ""),
    "rm": ("rm", "Remove one or more containers", ""),
    "rmi": ("rmi", "Remove one or more images", ""),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)", ""),
    "search": ("search", "Search Docker Hub, or another registry, for images", ""),
    "start": ("start", "Start one or more stopped containers", ""),
    "stop": ("stop", "Stop one or more running containers", ""),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", ""),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics", ""),
    "top": ("top", "Display the running processes of a container", ""),
    "unpause": ("unpause", "Unpause all processes within one or more containers", ""),
    "update": ("update", "Update configuration of one or more containers", ""),
    "wait": ("wait", "Block until one or more containers stop, then print their exit codes", ""),
    "node": ("refused", "", "hidden"),
    "service": ("refused", "", "hidden"),
    "stack": ("refused", "", "hidden"),
    "swarm": ("refused", "", "hidden"),
    "__complete": ("complete", "", "hidden"),
    "__explain": ("explain", "", "hidden"),
}
"""Name to (module in pod.cli, summary, section of --help)."""

LATER = (
    " config context plugin secret trust "
)
"""Docker's commands that this version does not have."""

GLOBAL = Command(
    "",
    "[OPTIONS] COMMAND",
    "A rootless container engine in one file",
    (
        ("config", "", "string", "Location of Docker's client config files (credentials)", None),
        ("context", "c", "string", "", None, True),
        ("debug", "D", "bool", "Show tracebacks", None),
        ("host", "H", "list", "", None, True),
        ("log-level", "l", "string", 'Set the logging level ("debug", "info", "warn", "error", "fatal")', "info"),
        ("root", "", "string", "Directory of the store (images, containers, volumes)", None),
        ("tls", "", "bool", "", None, True),
        ("tlscacert", "", "string", "", None, True),
        ("tlscert", "", "string", "", None, True),
        ("tlskey", "", "string", "", None, True),
        ("tlsverify", "", "bool", "", None, True),
        ("version", "v", "bool", "Print version information and quit", None),
    ),
    interspersed=False,
    path="pod",
)

_LEVELS = ("debug", "info", "warn", "warning", "error", "fatal", "panic", "trace")


class _Invocation:
    """What the global flags said, and how far we came, for the wording of failures."""

    __slots__ = ("config", "debug", "interrupted", "name", "quiet", "root")

    def __init__(self) -> None:
        self.debug = False
        self.interrupted = False
        self.quiet = False
        self.root: str | None = None
        self.config = ""
        self.name = ""

    def watch(self) -> None:
        """Notes a SIGINT: one that comes while C imports a module is an ImportError there."""
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True
        raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the process' exit status. Words every failure itself; raises nothing."""
    invocation = _Invocation()
    _fill_stdio()
    os.umask(os.umask(0o077) & 0o077)  # an umask like 0777 must not keep us from what we make ourselves
    invocation.watch()
    try:
        status = _dispatch(list(sys.argv[1:] if argv is None else argv), invocation)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except PodError as error:
        if invocation.debug:
            _traceback()
        return _fail(invocation, error, error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_stdout()
        return 141
    except Exception as error:  # noqa: BLE001 - the last resort: one line instead of a traceback
        if invocation.debug:
            _traceback()
        return 130 if invocation.interrupted else _fail(invocation, _unexpected(invocation, error), 1)


def _fill_stdio() -> None:
    """Where the caller has closed 0, 1 or 2, the next file opened (a record, a lock) would get its bytes."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)


def _dispatch(argv: list[str], invocation: _Invocation) -> int:
    if argv and argv[0][:1] == "-":
        options = parse(GLOBAL, argv)
        argv = options.args
        if options["help"] or options["version"]:
            return _top_level(options["help"])
        _apply(options.values, options.given, invocation)
    if not argv:
        return _help([], sys.stderr)
    name, rest = argv[0], argv[1:]
    if name == "help":
        return _help(rest, sys.stdout)
    group: Options | None = None
    if name == "compose":
        group, rest = load("compose").begin(rest)
    module, path, rest = find(name, rest)
    invocation.name = path
    command: Command = module.COMMAND
    if hasattr(module, "COMMANDS"):
        return _group(module, path, rest)
    options = _parse(command, rest, path)
    options.group = group
    if options["help"]:
        from pod.cli import help as help_pages

        return help_pages.show(command, "pod " + path)
    environ: MutableMapping[str, str] = os.environ
    if invocation.config:
        environ = {**environ, "DOCKER_CONFIG": os.path.abspath(invocation.config)}
    engine = Engine(environ, root=invocation.root, progress=_Progress(path, invocation.quiet))
    return int(module.main(engine, options))


def _parse(command: Command, argv: list[str], path: str) -> Options:
    """parse, with a better hint for a global flag that came too late."""
    try:
        return parse(command, argv, path="pod " + path)
    except UsageError as error:
        flag = error.message.removeprefix("unknown flag: --")
        if flag != error.message and any(row[0] == flag for row in GLOBAL.flags):
            error.hint = f"global flags go before the command: pod --{flag} {path} …"
        raise


def find(name: str, rest: list[str]) -> tuple[ModuleType, str, list[str]]:
    """The module of ``pod NAME REST…``, with the path of the command ("image ls") and what is left of its arguments.

    UsageError for a command that does not exist. For a group without a command in it: the group's own module.
    """
    entry = COMMANDS.get(name)
    if entry is None:
        raise _unknown(name, "pod", tuple(n for n, e in COMMANDS.items() if e[2] != "hidden"))
    module = load(entry[0])
    if entry[0] == "refused":
        return module, name, []
    table: dict[str, tuple[str, ...]] | None = getattr(module, "COMMANDS", None)
    if table is None or not rest or rest[0][:1] == "-":
        return module, name, rest
    sub = table.get(rest[0])
    if sub is None:
        raise _unknown(f"{name} {rest[0]}", f"pod {name}", tuple(table))
    leading = list(sub[2]) if len(sub) > 2 else []
    return load(sub[0]), f"{name} {rest[0]}", leading + rest[1:]


def load(name: str) -> ModuleType:
    full = "pod.cli." + name
    __import__(full)
    return sys.modules[full]


def _group(module: ModuleType, path: str, rest: list[str]) -> int:
    """A group by itself: its help; on stderr unless it was asked for."""
    from pod.cli import help as help_pages

    options = parse(module.COMMAND, rest, path="pod " + path)
    return help_pages.show_group(module.COMMAND, module.COMMANDS, sys.stdout if options["help"] else sys.stderr)


def _help(words: list[str], stream: Any) -> int:
    from pod.cli import help as help_pages

    if not words:
        return help_pages.show_top(GLOBAL, COMMANDS, stream)
    module, path, _ = find(words[0], words[1:])
    if hasattr(module, "COMMANDS"):
        return help_pages.show_group(module.COMMAND, module.COMMANDS, stream)
    return help_pages.show(module.COMMAND, "pod " + path)


def _top_level(want_help: bool) -> int:
    if want_help:
        return _help([], sys.stdout)
    from pod.cli import version

    return version.short()


def _apply(values: dict[str, Any], given: set[str], invocation: _Invocation) -> None:
    """Global flags; those that choose a daemon are refused, for there is none to choose."""
    for name in ("host", "tls", "tlscacert", "tlscert", "tlskey", "tlsverify", "context"):
        if name in given and values[name] not in (False, "", "default"):
            raise UsageError(f"--{name}: pod has no daemon to connect to", hint=f"leave out --{name}")
    level = values["log-level"]
    if level not in _LEVELS:
        raise UsageError(f"unable to parse logging level: {level}", hint="use debug, info, warn, error or fatal")
    invocation.debug = values["debug"] or level in ("debug", "trace")
    invocation.quiet = level in ("error", "fatal", "panic")
    invocation.root = values["root"] or None
    invocation.config = values["config"]


class _Progress:
    """The engine's callback; cli/progress is imported when there is something to show."""

    __slots__ = ("_path", "_quiet", "_view")

    def __init__(self, path: str, quiet: bool) -> None:
        self._path = path
        self._quiet = quiet
        self._view: Any = None

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        if self._view is None:
            from pod.cli import progress

            self._view = progress.for_command(self._path, quiet=self._quiet)
        self._view(event, fields)


def _unknown(name: str, path: str, known: tuple[str, ...]) -> UsageError:
    """Docker's words and its status 1 for a command that does not exist."""
    if f" {name} " in LATER:
        error = UsageError(f"'{name}' is not there yet in this version", hint="'pod --help' lists what is")
    else:
        import difflib

        near = difflib.get_close_matches(name.rpartition(" ")[2], known, 1, 0.6)
        guess = f" (did you mean '{near[0]}'?)" if near else ""
        error = UsageError(f"'{name}' is not a pod command.", hint=f"See '{path} --help'{guess}")
    error.exit_code = 1
    return error


def _fail(invocation: _Invocation, error: PodError, status: int) -> int:
    from pod.cli import output

    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_stdout()
    output.error(error)
    creates = invocation.name.removeprefix("container ") in ("run", "create")
    if status == 1 and creates and not isinstance(error, UsageError):
        return 125
    return status


ENOMEM, EMFILE, EFBIG, ENOSPC, EROFS, EDQUOT = 12, 24, 27, 28, 30, 122

_FULL = "free some space there ('pod rm' and 'pod rmi' work), or set POD_ROOT to a larger file system"

_LIMITS = {
    EMFILE: "more descriptors are needed: 'ulimit -n 64' is enough",
    EFBIG: "a limit on the size of files is too low: 'ulimit -f'",
    ENOSPC: _FULL,
    EDQUOT: _FULL,
    EROFS: "set POD_ROOT (or --root) to a folder that you can write",
    ENOMEM: "a limit on memory is too low: 'ulimit -v'",
}
"""What a user can do about an errno, whoever met it."""


def _unexpected(invocation: _Invocation, error: Exception) -> PodError:
    again = f"'pod --debug {invocation.name} …' shows the traceback"
    if isinstance(error, OSError) and error.errno:
        where = f"{error.filename}: " if error.filename else ""
        return PodError(f"{invocation.name or 'start'}: {where}{error.strerror}", hint=_LIMITS.get(error.errno, again))
    text = str(error).partition("\n")[0]
    return PodError(
        f"{invocation.name or 'start'}: {type(error).__name__}{': ' if text else ''}{text}: this is a bug in pod",
        hint=f"{again}; please report it",
    )


def _traceback() -> None:
    import traceback

    traceback.print_exc()


def _drop_stdout() -> None:
    """After EPIPE: what is still buffered goes nowhere, and the interpreter's last flush does not complain."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 1)
    os.close(null)
