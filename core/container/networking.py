"""A running container on one network more or less, or by another name: its supervisor is asked, who asks netd
(frame NETWORK of ext/src/helper/frame.h). Records are the caller's affair; ``state.json`` is the supervisor's.
"""

from __future__ import annotations

import errno
import os
import time

from pod.core.container import attach, files
from pod.core.errors import Conflict, PodError
from pod.core.network import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_FRAME = ord("N")
_CONNECT, _DISCONNECT, _RENAME = 4, 5, 6
"""enum pod_wire_type"""
_SECONDS = 15
"""What an answer may take: netd may have to be started anew meanwhile."""


def connect(engine: Engine, container: Container, items: bytes) -> None:
    """One interface more: ``items`` of :func:`pod.core.network.wire.interface`. Returns when it is there.

    Conflict or PodError in Docker's words where it cannot be; then nothing was changed.
    """
    _ask(engine, container, _CONNECT, items)


def disconnect(engine: Engine, container: Container, network_id: str) -> None:
    """Takes the interface on that network away."""
    _ask(engine, container, _DISCONNECT, wire.item("NET_ID", network_id.encode()))


def rename(engine: Engine, container: Container, name: str) -> None:
    """Other containers find it by ``name`` from now on."""
    _ask(engine, container, _RENAME, wire.item("NAME", name.encode()))


def renew_resolv_conf(engine: Engine, container: Container, before: Mapping[str, Any]) -> None:
    """After a change of its networks, of which the record ``before`` did not know: /etc/resolv.conf as a start would
    write it now, unless the container has written it itself.
    """
    path = container.directory + "/resolv.conf"
    system = files.system_resolv_conf()
    new, old = (files.resolv_conf(engine, config, system) for config in (container.config, before))
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            untouched = file.read(len(old) + 1) == old
        if untouched and new != old:
            files.write(path, new)
    except OSError:
        return  # The container made something else of it.


def _ask(engine: Engine, container: Container, kind: int, items: bytes) -> None:
    message = bytes((_FRAME, 0, 0, 0)) + kind.to_bytes(4, "little") + items
    until = time.monotonic() + _SECONDS
    while True:
        number, words = _exchange(engine, container, message)
        if number != errno.EBUSY or time.monotonic() > until:
            break
        time.sleep(0.02)  # It is asked by another just now.
    if number:
        raise _refusal(container, number, words)


def _exchange(engine: Engine, container: Container, message: bytes) -> tuple[int, str]:
    """(errno or 0, "STEP PATH") of the answer."""
    try:
        answer = attach.exchange(engine, container, message, _SECONDS)
    except TimeoutError:
        return errno.ETIMEDOUT, ""
    except OSError:
        return errno.ESRCH, ""
    return int.from_bytes(answer[4:8], "little"), answer[8:].decode("utf-8", "replace")


def _refusal(container: Container, number: int, words: str) -> PodError:
    step, _, path = words.partition(" ")
    if number == errno.ESRCH:
        return Conflict(f"container {container.id} is not running", hint="it has just ended, or is restarting")
    if number == errno.ENOTCONN:
        return Conflict(
            f"container {container.id} was started without a network of pod's",
            hint="restart it: what it is connected to holds from its next start on",
        )
    if step == "ADDRESS" and number == errno.EADDRINUSE:
        return Conflict("Address already in use: " + path, hint="another container has that address")
    if step == "PUBLISH" and number == errno.EADDRINUSE:
        return PodError(
            f"driver failed programming external connectivity on endpoint {container.name}: "
            f"Bind for {path.partition('/')[0]} failed: port is already allocated",
            hint="another container or program has it: 'pod ps' shows those of containers",
        )
    if step == "ADDRESS" and number == errno.EINVAL:
        return Conflict(f"no configured subnet contains IP address {path}", hint="'pod network inspect' shows them")
    if step == "ADDRESS" and number == errno.EADDRNOTAVAIL:
        return Conflict(f"no available IPv4 addresses on this network's address pools: {path}")
    reason = os.strerror(number).lower()
    place = ": ".join(filter(None, (step.lower().replace("_", " "), path)))
    return PodError(f"container {container.name}: network: {place + ': ' if place else ''}{reason}")
