"""What was changed of a container after its creation: its name, its restart policy (update), its networks.

config.json stays as create wrote it; ``changes.json`` beside it, {"version": 1, "Name": …, "RestartPolicy": …,
"Networks": …, "Limits": members of HostConfig}, holds what replaces its members (docs/state.md). The policy is written
as --restart takes it: the live supervisor reads it, too (ext/src/helper/restart.c).
"""

from __future__ import annotations

from pod.core import rundir, statefile
from pod.core.container import happened, lifecycle, store
from pod.core.errors import Conflict, NameInUse, PodError, UsageError
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

POLICIES = ("no", "always", "on-failure", "unless-stopped")
_MOST = 0x7FFFFFFF


def parse_policy(text: str) -> dict[str, Any]:
    """--restart's value as HostConfig.RestartPolicy: {"Name", "MaximumRetryCount"}; UsageError with Docker's words."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise UsageError("invalid restart policy format: no policy provided before colon")
    most = 0
    if count:
        digits = count[1:] if count[0] in "+-" else count
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) > _MOST:
            raise UsageError("invalid restart policy format: maximum retry count must be an integer")
        most = int(count)
    name = name or "no"
    if name not in POLICIES:
        raise UsageError(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', "
            "or 'unless-stopped'"
        )
    if name == "on-failure" and most < 0:
        raise UsageError("invalid restart policy: maximum retry count cannot be negative")
    if name != "on-failure" and most:
        also = " and cannot be negative" if most < 0 else ""
        raise UsageError(f"invalid restart policy: maximum retry count can only be used with 'on-failure'{also}")
    return {"Name": name, "MaximumRetryCount": most}


def policy_text(policy: dict[str, Any]) -> str:
    """A RestartPolicy as --restart takes it."""
    most = int(policy.get("MaximumRetryCount", 0))
    return f"{policy['Name']}:{most}" if most else str(policy["Name"])


def set_limits(
    engine: Engine, container: Container, members: dict[str, Any], check: Callable[[dict[str, Any]], None]
) -> None:
    """New limits, of a running container from now on; ``check`` judges all that it has then. Conflict where that takes
    a new start, and then nothing has changed.
    """
    from pod.core.container import limiting

    with rundir.container_lock(engine, container.id):
        current = lifecycle.read_again(engine, container)
        host = current.config["HostConfig"]
        merged = {name: value for name, value in {**host, **members}.items() if name in defaults.LIMIT_KEYS}
        check(merged)
        if current.is_running:
            limiting.apply(engine, current, host, members)
        earlier = {name: value for name, value in host.items() if name in defaults.LIMIT_KEYS}
        write(current, "Limits", {**earlier, **members})
    happened.tell(engine, container, "update")


def write(container: Container, member: str, value: str | dict[str, Any]) -> None:
    """Replaces one member; the caller holds the container's lock."""
    path = container.directory + "/changes.json"
    try:
        record = statefile.read(path)
    except FileNotFoundError:
        record = {"version": 1}
    record[member] = value
    statefile.write(path, record, sync=not container.config["HostConfig"]["AutoRemove"])


def set_policy(engine: Engine, container: Container, policy: dict[str, Any]) -> None:
    """A new restart policy, for a running container from its next end on. Conflict for one with --rm."""
    if container.config["HostConfig"]["AutoRemove"] and policy["Name"] != "no":
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    with rundir.container_lock(engine, container.id):
        write(lifecycle.read_again(engine, container), "RestartPolicy", policy_text(policy))
    happened.tell(engine, container, "update")


def rename(engine: Engine, container: Container, name: str) -> None:
    """Gives the container another name. NameInUse and UsageError with Docker's words; then nothing has changed.

    The new name is reserved first and the old one released last: killed in between, the record tells which one counts,
    and the other is released by the next ``ps`` (store.release_stale_names).
    """
    if container.name == name:
        raise PodError("Renaming a container with the same name as its current name")
    store.check_name(name)
    with rundir.container_lock(engine, container.id):
        old = lifecycle.read_again(engine, container).name
        store.reserve_name(engine, name, container.id)
        try:
            write(container, "Name", "/" + name)
            store.confirm_name(engine, name, container.id)
        except (OSError, NameInUse):
            write(container, "Name", "/" + old)
            store.release_name(engine, name, container.id)
            raise
        store.release_name(engine, old, container.id)
    container.config["Name"] = "/" + name
    if container.is_running and container.state.get("network"):
        _tell_network(engine, container, name)
    happened.tell(engine, container, "rename", oldName="/" + old)


def _tell_network(engine: Engine, container: Container, name: str) -> None:
    """Others find it by the new name. It has that name, whatever becomes of this."""
    from pod.core.container import networking

    try:
        networking.rename(engine, container, name)
    except PodError as error:
        text = f"rename: its network still knows {container.name} by the old name: {error.message}"
        engine.progress("warning", {"text": text})
