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
import time

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine
    from pod.core.image.store import Image


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
def step(engine: Engine, number: int, name: str) -> Iterator[Told]:
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
        with step(engine, first, "exporting to image") as told:
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
        from pod.core.builder import exporting

        if output.kind in ("local", "tar"):
            write = exporting.local if output.kind == "local" else exporting.tar
            write(engine, product, output.attributes["dest"], first)
        else:
            digest = exporting.archive(engine, wishes, product, output, first)
            found = found if image is not None else digest
        first += 1
    return found


def _push(engine: Engine, wishes: Wishes, number: int) -> None:
    from pod.core.image import push

    with step(engine, number, "pushing " + ", ".join(name.familiar() for name in wishes.tags)):
        for name in wishes.tags:
            push.push(engine, name.canonical())
