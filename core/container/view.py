"""A container's files for cp, export and diff: the plan that leads there, and the processes that do the work.

Everything about paths inside a container happens in C, in processes of their own (ext/src/files/job.h); what goes from
one to the other is an archive.
"""

from __future__ import annotations

import os

from pod.core import rundir
from pod.core.container import claims, lifecycle, model, mounting, planning
from pod.core.errors import Conflict, PodError
from pod.core.runtime import launch, plan
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine
    from pod.core.image.commit import Layer

FOLLOW, ROOTS, PLAIN_MODES, NO_DEVICES, NO_TOP, MAKE = 1, 2, 4, 8, 16, 32
"""enum pod_job_flags"""

EXISTS, READ_ONLY, ON_ROOT = 1, 2, 4
"""enum pod_look_flags"""


class Job:
    """One process at work; ``path`` is for messages."""

    __slots__ = ("_answer", "_pid", "path")

    def __init__(
        self,
        kind: str,
        plan_fd: int,
        path: str,
        *,
        dir_fd: int = -1,
        stream: int = -1,
        base: str = "",
        flags: int = 0,
        request: bytes = b"",
        owner: tuple[int, int] = (0, 0),
    ) -> None:
        from pod.ext import layer

        self.path = path
        self._pid, self._answer = layer.start_job(
            kind, plan_fd, path, dir_fd=dir_fd, stream=stream, base=base, flags=flags, request=request, owner=owner
        )

    def result(self) -> dict[str, Any]:
        """Waits for its end. StepError where it failed or was killed; an interrupt ends it."""
        from pod.ext import layer

        parts = []
        try:
            while part := os.read(self._answer, 65536):
                parts.append(part)
        except BaseException:
            self.end()
            raise
        finally:
            os.close(self._answer)
            os.waitpid(self._pid, 0)
        return layer.job_result(b"".join(parts))

    def end(self) -> None:
        """Kills it; :meth:`result` still has to be asked."""
        try:
            os.kill(self._pid, 9)
        except OSError:
            pass  # a custom map's root is another user: its pipes end it


def through_pipe(pack: Callable[[int], Job], unpack: Callable[[int], Job]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Starts who packs into a pipe and who unpacks from it, given their ends; :func:`_both` of them."""
    reader, writer = os.pipe()
    try:
        packer = pack(writer)
        try:
            unpacker = unpack(reader)
        except BaseException:
            packer.end()
            quietly(packer)
            raise
    finally:
        os.close(reader)
        os.close(writer)
    return _both(packer, unpacker)


def _both(source: Job, target: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of the one that packs and the one that unpacks; the failure of who failed first."""
    failure: StepError | None = None
    packed: dict[str, Any] = {}
    try:
        packed = source.result()
    except StepError as error:
        failure = error
    except BaseException:
        target.end()
        quietly(target)
        raise
    try:
        unpacked = target.result()
    except StepError as error:
        # Who reads gave up, so who writes found nobody; or the other way round.
        raise error if failure is None or failure.errno == 32 else failure from None
    if failure is not None:
        raise failure
    return packed, unpacked


def quietly(job: Job) -> None:
    """Its end, whatever came of it."""
    try:
        job.result()
    except StepError:
        pass


def write_layer(engine: Engine, plan_fd: int, layer: Layer, what: str) -> dict[str, Any]:
    """What the plan's root file system has and its image has not, written to ``layer``; the result of who packed it.

    PodError names ``what`` was done. What cannot be in a layer is warned of.
    """
    reader, writer = os.pipe()
    try:
        job = Job("layer", plan_fd, "/", stream=writer)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        layer.take(reader)
    except BaseException:
        job.end()
        quietly(job)
        raise
    finally:
        os.close(reader)
    try:
        result = job.result()
    except StepError as error:
        raise words(error, what) from None
    for name, left_out in (("sockets", "sockets"), ("reserved", 'files with names that begin with ".wh."')):
        if result[name]:
            text = f"{result[name]} {left_out} left out, which cannot be in a layer; one is {result['name']!r}"
            engine.progress("warning", {"text": text})
    return result


def use(
    engine: Engine,
    container: Container,
    work: Callable[[int, Container], dict[str, Any]],
    *,
    bare: bool = False,
    layer: bool = False,
) -> dict[str, Any]:
    """``work(plan descriptor, container as it is)``; a container that does not run is locked meanwhile.

    ``bare``: the root file system alone; ``layer``: that, and what its image is. Conflict where the container runs
    elsewhere.
    """
    container = lifecycle.settle(engine, container)
    model.check_here(container)
    if container.status == "restarting":  # its folders are the supervisor's, which may mount them at any moment
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running",
            hint=f"or stop it first: pod stop {container.name}",
        )
    if not container.is_running:
        with rundir.container_lock(engine, container.id):
            container = claims.take(engine, container)
            try:
                if not container.is_running:
                    return _with_plan(engine, container, work, bare=bare, layer=layer)
            finally:
                claims.drop(container)
    return _with_plan(engine, container, work, bare=bare, layer=layer)


def _with_plan(
    engine: Engine,
    container: Container,
    work: Callable[[int, Container], dict[str, Any]],
    *,
    bare: bool,
    layer: bool,
) -> dict[str, Any]:
    descriptor = launch.memory_file("pod-plan", write_plan(engine, container, bare=bare, layer=layer))
    try:
        return work(descriptor, container)
    finally:
        os.close(descriptor)


def write_plan(
    engine: Engine, container: Container, *, bare: bool = False, layer: bool = False, latest: int | None = None
) -> bytes:
    """The keys that ext/src/files/view.h names. ``latest``: in a layer no time is later, seconds since 1970."""
    config, directory = container.config, container.directory
    writer = plan.PlanWriter()
    single = config["Pod"]["IdMap"]["Kind"] == "single"
    layers = lifecycle.layer_folders(engine, container)
    writer.number("FLAGS", plan.SINGLE_ID if single else 0)
    writer.text("ID", config["Id"])
    writer.text("DIR", directory)
    writer.text("SOCKET_DIR", rundir.container_dir(engine, config["Id"]))
    planning.write_ids(engine, writer, config)
    planning.write_root(engine, writer, config, directory, layers)
    if container.is_running:
        writer.number("PID", container.pid)
        writer.number("PID_START", int(container.state["pidStart"]))
        emulation = planning.running_emulation(config, container.state)
    else:
        lifecycle.renew_work(directory)
        emulation = planning.root_emulation(engine, config)
    if emulation == "full" or (not single and config["Pod"]["RootEmulation"] in ("auto", "full")):
        writer.texts("RECORDS", planning.record_folders(engine, config))
    if latest is not None:
        writer.number("LATEST", latest + 1)
    if layer:
        _write_image(engine, writer, container, plain=not layers)
    elif not bare:
        _write_mounts(engine, writer, container, single=single)
    return writer.finish(launch.build_id())


def _write_mounts(engine: Engine, writer: plan.PlanWriter, container: Container, *, single: bool) -> None:
    """Volumes, binds and the engine's files under /etc. Not what only who runs has: /proc, tmpfs, devices."""
    config = container.config
    wanted = {mount["Destination"] for mount in config["Mounts"] if mount["Type"] != "tmpfs"}
    own = {f"/etc/{name}" for name in ("hosts", "hostname", "resolv.conf")}
    images = mounting.images(engine, config, container.directory, planning.id_map(engine, config))
    found = []
    for mount in planning.mount_operations(engine, config, container.directory, images, single=single):
        if mount.kind in (plan.FS, plan.MKDIR, plan.SYMLINK, plan.MASK, plan.RDONLY):
            continue
        if mount.target in wanted or (mount.target in own and os.path.exists(mount.source)):
            found.append(mount)
    writer.mounts(found)
    if images.lowers:
        writer.texts("IMAGE_LOWERS", images.lowers)


def _write_image(engine: Engine, writer: plan.PlanWriter, container: Container, *, plain: bool) -> None:
    """For ext/src/files/layer.c: where a start mounts, and of a plain tree what it is a copy of."""
    from pod.core.image import layers
    from pod.core.image.store import by_id

    config = container.config
    single = config["Pod"]["IdMap"]["Kind"] == "single"
    own = planning.mount_operations(engine, {**config, "Mounts": []}, container.directory, single=single)
    targets = [mount.target for mount in own] + [mount["Destination"] for mount in config["Mounts"]]
    writer.texts("TARGETS", targets)
    image = container.image or by_id(engine, config["Image"], config["Config"]["Image"])
    if plain and image.chain_ids:
        writer.text("FLAT", layers.ensure_flat(engine, image, planning.id_map(engine, config)))


def diff_plan(engine: Engine, container: Container) -> bytes:
    """Of a diff: the trees, and every mount point that a start makes."""
    from pod.core.image import layers
    from pod.core.image.store import by_id

    config, directory = container.config, container.directory
    writer = plan.PlanWriter()
    single = config["Pod"]["IdMap"]["Kind"] == "single"
    folders = lifecycle.layer_folders(engine, container)
    writer.number("FLAGS", plan.SINGLE_ID if single else 0)
    planning.write_ids(engine, writer, config)
    planning.write_root(engine, writer, config, directory, folders)
    if not folders:
        image = by_id(engine, config["Image"], config["Config"]["Image"])
        if image.chain_ids:
            idmap = planning.id_map(engine, config)
            writer.texts("LOWERS", [layers.ensure_flat(engine, image, idmap) + "/diff"])
    bare = {**config, "Mounts": []}
    own = planning.mount_operations(engine, bare, directory, single=single)
    writer.mounts(own + [plan.Mount(plan.MKDIR, mount["Destination"]) for mount in config["Mounts"]])
    return writer.finish(launch.build_id())


def tree_size(engine: Engine, container: Container, path: str) -> int:
    """Bytes of the regular files below the host's ``path``, which belongs to the container; 0 where there is none."""
    writer = plan.PlanWriter()
    writer.number("FLAGS", plan.SINGLE_ID if container.config["Pod"]["IdMap"]["Kind"] == "single" else 0)
    planning.write_ids(engine, writer, container.config)
    descriptor = launch.memory_file("pod-plan", writer.finish(launch.build_id()))
    try:
        return int(Job("size", descriptor, path).result()["bytes"])
    except StepError as error:
        if error.errno == 2:
            return 0
        raise words(error, "size of container") from None
    finally:
        os.close(descriptor)


def words(error: StepError, what: str) -> PodError:
    """A failed step as people say it."""
    reason = os.strerror(error.errno).lower() if error.errno else error.words
    if error.step == "SETNS" and error.errno in (2, 3):
        return Conflict(f"{what}: the container ended meanwhile", hint="try again")
    if error.step == "WAIT":
        return PodError(f"{what}: the process at work was killed", hint="run the command again")
    where = f": {error.path}" if error.path else ""
    return PodError(f"{what}{where}: {error.words}: {reason}" if error.errno else f"{what}{where}: {reason}")


