"""A root file system in which one step of a build works: a container that nobody lists.

    <store>/builder/work/<id>.<mark>.<pid>/     as a container's folder (docs/state.md)

The name says who is at work. What runs ends with the builder, however that ends; the folder of one that is gone
goes with the next build, or ps
(container/build_leftovers.py).
"""

from __future__ import annotations

import contextlib
import os

from pod.core import host, rundir, statefile
from pod.core.builder import cache
from pod.core.builder.state import State
from pod.core.container import build_leftovers, lifecycle, model, planning, spec, view
from pod.core.errors import PodError
from pod.core.image import commit, compress
from pod.core.runtime import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pod.core.engine import Engine

HOSTNAME = "buildkitsandbox"
"""Docker's builds have it."""


class Process:
    """What a step runs: argv, its whole environment, user, working directory, and how it sees the world."""

    __slots__ = ("add_hosts", "argv", "env", "limits", "mounts", "network", "shm_size", "ulimits", "user", "workdir")

    def __init__(self, argv: list[str], env: list[str], user: str, workdir: str) -> None:
        self.argv = argv
        self.env = env
        self.user = user
        self.workdir = workdir
        self.network = "bridge"
        self.add_hosts: list[str] = []
        self.ulimits: list[tuple[str, int, int]] = []
        self.limits: dict[str, Any] = {}
        self.shm_size = 0
        self.mounts: list[dict[str, Any]] = []


class Working:
    """The folder, as a context; leaving it throws it away. ``process`` None: nothing will run in it."""

    __slots__ = ("_engine", "container", "state")

    def __init__(self, engine: Engine, state: State, process: Process | None = None) -> None:
        self._engine = engine
        self.state = state
        container_id = os.urandom(32).hex()
        config = _record(engine, state, process or Process(["/"], [], "", "/"), container_id)
        os.makedirs(engine.paths.build_work, 0o700, exist_ok=True)
        directory = f"{engine.paths.build_work}/{container_id}.{engine.host.mark}.{os.getpid()}"
        lifecycle.make_folders(engine, directory)
        statefile.write(directory + "/config.json", config)
        self.container = model.Container(engine, directory, config, {})
        self.container.image = state.image()

    def __enter__(self) -> Working:
        return self

    def __exit__(self, *_: object) -> None:
        build_leftovers.throw_away(self._engine, self.container.directory, self.container.id)

    def run(self, stdout: int, stderr: int, wait: Callable[[int], int]) -> int:
        """Runs it with the two descriptors and an empty stdin; the exit code, 125 and up where it could not begin.

        ``wait``: given the pid of the client, its exit code. An interrupt there ends the process.
        """
        engine, container = self._engine, self.container
        host.require_network(engine, container.config["HostConfig"]["NetworkMode"])
        attachment = planning.Attachment()
        attachment.sig_proxy = False
        attachment.bound = True
        os.makedirs(rundir.container_dir(engine, container.id), 0o700, exist_ok=True)
        plan = lifecycle.prepare_start(engine, container, attachment)
        client = os.fork()
        if client == 0:
            _become(engine, plan, stdout, stderr)
        try:
            code = wait(client)
        except BaseException:
            _until_begun(container.directory, client)
            build_leftovers.end(engine, container.directory)
            os.waitpid(client, 0)
            raise
        self._look_again()
        return code

    def _look_again(self) -> None:
        container = self.container
        try:
            state = statefile.read(container.directory + "/state.json")
        except FileNotFoundError:
            state = {}
        self.container = model.Container(self._engine, container.directory, container.config, state)
        self.container.image = container.image

    def plan(self, work: Callable[[int], Any]) -> Any:
        """``work(descriptor of the plan)`` of the root file system alone, for processes of core/container/view."""
        with self.planned() as descriptor:
            return work(descriptor)

    def planned(self) -> contextlib.AbstractContextManager[int]:
        """The descriptor of :meth:`plan` for as long as the context."""
        return _held(view.write_plan(self._engine, self.container, bare=True))

    @property
    def root(self) -> str:
        """The host's path of what was written in it."""
        plain = self.container.directory + "/rootfs"
        return plain if os.path.isdir(plain) else self.container.directory + "/upper"

    def layer(self, target: commit.Layer) -> int:
        """What the step changed, written to ``target`` as a layer; its entries."""
        plan = view.write_plan(self._engine, self.container, bare=True, layer=True, latest=cache.epoch(self._engine))
        with _held(plan) as descriptor:
            return int(view.write_layer(self._engine, descriptor, target, "build")["entries"])


@contextlib.contextmanager
def _held(plan: bytes) -> Iterator[int]:
    """A descriptor of the plan."""
    descriptor = launch.memory_file("pod-plan", plan)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def new_layer(engine: Engine) -> commit.Layer:
    """Where a step's layer is written: plain, since most are never sent anywhere."""
    return commit.Layer(engine, compress.NONE)


def _record(engine: Engine, state: State, process: Process, container_id: str) -> dict[str, Any]:
    request = spec.Request("build")
    request.idmap = engine.idmap
    request.hostname = HOSTNAME
    request.entrypoint = ""
    request.command = process.argv
    request.user, request.workdir = process.user, process.workdir
    request.network = process.network
    request.add_host = list(process.add_hosts)
    request.ulimits = list(process.ulimits)
    request.limits = dict(process.limits)
    request.log_driver = "none"
    if process.shm_size:
        request.shm_size = process.shm_size
    config = spec.make_record(request, state.image(), {}, container_id, statefile.timestamp())
    config["Name"] = "/build-" + container_id[:12]
    config["Config"]["Env"] = process.env
    config["Mounts"] = process.mounts
    config["Pod"]["Build"] = True
    return config


def _become(engine: Engine, plan: bytes, stdout: int, stderr: int) -> None:
    """In the child: its own session, so that the terminal's keys reach the builder alone."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        launch.become_client(engine, plan)
    except PodError as error:
        os.write(2, f"pod: {error.message}\n".encode())
    finally:
        os._exit(125)


# ---- ends


def _until_begun(directory: str, client: int) -> None:
    """After an interrupt: waits until the start has told whom to end, or has come to nothing; 5 s at most."""
    import time

    for _ in range(500):
        if os.path.exists(directory + "/state.json"):
            return
        if os.waitid(os.P_PID, client, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.01)
