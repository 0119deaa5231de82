"""Which images are pulled and which are built before containers can be made: pure, but for who says what is there."""

from __future__ import annotations

from pod.core.compose import labels
from pod.core.compose.plan import Action, Plan
from pod.core.errors import NoSuchImage, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from pod.core.compose.project import Project

POLICIES = ("always", "missing", "if_not_present", "never", "build", "daily", "weekly", "newer", "refresh")


def plan_images(
    project: Project,
    names: Iterable[str],
    age: Callable[[str], float | None],
    *,
    build: bool = False,
    no_build: bool = False,
    pull: str = "",
    bundled: Mapping[str, str] | None = None,
) -> Plan:
    """``age`` of an image: seconds since it was stored here, None where it is not; ``bundled``: the bundles that have
    some, whatever the policy. NoSuchImage where nothing may make it.
    """
    plan = Plan()
    built: dict[str, int] = {}
    chosen = list(names)
    for name in chosen:
        service = project.services[name]
        if service.get("build") is None:
            continue
        image = labels.image_name(project.name, name, service)
        policy = _policy(pull, service, name)
        if build or policy == "build" or age(image) is None:
            if no_build:
                raise NoSuchImage(f"No such image: {image}", hint=f"leave out --no-build, or: pod compose build {name}")
            twin = next((one for one in built if _same_build(project, one, name)), None)
            if twin is None:
                built[name] = plan.add(Action("build", image, name, pull=pull == "always"))
            else:
                built[name] = built[twin]
    _after_contexts(project, plan, built)
    seen = {plan.actions[position].name for position in built.values()}
    for name in chosen:
        service = project.services[name]
        image = labels.image_name(project.name, name, service)
        policy = _policy(pull, service, name)
        if service.get("build") is None and image not in seen:
            action = _fetch(name, service, image, policy, age(image), bundled or {})
            if action is not None:
                seen.add(image)
                plan.add(action)
    return plan


def _fetch(
    name: str, service: Any, image: str, policy: str, age: float | None, bundled: Mapping[str, str]
) -> Action | None:
    """How an image comes that nobody builds; None where it is there."""
    if image in bundled:
        return Action("load", image, name, bundle=bundled[image]) if age is None else None
    if _wants_pull(policy, age, image):
        return Action("pull", image, name, platform=service.get("platform") or "")
    return None


def _same_build(project: Project, one: str, other: str) -> bool:
    """Whether both come to the same image, as services do that share a build by an anchor: it is built once."""
    first, second = project.services[one], project.services[other]
    same_name = labels.image_name(project.name, one, first) == labels.image_name(project.name, other, second)
    return same_name and all(first.get(key) == second.get(key) for key in ("build", "platform"))


def _policy(pull: str, service: Any, name: str) -> str:
    policy = str(pull or service.get("pull_policy") or "missing")
    if policy not in POLICIES and not policy.startswith("every_"):
        raise UsageError(f"service {name}: unsupported pull_policy: {policy}", hint=", ".join(POLICIES))
    return policy


def _wants_pull(policy: str, age: float | None, image: str) -> bool:
    if policy == "never":
        if age is None:
            raise NoSuchImage(f"No such image: {image}", hint="its pull_policy is never: pod pull, or pod load")
        return False
    if age is None or policy in ("always", "newer", "refresh"):
        return True
    spans = {"daily": 86400.0, "weekly": 7 * 86400.0}
    if policy.startswith("every_"):
        from pod.core import moments

        text = policy[len("every_") :]
        days = {"d": 86400.0, "w": 7 * 86400.0}.get(text[-1:])
        number = text[:-1] if days else ""
        if days and number.isascii() and number.isdigit():
            return age > int(number) * days
        return age > moments.duration(text) / moments.SECOND
    return policy in spans and age > spans[policy]


def _after_contexts(project: Project, plan: Plan, built: dict[str, int]) -> None:
    """A build that has another service's image for a context comes after that one's."""
    for name, position in built.items():
        contexts = (project.services[name].get("build") or {}).get("additional_contexts") or {}
        for value in contexts.values() if isinstance(contexts, dict) else ():
            other = str(value).partition("service:")[2]
            if str(value).startswith("service:") and other in built and built[other] != position:
                plan.actions[position].needs.add(built[other])


def build_words(project: Project, name: str) -> tuple[list[str], str, str]:
    """(flags of ``build``, its context, an inline Dockerfile or "")."""
    build = project.services[name]["build"]
    image = labels.image_name(project.name, name, project.services[name])
    context = str(build.get("context") or project.directory)
    inline = str(build.get("dockerfile_inline") or "")
    words = [f"--tag={tag}" for tag in [image, *(build.get("tags") or [])]]
    if inline:
        words.append("--file=-")
    elif build.get("dockerfile"):
        file = str(build["dockerfile"])
        local = "://" not in context and not context.startswith("git@")
        words.append(f"--file={file if file.startswith('/') or not local else context + '/' + file}")
    for key, flag in (("args", "build-arg"), ("labels", "label"), ("ulimits", "ulimit")):
        words += [f"--{flag}={text}" for text in _items(build.get(key), flag)]
    contexts = build.get("additional_contexts") or {}
    words += [f"--build-context={one}={_context(project, str(value))}" for one, value in contexts.items()]
    for key, flag in (
        ("target", "target"),
        ("network", "network"),
        ("shm_size", "shm-size"),
        ("isolation", "isolation"),
    ):
        if build.get(key):
            words.append(f"--{flag}={build[key]}")
    for key, flag in (("no_cache", "no-cache"), ("pull", "pull")):
        words += [f"--{flag}"] if build.get(key) else []
    for key, flag in (("cache_from", "cache-from"), ("cache_to", "cache-to"), ("platforms", "platform"),
                      ("entitlements", "allow")):  # fmt: skip
        words += [f"--{flag}={value}" for value in build.get(key) or []]
    if project.services[name].get("platform") and not build.get("platforms"):
        words.append(f"--platform={project.services[name]['platform']}")
    if build.get("privileged"):
        raise UsageError(f"service {name}: build.privileged: builds have no more rights than pod", hint="leave it out")
    hosts = build.get("extra_hosts") or []
    pairs = [f"{one}={value}" for one, value in hosts.items()] if isinstance(hosts, dict) else list(hosts)
    words += [f"--add-host={text.replace('=', ':', 1)}" for text in pairs]
    words += _ssh(build.get("ssh")) + _secrets(project, name, build.get("secrets") or [])
    return words, context, inline


def _items(value: Any, flag: str) -> list[str]:
    """NAME=VALUE of a map or a list; a build argument without a value is the caller's variable."""
    if not isinstance(value, dict):
        return list(value or [])
    found = []
    for name, item in value.items():
        if isinstance(item, dict):
            item = f"{item.get('soft', item.get('single'))}:{item.get('hard', item.get('soft'))}"
        found.append(name if item is None and flag == "build-arg" else f"{name}={'' if item is None else item}")
    return found


def _context(project: Project, value: str) -> str:
    if not value.startswith("service:"):
        return value
    other = value[len("service:") :]
    if other not in project.services:
        raise UsageError(f"additional_contexts: no such service: {other}")
    return "docker-image://" + labels.image_name(project.name, other, project.services[other])


def _ssh(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"--ssh={name}={path}" if path else f"--ssh={name}" for name, path in value.items()]
    return [f"--ssh={text}" for text in value or []]


def _secrets(project: Project, name: str, asked: list[Any]) -> list[str]:
    found = []
    for entry in asked:
        key = entry if isinstance(entry, str) else str(entry.get("source", ""))
        document = project.secrets.get(key)
        if document is None:
            raise UsageError(f'service {name}: build.secrets: refers to undefined secret "{key}"')
        wanted = key if isinstance(entry, str) else str(entry.get("target") or key)
        if document.get("file"):
            found.append(f"--secret=id={wanted},src={document['file']}")
        elif document.get("environment"):
            found.append(f"--secret=id={wanted},env={document['environment']}")
        else:
            raise UsageError(f"service {name}: build.secrets: {key} is neither a file nor of the environment")
    return found
