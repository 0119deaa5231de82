"""A whole application of Debian's packages (tests/support/shop): nginx, three of an application behind one name, its
database and its cache; as people bring it up, change it, look at it, and take it down.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leaks, places, podcli
from tests.support.compose import App
from tests.support.podcli import Pod
from tests.support.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.image("services:12"), pytest.mark.image("application:12")]
WAIT = 120.0
"""Seconds that all of it may take to be there on a busy machine."""


class Shop(App):
    """The folder's application, on a port of the loopback."""

    def __init__(self, pod: Pod, folder: Path) -> None:
        super().__init__(pod, "", folder / "shop", "shop")
        shutil.copytree(places.REPOSITORY / "tests/support/shop", self.folder)
        for path in self.folder.rglob("*"):
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
        (self.folder / "db-password").write_text("open sesame\n")
        self.port = podcli.free_port()
        images = {"SERVICES": pod.image("services:12"), "APPLICATION": pod.image("application:12")}
        self.env = {**images, "PORT": str(self.port), "CACHE_PASSWORD": "close sesame"}

    def __call__(self, *words: str, **more: object) -> podcli.Result:
        env = {**self.env, **more.pop("env", {})}  # type: ignore[dict-item]
        return self.pod(*self.argv(*words), env=env, timeout=300, **more)  # type: ignore[arg-type]

    def ask(self) -> dict[str, object]:
        """What a visitor gets; OSError where it is an error."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def answers(self) -> bool:
        try:
            return bool(self.ask())
        except OSError:
            return False

    def heard(self, count: int) -> set[object]:
        """The hosts that answer, until there were so many."""
        hosts: set[object] = set()

        def more() -> bool:
            hosts.add(self.ask()["host"])
            return len(hosts) == count

        podcli.until(more, WAIT, f"{count} to answer")
        return hosts

    def numbers(self, service: str) -> set[str]:
        return {name for name in self.ids() if name.startswith(f"shop-{service}-")}


class Visitors:
    """Somebody who asks all the time."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._end = threading.Event()
        self.answers: list[dict[str, object]] = []
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._end.wait(0.05):
            try:
                self.answers.append(self._shop.ask())
            except OSError as error:
                self.failures.append(str(error))

    def end(self) -> None:
        self._end.set()
        self._thread.join(60)


@pytest.fixture
def shop(registry: Registry, tmp_path: Path) -> Iterator[Shop]:
    """In a store of its own, so that whatever is left in it is this application's."""
    for pod in podcli.fresh(registry.name):
        made = Shop(pod, tmp_path)
        yield made
        made.close()
        assert made.leftovers() == []
        assert leaks.settled(pod.root, WAIT) == []  # the images go in the background
        assert os.listdir(pod.root / "volumes") == []
        assert not (pod.root / "compose" / "shop").exists()


def test_shop_when_run_scaled_changed_and_ended_then_it_serves(shop: Shop) -> None:
    shop("up", "-d").ok()
    podcli.until(shop.answers, WAIT, "the shop to answer")
    assert len(shop.heard(3)) == 3
    networks_are_apart(shop)
    again_is_nothing(shop)
    shop("scale", "app=5").ok()
    assert len(shop.heard(5)) == 5
    shop("scale", "app=3").ok()
    assert shop.numbers("app") == {"shop-app-1", "shop-app-2", "shop-app-3"}
    changes_while_it_serves(shop)
    looked_at(shop)
    goes_on_after_down(shop)
    assert "<none>" not in shop.pod("images").ok()  # what two services share was built once
    shop("down", "-v", "--rmi", "all").ok()
    assert shop.leftovers() == []
    assert shop.pod("images", "-q").ok() == ""


def networks_are_apart(shop: Shop) -> None:
    """Who is on the front reaches the application, and nothing behind it, by name or by address."""
    address = shop.inspect("db")["NetworkSettings"]["Networks"]["shop_back"]["IPAddress"]

    def reaches(service: str, host: str, port: int) -> bool:
        words = f"exec 3<>/dev/tcp/{host}/{port}"
        return shop("exec", "-T", service, "timeout", "3", "bash", "-c", words).code == 0

    assert reaches("web", "app", 8000)
    assert reaches("app", "db", 5432)
    assert reaches("app", address, 5432)
    assert reaches("app", "cache", 6379)
    assert not reaches("web", "db", 5432)
    assert not reaches("web", address, 5432)
    assert not reaches("web", "cache", 6379)
    assert not reaches("cache", "web", 80)


def again_is_nothing(shop: Shop) -> None:
    before = shop.ids()
    said = shop("up", "-d").err
    assert shop.ids() == before
    changed = [line for line in said.splitlines() if "Recreate" in line or "Created" in line or "Started" in line]
    assert changed == [" Container shop-migrate-1  Started"]  # it had ended, so it runs again, as with Docker


def changes_while_it_serves(shop: Shop) -> None:
    """Another release of the application, one container after the other; nobody else is touched, nobody notices."""
    before = shop.ids()
    visitors = Visitors(shop)
    try:
        said = shop("up", "-d", env={"RELEASE": "2"}).err
        podcli.until(lambda: bool(visitors.answers) and visitors.answers[-1]["release"] == "2", WAIT, "release 2")
    finally:
        visitors.end()
    assert said.index("app-1  Started") < said.index("app-2  Recreate\n")
    assert said.index("app-2  Started") < said.index("app-3  Recreate\n")
    after = shop.ids()
    assert {name for name in before if after.get(name) != before[name]} == shop.numbers("app")
    assert visitors.failures == []
    numbers = [int(str(one["visits"])) for one in visitors.answers]
    assert numbers == sorted(set(numbers))
    assert {one["release"] for one in visitors.answers} == {"1", "2"}
    shop.env["RELEASE"] = "2"
    assert len(shop.heard(3)) == 3


def looked_at(shop: Shop) -> None:
    lines = shop("logs", "app").ok().splitlines()
    for number in (1, 2, 3):
        assert any(line.startswith(f"app-{number}  | ") and "GET / HTTP/1.0" in line for line in lines), number
    assert "GET / HTTP/1.1" in shop("logs", "--no-log-prefix", "--tail", "5", "web").ok()
    words = "export PGPASSWORD=$(cat /run/secrets/db-password); psql -h 127.0.0.1 -Atc 'select max(number) from visits'"
    visits = shop.ask()["visits"]
    assert shop("exec", "-T", "db", "sh", "-c", words).ok() == f"{visits}\n"
    assert shop("exec", "-T", "app", "stat", "-c", "%U %a", "/run/secrets/cache-password").ok() == "www-data 400\n"
    states = shop.states()
    assert states.pop("shop-migrate-1") == "exited"
    assert set(states.values()) == {"running"}

    def all_are_healthy() -> bool:
        rows = shop.rows().values()
        return {row["Health"] for row in rows if row["Service"] in ("app", "db", "cache")} == {"healthy"}

    podcli.until(all_are_healthy, WAIT, "the newest containers to be healthy")


def goes_on_after_down(shop: Shop) -> None:
    """Both volumes stay, the one of the database and the one of the cache."""
    before = shop.ask()
    shop("down").ok()
    assert shop.ids() == {}
    shop("up", "-d").ok()
    podcli.until(shop.answers, WAIT, "the shop to answer again")
    after = shop.ask()
    for name in ("visits", "cached"):
        assert int(str(after[name])) > int(str(before[name])), name
