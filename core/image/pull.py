"""`pod pull`: an image from its registry into the store.

Progress is told in these events (rendered by cli/progress):
    pulling {tag, name}      layer {id, status, current, total}      digest {digest}      status {text}
"""

from __future__ import annotations

import contextlib

from pod.core import events
from pod.core.errors import ManifestUnknown, NoSuchImage, StoreCorrupt, Unauthorized, Unreachable, UsageError
from pod.core.image import blobs, durable, gc, install, store
from pod.core.image.variant import platform_of
from pod.core.oci import platform as platforms
from pod.core.oci import reference as references
from pod.core.oci.image_spec import MAX_MANIFEST
from pod.core.oci.platform import Platform
from pod.core.registry import registries, retry
from pod.core.registry.client import Client, Document, connect
from pod.core.registry.transport import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.install import Report
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

POLICIES = ("always", "missing", "never")


class RegistrySource:
    """install.Source over a registry client; broken transfers go on where they ended. Documents that the store has,
    by their digest, are not asked for.
    """

    __slots__ = ("_client", "_engine", "_open")

    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine = engine
        self._client = client
        self._open: set[Response] = set()

    def interrupt(self) -> None:
        for answer in list(self._open):
            answer.interrupt()

    def manifest(self, digest: str) -> tuple[bytes, str]:
        if blobs.has(self._engine, digest):
            with contextlib.suppress(StoreCorrupt):  # Damaged and dropped: the registry has it.
                return blobs.read(self._engine, digest, MAX_MANIFEST), ""
        document = self._client.manifest(digest)
        return document.raw, document.media_type

    def fetch(self, writer: blobs.Writer, report: Report, stop: threading.Event) -> None:
        patience = retry.Patience(stop)
        most = writer.received
        while not stop.is_set():
            try:
                self._transfer(writer, report, stop)
                return
            except retry.Passing as failure:
                if stop.is_set():
                    return
                if writer.received - most >= retry.ENOUGH:
                    most = writer.received
                    patience.worth_it()
                patience.pause(failure)

    def _transfer(self, writer: blobs.Writer, report: Report, stop: threading.Event) -> None:
        if writer.received and writer.received == writer.size:
            return
        answer, resumed = self._client.blob(writer.digest, writer.received)
        self._open.add(answer)
        try:
            if resumed:
                writer.resumed = True
            elif writer.received:
                writer.restart()
            for chunk in answer.stream():
                if stop.is_set():
                    return
                writer.write(chunk)
                report(writer.received)
        finally:
            self._open.discard(answer)
            answer.close()


def pull(
    engine: Engine,
    reference: str,
    *,
    platform: str | None = None,
    all_tags: bool = False,
    policy: str = "always",
) -> Image:
    """The image of ``reference``, from the registry where ``policy`` asks for it; with ``all_tags`` the last of them.

    ``policy``: always, missing (only when the store has none for the platform), never (NoSuchImage then).
    Errors: InvalidReference, ManifestUnknown, Unauthorized, Unreachable, DigestMismatch, RegistryError.
    """
    if policy not in POLICIES:
        raise UsageError(f'invalid pull policy: "{policy}": must be one of "always", "missing" or "never"')
    wanted = platforms.parse(platform) if platform else None
    candidates = registries.of(engine.config).candidates(reference)
    if policy != "always":
        local = _local(engine, reference, wanted)
        if local is not None:
            return local
        if policy == "never":
            raise NoSuchImage(f"No such image: {candidates[0].with_default_tag().familiar()}")
    if candidates[0].domain == store.EMBEDDED_DOMAIN:
        return store.resolve(engine, reference)
    try:
        image = _pull_first(engine, candidates, wanted, all_tags=all_tags)
    finally:
        durable.settle_later(engine)
    gc.after_publishing(engine)
    return image


def _pull_first(engine: Engine, candidates: list[Reference], wanted: Platform | None, *, all_tags: bool) -> Image:
    for number, candidate in enumerate(candidates):
        try:
            return _pull_name(engine, candidate, wanted, all_tags=all_tags)
        except (ManifestUnknown, Unauthorized, Unreachable):
            if number == len(candidates) - 1:
                raise
    raise AssertionError("candidates() gives at least one")


def familiar(text: str) -> str:
    """A name as Docker's messages show it: "busybox" is "busybox:latest". InvalidReference where it is none."""
    return references.parse(text).with_default_tag().familiar()


def _local(engine: Engine, reference: str, wanted: Platform | None) -> Image | None:
    try:
        image = store.resolve(engine, reference)
    except NoSuchImage:
        return None
    if wanted is not None and wanted.rank(platform_of(image)) is None:
        return None
    return image


def _pull_name(engine: Engine, reference: Reference, wanted: Platform | None, *, all_tags: bool) -> Image:
    client = connect(engine, reference)
    try:
        if not all_tags:
            return _pull_one(engine, client, reference.with_default_tag(), wanted)
        if reference.tag or reference.digest:
            refused = UsageError("tag can't be used with --all-tags/-a")
            refused.exit_code = 1  # As Docker's.
            raise refused
        image: Image | None = None
        for tag in client.tags():
            image = _pull_one(engine, client, reference.with_tag(tag), wanted)
        if image is None:
            raise ManifestUnknown(f"pull {reference.familiar_name}: the repository has no tags")
        return image
    finally:
        client.close()


def _pull_one(engine: Engine, client: Client, reference: Reference, wanted: Platform | None) -> Image:
    shown_tag = reference.name + "@" + reference.digest if reference.digest else reference.tag
    key = reference.with_digest(reference.digest) if reference.digest else reference
    before = store.read_ref(engine, key.canonical())
    source = RegistrySource(engine, client)
    document = _document(engine, client, reference, before)
    engine.progress("pulling", {"tag": shown_tag, "name": reference.path})
    manifest, index = install.choose(source, document.raw, document.media_type, wanted, reference.familiar())
    image = install.install(engine, source, manifest, index, reference=reference, wanted=wanted)
    engine.progress("digest", {"digest": document.digest})
    events.emit(engine, "image", "pull", reference.familiar(), {"name": reference.familiar_name})
    same = before is not None and before["image"] == image.id
    text = "Image is up to date" if same else "Downloaded newer image"
    engine.progress("status", {"text": f"{text} for {reference.familiar()}"})
    return image


def _document(engine: Engine, client: Client, reference: Reference, before: dict[str, Any] | None) -> Document:
    """What a name leads to; where it led somewhere before, the registry is asked whether it still does, by HEAD."""
    target = reference.digest or reference.tag
    if before is not None:
        digest = reference.digest or client.digest_of(target)
        if digest and blobs.has(engine, digest):
            with contextlib.suppress(StoreCorrupt):
                return Document(blobs.read(engine, digest, MAX_MANIFEST), "")
    return client.manifest(target)
