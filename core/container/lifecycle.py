"""The verbs on containers: create, start, remove; and settling what a crash left. stop and kill are in stopping.py.

Every change of records holds the container's lock, but for those of the live supervisor: it alone writes state.json
while it lives.
"""

from __future__ import annotations

import os
import time

from pod.core import host, notices, rundir, statefile, storedir
from pod.core.container import files, model, names, planning, settling, spec, store
from pod.core.errors import Busy, Conflict, NameInUse, NoSuchContainer, NoSuchImage, StillRunning
from pod.core.runtime import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.container.spec import Request
    from pod.core.engine import Engine
    from pod.core.image.store import Image


def create(engine: Engine, request: Request, image: Image, *, to_run: bool = False) -> Container:
    """A new container in state "created": record, name, folders. Nothing is left behind when it fails.

    ``to_run``: this very process starts it next. If it dies before, a --rm container is litter.
    """
    container_id = os.urandom(32).hex()
    config = spec.make_record(request, image, image.config(engine), container_id, statefile.timestamp())
    for option in request.security_opt:
        _keep_profile(config, option)
    if to_run and request.auto_remove:
        config["Pod"]["Maker"] = model.this_process(engine)
    name = _take_name(engine, request.name, container_id)
    config["Name"] = "/" + name
    final = engine.paths.container(container_id)
    temporary = f"{engine.paths.containers}/.{container_id}.{engine.host.mark}.{os.getpid()}"
    made: list[str] = []
    try:
        make_folders(engine, temporary)
        if request.volumes or request.volumes_from or config["Config"]["Volumes"]:
            from pod.core.volume import attach

            others = [(store.find(engine, other).config, read_only) for other, read_only in request.volumes_from]
            config["Mounts"] = attach.resolve(engine, request.volumes, config, made, others)
        statefile.write(temporary + "/config.json", config, sync=not request.auto_remove)
        os.rename(temporary, final)
        # From here on rmi sees the container; had it been quicker, the image's record is gone now.
        store.confirm_name(engine, name, container_id)
        if not os.path.exists(engine.paths.image(image.id)):
            from pod.core.image.store import REMOVED

            raise NoSuchImage(f"No such image: {request.image_name}", hint=REMOVED)
        if config["Mounts"]:
            from pod.core.volume import attach

            attach.confirm(engine, config["Mounts"])
    except BaseException:
        _undo(engine, name, container_id, (temporary, final, *made))
        raise
    container = model.Container(engine, final, config, {})
    container.image = image
    if not to_run:  # else the client that it becomes tells it, also of starts without Python
        _tell(engine, container, "create")
    return container


def _keep_profile(config: dict[str, Any], option: str) -> None:
    name, _, value = option.replace(":", "=", 1).partition("=")
    if name == "seccomp" and value != "unconfined":
        from pod.core.runtime import seccomp

        config["Pod"]["SeccompProfile"] = seccomp.load_profile(value)


def _take_name(engine: Engine, name: str, container_id: str) -> str:
    if name:
        store.check_name(name)
        store.reserve_name(engine, name, container_id)
        return name
    attempt = 0
    while True:
        candidate = names.make_name(attempt)
        try:
            store.reserve_name(engine, candidate, container_id)
            return candidate
        except NameInUse:
            attempt += 1


def make_folders(engine: Engine, folder: str) -> None:
    """The folder of a new container, and those in it that every container has."""
    try:
        os.mkdir(folder, 0o700)
    except FileNotFoundError:
        from pod.core import storedir

        storedir.prepare(engine.paths)
        os.mkdir(folder, 0o700)
    for name in ("upper", "work", "merged"):
        os.mkdir(f"{folder}/{name}", 0o700)


def _undo(engine: Engine, name: str, container_id: str, folders: tuple[str, ...]) -> None:
    store.release_name(engine, name, container_id)
    for folder in folders:
        storedir.into_trash(engine.paths, folder)
    from pod.core.image import trash

    trash.empty(engine)


def layer_folders(engine: Engine, container: Container) -> list[str]:
    """The folders of the image's layers for the container's map, or [] where a plain tree takes their place: without
    overlay, and for an image without layers (overlay wants a lower folder).
    """
    from pod.core.image import layers
    from pod.core.image.store import by_id, note_use

    image = container.image or by_id(engine, container.config["Image"], container.config["Config"]["Image"])
    idmap = planning.id_map(engine, container.config)
    tree = container.directory + "/rootfs"
    if not container.config["Pod"].get("Build"):
        note_use(engine, image.id)
    if not image.chain_ids:
        os.makedirs(tree, 0o755, exist_ok=True)
        return []
    if engine.facts.overlay == "native":
        return layers.ensure(engine, image, idmap)
    from pod.core.image import durable

    if not os.path.isdir(tree):
        from pod.core.runtime import plaintree

        plaintree.make(engine, layers.ensure_flat(engine, image, idmap) + "/diff", tree, idmap)
    durable.settle_later(engine)
    return []


def prepare_start(engine: Engine, container: Container, attachment: Attachment) -> bytes:
    """Everything that must be there before the helper starts: layers, files, folders. Returns plan.bin."""
    host.require_userns(engine)
    host.require_network(engine, container.config["HostConfig"]["NetworkMode"])
    notices.before_start(engine, container.config)
    layers = layer_folders(engine, container)
    files.write_all(engine, container.directory, container.config)
    if layers and (container.config["HostConfig"]["AutoRemove"] or not os.path.isdir(container.directory + "/work")):
        renew_work(container.directory)
    images = None
    for mount in container.config["Mounts"]:
        if mount["Type"] == "bind" and not os.path.lexists(mount["Source"]):
            from pod.core.volume import attach

            attach.find_source(mount["Source"], made=not mount.get("MustExist"))
    if any(mount["Type"] == "image" for mount in container.config["Mounts"]):
        from pod.core.container import mounting

        idmap = planning.id_map(engine, container.config)
        images = mounting.images(engine, container.config, container.directory, idmap)
    return planning.container_plan(engine, container.config, container.directory, layers, attachment, images)


def renew_work(directory: str) -> None:
    """A volatile overlay refuses the work folder of an earlier mount (it says so by work/incompat, which only the
    container's root may see). Killed in between there is none: the next one makes it.
    """
    work = directory + "/work"
    if os.path.isdir(work + "/work"):
        aside = f"{directory}/.work.{os.urandom(4).hex()}"
        os.mkdir(aside + ".new", 0o700)  # first, as the disk may be full
        os.rename(work, aside)
        os.rename(aside + ".new", work)
    elif not os.path.isdir(work):
        os.mkdir(work, 0o700)


def start(engine: Engine, container: Container, attachment: Attachment, *, fresh: bool = False) -> NoReturn:
    """Starts and becomes the client; StillRunning where it runs already.

    Holds the container's lock; the client lets go of it when the record says "running", so that of two starts one wins.
    ``fresh``: the caller has just made it. What a failed preparation leaves is removed for --rm.
    """
    with rundir.container_lock(engine, container.id) as lock:
        start_held(engine, container, attachment, lock, fresh=fresh)


def start_held(
    engine: Engine, container: Container, attachment: Attachment, lock: statefile.Lock, *, fresh: bool = False
) -> NoReturn:
    """:func:`start` for who holds the container's lock."""
    if not fresh:
        from pod.core.container import claims

        container = claims.take(engine, container)
    try:
        if not fresh:
            if container.is_running:
                raise StillRunning(f"start container: {container.name}: it is running already")
            _forget_stop(container)
            attachment.claimed = True
        attachment.lock = lock.hand_over()
        attachment.created = fresh
        plan = prepare_start(engine, container, attachment)
        launch.become_client(engine, plan)
    except BaseException:
        if fresh:
            _tell(engine, container, "create")
        else:
            from pod.core.container import claims

            claims.drop(container)
        if container.config["HostConfig"]["AutoRemove"] and not container.is_running:
            _delete_held(engine, container, volumes=True)
        raise


def _forget_stop(container: Container) -> None:
    """The marks of ``stop`` and ``restart``."""
    for name in (model.STOPPED, model.KEEP):
        try:
            os.unlink(f"{container.directory}/{name}")
        except FileNotFoundError:
            continue


def _tell(engine: Engine, container: Container, action: str, **more: str) -> None:
    from pod.core.container import happened

    happened.tell(engine, container, action, **more)


def read_again(engine: Engine, container: Container) -> Container:
    """The container as it is now, for who has its lock since. NoSuchContainer where it was removed meanwhile."""
    try:
        return model.read(engine, container.id)
    except FileNotFoundError:
        raise NoSuchContainer(f"No such container: {container.name}", hint="it was removed a moment ago") from None


def send(pid: int, start_time: int, number: int) -> None:
    """kill(2) by pidfd, so that a reused pid is never hit; a process that is gone already is fine."""
    import _signal

    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        if model.process_lives(pid, start_time):  # kernel 5.2 and older
            os.kill(pid, number)
        return
    try:
        if model.process_lives(pid, start_time):
            _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def settle(engine: Engine, container: Container, patience: float = 60.0) -> Container:
    """The truth after a crash: an orphan is ended, an exit nobody recorded becomes "unknown", --rm is carried out.
    Busy where another process has the container's lock for longer than ``patience`` seconds.

    A container that runs, or that is elsewhere, is returned as it is.
    """
    if not settling.is_due(engine, container):
        return container
    with rundir.container_lock(engine, container.id, patience):
        return settle_held(engine, container)


def settle_held(engine: Engine, container: Container) -> Container:
    """:func:`settle` for who holds the lock."""
    try:
        container = model.read(engine, container.id)
    except FileNotFoundError:
        return container
    if container.status == "orphaned":
        _end_orphan(container)
    if container.status not in (*model.LIVE, "elsewhere") and container.state.get("status") == "running":
        record = {**container.state, "status": "exited", "exitCode": container.exit_code}
        if not record.get("restarting"):  # else its last end is known
            record["finishedAt"] = statefile.timestamp()
        record["error"] = {"step": "WAIT", "errno": 0, "path": "the supervisor was killed"}
        if not record.get("restarting"):
            from pod.core.container import happened

            happened.tell(engine, container, "die", exitCode=str(container.exit_code))
            happened.apart(engine, container)
        record["paused"] = record["restarting"] = False
        try:
            statefile.write(container.directory + "/state.json", record)
        except OSError as error:
            if error.errno not in (28, 122):  # ENOSPC, EDQUOT
                raise  # On a full disk the next look works it out again: rm must not fail for that.
        container = model.Container(engine, container.directory, container.config, record)
    if container.status in ("created", "exited") and not _without_groups(container, 1.0):
        return container  # the record of them goes with its folder
    ended = container.status == "exited" and not model.is_kept_elsewhere(engine, container)
    if container.config["HostConfig"]["AutoRemove"] and (ended or model.maker_died(engine, container)):
        _delete_held(engine, container, volumes=True)
    return container


def _without_groups(container: Container, patience: float) -> bool:
    """Whether no control groups of an ended container are left now."""
    if not settling.has_groups(container):
        return True
    from pod.core.container import limiting

    return limiting.collect(container.directory, patience)


def _end_orphan(container: Container) -> None:
    pid, start_time = int(container.state["pid"]), int(container.state["pidStart"])
    send(pid, start_time, 9)
    for _ in range(500):
        if not model.process_lives(pid, start_time):
            break
        time.sleep(0.01)
    container.status = "exited"


def remove(engine: Engine, container: Container, *, force: bool, volumes: bool) -> None:
    """rm: a running container only with ``force``.

    Returns once its names are gone; the bytes follow in the background.
    """
    for attempt in range(3):
        container = settle(engine, read_again(engine, container) if attempt else container)
        if container.status == "elsewhere":
            raise Conflict(
                f'cannot remove container "/{container.name}": it runs elsewhere, on {container.state.get("hostname")}',
                hint="run the command there",
            )
        if container.is_running:
            _end_to_remove(engine, container, force=force)
        if delete(engine, container, volumes=volumes):
            from pod.core.image import trash

            trash.empty_later(engine)
            return
    raise Busy(f'cannot remove container "/{container.name}": it is started again and again', hint="pod stop it first")


def _end_to_remove(engine: Engine, container: Container, *, force: bool) -> None:
    if not force:
        how = "unpause and then stop" if container.status == "paused" else "stop"
        raise Conflict(
            f'cannot remove container "/{container.name}": container is {container.status}: {how} the container '
            "before removing or force remove",
            hint=f"stop the container first: pod stop {container.name}; or use 'pod rm -f'",
        )
    from pod.core.container import stopping

    if not stopping.end(engine, container, 30.0):
        raise Busy(
            f'cannot remove container "/{container.name}": it did not end within 30 s of SIGKILL',
            hint="a process of it hangs in the kernel (a dead network file system?); try again later",
        )


def delete(engine: Engine, container: Container, *, volumes: bool) -> bool:
    """Takes the container's records away (renames into the trash); can be repeated. False where it was started
    meanwhile: nothing happened then. Conflict where that was on another node.
    """
    from pod.core.container import claims

    with rundir.container_lock(engine, container.id):
        try:
            container = claims.take(engine, container)
        except NoSuchContainer:
            pass  # its folder is gone, its names perhaps not
        except OSError as error:
            if error.errno not in (28, 122):  # ENOSPC, EDQUOT: as settle_held
                raise
        else:
            if container.is_running:
                claims.drop(container)
                return False
            if not _without_groups(container, 10.0):  # its supervisor was killed, too
                raise Conflict(
                    f"cannot remove container {container.name}: a process of it does not end and keeps its group",
                    hint="it hangs in the kernel (a dead network file system?); try again later",
                )
        _delete_held(engine, container, volumes=volumes)
        return True


def _delete_held(engine: Engine, container: Container, *, volumes: bool) -> None:
    """:func:`delete` for who holds the lock; its file goes with the rest."""
    storedir.into_trash(engine.paths, container.directory)
    store.release_name(engine, container.name, container.id)
    anonymous = [mount["Name"] for mount in container.config["Mounts"] if mount.get("Anonymous")]
    if volumes and anonymous:
        from pod.core.volume import remove as volume_remove

        volume_remove.release(engine, anonymous, container.id)
    _forget_run_folder(engine, container.id)
    _tell(engine, container, "destroy")


def _forget_run_folder(engine: Engine, container_id: str) -> None:
    folder = rundir.container_dir(engine, container_id)
    for remove, path in ((os.unlink, folder + "/ctl"), (os.unlink, folder + "/lock"), (os.rmdir, folder)):
        try:
            remove(path)
        except OSError:
            continue


def discard(engine: Engine, container_id: str) -> None:
    """Takes away a container whose records cannot be read: its folder and the names that lead to it."""
    with rundir.container_lock(engine, container_id):
        storedir.into_trash(engine.paths, engine.paths.container(container_id))
        for name in os.listdir(engine.paths.names):
            store.release_name(engine, name, container_id)
        _forget_run_folder(engine, container_id)
    from pod.core.image import trash

    trash.empty_later(engine)
