"""attach, and two starts of one container."""

from __future__ import annotations

import subprocess
import time

from tests.support.podcli import Pod, until


def test_attach_takes_input_and_gives_output(pod: Pod, busybox: str) -> None:
    script = "while read line; do echo got $line; [ $line != end ] || exit 7; done"
    pod("run", "-d", "-i", "--name", "asker", busybox, "sh", "-c", script).ok()
    done = pod("attach", "asker", stdin=b"one\nend\n")
    assert (done.code, done.out) == (7, "got one\ngot end\n")
    assert pod.state("asker")["ExitCode"] == 7
    assert pod("logs", "asker").ok() == "got one\ngot end\n"


def test_attach_to_a_stopped_container_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "done", busybox, "true").ok()
    pod("attach", "done").failed(1, "start it first")
    pod("attach", "nosuch").failed(1, "No such container")


def test_attach_two_clients_see_the_same(pod: Pod, busybox: str) -> None:
    script = "while [ ! -e /go ]; do sleep 0.05; done; seq 2000; exit 3"
    pod("run", "-d", "--name", "teller", busybox, "sh", "-c", script).ok()
    clients = [pod.start("attach", "teller") for _ in range(2)]
    time.sleep(0.5)
    pod("exec", "teller", "touch", "/go").ok()
    outputs = [client.communicate(timeout=30)[0] for client in clients]
    expected = "".join(f"{number}\n" for number in range(1, 2001)).encode()
    assert outputs == [expected, expected]
    assert [client.returncode for client in clients] == [3, 3]


def test_attach_client_killed_the_container_goes_on(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "going", busybox, "sleep", "1000").ok()
    client = pod.start("attach", "going")
    time.sleep(0.3)
    client.kill()
    client.wait(10)
    assert pod("exec", "going", "echo", "still").ok() == "still\n"


def test_start_twice_at_once_one_wins(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "wanted", busybox, "sleep", "1000").ok()
    starters = [pod.start("start", "wanted") for _ in range(4)]
    for starter in starters:
        starter.communicate(timeout=60)
    until(lambda: pod.state("wanted")["Running"], 10, "it to run")
    pid = pod.state("wanted")["Pid"]
    pod("rm", "-f", "wanted").ok()
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False).returncode != 0
    assert pod.leftovers() == []


def test_start_again_after_the_end(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "again", busybox, "sh", "-c", "echo x >> /times; wc -l < /times").ok()
    done = pod("start", "-a", "again")
    assert (done.code, done.out) == (0, "2\n")


def test_rm_of_a_container_whose_record_is_broken(pod: Pod, busybox: str) -> None:
    container = pod("create", "--name", "broken", busybox, "true").ok().strip()
    (pod.root / "containers" / container / "config.json").write_text("{")
    pod("rm", "broken").failed(1, "read record")
    pod("rm", "-f", "broken").ok()
    pod("create", "--name", "broken", busybox, "true").ok()
