"""Labels and names by which Compose knows what is a project's: Docker Compose's own. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PREFIX = "com.docker.compose."
PROJECT = _PREFIX + "project"
SERVICE = _PREFIX + "service"
NUMBER = _PREFIX + "container-number"
HASH = _PREFIX + "config-hash"
ONEOFF = _PREFIX + "oneoff"
FILES = _PREFIX + "project.config_files"
FOLDER = _PREFIX + "project.working_dir"
ENV_FILE = _PREFIX + "project.environment_file"
DEPENDS_ON = _PREFIX + "depends_on"
IMAGE = _PREFIX + "image"
REPLACES = _PREFIX + "replace"
NETWORK = _PREFIX + "network"
VOLUME = _PREFIX + "volume"
VERSION = _PREFIX + "version"
OWNER = "pod.compose.project"
"""Of anonymous volumes: whose they are when a kill has left them without their container."""
STAGED = "pod.compose.staged"
"""Digest of the secrets and configs that are no files of the host: a change makes the container anew."""

COMPOSE_VERSION = "2.26.1"
"""The release of Docker Compose whose behaviour this is."""


def dependencies(service: Mapping[str, Any]) -> str:
    """The value of the label DEPENDS_ON: ``db:service_healthy:false,…``."""
    found = []
    for name, asked in sorted((service.get("depends_on") or {}).items()):
        condition = asked.get("condition", "service_started")
        found.append(f"{name}:{condition}:{'true' if asked.get('restart') else 'false'}")
    return ",".join(found)


def read_dependencies(text: str) -> dict[str, dict[str, Any]]:
    """What :func:`dependencies` wrote; what is no such text is passed over."""
    found: dict[str, dict[str, Any]] = {}
    for part in text.split(","):
        name, _, rest = part.partition(":")
        condition, _, restart = rest.partition(":")
        if name:
            found[name] = {"condition": condition or "service_started", "restart": restart == "true", "required": True}
    return found


def container_name(project: str, service: str, number: int, given: str | None) -> str:
    """PROJECT-SERVICE-N, or what container_name says."""
    return given or f"{project}-{service}-{number}"


def image_name(project: str, name: str, service: Mapping[str, Any]) -> str:
    """What a service runs: its image, or the one that is built for it."""
    return str(service.get("image") or f"{project}-{name}")
