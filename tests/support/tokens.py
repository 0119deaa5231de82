"""A small token service (distribution: docs/spec/auth/token.md) as a thread: who may do what gets a signed token.

A user's rights are actions by repository; what is asked for beyond them is left out of the token, as services do.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Rights = dict[str, dict[str, str]]
"""User ("name:password", "" is nobody) to repository ("*" is any) to actions ("pull,push")."""


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenService:
    """``realm`` and ``certificate`` are what the registry's configuration needs; ``asked`` has each request's query."""

    issuer = "tests"
    service = "registry"

    def __init__(self, folder: Path, rights: Rights) -> None:
        self.rights = rights
        self.asked: list[dict[str, list[str]]] = []
        self.lifetime = 300
        self.key, self.certificate = folder / "token.key", folder / "token.crt"
        argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests"]
        argv += ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
        lines = self.certificate.read_text().splitlines()
        self._der = "".join(line for line in lines if not line.startswith("-"))
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        self.asked.append(query)
        given = handler.headers.get("Authorization", "")
        user = base64.b64decode(given.removeprefix("Basic ")).decode() if given else ""
        status, body = 401, b"{}"
        if user in self.rights:
            status, body = 200, json.dumps({"token": self._token(user, query.get("scope", []))}).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _token(self, user: str, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            may = self.rights[user].get(name, self.rights[user].get("*", "")).split(",")
            granted = [action for action in actions.split(",") if action in may]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": user.partition(":")[0],
            "aud": self.service,
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + self.lifetime,
            "jti": str(len(self.asked)),
            "access": access,
        }
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._der]}
        text = _encoded(json.dumps(header).encode()) + "." + _encoded(json.dumps(claims).encode())
        argv = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        signed = subprocess.run(argv, input=text.encode(), check=True, capture_output=True, timeout=30).stdout
        return text + "." + _encoded(signed)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
