"""Images of services by the digests that their registries have for them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.project import Project
    from pod.core.engine import Engine


def pin(engine: Engine, project: Project) -> None:
    """Changes ``project``. Errors are those of a pull: ManifestUnknown, Unauthorized, Unreachable."""
    from pod.core.oci import reference as references

    known: dict[str, str] = {}
    for service in project.services.values():
        image = service.get("image")
        if not image:
            continue
        if image not in known:
            name = references.parse(image).with_default_tag()
            known[image] = name.canonical() if name.digest else f"{name.canonical()}@{_digest(engine, image)}"
        service["image"] = known[image]


def _digest(engine: Engine, image: str) -> str:
    from pod.core.errors import RegistryError
    from pod.core.oci import digest as digests
    from pod.core.registry import client, registries

    failure: RegistryError | None = None
    for candidate in registries.of(engine.config).candidates(image):
        reference = candidate.with_default_tag()
        connection = client.connect(engine, reference)
        try:
            tag = reference.tag or "latest"
            return connection.digest_of(tag) or digests.of(connection.manifest(tag).raw)
        except RegistryError as error:
            failure = failure or error
        finally:
            connection.close()
    assert failure is not None
    raise failure
