"""Pushing to a registry (distribution-spec v1.1: push): blobs and manifests of one repository.

A blob of SMALL bytes at most is one PUT. A larger one is one PATCH of all that is left, as other clients send it, then
a PUT without a body; after a failure the registry is asked how far it came (GET of the upload) and gets the rest:

    202 and Range      so far it came: the next PATCH begins there
    404                it forgot the upload: is the blob there after all? else from the beginning
    413                in pieces from now on, each time half as large
    416                it is elsewhere than we are: asked again
"""

from __future__ import annotations

import os
import time

from pod.core.errors import RegistryError, Unauthorized, Unreachable
from pod.core.oci import digest as digests
from pod.core.registry import retry
from pod.core.registry.client import HUB, error_text
from pod.core.registry.transport import SLOW_TIME, SLOWEST, Body

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from pod.core.registry.client import Endpoint
    from pod.core.registry.transport import Response

    Report = Callable[[int], None]

SMALL = 4 << 20
"""Bytes of a blob that is sent by one PUT."""
PIECE = 64 << 20
"""Bytes of the first piece, after a registry (or what is before it) has refused a body as too large."""
LEAST = 1 << 20
_READ = 1 << 18
_RESTARTS = 3
"""How often one blob is begun again because what the registry put together was not it."""
_BYTES = "application/octet-stream"


class Stopped(Exception):
    """The push has failed elsewhere: this blob is not sent on."""


class Rejected(RegistryError):
    """The registry put together other bytes than those that the digest names."""


class Uploads:
    """The repository of ``endpoint``, written to. ``shown`` is its name in messages."""

    __slots__ = ("_endpoint", "_shown")

    def __init__(self, endpoint: Endpoint, shown: str, sources: list[str]) -> None:
        """``sources``: other repositories there that blobs may be mounted from."""
        self._endpoint = endpoint
        self._shown = shown
        endpoint.scopes = [f"repository:{endpoint.repository}:pull,push"]
        endpoint.scopes += [f"repository:{source}:pull" for source in sources]

    @property
    def place(self) -> str:
        """Registry and repository: what locks are named after."""
        return f"{self._endpoint.host}/{self._endpoint.repository}"

    def has(self, kind: str, digest: str) -> bool:
        """Whether ``blobs`` or ``manifests`` has that digest. What is not told is not there: sending it will tell."""

        def ask() -> bool:
            headers = {"Accept": "*/*"} if kind == "manifests" else {}
            answer = self._endpoint.request(f"{kind}/{digest}", headers, method="HEAD")
            answer.drain()
            if answer.status in retry.STATUSES:
                raise self._failure(answer, "look for blob")
            return answer.status == 200

        return retry.insist(ask)

    def begin(self, digest: str, source: str = "") -> str:
        """The URL of a new upload, "" where the blob could be mounted from the repository ``source``."""

        def ask(query: str) -> str | None:
            path = f"/v2/{self._endpoint.repository}/blobs/uploads/{query}"
            answer = self._endpoint.exchange(path, method="POST")
            answer.drain()
            if answer.status == 201 and query:
                return ""
            if answer.status == 202:
                return self._location(answer)
            if query and answer.status not in retry.STATUSES:
                return None  # Of the source we may know nothing, or it does not mount.
            raise self._failure(answer, "begin upload")

        location = None
        if source:
            location = retry.insist(lambda: ask(f"?mount={digest}&from={source}"))
        return retry.insist(lambda: ask("") or "") if location is None else location

    def send(self, location: str, blob: Blob) -> None:
        """All bytes of ``blob`` by the upload at ``location``, however often it breaks off. Stopped, RegistryError."""
        session = _Session(self, location, blob)
        patience = retry.Patience(blob.stop)
        restarts = most = 0
        while True:
            sent = blob.sent
            try:
                session.go_on()
                return
            except Rejected:
                if not session.broken or restarts >= _RESTARTS:
                    raise
                restarts += 1
                session.forget()
            except retry.Passing as failure:
                if session.reached - most >= retry.ENOUGH:
                    most = session.reached
                    patience.worth_it()
                if blob.sent > sent:
                    patience.was_at_work()
                patience.pause(failure)

    def put_manifest(self, tag_or_digest: str, raw: bytes, media_type: str) -> None:
        """A manifest or an index under a tag or its digest. RegistryError where the registry gives it another one."""
        path = f"/v2/{self._endpoint.repository}/manifests/{tag_or_digest}"

        def ask() -> None:
            answer = self._endpoint.exchange(path, method="PUT", body=Body.of(raw, media_type))
            try:
                if answer.status not in (200, 201, 202):
                    raise self._failure(answer, "put manifest")
            finally:
                answer.drain()
            theirs = answer.headers.get("Docker-Content-Digest", "")
            ours = digests.of(raw)
            if theirs and theirs != ours:
                raise RegistryError(f"push {self._shown}: {self._endpoint.host}: it made {theirs} of manifest {ours}")

        retry.insist(ask)

    def ask(
        self, location: str, method: str, *, headers: dict[str, str] | None = None, body: Body | None = None,
        query: str = "",
    ) -> Response:  # fmt: skip
        """One request to an upload; the answer's body is done with."""
        answer = self._endpoint.follow(location, headers or {}, method=method, body=body, query=query)
        if answer.status < 400:
            answer.drain()
        return answer

    def _location(self, answer: Response) -> str:
        location = self._endpoint.locate(answer)
        if not location:
            raise RegistryError(f"push {self._shown}: {self._endpoint.host}: it began an upload and did not say where")
        return location

    def moved(self, answer: Response, before: str) -> str:
        """Where an upload goes on, as the answer says."""
        return self._endpoint.locate(answer) or before

    def failure(self, answer: Response, doing: str) -> RegistryError:
        """The error that an answer stands for, which is closed."""
        try:
            return self._failure(answer, doing)
        finally:
            answer.close()

    def _failure(self, answer: Response, doing: str) -> RegistryError:
        said = error_text(answer)
        host = self._endpoint.host
        head = f"push {self._shown}: {host}:"
        if answer.status in (401, 403):
            words = "denied: requested access to the resource is denied"
            if answer.status == 401:
                words = "unauthorized: authentication required"
            hint = f"pod login {host}" if host != HUB else "pod login"
            return Unauthorized(f"{head} {words}", hint=f"log in with a user who may push there: {hint}")
        if "DIGEST_INVALID" in said:
            return Rejected(f"{head} {doing}: {said}", hint="what was sent was changed on its way")
        if answer.status in retry.STATUSES:
            wait = retry.asked_wait(answer.headers.get("Retry-After", ""))
            if answer.status == 429:
                hint = f"try again {f'in {wait:.0f} s' if wait else 'later'}"
                return retry.Passing(f"{head} toomanyrequests: {said or 'too many requests'}", hint=hint, wait=wait)
            hint = "try again later: what is there already is not sent again"
            return retry.Passing(
                f"{head} {doing}: status {answer.status}: {said or 'server error'}", hint=hint, wait=wait
            )
        text = f"{head} {doing}: status {answer.status}{': ' + said if said else ''}"
        if answer.status >= 500:
            return Unreachable(text)
        if answer.status == 405 or "UNSUPPORTED" in said:
            return RegistryError(text, hint="this registry, or this name of it, takes no pushes")
        return RegistryError(text)


class Blob:
    """What is sent: the open file ``fd`` of ``size`` bytes. ``report`` is told how far it is, ``stop`` ends it all."""

    __slots__ = ("digest", "fd", "report", "sent", "size", "stop")

    def __init__(self, fd: int, digest: str, size: int, report: Report, stop: threading.Event) -> None:
        self.fd = fd
        self.digest = digest
        self.size = size
        self.report = report
        self.sent = 0
        """Bytes given to the network so far, again and again where it must be."""
        self.stop = stop

    def part(self, start: int, end: int) -> Body:
        """The bytes from ``start`` to before ``end``. A receiver below SLOWEST counts as broken off."""

        def chunks() -> Iterator[bytes]:
            position, since, count = start, time.monotonic(), 0
            while position < end:
                if self.stop.is_set():
                    raise Stopped
                data = os.pread(self.fd, min(_READ, end - position), position)
                if not data:
                    raise RegistryError(f"read blob: {self.digest}: it became shorter while it was sent")
                self.report(position)
                yield data
                self.sent += len(data)
                position += len(data)
                count += len(data)
                now = time.monotonic()
                if now - since > SLOW_TIME:
                    if count < SLOWEST * (now - since):
                        raise retry.Passing(
                            f"push blob: {self.digest[:19]}: too slow: {count} bytes in {now - since:.0f} s"
                        )
                    since, count = now, 0
            self.report(position)

        return Body(end - start, _BYTES, chunks)


class _Session:
    """One upload: ``reached`` bytes are known to be there; ``broken``: it went on after a failure."""

    __slots__ = ("_blob", "_location", "_piece", "_sure", "_uploads", "broken", "reached")

    def __init__(self, uploads: Uploads, location: str, blob: Blob) -> None:
        self._uploads = uploads
        self._location = location
        self._blob = blob
        self._piece = 0
        self._sure = True
        self.reached = 0
        self.broken = False

    def forget(self) -> None:
        """The next attempt begins a new upload."""
        self._location = ""
        self.reached = 0
        self._sure = True

    def go_on(self) -> None:
        """Brings the rest; Passing where another attempt may do."""
        if not self._sure and self._look():
            return
        if not self._location:
            self._location = self._uploads.begin(self._blob.digest)
        if not self._location:
            return  # It was there after all.
        self._sure = False  # Until the end: whatever is raised below leaves us without knowing.
        size = self._blob.size
        if size <= SMALL and not self.reached and not self._piece:
            self._finish(self._blob.part(0, size))
            return
        while self.reached < size:
            self._send(min(size, self.reached + (self._piece or size)))
        self._finish(Body.of(b"", _BYTES))

    def _send(self, end: int) -> None:
        start = self.reached
        headers = {}
        if start or end < self._blob.size:
            headers["Content-Range"] = f"{start}-{end - 1}"
        answer = self._uploads.ask(self._location, "PATCH", headers=headers, body=self._blob.part(start, end))
        if answer.status in (200, 201, 202, 204):
            self._location = self._uploads.moved(answer, self._location)
            reached = _end_of(answer.headers.get("Range", ""), end)
            if not start < reached <= end:
                self.broken = True
                raise retry.Passing(f"push blob: {self._blob.digest[:19]}: the registry went from {start} to {reached}")
            self.reached = reached
            return
        self._refused(answer, end - start)

    def _finish(self, body: Body) -> None:
        answer = self._uploads.ask(self._location, "PUT", body=body, query=f"digest={self._blob.digest}")
        if answer.status in (200, 201, 202, 204):
            self.reached = self._blob.size
            return
        self._refused(answer, body.length)

    def _refused(self, answer: Response, length: int) -> None:
        """Always raises: Passing for what may be done in another way, else the registry's error."""
        half = min(PIECE, length) // 2 if self._piece else PIECE
        if answer.status == 413 and length > LEAST:
            answer.close()
            self._piece = max(LEAST, min(half, length // 2))
            raise retry.Passing(f"push blob: {self._blob.digest[:19]}: status 413: too large, even in pieces")
        if answer.status in (404, 416):
            text = f"push blob: {self._blob.digest[:19]}: the registry forgot the upload"
            answer.close()
            raise retry.Passing(text, hint="try again later: what is there already is not sent again")
        raise self._uploads.failure(answer, "upload blob")

    def _look(self) -> bool:
        """Asks how far the upload came; one that is forgotten is begun again. True: the blob is there."""
        self.broken = True
        answer = self._uploads.ask(self._location, "GET")
        if answer.status in retry.STATUSES:
            raise self._uploads.failure(answer, "look for upload")
        if answer.status not in (200, 202, 204):
            answer.close()
            self.forget()
            return self._uploads.has("blobs", self._blob.digest)
        reached = _end_of(answer.headers.get("Range", ""), 0)
        if reached > self._blob.size or self._blob.size <= SMALL:
            self.forget()
            return False
        self._location = self._uploads.moved(answer, self._location)
        self.reached = reached
        self._sure = True
        return False


def _end_of(header: str, otherwise: int) -> int:
    """Bytes that "0-N" of an upload's Range stands for; "0-0" is what registries say of none (and of one)."""
    text = header.strip().removeprefix("bytes=")
    start, dash, end = text.partition("-")
    if not dash or start != "0" or not (end.isascii() and end.isdigit()) or len(end) > 18:
        return otherwise
    return int(end) + 1 if end != "0" else 0
