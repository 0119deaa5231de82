"""system df: what is counted, once, and what of it nobody uses; system prune takes that."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.podcli import Pod

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]

SUMMARY = "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}"


@pytest.fixture
def image(fresh_pod: Pod) -> str:
    return fresh_pod.image("busybox:latest")


def summary(pod: Pod) -> dict[str, list[str]]:
    """The row of each kind: how many, how many are used, size, reclaimable."""
    rows = [line.split("|") for line in pod("system", "df", "--format", SUMMARY).ok().splitlines()]
    return {kind: rest for kind, *rest in rows}


def nbytes(text: str) -> float:
    """ "1.05MB" in bytes."""
    text = text.partition(" ")[0]
    number = text.rstrip("kMGB")
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[text[len(number) :]]


def du(*folders: Path) -> int:
    """What du(1) says of all of them together; as the user that sees trees with one id, and those of sub-ids."""
    done = subprocess.run(["du", "-skc", *folders], capture_output=True, text=True, check=False)
    return int(done.stdout.splitlines()[-1].split()[0]) * 1024


def test_df_when_empty_then_docker_s_table(offline_pod: Pod) -> None:
    assert offline_pod("system", "df").ok() == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          0         0         0B        0B\n"
        "Containers      0         0         0B        0B\n"
        "Local Volumes   0         0         0B        0B\n"
        "Build Cache     0         0         0B        0B\n"
    )
    assert json.loads(offline_pod("system", "df", "-v", "--format", "json").ok()) == {
        "Images": [], "Containers": [], "Volumes": [], "BuildCache": [],
    }  # fmt: skip
    offline_pod("system", "df", "--format", "{{.Nothing}}").failed(1, "Nothing")
    offline_pod("system", "df", "more").failed(1, "accepts no arguments")


def test_df_counts_what_du_counts_and_each_layer_once(fresh_pod: Pod, image: str) -> None:
    layers, blobs = fresh_pod.root / "layers", fresh_pod.root / "blobs/sha256"
    first = summary(fresh_pod)["Images"]
    assert first[:2] == ["1", "0"]
    assert first[3].endswith(" (100%)")
    notes = [str(path.parent) for path in layers.glob("*/*/disk")]
    assert sorted(notes) == sorted(str(path.parent) for path in layers.glob("*/*/done"))
    # The folders of blobs and maps, and the notes themselves, are no image's.
    folders = [*(folder for folder in layers.glob("*/*")), *blobs.iterdir()]
    noted = sum((Path(path) / "disk").stat().st_blocks * 512 for path in notes)
    assert abs(nbytes(first[2]) - (du(*folders) - noted)) <= nbytes(first[2]) * 0.001 + 1024
    record = next((fresh_pod.root / "images").iterdir())
    twin = record.name[:12] + ("0" if record.name[12] != "0" else "1") + record.name[13:]
    (record.parent / twin).write_text(record.read_text().replace(record.name, twin))
    second = summary(fresh_pod)["Images"]
    assert second[0] == "2"
    assert second[2] == first[2]
    rows = json.loads(fresh_pod("system", "df", "-v", "--format", "json").ok())["Images"]
    shared = {row["ID"]: (nbytes(row["SharedSize"]), nbytes(row["UniqueSize"]), nbytes(row["Size"])) for row in rows}
    assert shared[twin[:12]][1] == 0
    assert shared[twin[:12]][0] > 0
    for common, own, whole in shared.values():
        assert abs(common + own - whole) <= whole * 0.001


def test_df_when_a_count_was_cut_by_a_kill_then_it_counts_again(fresh_pod: Pod, image: str) -> None:
    first = summary(fresh_pod)["Images"]
    notes = {path: path.read_bytes() for path in (fresh_pod.root / "layers").glob("*/*/disk")}
    for length, path in enumerate(notes):
        path.write_bytes(notes[path][: 20 * length])
    assert summary(fresh_pod)["Images"] == first
    assert {path: path.read_bytes() for path in notes} == notes
    assert not list((fresh_pod.root / "layers").glob("*/*/.*"))


def test_df_tells_what_is_used_and_what_could_go(fresh_pod: Pod, image: str) -> None:
    fresh_pod("volume", "create", "alone").ok()
    script = "head -c 5000 /dev/zero >/vol/x; head -c 7000 /dev/zero >/own"
    fresh_pod("run", "--name", "done", "-v", "named:/vol", "--network", "none", image, "sh", "-c", script).ok()
    fresh_pod("run", "-d", "--name", "runs", "--network", "none", image, "sleep", "1000").ok()
    found = summary(fresh_pod)
    assert found["Images"][:2] == ["1", "1"]
    assert nbytes(found["Images"][3]) < nbytes(found["Images"][2]) / 100  # the index alone
    assert found["Containers"] == ["2", "1", "7kB", "7kB (100%)"]
    assert found["Local Volumes"] == ["2", "1", "5kB", "0B (0%)"]
    assert found["Build Cache"] == ["0", "0", "0B", "0B"]
    text = fresh_pod("system", "df", "-v").ok()
    titles = ("Images space usage:", "Containers space usage:", "Local Volumes space usage:", "Build cache usage: 0B")
    lines = text.splitlines()
    assert [line for line in lines if line in titles] == list(titles)
    assert "REPOSITORY" in lines[2]
    assert lines[3].split()[-1] == "2"
    rows = json.loads(fresh_pod("system", "df", "-v", "--format", "json").ok())
    assert {(row["Name"], row["Links"], row["Size"]) for row in rows["Volumes"]} == {
        ("alone", "0", "0B"), ("named", "1", "5kB"),
    }  # fmt: skip
    assert {(row["Names"], row["Size"]) for row in rows["Containers"]} == {("done", "7kB"), ("runs", "0B")}
    assert fresh_pod("system", "df", "-v", "--format", "{{len .Images}}").ok() == "1\n"


def test_df_does_not_follow_links_that_lie_in_the_store(fresh_pod: Pod, image: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 50_000_000)
    before = summary(fresh_pod)
    tree = next((fresh_pod.root / "layers").glob("*/*/done")).parent
    os.symlink(tmp_path, tree.parent / ("0" * 64))
    os.symlink(tmp_path / "big", fresh_pod.root / "blobs/sha256/planted")
    fresh_pod("volume", "create", "named").ok()
    os.symlink(tmp_path, fresh_pod.root / "volumes/named/_data/out")
    os.symlink(tmp_path, fresh_pod.root / "volumes/planted")
    after = summary(fresh_pod)
    assert nbytes(after["Images"][2]) - nbytes(before["Images"][2]) < 100_000
    assert nbytes(after["Local Volumes"][2]) < 1000
