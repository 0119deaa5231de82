"""`pod push`: an image of the store to its registry.

    configuration → layers (each: at the registry already? mounted from another repository? else uploaded) → manifests →
    index

Progress is told in these events (rendered by cli/progress):
    pushing {name}      layer {id, status, current, total}      pushed {tag, digest, size}      note {text}
"""

from __future__ import annotations

import os
import threading

from pod.core import events, holders, statefile
from pod.core.errors import Busy, InvalidReference, NoSuchImage, RegistryError, StoreCorrupt, UsageError
from pod.core.image import blobs, push_plan, store
from pod.core.image.arrival import Progress, begin_thread
from pod.core.image.push_plan import Plan
from pod.core.image.push_squeeze import Squeezed
from pod.core.oci import digest as digests
from pod.core.oci import platform as platforms
from pod.core.oci import reference as references
from pod.core.registry import registries
from pod.core.registry.client import own
from pod.core.registry.upload import Blob, Stopped, Uploads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.image_spec import Descriptor
    from pod.core.oci.platform import Platform
    from pod.core.oci.reference import Reference

_TURN = 0.5
"""Seconds between two looks at who else sends a blob."""


def push(engine: Engine, name: str, *, platform: str | None = None, all_tags: bool = False) -> None:
    """Pushes the image ``name``, or all tags of that repository. InvalidReference, NoSuchImage, RegistryError."""
    wanted = platforms.parse(platform) if platform else None
    reference, tags = _named(engine, name, all_tags=all_tags)
    _push_tags(engine, reference, tags, wanted)


def push_image(engine: Engine, image: Image, reference: Reference) -> None:
    """Pushes ``image`` by a name that the store does not give it. RegistryError."""
    tags = {reference.tag: {"image": image.id, "digest": image.record["manifest"]}}
    _push_tags(engine, reference, tags, None)


def _push_tags(
    engine: Engine, reference: Reference, tags: dict[str, dict[str, Any]], wanted: Platform | None
) -> None:
    if reference.domain == store.EMBEDDED_DOMAIN:
        text = f"push {reference.familiar()}: {store.EMBEDDED_DOMAIN} is no registry"
        raise RegistryError(text, hint=f"pod tag {reference.familiar()} REGISTRY/NAME, then push that")
    endpoint = own(engine, reference)
    try:
        engine.progress("pushing", {"name": reference.name})
        places = push_plan.sources(engine, reference)
        uploads = Uploads(endpoint, reference.familiar_name, sorted(set(places.values()))[:_MAX_SOURCES])
        for tag, ref in tags.items():
            _push_tag(engine, uploads, places, reference.with_tag(tag), ref, wanted)
    finally:
        endpoint.close()


_MAX_SOURCES = 8
"""Repositories that a token is asked for besides the one that is pushed to."""


def _named(engine: Engine, name: str, *, all_tags: bool) -> tuple[Reference, dict[str, dict[str, Any]]]:
    """(repository, tag to what refs/ has of it), in Docker's words where there is none."""
    candidates = registries.of(engine.config).candidates(name)
    for candidate in candidates:
        if all_tags and (candidate.tag or candidate.digest):
            refused = UsageError("tag can't be used with --all-tags/-a")
            refused.exit_code = 1  # As Docker's.
            raise refused
        if candidate.digest:
            raise InvalidReference("cannot push a digest reference", hint="pod tag gives it a name with a tag")
        tags = {}
        for ref in store.list_refs(engine) if all_tags else ():
            of = references.parse(ref["name"])
            if of.name == candidate.name and of.tag and not of.digest:
                tags[of.tag] = ref
        if not all_tags:
            one = candidate.with_default_tag()
            found = store.read_ref(engine, one.canonical())
            if found is None and one.domain == store.EMBEDDED_DOMAIN:
                store.resolve(engine, name)  # It is not in the store before it is asked for.
                found = store.read_ref(engine, one.canonical())
            if found is not None:
                tags[one.tag] = found
        if tags:
            return candidate, dict(sorted(tags.items()))
    shown = candidates[0].familiar_name if all_tags else candidates[0].with_default_tag().familiar()
    hint = f"pod tag IMAGE {shown} gives an image that name; pod images lists what there is"
    raise NoSuchImage(f"An image does not exist locally with the tag: {shown}", hint=hint)


def _push_tag(
    engine: Engine,
    uploads: Uploads,
    places: dict[str, str],
    reference: Reference,
    ref: dict[str, Any],
    wanted: Platform | None,
) -> None:
    plan = push_plan.plan(engine, reference, ref, wanted)
    squeezed = Squeezed(engine)
    try:
        several = plan.index is not None
        plan.change(squeezed.manifest(plan.only))
        if not all(uploads.has("manifests", entry.digest) for entry in plan.absent):
            plan.without_index()
        if several and plan.index is None:
            text = f"{reference.familiar()} is for several platforms, of which the store has one: that one is pushed"
            engine.progress("note", {"text": text})
        Departure(engine, uploads, places, plan, squeezed).run()
    finally:
        squeezed.close()
    if plan.index is not None:
        for manifest in plan.manifests:
            uploads.put_manifest(manifest.digest, manifest.raw, manifest.media_type)
    top = plan.index or plan.manifests[0]
    uploads.put_manifest(plan.tag, top.raw, top.media_type)
    if plan.only.digest == plan.image.record["manifest"]:
        store.remember(engine, reference, top.digest, plan.image.id)
    events.emit(engine, "image", "push", reference.familiar(), {"name": reference.familiar_name})
    engine.progress("pushed", {"tag": plan.tag, "digest": top.digest, "size": len(top.raw)})


class Departure:
    """The blobs of one plan on their way, ``parallel-uploads`` at once. The first failure stops all."""

    __slots__ = ("_engine", "_error", "_lock", "_places", "_progress", "_queue", "_squeezed", "_stop", "_uploads")

    def __init__(
        self, engine: Engine, uploads: Uploads, places: dict[str, str], plan: Plan, squeezed: Squeezed
    ) -> None:
        self._engine = engine
        self._squeezed = squeezed
        self._uploads = uploads
        self._places = places
        self._progress = Progress(engine, silent=False)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._queue: list[tuple[Descriptor, bool]] = [(layer, True) for layer in plan.layers()]
        self._queue += [(config, False) for config in plan.configs()]

    def run(self) -> None:
        """Returns when all of it is at the registry; raises the first failure."""
        engine = self._engine
        for layer, shown in self._queue:
            if shown:
                self._tell(layer, "Preparing")
        first = self._queue.pop()  # A configuration, by itself: it settles scheme and login for the others.
        self._bring(*first)
        count = min(engine.config.parallel_uploads, len(self._queue))
        for layer, shown in self._queue[count:]:
            if shown:
                self._tell(layer, "Waiting")
        try:
            for thread in self._begin(count):
                thread.join()
        except BaseException:
            self._stop.set()
            raise
        if self._error is not None:
            raise self._error

    def _begin(self, count: int) -> list[threading.Thread]:
        threads: list[threading.Thread] = []
        while len(threads) < count:
            thread = begin_thread(self._work, "push blobs", needed=not threads)
            if thread is None:
                break
            threads.append(thread)
        return threads

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._stop.is_set():
                    return
                blob, shown = self._queue.pop(0)
            try:
                self._bring(blob, shown)
            except Stopped:
                return
            except BaseException as error:  # noqa: BLE001  # carried to the thread that waits
                self._error = self._error or error
                self._stop.set()

    def _tell(self, blob: Descriptor, status: str, current: int | None = None) -> None:
        self._progress.tell({"digest": blob.digest, "size": blob.size}, status, current)

    def _bring(self, blob: Descriptor, shown: bool) -> None:
        """One blob to the registry; of several pushes of it to one repository one sends it."""

        def tell(status: str, current: int | None = None) -> None:
            if shown:
                self._tell(blob, status, current)

        turn = self._turn(blob.digest)
        try:
            if self._uploads.has("blobs", blob.digest):
                tell("Layer already exists")
                return
            source = self._places.get(blob.digest, "")
            location = self._uploads.begin(blob.digest, source)
            if not location:
                tell(f"Mounted from {source}")
                return
            fd = self._open(blob)
            try:
                sent = Blob(fd, blob.digest, blob.size, lambda count: tell("Pushing", count), self._stop)
                tell("Pushing")
                self._uploads.send(location, sent)
            finally:
                os.close(fd)
            tell("Pushed")
        finally:
            if turn is not None:
                turn.__exit__()

    def _open(self, blob: Descriptor) -> int:
        """A descriptor of the blob's bytes. StoreCorrupt where the store does not have them as they should be."""
        fd = self._squeezed.open(blob.digest)
        if fd is None:
            fd = blobs.open_read(self._engine, blob.digest)
        if os.fstat(fd).st_size != blob.size:
            os.close(fd)
            raise StoreCorrupt(f"read blob: {blob.digest}: its size has changed", hint="pull or load the image again")
        return fd

    def _turn(self, digest: str) -> statefile.Lock | None:
        """The lock of this blob at this repository; None where who has it is stopped."""
        key = digests.of(f"{self._uploads.place}@{digest}".encode())[7:39]
        path = f"{self._engine.run_dir}/locks/push-{key}"
        while not self._stop.is_set():
            lock = statefile.Lock(path, timeout=_TURN)
            try:
                return lock.__enter__()
            except Busy:
                if holders.stopped_holder_of(path):
                    return None
        raise Stopped
