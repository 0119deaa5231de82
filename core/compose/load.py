"""Compose files to a canonical project: which files, whose environment, what name; then what belongs to it.

The order is Docker's: environment of the process, ``.env``, the files (found, merged, checked), the name, profiles,
files of variables of the services that are enabled.
"""

from __future__ import annotations

import os
import posixpath

from pod.core.compose import checks, files, normalizing, relative
from pod.core.compose.encoding import Encoding, in_order
from pod.core.compose.loading import Loading, Scope
from pod.core.compose.project import Project
from pod.core.compose.source import Source
from pod.core.compose.template import Template, TemplateError
from pod.core.errors import ComposeError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.project import Request

    Model = dict[str, Any]

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml",
)  # fmt: skip
STDIN = "-"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def load(request: Request) -> Project:
    """ComposeError says file, line and key of what is wrong."""
    project, model, source = _read(request)
    try:
        _bind(request, project, model, source)
    except RecursionError:
        raise ComposeError("the files are nested too deep", file=project.files[0]) from None
    project.warnings = source.warnings
    return project


def load_model(request: Request) -> tuple[Project, Model]:
    """The merged document, in its long form but without its types: what ``config --no-interpolate`` prints."""
    project, model, source = _read(request)
    if request.normalize:
        model["name"] = project.name
        normalizing.normalize(model, {}, keep=True)
    project.warnings = source.warnings
    return project, model


def _read(request: Request) -> tuple[Project, Model, Source]:
    source = Source()
    search = _Search(request, source)
    search.run()
    given = {path: _bytes(request, source, path) for path in search.files}
    project = Project("", search.folder())
    project.files = search.files
    project.environment = search.environ
    try:
        project.name = _name(request, search, given)
        project.environment["COMPOSE_PROJECT_NAME"] = project.name
        scope = Scope(project.directory, project.directory, project.environment)
        loading = Loading(request, source)
        model = loading.model(scope, search.files, given, resolve=request.resolve_paths)
    except RecursionError:
        raise ComposeError("is nested too deep", file=search.files[0]) from None
    if not model:
        raise ComposeError("empty compose file", file=search.files[0])
    if not project.name:
        raise ComposeError("project name must not be empty", hint="name it with -p, or with `name:` in the file")
    project.profiles = search.profiles()
    return project, model, source


def _bytes(request: Request, source: Source, path: str) -> bytes:
    if path != STDIN:
        return files.read(path, source, named=True)
    if request.stdin is None:
        raise ComposeError("no compose file on standard input")
    return request.stdin


class _Search:
    """Which files, and the environment that they are read with."""

    def __init__(self, request: Request, source: Source) -> None:
        self.request, self.source = request, source
        self.environ = dict(request.environ)
        self.files = [path if path == STDIN else self.absolute(path) for path in request.files]

    def absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.request.cwd, path))

    def run(self) -> None:
        self.variables()
        named = self.environ.get("COMPOSE_FILE")
        if not self.files and named:
            separator = self.environ.get("COMPOSE_PATH_SEPARATOR") or ":"
            self.files = [path if path == STDIN else self.absolute(path) for path in named.split(separator) if path]
        if not self.files:
            self.find()
        if not self.files:
            raise NotFound(
                "no configuration file provided: not found",
                hint="make a compose.yaml, or name a file with -f",
            )
        self.variables()

    def folder(self) -> str:
        """The project directory, as far as it is known."""
        if self.request.project_directory:
            return self.absolute(self.request.project_directory)
        first = next((path for path in self.files if path != STDIN), None)
        return posixpath.dirname(first) if first else self.request.cwd

    def variables(self) -> None:
        """``.env`` beside the project, or the files that are named; the environment counts more."""
        paths = [self.absolute(path) for path in self.request.env_files]
        if not paths:
            listed = self.request.environ.get("COMPOSE_ENV_FILES", "")
            paths = [self.absolute(path) for path in listed.split(",") if path]
        if not paths:
            off = self.request.environ.get("COMPOSE_DISABLE_ENV_FILE", "")
            if off.lower() in ("1", "t", "true"):
                return
            path = posixpath.join(self.folder(), ".env")
            paths = [path] if os.path.exists(path) and not os.path.isdir(path) else []
        for name, value in files.variables(paths, self.environ, self.source).items():
            self.environ.setdefault(name, value)

    def find(self) -> None:
        """The nearest folder upwards that has a compose file."""
        folder = self.folder()
        while True:
            found = [path for path in (posixpath.join(folder, name) for name in NAMES) if os.path.exists(path)]
            if found:
                over = [path for path in (posixpath.join(folder, name) for name in OVERRIDES) if os.path.exists(path)]
                for kind, paths in (("config", found), ("override", over)):
                    if len(paths) > 1:
                        self.source.warn(f"Found multiple {kind} files with supported names: {', '.join(paths)}")
                        self.source.warn(f"Using {paths[0]}")
                self.files = [*found[:1], *over[:1]]
                return
            parent = posixpath.dirname(folder)
            if parent == folder:
                return
            folder = parent

    def profiles(self) -> list[str]:
        listed = self.request.profiles or self.environ.get("COMPOSE_PROFILES", "").split(",")
        return [name.strip() for name in listed if name.strip()]


def normal_name(text: str) -> str:
    """What of a text may be a project's name."""
    return "".join(char for char in text.lower() if char in _LETTERS).lstrip("_-")


def checked_name(name: str) -> str:
    """A name that somebody gave."""
    if normal_name(name) != name or not name:
        raise ComposeError(
            f'invalid project name "{name}": must consist only of lowercase alphanumeric characters, hyphens, and '
            "underscores as well as start with a letter or number"
        )
    return name


def _name(request: Request, search: _Search, given: dict[str, bytes]) -> str:
    """-p, COMPOSE_PROJECT_NAME, the last ``name:`` of the files, the folder's name."""
    if request.project_name:
        return checked_name(request.project_name)
    if search.environ.get("COMPOSE_PROJECT_NAME"):
        return checked_name(search.environ["COMPOSE_PROJECT_NAME"])
    named = ""
    for path in search.files:
        if b"name" in given[path]:
            named = _said(path, given[path]) or named
    if not named:
        return normal_name(posixpath.basename(search.folder()))
    if request.interpolate:
        try:
            named = Template(search.environ.get).substitute(named)
        except TemplateError as error:
            raise ComposeError(str(error), file=search.files[-1], line=1, path="name") from None
    return normal_name(named)


def _said(path: str, text: bytes) -> str:
    """``name:`` of a file, which is looked for before it is read: the name is a variable in it."""
    import re

    found = ""
    for match in re.finditer(rb"""^(?:["']?name["']?)[ \t]*:[ \t]+(.*)$""", text, re.MULTILINE):
        value = match[1].decode("utf-8", "replace").strip()
        quoted = value[:1] in ("'", '"')
        found = (value[1:].partition(value[0])[0] if quoted else value.partition(" #")[0].strip()) or found
    if found or text.lstrip()[:1] != b"{":
        return found
    from pod.core.compose import document

    for one in document.read(text, path):
        value = one.data.get("name") if isinstance(one.data, dict) else None
        found = value if isinstance(value, str) else found
    return found


def _bind(request: Request, project: Project, model: Model, source: Source) -> None:
    """The model's members in their types; those of services that are enabled are checked."""
    if request.normalize:
        model["name"] = project.name
        normalizing.normalize(model, project.environment)
    services = model.get("services") or {}
    _enable(request, project, services)
    encoding = Encoding(source)
    for name in sorted(services):
        enabled = _has_profile(services[name], project.profiles)
        if enabled:
            _variables(request, project, name, services[name], source)
        if enabled and request.consistency:
            _same_scale(services[name])
        members = project.services if enabled else project.disabled
        members[name] = encoding.service(name, services[name])
    for section in ("networks", "volumes", "secrets", "configs"):
        setattr(project, section, encoding.section(section, model.get(section) or {}))
    project.extensions = {key: in_order(model[key]) for key in sorted(model) if key.startswith("x-")}
    if request.consistency:
        checks.consistency(source, project)
    project.model, project.source = model, source


def _same_scale(service: Model) -> None:
    """A scale is the number of replicas, where there is a deployment."""
    if service.get("scale") is not None and service.get("deploy") is not None:
        service["deploy"].setdefault("replicas", service["scale"])


def _enable(request: Request, project: Project, services: Model) -> None:
    """Profiles of the services that the command names."""
    for name in request.services:
        if name not in services:
            raise NotFound(f"no such service: {name}")
        if not _has_profile(services[name], project.profiles):
            project.profiles += services[name]["profiles"]


def _has_profile(service: Model, profiles: list[str]) -> bool:
    own = service.get("profiles")
    return not own or "*" in profiles or any(one in profiles for one in own)


def _variables(request: Request, project: Project, name: str, service: Model, source: Source) -> None:
    """env_file and label_file taken in; what the service says itself counts more."""
    pairs = Encoding(source).pairs
    if request.resolve_env:
        own = pairs(service.get("environment") or {})
        own = {key: project.environment.get(key) if value is None else value for key, value in own.items()}
        found: dict[str, str] = {}

        def lookup(key: str) -> str | None:
            return found[key] if key in found else project.environment.get(key)

        for index, entry in enumerate(service.pop("env_file", None) or ()):
            path = relative.joined(project.directory, str(entry.get("path", "")))
            if os.path.exists(path):
                found.update(files.service_variables(path, entry.get("format"), lookup, source))
            elif entry.get("required", True) not in (False, "false"):
                raise source.fail(
                    f"env file {path} not found", ("services", name, "env_file", str(index)),
                    hint="with `required: false` it need not be there",
                )  # fmt: skip
        if found or own:
            service["environment"] = {**found, **own}
    labels: dict[str, str] = {}
    for path in service.pop("label_file", None) or ():
        path = relative.joined(project.directory, path)
        labels.update(files.variables([path], {}, source, labels.get))
    if labels:
        said = pairs(service.get("labels") or {})
        service["labels"] = {**labels, **{key: value or "" for key, value in said.items()}}
