"""The forms of --output that are no image of the store: archives, layouts, and the flattened tree (export.py)."""

from __future__ import annotations

import contextlib
import os
import shutil

from pod.core.builder.export import step
from pod.core.container import view
from pod.core.errors import PodError
from pod.core.image import archive_write, commit, save
from pod.core.image.store import Image
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from pod.core.builder.export import Product
    from pod.core.builder.wishes import Output, Wishes
    from pod.core.engine import Engine

_FAILED = "export"
_STDOUT = 1


def archive(engine: Engine, wishes: Wishes, product: Product, output: Output, number: int) -> tuple[str, str]:
    """oci and docker; the digests of configuration and manifest."""
    attributes = output.attributes
    chosen = _unpublished(product, wishes)
    chosen.names = list(wishes.tags)
    form, compress = "docker-archive", ""
    if output.kind == "oci":
        form, compress = "oci-archive", attributes.get("compression", "gzip").replace("uncompressed", "")
    only_plain = attributes.get("force-compression") != "true"
    dest = attributes["dest"]
    with step(engine, number, f"exporting to {output.kind} image format") as told:
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


def tar(engine: Engine, product: Product, dest: str, number: int) -> None:
    """The flattened tree as an archive."""

    def work(plan_fd: int) -> dict[str, Any]:
        return view.Job("export", plan_fd, "/", stream=descriptor, flags=view.NO_TOP).result()

    with step(engine, number, "exporting to tarball"), _file(dest) as descriptor:
        _told(engine, _tried(lambda: product.view(work)), ("sockets",), "cannot be in an archive")


def local(engine: Engine, product: Product, dest: str, number: int) -> None:
    """Into a folder that may hold something already: names that are there are replaced, others stay."""
    folder = os.path.abspath(dest)

    def work(plan_fd: int) -> tuple[dict[str, Any], dict[str, Any]]:
        flags = view.PLAIN_MODES | view.NO_DEVICES | view.NO_TOP
        return view.through_pipe(
            lambda stream: view.Job("pack", plan_fd, "/", stream=stream, base=".", flags=flags),
            lambda stream: view.Job("unpack", -1, folder, stream=stream),
        )

    with step(engine, number, "exporting to client directory") as told:
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
