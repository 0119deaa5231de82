"""Archives of Docker before 1.10 (and of tools of that time): ``repositories`` and a folder for each layer.

    repositories        {name: {tag: id}}
    <id>/json           {"id", "parent", "created", "config", "container_config", …}
    <id>/layer.tar      the layer

What the images' configurations lack (the list of layers, a history) is made from the folders, as Docker does.
"""

from __future__ import annotations

import json

from pod.core.image import archive_images
from pod.core.image.archive_tar import ArchiveError
from pod.core.oci import digest as digests
from pod.core.oci import image_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.image.archive_images import Found
    from pod.core.image.archive_members import Members, Part
    from pod.core.oci.reference import Reference

_MAX_NAMES = 1000
_NOT_CONFIGURATION = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")


def images(members: Members) -> list[Found]:
    """All images that ``repositories`` names. ArchiveError for documents that are not sound."""
    names: dict[str, list[Reference]] = {}
    for repository, tags in _object(members, "repositories").items():
        if not isinstance(tags, dict):
            raise ArchiveError(f"read archive: {members.shown}: repositories is not a map of tags")
        for tag, layer in tags.items():
            if not isinstance(layer, str) or len(layer) != 64 or not digests.is_hex(layer):
                raise ArchiveError(f"read archive: {members.shown}: repositories names no layer for {tag[:128]!r}")
            names.setdefault(layer, []).append(archive_images.parse_tag(members, f"{repository}:{tag}"))
            if len(names) > _MAX_NAMES:
                raise ArchiveError(f"read archive: {members.shown}: more than {_MAX_NAMES} images")
    if not names:
        raise ArchiveError(f"read archive: {members.shown}: it names no image")
    return [_image(members, top, called) for top, called in names.items()]


def _object(members: Members, name: str) -> dict[str, Any]:
    value = archive_images.document(members, name, image_spec.MAX_MANIFEST)
    if not isinstance(value, dict):
        raise ArchiveError(f"read archive: {members.shown}: {name[:200]} is not a JSON object")
    return value


def _image(members: Members, top: str, names: list[Reference]) -> Found:
    chain: list[tuple[str, dict[str, Any]]] = []
    layer: Any = top
    while layer:
        if not isinstance(layer, str) or len(layer) != 64 or not digests.is_hex(layer):
            raise ArchiveError(f"read archive: {members.shown}: a parent that is no id")
        if len(chain) >= image_spec.MAX_LAYERS:
            raise ArchiveError(f"read archive: {members.shown}: parents of {top} have no end")
        chain.append((layer, _object(members, f"{layer}/json")))
        layer = chain[-1][1].get("parent")
    chain.reverse()
    layers: list[tuple[str, Part]] = [(f"{one}/layer.tar", members.need(f"{one}/layer.tar")) for one, _ in chain]
    config = {key: value for key, value in chain[-1][1].items() if key not in _NOT_CONFIGURATION}
    config["rootfs"] = {"type": "layers", "diff_ids": [_diff_id(members, name, part) for name, part in layers]}
    config["history"] = [_step(value) for _, value in chain]
    raw = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return archive_images.make(members, names, raw, layers)


def _diff_id(members: Members, name: str, part: Part) -> str:
    if members.kind(part):
        raise ArchiveError(f"read archive: {members.shown}: {name}: a compressed layer, whose content nothing tells")
    return members.digest(part)


def _step(value: dict[str, Any]) -> dict[str, Any]:
    """A layer's own document as an entry of the history."""
    made = value.get("container_config")
    command = made.get("Cmd") if isinstance(made, dict) else None
    step: dict[str, Any] = {}
    for key in ("created", "author", "comment"):
        if isinstance(value.get(key), str) and value[key]:
            step[key] = value[key]
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        step["created_by"] = " ".join(command)
    return step
