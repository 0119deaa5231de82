"""A project as a bundle (core/compose/bundle.py): the canonical document, so changed that it means the same elsewhere.

Images go by digest, what builds and watches them is left out; files of configs become their content; variables and
files of them are filled in already; paths below the project's folder are written relative to it. What is not carried,
for it is the host's, is told: folders that are bound, files of secrets.
"""

from __future__ import annotations

import copy
import json
import os

from pod.core.compose import bundle, document, labels, staging
from pod.core.compose.project import SECTIONS
from pod.core.errors import NotFound, PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.project import Project
    from pod.core.engine import Engine

_EXECUTABLE = 0o111
_LARGE = "large files belong into an image, or into a volume"
_SOURCES = ("build", "develop", "pull_policy")
"""Keys of a service that need what the bundle does not have."""


def make(project: Project) -> tuple[dict[str, Any], list[str]]:
    """(the document, but for the images' digests; sentences of what is not in the bundle)."""
    made = copy.deepcopy(project.document())
    left: list[str] = []
    for name, service in made["services"].items():
        for key in _SOURCES:
            service.pop(key, None)
        for mount in service.get("volumes") or ():
            if mount.get("type") == "bind":
                mount["source"] = _path(project, str(mount.get("source") or ""))
                left.append(f"service {name}: what is bound from {mount['source']} is not in the bundle")
        _keep_modes(project, service)
    for name, secret in (made.get("secrets") or {}).items():
        if secret.get("file"):
            secret["file"] = _path(project, str(secret["file"]))
            left.append(f"secret {name}: {secret['file']} is not in the bundle: secrets are never")
    for name, config in (made.get("configs") or {}).items():
        if config.get("file"):
            config["content"] = _content(str(config.pop("file")), f"config {name}")
    _unname(project, made)
    return made, left


def text(made: dict[str, Any]) -> bytes:
    """As it lies in the bundle: ASCII, dollar signs doubled as ``config`` does. PodError where it is too large."""
    data = json.dumps(made, indent=1).replace("$", "$$").encode("ascii")
    if len(data) > document.MOST_BYTES:
        raise PodError(
            f"the document with the configs in it is larger than {document.MOST_BYTES >> 20} MiB",
            hint=_LARGE,
        )
    return data


def write(engine: Engine, project: Project, made: dict[str, Any], descriptor: int) -> None:
    """Writes the bundle of the document that :func:`make` made; the images are in the store."""
    from pod.core.image import archive_write, save
    from pod.core.oci import reference as references

    chosen: dict[str, save.Chosen] = {}
    for name, service in project.services.items():
        image = labels.image_name(project.name, name, service)
        for one in save.choose(engine, [image]):
            reference = references.parse(image)
            made["services"][name]["image"] = reference.with_digest(one.image.record["manifest"]).canonical()
            known = chosen.setdefault(one.image.id, one)
            known.names += [other for other in one.names if other not in known.names]
    data = text(made)
    target = archive_write.Tar(descriptor)
    target.file(bundle.MEMBER, len(data), archive_write.of_bytes(data))
    save.save(engine, list(chosen.values()), target, "oci-archive")


def _path(project: Project, path: str) -> str:
    """Relative to the project's folder, where it lies below it."""
    inner = os.path.relpath(path, project.directory)
    return path if inner == ".." or inner.startswith("../") else os.path.join(".", inner)


def _content(path: str, what: str) -> str:
    if not os.path.lexists(path):
        raise NotFound(f"{what}: no such file: {path}", hint="make it, or name another with 'file'")
    try:
        return staging.read(path, what).decode("utf-8", "surrogateescape")
    except UsageError as error:
        raise PodError(error.message, hint=_LARGE) from None


def _keep_modes(project: Project, service: dict[str, Any]) -> None:
    """A config that is a program stays one: content has no mode of its own."""
    for entry in service.get("configs") or ():
        file = (project.configs.get(str(entry.get("source"))) or {}).get("file")
        if file and entry.get("mode") is None and os.path.isfile(file) and os.stat(file).st_mode & _EXECUTABLE:
            entry["mode"] = "0555"


def _unname(project: Project, made: dict[str, Any]) -> None:
    """Names that follow from the project's are left out, so that ``-p`` gives others."""
    for section in SECTIONS[1:]:
        for key, member in (made.get(section) or {}).items():
            if isinstance(member, dict) and member.get("name") == f"{project.name}_{key}":
                del member["name"]
