"""The commands of Compose on services that run: each says and does what Docker's does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import podcli
from tests.support.compose import App
from tests.support.podcli import Pod

SHAPE = """
services:
  db: {image: %IMAGE%, command: %WAITS%, volumes: [data:/data]}
  web:
    image: %IMAGE%
    command: %WAITS%
    depends_on: {db: {condition: service_started, restart: true}}
    environment: {GREETING: hello}
    scale: 2
volumes: {data: {}}
"""


@pytest.fixture
def app(pod: Pod, busybox: str, tmp_path: Path) -> Iterator[App]:
    made = App(pod, busybox, tmp_path, "shop").write(SHAPE)
    yield made
    made.close()
    assert made.leftovers() == []


@pytest.fixture
def running(app: App) -> App:
    app("up", "-d").ok()
    return app


def test_ps_when_asked_in_each_way(running: App) -> None:
    table = running("ps").ok().splitlines()
    assert re.split(r"\s{2,}", table[0]) == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert [line.split()[0] for line in table[1:]] == ["shop-db-1", "shop-web-1", "shop-web-2"]
    assert running("ps", "--services").ok() == "db\nweb\n"
    assert len(running("ps", "-q", "web").ok().split()) == 2
    row = running.rows()["shop-db-1"]
    assert (row["Service"], row["Project"], row["State"], row["ExitCode"]) == ("db", "shop", "running", 0)
    assert running("ps", "--format", "{{.Name}} {{.Service}}", "db").ok() == "shop-db-1 db\n"
    assert running("ps", "--status", "exited", "-q").ok() == ""
    running("ps", "--status", "odd").failed(125, "unknown status")
    running("ps", "nobody").failed(1, "no such service: nobody")


@pytest.mark.slow
def test_stop_start_restart_pause_kill_and_rm(running: App) -> None:
    ids = running.ids()
    running("stop", "-t", "1", "web").ok()
    assert running.states() == {"shop-db-1": "running", "shop-web-1": "exited", "shop-web-2": "exited"}
    running("start").ok()
    assert set(running.states().values()) == {"running"}
    assert running.ids() == ids
    started = running.pod.state("shop-web-1")["StartedAt"]
    running("restart", "-t", "1", "db").ok()
    assert running.pod.state("shop-web-1")["StartedAt"] != started  # restart: true
    running("pause", "web").ok()
    assert running("ps", "--status", "paused", "-q").ok().count("\n") == 2
    running("unpause").ok()
    running("kill", "-s", "TERM", "db").ok()
    podcli.until(lambda: running.states()["shop-db-1"] == "exited", 10, "db to end")
    running("kill").ok()
    assert set(running.states().values()) == {"exited"}
    assert "Going to remove" in running("rm", stdin=b"n\n").ok()
    running("rm", "-f").ok()
    assert running.ids() == {}


def test_exec_and_run_when_a_command_is_given(running: App) -> None:
    ended = running("exec", "-T", "web", "sh", "-c", "echo $GREETING; exit 4")
    assert (ended.code, ended.out) == (4, "hello\n")
    shown = running("exec", "-T", "-e", "A=b", "--index", "2", "web", "sh", "-c", "echo $A; hostname").ok()
    assert shown.splitlines() == ["b", running.ids()["shop-web-2"]]
    running("exec", "--index", "9", "web", "true").failed(1, "is not running container #9")
    assert running("run", "--rm", "-T", "-e", "X=1", "web", "sh", "-c", "echo $GREETING $X").ok() == "hello 1\n"
    assert running("run", "--rm", "web", "sh", "-c", "exit 5").code == 5
    assert running("run", "--rm", "--entrypoint", "echo entry", "web", "point").ok() == "entry point\n"
    assert running("run", "--rm", "-T", "web", "cat", stdin=b"given").ok() == "given"
    name = running("run", "-d", "--name", "mine", "web", "sleep", "100").ok().strip()
    assert name == "mine"
    assert "mine" not in running("ps", "--format", "{{.Name}}").ok()
    assert running.pod.inspect("mine")["Config"]["Labels"]["com.docker.compose.oneoff"] == "True"
    running("down", "-t", "0").ok()
    assert running.pod("ps", "-aq").ok() == ""


@pytest.mark.slow
def test_run_when_it_needs_another_service_then_that_one_is_started(app: App) -> None:
    assert app("run", "--rm", "web", "echo", "done").ok() == "done\n"
    assert app.states() == {"shop-db-1": "running"}
    app("down").ok()
    assert app("run", "--rm", "--no-deps", "web", "echo", "alone").ok() == "alone\n"
    assert app.states() == {}


def test_logs_when_of_several_containers_then_lines_are_whole_and_named(app: App) -> None:
    app.write(
        """
        services:
          a: {image: %IMAGE%, command: sh -c 'for i in 1 2 3; do echo a$$i; done'}
          longer: {image: %IMAGE%, command: sh -c 'echo b >&2; printf end'}
        """
    )
    app("up", "-d").ok()
    podcli.until(lambda: set(app.states().values()) == {"exited"}, 10, "both to end")
    found = app("logs")
    assert sorted(found.out.splitlines()) == ["a-1       | a1", "a-1       | a2", "a-1       | a3", "longer-1  | end"]
    assert found.err == "longer-1  | b\n"
    assert app("logs", "--tail", "1", "--no-log-prefix", "a").ok() == "a3\n"
    assert re.match(r"a-1  \| \d{4}-\d\d-\d\dT.*Z a1\n", app("logs", "-t", "a").ok())
    assert "\x1b[36ma-1  | \x1b[0ma1" in app.pod("compose", "-p", "shop", "--ansi", "always", "logs", "a").ok()
    assert app("logs", "-f", "a").ok().count("\n") == 3  # ends with the container


@pytest.mark.slow
def test_cp_top_port_images_volumes_stats_wait_and_events(running: App, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("copied")
    running("cp", str(tmp_path / "file"), "web:/tmp/file").ok()
    for index in ("1", "2"):
        assert running("exec", "-T", "--index", index, "web", "cat", "/tmp/file").ok() == "copied"
    running("cp", "web:/tmp/file", str(tmp_path / "back")).ok()
    assert (tmp_path / "back").read_text() == "copied"
    assert {line.split()[0] for line in running("top").ok().splitlines()} == {"SERVICE", "db", "web"}
    assert running("volumes", "-q").ok() == "shop_data\n"
    assert len(json.loads(running("images", "--format", "json").ok())) == 3
    assert running("images", "-q").ok().count("\n") == 1
    assert "shop-db-1" in running("stats", "--no-stream").ok()
    running("port", "web", "80").failed(1, "no port 80/tcp for container shop-web-1")
    seen = running("events", "--since", "1h", "--until", str(int(time.time()) + 1), "--json", "db").ok()
    assert {"create", "start"} <= {json.loads(line)["action"] for line in seen.splitlines()}
    assert "container start" in running("events", "--since", "1h", "--until", str(int(time.time()) + 1)).ok()
    waiting = running.start("wait", "db")
    time.sleep(0.5)
    running("kill", "db").ok()
    assert waiting.communicate(timeout=20)[0] == b'container "shop-db-1" exited with status code 137\n'
    assert running("version", "--short").ok().startswith("2.")


@pytest.mark.slow
def test_commit_and_export_when_of_a_service(running: App, tmp_path: Path) -> None:
    running("exec", "-T", "db", "touch", "/made").ok()
    running("commit", "db", "made:here").ok()
    assert running.pod("run", "--rm", "made:here", "ls", "/made").ok() == "/made\n"
    running("export", "-o", str(tmp_path / "tree.tar"), "db").ok()
    assert (tmp_path / "tree.tar").stat().st_size > 10000
    running("down").ok()
    running.pod("rmi", "made:here").ok()


@pytest.mark.slow
def test_build_when_a_service_has_a_dockerfile_then_up_uses_it(app: App) -> None:
    app.write(
        """
        services:
          a:
            build:
              context: .
              dockerfile_inline: |
                FROM %IMAGE%
                ARG WORD
                RUN echo $$WORD >/word
              args: {WORD: "${WORD:-first}"}
            command: cat /word
        """
    )
    app("up", "-d").ok()
    podcli.until(lambda: app.states() == {"shop-a-1": "exited"}, 10, "it to end")
    assert app("logs", "--no-log-prefix").ok() == "first\n"
    first = app.ids()
    app("build", "-q", env={"WORD": "second"}).ok()
    assert "Recreated" in app("up", "-d", env={"WORD": "second"}).err
    assert app.ids() != first
    podcli.until(lambda: app("logs", "--no-log-prefix").ok() == "second\n", 10, "its output")
    app("down", "--rmi", "local").ok()
    assert app.pod("images", "-q", "shop-a").ok() == ""


@pytest.mark.slow
def test_watch_when_files_change_then_they_are_in_the_container(app: App) -> None:
    source = app.folder / "src"
    source.mkdir()
    (source / "one").write_text("1")
    (source / "gone").write_text("x")
    app.write(
        """
        services:
          a:
            image: %IMAGE%
            command: %WAITS%
            develop: {watch: [{path: ./src, action: sync, target: /app, ignore: ["*.log"]}]}
          b:
            image: %IMAGE%
            command: %WAITS%
            develop: {watch: [{path: ./src, action: restart}]}
        """
    )
    watching = app.start("watch")
    try:
        podcli.until(lambda: len(app.rows()) == 2 and set(app.states().values()) == {"running"}, 30, "both to run")
        time.sleep(0.5)
        (source / "one").write_text("2")
        podcli.until(lambda: app("exec", "-T", "a", "cat", "/app/one").out == "2", 20, "the first sync")
        started = app.pod.state("shop-b-1")["StartedAt"]
        (source / "deep").mkdir()
        (source / "deep" / "two").write_text("2")
        (source / "noise.log").write_text("no")
        (source / "gone").unlink()
        podcli.until(lambda: app("exec", "-T", "a", "cat", "/app/deep/two").out == "2", 20, "the second")
        podcli.until(lambda: app("exec", "-T", "a", "ls", "/app").out == "deep\none\n", 20, "the removal")
        podcli.until(lambda: bool(app.pod.state("shop-b-1")["StartedAt"] != started), 20, "the restart")
    finally:
        watching.kill()
        watching.wait(10)


def test_group_when_flags_are_odd_then_each_is_told(app: App) -> None:
    app.pod("compose", "--ansi", "odd", "ps").failed(125, "invalid value for --ansi")
    app.pod("compose", "--progress", "odd", "ps").failed(125, "unsupported --progress value")
    app.pod("compose", "--compatibility", "ps").failed(125, "--compatibility")
    app.pod("compose", "-p", "UPPER", "ps").failed(125, 'invalid project name "UPPER"')
    app.pod("compose", "frobnicate").failed(1, "'compose frobnicate' is not a pod command")
    helped = app.pod("compose", "--help").ok()
    assert "--project-name string" in helped
    assert "  up " in helped
