"""What netd knows: it is asked by anybody of this user (QUERY of ext/src/net/wire.h), and answers in one packet."""

from __future__ import annotations

import os

from pod.core import rundir, statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

_MAGIC = b"PNET"
_QUERY, _ANSWER = 10, 11
_JSON = 45
_HEAD = 16
_MOST = 1 << 18
_SECONDS = 5.0


def ask(engine: Engine) -> dict[str, Any]:
    """{"Version", "Holder": pid, "Networks": […], "Containers": […]}; {} where there is none, or it does not answer."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(_SECONDS)
        try:
            folder = os.open(rundir.network_dir(engine), os.O_PATH | os.O_CLOEXEC)
            try:  # a path of any length: sun_path has 108 bytes
                connection.connect(f"/proc/self/fd/{folder}/ctl")
            finally:
                os.close(folder)
            connection.send(_MAGIC + b"\1\0" + _QUERY.to_bytes(2, "little") + b"\0" * 8)
            for _ in range(3):  # HELLO comes first; its descriptors are not taken
                packet = connection.recv(_MOST)
                if not packet:
                    return {}
                if packet[:4] == _MAGIC and packet[6:8] == _ANSWER.to_bytes(2, "little"):
                    return _document(packet[_HEAD:])
        except OSError:
            return {}
    return {}


def _document(items: bytes) -> dict[str, Any]:
    text, at = b"", 0
    while at + 4 <= len(items):
        tag, length = (int.from_bytes(items[place : place + 2], "little") for place in (at, at + 2))
        if tag == _JSON:
            text += items[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    try:
        found = statefile.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
