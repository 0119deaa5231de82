"""``pod exec``: one more process in a running container; this process becomes its client."""

from __future__ import annotations

import os

from pod.cli import prepare
from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine

COMMAND = Command(
    "exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    (
        ("detach", "d", "bool", "Detached mode: run command in the background"),
        ("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        ("env", "e", "list", "Set environment variables"),
        ("env-file", "", "list", "Read in a file of environment variables"),
        ("interactive", "i", "bool", "Keep STDIN open even if not attached"),
        ("privileged", "", "bool", "Give extended privileges to the command"),
        ("tty", "t", "bool", "Allocate a pseudo-TTY"),
        ("user", "u", "string", "Username or UID (format: <name|uid>[:<group|gid>])"),
        ("workdir", "w", "string", "Working directory inside the container"),
    ),
    min_args=2,
    interspersed=False,
    aliases=("pod container exec", "pod exec"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import planning, store
    from pod.core.runtime import launch

    engine = prepare.begin(engine, options)
    container = store.find(engine, options.args[0])
    if not container.is_running or container.state.get("paused") or container.state.get("restarting"):
        from pod.core.container import attach, lifecycle

        container = lifecycle.settle(engine, container)
        attach.check_exec(container)
    attachment = _attachment(engine, options)
    config = container.config["Config"]
    env = list(config["Env"])
    if container.config.get("Networks", {}).get("bridge", {}).get("Links"):
        from pod.core.container import links

        env = links.later(engine, container.config) + env
    if options["tty"] and not any(entry.startswith("TERM=") for entry in env):
        env.append("TERM=xterm")
    if options["env"] or options["env-file"]:
        from pod.cli import run_values

        merged = {entry.partition("=")[0]: entry for entry in env}
        for entry in run_values.environment(options["env-file"], options["env"], engine.environ):
            merged[entry.partition("=")[0]] = entry
        env = list(merged.values())
    workdir = options["workdir"] or config["WorkingDir"] or "/"
    if not workdir.startswith("/"):
        raise UsageError(f"the working directory '{workdir}' is invalid, it needs to be an absolute path")
    process = planning.Process(options.args[1:], env, options["user"] or config["User"], workdir)
    process.interactive = options["interactive"]
    process.tty = options["tty"]
    process.privileged = options["privileged"]
    plan = planning.exec_plan(engine, container.config, container.state, attachment, process)
    launch.become_client(engine, plan)


def _attachment(engine: Engine, options: Options) -> Attachment:
    from pod.core.container import planning

    attachment = planning.Attachment()
    attachment.detach = options["detach"]
    attachment.stdin = options["interactive"]
    attachment.say_detached = True
    if options["tty"] or "detach-keys" in options.given:
        from pod.cli import detach_keys

        attachment.detach_keys = detach_keys.choose(engine, options)
    if options["tty"]:
        from pod.cli.run import window_size

        attachment.winsize = window_size()
        if attachment.stdin and not attachment.detach and not os.isatty(0):
            raise PodError("the input device is not a TTY", hint="leave out -t, or run it where stdin is a terminal")
    return attachment
