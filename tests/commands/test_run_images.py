"""Real images, each written by another tool, pulled and run."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod

DEBIANS = [
    pytest.param("debian:11", "bullseye", marks=pytest.mark.image("debian:11"), id="bullseye-by-podman"),
    pytest.param("debian:12", "bookworm", marks=pytest.mark.image("debian:12"), id="bookworm-by-skopeo"),
    pytest.param("debian:13", "trixie", marks=pytest.mark.image("debian:13"), id="trixie-by-buildah"),
]


@pytest.mark.parametrize(("image", "codename"), DEBIANS)
def test_run_debian_is_whole(pod: Pod, image: str, codename: str) -> None:
    """The release file tells which one it is; dpkg finds every file of its packages as it was packed."""
    name = pod.image(image)
    assert f"VERSION_CODENAME={codename}" in pod("run", "--rm", name, "cat", "/etc/os-release").ok()
    assert pod("run", "--rm", name, "dpkg", "--verify", "bash", "coreutils", "libc6").ok() == ""
    script = "perl -e 'print 6*7' && test -u /bin/su && test -k /tmp && test -L /bin/sh"
    assert pod("run", "--rm", name, "bash", "-c", script).ok() == "42"


@pytest.mark.parametrize(("image", "codename"), DEBIANS)
def test_run_debian_on_a_terminal(pod: Pod, image: str, codename: str) -> None:
    terminal = pod.terminal("run", "--rm", "-it", pod.image(image))
    terminal.expect(rb"# ")
    terminal.send(b". /etc/os-release; echo is:$VERSION_CODENAME\r")
    terminal.expect(b"[\r\n]is:" + codename.encode())
    terminal.send(b"exit 5\r")
    assert terminal.wait() == 5


@pytest.mark.parametrize(("image", "codename"), DEBIANS)
def test_run_debian_detached_logs_exec_stop_rm(pod: Pod, image: str, codename: str) -> None:
    name = f"d-{codename}"
    script = "trap 'exit 0' TERM; echo started; while :; do sleep 0.1; done"
    pod("run", "-d", "--name", name, pod.image(image), "bash", "-c", script).ok()
    assert codename in pod("exec", name, "cat", "/etc/os-release").ok()
    assert pod("logs", name).ok() == "started\n"
    pod("stop", name).ok()
    assert pod.state(name)["ExitCode"] == 0
    assert pod("rm", name).ok() == f"{name}\n"


@pytest.mark.sub_ids
@pytest.mark.image("debian:12")
def test_run_debian_owners_are_the_archives(pod: Pod) -> None:
    listing = pod("run", "--rm", pod.image("debian:12"), "stat", "-c", "%U:%G", "/etc/shadow", "/var/mail").ok()
    assert listing.split() == ["root:shadow", "root:mail"]


@pytest.mark.image("odd:latest")
def test_run_odd_layers_are_applied(pod: Pod) -> None:
    script = """
        cd /data; ls -d b dir 2>/dev/null; cat c becomes-file becomes-folder/inner one two three; echo
        ls /opaque; stat -c %h one; stat -c %i a a-again | uniq | wc -l; cat "$(printf 'n%.0s' $(seq 200))"; echo
        cat read-only/kept; echo; stat -c %a setuid read-only fifo; test -p fifo && echo fifo
        readlink absolute; readlink up; cat absolute; echo; ls | grep -c gr; find /many -type f | wc -l
        stat -c '%s' /sparse; dd if=/sparse bs=1 skip=5242880 count=13 2>/dev/null; echo
    """
    lines = pod("run", "--rm", pod.image("odd:latest"), "sh", "-c", script).ok().splitlines()
    assert lines == [
        "changednow a filenow a folder" + "one file, three names" * 3,
        "new",
        "3",
        "1",
        "long name",
        "kept",
        *("4755", "555", "600", "fifo", "/data/a", "../../../../data/b"),
        "a" * 10,
        "1",
        "3000",
        "8388608",
        "second island",
    ]


@pytest.mark.sub_ids
@pytest.mark.image("odd:latest")
def test_run_odd_owners_are_the_archives(pod: Pod) -> None:
    script = "stat -c %u:%g:%a /data/owned /data/setuid /home/web"
    lines = pod("run", "--rm", pod.image("odd:latest"), "sh", "-c", script).ok().splitlines()
    assert lines == ["1000:50:640", "0:0:4755", "1000:1000:755"]


@pytest.mark.image("zstd:latest")
def test_run_zstd_layer(pod: Pod) -> None:
    assert pod("run", "--rm", pod.image("zstd:latest"), "cat", "/compressed-by").ok() == "zstd\n"


@pytest.mark.image("multi:latest")
def test_run_index_gives_this_machines_image(pod: Pod) -> None:
    assert pod("run", "--rm", pod.image("multi:latest"), "cat", "/machine").ok() in ("amd64\n", "arm64\n")
