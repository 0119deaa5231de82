"""--output: what a build has come to, as a folder, an archive, or an image that is named and pushed.

    local    the flattened tree in a folder, as files of the caller: without owners, set-id bits and devices
    tar      the flattened tree as an archive, with owners
    oci      an OCI image layout in an archive (tar=false: a folder), its layers compressed (gzip)
    docker   what `docker save` writes; without a destination the store gets it, as with "image"
    image    the store gets it; push=true sends it on

Archives replace what was there once they are whole. Progress is told as steps after those of the plan.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time

from pod.core.container import view
from pod.core.errors import PodError
from pod.core.image import archive_write, commit, save
from pod.core.image.store import Image
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from pod.core.builder.wishes import Output, Wishes
    from pod.core.engine import Engine

_FAILED = "export"
_STDOUT = 1


class Product:
    """What a build has come to. ``layers``: as in an image's record, base first; ``document``: the image's
    configuration but for "rootfs"; ``size``: bytes, unpacked; ``view(work)`` gives what ``work`` returns, given the
    descriptor of a plan that leads to the tree (core/container/view).
    """

    __slots__ = ("document", "layers", "size", "view")

    def __init__(
        self,
        layers: list[dict[str, Any]],
        document: Mapping[str, Any],
        size: int,
        view: Callable[[Callable[[int], Any]], Any],
    ) -> None:
        self.layers = layers
        self.document = document
        self.size = size
        self.view = view


class Told:
    """One output as a step of the progress: ``number`` after those of the plan."""

    __slots__ = ("_engine", "_fields", "_since")

    def __init__(self, engine: Engine, number: int, name: str) -> None:
        self._engine = engine
        self._fields = {"step": number, "stage": "", "name": name}
        self._since = time.monotonic()
        self._send("start")

    def _send(self, state: str, **more: Any) -> None:
        self._engine.progress("build", {"state": state, **self._fields, **more})

    def line(self, text: str) -> None:
        """Something that is done."""
        self._send("output", stream=1, text=text + "\n", seconds=None)

    def end(self, error: BaseException | None) -> None:
        seconds = time.monotonic() - self._since
        if error is None:
            self._send("done", seconds=seconds)
        elif isinstance(error, PodError):
            self._send("failed", seconds=seconds, text=error.message)


@contextlib.contextmanager
def _step(engine: Engine, number: int, name: str) -> Iterator[Told]:
    told = Told(engine, number, name)
    try:
        yield told
    except BaseException as error:
        told.end(error)
        raise
    told.end(None)


def export(engine: Engine, wishes: Wishes, product: Product, image: Image | None, first: int) -> tuple[str, str]:
    """All outputs of ``wishes``. ``image``: what was published for those that want an image (Wishes.makes_image), else
    None; ``first``: the number of the first step that is told. The digests of configuration and manifest, "" where no
    output has them. PodError; what was begun is gone then, except files in a folder that was there before.
    """
    if image is not None:
        found = image.id, str(image.record["manifest"])
        with _step(engine, first, "exporting to image") as told:
            told.line(f"writing image {image.id} done")
            for name in wishes.tags:
                told.line(f"naming to {name.canonical()} done")
        first += 1
    else:
        found = "", ""
    for output in wishes.outputs:
        if output.makes_image:
            if output.attributes.get("push") == "true":
                _push(engine, wishes, first)
                first += 1
            continue
        if output.kind in ("local", "tar"):
            (_local if output.kind == "local" else _tar)(engine, product, output.attributes["dest"], first)
        else:
            digest = _archive(engine, wishes, product, output, first)
            found = found if image is not None else digest
        first += 1
    return found


# ---- images


def _push(engine: Engine, wishes: Wishes, number: int) -> None:
    from pod.core.image import push

    with _step(engine, number, "pushing " + ", ".join(name.familiar() for name in wishes.tags)):
        for name in wishes.tags:
            push.push(engine, name.canonical())


def _archive(engine: Engine, wishes: Wishes, product: Product, output: Output, number: int) -> tuple[str, str]:
    attributes = output.attributes
    chosen = _unpublished(product, wishes)
    chosen.names = list(wishes.tags)
    form, compress = "docker-archive", ""
    if output.kind == "oci":
        form, compress = "oci-archive", attributes.get("compression", "gzip").replace("uncompressed", "")
    only_plain = attributes.get("force-compression") != "true"
    dest = attributes["dest"]
    with _step(engine, number, f"exporting to {output.kind} image format") as told:
        if attributes.get("tar") == "false":
            with archive_write.whole_folder(dest, _FAILED) as folder:
                target: archive_write.Target = archive_write.Tree(folder)
                save.save(engine, [chosen], target, form, compress, only_plain=only_plain)
        else:
            with _file(dest) as descriptor:
                target = archive_write.Tar(descriptor)
                save.save(engine, [chosen], target, form, compress, only_plain=only_plain)
        assert chosen.documents is not None
        told.line(f"exporting config {chosen.image.id} done")
    return chosen.image.id, digests.of(chosen.documents[1])


def _unpublished(product: Product, wishes: Wishes) -> save.Chosen:
    """The image that it is, without a record in the store."""
    raw, manifest = commit.documents(product.document, product.layers, wishes.annotations)
    record = {
        "version": 1,
        "id": digests.of(raw),
        "manifest": digests.of(manifest),
        "mediaType": image_spec.OCI_MANIFEST,
        "architecture": product.document.get("architecture", ""),
        "os": product.document.get("os", "linux"),
        "variant": product.document.get("variant", ""),
        "size": product.size,
        "layers": product.layers,
    }
    return save.Chosen(Image(record), (raw, manifest))


# ---- trees


@contextlib.contextmanager
def _file(dest: str) -> Iterator[int]:
    if dest == "-":
        yield _STDOUT
        return
    with archive_write.whole_file(dest, _FAILED) as descriptor:
        yield descriptor


def _tar(engine: Engine, product: Product, dest: str, number: int) -> None:
    def work(plan_fd: int) -> dict[str, Any]:
        return view.Job("export", plan_fd, "/", stream=descriptor, flags=view.NO_TOP).result()

    with _step(engine, number, "exporting to tarball"), _file(dest) as descriptor:
        _told(engine, _tried(lambda: product.view(work)), ("sockets",), "cannot be in an archive")


def _local(engine: Engine, product: Product, dest: str, number: int) -> None:
    """Into a folder that may hold something already: names that are there are replaced, others stay."""
    folder = os.path.abspath(dest)

    def work(plan_fd: int) -> tuple[dict[str, Any], dict[str, Any]]:
        flags = view.PLAIN_MODES | view.NO_DEVICES | view.NO_TOP
        return view.through_pipe(
            lambda stream: view.Job("pack", plan_fd, "/", stream=stream, base=".", flags=flags),
            lambda stream: view.Job("unpack", -1, folder, stream=stream),
        )

    with _step(engine, number, "exporting to client directory") as told:
        made = _made(folder)
        try:
            for result in _tried(lambda: product.view(work)):
                _told(engine, result, ("sockets", "devices"), "a folder of the caller's does not get")
        except BaseException:
            if made:
                shutil.rmtree(made, ignore_errors=True)
            raise
        told.line(f"copying files to {dest} done")


def _made(folder: str) -> str:
    """Makes the folder; the topmost one that was missing, "" for none."""
    missing = ""
    above = folder
    while not os.path.lexists(above):
        missing, above = above, os.path.dirname(above)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise PodError(f"{_FAILED}: {folder}: {(error.strerror or 'failed').lower()}") from None
    return missing


def _tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except StepError as error:
        if error.step == "COPY" and error.errno in (20, 21):
            text = f"{_FAILED}: {error.path}: a folder and something else have that name"
            raise PodError(text, hint="export to an empty folder") from None
        raise view.words(error, _FAILED) from None


def _told(engine: Engine, result: dict[str, Any], kinds: Sequence[str], why: str) -> None:
    for kind in kinds:
        if result[kind]:
            text = f"{result[kind]} {kind} left out, which {why}; one is {result['name']!r}"
            engine.progress("warning", {"text": text})
