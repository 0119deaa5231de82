"""``compose up`` and ``down``: real containers, made, kept, made anew and taken away."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import podcli
from tests.support.compose import App
from tests.support.podcli import Pod

SHAPE = """
services:
  db:
    image: %IMAGE%
    command: %WAITS%
    volumes: [data:/data, /scratch]
    networks: [back]
    stop_grace_period: 5s
    healthcheck: {test: [CMD, test, -e, /data/ready], interval: 100ms, retries: 200}
    post_start:
      - {command: [touch, /data/ready]}
  web:
    image: %IMAGE%
    command: %WAITS%
    depends_on: {db: {condition: service_healthy}}
    networks: {back: {aliases: [front-door]}, front: {}}
  worker: {image: %IMAGE%, command: %WAITS%, networks: [front], scale: 2}
networks: {back: {internal: true}, front: {}}
volumes: {data: {}}
"""


@pytest.fixture
def app(pod: Pod, busybox: str, tmp_path: Path) -> Iterator[App]:
    made = App(pod, busybox, tmp_path, "shop")
    yield made
    made.close()
    assert made.leftovers() == []


def test_up_when_run_again_then_nothing_changes(app: App) -> None:
    app.write(SHAPE)("up", "-d").ok()
    ids = app.ids()
    assert sorted(ids) == ["shop-db-1", "shop-web-1", "shop-worker-1", "shop-worker-2"]
    assert set(app.states().values()) == {"running"}
    again = app("up", "-d")
    assert again.ok() == ""
    assert app.ids() == ids
    assert "Container shop-web-1  Running" in again.err
    assert "Starting" not in again.err
    labels = app.inspect("web")["Config"]["Labels"]
    assert labels["com.docker.compose.depends_on"] == "db:service_healthy:false"
    assert labels["com.docker.compose.project.config_files"] == str(app.folder / "compose.yaml")
    names = ["db", "web", "front-door", "shop-db-1"]
    found = app("exec", "-T", "web", "sh", "-c", "; ".join(f"nslookup {name} 127.0.0.11" for name in names)).out
    assert found.count("Address") >= len(names)


def test_up_when_one_service_changes_then_it_alone_is_made_anew_with_its_volumes(app: App) -> None:
    app.write(SHAPE)("up", "-d").ok()
    app("exec", "-T", "db", "sh", "-c", "echo kept >/scratch/file; echo kept >/data/file").ok()
    before, volumes = app.ids(), app.pod("volume", "ls", "-q").ok()
    app.write(SHAPE.replace("stop_grace_period: 5s", "stop_grace_period: 6s"))
    app("up", "-d").ok()
    after = app.ids()
    assert {name for name in after if after[name] != before[name]} == {"shop-db-1"}
    assert app("exec", "-T", "db", "cat", "/scratch/file", "/data/file").ok() == "kept\nkept\n"
    assert app.pod("volume", "ls", "-q").ok() == volumes
    app("up", "-d", "-V", "--force-recreate", "db").ok()
    assert app("exec", "-T", "db", "ls", "/scratch").ok() == ""


@pytest.mark.slow
def test_up_when_scaled_and_services_vanish_then_containers_go(app: App) -> None:
    app.write(SHAPE)("up", "-d", "--scale", "worker=3", "worker").ok()
    assert sorted(app.ids()) == ["shop-worker-1", "shop-worker-2", "shop-worker-3"]
    app("scale", "worker=1").ok()
    assert sorted(app.ids()) == ["shop-worker-1"]
    app.write("services:\n  other: {image: %IMAGE%, command: %WAITS%}\n")
    assert "Found orphan containers ([shop-worker-1])" in app("up", "-d").err
    app("up", "-d", "--remove-orphans").ok()
    assert sorted(app.ids()) == ["shop-other-1"]


def test_down_when_a_kill_left_an_anonymous_volume_then_it_goes_too(app: App, pod: Pod) -> None:
    def volumes() -> set[str]:
        return set(pod("volume", "ls", "-q").ok().split()) - before  # other tests have theirs in this store

    before: set[str] = set()
    before = volumes()
    service = "{image: %IMAGE%, command: %WAITS%, volumes: [/scratch], network_mode: none, stop_signal: SIGKILL}"
    app.write(f"services:\n  a: {service}\n")("up", "-d").ok()
    pod("rm", "-f", "shop-a-1").ok()  # without -v: as if 'down' had been killed between both
    (left,) = volumes()
    pod("volume", "create", "other").ok()
    app("down").ok()
    assert volumes() == {left, "other"}
    app("down", "-v").ok()
    assert volumes() == {"other"}
    pod("volume", "rm", "other").ok()


@pytest.mark.slow
def test_down_when_volumes_are_wanted_too_then_nothing_is_left(app: App) -> None:
    app.write(SHAPE)("up", "-d", "db").ok()
    app("down").ok()
    assert app.ids() == {}
    assert app.pod("volume", "ls", "-q", "--filter", "name=shop_data").ok() == "shop_data\n"
    app("down", "-v").ok()
    assert app.leftovers() == []
    assert "No resource found to remove" in app("down").err


def test_up_when_a_dependency_fails_then_it_says_which_and_does_not_start_the_rest(app: App) -> None:
    app.write(
        """
        services:
          job: {image: %IMAGE%, command: sh -c 'exit 3'}
          late:
            image: %IMAGE%
            command: %WAITS%
            depends_on: {job: {condition: service_completed_successfully}}
        """
    )
    app("up", "-d").failed(1, """service "job" didn't complete successfully: exit 3""")
    assert app.states() == {"shop-job-1": "exited", "shop-late-1": "created"}


def test_up_when_it_is_a_rehearsal_then_nothing_is_made(app: App) -> None:
    said = app.write(SHAPE)("--dry-run", "up", "-d").err
    assert "DRY-RUN MODE - Container shop-web-1  Started" in said
    assert app.leftovers() == []


def test_up_when_names_are_taken_or_missing_then_the_error_says_what_to_do(app: App) -> None:
    app.write("services:\n  a: {image: %IMAGE%, networks: [n]}\nnetworks: {n: {external: true, name: nowhere}}\n")
    app("up", "-d").failed(
        1, "network nowhere declared as external, but could not be found", "pod network create nowhere"
    )
    app.write(
        "services:\n  a: {image: %IMAGE%, volumes: ['vol:/v']}\nvolumes: {vol: {external: true, name: nowhere}}\n"
    )
    app("up", "-d").failed(1, 'external volume "nowhere" not found')
    app.write("services:\n  a: {image: %IMAGE%, devices: ['/dev/nowhere:/dev/x']}\n")
    app("up", "-d").failed(1, "service a: error gathering device information", "/dev/nowhere")
    app("up", "nobody").failed(1, "no such service: nobody")
    app("up", "-d", "--attach", "a").failed(125, "--detach cannot be combined")
    app("up", "--menu").failed(125, "--menu")


def test_secrets_and_configs_when_of_each_kind_then_they_are_where_they_should_be(app: App) -> None:
    (app.folder / "token").write_text("from a file")
    app.write(
        """
        services:
          a:
            image: %IMAGE%
            command: %WAITS%
            read_only: true
            secrets: [token, word, {source: word, target: mine, uid: "1000", gid: "1001", mode: 0400}]
            configs: [{source: text, target: /etc/app.conf, mode: 0640}]
        secrets: {token: {file: ./token}, word: {environment: WORD}}
        configs: {text: {content: "port = ${PORT:-80}"}}
        """
    )
    app("up", "-d", env={"WORD": "hidden"}).ok()
    shown = app(
        "exec", "-T", "a", "sh", "-c",
        "cd /run/secrets; cat token word mine /etc/app.conf; stat -c '%u:%g %a' mine /etc/app.conf; echo x >>word",
    )  # fmt: skip
    assert shown.out == "from a filehiddenhiddenport = 801000:1001 400\n0:0 640\n"
    assert "Read-only file system" in shown.err
    first = app.ids()
    app("up", "-d", env={"WORD": "hidden"}).ok()
    assert app.ids() == first
    app("up", "-d", env={"WORD": "other"}).ok()
    assert app.ids() != first
    assert app("exec", "-T", "a", "cat", "/run/secrets/word").ok() == "other"
    app("down").ok()
    assert not (app.pod.root / "compose" / "shop").exists()


@pytest.mark.slow
def test_projects_when_two_have_the_same_services_then_they_do_not_disturb_each_other(
    app: App, pod: Pod, busybox: str, tmp_path: Path
) -> None:
    other = App(pod, busybox, tmp_path, "another")
    app.write("services:\n  a: {image: %IMAGE%, command: %WAITS%, volumes: ['vol:/v']}\nvolumes: {vol: {}}\n")
    app("up", "-d").ok()
    try:
        other("up", "-d").ok()
        ids = other.ids()
        app("down", "-v").ok()
        assert other.ids() == ids
        assert other.states() == {"another-a-1": "running"}
        listed = json.loads(pod("compose", "ls", "--format", "json").ok())
        assert [(row["Name"], row["Status"]) for row in listed] == [("another", "running(1)")]
    finally:
        other.close()


@pytest.mark.slow
def test_up_when_two_run_at_once_then_one_waits_for_the_other(app: App) -> None:
    app.write(SHAPE)
    both = [app.start("up", "-d") for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert sorted(app.ids()) == ["shop-db-1", "shop-web-1", "shop-worker-1", "shop-worker-2"]


@pytest.mark.slow
def test_up_when_killed_at_any_moment_then_the_next_one_finishes(app: App) -> None:
    """A few moments of one start; the long tests have many (tests/faults/test_compose_killed.py)."""
    app.write(SHAPE)
    for delay in (0.15, 0.3):
        process = app.start("up", "-d")
        time.sleep(delay)
        process.kill()
        process.wait(10)
        app("up", "-d").ok()
        assert sorted(app.states().items()) == [
            (name, "running") for name in ("shop-db-1", "shop-web-1", "shop-worker-1", "shop-worker-2")
        ]
        app("down", "-v", "-t", "1").ok()
        assert app.leftovers() == []


SICK = """
services:
  db: {image: %IMAGE%, command: %WAITS%, healthcheck: {test: "false", interval: 1s, retries: 1000}, network_mode: none}
  web: {image: %IMAGE%, command: %WAITS%, depends_on: {db: {condition: service_healthy}}, network_mode: none}
"""


def test_down_when_an_up_waits_for_health_then_it_does_not_wait_for_it(app: App) -> None:
    waiting = app.write(SICK).start("up", "-d")
    podcli.until(lambda: app.states() == {"shop-db-1": "running", "shop-web-1": "created"}, 30, "db to run")
    app("down", "-t", "0").ok()
    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert b"pod: dependency failed to start: " in err
    assert app.leftovers() == []


@pytest.mark.slow
def test_stop_when_another_command_is_at_work_then_it_waits_and_says_so(app: App) -> None:
    app.write("services:\n  a: {image: %IMAGE%, command: sleep 1000, network_mode: none, stop_grace_period: 6s}\n")
    app("up", "-d").ok()
    ending = app.start("down")
    podcli.until(lambda: b"Stopping" in os.read(ending.stderr.fileno(), 1000), 20, "down to begin")  # type: ignore[union-attr]
    said = app("up", "-d")
    said.ok()
    assert 'WARNING: another command is at work on project "shop": waiting until it is done' in said.err
    assert ending.wait(20) == 0
    assert app.states() == {"shop-a-1": "running"}


def test_up_in_the_foreground_when_interrupted_then_it_stops_what_runs(app: App) -> None:
    app.write(
        """
        services:
          a: {image: %IMAGE%, command: sh -c "echo one; printf 'half '; sleep 0.1; echo line; trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done"}
          b: {image: %IMAGE%, command: %WAITS%, depends_on: [a]}
        """  # noqa: E501
    )
    terminal = app.start("up")
    podcli.until(lambda: list(app.states().values()) == ["running", "running"], 30, "both to run")
    time.sleep(0.5)
    os.kill(terminal.pid, signal.SIGINT)
    out, err = terminal.communicate(timeout=30)
    assert terminal.returncode == 130, err
    lines = out.decode().splitlines()
    assert "a-1  | one" in lines
    assert "a-1  | half line" in lines
    assert "a-1  | bye" in lines
    assert "a-1 exited with code 0" in lines
    assert b"Gracefully stopping" in err
    assert err.index(b"shop-b-1  Stopped") < err.index(b"shop-a-1  Stopping")
    assert set(app.states().values()) == {"exited"}


@pytest.mark.slow
def test_up_in_the_foreground_when_one_ends_then_its_code_is_the_commands(app: App) -> None:
    app.write(
        """
        services:
          a: {image: %IMAGE%, command: sh -c 'sleep 0.2; exit 7'}
          b: {image: %IMAGE%, command: %WAITS%}
        """
    )
    ended = app("up", "--abort-on-container-exit")
    assert ended.code == 7
    assert "Aborting on container exit..." in ended.err
    assert "a-1 exited with code 7" in ended.out
    assert app("up", "--exit-code-from", "a", "--no-log-prefix").code == 7


def test_up_when_keys_mean_nothing_on_one_machine_then_each_is_told_once(app: App) -> None:
    app.write(
        """
        services:
          a: &service
            image: %IMAGE%
            command: %WAITS%
            deploy:
              placement: {constraints: [node.role == manager]}
              endpoint_mode: vip
              labels: {a: b}
              rollback_config: {parallelism: 1}
              update_config: {order: start-first, monitor: 1s, failure_action: rollback}
              resources: {reservations: {cpus: "0.1"}}
          b: *service
        """
    )
    said = app("--dry-run", "up", "-d").err
    for key in (
        "placement", "endpoint_mode", "labels", "rollback_config", "update_config.order", "update_config.monitor",
        "update_config.failure_action", "resources.reservations",
    ):  # fmt: skip
        assert said.count(f"WARNING: deploy.{key} (a, b): ") == 1, key


def test_up_when_a_new_release_is_unhealthy_then_the_update_stops_at_it(app: App) -> None:
    app.write(
        """
        services:
          a:
            image: %IMAGE%
            command: %WAITS%
            environment: ["RELEASE=${RELEASE:-1}"]
            healthcheck: {test: 'sleep 0.3; test $$RELEASE != 2', interval: 100ms, retries: 2}
            deploy: {replicas: 3, update_config: {parallelism: 1}}
        """
    )
    app("up", "-d", "--wait").ok()
    before = app.ids()
    said = app("up", "-d", env={"RELEASE": "2"}).failed(1, f"{app.name}-a-1 is unhealthy")
    assert "update stopped, the containers after it are as they were" in said
    after = app.ids()
    assert {name for name in before if after[name] != before[name]} == {f"{app.name}-a-1"}
    app("up", "-d", env={"RELEASE": "3"}).ok()
    assert not set(app.ids().values()) & {*before.values(), *after.values()}
    assert [app.rows()[f"{app.name}-a-{number}"]["Health"] for number in (1, 2)] == ["healthy"] * 2
