"""The missing layers of one image: downloaded, unpacked and published at the same time.

    threads        take blobs from a queue, write them down, hash them on the way (blobs.Writer)
    extractor      one process; unpacks what is there, and what is still coming while it comes
    this thread    gives out work, publishes layers as they are done, in whatever order, and ends everything on failure

At most ``parallel-downloads`` blobs are on their way at once, and as many layers are unpacked as there are cores (three
at most: each costs memory). A layer gets its name when its blob has its digest and its tar the diffID.
"""

from __future__ import annotations

import os
import select
import threading
import time

from pod.core import holders
from pod.core.errors import Busy, DigestMismatch, PodError
from pod.core.image import blobs, layers, trash
from pod.core.image.extractor import Answer, Extractor
from pod.core.image.unpacking import LOCK_TIMEOUT, Refused, Unpacking
from pod.core.oci.image_spec import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core import statefile
    from pod.core.engine import Engine
    from pod.core.image.install import Report, Source
    from pod.core.runtime.userns import IdMap

_REPORT_EVERY = 0.1
_MOST_UNPACKED = 3
_LOCK_PAUSE = 0.05
"""Seconds between two looks at a layer that another process is unpacking."""
_JOIN = 5.0
_ATTEMPTS = 8
"""How often one layer is begun: again when its download began again under it."""
_MISFITS = 3
"""How often a blob is begun again because its pieces did not fit together."""


class Progress:
    """"layer" events from several threads, one at a time, a layer's bytes at most ten times a second."""

    __slots__ = ("_engine", "_last", "_lock", "_silent")

    def __init__(self, engine: Engine, *, silent: bool) -> None:
        self._engine = engine
        self._silent = silent
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def tell(self, layer: dict[str, Any], status: str, current: int | None = None) -> None:
        if self._silent:
            return
        fields = {"id": layer["digest"][7:19], "status": status, "current": current, "total": layer["size"]}
        with self._lock:
            now = time.monotonic()
            if current is not None and now - self._last.get(layer["digest"], 0.0) < _REPORT_EVERY:
                return
            self._last[layer["digest"]] = now
            self._engine.progress("layer", fields)


def begin_thread(work: Callable[[], None], name: str, *, needed: bool) -> threading.Thread | None:
    """A thread that does ``work``; None where a limit on processes allows no more and others do the same work. PodError
    where that one is ``needed``.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        if not needed:
            return None
        raise PodError(f"{name}: {error}", hint="is a limit on processes too low? ('ulimit -u')") from None
    return thread


class Downloads:
    """Blobs fetched by threads. ``coming`` has the writers of those on their way, ``there`` those that are whole.

    ``wake`` is called, from any thread, after each change. The first failure stops all and is kept in ``error``.
    """

    __slots__ = (
        "_active", "_engine", "_lock", "_progress", "_queue", "_source", "_stop", "_threads", "_wake", "coming",
        "error", "there",
    )  # fmt: skip

    def __init__(self, engine: Engine, source: Source, progress: Progress, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._source = source
        self._progress = progress
        self._wake = wake
        self._queue: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._active = 0
        self.coming: dict[str, blobs.Writer] = {}
        self.there: set[str] = set()
        self.error: BaseException | None = None

    def add(self, layer: dict[str, Any]) -> None:
        """Queues the blob of ``layer``, with one more thread if there may be one."""
        with self._lock:
            self.there.discard(layer["digest"])
            self._queue.append(layer)
            if self._active >= self._engine.config.parallel_downloads:
                self._progress.tell(layer, "Waiting")
                return
            thread = begin_thread(self._run, "download blobs", needed=not self._active)
            if thread is None:
                return
            self._active += 1
            self._threads.append(thread)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._stop.is_set():
                    self._active -= 1
                    break
                layer = self._queue.pop(0)
            try:
                self._fetch(layer)
            except BaseException as error:  # noqa: BLE001  # carried to the thread that waits
                self.error = self.error or error
                self._stop.set()
            self._wake()
        self._wake()

    def _fetch(self, layer: dict[str, Any]) -> None:
        def report(count: int) -> None:
            self._progress.tell(layer, "Downloading", count)

        def begun(writer: blobs.Writer) -> None:
            self.coming[layer["digest"]] = writer
            self._wake()

        descriptor = Descriptor(layer["mediaType"], layer["digest"], layer["size"])
        try:
            fetch(self._engine, self._source, descriptor, report, self._stop, begun)
        finally:
            self.coming.pop(layer["digest"], None)
        if not self._stop.is_set():
            self._progress.tell(layer, "Verifying Checksum")
            self._progress.tell(layer, "Download complete")
            self.there.add(layer["digest"])

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        with self._lock:
            return self._active > 0

    def stop(self) -> bool:
        """Ends the threads at their next chunk; whether they are gone. One that looks for a host cannot be woken."""
        self._stop.set()
        if self.busy:
            self._source.interrupt()
        deadline = time.monotonic() + _JOIN
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


class _Job:
    """A layer that the extractor has: its lock; if it is read while it comes, its writer and how often that had begun
    again; whether people were told that it is being extracted.
    """

    __slots__ = ("followed", "lock", "restarts", "told", "unpacking")

    def __init__(self, unpacking: Unpacking, lock: statefile.Lock | None) -> None:
        self.unpacking = unpacking
        self.lock = lock
        self.followed: blobs.Writer | None = None
        self.restarts = 0
        self.told = False

    def let_lock_go(self) -> None:
        if self.lock is not None:
            self.lock.__exit__()


class Arrival:
    """Brings the layers ``todo`` of one image; those of ``missing`` have no blob in the store."""

    __slots__ = (
        "_answers", "_blocked", "_downloads", "_engine", "_extractor", "_failures", "_held", "_idmap", "_jobs",
        "_limit", "_missing", "_progress", "_todo", "_trash", "_tries", "_wake",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        source: Source,
        todo: list[dict[str, Any]],
        missing: list[dict[str, Any]],
        progress: Progress,
    ) -> None:
        self._engine = engine
        self._idmap: IdMap = engine.idmap
        self._todo = dict(enumerate(todo))
        self._missing = missing
        self._progress = progress
        self._jobs: dict[int, _Job] = {}
        self._answers: list[Answer] = []
        self._failures: dict[str, PodError] = {}
        self._tries: dict[int, int] = {}
        self._held: dict[int, tuple[int, float, float]] = {}
        self._trash: list[str] = []
        self._blocked = False
        self._limit = max(1, min(_cores(), _MOST_UNPACKED))
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._extractor: Extractor | None = None
        self._downloads = Downloads(engine, source, progress, self._ring)

    def _ring(self) -> None:
        try:
            os.write(self._wake[1], b"!")
        except BlockingIOError:
            return  # It will wake anyway.

    def run(self) -> None:
        """Returns when all of it is there; raises the first failure, after everything was stopped and put away."""
        try:
            if self._todo:
                self._extractor = Extractor(self._engine, self._idmap)  # Before the first thread.
            for layer in self._missing:
                self._downloads.add(layer)
            while True:
                self._hand_out()
                busy = self._downloads.busy  # Before the error: a thread sets that first.
                if self._downloads.error is not None:
                    raise self._downloads.error
                if not (self._todo or self._jobs or busy):
                    return
                self._collect()
        finally:
            self._end()

    def _end(self) -> None:
        quiet = self._downloads.stop()
        if self._extractor is not None:
            self._extractor.close()
        for number in list(self._jobs):
            self._put_back(number)
        for path in self._trash if quiet else []:
            trash.remove_tree(self._engine, path, self._idmap)
        if quiet:  # Else a thread may still ring; two descriptors until the process ends.
            for descriptor in self._wake:
                os.close(descriptor)

    def _hand_out(self) -> None:
        """Gives the extractor what it can begin with, base first, as far as there are free cores."""
        self._blocked = False
        for number, layer in list(self._todo.items()):
            if len(self._jobs) >= self._limit:
                return
            if number in self._jobs:
                continue
            digest = layer["digest"]
            expected = any(one["digest"] == digest for one in self._missing) and digest not in self._downloads.there
            writer = self._downloads.coming.get(digest)
            if digest in self._failures or (expected and writer is None):
                continue
            self._begin(number, layer, writer if expected else None)

    def _begin(self, number: int, layer: dict[str, Any], writer: blobs.Writer | None) -> None:
        job = Unpacking(self._engine, layer, self._idmap)
        lock: statefile.Lock | None = job.lock(0.0)
        try:
            assert lock is not None
            lock.__enter__()
        except Busy as busy:
            if writer is not None or not self._is_stuck(number, job, busy):
                self._blocked = True
                return
            lock = None  # Who has it will find ours in its place.
        given = _Job(job, lock)
        if layers.is_done(job.path):
            given.let_lock_go()
            self._done(number)
            return
        self._jobs[number] = given
        source = None
        if writer is not None:
            given.followed, given.restarts = writer, writer.restarts
            source = writer.follow()
            if source is None:  # It was published, or given up, at this moment.
                self._put_back(number)
                self._blocked = True
                return
        job.prepare(source)
        assert self._extractor is not None
        self._extractor.submit(number, job)
        job.let_go()

    def _is_stuck(self, number: int, job: Unpacking, busy: Busy) -> bool:
        """Whether who unpacks this layer is stopped, or waits for a download that does not grow, while the whole blob
        is in the store: such a process holds nobody up. Busy where one unpacks for longer than any layer takes.
        """
        size = blobs.coming(self._engine, job.layer["digest"])
        now = time.monotonic()
        before, since, first = self._held.get(number, (size, now, now))
        if size != before:
            since = now
        elif now - since > holders.STOPPED and job.holder_is_stopped():
            return True
        self._held[number] = (size, since, first)
        if now - first > LOCK_TIMEOUT:
            raise busy
        return size > 0 and now - since > blobs.Turn.STALL

    def _tell_extracting(self, given: _Job) -> None:
        if not given.told:
            given.told = True
            self._progress.tell(given.unpacking.layer, "Extracting")

    def _put_back(self, number: int) -> None:
        given = self._jobs.pop(number)
        aside = given.unpacking.give_up()
        if aside:
            self._trash.append(aside)  # To be removed by a fork, when there are no threads.
        given.unpacking.close()
        given.let_lock_go()

    def _done(self, number: int) -> None:
        self._progress.tell(self._todo.pop(number), "Pull complete")

    def _collect(self) -> None:
        """Waits for something to happen, then takes it in."""
        waiting = [self._wake[0]]
        if self._extractor is not None:
            waiting.append(self._extractor.fileno())
        ready, _, _ = select.select(waiting, [], [], _LOCK_PAUSE if self._blocked else None)
        if self._wake[0] in ready:
            os.read(self._wake[0], 4096)
        if self._extractor is not None and self._extractor.fileno() in ready:
            self._answers.append(self._extractor.receive())
        for answer in [answer for answer in self._answers if self._is_due(answer)]:
            self._answers.remove(answer)
            self._take(answer)
        for given in self._jobs.values():
            if given.followed is None or given.unpacking.layer["digest"] in self._downloads.there:
                self._tell_extracting(given)
        for digest, failure in list(self._failures.items()):
            if digest in self._downloads.there:
                raise failure  # The blob is what it should be: so the image is at fault.

    def _is_due(self, answer: Answer) -> bool:
        """Not before people were told that the download is complete, which the extraction may overtake."""
        given = self._jobs[answer.number]
        return (
            answer.error is not None
            or given.followed is None
            or given.unpacking.layer["digest"] in self._downloads.there
        )

    def _take(self, answer: Answer) -> None:
        given = self._jobs[answer.number]
        try:
            if answer.error is not None:
                self._refused(answer.number, given, answer.error)
                return
            self._tell_extracting(given)
            given.unpacking.publish(answer.found)
        except DigestMismatch:
            digest = given.unpacking.layer["digest"]
            if blobs.has(self._engine, digest) or any(one["digest"] == digest for one in self._missing):
                raise
            # What lay in the store was damaged and is gone now: once more, from the source.
            self._put_back(answer.number)
            self._missing.append(given.unpacking.layer)
            self._downloads.add(given.unpacking.layer)
            return
        self._put_back(answer.number)
        self._done(answer.number)

    def _refused(self, number: int, given: _Job, error: PodError) -> None:
        """A layer that was read while it came: again, if its download began again; else its verdict comes first."""
        import errno

        if given.followed is None:
            given.unpacking.blame()
            raise error
        code = error.errno if isinstance(error, Refused) else 0
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOMEM):
            raise error
        self._put_back(number)
        self._tries[number] = self._tries.get(number, 0) + 1
        if given.followed.restarts == given.restarts and code != errno.ECANCELED:
            self._failures[given.unpacking.layer["digest"]] = error
        elif self._tries[number] >= _ATTEMPTS:
            raise error


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def fetch(
    engine: Engine,
    source: Source,
    descriptor: Descriptor,
    report: Report,
    stop: threading.Event,
    begun: Callable[[blobs.Writer], None] | None = None,
) -> None:
    """One blob into the store; where another process is at it and makes way, waits for that.

    ``begun`` is told the writer, to follow it, before the first byte.
    """
    with blobs.Turn(engine, descriptor.digest) as turn:
        turn.wait(stop)
        if stop.is_set() or blobs.has(engine, descriptor.digest, descriptor.size):
            return
        with blobs.Writer(engine, descriptor.digest, descriptor.size) as writer:
            if begun is not None:
                begun(writer)
            writer.catch_up(stop)
            while not stop.is_set():
                source.fetch(writer, report, stop)
                if stop.is_set():
                    return
                try:
                    writer.commit()
                    return
                except DigestMismatch:
                    if not writer.resumed or writer.restarts >= _MISFITS:
                        raise
                    writer.restart()  # Pieces of different sources did not fit: once more, in one piece.
