"""``pod login``: a login that the registry takes, kept for later; docker/cli: registry login."""

from __future__ import annotations

import os

from pod.cli import output, prompt
from pod.cli.options import Command, Options
from pod.core.errors import PodError, RegistryError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.registry.credentials import Credentials

COMMAND = Command(
    "login",
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry",
    (
        ("password", "p", "string", "Password or Personal Access Token (PAT)"),
        ("password-stdin", "", "bool", "Take the Password or Personal Access Token (PAT) from stdin"),
        ("username", "u", "string", "Username"),
    ),
    max_args=1,
)

_MAX_PASSWORD = 64 << 10


def main(engine: Engine, options: Options) -> int:
    """Tries, keeps, says "Login Succeeded"."""
    from pod.core.registry import credentials as logins
    from pod.core.registry import login

    user, password = _given(options)
    host = login.server(options.args[0] if options.args else "")
    if not user and not password:
        known = logins.find(host, "", engine.environ)
        if known is not None:
            output.line("Authenticating with existing credentials...")
            try:
                login.verify(engine, host, known)
            except RegistryError as error:
                if not prompt.on_terminal():
                    raise
                output.warning(f"Login did not succeed, error: {error.message}")
                user = known.user
            else:
                output.line("Login Succeeded")
                return 0
    made = _asked(user, password, user if not options["username"] else "")
    login.verify(engine, host, made)
    path, helper = login.keep(engine, host, made)
    if not helper:
        output.warning(f"Your credentials are stored unencrypted in '{path}'.")
    output.line("Login Succeeded")
    return 0


def _given(options: Options) -> tuple[str, str]:
    """User and password of flags and standard input, in Docker's order of checks and its words."""
    user, password = options["username"], options["password"]
    if password and options["password-stdin"]:
        raise _refused("conflicting options: cannot specify both --password and --password-stdin")
    if "password" in options.given:
        output.warning("Using --password via the CLI is insecure. Use --password-stdin.")
    if options["password-stdin"]:
        if not user:
            raise _refused("the --password-stdin option requires --username to be set")
        password = _from_stdin()
        if not password:
            raise PodError("read password: standard input has none")
    return user, password


def _refused(text: str) -> UsageError:
    error = UsageError(text)
    error.exit_code = 1  # As Docker's.
    return error


def _from_stdin() -> str:
    data = b""
    while len(data) <= _MAX_PASSWORD:
        some = os.read(0, _MAX_PASSWORD + 1 - len(data))
        if not some:
            try:
                return data.removesuffix(b"\n").removesuffix(b"\r").decode()
            except UnicodeDecodeError:
                raise PodError("read password: standard input is not UTF-8") from None
        data += some
    raise PodError(f"read password: standard input has more than {_MAX_PASSWORD} bytes")


def _asked(user: str, password: str, before: str) -> Credentials:
    """What was not given is asked for; ``before``: the user that Enter alone stands for."""
    from pod.core.registry.credentials import Credentials

    if (not user or before or not password) and not prompt.on_terminal():
        text = "cannot perform an interactive login from a non-TTY device"
        raise PodError(text, hint="pod login -u USER --password-stdin < FILE")
    if not user or before:
        user = prompt.ask(f"Username ({before}): " if before else "Username: ").strip() or before
    if not user:
        raise PodError("username is required")
    if ":" in user:
        raise PodError("a user's name cannot have a colon", hint="Basic logins (RFC 7617) end the name there")
    if not password:
        password = prompt.ask("Password: ", hidden=True)
    if not password:
        raise PodError("password is required")
    return Credentials(user, password)
