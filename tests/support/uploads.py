"""The half of the scripted registry that takes pushes: uploads, kept in memory, and manifests.

More that a rule (tests/support/scripted.py) may say of such a request:

    take: N           N bytes of the body are taken in, then the connection ends
    forget: true      the upload is gone: 404
    location: URL     of what it begins ("{id}" is the upload)
    said: N           Range says so many bytes
    most: N           a body of more bytes is refused: 413
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

_BLOCK = 1 << 16


class UploadHandler:
    """Mixin of the scripted registry's handler."""

    command: str
    path: str
    headers: Any
    rfile: Any
    server: Any
    number: int
    connection: Any
    close_connection: bool
    _send: Any
    _allowed: Any
    _body: Any

    def do_PATCH(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        rule = self.server.rule(self.command, self.path)
        self.server.note(
            {
                "method": self.command,
                "path": self.path,
                "headers": dict(self.headers),
                "body": "",
                "length": length,
                "connection": self.number,
            }
        )
        taken = min(length, rule.get("take", length))
        data = self._read(taken)
        if taken < length:
            self._store(data)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if "auth" in rule and not self._allowed(rule["auth"]):
            return
        if "most" in rule and length > rule["most"]:
            self._send(413, b"", {}, rule)
        elif rule.get("forget"):
            self.server.uploads.pop(self._id(), None)
            self._send(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown"}]}', {}, rule)
        elif "redirect" in rule:
            self._send(307, b"", {"Location": rule["redirect"].replace("{path}", self.path)}, rule)
        elif "status" in rule:
            self._send(rule["status"], self._body(rule), {}, rule)
        else:
            self._take(data, rule)

    do_PUT = do_PATCH

    def _read(self, length: int) -> bytes:
        parts = []
        while length > 0 and (part := self.rfile.read(min(_BLOCK, length))):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _id(self) -> str:
        return urlsplit(self.path).path.rpartition("/")[2]

    def _store(self, data: bytes) -> None:
        if self._id() in self.server.uploads:
            self.server.uploads[self._id()] += data

    def _take(self, data: bytes, rule: dict[str, Any]) -> None:
        if "/manifests/" in self.path:
            self._manifest_arrives(data, rule)
            return
        upload = self.server.uploads.get(self._id())
        if upload is None:
            self._send(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown"}]}', {}, rule)
            return
        begin = self.headers.get("Content-Range", "").partition("-")[0]
        if begin and int(begin) != len(upload):
            self._send(416, b"", {"Range": f"0-{max(len(upload) - 1, 0)}"}, rule)
            return
        upload += data
        if self.command == "PATCH":
            said = rule.get("said", len(upload))
            self._send(202, b"", {"Location": self.path, "Range": f"0-{max(said - 1, 0)}"}, rule)
            return
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        if digest != "sha256:" + hashlib.sha256(upload).hexdigest():
            self._send(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"not that digest"}]}', {}, rule)
            return
        (self.server.folder / "blobs/sha256" / digest[7:]).write_bytes(upload)
        del self.server.uploads[self._id()]
        self._send(201, b"", {"Docker-Content-Digest": digest}, rule)

    def begin_upload(self, rule: dict[str, Any]) -> None:
        """POST of /v2/NAME/blobs/uploads/; a blob that is here can be mounted."""
        mount = parse_qs(urlsplit(self.path).query).get("mount", [""])[0]
        if mount and (self.server.folder / "blobs/sha256" / mount[7:]).exists():
            self._send(201, b"", {"Docker-Content-Digest": mount}, rule)
            return
        name = os.urandom(8).hex()
        self.server.uploads[name] = bytearray()
        location = rule.get("location", urlsplit(self.path).path + "{id}").replace("{id}", name)
        self._send(202, b"", {"Location": location, "Range": "0-0"}, rule)

    def tell_upload(self, rule: dict[str, Any]) -> None:
        """GET of an upload."""
        upload = self.server.uploads.get(self._id())
        if upload is None:
            self._send(404, b"", {}, rule)
            return
        self._send(204, b"", {"Location": self.path, "Range": f"0-{max(len(upload) - 1, 0)}"}, rule)

    def _manifest_arrives(self, data: bytes, rule: dict[str, Any]) -> None:
        repository, _, tag = self.path.removeprefix("/v2/").rpartition("/")
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        (self.server.folder / "blobs/sha256" / digest[7:]).write_bytes(data)
        with self.server.lock:
            index = json.loads((self.server.folder / "index.json").read_text())
            name = repository.removesuffix("/manifests") + ":" + tag
            entry = {"mediaType": self.headers["Content-Type"], "digest": digest, "size": len(data)}
            index["manifests"] = [
                one for one in index["manifests"] if one["annotations"]["org.opencontainers.image.ref.name"] != name
            ] + [{**entry, "annotations": {"org.opencontainers.image.ref.name": name}}]
            (self.server.folder / "index.json").write_text(json.dumps(index))
        self._send(201, b"", {"Docker-Content-Digest": digest}, rule)
