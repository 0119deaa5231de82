"""A registry of our own, a process on loopback that does what a script says: cuts, stalls, lies, throttles, redirects.

    python3 -m tests.support.scripted FOLDER     serves FOLDER, prints its port, ends with its standard input

FOLDER is an OCI image layout whose index.json names manifests by ref.name ("team/app:v1": tag v1).
FOLDER/rules.json is a list of rules, read anew at each request; FOLDER/log.jsonl gets a line for each request: method,
path, every header, the body, the number of the connection. A rule holds for requests whose path contains "path" (and of
"method", if it is there), the first "times" of them (default: all), and says one thing or several:

    cut: N            the connection ends after N bytes of the body       stall: N     no byte more comes after N bytes
    rate: N           bytes a second                                      status: N    that status, an empty body
    headers: {…}      added (null: removed)                               body: "…"    that body; "@FILE" that of a file
    flip: N           byte N of the body is wrong                         range: "ignore" | "lie" | "refuse"
    redirect: URL     307 to there ("{path}" is the path asked for)       drip: S      a header line each S seconds
    auth: {"scheme": "basic", "user": "u:p"} | {"scheme": "bearer", "realm": URL, "token": T} | {"header": "…"}
    file: NAME        that blob, in pieces: for one that is not to be in memory     chunked: true   no Content-Length
    raw: "…"          these bytes instead of an answer; then "again" over and over, "pause" seconds between

What is pushed is taken in (tests/support/uploads.py has the rules for that).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.uploads import UploadHandler

Rule = dict[str, Any]
BLOCK = 1 << 16


def generated(size: int, seed: int) -> Iterator[bytes]:
    """``size`` bytes that no compression makes smaller, the same for each seed."""
    block = random.Random(seed).randbytes(1 << 20)
    number = 0
    while size > 0:
        piece = (number.to_bytes(8, "big") + block)[: min(size, len(block))]
        yield piece
        size -= len(piece)
        number += 1


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.lock = threading.Lock()
        self.used: dict[str, int] = {}
        self.connections = 0
        self.uploads: dict[str, bytearray] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what many tests are about."""

    def rule(self, method: str, path: str) -> Rule:
        """What is said of this request, rules merged; counts the uses of those that end."""
        merged: Rule = {}
        try:
            rules = json.loads((self.folder / "rules.json").read_text())
        except FileNotFoundError:
            return merged
        with self.lock:
            for rule in rules:
                if rule.get("path", "") not in path or rule.get("method", method) != method:
                    continue
                key = json.dumps(rule, sort_keys=True)
                if self.used.get(key, 0) >= rule.get("times", 1 << 30):
                    continue
                self.used[key] = self.used.get(key, 0) + 1
                merged = {**rule, **merged}
        return merged

    def note(self, entry: dict[str, Any]) -> None:
        with self.lock, (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")


class Handler(UploadHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1
            self.number = self.server.connections

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: log.jsonl has it all."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.note(
            {
                "method": self.command,
                "path": self.path,
                "headers": dict(self.headers),
                "body": body.decode("latin-1"),
                "connection": self.number,
            }
        )
        rule = self.server.rule(self.command, self.path)
        with contextlib.suppress(OSError):
            self._answer(rule)

    do_HEAD = do_POST = do_GET

    def _answer(self, rule: Rule) -> None:
        if "auth" in rule and not self._allowed(rule["auth"]):
            return
        if "raw" in rule:
            self._raw(rule)
        elif "redirect" in rule:
            self._send(307, b"", {"Location": rule["redirect"].replace("{path}", self.path)}, rule)
        elif "status" in rule:
            self._send(rule["status"], self._body(rule), {}, rule)
        elif "body" in rule:
            self._send(200, self._body(rule), {}, rule)
        elif "file" in rule:
            self._stream(self._blob("sha256:" + rule["file"]))
        else:
            self._serve(rule)

    def _body(self, rule: Rule) -> bytes:
        text = str(rule.get("body", ""))
        return (self.server.folder / text[1:]).read_bytes() if text.startswith("@") else text.encode()

    def _allowed(self, auth: dict[str, str]) -> bool:
        given = self.headers.get("Authorization", "")
        if auth.get("scheme") == "basic":
            good = "Basic " + base64.b64encode(auth["user"].encode()).decode()
            challenge = 'Basic realm="test"'
        else:
            good = "Bearer " + auth.get("token", "")
            challenge = f'Bearer realm="{auth.get("realm", "")}",service="test",scope="repository:x:pull"'
        if given == good:
            return True
        header = {"WWW-Authenticate": auth.get("header", challenge)}
        self._send(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', header, {})
        return False

    def _serve(self, rule: Rule) -> None:
        path = self.path.partition("?")[0]
        if path == "/v2/":
            self._send(200, b"{}", {}, rule)
            return
        if "/blobs/uploads/" in path:
            (self.begin_upload if self.command == "POST" else self.tell_upload)(rule)
            return
        repository, _, name = path.removeprefix("/v2/").rpartition("/")
        if repository.endswith("/manifests"):
            entry = self._manifest(repository.removesuffix("/manifests"), name)
            if entry is not None:
                data = self._blob(entry["digest"]).read_bytes()
                headers = {"Content-Type": entry["mediaType"], "Docker-Content-Digest": entry["digest"]}
                self._send(200, data, headers, rule)
                return
        elif repository.endswith("/blobs") and self._blob(name).exists():
            data = self._blob(name).read_bytes()
            self._send_part(data, rule)
            return
        self._send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', {}, rule)

    def _blob(self, digest: str) -> Path:
        return self.server.folder / "blobs/sha256" / digest[7:]

    def _manifest(self, repository: str, name: str) -> dict[str, Any] | None:
        index = json.loads((self.server.folder / "index.json").read_text())
        for entry in index["manifests"]:
            if name in (entry["digest"], entry["annotations"]["org.opencontainers.image.ref.name"].rpartition(":")[2]):
                found: dict[str, Any] = entry
                return found
        if name.startswith("sha256:") and self._blob(name).exists():
            media = json.loads(self._blob(name).read_bytes()).get("mediaType", "")
            return {"digest": name, "mediaType": media}
        return None

    def _send_part(self, data: bytes, rule: Rule) -> None:
        """A blob, from where the request's Range says."""
        wanted = self.headers.get("Range", "")
        mode = rule.get("range", "")
        start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0
        if not wanted or mode == "ignore":
            self._send(200, data, {}, rule)
        elif mode == "refuse" or start >= len(data):
            self._send(416, b"", {}, rule)
        else:
            said = start + 7 if mode == "lie" else start
            self._send(206, data[start:], {"Content-Range": f"bytes {said}-{len(data) - 1}/{len(data)}"}, rule)

    def _send(self, status: int, data: bytes, headers: dict[str, str], rule: Rule) -> None:
        all_headers = {**headers, **rule.get("headers", {})}
        if "flip" in rule and data:
            at = rule["flip"] % len(data)
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        self.send_response(status)
        if rule.get("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
        elif "Content-Length" not in all_headers:
            self.send_header("Content-Length", str(len(data)))
        for key, value in all_headers.items():
            if value is not None:
                self.send_header(key, value)
        if "drip" in rule:
            self._drip(rule["drip"])
        self.end_headers()
        if self.command != "HEAD":
            self._write(data, rule)

    def _raw(self, rule: Rule) -> None:
        self.close_connection = True
        self.wfile.write(rule["raw"].encode("latin-1"))
        again = rule.get("again", "").encode("latin-1")
        while again:
            self.wfile.write(again)
            time.sleep(rule.get("pause", 0))

    def _drip(self, seconds: float) -> None:
        while True:
            self.send_header("X-Drip", "x")
            self.flush_headers()
            time.sleep(seconds)

    def _write(self, data: bytes, rule: Rule) -> None:
        end = min(rule.get("cut", len(data)), rule.get("stall", len(data)), len(data))
        for start in range(0, end, BLOCK):
            piece = data[start : min(start + BLOCK, end)]
            if rule.get("chunked"):
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            self.wfile.write(piece)
            if "rate" in rule:
                time.sleep(len(piece) / rule["rate"])
        if rule.get("chunked") and end == len(data):
            self.wfile.write(b"0\r\n\r\n")
        if rule.get("stall", len(data)) < len(data):
            time.sleep(3600)
        if rule.get("cut", len(data)) < len(data):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _stream(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        with path.open("rb") as file:
            while piece := file.read(BLOCK * 4):
                self.wfile.write(piece)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--client-ca", help="clients must have a certificate of this CA")
    options = parser.parse_args()
    server = Server(options.folder)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        if options.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(options.client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    return 0


class Scripted:
    """The process, from the test's side. ``rules`` replaces what it is told; ``requests`` is what came so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._turn = 0
        (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        if not (folder / "index.json").exists():
            (folder / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
        root = Path(__file__).resolve().parent.parent.parent
        argv = [sys.executable, "-m", "tests.support.scripted", str(folder), *options]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, env=environ
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        assert self.port, "the scripted registry did not start"
        self.host = f"127.0.0.1:{self.port}"

    def rules(self, *rules: Rule) -> None:
        partial = self.folder / f".rules.{os.getpid()}"
        partial.write_text(json.dumps([{**rule, "turn": self._turn} for rule in rules]))
        partial.rename(self.folder / "rules.json")

    def requests(self, containing: str = "") -> list[dict[str, Any]]:
        try:
            lines = (self.folder / "log.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(json.loads, lines) if containing in entry["path"]]

    def clear(self) -> None:
        """As new: no images, no rules, no log; another test goes on with the same process."""
        self._turn += 1
        self.rules()
        self.forget()
        (self.folder / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')

    def forget(self) -> None:
        """Empties the log of requests."""
        (self.folder / "log.jsonl").unlink(missing_ok=True)

    def add(self, data: bytes) -> str:
        """A blob; returns its digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest[7:]).write_bytes(data)
        return digest

    def image(self, name: str, manifest: bytes, blobs: dict[str, bytes], media_type: str) -> str:
        """An image under ``name`` ("team/app:v1"); returns the full reference."""
        for data in blobs.values():
            self.add(data)
        index = json.loads((self.folder / "index.json").read_text())
        annotations = {"org.opencontainers.image.ref.name": name}
        entry = {"mediaType": media_type, "digest": self.add(manifest), "size": len(manifest)}
        index["manifests"].append({**entry, "annotations": annotations})
        (self.folder / "index.json").write_text(json.dumps(index))
        return f"{self.host}/{name}"

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()


if __name__ == "__main__":
    raise SystemExit(main())
