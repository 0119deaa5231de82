"""What each action means: the verbs of core on containers, networks, volumes and images."""

from __future__ import annotations

import os
import time

from pod.core import moments
from pod.core.compose import existing, labels, service, staging
from pod.core.errors import Conflict, NameInUse, NoSuchContainer, NoSuchNetwork, NoSuchVolume, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol, TypeVar

    from pod.core.compose.plan import Action, Plan
    from pod.core.compose.plan_up import Target
    from pod.core.compose.project import Project
    from pod.core.container.model import Container
    from pod.core.container.spec import Request
    from pod.core.engine import Engine

    T = TypeVar("T")

    class Hands(Protocol):
        """What the command line lends: its reading of flags, and its voice."""

        def request(self, engine: Engine, words: list[str], image: str) -> Request:
            """The request of ``create WORDS IMAGE``."""

        def make(self, engine: Engine, action: Action) -> None:
            """Pulls, loads, builds or pushes the image of a service."""

        def ready(self) -> None:
            """There will be several requests."""

        def hook(self, engine: Engine, container: Container, hook: Mapping[str, Any]) -> int:
            """A command of post_start or pre_stop in the container; its exit code."""

        def say(self, action: Action, word: str) -> None:
            """Progress."""

        def failed(self, action: Action, error: PodError) -> None:
            """Tells of a failure."""


_ALWAYS = ("config", "host", "notices", "container.happened", "container.lifecycle")
_MODULES = {
    "create": ("image.layers", "image.store"),
    "start": ("container.claims", "image.layers", "image.store"),
    "restart": ("container.claims", "container.stopping", "image.layers", "image.store"),
    "stop": ("container.stopping",),
    "kill": ("container.stopping",),
    "end": ("background", "container.claims", "container.stopping", "image.trash"),
    "remove": ("background", "container.claims", "image.trash"),
}
"""By kind of action: what it imports below core."""
_PATIENCE = 7.0
"""Seconds for a name that leads nowhere to become free: longer than container/store.py waits for its maker."""


class Doing:
    """execute.Worker over the store."""

    def __init__(
        self, engine: Engine, project: Project | None, hands: Hands, targets: Mapping[str, Target] | None = None
    ) -> None:
        self.engine = engine
        self.project = project
        self.hands = hands
        self.targets = targets or {}
        self.names: dict[str, str] = {}  # by service: the container that stands for it

    def say(self, action: Action, word: str) -> None:
        self.hands.say(action, word)

    def failed(self, action: Action, error: PodError) -> None:
        self.hands.failed(action, error)

    def expect(self, plan: Plan) -> None:
        """What several processes would import each for itself is imported once, before there are any."""
        from importlib import import_module

        kinds = [action.kind for action in plan.actions]
        several = [kind for kind in _MODULES if kinds.count(kind) > 1]
        if "create" in several:
            self.hands.ready()
        for name in {name for kind in several for name in (*_ALWAYS, *_MODULES[kind])}:
            import_module("pod.core." + name)

    def do(self, action: Action) -> None:
        if action.kind in ("pull", "load", "build", "push"):
            self.hands.make(self.engine, action)
        elif action.kind != "keep":
            getattr(self, "_" + action.kind)(action)

    @property
    def _of(self) -> Project:
        assert self.project is not None
        return self.project

    # ---- networks and volumes

    def _network(self, action: Action) -> None:
        from pod.core.compose import resources

        resources.make_network(self.engine, self._of, action.data["key"], action.name)

    def _volume(self, action: Action) -> None:
        from pod.core.compose import resources

        resources.make_volume(self.engine, self._of, action.data["key"], action.name)

    def _external(self, action: Action) -> None:
        from pod.core.compose import resources

        resources.check_external(self.engine, action.data["what"], action.data["key"], action.name)

    def _rmnetwork(self, action: Action) -> None:
        from pod.core.container import network_removal

        try:
            network_removal.remove(self.engine, action.name)
        except Conflict:
            self.hands.say(action, "Resource is still in use")
        except NoSuchNetwork:
            return

    def _rmvolume(self, action: Action) -> None:
        from pod.core.volume import remove

        try:
            remove.remove(self.engine, action.name, force=False)
        except Conflict:
            self.hands.say(action, "Resource is still in use")
        except NoSuchVolume:
            return

    def _rmimage(self, action: Action) -> None:
        from pod.core.compose import resources

        resources.remove_image(self.engine, action.name)

    # ---- containers

    def _found(self, action: Action) -> Container:
        from pod.core.container import lifecycle, store

        return lifecycle.settle(self.engine, store.find(self.engine, action.data.get("id") or action.name))

    def _create(self, action: Action) -> None:
        self.make(action, action.name)

    def make(
        self,
        action: Action,
        name: str,
        old: Container | None = None,
        adjust: Callable[[Request], None] | None = None,
    ) -> Container:
        """A new container of the action's service, called ``name``; ``old``: the one whose place it takes; ``adjust``
        changes what is asked for.
        """
        from pod.core.container import lifecycle
        from pod.core.image import store as images

        project, target = self._of, self.targets[action.service]
        aliases = bool(action.data.get("aliases", True))
        wish = service.wish(project, action.service, self.names, aliases=aliases)
        image_name = labels.image_name(project.name, action.service, target.service)
        image = images.resolve(self.engine, image_name)
        try:
            request = self.hands.request(self.engine, wish.words, image_name)
        except PodError as error:
            raise type(error)(f"service {action.service}: {error.message}", hint=error.hint) from None
        request.name, request.command = name, wish.command
        if wish.entrypoint is not None:
            request.entrypoint = wish.entrypoint
        if wish.health:
            from pod.core.container import health

            health.check_request(wish.health)
            request.healthcheck = wish.health
        own = staging.files(project, action.service)
        request.volumes = [*wish.mounts, *staging.mounts(self.engine, project, own)]
        self._own_anonymous(request, image.config(self.engine))
        if old is not None and not action.data.get("renew"):
            self._carry(request, old, image.config(self.engine))
        request.labels = self._labels(action, target, old)
        request.attach = set()  # nobody's input ends with the first client
        if adjust is not None:
            adjust(request)
        for settings in request.networks.values():
            if wish.links:
                settings["Links"] = [*settings.get("Links", []), *wish.links]
        container = _with_name(self.engine, name, lambda: lifecycle.create(self.engine, request, image))
        try:
            staging.put(self.engine, container, own)
        except BaseException:
            lifecycle.delete(self.engine, container, volumes=True)
            raise
        return container

    def _complete(self, action: Action, container: Container) -> None:
        """What a killed ``up`` did not come to put into a container that never ran."""
        project = self.project
        if container.status != "created" or project is None or action.service not in project.services:
            return
        own = staging.files(project, action.service)
        if existing.labels_of(container).get(labels.STAGED, "") == staging.digest(own):
            staging.put(self.engine, container, own)

    def _labels(self, action: Action, target: Target, old: Container | None) -> dict[str, str]:
        project = self._of
        own = target.service.get("labels") or {}
        found = {str(name): "" if value is None else str(value) for name, value in own.items()}
        found.update(
            {
                labels.PROJECT: project.name,
                labels.SERVICE: action.service,
                labels.NUMBER: str(action.number),
                labels.ONEOFF: "True" if action.data.get("oneoff") else "False",
                labels.HASH: target.digest,
                labels.FILES: ",".join(project.files),
                labels.FOLDER: project.directory,
                labels.DEPENDS_ON: labels.dependencies(target.service),
                labels.IMAGE: target.image,
                labels.VERSION: labels.COMPOSE_VERSION,
            }
        )
        if target.staged:
            found[labels.STAGED] = target.staged
        if old is not None:
            found[labels.REPLACES] = old.id
        return found

    def _own_anonymous(self, request: Request, image_config: Mapping[str, Any]) -> None:
        """Anonymous volumes say whose they are, those of the image's VOLUME too."""
        from pod.core.volume.syntax import VolumeSpec, clean

        taken = {spec.target for spec in request.volumes} | {clean(path) for path in request.tmpfs}
        if not request.volumes_from:
            paths = [clean(path) for path in (image_config.get("config") or {}).get("Volumes") or {}]
            request.volumes += [VolumeSpec("volume", "", path, "") for path in paths if path not in taken | {"/"}]
        for spec in request.volumes:
            if spec.kind == "volume" and not spec.source:
                spec.labels = {**spec.labels, labels.OWNER: self._of.name}

    def _carry(self, request: Request, old: Container, image_config: Mapping[str, Any]) -> None:
        """Anonymous volumes of the old container, where the new one would get an empty one."""
        from pod.core.volume.syntax import VolumeSpec, clean

        wanted = {clean(path) for path in (image_config.get("config") or {}).get("Volumes") or {}}
        bare = {spec.target for spec in request.volumes if spec.kind == "volume" and not spec.source}
        taken = {spec.target for spec in request.volumes} - bare
        for mount in old.config["Mounts"]:
            place = mount["Destination"]
            if not mount.get("Anonymous") or place in taken or place not in wanted | bare:
                continue
            spec = VolumeSpec("volume", mount["Name"], place, "")
            spec.anonymous, spec.read_only = True, not mount["RW"]
            request.volumes = [one for one in request.volumes if one.target != place] + [spec]

    def _recreate(self, action: Action) -> None:
        from pod.core.container import changes, lifecycle, store

        self._delay(action)
        try:
            old = lifecycle.settle(self.engine, store.find(self.engine, action.data["old"]))
        except NoSuchContainer:
            self.make(action, action.name)
            return
        new = self.make(action, f"{old.id[:12]}_{action.name}", old)
        self._end_one(old, action.data.get("timeout"), anonymous=bool(action.data.get("renew")))
        _with_name(self.engine, action.name, lambda: changes.rename(self.engine, new, action.name))

    def _delay(self, action: Action) -> None:
        """update_config.delay, between two containers of a service."""
        if action.data.get("delay"):
            time.sleep(moments.duration(action.data["delay"]) / moments.SECOND)

    def _rename(self, action: Action) -> None:
        from pod.core.container import changes

        container, name = self._found(action), action.data["to"]
        _with_name(self.engine, name, lambda: changes.rename(self.engine, container, name))

    def _start(self, action: Action) -> None:
        hooks = self._hooks(action.service, "post_start")
        container = self._found(action)
        self._complete(action, container)
        if not hooks:
            start(self.engine, container)
            return
        child = os.fork()
        if not child:
            _become(self, action, container)
        self._succeed(os.waitpid(child, 0)[1], action, "start")
        for hook in hooks:
            code = self.hands.hook(self.engine, container, hook)
            if code:
                raise PodError(
                    f"{action.name}: post_start hook exited with status {code}", hint=" ".join(hook["command"])
                )

    def _restart(self, action: Action) -> None:
        from pod.core.container import happened, planning, stopping

        container = self._found(action)
        self._before_stop(container, action.service)
        child = os.fork()
        if not child:
            attachment = planning.Attachment()
            attachment.detach = True
            try:
                stopping.restart(self.engine, container, action.data.get("timeout"), None, attachment)
            except PodError as error:
                self.failed(action, error)
            finally:
                os._exit(1)
        self._succeed(os.waitpid(child, 0)[1], action, "restart")
        happened.tell(self.engine, container, "restart")

    def _succeed(self, status: int, action: Action, what: str) -> None:
        if os.WIFSIGNALED(status):
            raise PodError(f"{what} container: {action.name}: ended by signal {os.WTERMSIG(status)}")
        if status:
            os._exit(1)  # it has told why

    def _stop(self, action: Action) -> None:
        from pod.core.container import stopping

        container = self._found(action)
        self._before_stop(container, action.service)
        stopping.stop(self.engine, container, action.data.get("timeout"))

    def _kill(self, action: Action) -> None:
        from pod.core.container import stopping

        stopping.kill(self.engine, self._found(action), action.data["signal"])

    def _pause(self, action: Action) -> None:
        from pod.core.container import pause

        pause.pause(self.engine, self._found(action))

    def _unpause(self, action: Action) -> None:
        from pod.core.container import pause

        pause.unpause(self.engine, self._found(action))

    def _end(self, action: Action) -> None:
        try:
            container = self._found(action)
        except NoSuchContainer:
            return
        self._before_stop(container, action.service)
        self._end_one(
            container, action.data.get("timeout"), anonymous=bool(action.data.get("anonymous")), action=action
        )

    def _remove(self, action: Action) -> None:
        from pod.core.container import lifecycle

        try:
            container = self._found(action)
        except NoSuchContainer:
            return
        lifecycle.remove(self.engine, container, force=True, volumes=bool(action.data.get("anonymous")))

    def _end_one(
        self, container: Container, timeout: int | None, *, anonymous: bool, action: Action | None = None
    ) -> None:
        from pod.core.container import lifecycle, stopping

        if container.is_running:
            stopping.stop(self.engine, container, timeout)
        if action is not None:
            self.hands.say(action, "Stopped")
            self.hands.say(action, "Removing")
        try:
            lifecycle.remove(self.engine, container, force=True, volumes=anonymous)
        except NoSuchContainer:
            return  # one with --rm

    # ---- hooks and waits

    def _hooks(self, name: str, key: str) -> list[Mapping[str, Any]]:
        services = self.project.services if self.project is not None else {}
        return list((services.get(name) or {}).get(key) or [])

    def _before_stop(self, container: Container, name: str) -> None:
        for hook in self._hooks(name, "pre_stop") if container.is_running else ():
            self.hands.hook(self.engine, container, hook)  # Docker, too, stops it whatever came of it

    def look(self, action: Action) -> bool:
        from pod.core.compose import conditions

        return conditions.met(self.engine, action)


def _with_name(engine: Engine, name: str, act: Callable[[], T]) -> T:
    """Does what takes a container's name. One that leads nowhere was left by a killed command, and is free only when
    seconds have shown that its maker is not at work (container/store.py).
    """
    from pod.core.container import store

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except NameInUse:
            if time.monotonic() > end or _is_container(engine, name):
                raise
        time.sleep(0.1)
        store.release_stale_names(engine)


def _is_container(engine: Engine, name: str) -> bool:
    from pod.core.container import store

    try:
        return store.find(engine, name).name == name
    except NoSuchContainer:
        return False


def _become(doing: Doing, action: Action, container: Container) -> None:
    try:
        start(doing.engine, container)
    except PodError as error:
        doing.failed(action, error)
    finally:
        os._exit(1)


def start(engine: Engine, container: Container) -> None:
    """This process becomes the client of the start, which ends when the container runs. Returns where it runs."""
    from pod.core.container import lifecycle, planning
    from pod.core.errors import StillRunning

    if container.is_running:
        return
    attachment = planning.Attachment()
    attachment.detach = True
    try:
        lifecycle.start(engine, container, attachment)
    except StillRunning:
        return
