"""A scope of the user's own systemd manager: a control group of version 2 that is handed to this process.

A login's processes are in a group of root's. Only systemd moves a process from there to the user's part of the tree,
and it does so for who asks over D-Bus: org.freedesktop.systemd1.Manager, StartTransientUnit and AttachProcessesToUnit
(org.freedesktop.systemd1(5)). No program is needed for it, and no XDG_RUNTIME_DIR.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 5.0
"""Seconds for systemd to answer, and to move us."""


def enter(own_group: str) -> bool:
    """Puts this process into a new scope with all that the manager hands on; False where there is no such manager.

    ``own_group``: our path as /proc/self/cgroup has it now.
    """
    name = f"pod-{os.getpid()}-{os.urandom(4).hex()}.scope"
    properties = [
        ("Description", ("s", "containers of pod")),
        ("Delegate", ("b", True)),
        ("CollectMode", ("s", "inactive-or-failed")),
        ("PIDs", ("au", [os.getpid()])),
    ]
    return _call("StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", properties, [])) and _is_moved(own_group)


def attach(unit: str, group: str, own_group: str) -> bool:
    """Puts this process into the scope of a running container, into its part ``group`` ("/pod-caller")."""
    return _call("AttachProcessesToUnit", "ssau", (unit, group, [os.getpid()])) and _is_moved(own_group)


def is_there() -> bool:
    """Whether the user has a manager, as far as its sockets tell."""
    return any(os.path.exists(path) for path, _ in _sockets())


def _sockets() -> list[tuple[str, bool]]:
    """(path, whether it is a bus, where one says Hello first)."""
    folder = f"/run/user/{os.getuid()}"
    return [(folder + "/bus", True), (folder + "/systemd/private", False)]


def _call(method: str, signature: str, body: tuple[Any, ...]) -> bool:
    from jeepney import DBusAddress, DBusErrorResponse, MessageType, new_method_call
    from jeepney.auth import AuthenticationError
    from jeepney.bus_messages import message_bus
    from jeepney.io import blocking

    manager = DBusAddress(
        "/org/freedesktop/systemd1", bus_name="org.freedesktop.systemd1", interface="org.freedesktop.systemd1.Manager"
    )
    for path, is_bus in _sockets():
        if not os.path.exists(path):
            continue
        try:
            connection = blocking.DBusConnection(blocking.prep_socket(path, timeout=_PATIENCE))
            with connection:
                if is_bus:
                    connection.send_and_get_reply(message_bus.Hello(), timeout=_PATIENCE)
                answer = connection.send_and_get_reply(
                    new_method_call(manager, method, signature, body), timeout=_PATIENCE
                )
        except (OSError, ValueError, TypeError, LookupError, EOFError, DBusErrorResponse, AuthenticationError):
            continue
        if answer.header.message_type == MessageType.method_return:
            return True
    return False


def _is_moved(own_group: str) -> bool:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            now = file.read()
        if f"0::{own_group}\n" not in now:
            return True
        time.sleep(0.002)
    return False
