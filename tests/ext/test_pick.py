"""What a COPY takes of a folder of the host: the C behind core/builder/copying, by its archives and digests."""

from __future__ import annotations

import io
import os
import random
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pod.core.builder import copying
from pod.core.builder.copying import CopyWishes, Host
from pod.core.builder.ignore import Ignore
from pod.core.engine import Engine
from pod.core.errors import NotFound, PodError


def engine(tmp_path: Path) -> Engine:
    return Engine({"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, root=str(tmp_path / "store"))


def picked(tmp_path: Path, folder: Path, wishes: CopyWishes, ignore: Sequence[str] = ()) -> copying.Picked:
    return copying.pick(engine(tmp_path), Host(copying.open_folder(str(folder)), Ignore(ignore)), wishes)


def archive(one: copying.Picked, name: str = "") -> dict[str, tarfile.TarInfo]:
    """Its entries by name, by the very job that goes to a container; its digest must be the one without an archive."""
    reader, writer = os.pipe()
    job = one._job(copying._DIGEST, writer, name)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    assert "sha256:" + job.result()["digest"] == one.digest
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: member for member in tar}
        assert len(found) == len(tar.getmembers())
    return found


def names(tmp_path: Path, folder: Path, wishes: CopyWishes, ignore: Sequence[str] = ()) -> list[str]:
    return sorted(archive(picked(tmp_path, folder, wishes, ignore)))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    for name in ("a.txt", "b.txt", "c.md", "src/x.c", "src/deep/y.c", "src/deep/z.h", "docs/one.md", "docs/two.md"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "link").symlink_to("src/x.c")
    (folder / "src/up").symlink_to("../a.txt")
    (folder / "out").symlink_to("../../../../../../../../a.txt")
    (folder / "folder").symlink_to("src")
    return folder


SOURCES = [
    (["a.txt"], ["a.txt"]),
    (["*.txt", "c.md"], ["a.txt", "b.txt", "c.md"]),
    (["src"], ["deep", "deep/y.c", "deep/z.h", "up", "x.c"]),
    (["src/"], ["deep", "deep/y.c", "deep/z.h", "up", "x.c"]),
    (["folder"], ["deep", "deep/y.c", "deep/z.h", "up", "x.c"]),
    (["/docs/*.md"], ["one.md", "two.md"]),
    (["link"], ["link"]),
    (["out"], ["out"]),
    (["../../a.txt"], ["a.txt"]),
    (["sr?/de*/y.[a-c]"], ["y.c"]),
    (["nothing*"], []),
    (["src/nothing/*"], []),
    (["a.txt/*"], []),
    (["d[^x]cs"], ["one.md", "two.md"]),
]


@pytest.mark.parametrize(("sources", "expected"), SOURCES)
def test_pick_when_sources_have_wildcards_and_links_then_as_docker_takes_them(
    tmp_path: Path, tree: Path, sources: list[str], expected: list[str]
) -> None:
    assert names(tmp_path, tree, CopyWishes(sources)) == expected


def test_pick_when_a_source_is_a_link_then_what_it_means_and_below_it_links(tmp_path: Path, tree: Path) -> None:
    found = archive(picked(tmp_path, tree, CopyWishes(["link", "src", "out"])))
    assert found["link"].isreg()
    assert found["link"].size == len("src/x.c")
    assert found["up"].issym()
    assert found["up"].linkname == "../a.txt"
    assert found["out"].isreg()
    assert found["out"].size == len("a.txt")
    assert all((one.uid, one.gid) == (0, 0) for one in found.values())


@pytest.mark.parametrize("source", ["nothing", "src/nothing", "a.txt/b", "dangling", "loop"])
def test_pick_when_a_source_is_missing_then_not_found(tmp_path: Path, tree: Path, source: str) -> None:
    (tree / "dangling").symlink_to("nowhere")
    (tree / "loop").symlink_to("loop")
    with pytest.raises((NotFound, PodError), match=f"{source}|not found|symbolic"):
        _ = picked(tmp_path, tree, CopyWishes([source])).digest


IGNORED = [
    (
        ["*.txt"],
        [
            "c.md",
            "docs",
            "docs/one.md",
            "docs/two.md",
            "folder",
            "link",
            "out",
            "src",
            "src/deep",
            "src/deep/y.c",
            "src/deep/z.h",
            "src/up",
            "src/x.c",
        ],
    ),
    (["*", "!src/deep/*.c"], ["src", "src/deep", "src/deep/y.c"]),
    (["**", "!**/*.h"], ["src", "src/deep", "src/deep/z.h"]),
    (["*", "!docs"], ["docs", "docs/one.md", "docs/two.md"]),
    (["*", "!none"], []),
    (["**/deep", "*o*", "l*", "*t*"], ["c.md", "src", "src/up", "src/x.c"]),
]


@pytest.mark.parametrize(("ignore", "expected"), IGNORED)
def test_pick_when_things_are_ignored_then_only_the_rest_with_its_folders(
    tmp_path: Path, tree: Path, ignore: list[str], expected: list[str]
) -> None:
    assert names(tmp_path, tree, CopyWishes(["."]), ignore) == expected


def test_pick_when_the_source_itself_is_ignored_then_not_found(tmp_path: Path, tree: Path) -> None:
    for source in ("src/x.c", "src", "link", "folder"):
        with pytest.raises(NotFound, match="not found") as caught:
            _ = picked(tmp_path, tree, CopyWishes([source]), ["src"]).digest
        assert caught.value.hint or source in ("link", "folder")
    assert names(tmp_path, tree, CopyWishes(["src/deep/*"]), ["src"]) == []
    assert names(tmp_path, tree, CopyWishes(["src"]), ["src", "!src/x.c"]) == ["x.c"]


EXCLUDED = [
    (["src"], ["*.c"], ["deep", "deep/y.c", "deep/z.h", "up"]),
    (["src"], ["**/*.c"], ["deep", "deep/z.h", "up"]),
    (["src"], ["deep"], ["up", "x.c"]),
    (["*.txt", "c.md"], ["a.*"], ["b.txt", "c.md"]),
    (["src"], ["deep", "!deep/z.h"], ["deep", "deep/z.h", "up", "x.c"]),
]


@pytest.mark.parametrize(("sources", "exclude", "expected"), EXCLUDED)
def test_pick_when_excluded_then_left_out(
    tmp_path: Path, tree: Path, sources: list[str], exclude: list[str], expected: list[str]
) -> None:
    assert names(tmp_path, tree, CopyWishes(sources, exclude=exclude)) == expected


PARENTS = [
    (["src/deep/y.c", "a.txt"], ["a.txt", "src", "src/deep", "src/deep/y.c"]),
    (["src/./deep/*.h"], ["deep", "deep/z.h"]),
    (["**/*.md"], ["c.md", "docs", "docs/one.md", "docs/two.md"]),
    (["docs"], ["docs", "docs/one.md", "docs/two.md"]),
    (["./src/./x.c"], ["x.c"]),
    (["*/none*"], []),
    (["src/none"], None),
]


@pytest.mark.parametrize(("sources", "expected"), PARENTS)
def test_pick_when_parents_then_the_folders_above_come_along(
    tmp_path: Path, tree: Path, sources: list[str], expected: list[str] | None
) -> None:
    if expected is None:
        with pytest.raises(NotFound):
            _ = picked(tmp_path, tree, CopyWishes(sources, parents=True)).digest
        return
    assert names(tmp_path, tree, CopyWishes(sources, parents=True)) == expected


MODES = [
    ("755", 0o755, 0o755),
    ("0", 0, 0),
    ("4711", 0o4711, 0o4711),
    ("u=rwX,go=rX", 0o644, 0o755),
    ("a+x", 0o751, 0o751),
    ("go-rwx", 0o640 & 0o700, 0o700),
    ("u=rw,g=u,o=", 0o660, 0o660),
    ("+t", 0o1640, 0o1750),
    ("ug+s", 0o6640, 0o6750),
    ("g=", 0o600, 0o700),
]


@pytest.mark.parametrize(("chmod", "file", "folder"), MODES)
def test_pick_when_chmod_then_as_chmod_does(tmp_path: Path, chmod: str, file: int, folder: int) -> None:
    context = tmp_path / "context"
    (context / "d").mkdir(parents=True)
    (context / "f").write_text("x")
    (context / "f").chmod(0o640)
    (context / "d").chmod(0o750)
    (context / "l").symlink_to("f")
    found = archive(picked(tmp_path, context, CopyWishes(["."], chmod=chmod, owner=(7, 8))))
    assert (found["f"].mode, found["d"].mode, found["l"].mode) == (file, folder, 0o777)
    assert {(one.uid, one.gid) for one in found.values()} == {(7, 8)}


@pytest.mark.parametrize("chmod", ["8", "10000", "u", "u=q", "=,", "u+r,,", "rwx"])
def test_pick_when_the_mode_makes_no_sense_then_refused(chmod: str) -> None:
    with pytest.raises(PodError, match="invalid chmod"):
        copying.mode_changes(chmod)


def test_digest_when_anything_but_time_changes_then_another_one(tmp_path: Path, tree: Path) -> None:
    def digest(**more: object) -> str:
        return picked(tmp_path, tree, CopyWishes(["src"], **more)).digest  # type: ignore[arg-type]

    seen = [digest()]
    os.utime(tree / "src/x.c", (1, 1))
    assert digest() == seen[0]
    os.rename(tree, tmp_path / "elsewhere")
    os.rename(tmp_path / "elsewhere", tree)
    assert digest() == seen[0]
    (tree / "a.txt").write_text("not below it")
    assert digest() == seen[0]
    (tree / "src/x.c").chmod(0o755)
    seen.append(digest())
    (tree / "src/x.c").write_text("SRC/X.C")
    seen.append(digest())
    (tree / "src/up").unlink()
    (tree / "src/up").symlink_to("../b.txt")
    seen.append(digest())
    os.rename(tree / "src/x.c", tree / "src/y.c")
    seen.append(digest())
    (tree / "src/empty").mkdir()
    seen.append(digest())
    os.setxattr(tree / "src/y.c", "user.a", b"1")
    seen.append(digest())
    seen += [digest(owner=(1, 1)), digest(chmod="700"), digest(exclude=["y.c"])]
    assert len(set(seen)) == len(seen)


def test_digest_when_a_file_has_holes_then_as_if_it_had_zeros(tmp_path: Path) -> None:
    digests = []
    for name in ("holes", "zeros"):
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "f").open("wb") as file:
            if name == "zeros":
                file.write(bytes(3 << 20))
            file.seek(1 << 20)
            file.write(b"middle")
            file.truncate(3 << 20)
        digests.append(picked(tmp_path, folder, CopyWishes(["."])).digest)
    assert digests[0] == digests[1]


def test_pick_when_hard_links_then_links_of_one_source_alone(tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "one").mkdir(parents=True)
    (context / "two").mkdir()
    (context / "one/a").write_text("same")
    os.link(context / "one/a", context / "one/b")
    os.link(context / "one/a", context / "two/c")
    found = archive(picked(tmp_path, context, CopyWishes(["one", "two"])))
    assert found["b"].islnk()
    assert found["b"].linkname == "a"
    assert found["c"].isreg()
    assert found["c"].size == 4


def test_pick_when_one_file_gets_a_name_then_the_digest_is_that_of_the_source(tmp_path: Path, tree: Path) -> None:
    assert list(archive(picked(tmp_path, tree, CopyWishes(["a.txt"])), "other")) == ["other"]


def test_match_when_patterns_are_random_then_c_and_python_agree(tmp_path: Path) -> None:
    chance = random.Random(58)
    context = tmp_path / "context"
    every = []
    for _ in range(60):
        parts = ["".join(chance.choices("ab.é", k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))]
        name = "/".join(parts)
        path = context / name.replace(".", "x.")
        if not any(one.is_file() for one in path.parents if one.exists()) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    every = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    assert len(every) > 20
    for _ in range(40):
        patterns = []
        for _ in range(chance.randint(1, 4)):
            pieces = ["a", "b", "x.", "é", "/", "*", "**", "?", "[ab]", "[^a]", "**/", "\\a", "\\b"]
            text = "".join(chance.choices(pieces, k=chance.randint(1, 5)))
            patterns.append(chance.choice(["", "", "!"]) + text)
        try:
            ignore = Ignore(patterns)
        except PodError:
            continue
        found = names(tmp_path, context, CopyWishes(["."]), patterns)
        files = [name for name in found if (context / name).is_file()]
        assert files == [name for name in every if not ignore.excluded(name)], patterns


def test_match_when_a_pattern_would_explode_then_bounded_time(tmp_path: Path) -> None:
    context = tmp_path / "context"
    folder = context
    for _ in range(8):
        folder = folder / ("a" * 250)
    folder.mkdir(parents=True)
    (folder / "f").write_text("x")
    patterns = ["**/" * 400 + "b", "*a" * 1000 + "b", "[ab]*" * 700 + "!"]
    begin = time.process_time(), os.times().children_user
    found = names(tmp_path, context, CopyWishes(["."]), patterns)
    assert len(found) == 9
    assert time.process_time() - begin[0] + os.times().children_user - begin[1] < 5.0
