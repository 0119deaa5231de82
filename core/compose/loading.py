"""Files to one merged document: each read, its variables replaced, what it extends and includes taken in."""

from __future__ import annotations

import posixpath

from pod.core.compose import canonical, checks, files, merging, normalizing, relative, schema
from pod.core.compose.interpolating import Interpolation
from pod.core.compose.template import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pod.core.compose.document import Document
    from pod.core.compose.project import Request
    from pod.core.compose.source import Source

    Model = dict[str, Any]
    Path = tuple[str, ...]

MOST_NESTED = 24
"""Files that include one another, and services that extend one another, in a row."""
_IMPORTED = ("services", "volumes", "networks", "secrets", "configs")


class Scope:
    """What holds for the files of one application: the folder that paths of files are meant from, what a relative path
    of the model is joined to (relative itself in what is included), and the environment."""

    __slots__ = ("base", "environ", "extended", "folder", "included")

    def __init__(self, folder: str, base: str, environ: dict[str, str], included: tuple[str, ...] = ()) -> None:
        self.folder, self.base, self.environ, self.included = folder, base, environ, included
        self.extended: dict[str, tuple[Model, list[Document]]] = {}


class Loading:
    """One project's."""

    __slots__ = ("home", "merging", "request", "source")

    def __init__(self, request: Request, source: Source) -> None:
        self.request, self.source = request, source
        self.merging = merging.Merging(source)
        self.home = request.environ.get("HOME", "")

    def model(self, scope: Scope, paths: Iterable[str], given: dict[str, bytes], *, resolve: bool) -> Model:
        """All files of one application, merged and completed; ``given`` has the bytes of those that were read."""
        data: Model = {}
        for path in paths:
            data = self.file(scope, path, data, files.documents(path, self.source, given.get(path)))
        canonical.defaults(data)
        checks.document(self.source, data)
        if resolve:
            relative.Relative(self.source, scope.base, self.home).run(data)
        if self.request.interpolate:
            normalizing.environment(data, scope.environ)
        return data

    def file(self, scope: Scope, path: str, data: Model, documents: list[Document], *, whole: bool = True) -> Model:
        """One file over ``data``. ``whole`` is not said of one that a service is taken from."""
        for document in documents:
            self.source.add(document)
            own: Model = document.data
            if self.request.interpolate:
                template = Template(scope.environ.get, self.source.warn_unset)
                own = Interpolation(self.source, template).run(own)
            if whole:
                self.extend(scope, path, own, document)
                self.source.add(document)
            reset(data, document)
            if whole:
                self.include(scope, path, own)
                self.source.add(document)
            data = merging.unique(self.source, self.merging.merge(data, own))
            if whole:
                schema.validate(self.source, data)
                if data.pop("version", None) is not None:
                    self.source.warn(
                        f"{path}: the attribute `version` is obsolete, it will be ignored, please remove it to avoid "
                        "potential confusion"
                    )
            data = canonical.Canonical(self.source, not self.request.interpolate).run(data)
            data = merging.unique(self.source, data)
        return data

    # extends

    def extend(self, scope: Scope, path: str, data: Model, document: Document) -> None:
        services = data.get("services")
        if services is None:
            return
        if not isinstance(services, dict):
            raise self.source.fail("expected a mapping", ("services",))
        for name in list(services):
            services[name] = self.extended(scope, name, services, path, (), [document])

    def extended(
        self, scope: Scope, name: str, services: Model, file: str, way: tuple[tuple[str, str], ...],
        resets: list[Document],
    ) -> Any:  # fmt: skip
        """A service with what it extends below it."""
        service = services[name]
        place = ("services", name)
        if service is not None and not isinstance(service, dict):
            raise self.source.fail("expected a mapping", place)
        if service is None or service.get("extends") is None:
            return service
        reference, other = self.reference(service["extends"], (*place, "extends"))
        if (file, name) in way:
            shown = ", which extends ".join(f"{one} in {where}" for where, one in (*way, (file, name)))
            raise self.source.fail(f"Circular reference: {shown}", (*place, "extends"))
        way = (*way, (file, name))
        if len(way) > MOST_NESTED:
            raise self.source.fail(f"more than {MOST_NESTED} services extend one another", (*place, "extends"))
        if other:
            file = relative.joined(scope.folder, relative.home(other, self.home))
            services, found = self.base_file(scope, file)
            resets = [*resets, *found]
        if reference not in services:
            raise self.source.fail(f"service {reference!r} not found in {file}", (*place, "extends"))
        base = self.extended(scope, reference, services, file, way, resets)
        if base is None:
            return service
        copy = _copy(base)
        for document in resets:
            reset({"services": {name: copy}}, document)
        merged = self.merging.extend(copy, service, name)
        merged.pop("extends", None)
        return merged

    def reference(self, extends: Any, path: Path) -> tuple[str, str]:
        """Service and file ("": this one)."""
        if isinstance(extends, str):
            return extends, ""
        service, file = (extends.get("service"), extends.get("file")) if isinstance(extends, dict) else (None, None)
        if not isinstance(service, str) or not (file is None or (isinstance(file, str) and file)):
            raise self.source.fail("expected the name of a service, or a mapping of service and file", path)
        return service, file or ""

    def base_file(self, scope: Scope, path: str) -> tuple[Model, list[Document]]:
        """Services of a file that others extend, with paths that are right from here."""
        known = scope.extended.get(path)
        if known is None:
            documents = files.documents(path, self.source)
            data = self.file(scope, path, {}, documents, whole=False)
            services = data.get("services")
            if not isinstance(services, dict):
                raise self.source.fail("no services to extend here", ("services",))
            relative.Relative(self.source, _from(scope.folder, posixpath.dirname(path)), self.home).run(data)
            known = scope.extended[path] = services, documents
        return known

    # include

    def include(self, scope: Scope, path: str, data: Model) -> None:
        entries = data.pop("include", None)
        if entries is None:
            return
        if not isinstance(entries, list):
            raise self.source.fail("expected a list", ("include",))
        included = (*scope.included, path)
        if len(included) > MOST_NESTED:
            raise self.source.fail(f"more than {MOST_NESTED} files include one another", ("include",))
        documents = list(self.source.documents)
        for index, entry in enumerate(entries):
            place = ("include", str(index))
            paths, env_files, folder = self.entry(entry, place)
            full = [relative.joined(scope.folder, one) for one in paths]
            if full[0] in included:
                shown = ", which includes ".join([*included, full[0]])
                raise self.source.fail(f"include cycle detected: {shown}", place)
            inner = self.inner_scope(scope, full[0], folder, env_files, included)
            imported = self.model(inner, full, {}, resolve=True)
            self.source.add(documents[-1])
            self.take(data, imported, place)

    def entry(self, entry: Any, place: Path) -> tuple[list[str], list[str], str]:
        """Files, files of variables, project directory of one item."""
        if isinstance(entry, str):
            entry = {"path": entry}
        if not isinstance(entry, dict):
            raise self.source.fail("expected a path or a mapping", place)
        lists = []
        for key in ("path", "env_file"):
            value = entry.get(key)
            items = [value] if isinstance(value, str) else [] if value is None else value
            if not isinstance(items, list) or not all(isinstance(one, str) and one for one in items):
                raise self.source.fail("expected a path or a list of paths", (*place, key))
            lists.append(items)
        folder = entry.get("project_directory") or ""
        unknown = set(entry) - {"path", "env_file", "project_directory"}
        if unknown or not isinstance(folder, str):
            raise self.source.fail("unknown key" if unknown else "expected a path", (*place, *sorted(unknown)[:1]))
        if not lists[0]:
            raise self.source.fail("lacks 'path'", place)
        return lists[0], lists[1], folder

    def inner_scope(
        self, scope: Scope, first: str, folder: str, env_files: list[str], included: tuple[str, ...]
    ) -> Scope:
        import os

        full = relative.joined(scope.folder, folder) if folder else posixpath.dirname(first)
        base = folder if folder[:1] == "/" else _from(scope.folder, full)
        if env_files:
            found = [relative.joined(scope.folder, one) for one in env_files]
        else:
            found = [posixpath.join(full, ".env")]
            found = found if os.path.isfile(found[0]) else []
        variables = files.variables(found, scope.environ, self.source)
        return Scope(full, base, {**variables, **scope.environ}, included)

    def take(self, data: Model, imported: Model, place: Path) -> None:
        """Members of what is included; two that differ under one name are a conflict."""
        for section in _IMPORTED:
            members = imported.get(section) or {}
            if not members:
                continue
            own = data.get(section)
            if own is None:
                own = data[section] = {}
            if not isinstance(own, dict):
                raise self.source.fail("expected a mapping", (section,))
            for name, member in members.items():
                if name in own and own[name] != member:
                    raise self.source.fail("conflicts with imported resource", (section, name))
                own[name] = member


def reset(data: Any, document: Document) -> None:
    """Takes away what the document's ``!reset`` and ``!override`` name."""
    for path in document.resets:
        place = data
        for key in path[:-1]:
            place = _inside(place, key)
        if not path:
            continue
        if isinstance(place, dict):
            place.pop(path[-1], None)
        elif isinstance(place, list) and path[-1].isdigit() and int(path[-1]) < len(place):
            del place[int(path[-1])]


def _inside(place: Any, key: str) -> Any:
    if isinstance(place, dict):
        return place.get(key)
    if isinstance(place, list) and key.isdigit() and int(key) < len(place):
        return place[int(key)]
    return None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _from(folder: str, path: str) -> str:
    """``path`` as it is written from ``folder``."""
    return posixpath.relpath(path, folder)
