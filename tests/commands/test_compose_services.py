"""A whole application of Debian's packages: web servers behind one name, an application, its database and a cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import podcli
from tests.support.compose import App
from tests.support.podcli import Pod

pytestmark = pytest.mark.slow

SHAPE = """
services:
  db:
    image: %SERVICES%
    user: postgres
    command:
      - sh
      - -ec
      - |
        PATH=$$PATH:$$(echo /usr/lib/postgresql/*/bin); db=/var/lib/postgresql/own
        test -e $$db/PG_VERSION || initdb --no-sync --auth=scram-sha-256 --pwfile=/run/secrets/word -D $$db
        grep -q everybody $$db/pg_hba.conf || echo "host all all all scram-sha-256 # everybody" >>$$db/pg_hba.conf
        exec postgres -D $$db -c listen_addresses=* -c unix_socket_directories=/tmp
    volumes: [rows:/var/lib/postgresql]
    networks: [back]
    secrets: [word]
    healthcheck: {test: ["CMD", "pg_isready", "-h", "127.0.0.1"], interval: 1s, timeout: 10s, retries: 60}
  cache:
    image: %IMAGE%
    command: [sh, -c, "mkdir /c; echo cached >/c/value; exec httpd -f -p 6379 -h /c"]
    networks: [back]
    stop_signal: SIGKILL
  app:
    image: %SERVICES%
    command:
      - sh
      - -ec
      - |
        export PGPASSWORD=$$(cat /run/secrets/word) PGHOST=db PGUSER=postgres
        psql -qc "create table if not exists visits (n int); insert into visits values (42)"
        mkdir -p /srv/app; psql -Atc "select 'visits ' || max(n) from visits" >/srv/app/index.html
        exec nginx -c /etc/app.conf
    depends_on:
      db: {condition: service_healthy}
      cache: {condition: service_started}
    configs: [{source: server, target: /etc/app.conf}]
    secrets: [word]
    networks: [front, back]
    healthcheck: {test: ["CMD", "test", "-s", "/srv/app/index.html"], interval: 1s, retries: 60}
  web:
    image: %SERVICES%
    command: [nginx, -c, /etc/web.conf]
    environment: {RELEASE: "${RELEASE:-1}"}
    depends_on: {app: {condition: service_healthy}}
    configs: [{source: proxy, target: /etc/web.conf}]
    networks: [front]
    deploy: {replicas: 3, update_config: {parallelism: 1}}
  client: {image: %IMAGE%, command: %WAITS%, networks: [front]}
networks: {front: {}, back: {internal: true}}
volumes: {rows: {}}
secrets: {word: {environment: WORD}}
configs:
  server:
    content: |
      daemon off; error_log stderr; pid /tmp/nginx.pid; events {}
      http { access_log /dev/stdout; server { listen 80; root /srv/app; } }
  proxy:
    content: |
      daemon off; error_log stderr; pid /tmp/nginx.pid; events {}
      http { access_log /dev/stdout; server { listen 80; location / { proxy_pass http://app; } } }
"""


class Shop(App):
    def __call__(self, *words: str, **more: object) -> podcli.Result:
        env = {"WORD": "open sesame", **more.pop("env", {})}  # type: ignore[dict-item]
        return self.pod(*self.argv(*words), env=env, timeout=180, **more)  # type: ignore[arg-type]


@pytest.fixture
def shop(pod: Pod, busybox: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(pod, busybox, tmp_path, "shop")
    made.write(SHAPE.replace("%SERVICES%", pod.image("services:12")))
    yield made
    made.close()
    assert made.leftovers() == []


@pytest.mark.image("services:12")
def test_application_when_run_scaled_changed_and_ended(shop: Shop) -> None:
    def asks(url: str = "http://web") -> str:
        return shop("exec", "-T", "client", "wget", "-qO-", url).out

    shop("up", "-d", "--wait").ok()
    podcli.until(lambda: asks() == "visits 42\n", 30, "the web to answer")
    assert asks("http://db:5432") == asks("http://cache:6379/value") == ""  # another network
    assert shop("exec", "-T", "app", "sh", "-c", "bash -c 'exec 3<>/dev/tcp/cache/6379' && echo open").ok() == "open\n"
    ids = shop.ids()
    shop("up", "-d").ok()
    assert shop.ids() == ids
    for _ in range(12):
        assert asks() == "visits 42\n"
    heard = {line.partition(" ")[0] for line in shop("logs", "web").out.splitlines() if "GET /" in line}
    assert len(heard) >= 2
    shop("scale", "web=4").ok()
    assert len(shop.ids()) == len(ids) + 1
    said = shop("up", "-d", env={"RELEASE": "2"}).err
    assert said.index("web-1  Started") < said.index("web-2  Recreate\n")
    after = shop.ids()
    assert {name for name in ids if after.get(name) != ids[name]} == {"shop-web-1", "shop-web-2", "shop-web-3"}
    podcli.until(lambda: asks() == "visits 42\n", 30, "the new ones to answer")
    shop("down").ok()
    assert shop.ids() == {}
    shop("up", "-d", "--wait").ok()  # the database goes on with its rows
    podcli.until(lambda: asks() == "visits 42\n", 30, "the web to answer")
