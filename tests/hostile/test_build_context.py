"""Contexts and archives of builds that attack: what they name stays inside, what they are costs no time or memory."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from pod.core.builder import context as contexts
from pod.core.builder import copying, remote
from pod.core.builder.copying import CopyWishes, Host
from pod.core.builder.ignore import Ignore
from pod.core.container import store, view
from pod.core.engine import Engine
from pod.core.errors import NotFound, PodError
from tests.hostile.test_cp_archives import ATTACKS, packed
from tests.support.podcli import Pod

SECRET = b"of the host, and nobody's business"


def opened(pod: Pod) -> Engine:
    return Engine(dict(pod.environ()), root=str(pod.root))


def taken(pod: Pod, folder: Path, wishes: CopyWishes, ignore: Ignore | None = None) -> bytes:
    """The archive that would go to a stage; a failure is "" as to what it has."""
    fd = copying.open_folder(str(folder))
    reader, writer = os.pipe()
    job = copying.pick(opened(pod), Host(fd, ignore), wishes)._job(copying._DIGEST, writer, "")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    view.quietly(job)
    os.close(fd)
    return data


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/f").write_bytes(SECRET)
    folder = tmp_path / "context"
    (folder / "d").mkdir(parents=True)
    (folder / "d/f").write_text("inside")
    return folder


@pytest.mark.alike
@pytest.mark.parametrize(
    "source", ["up", "abs", "dir", "dir/f", "di*/f", "chain", "d/../../secret", "u*", "proc", "/proc/self/root/*"]
)
def test_copy_when_links_lead_out_of_the_context_then_inside_it(pod: Pod, context: Path, source: str) -> None:
    (context / "up").symlink_to("../secret")
    (context / "abs").symlink_to(context.parent / "secret")
    (context / "dir").symlink_to("../secrets")
    (context / "chain").symlink_to("up")
    (context / "proc").symlink_to("/proc/self/cwd")
    data = taken(pod, context, CopyWishes([source]))
    data += taken(pod, context, CopyWishes([source], parents=True))
    assert SECRET not in data
    fd = copying.open_folder(str(context))
    with pytest.raises(NotFound):
        _ = copying.pick(opened(pod), Host(fd), CopyWishes(["up"])).digest


@pytest.mark.alike
def test_copy_when_folders_become_links_meanwhile_then_never_out(pod: Pod, context: Path) -> None:
    end = threading.Event()
    for number in range(200):
        (context / f"d/{number}").mkdir()
        (context / f"d/{number}/f").write_text("inside")

    def swap() -> None:
        while not end.is_set():
            for number in range(0, 200, 20):
                place = context / f"d/{number}"
                place.rename(context / "aside")
                place.symlink_to("../../secrets")
                place.unlink()
                (context / "aside").rename(place)

    def swap_top() -> None:
        while not end.is_set():
            (context / "d").rename(context / "other")
            (context / "d").symlink_to("../secrets")
            (context / "d").unlink()
            (context / "other").rename(context / "d")
            time.sleep(0.001)  # else it is there too seldom to be copied

    for swapper, source in ((swap, "d"), (swap_top, "d"), (swap_top, "d/f"), (swap_top, "*/f")):
        end.clear()
        thread = threading.Thread(target=swapper)
        thread.start()
        try:
            got = [taken(pod, context, CopyWishes([source])) for _ in range(15)]
            end_of_patience = time.monotonic() + 30.0
            while not any(b"inside" in data for data in got) and time.monotonic() < end_of_patience:
                got.append(taken(pod, context, CopyWishes([source])))
        finally:
            end.set()
            thread.join()
        assert not any(SECRET in data for data in got)
        assert any(b"inside" in data for data in got), source


@pytest.mark.alike
def test_context_when_its_own_files_are_links_out_then_not_read(pod: Pod, context: Path) -> None:
    (context / "Dockerfile").symlink_to("../secret")
    with pytest.raises(NotFound, match="failed to read dockerfile"):
        contexts.open_context(opened(pod), str(context))
    (context / "Dockerfile").unlink()
    (context / "Dockerfile").write_text("FROM x")
    (context / ".dockerignore").symlink_to(context.parent / "secret")
    with contexts.open_context(opened(pod), str(context)) as one:
        assert one.ignore is None
    (context / ".dockerignore").unlink()
    os.mkfifo(context / ".dockerignore")
    with pytest.raises(PodError, match="not a regular file"):
        contexts.open_context(opened(pod), str(context))


def test_copy_when_special_files_names_and_depths_attack_then_a_true_copy(
    pod: Pod, busybox: str, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(context / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(context)  # longer names are none of a socket
        listener.bind("socket")
    for name in ("a\nb", "-rf", " ", "n" * 255, "\\"):
        (context / name).write_text("x")
    Path(os.fsdecode(os.fsencode(context) + b"/\xff\xfe")).write_text("y")
    with (context / "huge").open("wb") as file:
        file.truncate(64 << 20)
    here = os.open(context, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    pod("create", "--name", "box", "--network", "none", busybox, "sleep", "1000").ok()
    told: list[str] = []
    engine = Engine(dict(pod.environ()), root=str(pod.root), progress=lambda _, fields: told.append(fields["text"]))
    fd = copying.open_folder(str(context))

    def work(plan_fd: int, _container: object) -> dict[str, object]:
        with pytest.raises(PodError, match="file name too long"):
            copying.pick(engine, Host(fd), CopyWishes(["."])).into(plan_fd, "/deep/", is_folder=True)
        wishes = CopyWishes(["."], exclude=["d" * 100])
        copying.pick(engine, Host(fd), wishes).into(plan_fd, "/in/", is_folder=True)
        return {}

    view.use(engine, store.find(engine, "box"), work)
    assert [text for text in told if "1 sockets left out" in text]
    pod("start", "box").ok()
    names = '"$(printf "a\\nb")" ./-rf "$(printf "\\377\\376")" "./\\\\"'
    script = f"cd /in; [ -p fifo ] && [ ! -e socket ] && cat {names}; du -k huge | cut -f1"
    assert pod("exec", "box", "sh", "-c", script).ok() == "xxyx0\n"


@pytest.mark.alike
def test_ignore_when_patterns_explode_then_bounded_time(pod: Pod, context: Path) -> None:
    for number in range(300):
        (context / f"{'a' * 200}{number}").touch()
    raw = (
        "**/*a*a*a*a*a*a*a*a*a*a*b\n" * 20 + "!" + "*a" * 500 + "b\n" + "[a-z]*" * 300 + "!\n" + "**/" * 500 + "c\n"
    ).encode()
    from pod.core.builder import ignore as ignoring

    before = time.process_time() + os.times().children_user
    data = taken(pod, context, CopyWishes(["."]), Ignore(ignoring.read(raw)))
    assert b"inside" in data
    assert time.process_time() + os.times().children_user - before < 20.0


@pytest.mark.alike
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_context_when_an_archive_leads_out_then_nothing_is_written_there(pod: Pod, tmp_path: Path, attack: str) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(ATTACKS[attack])
    with archive.open("rb") as stream, pytest.raises(PodError):
        contexts.open_context(opened(pod), "-", stdin_fd=stream.fileno())  # there is no Dockerfile in any of them
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]
    assert not Path("/evil").exists()
    assert not list(pod.root.rglob("evil"))


def test_add_when_archives_lead_out_then_nothing_is_written_there(pod: Pod, busybox: str, context: Path) -> None:
    for attack, content in ATTACKS.items():
        (context / attack).write_bytes(content)
    pod("create", "--name", "box", "--network", "none", busybox, "sleep", "1000").ok()
    engine = opened(pod)
    fd = copying.open_folder(str(context))
    failed = []

    def work(plan_fd: int, _container: object) -> dict[str, object]:
        for attack in ATTACKS:
            with remote.add(engine, Host(fd), CopyWishes([attack], command="ADD")) as one:
                try:
                    one.into(plan_fd, f"/in/{attack}/", is_folder=True)
                except PodError as error:
                    failed.append(error.message.startswith(f"ADD {attack}"))
        return {}

    view.use(engine, store.find(engine, "box"), work)
    assert failed
    assert all(failed)
    pod("start", "box").ok()
    script = "ls -d /evil 2>/dev/null; find / -xdev -name evil ! -path '/in/*'; cmp /etc/passwd /in/*/h 2>/dev/null"
    assert pod("exec", "box", "sh", "-c", script).out == ""
    assert not Path("/evil").exists()


def test_context_when_an_archive_has_devices_then_left_out(pod: Pod, tmp_path: Path) -> None:
    import tarfile

    archive = tmp_path / "archive"
    archive.write_bytes(packed(("null", tarfile.CHRTYPE, "", b""), ("Dockerfile", tarfile.REGTYPE, "", b"FROM x")))
    with archive.open("rb") as stream, contexts.open_context(opened(pod), "-", stdin_fd=stream.fileno()) as one:
        assert os.listdir(one.fd) == ["Dockerfile"]
