"""--ssh and RUN --mount=type=ssh: the caller's agent answers a step, and nothing of it stays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.podcli import Pod, Result

TALKER = """
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char said[64];
    const char *path = getenv("SSH_AUTH_SOCK");
    int agent = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!path)
        return 3;
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    if (connect(agent, (struct sockaddr *)&to, sizeof to) || write(agent, "?", 1) != 1)
        return 4;
    ssize_t count = read(agent, said, sizeof said);
    return count < 1 || write(1, said, count) != count;
}
"""
STEP = "RUN --mount=type=bind,target=/ctx --mount=type=ssh"
SHOW = '/ctx/talk >/said; echo "$SSH_AUTH_SOCK" >>/said'


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of one that has a word for everybody."""
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        yield path
        server.shutdown(socket.SHUT_RDWR)


def _answer(server: socket.socket) -> None:
    while True:
        try:
            with server.accept()[0] as caller:
                caller.recv(1)
                caller.sendall(b"agent\n")
        except OSError:
            return


@pytest.fixture
def context(tmp_path: Path, busybox: str, pod: Pod) -> Path:
    pod("pull", "-q", busybox).ok()
    folder = tmp_path / "context"
    folder.mkdir()
    (tmp_path / "talk.c").write_text(TALKER)
    compilers.build(compilers.host(), tmp_path / "talk.c", folder / "talk", "-static")
    return folder


def build(pod: Pod, folder: Path, base: str, step: str, *flags: str, **environ: str) -> Result:
    (folder / "Dockerfile").write_text(f"FROM {base}\n{step}\n")
    words = ("build", "--no-cache", "--network", "none", "-t", "made:1", *flags, str(folder))
    return pod(*words, env=environ, timeout=120)


def test_ssh_mount_when_there_is_an_agent_then_it_answers_and_leaves_nothing(
    pod: Pod, context: Path, busybox: str, agent: Path
) -> None:
    read = ("run", "--rm", "--network", "none", "made:1", "sh", "-c")
    build(pod, context, busybox, f"{STEP} {SHOW}", "--ssh", f"default={agent}").ok()
    assert pod(*read, "cat /said").ok() == "agent\n/run/buildkit/ssh_agent.0\n"
    assert pod(*read, "env; ls -d /run/buildkit /ctx 2>&1").out.count("SSH_AUTH_SOCK") == 0
    assert "agent.sock" not in pod("history", "--no-trunc", "made:1").ok() + pod("inspect", "made:1").ok()
    step = f"{STEP},id=git,target=/my/agent,mode=0666,required {SHOW}"
    build(pod, context, busybox, step, "--ssh", "git", SSH_AUTH_SOCK=str(agent)).ok()
    assert pod(*read, "cat /said; ls -d /my /ctx 2>/dev/null").out == "agent\n/my/agent\n"


def test_ssh_mount_when_no_agent_is_given_then_it_is_missed_only_where_required(
    pod: Pod, context: Path, busybox: str, agent: Path
) -> None:
    build(pod, context, busybox, f'{STEP} test -z "$SSH_AUTH_SOCK"', SSH_AUTH_SOCK=str(agent)).ok()
    failed = build(pod, context, busybox, f"{STEP},required true", SSH_AUTH_SOCK=str(agent))
    failed.failed(1, "ssh")
    key = context / "key"
    key.write_text("a key\n")
    build(pod, context, busybox, "RUN true", "--ssh", f"default={key}").failed(125, "no socket of an agent", "ssh-add")
