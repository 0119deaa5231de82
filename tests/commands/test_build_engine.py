"""What builds make: steps, stages, the cache, what killed builds leave. The command itself: test_build_command.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from tests.commands.test_run_plain_tree import on_overlay
from tests.support import podcli
from tests.support.podcli import Pod, Result


class Folder:
    """A context, and builds of it."""

    def __init__(self, pod: Pod, path: Path, base: str) -> None:
        self.pod = pod
        self.path = path
        self.base = base
        path.mkdir()

    def write(self, name: str, text: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).replace("BASE", self.base))

    def build(self, *flags: str, **environ: str) -> Result:
        words = ["build", "--progress", "plain", "--network", "none", "-t", "made:1", *flags, str(self.path)]
        return self.pod(*words, env=environ, timeout=120) if environ else self.pod(*words, timeout=120)

    def run(self, script: str) -> str:
        return self.pod("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", "made:1", "-c", script).ok()


@pytest.fixture
def folder(pod: Pod, busybox: str, tmp_path: Path) -> Folder:
    pod("pull", "-q", busybox).ok()
    return Folder(pod, tmp_path / "context", busybox)


def cached(result: Result) -> int:
    result.ok()
    return result.err.count(" CACHED\n")


def test_build_of_several_stages_has_what_each_made(folder: Folder) -> None:
    folder.write("a.txt", "one\n")
    folder.write("sub/b.txt", "two\n")
    folder.write(".dockerignore", "skip*\n")
    folder.write("skipped", "no\n")
    folder.write(
        "Dockerfile",
        """
        FROM BASE AS first
        ARG WHO=me
        ENV A=1 B="two words"
        WORKDIR /app
        COPY . .
        RUN echo "$WHO $A $B" >out && ls
        FROM BASE AS other
        RUN echo other >/o
        FROM BASE
        COPY --from=first --chown=33:44 /app/out /app/sub /final/
        COPY --from=other /o /o
        COPY <<EOF /heredoc
        line
        EOF
        LABEL x=y
        CMD ["/bin/sh"]
        """,
    )
    folder.build("--build-arg", "WHO=you", "--label", "z=1").ok()
    assert folder.run("cat /final/out /final/b.txt /o /heredoc; stat -c %u:%g:%a /final/out; ls /").startswith(
        "you 1 two words\ntwo\nother\nline\n33:44:644\n"
    )
    (document,) = json.loads(folder.pod("image", "inspect", "made:1").ok())
    assert document["Config"]["Labels"] == {"x": "y", "z": "1"}
    assert document["Config"]["Cmd"] == ["/bin/sh"]
    history = folder.pod("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:1").ok().splitlines()
    assert history[:3] == ['CMD ["/bin/sh"]', "LABEL x=y", "COPY <<EOF /heredoc # buildkit"]


def test_build_again_does_nothing_and_gives_the_same_image(folder: Folder) -> None:
    folder.write("a.txt", "one\n")
    folder.write("Dockerfile", "FROM BASE\nRUN date +%N >/time\nCOPY a.txt /a\nRUN echo >/b\nLABEL x=1\n")
    assert cached(folder.build()) == 0
    first = folder.pod("images", "-q", "--no-trunc", "made:1").ok()
    again = folder.build()
    assert cached(again) == 3
    assert folder.pod("images", "-q", "--no-trunc", "made:1").ok() == first
    os.utime(folder.path / "a.txt", (1, 1))
    assert cached(folder.build()) == 3  # times are no content
    folder.write("a.txt", "another\n")
    assert cached(folder.build()) == 1
    assert cached(folder.build("--no-cache")) == 0


def test_build_that_fails_says_where_and_goes_on_from_there(folder: Folder) -> None:
    folder.write("Dockerfile", "FROM BASE\nRUN echo kept >/kept\nRUN echo words; exit 7\n")
    failed = folder.build()
    assert failed.code == 1
    assert 'process "/bin/sh -c echo words; exit 7" did not complete successfully: exit code: 7' in failed.err
    assert "Dockerfile:3" in failed.err
    assert ">>> RUN echo words; exit 7" in failed.err
    folder.write("Dockerfile", "FROM BASE\nRUN echo kept >/kept\nRUN echo words\n")
    assert cached(folder.build()) == 1
    assert folder.pod("ps", "-aq").ok() == ""


def test_cache_mount_stays_and_secrets_leave_nothing(folder: Folder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden-words")
    folder.write(
        "Dockerfile",
        """
        FROM BASE
        ARG N
        RUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=tmpfs,target=/t \\
            --mount=type=bind,target=/ctx \\
            echo $N >>/c/n && cp /c/n /n && wc -c </run/secrets/s >>/n && ls /ctx >>/n && touch /t/x
        """,
    )
    for number in ("1", "2"):
        folder.build("--build-arg", f"N={number}", "--secret", f"id=s,src={secret}").ok()
    assert folder.run("cat /n; ls -d /c /t /ctx /run/secrets 2>/dev/null || true") == "1\n2\n12\nDockerfile\n"
    found = subprocess.run(
        ["grep", "-rl", "hidden-words", str(folder.pod.root)], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


def test_cache_mount_begins_with_what_from_names_and_then_is_its_own(folder: Folder) -> None:
    folder.write(
        "Dockerfile",
        """
        FROM BASE AS seed
        RUN mkdir -p /seed/sub /seed/own && echo begun >/seed/sub/a && chown -R 33:44 /seed/own
        FROM BASE
        ARG N
        RUN --mount=type=cache,target=/seeded,from=seed,source=/seed \
            echo $N >>/seeded/sub/a && cat /seeded/sub/a >/a && stat -c %u:%g:%a /seeded /seeded/own >>/a
        """,
    )
    for number in ("1", "2"):
        folder.build("--build-arg", f"N={number}").ok()
    assert folder.run("cat /a") == "begun\n1\n2\n0:0:755\n33:44:755\n"
    folder.write("Dockerfile", "FROM BASE\nRUN --mount=type=cache,target=/d,from=BASE,source=/nowhere true\n")
    failed = folder.build()
    assert failed.code == 1
    assert "/nowhere" in failed.err


def test_mounts_have_the_owners_that_are_told(folder: Folder) -> None:
    folder.write(
        "Dockerfile",
        """
        FROM BASE
        RUN --mount=type=cache,target=/owned,uid=33,gid=44,mode=0750 --mount=type=secret,id=s,uid=55,gid=66,mode=0440 \
            stat -c %u:%g:%a /owned /run/secrets/s >/n
        """,
    )
    folder.build("--secret", "id=s,env=HOME").ok()
    assert folder.run("cat /n") == "33:44:750\n55:66:440\n"


def test_four_stages_that_wait_for_each_other_run_at_once(folder: Folder) -> None:
    meet = "touch /c/$N; for _ in $(seq 300); do [ $(ls /c | wc -l) = 4 ] && exit 0; sleep 0.1; done; exit 3"
    stages = "".join(
        f"FROM BASE AS s{number}\nENV N={number}\nRUN --mount=type=cache,target=/c,id=meet {meet}\nRUN echo $N >/n\n"
        for number in range(4)
    )
    folder.write("Dockerfile", f"{stages}FROM BASE\n" + "".join(f"COPY --from=s{n} /n /n{n}\n" for n in range(4)))
    folder.build().ok()
    assert folder.run("cat /n?") == "0\n1\n2\n3\n"


def test_proxies_and_authorities_of_the_host_reach_run_and_leave_nothing(folder: Folder, tmp_path: Path) -> None:
    bundle = tmp_path / "authorities"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nhost-authority\n")
    folder.write(
        "Dockerfile",
        """
        FROM BASE
        ENV PIP_CERT=/own
        RUN echo "$http_proxy $PIP_CERT $(tail -n 1 "$SSL_CERT_FILE") $(cat "$APT_CONFIG")" >/said
        """,
    )
    folder.build(http_proxy="http://proxy.test:3128", SSL_CERT_FILE=str(bundle)).ok()
    look = "cat /said; env; find / -xdev -name '*certificates'; grep -rl host-authority /etc /run /var; true"
    said = folder.run(look)
    assert said.startswith(
        'http://proxy.test:3128 /own host-authority Acquire::https::CAInfo "/run/pod-host-certificates/ca.pem";\n'
    )
    assert "certificates" not in said.partition("\n")[2]
    assert "proxy.test" not in said.partition("\n")[2]
    assert "proxy.test" not in folder.pod("history", "--no-trunc", "made:1").ok()
    assert cached(folder.build()) == 1  # neither is in a key


def test_base_and_cache_survive_prunes_while_they_are_needed(folder: Folder) -> None:
    folder.write("Dockerfile", "FROM BASE\nRUN echo kept >/kept\n")
    folder.build().ok()
    folder.pod("rmi", "-f", "made:1").ok()
    folder.pod("image", "prune", "-f").ok()
    assert cached(folder.build()) == 1
    assert folder.run("cat /kept") == "kept\n"


def test_builds_of_one_epoch_are_alike_to_the_byte(folder: Folder) -> None:
    folder.write("a.txt", "one\n")
    folder.write("Dockerfile", "FROM BASE\nWORKDIR /w\nCOPY a.txt .\nRUN echo x >y && mkdir z\n")
    found = set()
    given = {"SOURCE_DATE_EPOCH": "1700000000"}
    for flags, environ in (((), given), (("--build-arg", "SOURCE_DATE_EPOCH=1700000000"), {})):
        folder.build("--no-cache", *flags, **environ).ok()
        found.add(folder.pod("images", "-q", "--no-trunc", "made:1").ok())
        os.utime(folder.path / "a.txt")
    assert len(found) == 1
    assert folder.run("stat -c %Y /w/y /w/z /w/a.txt").split() == ["1700000000"] * 3
    bad = folder.build(SOURCE_DATE_EPOCH="yesterday")
    assert (bad.code, bad.err.splitlines()[0]) == (125, "pod: invalid SOURCE_DATE_EPOCH: 'yesterday'")


@pytest.mark.parametrize("following", ["build", "ps"])
def test_build_that_is_killed_leaves_what_the_next_command_heals(folder: Folder, following: str) -> None:
    folder.write("Dockerfile", "FROM BASE\nRUN --mount=type=secret,id=s cat /run/secrets/s; sleep 1000\n")
    argv = folder.pod.argv("build", "--network", "none", "--secret", "id=s,env=HOME", str(folder.path))
    process = subprocess.Popen(
        argv, env=folder.pod.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    work = folder.pod.root / "builder" / "work"
    podcli.until(lambda: bool(list(work.glob("*/state.json"))), 20, "the step to run")
    (state,) = [json.loads(path.read_text()) for path in work.glob("*/state.json")]
    process.send_signal(signal.SIGKILL)
    process.wait()
    if following == "build":
        folder.write("Dockerfile", "FROM BASE\nRUN echo y >/y\n")
        folder.build().ok()
    else:
        assert folder.pod("ps", "-aq").ok() == ""
    assert list(work.iterdir()) == []
    places = [Path("/dev/shm"), *Path("/tmp").glob(f"pod-{os.getuid()}-*")]
    assert [path for place in places for path in place.glob(f"pod-secret-{os.getuid()}-*.{process.pid}")] == []
    podcli.until(lambda: not Path(f"/proc/{state['pid']}").exists(), 10, "the step to end")


ONE = "FROM BASE\nRUN echo first >/first\nRUN trap '' HUP INT TERM; sleep 1000\n"
TWO = (
    "FROM BASE AS one\nRUN echo first >/first\nRUN trap '' HUP INT TERM; sleep 1000\n"
    "FROM BASE AS two\nRUN trap '' HUP INT TERM; sleep 1001\n"
    "FROM scratch\nCOPY --from=one /first /\nCOPY --from=two /etc/passwd /\n"
)


class Sleeping:
    """A build whose last RUN, or two of which, sleep and take no signals."""

    def __init__(self, folder: Folder, text: str) -> None:
        self.folder = folder
        self.work = folder.pod.root / "builder" / "work"
        folder.write("Dockerfile", text)
        self.argv = ["build", "--progress", "plain", "--network", "none", str(folder.path)]
        self.count = 2 if text == TWO else 1
        self.pids: set[int] = set()

    def runs(self) -> bool:
        states = []
        for path in self.work.glob("*/state.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                states.append(json.loads(path.read_text()))
        pids = {state["pid"] for state in states if state["status"] == "running"}
        self.pids = {pid for pid in pids if b"sleep" in self.words(pid)}
        return len(self.pids) == self.count

    @staticmethod
    def words(pid: int) -> bytes:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""

    def ended(self) -> bool:
        return not any(self.words(pid) for pid in self.pids)

    def goes_on(self) -> None:
        """The next build has what was done before."""
        self.folder.write("Dockerfile", "FROM BASE\nRUN echo first >/first\n")
        assert cached(self.folder.build()) == 1
        assert list(self.work.iterdir()) == []


@pytest.mark.parametrize("text", [ONE, TWO], ids=["one stage", "two stages"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_build_when_a_signal_comes_then_its_steps_end_and_the_next_goes_on(
    folder: Folder, text: str, number: signal.Signals
) -> None:
    build = Sleeping(folder, text)
    process = folder.pod.start(*build.argv)
    podcli.until(build.runs, 30, "the steps to run")
    since = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert time.monotonic() - since < 3  # a second, on a machine that does nothing else
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert build.ended()
    assert list(build.work.iterdir()) == []
    build.goes_on()


@pytest.mark.parametrize("text", [ONE, TWO], ids=["one stage", "two stages"])
def test_build_when_its_terminal_closes_then_its_steps_end_and_the_next_goes_on(folder: Folder, text: str) -> None:
    build = Sleeping(folder, text)
    terminal = folder.pod.terminal(*build.argv)
    podcli.until(build.runs, 30, "the steps to run")
    terminal.hang_up()
    podcli.until(lambda: build.ended() and not list(build.work.iterdir()), 10, "the steps and their folders to go")
    build.goes_on()


def test_build_when_hangups_are_ignored_then_it_goes_on(folder: Folder) -> None:
    build = Sleeping(folder, "FROM BASE\nRUN while ! test -e /go; do sleep 0.1; done\n")
    process = subprocess.Popen(
        ["nohup", *folder.pod.argv(*build.argv)], env=folder.pod.environ(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    podcli.until(lambda: bool(list(build.work.glob("*/state.json"))), 30, "the step to run")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("text", [ONE, TWO], ids=["one stage", "two stages"])
def test_build_when_it_is_killed_then_its_steps_end_by_themselves(folder: Folder, text: str) -> None:
    build = Sleeping(folder, text)
    process = folder.pod.start(*build.argv)
    podcli.until(build.runs, 30, "the steps to run")
    process.kill()
    process.wait()
    podcli.until(build.ended, 10, "the steps to end")
    build.goes_on()


def test_build_when_the_watcher_of_its_step_is_killed_then_it_says_so(folder: Folder) -> None:
    build = Sleeping(folder, ONE)
    process = folder.pod.start(*build.argv)
    podcli.until(build.runs, 30, "the step to run")
    (state,) = [json.loads(path.read_text()) for path in build.work.glob("*/state.json")]
    os.kill(state["supervisor"], signal.SIGKILL)
    said = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 1
    assert "the process that watched the step ended unexpectedly" in said
    assert "hint: both were killed: build again" in said
    assert "ps -a" not in said
    podcli.until(build.ended, 10, "the step to end")
    build.goes_on()


def test_build_when_it_is_killed_while_git_waits_then_git_ends(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        process = folder.pod.start("build", f"git://127.0.0.1:{server.getsockname()[1]}/x.git")
        connection, _ = server.accept()
        with connection:
            connection.settimeout(20)
            asked = b""
            while b"git-upload-pack" not in asked:
                part = connection.recv(4096)
                assert part, asked
                asked += part
            process.kill()
            process.wait()
            while connection.recv(4096):  # until git has ended, and its side with it; TimeoutError else
                pass


def test_build_where_there_is_no_overlay(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.txt", "one\n")
    steps = "RUN rm /etc/passwd; echo x >/x\nWORKDIR /w\nCOPY a.txt .\nRUN cat /x >>a.txt\n"
    folder.write("Dockerfile", "FROM BASE\n" + steps)
    place = tmp_path / "plain"
    place.mkdir()
    done = on_overlay(
        folder.pod,
        place,
        ["build", "-q", "--network", "none", "-t", "made:1", str(folder.path)],
        ["run", "--rm", "--network", "none", "made:1", "sh", "-c", "cat /w/a.txt; test -e /etc/passwd || echo gone"],
    )
    assert done.ok().splitlines()[1:] == ["one", "x", "gone"]
