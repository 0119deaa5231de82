"""Asking netd: an answer after its greeting, and what is no answer."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.network import query, wire


def message(kind: int, items: bytes) -> bytes:
    return b"PNET\1\0" + kind.to_bytes(2, "little") + bytes(4) + len(items).to_bytes(4, "little") + items


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([message(1, b""), message(11, wire.item("PATH", b"x") + wire.item("JSON", b'{"Holder":7}'))], {"Holder": 7}),
        ([message(11, wire.item("JSON", b"[1]"))], {}),
        ([message(11, wire.item("JSON", b"{"))], {}),
        ([message(11, b"\x2d\0")], {}),
        ([b"nonsense"] * 3, {}),
        ([], {}),
    ],
)
def test_netd_is_asked_once(engine: Engine, answers: list[bytes], found: dict[str, int]) -> None:
    folder = Path(engine.run_dir) / "netd"
    folder.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(folder / "ctl"))
        listener.listen(1)
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(100))
                for answer in answers:
                    connection.send(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert query.ask(engine) == found
        thread.join(10)
    assert asked == [message(10, b"")]
    os.unlink(folder / "ctl")
    assert query.ask(engine) == {}
