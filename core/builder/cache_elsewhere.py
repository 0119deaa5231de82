"""--cache-from and --cache-to: steps of builds that were done elsewhere, by the keys that the store's own cache has.

    type=local    <folder>/pod-cache.json         {"version":1, "steps":[{key, digest, size, created, description}]}
                  <folder>/blobs/sha256/<hex>     plain layers
    type=inline   in the image's configuration: MEMBER: {<diffID of a layer>: {key, created, more: [{key, created}]}}
    type=registry an image that has that: of --cache-to one whose layers are those of the steps, and no tree to run

What comes from elsewhere is a stranger's: documents are bounded, a layer is taken when its bytes have its digest, and
it is unpacked as that of any image. That it is what the step makes nobody can check: it is as trusted as a base.
"""

from __future__ import annotations

import contextlib
import os
import stat

from pod.core import moments, statefile
from pod.core.builder import cache
from pod.core.errors import DigestMismatch, PodError
from pod.core.image import blobs, built_layers, layout, store
from pod.core.oci import digest as digests
from pod.core.oci import image_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pod.core.builder.state import State
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine

    Warn = Callable[[str], None]

MEMBER = "io.pod.build.cache"
FILE = "pod-cache.json"
_MOST = 16 << 20
"""Bytes of the file."""
_MOST_STEPS = 16_384
_CHUNK = 1 << 20


class Elsewhere:
    """What the caches of --cache-from have, by key: a layer's entry, and the folder of its bytes ("": the store)."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: dict[str, tuple[dict[str, Any], str]] = {}

    def add(self, key: str, entry: dict[str, Any], folder: str) -> None:
        self._steps.setdefault(key, (entry, folder))

    def bring(self, engine: Engine, key: str, chain_of: Callable[[str], str], warn: Warn) -> cache.Step | None:
        """The step, which is in the store's own cache from now on; None where there is none, or none that is sound."""
        if key not in self._steps:
            return None
        entry, folder = self._steps[key]
        layer = {name: entry[name] for name in ("digest", "mediaType", "size", "diffID", "unpacked")}
        layer["chainID"] = chain_of(layer["diffID"])
        record = {"version": 1, "layer": layer, "created": entry["created"], "description": entry["description"]}
        layout.prepare(engine)
        try:
            if folder and not blobs.has(engine, layer["digest"], layer["size"]):
                _fetch(engine, folder, layer, lambda: built_layers.write(engine, key, record))
            else:
                with store.collection_lock(engine, publish=True):
                    if not blobs.has(engine, layer["digest"], layer["size"]):
                        return None
                    built_layers.write(engine, key, record)
        except DigestMismatch as error:
            warn(f"cache {folder}: {error.message}")
            return None
        except _Unreadable as error:
            warn(f"cache {folder}: {error}")
            return None
        return cache.find(engine, key)


class _Unreadable(Exception):
    """A layer that a cache names cannot be read."""


def _fetch(engine: Engine, folder: str, layer: Mapping[str, Any], publish: Callable[[], None]) -> None:
    digest, size = layer["digest"], layer["size"]
    path = f"{folder}/blobs/sha256/{digest[7:]}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _Unreadable(f"{digest}: {(error.strerror or 'failed').lower()}") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise _Unreadable(f"{digest}: not a file of {size} bytes")
        with blobs.Writer(engine, digest, size) as writer:
            os.lseek(fd, writer.received, os.SEEK_SET)
            while part := os.read(fd, _CHUNK):
                writer.write(part)
            with store.collection_lock(engine, publish=True):
                writer.commit()
                publish()
    finally:
        os.close(fd)


# ---- --cache-from


def open_caches(engine: Engine, wishes: Wishes, warn: Warn) -> Elsewhere:
    """All of --cache-from. What cannot be read is warned of: a cache need not be there."""
    found = Elsewhere()
    for one in wishes.cache_from:
        try:
            if one["type"] == "local":
                _read_folder(found, one["src"])
            else:
                _read_image(engine, found, one["ref"], wishes)
        except (PodError, OSError, ValueError) as error:
            where = one.get("src") or one.get("ref")
            words = error.message if isinstance(error, PodError) else getattr(error, "strerror", None) or str(error)
            warn(f"--cache-from {where}: {words}")
    return found


def _read_folder(found: Elsewhere, folder: str) -> None:
    document = image_spec.load_any(statefile.read_bytes(f"{folder}/{FILE}", _MOST), _MOST, FILE)
    steps = document.get("steps") if isinstance(document, dict) and document.get("version") == 1 else None
    if not isinstance(steps, list) or len(steps) > _MOST_STEPS:
        raise ValueError(f"{FILE} is of another version, or damaged")
    for key, entry in [_checked(step) for step in steps]:  # all of them are sound, or none is taken
        found.add(key, entry, os.path.abspath(folder))


def _checked(step: Any) -> tuple[str, dict[str, Any]]:
    """Key and layer of a line of the file. ValueError for what is none."""
    if not isinstance(step, dict):
        raise ValueError(f"{FILE}: not a step: {step!r:.80}")
    key, digest, size = step.get("key"), step.get("digest"), step.get("size")
    created, description = step.get("created"), step.get("description")
    if not (_is_key(key) and isinstance(digest, str) and digest.startswith("sha256:") and _is_key(digest[7:])):
        raise ValueError(f"{FILE}: not the key or digest of a step: {key!r:.80} {digest!r:.80}")
    if type(size) is not int or size < 0 or not isinstance(created, str) or not isinstance(description, str):
        raise ValueError(f"{FILE}: step {key}: not a size, a time and a description")
    return str(key), {
        "digest": digest, "mediaType": cache.MEDIA_TYPE, "size": size, "diffID": digest, "unpacked": size,
        "created": _time(created), "description": _words(description),
    }  # fmt: skip


def _is_key(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and digests.is_hex(text)


def _time(text: str) -> str:
    """RFC 3339, of the same moment. ValueError else."""
    try:
        return moments.rfc3339(moments.parse(text, 0.0)) if len(text) < 64 and "T" in text else _no_time(text)
    except PodError:
        return _no_time(text)


def _no_time(text: str) -> str:
    raise ValueError(f"not a time: {text!r:.80}")


def _words(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:1000])


def _read_image(engine: Engine, found: Elsewhere, name: str, wishes: Wishes) -> None:
    from pod.core.errors import NoSuchImage
    from pod.core.image import pull

    image = None
    if not wishes.pull:
        with contextlib.suppress(NoSuchImage):
            image = store.resolve(engine, name)
    if image is None:
        image = pull.pull(engine, name, platform=wishes.platform or None)
    built_layers.hold(engine, image.id, os.getpid())
    document = image.config(engine)
    known = document.get(MEMBER)
    if known is None:
        raise ValueError("the image has no cache in it: --cache-to type=inline puts one there")
    if not isinstance(known, dict) or len(known) > _MOST_STEPS:
        raise ValueError("the image's cache is damaged")
    for entry in image.record["layers"]:
        for step in _steps_of(known.get(entry["diffID"])):
            more = {"created": _time(str(step.get("created"))), "description": "from " + _words(name)}
            found.add(step["key"], {**entry, **more, "unpacked": entry.get("unpacked", 0)}, "")


def _steps_of(told: Any) -> list[dict[str, Any]]:
    """The steps that made one layer, as a stranger's document tells them."""
    if not isinstance(told, dict):
        return []
    more = told.get("more")
    steps = [told, *(more if isinstance(more, list) and len(more) <= _MOST_STEPS else ())]
    return [step for step in steps if isinstance(step, dict) and _is_key(step.get("key"))]


# ---- --cache-to


def _told(steps: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What MEMBER says of the steps; several may have made one layer."""
    found: dict[str, Any] = {}
    for key, record in steps:
        step = {"key": key, "created": record["created"]}
        first = found.setdefault(record["layer"]["diffID"], step)
        if first is not step:
            first.setdefault("more", []).append(step)
    return found


def write(engine: Engine, wishes: Wishes, keys: Sequence[str], state: State, warn: Warn) -> None:
    """To the folders and registries of --cache-to, and into the state. ``keys``: of all steps of this build."""
    if any(one["type"] == "inline" for one in wishes.cache_to):
        state.base[MEMBER] = _told(_records(engine, keys, state))
    for one in wishes.cache_to:
        if one["type"] == "inline":
            continue
        steps = _records(engine, keys, None if one.get("mode") == "max" else state)
        try:
            if one["type"] == "local":
                _write_folder(engine, one["dest"], steps)
            else:
                _send(engine, one["ref"], steps, state)
        except OSError as error:
            words = (error.strerror or "failed").lower()
            _failed(one, PodError(f"--cache-to: {error.filename or one.get('dest', '')}: {words}"), warn)
        except PodError as error:
            _failed(one, PodError(f"--cache-to: {error.message}", hint=error.hint), warn)


def _failed(one: Mapping[str, str], error: PodError, warn: Warn) -> None:
    if one.get("ignore-error") != "true":
        raise error
    warn(error.message)


def _send(engine: Engine, name: str, steps: Sequence[tuple[str, Mapping[str, Any]]], state: State) -> None:
    """Pushes an image of the steps' layers; this store keeps the steps, not the image."""
    from pod.core.builder.state import State
    from pod.core.image import push
    from pod.core.oci import reference as references

    made = State()
    made.base = {member: state.base[member] for member in ("architecture", "os", "variant") if member in state.base}
    made.base[MEMBER] = _told(steps)
    for layer in {record["layer"]["diffID"]: record["layer"] for _, record in steps}.values():
        made.add_layer(layer, "")
    made.created = state.created
    image = made.publish(engine, None, {})
    hold = built_layers.hold(engine, image.id, os.getpid())
    try:
        push.push_image(engine, image, references.parse(name).with_default_tag())
    finally:
        built_layers.let_go(hold)
        _forget(engine, image.id)


def _forget(engine: Engine, image_id: str) -> None:
    """Removes the image, unless somebody has a name for it."""
    from pod.core.errors import ImageInUse, NoSuchImage
    from pod.core.image import remove

    if any(ref["image"] == image_id and "@" not in ref["name"] for ref in store.list_refs(engine)):
        return
    with contextlib.suppress(NoSuchImage, ImageInUse):
        remove.remove(engine, image_id, force=True, is_running=lambda _: False, later=True)


def _records(engine: Engine, keys: Sequence[str], state: State | None) -> list[tuple[str, dict[str, Any]]]:
    """The records of those keys; with ``state`` those whose layers it has."""
    chains = None if state is None else {entry["chainID"] for entry in state.layers}
    found = []
    for key in dict.fromkeys(keys):
        record = built_layers.read(engine, key)
        if record is None or record["layer"] is None:
            continue
        if chains is None or record["layer"]["chainID"] in chains:
            found.append((key, record))
    return found


def _write_folder(engine: Engine, folder: str, steps: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    os.makedirs(f"{folder}/blobs/sha256", exist_ok=True)
    listed = []
    for key, record in steps:
        layer = record["layer"]
        if layer["digest"] != layer["diffID"]:
            continue  # of an image that was pulled: it is where it came from
        _copy(engine, layer["digest"], f"{folder}/blobs/sha256/{layer['digest'][7:]}")
        step = {"key": key, "digest": layer["digest"], "size": layer["size"]}
        listed.append({**step, "created": record["created"], "description": record.get("description", "")})
    data = statefile.dumps({"version": 1, "steps": listed}).encode()
    _replace(f"{folder}/{FILE}", lambda fd: statefile.put(fd, data))


def _copy(engine: Engine, digest: str, target: str) -> None:
    source = blobs.open_read(engine, digest)
    try:
        size = os.fstat(source).st_size
        if os.path.isfile(target) and os.path.getsize(target) == size:
            return

        def pump(fd: int) -> None:
            while part := os.read(source, _CHUNK):
                statefile.put(fd, part)

        _replace(target, pump)
    finally:
        os.close(source)


def _replace(path: str, fill: Callable[[int], None]) -> None:
    """The file is there whole, or as it was."""
    temporary = f"{path}.{os.getpid()}.part"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fill(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
