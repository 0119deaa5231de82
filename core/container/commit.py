"""``commit``: a container's changes and its configuration as an image (docker: docker container commit).

The layer is written by a process that looks at the container's files (ext/src/files/layer.c), compressed as it comes,
and published with the image (core/image/commit.py): nothing is visible before all of it is there.
"""

from __future__ import annotations

import os

from pod.core.container import happened, lifecycle, model, pause, view
from pod.core.errors import Conflict, HostUnsupported, PodError
from pod.core.image import changes, layout
from pod.core.image import commit as images
from pod.core.image.store import by_id
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

_CONFIG = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "Healthcheck",
    "Shell",
)  # fmt: skip
"""Members of the container's Config that are an image's."""
_BASE = ("architecture", "os", "variant", "os.version", "os.features")


class Wishes:
    """The flags of ``commit``. ``created``: RFC 3339, of the image; ``pause``: what runs stands still meanwhile."""

    __slots__ = ("author", "changes", "created", "message", "pause", "reference")

    def __init__(self, created: str) -> None:
        self.created = created
        self.reference: Reference | None = None
        self.author = self.message = ""
        self.changes: Sequence[str] = ()
        self.pause = True


def commit(engine: Engine, container: Container, wishes: Wishes) -> Image:
    """The new image. PodError for a change that is none, Conflict where the container runs elsewhere."""
    container = lifecycle.settle(engine, container)
    model.check_here(container)
    base = by_id(engine, container.config["Image"], container.config["Config"]["Image"])
    document = base.config(engine)
    config = image_config(container.config["Config"], document.get("config") or {})
    changes.apply(config, wishes.changes)
    layout.prepare(engine)
    with images.Layer(engine) as layer:
        with _Standing(engine, container, wanted=wishes.pause):
            entries = _write(engine, container, layer)
        document["history"] = _history(document, len(base.record["layers"]))
        raw = _document(document, container, config, wishes, empty=not entries)
        image = images.publish(engine, base, raw, layer if entries else None, wishes.reference)
    name = wishes.reference.familiar() if wishes.reference is not None else ""
    happened.tell(engine, container, "commit", comment=wishes.message, imageID=image.id, imageRef=name)
    return image


def _write(engine: Engine, container: Container, layer: images.Layer) -> int:
    """Entries of the layer; 0: nothing was changed."""

    def work(plan_fd: int, _: Container) -> dict[str, Any]:
        return view.write_layer(engine, plan_fd, layer, "commit")

    return int(view.use(engine, container, work, bare=True, layer=True)["entries"])


# ---- the configuration


def image_config(config: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """The member "config" of the image: what the container runs with, without what a start adds by itself."""
    found = {name: config[name] for name in _CONFIG if config.get(name)}
    if base.get("OnBuild"):
        found["OnBuild"] = []
    theirs = base.get("Env") or []
    made = {"PATH=" + defaults.DEFAULT_PATH, f"HOSTNAME={config.get('Hostname', '')}"}
    if config.get("Tty"):
        made.add("TERM=xterm")
    env = [entry for entry in config.get("Env") or [] if entry in theirs or entry not in made]
    found["Env"] = env
    return {name: value for name, value in found.items() if value}


def _document(
    base: dict[str, Any], container: Container, config: dict[str, Any], wishes: Wishes, *, empty: bool
) -> dict[str, Any]:
    """image-spec config.md, but for "rootfs"."""
    step: dict[str, Any] = {"created": wishes.created, "created_by": " ".join(container.config["Config"]["Cmd"] or [])}
    step.update({name: value for name, value in (("author", wishes.author), ("comment", wishes.message)) if value})
    if empty:
        step["empty_layer"] = True
    found: dict[str, Any] = {"created": wishes.created}
    if wishes.author:
        found["author"] = wishes.author
    found.update({name: base[name] for name in _BASE if base.get(name)})
    return {**found, "config": config, "history": [*base["history"], step]}


def _history(base: dict[str, Any], layers: int) -> list[Any]:
    """The base's, with a step for each of its layers, also of those that it does not tell of: buildah counts them."""
    told = base.get("history")
    steps = list(told) if isinstance(told, list) else []
    known = sum(1 for step in steps if not (isinstance(step, dict) and step.get("empty_layer")))
    return [*({"comment": "not told by the image"} for _ in range(layers - known)), *steps]


# ---- standing still


class _Standing:
    """A running container is paused meanwhile; also who is killed lets it go on: by a process that waits for that."""

    def __init__(self, engine: Engine, container: Container, *, wanted: bool) -> None:
        self._engine = engine
        self._container = container
        self._wanted = wanted and container.is_running and not container.state.get("paused")
        self._child = self._pipe = -1

    def __enter__(self) -> None:
        if not self._wanted:
            return
        self._watch()
        try:
            pause.pause(self._engine, self._container)
        except HostUnsupported as error:
            self._wanted = False
            text = f"{error.message}: its files may change while they are read"
            self._engine.progress("warning", {"text": text})
        except Conflict:
            self._wanted = False  # it has ended, or somebody else has paused it
        except PodError:
            self._leave(b"-")
            raise
        if not self._wanted:
            self._leave(b"-")

    def _watch(self) -> None:
        reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.setsid()
                os.close(writer)
                if not os.read(reader, 1):
                    pause.let_go_on(self._engine, self._container)
            finally:
                os._exit(0)
        os.close(reader)
        self._pipe = writer

    def __exit__(self, *_: object) -> None:
        if self._wanted:
            pause.let_go_on(self._engine, self._container)
            self._leave(b"-")

    def _leave(self, word: bytes) -> None:
        os.write(self._pipe, word)
        os.close(self._pipe)
        os.waitpid(self._child, 0)
