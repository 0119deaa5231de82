"""What every Docker course begins with, as it is written there; published ports below 1024 are higher ones."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.inside import free_ports
from tests.support.podcli import Pod, until

pytestmark = pytest.mark.usefixtures("tidied")


@pytest.fixture
def tidied(pod: Pod) -> Iterator[None]:
    """Nothing is left of containers and networks."""
    yield
    pod.tidy()
    pod("network", "prune", "-f").ok()


POSTGRES = """
set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
mkdir -p /srv/data
chown postgres:postgres /srv/data
as="setpriv --reuid=postgres --regid=postgres --init-groups"
$as initdb --no-sync --auth=trust -D /srv/data/db
echo "host all all all trust" >>/srv/data/db/pg_hba.conf
exec $as postgres -D /srv/data/db -c listen_addresses='*' -c unix_socket_directories=/srv/data
"""
"""What the entry of the usual image does."""


def _page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return str(error)


@pytest.mark.image("services:12")
def test_course_when_a_web_server_is_published_then_its_page_comes(pod: Pod) -> None:
    port = free_ports(1)
    pod("run", "-d", "--name", "web", "-p", f"{port}:80", pod.image("services:12"), "nginx", "-g", "daemon off;").ok()
    until(lambda: "Welcome to nginx" in _page(port), 30, "the page")
    assert f"0.0.0.0:{port}->80/tcp" in pod("ps").ok()
    assert pod("port", "web", "80").ok().splitlines()[0] == f"0.0.0.0:{port}"
    pod("stop", "web").ok()
    assert "refused" in _page(port)


@pytest.mark.image("services:12")
def test_course_when_database_and_client_are_on_a_network_then_the_name_is_enough(pod: Pod) -> None:
    image = pod.image("services:12")
    pod("network", "create", "shop").ok()
    pod("run", "-d", "--name", "db", "--network", "shop", image, "sh", "-c", POSTGRES).ok()
    query = ("psql", "-h", "db", "-U", "postgres", "-tAc", "select 6 * 7")
    deadline, out = time.monotonic() + 60, None
    while out is None or out.code:
        out = pod("run", "--rm", "--network", "shop", image, *query)
        assert time.monotonic() < deadline, repr(out)
    assert out.out == "42\n"


@pytest.mark.image("debian:12")
def test_course_when_two_containers_ping_each_other_by_name(pod: Pod, busybox: str) -> None:
    pod("network", "create", "my-net").ok()
    for name in ("alpine1", "alpine2"):
        pod("run", "-dit", "--name", name, "--network", "my-net", busybox, "sh").ok()
    assert "2 packets transmitted, 2 packets received" in pod("exec", "alpine1", "ping", "-c", "2", "alpine2").ok()
    pod("run", "-dit", "--name", "alpine3", busybox, "sh").ok()
    assert pod("exec", "alpine3", "ping", "-c", "1", "-w", "5", "alpine1").code != 0
    pod("network", "connect", "my-net", "alpine3").ok()
    assert "1 packets received" in pod("exec", "alpine3", "ping", "-c", "1", "alpine1").ok()
    out = pod("run", "--rm", "--network", "my-net", pod.image("debian:12"), "getent", "hosts", "alpine2").ok()
    assert out.split()[1] == "alpine2"
    assert "alpine1" in pod("network", "inspect", "my-net").ok()
    pod("network", "rm", "my-net").failed(1, "has active endpoints")


@pytest.mark.image("debian:12")
def test_course_when_host_docker_internal_is_asked_for_then_the_hosts_service_answers(pod: Pod) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = 'exec 3<>/dev/tcp/"$0"/"$1"; printf "HEAD / HTTP/1.0\r\n\r\n" >&3; head -1 <&3'
    image, asked = pod.image("debian:12"), ("--add-host", "host.docker.internal:host-gateway")
    pod("network", "create", "asked").ok()
    try:
        for flags in (asked, (*asked, "--network", "asked")):
            words = ("bash", "-c", script, "host.docker.internal", str(server.server_port))
            assert "200 OK" in pod("run", "--rm", *flags, image, *words).ok()
        words = ("bash", "-c", script, "172.17.0.1", str(server.server_port))
        assert "refused" in pod("run", "--rm", image, *words).err, "nobody asked for the host's loopback"
    finally:
        server.shutdown()
        server.server_close()
