"""What a schema cannot say: values that exclude each other, names that nothing has, circles."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.compose.project import Members, Project
    from pod.core.compose.source import Source

_KINDS = (("configs", ("file", "environment", "content")), ("secrets", ("file", "environment")))


def document(source: Source, data: dict[str, Any]) -> None:
    """The merged document, before it is completed."""
    for name, volume in (data.get("volumes") or {}).items():
        for key in volume if isinstance(volume, dict) and volume.get("external") is True else ():
            if key not in ("name", "external") and not key.startswith("x-"):
                raise source.fail(f'conflicting parameters "external" and "{key}" specified', ("volumes", name, key))
    for section, keys in _KINDS:
        for name, one in (data.get(section) or {}).items():
            _file_object(source, (section, name), one or {}, keys)
    for name, service in (data.get("services") or {}).items():
        if isinstance(service, dict):
            _service(source, ("services", name), service)


def _file_object(source: Source, path: tuple[str, ...], one: dict[str, Any], keys: tuple[str, ...]) -> None:
    given = [key for key in keys if key in one]
    if len(given) > 1:
        raise source.fail(f"{'|'.join(keys)} attributes are mutually exclusive", (*path, given[1]))
    if not given and "driver" not in one and "external" not in one:
        raise source.fail(f"one of {'|'.join(keys)} must be set", path)


def _service(source: Source, path: tuple[str, ...], service: dict[str, Any]) -> None:
    watched = (service.get("develop") or {}).get("watch") or ()
    for index, trigger in enumerate(watched):
        if trigger.get("path") == "":
            raise source.fail("value can't be blank", (*path, "develop", "watch", str(index), "path"))
    resources = (service.get("deploy") or {}).get("resources") or {}
    places = (
        ("gpus", service.get("gpus")),
        ("deploy.resources.reservations.devices", (resources.get("reservations") or {}).get("devices")),
    )
    for place, requests in places:
        for index, request in enumerate(requests or ()):
            if isinstance(request, dict) and "count" in request and "device_ids" in request:
                raise source.fail(
                    '"count" and "device_ids" attributes are exclusive', (*path, *place.split("."), str(index))
                )
    for kind in ("secrets", "configs"):
        for index, mount in enumerate(service.get(kind) or ()):
            target = mount.get("target") if isinstance(mount, dict) else None
            if isinstance(target, str) and ".." in target.split("/"):
                raise source.fail("a target may not have '..' in it", (*path, kind, str(index), "target"))


def consistency(source: Source, project: Project) -> None:
    """Services that are enabled, against each other and what they use."""
    for name in sorted(project.services):
        service = project.services[name]
        _Consistency(source, project, name, service).run()
    for name, secret in project.secrets.items():
        if not secret.get("external") and not secret.get("file") and not secret.get("environment"):
            raise source.fail("must declare either `file` or `environment`", ("secrets", name))
    circle(source, project.services)


class _Consistency:
    def __init__(self, source: Source, project: Project, name: str, service: dict[str, Any]) -> None:
        self.source, self.project, self.name, self.service = source, project, name, service

    def fail(self, message: str, *keys: str) -> Exception:
        return self.source.fail(message, ("services", self.name, *keys))

    def run(self) -> None:
        service = self.service
        if not service.get("image") and "build" not in service:
            raise self.fail("has neither an image nor a build context specified")
        if "build" in service:
            self.build(service["build"])
        self.networks()
        self.uses()
        self.limits(service.get("deploy"))
        test = (service.get("healthcheck") or {}).get("test")
        if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
            raise self.fail('must start either by "CMD", "CMD-SHELL" or "NONE"', "healthcheck", "test")
        for name, dependency in (service.get("depends_on") or {}).items():
            known = name in self.project.services
            if not known and not (name in self.project.disabled and not dependency.get("required")):
                raise self.fail(f"depends on undefined service {name!r}", "depends_on", name)
        for index, trigger in enumerate((service.get("develop") or {}).get("watch") or ()):
            if not trigger.get("target") and trigger.get("action") not in ("rebuild", "restart"):
                raise self.fail("target is required for non-rebuild actions", "develop", "watch", str(index))

    def build(self, build: dict[str, Any]) -> None:
        if build.get("dockerfile") and build.get("dockerfile_inline"):
            raise self.fail("mutually exclusive dockerfile and dockerfile_inline", "build", "dockerfile_inline")
        for name, context in (build.get("additional_contexts") or {}).items():
            if context.startswith("service:"):
                other = self.project.services.get(context[len("service:") :])
                if other is None:
                    raise self.fail(f"unknown service in {context!r}", "build", "additional_contexts", name)
                if "build" not in other:
                    raise self.fail(f"{context!r} is not built", "build", "additional_contexts", name)
        platform = self.service.get("platform")
        if build.get("platforms") and platform and platform not in build["platforms"]:
            raise self.fail(f"build.platforms MUST include platform {platform!r}", "build", "platforms")
        for index, secret in enumerate(build.get("secrets") or ()):
            self.defined("secrets", secret.get("source"), "build", "secrets", str(index))

    def networks(self) -> None:
        service = self.service
        mode = service.get("network_mode", "")
        if mode and service.get("networks"):
            raise self.fail("mutually exclusive `network_mode` and `networks`", "networks")
        for name in service.get("networks") or {}:
            self.defined("networks", name, "networks", name)
        if mode.startswith("service:") and mode[len("service:") :] not in self.project.services:
            raise self.fail(f"service {mode[len('service:'):]!r} not found", "network_mode")

    def uses(self) -> None:
        for index, mount in enumerate(self.service.get("volumes") or ()):
            if mount.get("type") == "volume" and mount.get("source"):
                self.defined("volumes", mount["source"], "volumes", str(index))
        for section in ("configs", "secrets"):
            for index, mount in enumerate(self.service.get(section) or ()):
                self.defined(section, mount.get("source"), section, str(index))

    def defined(self, section: str, name: Any, *keys: str) -> None:
        if name not in getattr(self.project, section):
            raise self.fail(f"refers to undefined {section[:-1]} {name!r}", *keys)

    def limits(self, deploy: dict[str, Any] | None) -> None:
        service, deploy = self.service, deploy or {}
        if "scale" in service and deploy.get("replicas") not in (None, service["scale"]):
            raise self.fail("can't set distinct values on 'scale' and 'deploy.replicas'", "scale")
        resources = deploy.get("resources") or {}
        for key, part, inner in (
            ("cpus", "limits", "cpus"), ("mem_limit", "limits", "memory"),
            ("mem_reservation", "reservations", "memory"), ("pids_limit", "limits", "pids"),
        ):  # fmt: skip
            if key in service and part in resources and resources[part].get(inner) != service[key]:
                raise self.fail(f"can't set distinct values on '{key}' and 'deploy.resources.{part}.{inner}'", key)
        scale = service.get("scale", deploy.get("replicas", 1))
        if scale > 1 and service.get("container_name"):
            raise self.fail("can't be set with a scale above 1: container name must be unique", "container_name")


def circle(source: Source, services: Members) -> None:
    """Dependencies must end somewhere; the walk needs no stack of calls."""
    done: set[str] = set()
    for first in sorted(services):
        way: list[str] = []
        todo = [(first, False)]
        while todo:
            name, leaving = todo.pop()
            if leaving:
                done.add(way.pop())
                continue
            if name in way:
                shown = " -> ".join([*way[way.index(name) :], name])
                raise source.fail(f"dependency cycle detected: {shown}", ("services", way[-1], "depends_on", name))
            if name in done or name not in services:
                continue
            way.append(name)
            todo.append((name, True))
            todo += [(other, False) for other in sorted(needs(services[name]), reverse=True)]


def needs(service: dict[str, Any]) -> list[str]:
    """Services that this one waits for, or takes something of."""
    found = list(service.get("depends_on") or {})
    contexts = (service.get("build") or {}).get("additional_contexts") or {}
    return found + [one[len("service:") :] for one in contexts.values() if str(one).startswith("service:")]
