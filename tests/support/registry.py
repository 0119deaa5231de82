"""docker-registry (Debian's package) as a child process on a free loopback port."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

from tests.support import tools
from tests.support.tokens import TokenService

_LISTENING = re.compile(rb"listening on 127\.0\.0\.1:(\d+)")
_CONFIG = """\
version: 0.1
log: {{level: info, formatter: text, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: {writable}}}
  maintenance:
    uploadpurging: {{enabled: false}}
    readonly: {{enabled: {readonly}}}
http: {{addr: "127.0.0.1:0", secret: "for tests"{tls}}}
{auth}"""


HTPASSWD = "user:$2b$04$G1Ut4NX0G3U2b8cPGOXmN.2eM5yF.3wRLKBWwbwrBbkQIL7JvmJui\n"
"""A file for ``htpasswd``: the password of "user" is "secret"."""


class Registry:
    """One running registry. ``host`` is "127.0.0.1:PORT"; ``name("debian:12")`` is a full reference into it."""

    def __init__(
        self,
        storage: Path,
        scratch: Path,
        *,
        readonly: bool = False,
        htpasswd: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        tokens: TokenService | None = None,
    ) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.storage = storage
        self._log = scratch / "registry.log"
        config = scratch / "registry.yml"
        auth = f'auth: {{htpasswd: {{realm: test, path: "{htpasswd}"}}}}\n' if htpasswd else ""
        if tokens:
            auth = (
                f'auth: {{token: {{realm: "{tokens.realm}", service: {tokens.service}, issuer: {tokens.issuer}, '
                f'rootcertbundle: "{tokens.certificate}"}}}}\n'
            )
        tls = f', tls: {{certificate: "{certificate[0]}", key: "{certificate[1]}"}}' if certificate else ""
        values = {True: "true", False: "false"}
        config.write_text(
            _CONFIG.format(
                storage=storage, writable=values[not readonly], readonly=values[readonly], tls=tls, auth=auth
            )
        )
        program = tools.find("docker-registry")
        if program is None:
            raise tools.CommandFailed("docker-registry: not installed")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"PATH": tools.SEARCH},
            )
        try:
            self.port = self._read_port(deadline=time.monotonic() + 20)
        except BaseException:
            self.stop()
            raise
        self.host = f"127.0.0.1:{self.port}"

    def _read_port(self, deadline: float) -> int:
        """The port from the log line that says where it listens."""
        while time.monotonic() < deadline and self._process.poll() is None:
            found = _LISTENING.search(self.log())
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        raise tools.CommandFailed(f"docker-registry: did not start: {self.log()[-400:].decode(errors='replace')}")

    def log(self) -> bytes:
        """All that the registry has logged so far, each request as one line."""
        return self._log.read_bytes()

    @property
    def pid(self) -> int:
        return self._process.pid

    def name(self, short: str) -> str:
        """A full reference: "debian:12" becomes "127.0.0.1:PORT/library/debian:12"."""
        return f"{self.host}/library/{short}"

    def stop(self) -> None:
        """Ends the process; safe to call twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.stop()
