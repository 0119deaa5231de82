"""``compose up`` and ``down`` killed with all that they have begun, at many moments: the next command finishes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import App
from tests.support.podcli import Pod

SHAPE = """
services:
  db:
    image: %IMAGE%
    command: %WAITS%
    volumes: [data:/data, /scratch]
    environment: {RELEASE: "${RELEASE:-1}"}
    healthcheck: {test: ["CMD", "true"], interval: 1s, start_interval: 50ms, start_period: 10s}
  web:
    image: %IMAGE%
    command: %WAITS%
    environment: {RELEASE: "${RELEASE:-1}"}
    depends_on: {db: {condition: service_healthy}}
    secrets: [word]
  worker: {image: %IMAGE%, command: %WAITS%, scale: 2, stop_signal: SIGKILL}
volumes: {data: {}}
secrets: {word: {environment: RELEASE}}
"""


@pytest.fixture
def app(pod: Pod, busybox: str, tmp_path: Path) -> Iterator[App]:
    made = App(pod, busybox, tmp_path, "shop").write(SHAPE)
    yield made
    made.close()
    assert made.leftovers() == []


def killed(app: App, seconds: float, release: int, *words: str) -> bool:
    """Runs a command in a session of its own, all of which is killed after so long; whether it still ran."""
    process = subprocess.Popen(
        app.pod.argv(*app.argv(*words)),
        env=app.pod.environ({"RELEASE": str(release)}),
        cwd=app.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    ran = process.poll() is None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)
    return ran


def took(app: App, release: int, *words: str) -> float:
    """Seconds of an undisturbed command: moments in it are to be chosen."""
    started = time.monotonic()
    app(*words, env={"RELEASE": str(release)}).ok()
    return time.monotonic() - started


def assert_all_run(app: App) -> None:
    """Both workers under some number: one that is missing gets the next, as Docker has it, not that of a killed one."""
    states = app.states()
    workers = [name for name in states if name.startswith("shop-worker-")]
    assert len(workers) == 2, states
    assert states == dict.fromkeys(["shop-db-1", "shop-web-1", *workers], "running")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_up_and_down_when_killed_at_many_moments_then_the_next_finishes(app: App, seed: int) -> None:
    chance, caught = random.Random(seed), 0
    took(app, 100, "up", "-d")
    up, down = took(app, 101, "up", "-d"), took(app, 101, "down", "-v", "-t", "1")
    for release in range(8):
        env = {"RELEASE": str(release)}
        app("up", "-d", env={"RELEASE": str(release - 1)}).ok() if chance.random() < 0.5 else None
        caught += killed(app, chance.uniform(0.1, 0.9) * up, release, "up", "-d")
        app("up", "-d", env=env).ok()
        assert_all_run(app)
        assert f"RELEASE={release}" in app.inspect("web")["Config"]["Env"]
        assert app("exec", "-T", "web", "cat", "/run/secrets/word").ok() == str(release)
        if chance.random() < 0.6:
            caught += killed(app, chance.uniform(0.1, 0.9) * down, release, "down", "-v", "-t", "1")
            app("down", "-v", "-t", "1", env=env).ok()
            assert app.leftovers() == []
            assert app.pod("volume", "ls", "-q").ok() == ""
    assert caught >= 4
