"""What is inside pod.pyz."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.alike

MACHINES = ("x86_64", "aarch64")
PREFIX = "site-packages/pod/"


def test_archive_is_smaller_than_six_megabytes(pyz: Path) -> None:
    assert pyz.stat().st_size < 6_000_000


def test_archive_entries_are_sorted_dated_1980_and_free_of_build_traces(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    for entry in entries:
        name = entry.filename
        assert not name.endswith((".c", ".h", ".pyx", ".pyi", ".pyc", "RECORD", "INSTALLER", "direct_url.json")), name
        assert "/bin/" not in name, name


def test_archive_names_no_folder_of_the_build_host(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        for entry in archive.infolist():
            assert str(ROOT).encode() not in archive.read(entry), entry.filename


@pytest.mark.parametrize("machine", MACHINES)
def test_archive_elf_files_pass_the_audit(pyz: Path, machine: str, tmp_path: Path) -> None:
    names = ("layer.abi3.so", "process.abi3.so", "pod-helper", "pod-netd", "pod-root.so")
    with zipfile.ZipFile(pyz) as archive:
        for name in names:
            (tmp_path / name).write_bytes(archive.read(f"{PREFIX}_lib/{machine}/{name}"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "packaging/audit.py"), *[str(tmp_path / name) for name in names]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_archive_image_is_a_valid_layout(pyz: Path, machine: str) -> None:
    folder = f"{PREFIX}_images/{machine}/"
    with zipfile.ZipFile(pyz) as archive:

        def blob(descriptor: dict[str, object]) -> bytes:
            digest = str(descriptor["digest"])
            data = archive.read(f"{folder}blobs/sha256/{digest.removeprefix('sha256:')}")
            assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
            assert len(data) == descriptor["size"]
            return data

        assert json.loads(archive.read(folder + "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        (entry,) = json.loads(archive.read(folder + "index.json"))["manifests"]
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        (layer,) = manifest["layers"]
        blob(layer)
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "pod.local/busybox:latest"
    assert config["architecture"] == {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    assert config["config"]["Cmd"] == ["sh"]


def test_archive_carries_licences_and_the_versions_of_what_it_carries(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        notices = archive.read(PREFIX + "THIRD_PARTY.md").decode()
        assert b"Apache License" in archive.read(PREFIX + "LICENSE")
    for name in ("busybox-static 1:", "libisal-dev 2.", "libzstd-dev 1.", "urllib3==", "tomli=="):
        assert f"\n- {name}" in notices


@pytest.mark.slow
def test_archive_of_two_builds_is_the_same(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "another place"):
        tree = tmp_path / name
        subprocess.run(["git", "clone", "-q", "-c", "safe.directory=*", str(ROOT), str(tree)], check=True, timeout=120)
        subprocess.run(
            [sys.executable, "packaging/build.py", "--output", "pod.pyz"], cwd=tree, check=True, timeout=900
        )
        digests.append(hashlib.sha256((tree / "pod.pyz").read_bytes()).hexdigest())
    assert digests[0] == digests[1]
