"""`pod search`: Docker's search (v1/search) where the registry has it, else its catalogue (v2/_catalog).

A term begins with a registry ("registry.example.com:5000/app") or means Docker Hub. A catalogue knows neither
descriptions nor stars; what it has is filtered here, by a part of the name.
"""

from __future__ import annotations

from urllib.parse import urlencode

from pod.core.errors import RegistryError, Unauthorized
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.registry import retry
from pod.core.registry.client import Endpoint, error_text, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.registry.transport import Response

INDEX = "index.docker.io"
MAX_ANSWER = 4 << 20
MAX_PAGES = 100
PAGE = 1000


class Found:
    """One repository. ``description`` and ``name`` are the registry's words."""

    __slots__ = ("description", "name", "official", "stars")

    def __init__(self, name: str, description: str = "", stars: int = 0, *, official: bool = False) -> None:
        self.name = name
        self.description = description
        self.stars = stars
        self.official = official


def search(engine: Engine, text: str, limit: int) -> list[Found]:
    """At most ``limit`` repositories that fit, in the registry's order. RegistryError."""
    host, slash, term = text.partition("/")
    if not slash or references.is_short(text):
        host, term = references.DEFAULT_DOMAIN, text
    hub = host in (references.DEFAULT_DOMAIN, references.LEGACY_DOMAIN)
    place = references.Reference(INDEX if hub else host, "search")
    endpoint = own(engine, place)
    endpoint.scopes = ["registry:catalog:*"]
    try:
        found = retry.insist(lambda: _by_api(endpoint, term, limit))
        if found is None:
            found = _by_catalogue(endpoint, term, limit)
    finally:
        endpoint.close()
    for one in found if not hub else ():
        one.name = f"{host}/{one.name}"
    return found


def _by_api(endpoint: Endpoint, term: str, limit: int) -> list[Found] | None:
    """What v1/search answers; None where there is no such thing."""
    answer = endpoint.exchange("/v1/search?" + urlencode({"q": term, "n": limit}))
    try:
        if answer.status in retry.STATUSES:
            raise _trouble(endpoint, answer)
        if answer.status != 200:
            return None
        try:
            rows = image_spec.load(answer.read(MAX_ANSWER), MAX_ANSWER, "search").get("results")
        except image_spec.DocumentError:
            return None  # Some page for people.
    finally:
        answer.close()
    return [_found(row) for row in rows[:limit] if isinstance(row, dict)] if isinstance(rows, list) else None


def _found(row: dict[str, Any]) -> Found:
    name, description, stars = row.get("name"), row.get("description"), row.get("star_count")
    return Found(
        name if isinstance(name, str) else "",
        description if isinstance(description, str) else "",
        stars if isinstance(stars, int) else 0,
        official=row.get("is_official") is True,
    )


def _by_catalogue(endpoint: Endpoint, term: str, limit: int) -> list[Found]:
    found: list[Found] = []
    path = f"/v2/_catalog?n={PAGE}"
    seen = set()
    for _ in range(MAX_PAGES):
        seen.add(path)
        names, path = retry.insist(lambda path=path: _page(endpoint, path))  # type: ignore[misc]
        found += [Found(name) for name in names if term in name]
        if not path or path in seen or len(found) >= limit:
            break
    return found[:limit]


def _page(endpoint: Endpoint, path: str) -> tuple[list[str], str]:
    """(repositories, path of the next page or "")."""
    answer = endpoint.exchange(path)
    try:
        if answer.status in (401, 403):
            text = f"search {endpoint.host}: it does not show its catalogue"
            raise Unauthorized(text, hint=f"log in with a user who may see it: pod login {endpoint.host}")
        if answer.status in retry.STATUSES:
            raise _trouble(endpoint, answer)
        if answer.status != 200:
            text = f"search {endpoint.host}: it has neither a search nor a catalogue (status {answer.status})"
            raise RegistryError(text, hint="look at the registry's own pages")
        try:
            names = image_spec.load(answer.read(MAX_ANSWER), MAX_ANSWER, "catalogue").get("repositories")
        except image_spec.DocumentError as error:
            raise RegistryError(f"search {endpoint.host}: {error}") from None
        target = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
    finally:
        answer.close()
    good = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    _, marker, query = target.partition("/v2/_catalog?")
    return good, f"/v2/_catalog?{query}" if marker else ""


def _trouble(endpoint: Endpoint, answer: Response) -> retry.Passing:
    wait = retry.asked_wait(answer.headers.get("Retry-After", ""))
    said = error_text(answer) or "server error"
    return retry.Passing(f"search {endpoint.host}: status {answer.status}: {said}", hint="try again later", wait=wait)
