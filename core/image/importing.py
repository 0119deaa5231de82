"""``import``: the archive of a file system becomes an image of one layer, which is unpacked as any layer is.

The archive may be compressed as ``load`` takes it; the layer is stored plain, so its digest is the diffID.
"""

from __future__ import annotations

import os
import threading

from pod.core import events, statefile
from pod.core.errors import PodError, RegistryError
from pod.core.image import archive_images, archive_members, changes, durable, gc, layout, leftovers, load
from pod.core.image.archive_input import Input
from pod.core.image.archive_tar import ArchiveError
from pod.core.oci import platform as platforms
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference
    from pod.core.registry.transport import Response


def check_name(text: str) -> Reference | None:
    """The name of the image to be, "" for none. InvalidReference; PodError for one with a digest."""
    if not text:
        return None
    name = references.parse(text).with_default_tag()
    if name.digest:
        raise PodError("cannot import digest reference", hint="give a name and a tag")
    return name


def import_archive(
    engine: Engine,
    fd: int,
    shown: str,
    *,
    name: Reference | None = None,
    edits: Sequence[str] = (),
    message: str = "",
    platform: str = "",
    check: Callable[[], None] = lambda: None,
) -> Image:
    """The image made of the archive that ``fd`` gives. ``edits``: instructions (image/changes); ``check`` is called
    when all was read, and raises where that was not all there is. ``shown``: its source, in the history.

    ArchiveError, PodError for what is no archive of files; nothing is left then.
    """
    config = _configuration(engine, edits, message or f"Imported from {shown}", platform)
    layout.prepare(engine)
    leftovers.collect(engine)
    try:
        with archive_members.Members(shown, fd) as members:
            source = Input(fd)
            try:
                part = members.spool_whole(engine, source.pipe)
            finally:
                source.close()
            check()
            if not part.size:
                raise ArchiveError(f"import {shown}: it is empty")
            config["rootfs"]["diff_ids"] = [part.digest]
            raw = statefile.dumps(config).encode()
            found = archive_images.make(members, [name] if name else [], raw, [("its layer", part)])
            image = load.install_found(engine, found, [])
            if name is not None:
                load.give_name(engine, image, found, name)
    finally:
        durable.settle_later(engine)
    gc.after_publishing(engine)
    events.emit(engine, "image", "import", image.id, {"name": name.familiar() if name else image.id})
    return image


def _configuration(engine: Engine, edits: Sequence[str], message: str, platform: str) -> dict[str, Any]:
    """The configuration without its layer; $SOURCE_DATE_EPOCH is its time where it is set."""
    chosen = platforms.parse(platform) if platform else platforms.host()
    inner: dict[str, Any] = {}
    changes.apply(inner, edits)
    created = _created(engine.environ)
    config: dict[str, Any] = {"created": created, "architecture": chosen.architecture, "os": chosen.os}
    if chosen.variant:
        config["variant"] = chosen.variant
    return {
        **config,
        "comment": message,
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created": created, "comment": message}],
    }


def _created(environ: Mapping[str, str]) -> str:
    from pod.core import moments

    seconds = moments.source_date_epoch(environ)
    return statefile.timestamp() if seconds is None else moments.rfc3339(seconds * moments.SECOND)


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


class Download:
    """A file of the web as a descriptor to read from; by the rules of registries (TLS, proxies, redirects)."""

    __slots__ = ("_answer", "_error", "_thread", "_transport", "_url", "fd")

    def __init__(self, engine: Engine, url: str) -> None:
        from urllib.parse import urlsplit

        from pod.core.registry.client import named_insecure
        from pod.core.registry.transport import Origin, Transport

        try:
            host = urlsplit(url).netloc
        except ValueError:
            host = ""
        if not host or "@" in host:
            hint = "https://host/path, without a password in it"
            raise PodError(f"import: {url}: not an address that is accepted", hint=hint)
        self._url = url
        self._error: BaseException | None = None
        self._transport = Transport(Origin(host, insecure=named_insecure(engine.config, host)), engine.environ)
        self._answer: Response = self._transport.request_url(url, {})
        if self._answer.status != 200:
            status = self._answer.status
            self._answer.close()
            self._transport.close()
            raise RegistryError(f"import: {url.partition('?')[0]}: the server answers {status}")
        self.fd, writer = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, args=(writer,), daemon=True)

    def __enter__(self) -> Download:
        self._thread.start()
        return self

    def _run(self, writer: int) -> None:
        try:
            for chunk in self._answer.stream():
                statefile.put(writer, chunk)
        except BaseException as error:  # noqa: BLE001  # carried to the thread that waits
            self._error = error
        finally:
            os.close(writer)

    def check(self) -> None:
        """Once its end was read: the failure that was that end."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        self._answer.interrupt()
        self._thread.join(5.0)
        self._answer.close()
        self._transport.close()
