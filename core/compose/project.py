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
        "configs", "directory", "disabled", "environment", "extensions", "files", "model", "name", "networks",
        "profiles", "secrets", "services", "source", "volumes", "warnings",
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

    def used(self, section: str) -> dict[str, dict[str, Any]]:
        """Networks, volumes, secrets or configs that services use."""
        names: set[Any] = set()
        for service in self.services.values():
            if section == "networks":
                names |= set(service.get("networks") or ())
                continue
            mounts = list(service.get(section) or ())
            if section == "secrets":
                mounts += (service.get("build") or {}).get("secrets") or ()
            names |= {one.get("source") for one in mounts if section != "volumes" or one.get("type") == "volume"}
        members: dict[str, dict[str, Any]] = getattr(self, section)
        return {name: members[name] for name in members if name in names}

    def document(self) -> dict[str, Any]:
        """What ``config --format json`` prints: what no service uses is left out."""
        found: dict[str, Any] = {"name": self.name, "services": self.services}
        for section in SECTIONS[1:]:
            members = self.used(section)
            if members:
                found[section] = members
        found.update(self.extensions)
        return {key: found[key] for key in sorted(found)}

    def shown(self) -> dict[str, Any]:
        """What ``config`` prints as YAML: with extensions, without what is empty."""
        from pod.core.compose.encoding import Encoding

        encoding = Encoding(self.source, shown=True)
        found: dict[str, Any] = {"name": self.name, "services": {}}
        for name, service in self.services.items():
            one = encoding.service(name, self.model["services"][name])
            one.pop("depends_on", None)
            changed: dict[str, Any] = {key: service[key] for key in ("image", "depends_on") if key in service}
            found["services"][name] = {key: changed.get(key, one.get(key)) for key in _order({**one, **changed})}
        for section in SECTIONS[1:]:
            used = self.used(section)
            members = {name: one for name, one in encoding.section(section, self.model.get(section) or {}).items()
                       if name in used}  # fmt: skip
            if members:
                found[section] = members
        return {**found, **self.extensions}


def _order(service: dict[str, Any]) -> list[str]:
    """Keys of a service as Docker prints them, extensions last."""
    from pod.core.compose.structs import SERVICE

    known = [key for key, _ in SERVICE]
    return [key for key in known if key in service] + [key for key in service if key not in known]
