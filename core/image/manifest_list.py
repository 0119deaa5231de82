"""`pod manifest`: indexes of several platforms, put together here from manifests of a registry, then pushed.

    manifests/<escaped name>   {"version":1, "name", "entries":[{"reference", "mediaType", "digest", "platform",
                               "raw"}]}

``raw`` is the manifest's text as the registry sent it; ``platform`` is that of the image-spec's descriptor, by its
configuration until it is annotated.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import Conflict, ManifestUnknown, NotFound, RegistryError, StoreCorrupt
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.oci.image_spec import ImageConfig, Index, Manifest
from pod.core.registry import retry
from pod.core.registry.client import Client, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference

    Record = dict[str, Any]
    Entry = dict[str, Any]

MOST = 100
"""Manifests of one list."""


def create(engine: Engine, name: str, manifests: Sequence[str], *, amend: bool, insecure: bool) -> Reference:
    """A list of ``manifests`` (names at a registry); with ``amend`` more of them. Conflict where there is one."""
    target = references.parse(name).with_default_tag()
    with _lock(engine, target):
        record = _read(engine, target)
        if record is not None and not amend:
            raise Conflict("refusing to amend an existing manifest list with no --amend flag")
        record = record or {"version": 1, "name": target.canonical(), "entries": []}
        for manifest in manifests:
            source = references.parse(manifest).with_default_tag()
            _put(record, _fetched(engine, source, insecure=insecure))
        if len(record["entries"]) > MOST:
            raise Conflict(f"manifest list {target.familiar()}: more than {MOST} manifests")
        _write(engine, target, record)
    return target


def annotate(engine: Engine, name: str, manifest: str, changes: dict[str, Any]) -> None:
    """Other members of the platform of one entry (os, architecture, variant, os.version, os.features)."""
    target = references.parse(name).with_default_tag()
    with _lock(engine, target):
        record = _read(engine, target)
        if record is None:
            record = {"version": 1, "name": target.canonical(), "entries": []}
        entry = find(record, references.parse(manifest).with_default_tag())
        if entry is None:
            raise NotFound(
                f"manifest for image {manifest} does not exist in {name}", hint="pod manifest create --amend"
            )
        entry["platform"] = {**entry["platform"], **changes}
        _write(engine, target, record)


def remove(engine: Engine, name: str) -> None:
    """Forgets a list that is in the store. NotFound."""
    target = references.parse(name).with_default_tag()
    try:
        os.unlink(engine.paths.manifest_list(target.canonical()))
    except FileNotFoundError:
        raise NotFound(f"No such manifest: {target.familiar()}") from None


def local(engine: Engine, name: str) -> Record | None:
    """The list of that name in the store."""
    return _read(engine, references.parse(name).with_default_tag())


def find(record: Record, reference: Reference) -> Entry | None:
    """The entry that was made of ``reference``."""
    entries: list[Entry] = record["entries"]
    return next((entry for entry in entries if entry["reference"] == reference.canonical()), None)


def document(record: Record) -> tuple[bytes, str]:
    """(bytes, media type) of the index: OCI's where one of its manifests is, else Docker's list."""
    kinds = {entry["mediaType"] for entry in record["entries"]}
    media_type = image_spec.OCI_INDEX if image_spec.OCI_MANIFEST in kinds else image_spec.DOCKER_LIST
    manifests = [descriptor(entry) for entry in record["entries"]]
    text = statefile.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
    return text.encode(), media_type


def descriptor(entry: Entry) -> dict[str, Any]:
    """The entry as an index has it."""
    size = len(entry["raw"].encode())
    return {
        "mediaType": entry["mediaType"],
        "size": size,
        "digest": entry["digest"],
        "platform": {key: value for key, value in entry["platform"].items() if value},
    }


def _put(record: Record, entry: Entry) -> None:
    others = [one for one in record["entries"] if one["reference"] != entry["reference"]]
    record["entries"] = [*others, entry]


def trust(engine: Engine, reference: Reference, *, insecure: bool) -> None:
    """--insecure: this registry may have any certificate or none, in this command."""
    if insecure:
        engine.config.insecure_registries.append(reference.domain)


def _fetched(engine: Engine, reference: Reference, *, insecure: bool) -> Entry:
    trust(engine, reference, insecure=insecure)
    client = connect(engine, reference)
    try:
        return entry_of(client, reference)
    finally:
        client.close()


def entry_of(client: Client, reference: Reference, digest: str = "") -> Entry:
    """The entry for one manifest at a registry. RegistryError for an index, NotFound where there is none."""
    found = fetch(client, reference, digest)
    if isinstance(found, Index):
        raise RegistryError(
            f"{reference.familiar()} is a manifest list", hint="name its manifests by digest: pod manifest inspect"
        )
    config = config_of(client, found)
    platform = {"architecture": config.architecture, "os": config.os or "linux", "variant": config.variant}
    for key in ("os.version", "os.features"):
        if config.document.get(key):
            platform[key] = config.document[key]
    return {
        "reference": reference.canonical(),
        "mediaType": found.media_type,
        "digest": found.digest,
        "platform": platform,
        "raw": found.raw.decode("utf-8"),
    }


def fetch(client: Client, reference: Reference, digest: str = "") -> Manifest | Index:
    """What a name at a registry leads to. NotFound in Docker's words."""
    try:
        got = client.manifest(digest or reference.digest or reference.tag)
    except ManifestUnknown:
        raise NotFound(f"no such manifest: {reference.canonical()}", hint="check the spelling of the name") from None
    try:
        got.raw.decode("utf-8")
        return image_spec.parse_manifest(got.raw, got.media_type)
    except ValueError as error:
        raise RegistryError(f"read manifest: {reference.familiar()}: {error}") from None


def config_of(client: Client, manifest: Manifest) -> ImageConfig:
    """The configuration of a manifest at a registry, verified."""
    wanted = manifest.config

    def ask() -> bytes:
        answer, _ = client.blob(wanted.digest)
        try:
            return answer.read(image_spec.MAX_CONFIG)
        finally:
            answer.close()

    data = retry.insist(ask)
    if digests.of(data) != wanted.digest:
        raise RegistryError(f"read configuration: {wanted.digest}: its content is not its digest")
    try:
        return ImageConfig(data)
    except image_spec.DocumentError as error:
        raise RegistryError(f"read configuration: {wanted.digest}: {error}") from None


def _lock(engine: Engine, target: Reference) -> statefile.Lock:
    key = digests.of(target.canonical().encode())[7:39]
    return statefile.Lock(f"{engine.run_dir}/locks/list-{key}")


def _read(engine: Engine, target: Reference) -> Record | None:
    path = engine.paths.manifest_list(target.canonical())
    try:
        record = statefile.read(path)
    except FileNotFoundError:
        return None
    if record.get("name") != target.canonical() or not isinstance(record.get("entries"), list):
        raise StoreCorrupt(f"read manifest list: {path}: not the record of that list", hint="remove the file")
    return record


def _write(engine: Engine, target: Reference, record: Record) -> None:
    os.makedirs(engine.paths.manifests, mode=0o700, exist_ok=True)
    statefile.write(engine.paths.manifest_list(target.canonical()), record)
