"""Files of a context into a container's view and from there, as COPY does it, for both kinds of user."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from pod.core.builder import copying, remote
from pod.core.builder.copying import CopyWishes, Host, Inside
from pod.core.container import store, view
from pod.core.engine import Engine
from pod.core.errors import PodError
from tests.support import archives
from tests.support.podcli import Pod


def opened(pod: Pod) -> Engine:
    return Engine(dict(pod.environ()), root=str(pod.root))


def copy(pod: Pod, source: Path | str, target: str, wishes: CopyWishes) -> tuple[str, int]:
    """(digest, entries) of a copy from a folder, or from the container of that name, to the container "box"."""
    engine = opened(pod)
    found: list[tuple[str, int]] = []

    def to_box(origin: Host | Inside) -> None:
        def work(plan_fd: int, _container: object) -> dict[str, object]:
            one = copying.pick(engine, origin, wishes)
            digest = one.digest
            found.append((digest, one.into(plan_fd, target, is_folder=target.endswith("/"))))
            return {}

        view.use(engine, store.find(engine, "box"), work)

    if isinstance(source, Path):
        to_box(Host(copying.open_folder(str(source))))
    else:

        def from_there(plan_fd: int, _container: object) -> dict[str, object]:
            to_box(Inside(plan_fd))
            return {}

        view.use(engine, store.find(engine, source), from_there)
    return found[0]


def seen(pod: Pod, *paths: str, name: str = "box") -> list[str]:
    pod("start", name).ok()
    text = pod("exec", name, "stat", "-c", "%F %a %u:%g %n", *paths).ok()
    pod("kill", name).ok()
    return text.splitlines()


@pytest.fixture
def box(pod: Pod, busybox: str) -> str:
    pod("create", "--name", "box", "--network", "none", busybox, "sleep", "1000").ok()
    return "box"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "d/e").mkdir(parents=True)
    (folder / "d").chmod(0o755)
    (folder / "d/e").chmod(0o750)
    (folder / "f").write_text("content")
    (folder / "f").chmod(0o640)
    (folder / "d/e/g").write_text("g")
    (folder / "d/e/g").chmod(0o4755)
    return folder


def test_copy_when_places_are_missing_then_made_and_owned(pod: Pod, box: str, context: Path) -> None:
    copy(pod, context, "/new/deep/", CopyWishes(["f"], owner=(12, 34)))
    copy(pod, context, "/other/name", CopyWishes(["f"]))
    copy(pod, context, "/folder/here", CopyWishes(["d"], owner=(5, 0)))
    copy(pod, context, "/tmp", CopyWishes(["f"], chmod="4711"))
    copy(pod, context, "/many/", CopyWishes(["f", "d"]))
    paths = (
        "/new",
        "/new/deep",
        "/new/deep/f",
        "/other/name",
        "/folder/here",
        "/folder/here/e",
        "/folder/here/e/g",
        "/tmp/f",
        "/many/e",
    )
    assert seen(pod, *paths) == [
        "directory 755 12:34 /new",
        "directory 755 12:34 /new/deep",
        "regular file 640 12:34 /new/deep/f",
        "regular file 640 0:0 /other/name",
        "directory 755 5:0 /folder/here",
        "directory 750 5:0 /folder/here/e",
        "regular file 4755 5:0 /folder/here/e/g",
        "regular file 4711 0:0 /tmp/f",
        "directory 750 0:0 /many/e",
    ]


def test_copy_when_the_target_has_links_then_they_lead_inside(
    pod: Pod, box: str, context: Path, tmp_path: Path
) -> None:
    pod("start", box).ok()
    pod(
        "exec", box, "sh", "-c", f"mkdir -p {tmp_path}; ln -s {tmp_path} /abs; ln -s ../../../../tmp /up; touch /plain"
    ).ok()
    pod("kill", box).ok()
    before = sorted(tmp_path.iterdir())
    copy(pod, context, "/up/", CopyWishes(["f"]))
    copy(pod, context, "/abs/x", CopyWishes(["f"]))
    assert sorted(tmp_path.iterdir()) == before
    assert seen(pod, "/tmp/f", f"{tmp_path}/x") == [
        "regular file 640 0:0 /tmp/f",
        f"regular file 640 0:0 {tmp_path}/x",
    ]


def test_copy_when_folders_and_files_meet_then_refused(pod: Pod, box: str, context: Path) -> None:
    copy(pod, context, "/plain", CopyWishes(["f"]))
    copy(pod, context, "/tmp", CopyWishes(["d"]))
    for target, sources in (("/plain/", ["f"]), ("/plain", ["d"]), ("/plain/x", ["f"])):
        with pytest.raises(PodError, match="cannot copy to non-directory"):
            copy(pod, context, target, CopyWishes(sources))
    with pytest.raises(PodError, match="more than one source file"):
        copy(pod, context, "/missing", CopyWishes(["f", "d/e/*"]))
    (context / "again").mkdir()
    (context / "again/e").write_text("a file where a folder is")
    with pytest.raises(PodError, match="cannot replace to directory"):
        copy(pod, context, "/tmp", CopyWishes(["again"]))


def test_copy_when_from_another_container_then_owners_as_they_are(pod: Pod, box: str, busybox: str) -> None:
    script = "mkdir /src && echo 1 >/src/a && chown 7:8 /src/a && chmod 4755 /src/a"
    script += " && ln -s a /src/l && chown -h 9:9 /src/l && chown 3:3 /src"
    pod("run", "--name", "other", "--network", "none", busybox, "sh", "-c", script).ok()
    first = copy(pod, "other", "/kept", CopyWishes(["/src"]))
    assert copy(pod, "other", "/again", CopyWishes(["/src"])) == first
    assert copy(pod, "other", "/given/", CopyWishes(["/src/*"], owner=(1, 2)))[0] != first[0]
    assert seen(pod, "/kept", "/kept/a", "/kept/l", "/given/a") == [
        "directory 755 0:0 /kept",
        "regular file 4755 7:8 /kept/a",
        "symbolic link 777 9:9 /kept/l",
        "regular file 4755 1:2 /given/a",
    ]


def test_copy_when_the_files_change_after_the_digest_then_refused(pod: Pod, box: str, context: Path) -> None:
    engine = opened(pod)
    one = copying.pick(engine, Host(copying.open_folder(str(context))), CopyWishes(["f"]))
    assert one.digest
    assert one.single
    assert one.entries == 1
    (context / "f").write_text("changed!")

    def work(plan_fd: int, _container: object) -> dict[str, object]:
        with pytest.raises(PodError, match="changed while they were copied"):
            one.into(plan_fd, "/x", is_folder=False)
        return {}

    view.use(opened(pod), store.find(opened(pod), "box"), work)


def test_add_when_an_archive_then_unpacked_with_its_owners(pod: Pod, box: str, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        for name, uid, mode in (("top", 5, 0o640), ("sub/set", 6, 0o4755)):
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.mode, info.size = uid, uid + 1, mode, 1
            tar.addfile(info, io.BytesIO(b"x"))
    engine = opened(pod)
    origin = Host(copying.open_folder(str(folder)))

    def work(plan_fd: int, _container: object) -> dict[str, object]:
        for wishes, target in (
            (CopyWishes(["a.tgz"]), "/kept/"),
            (CopyWishes(["a.*"], owner=(1, 2), chmod="600", exclude=["sub"]), "/wished"),
        ):
            with remote.add(engine, origin, wishes) as one:
                assert one.digest
                assert one.into(plan_fd, target, is_folder=target.endswith("/")) > 0
        with remote.add(engine, origin, CopyWishes(["a.tgz"]), unpack=False) as one:
            one.into(plan_fd, "/whole", is_folder=False)
        return {}

    view.use(engine, store.find(engine, "box"), work)
    assert seen(pod, "/kept/top", "/kept/sub/set", "/wished/top", "/whole") == [
        "regular file 640 5:6 /kept/top",
        "regular file 4755 6:7 /kept/sub/set",
        "regular file 600 1:2 /wished/top",
        "regular file 644 0:0 /whole",
    ]


def test_build_when_the_context_is_an_archive_from_stdin_then_add_and_copy_take_from_it(pod: Pod, busybox: str) -> None:
    inner = archives.layer({"hello": b"from the archive\n"})
    lines = f"FROM {busybox}\nADD in.tgz /un/\nADD --unpack=false in.tgz /whole\n"
    lines += "COPY --parents d/*.txt /p/\nCOPY . /all/\n"
    files = {"Dockerfile": lines.encode(), "in.tgz": gzip.compress(inner), "d/a.txt": b"a", "d/b.log": b"b"}
    context = archives.layer({**files, ".dockerignore": b"**/*.log\n"})
    folder = pod.root / "cache/contexts"
    before = set(os.listdir(folder)) if folder.exists() else set()  # of builds that other tests killed
    pod("build", "-q", "-t", "made:1", "-", stdin=lzma.compress(context), timeout=120).ok()
    script = "cat /un/hello; ls /p/d /all/d; ls /whole"
    assert pod("run", "--rm", "--network", "none", "made:1", "sh", "-c", script).ok().split() == [
        *("from", "the", "archive", "/all/d:", "a.txt", "/p/d:", "a.txt", "/whole"),
    ]
    assert set(os.listdir(folder)) <= before
