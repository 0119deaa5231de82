"""import: archives of files to images, what -c changes, where they come from; export beside it."""

from __future__ import annotations

import bz2
import gzip
import http.server
import json
import lzma
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import archives
from tests.support.podcli import Pod

CHANGES = (
    'CMD ["/bin/sh", "-c", "echo $GREETING"]',
    'ENV GREETING=hello NAME="two words"',
    "EXPOSE 80 53/udp",
    'LABEL a=b "c d"=e',
    "USER 0:0",
    "WORKDIR /srv",
    "VOLUME /data",
    "STOPSIGNAL SIGINT",
    "HEALTHCHECK --interval=5s --retries=2 CMD true",
    "ONBUILD RUN true",
)


def test_import_when_an_export_comes_back_then_it_runs_the_same(pod: Pod, busybox: str, tmp_path: Path) -> None:
    pod("run", "--name", "source", "--network", "none", busybox, "sh", "-c", "echo kept >/kept; chmod 4755 /kept").ok()
    path = tmp_path / "fs.tar"
    pod("export", "-o", str(path), "source").ok()
    options = [word for change in CHANGES for word in ("-c", change)]
    said = pod("import", "-m", "made by hand", *options, str(path), "imported:1").ok()
    image = pod.inspect("imported:1")
    assert said == image["Id"] + "\n"
    config = image["Config"]
    assert config["Env"] == ["GREETING=hello", "NAME=two words"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("0:0", "/srv", "SIGINT")
    assert config["Labels"] == {"a": "b", "c d": "e"}
    assert set(config["ExposedPorts"]) == {"53/udp", "80/tcp"}
    assert image["Comment"] == "made by hand"
    assert len(image["RootFS"]["Layers"]) == 1
    assert pod("run", "--rm", "--network", "none", "imported:1").ok() == "hello\n"
    told = pod("run", "--rm", "--network", "none", "imported:1", "stat", "-c", "%a %u:%g", "/kept").ok()
    assert told == "4755 0:0\n"
    pod("create", "--name", "again", "imported:1").ok()
    second = tmp_path / "again.tar"
    pod("export", "-o", str(second), "again").ok()
    kept = [line for line in _listing(path) if line.endswith(" kept")]
    assert kept == [line for line in _listing(second) if line.endswith(" kept")] != []
    pod("rm", "-v", "again", "source").ok()
    pod("rmi", "imported:1").ok()


def _listing(path: Path) -> list[str]:
    return archives.run("tar", "--numeric-owner", "-tvf", str(path)).splitlines()


@pytest.mark.alike
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"])
def test_import_when_compressed_then_the_same_layer(fresh_pod: Pod, pack: type[bytes]) -> None:
    content = archives.layer({"hello": b"hello\n"})
    image = fresh_pod("import", "-", stdin=pack(content)).ok().strip()
    assert fresh_pod.inspect(image)["RootFS"]["Layers"] == ["sha256:" + archives.sha(content)]
    assert fresh_pod("history", "--format", "{{.Comment}}", image).ok() == "Imported from -\n"
    assert fresh_pod("images", "--format", "{{.Repository}}").ok() == "<none>\n"


@pytest.mark.alike
def test_import_when_the_time_is_given_then_the_same_image(fresh_pod: Pod) -> None:
    content = archives.layer({"hello": b"hello\n"})
    ids = {fresh_pod("import", "-", stdin=content, env={"SOURCE_DATE_EPOCH": "1700000000"}).ok() for _ in range(2)}
    assert len(ids) == 1
    assert fresh_pod.inspect(ids.pop().strip())["Created"].startswith("2023-11-14T22:13:20")


@pytest.mark.alike
def test_import_when_a_platform_is_named_then_the_image_is_for_it(fresh_pod: Pod) -> None:
    image = fresh_pod("import", "--platform", "linux/arm/v6", "-", "x:1", stdin=archives.layer({"a": b""})).ok()
    found = fresh_pod.inspect(image.strip())
    assert (found["Os"], found["Architecture"], found["Variant"]) == ("linux", "arm", "v6")
    assert fresh_pod("images", "--format", "{{.Repository}}:{{.Tag}}").ok() == "x:1\n"


@pytest.mark.alike
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-c", "RUN true", "-"), 1, ("run is not a valid change command",)),
        (("-c", "EXPOSE 99999", "-"), 1, ("EXPOSE",)),
        (("-c", "CMD", "-"), 1, ("requires at least one argument",)),
        (("-", "UPPER"), 1, ("must be lowercase",)),
        (("-", "x@sha256:" + "0" * 64), 1, ("digest",)),
        (("--platform", "a/b/c/d", "-"), 125, ("platform",)),
        (("/nowhere/x.tar",), 1, ("no such file or directory",)),
        (("-",), 1, ("",)),
        (("http://user@127.0.0.1:1/x",), 1, ("not an address",)),
        (("http://127.0.0.1:1/x",), 1, ("127.0.0.1",)),
    ],
)
def test_import_when_it_cannot_then_one_line(
    fresh_pod: Pod, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    fresh_pod("import", *arguments, stdin=b"no archive of any kind" * 100).failed(code, *words)
    if (fresh_pod.root / "blobs").exists():
        archives.nothing_left(fresh_pod)


class _Web(http.server.BaseHTTPRequestHandler):
    content = archives.layer({"hello": b"x" * 100000})

    def do_GET(self) -> None:
        whole = self.path != "/cut.tar"
        if self.path == "/missing.tar":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content if whole else self.content[:5000])

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.alike
def test_import_when_from_the_web_then_as_from_a_file(fresh_pod: Pod, web: str) -> None:
    image = fresh_pod("import", f"{web}/fs.tar", "web:1").ok().strip()
    assert fresh_pod.inspect(image)["RootFS"]["Layers"] == ["sha256:" + archives.sha(_Web.content)]
    assert fresh_pod("history", "--format", "{{.Comment}}", "web:1").ok() == f"Imported from {web}/fs.tar\n"
    fresh_pod("rmi", "web:1").ok()
    fresh_pod("import", f"{web}/missing.tar").failed(1, "404")
    fresh_pod("import", f"{web}/cut.tar").failed(1)
    archives.nothing_left(fresh_pod)


@pytest.mark.alike
def test_import_when_events_are_asked_for_then_told(fresh_pod: Pod) -> None:
    image = fresh_pod("import", "-", "x:1", stdin=archives.layer({"a": b""})).ok().strip()
    said = fresh_pod("events", "--since", "0", "--until", "0s", "--format", "{{json .}}").ok()
    (event,) = [json.loads(line) for line in said.splitlines()]
    assert (event["Action"], event["Actor"]["ID"], event["Actor"]["Attributes"]["name"]) == ("import", image, "x:1")


@pytest.mark.alike
def test_import_when_the_layer_is_no_archive_then_nothing_is_left(fresh_pod: Pod) -> None:
    for data in (b"", b"x" * 1000, gzip.compress(gzip.compress(archives.layer({"a": b""}))), gzip.compress(b"")):
        fresh_pod("import", "-", stdin=data).failed(1)
        archives.nothing_left(fresh_pod)
