"""What is asked of a compose file, and what it comes to: plain data, canonical as ``config`` prints it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Members = dict[str, dict[str, Any]]

SECTIONS = ("services", "networks", "volumes", "secrets", "configs")


class Request:
    """What the command line and the environment say; core reads no environment by itself.

    ``files`` empty: they are searched for. ``services`` are targets by name: they switch their own profiles on.
    """

    __slots__ = (
        "consistency", "cwd", "env_files", "environ", "files", "interpolate", "normalize", "profiles",
        "project_directory", "project_name", "resolve_env", "resolve_paths", "services", "stdin",
    )  # fmt: skip

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        cwd: str,
        files: Sequence[str] = (),
        project_name: str | None = None,
        project_directory: str | None = None,
        env_files: Sequence[str] = (),
        profiles: Sequence[str] = (),
        services: Sequence[str] = (),
        interpolate: bool = True,
        normalize: bool = True,
        resolve_paths: bool = True,
        consistency: bool = True,
        resolve_env: bool = True,
        stdin: bytes | None = None,
    ) -> None:
        self.environ, self.cwd = environ, cwd
        self.files, self.env_files = list(files), list(env_files)
        self.project_name, self.project_directory = project_name, project_directory
        self.profiles, self.services = list(profiles), list(services)
        self.interpolate, self.normalize, self.resolve_paths = interpolate, normalize, resolve_paths
        self.consistency, self.resolve_env = consistency, resolve_env
        self.stdin = stdin


class Project:
    """One application: services that are enabled and those that are not, and what they use."""

    __slots__ = (
        "configs", "directory", "disabled", "environment", "extensions", "files", "model", "name", "networks", "profiles",
        "secrets", "services", "source", "volumes", "warnings",
    )  # fmt: skip

    def __init__(self, name: str, directory: str) -> None:
        self.name = name
        self.directory = directory
        self.files: list[str] = []
        self.services: Members = {}
        self.disabled: Members = {}
        self.networks: Members = {}
        self.volumes: Members = {}
        self.secrets: Members = {}
        self.configs: Members = {}
        self.extensions: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.profiles: list[str] = []
        self.warnings: list[str] = []
        self.model: dict[str, Any] = {}
        self.source: Any = None

    def document(self) -> dict[str, Any]:
        """What ``config`` prints: sections that are empty are left out, but never ``services``."""
        found: dict[str, Any] = {"name": self.name, "services": self.services}
        for section in SECTIONS[1:]:
            members = getattr(self, section)
            if members:
                found[section] = members
        found.update(self.extensions)
        return {key: found[key] for key in sorted(found)}
