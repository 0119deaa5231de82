"""A proxy of our own, a process on loopback: CONNECT and plain requests all go to one port, whatever the name.

    python3 -m tests.support.proxy PORT LOG [USER:PASSWORD]     prints its port, ends with its standard input
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def read_head(connection: socket.socket) -> bytes:
    """A request up to its empty line and what came with it; b"" where it ends before."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return b""
        head += part
    return head


def forward(connection: socket.socket, head: bytes, port: int) -> None:
    """Carries out the request on loopback's ``port``, whatever name it asks for, until both sides have ended."""
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        if head.startswith(b"CONNECT"):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            server.sendall(head)
        back = threading.Thread(target=_pump, args=(server, connection), daemon=True)
        back.start()
        _pump(connection, server)
        back.join(10)


def _one(connection: socket.socket, port: int, log: Path, login: str) -> None:
    with connection:
        head = read_head(connection)
        if not head:
            return
        with log.open("ab") as file:
            file.write(head.replace(b"\r\n", b"\n"))
        wanted = b"proxy-authorization: basic " + base64.b64encode(login.encode())
        if login and wanted.lower() not in head.lower():
            refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n"
            connection.sendall(refusal + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            return
        forward(connection, head, port)


def main(port: int, log: Path, login: str = "") -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_one, args=(connection, port, log, login), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    sys.stdin.read()


class Proxy:
    """The process, from the test's side. ``url`` with the login it wants; ``heads`` is what came so far."""

    def __init__(self, port: int, scratch: Path, login: str = "") -> None:
        root = Path(__file__).resolve().parent.parent.parent
        scratch.mkdir(parents=True, exist_ok=True)
        self._log = scratch / f"proxy-{port}-{len(login)}.log"
        argv = [sys.executable, "-m", "tests.support.proxy", str(port), str(self._log), login]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
        assert self._process.stdout is not None
        self.address = f"127.0.0.1:{int(self._process.stdout.readline())}"
        self.url = f"http://{login + '@' if login else ''}{self.address}"

    @property
    def heads(self) -> list[str]:
        """The head of each request, as one text."""
        text = self._log.read_text() if self._log.exists() else ""
        return [head for head in text.split("\n\n") if head]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
