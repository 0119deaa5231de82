"""What a build has come to at some step: the layers so far and the configuration that goes with them.

A state is data, so that it can go from the process of one stage to that of another, and is no image until it is
published: nothing of it is listed, named or pushed.
"""

from __future__ import annotations

import copy

from pod.core.image import commit
from pod.core.image.store import Image
from pod.core.oci import image_spec, platform
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.oci.platform import Platform
    from pod.core.oci.reference import Reference

COMMENT = "buildkit.dockerfile.v0"
"""What Docker's builds write beside each step of the history."""
_PLATFORM = ("architecture", "os", "variant", "os.version", "os.features")


class State:
    """``layers``: entries as an image's record has them, base first. ``config``: the member "config" of the image to be
    (image-spec config.md). ``base``: the members of the base's document that stay. ``created``: time of the last layer,
    RFC 3339.
    """

    __slots__ = ("base", "config", "created", "history", "layers", "size")

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.base: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.created = ""
        self.size = 0

    @property
    def chain(self) -> str:
        """The chain id of the topmost layer, "" for none: what the tree is."""
        return str(self.layers[-1]["chainID"]) if self.layers else ""

    def copy(self) -> State:
        """One that another stage goes on from."""
        other = State()
        for name in self.__slots__:
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other

    def to_dict(self) -> dict[str, Any]:
        """For another process."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> State:
        """What :meth:`to_dict` gave."""
        state = cls()
        for name in cls.__slots__:
            setattr(state, name, found[name])
        return state

    def add_layer(self, entry: Mapping[str, Any], created: str) -> None:
        """One more layer, whose "chainID" is computed here."""
        diff_ids = [layer["diffID"] for layer in self.layers] + [entry["diffID"]]
        self.layers.append({**entry, "chainID": image_spec.chain_ids(diff_ids)[-1]})
        self.size += int(entry.get("unpacked", 0))
        self.created = created

    def note(self, created_by: str, *, empty: bool, author: str = "") -> None:
        """A step of the history; that of a layer after it was added. Its time is that of the last layer, so a build of
        steps that were done before gives the same image.
        """
        step: dict[str, Any] = {"created": self.created, "created_by": created_by, "comment": COMMENT}
        if author:
            step["author"] = author
        if empty:
            step["empty_layer"] = True
        self.history.append(step)

    def document(self) -> dict[str, Any]:
        """The image's configuration but for "rootfs"."""
        found: dict[str, Any] = {"created": self.created, **self.base}
        return {**found, "config": self.config, "history": self.history}

    def image(self) -> Image:
        """As the code of containers wants it; in memory alone."""
        return _Unpublished(self)

    def publish(self, engine: Engine, reference: Reference | None, annotations: Mapping[str, str]) -> Image:
        """The image in the store, with that name; ``annotations`` in its manifest."""
        return commit.publish(engine, self.image(), self.document(), None, reference, annotations)


class _Unpublished(Image):
    """The image that a state would be. Its id is none of the store's."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        record = {name: state.base[name] for name in ("architecture", "os", "variant") if state.base.get(name)}
        chain = state.chain or "sha256:" + "0" * 64
        super().__init__({"id": chain, "layers": state.layers, "size": state.size, **record})
        self._state = state

    def config(self, engine: Engine) -> dict[str, Any]:
        return {**self._state.document(), "config": self._state.config}


def scratch(wanted: Platform, created: str) -> State:
    """FROM scratch."""
    state = State()
    state.base = {"architecture": wanted.architecture, "os": wanted.os or "linux"}
    if wanted.variant:
        state.base["variant"] = wanted.variant
    state.config = {"Env": [f"PATH={defaults.DEFAULT_PATH}"], "WorkingDir": "/"}
    state.created = created
    return state


def of_image(engine: Engine, image: Image) -> State:
    """FROM an image of the store. What strangers wrote into its configuration is checked as for a container."""
    from pod.core.container import spec

    document = image.config(engine)
    inner = document.get("config") or {}
    state = State()
    state.layers = [dict(entry) for entry in image.record["layers"]]
    state.size = int(image.record.get("size", 0))
    state.base = {name: document[name] for name in _PLATFORM if isinstance(document.get(name), (str, list))}
    state.base.setdefault("architecture", platform.host().architecture)
    state.base.setdefault("os", "linux")
    state.config = spec.checked(inner, image.short_id)
    onbuild = inner.get("OnBuild")
    if isinstance(onbuild, list) and all(isinstance(one, str) for one in onbuild):
        state.config["OnBuild"] = list(onbuild)
    state.config.setdefault("Env", [])
    if not any(entry.startswith("PATH=") for entry in state.config["Env"]):
        state.config["Env"] = [f"PATH={defaults.DEFAULT_PATH}", *state.config["Env"]]
    history = document.get("history")
    state.history = [dict(one) for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    state.created = str(document.get("created") or "1970-01-01T00:00:00Z")
    return state
