"""``pod run``: create, then become the client of the started container."""

from __future__ import annotations

import os

from pod.cli import prepare, run_flags
from pod.cli.options import Command
from pod.core.errors import NoSuchImage, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine
    from pod.core.image.store import Image

COMMAND = Command(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    run_flags.RUN,
    min_args=1,
    interspersed=False,
    aliases=("pod container run", "pod run"),
    spellings=run_flags.SPELLINGS,
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import lifecycle

    engine = prepare.begin(engine, options, named=bool(options["name"]))
    attachment = make_attachment(options)
    if options["tty"]:
        from pod.cli import detach_keys

        attachment.detach_keys = detach_keys.choose(engine, options)
    container = create_container(engine, options, to_run=True)
    if attachment.detach:
        attachment.printed = container.id + "\n"
    lifecycle.start(engine, container, attachment, fresh=True)


def make_attachment(options: Options) -> Attachment:
    """Streams and terminal of ``run``. UsageError where the flags contradict each other."""
    from pod.core.container import planning

    attachment = planning.Attachment()
    attachment.detach = options["detach"]
    streams = {stream.lower() for stream in options["attach"]}
    for stream in streams - {"stdin", "stdout", "stderr"}:
        raise UsageError(
            f'invalid argument "{stream}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'
        )
    if attachment.detach and streams:
        raise UsageError("conflicting options: cannot specify both --attach and --detach")
    if not streams:
        streams = {"stdout", "stderr"} | ({"stdin"} if options["interactive"] else set())
    attachment.stdin = "stdin" in streams and options["interactive"]
    attachment.stdout = "stdout" in streams
    attachment.stderr = "stderr" in streams
    attachment.sig_proxy = options["sig-proxy"]
    if "detach-keys" in options.given:
        from pod.cli import detach_keys

        attachment.detach_keys = detach_keys.parse(options["detach-keys"])
    if options["tty"]:
        attachment.winsize = window_size()
        if attachment.stdin and not attachment.detach and not os.isatty(0):
            raise UsageError("the input device is not a TTY", hint="leave out -t, or run it where stdin is a terminal")
    return attachment


def window_size() -> tuple[int, int]:
    """(rows, columns) of the caller's terminal, (0, 0) without one."""
    for fd in (0, 1, 2):
        try:
            size = os.get_terminal_size(fd)
            return size.lines, size.columns
        except OSError:
            continue
    return 0, 0


def create_container(engine: Engine, options: Options, *, to_run: bool = False) -> Container:
    """What ``run`` and ``create`` share: the image, pulled where it must be, and the record."""
    from pod.cli import run_request
    from pod.core import host
    from pod.core.container import lifecycle

    if to_run:
        host.require_userns(engine)  # before an image is pulled for nothing
    request = run_request.make_request(engine, options)
    if to_run:
        host.require_network(engine, request.network)
    image = find_image(engine, options.args[0], options)
    request.command = options.args[1:]
    cidfile = options["cidfile"]
    if cidfile and os.path.lexists(cidfile):
        raise UsageError(f"container ID file found, make sure the other container isn't running or delete {cidfile}")
    container = lifecycle.create(engine, request, image, to_run=to_run)
    if cidfile:
        try:
            fd = os.open(cidfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            os.write(fd, container.id.encode())
            os.close(fd)
        except OSError as error:
            lifecycle.delete(engine, container, volumes=True)
            raise UsageError(f"failed to create the container ID file: {cidfile}: {error.strerror}") from None
    return container


def find_image(engine: Engine, name: str, options: Options) -> Image:
    """The image, by --pull's policy: missing (the default), always, never."""
    from pod.core.image import store

    policy = options["pull"] or "missing"
    if policy not in ("missing", "always", "never"):
        raise UsageError(f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"')
    platform = options["platform"]
    if policy != "always" and not platform:
        try:
            return store.resolve(engine, name)
        except NoSuchImage:
            if policy == "never":
                raise
    from pod.core.image import pull

    if policy == "missing" and not options["quiet"] and not platform:
        from pod.core.oci import reference

        engine.progress("not-local", {"name": reference.parse(name).with_default_tag().familiar()})
    return pull.pull(engine, name, platform=platform or None, policy=policy)
