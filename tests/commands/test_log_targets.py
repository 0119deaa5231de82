"""Logs that leave pod: syslog by every way, what is said where nobody listens, slow targets, memory."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

LINE = re.compile(rb"<(\d+)>(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+)\[\d+\]: (.*)\n")


class Listener:
    """Takes what comes by ``kind`` (tcp, udp, unix, unixgram); ``got`` has all of it. ``pause`` takes nothing."""

    def __init__(self, kind: str, folder: Path, *, paused: bool = False) -> None:
        self.got = b""
        self.kind = kind
        self.stream = kind in ("tcp", "unix")
        local = kind.startswith("unix")
        family = socket.AF_UNIX if local else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "syslog") if local else ("127.0.0.1", 0))
        if self.stream:
            self.socket.listen()
        where = str(folder / "syslog") if local else f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.address = f"{kind}://{where}"
        self.reading = threading.Event()
        if not paused:
            self.reading.set()
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            while self.reading.wait(60):
                source = self.socket
                if self.stream:
                    source, _ = self.socket.accept()
                    self.connections.append(source)
                while data := source.recv(65536):
                    self.reading.wait(60)
                    self.got += data
        except OSError:
            return

    def cut(self) -> None:
        """Ends the connection, as a server that is restarted does."""
        self.connections[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.reading.set()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for one in self.connections:
            one.close()
        self.thread.join(5)


@pytest.fixture(params=["udp", "tcp", "unix", "unixgram"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    one = Listener(request.param, tmp_path)
    yield one
    one.close()


def syslog(address: str, *more: str) -> list[str]:
    options = [f"syslog-address={address}", *more]
    return ["--log-driver", "syslog", *(word for option in options for word in ("--log-opt", option))]


def test_syslog_gets_every_line_with_priority_and_tag(pod: Pod, busybox: str, listener: Listener) -> None:
    script = "echo out; echo err >&2; printf 'the end'"
    flags = syslog(listener.address, "syslog-facility=local3", "tag={{.Name}}")
    pod("run", "--name", "speaker", "--network", "none", *flags, busybox, "sh", "-c", script).ok()
    until(lambda: listener.got.count(b"\n") >= 3, 10, "three messages")
    found = [(int(m[1]), m[3], m[4]) for m in LINE.finditer(listener.got)]
    assert sorted(found) == [(19 << 3 | 3, b"speaker", b"err"), (19 << 3 | 6, b"speaker", b"out"),
                             (19 << 3 | 6, b"speaker", b"the end")]  # fmt: skip
    pod("logs", "speaker").failed(1, "configured logging driver does not support reading")


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("rfc3164", r"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d HOST ID\[\d+\]: hello\n"),
        ("rfc5424", r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ HOST ID \d+ ID - hello\n"),
        ("rfc5424micro", r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z HOST ID \d+ ID - hello\n"),
    ],
)
def test_syslog_formats(pod: Pod, busybox: str, tmp_path: Path, form: str, pattern: str) -> None:
    listener = Listener("unixgram", tmp_path)
    pod("run", "--name", "speaker", *syslog(listener.address, f"syslog-format={form}"), busybox, "echo", "hello").ok()
    until(lambda: b"\n" in listener.got, 10, "a message")
    listener.close()
    pattern = pattern.replace("HOST", re.escape(os.uname().nodename)).replace("ID", pod.inspect("speaker")["Id"][:12])
    assert re.fullmatch(pattern, listener.got.decode())


def test_syslog_over_tcp_connects_again(pod: Pod, busybox: str, tmp_path: Path) -> None:
    listener = Listener("tcp", tmp_path)
    script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; sleep 0.03; done"
    pod("run", "-d", "--name", "speaker", *syslog(listener.address), busybox, "sh", "-c", script).ok()
    until(lambda: listener.got.count(b"\n") >= 5, 10, "messages")
    listener.cut()
    pod.wait_for("speaker", "exited")
    until(lambda: b"line 100\n" in listener.got, 10, "the last message")
    listener.close()
    found = [int(number) for number in re.findall(rb"line (\d+)\n", listener.got)]
    assert found == sorted(set(found))
    assert len(found) > 50


def test_run_when_nobody_listens_then_says_so_and_leaves_nothing(pod: Pod, busybox: str) -> None:
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    pod("run", "--rm", *syslog(address), busybox, "true").failed(125, "log", "127.0.0.1", "refused")
    unused.close()
    assert pod("ps", "-aq").ok() == ""


@pytest.mark.slow
def test_log_when_syslog_takes_nothing_then_the_container_waits_and_its_end_is_bounded(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    listener = Listener("unixgram", tmp_path, paused=True)
    script = "yes 0123456789012345678901234567890123456789 | head -c 50000000; echo done > /done"
    pod("run", "-d", "--name", "speaker", *syslog(listener.address), busybox, "sh", "-c", script).ok()
    time.sleep(1)
    assert pod("exec", "speaker", "test", "-e", "/done").code == 1
    begin = time.monotonic()
    pod("kill", "speaker").ok()
    pod.wait_for("speaker", "exited")
    assert time.monotonic() - begin < 40
    listener.close()


@pytest.mark.parametrize("driver", ["syslog", "json-file"])
def test_log_non_blocking_never_waits_and_drops_whole_lines(
    pod: Pod, busybox: str, tmp_path: Path, driver: str
) -> None:
    """With a syslog server that takes nothing, and with a disk that is as fast as any."""
    listener = Listener("tcp", tmp_path, paused=True)
    flags = syslog(listener.address) if driver == "syslog" else ["--log-driver", driver]
    flags += ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=2m"]
    script = "seq 300000 | sed 's/.*/line & of many/'; echo done > /done; sleep 1000"
    pod("run", "-d", "--name", "speaker", *flags, busybox, "sh", "-c", script).ok()
    until(lambda: pod("exec", "speaker", "test", "-e", "/done").code == 0, 30, "the end of the writing")
    where = Path(pod.inspect("speaker")["ResolvConfPath"]).parent
    supervisor = json.loads((where / "state.json").read_text())["supervisor"]
    rollup = Path(f"/proc/{supervisor}/smaps_rollup").read_text()
    assert int(re.search(r"Pss_Anon:\s+(\d+) kB", rollup)[1]) < 2500  # type: ignore[index]
    listener.reading.set()
    pod("kill", "speaker").ok()
    pod.wait_for("speaker", "exited")
    text = listener.got.decode() if driver == "syslog" else pod("logs", "speaker").ok()
    listener.close()
    lines = text.splitlines()[:-1]
    assert len(lines) > 1000
    assert all(re.search(r"(: |^)line \d+ of many$", line) for line in lines)


def test_log_of_long_lines_and_strange_bytes_takes_bounded_memory(pod: Pod, busybox: str) -> None:
    """Lines of 10 MB, and bytes that are no text: the supervisor stays as small as it is, and all is read back."""
    script = (
        "head -c 10000000 /dev/zero | tr '\\0' x; echo; head -c 3000000 /dev/urandom; echo; echo end; sleep 1000"
    )
    flags = ("--log-opt", "max-size=-1")
    pod("run", "-d", "--name", "speaker", "--network", "none", *flags, busybox, "sh", "-c", script).ok()
    where = Path(pod.inspect("speaker")["LogPath"])
    until(lambda: where.exists() and where.read_bytes().count(b'"end\\n"') == 1, 30, "the last line")
    supervisor = json.loads((where.parent / "state.json").read_text())["supervisor"]
    rollup = Path(f"/proc/{supervisor}/smaps_rollup").read_text()
    assert int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) <= 400  # type: ignore[index]
    records = [json.loads(line) for line in where.read_bytes().splitlines()]
    long = [record["log"] for record in records[:611]]
    assert [len(text) for text in long] == [16384] * 610 + [5761]
    assert "".join(long) == "x" * 10_000_000 + "\n"
    assert pod("logs", "speaker").out.endswith("end\n")
    pod("kill", "speaker").ok()
