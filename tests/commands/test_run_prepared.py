"""Prepared starts: the third `run` of the same words needs no Python, does exactly what Python would do, and steps
aside as soon as anything it rests on is different.

Whether Python took part is seen by taking it away: the lean start's script is replaced by one that ends with 99.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import podcli
from tests.support.podcli import Pod

NO_PYTHON = 99
SMALLEST = 56
"""Bytes: smaller files are marks and reasons."""


class Prepared:
    """A cache of its own for pod.pyz, and the folder of prepared starts in it."""

    def __init__(self, pod: Pod, cache: Path) -> None:
        self.pod = pod
        self.env = {"XDG_CACHE_HOME": str(cache)}
        pod("--version", env=self.env).ok()
        (self.build,) = [path for path in (cache / "pod").iterdir() if not path.name.startswith(".")]

    def files(self) -> list[Path]:
        return sorted((self.build / "starts").iterdir())

    def forget(self) -> None:
        for path in self.files():
            path.unlink()

    def run(self, *words: str, python: bool = True, env: dict[str, str] | None = None, **options: Any) -> podcli.Result:
        """``pod run WORDS``; with ``python`` false whoever asks for Python gets status 99."""
        script = self.build / "_pod_run.py"
        kept = script.read_bytes()
        if not python:
            script.write_text(f"import posix\nposix._exit({NO_PYTHON})\n")
        try:
            return self.pod("run", *words, env={**self.env, **(env or {})}, **options)
        finally:
            if not python:
                script.write_bytes(kept)

    def prime(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> Path:
        """Runs until the start is recorded; its file."""
        self.forget()
        for _ in range(8):
            self.run(*words, env=env, **options)
            found = [path for path in self.files() if path.stat().st_size]
            if found:
                (file,) = found
                assert file.stat().st_size >= SMALLEST, file.read_text()
                return file
            time.sleep(0.11)  # what was changed a moment ago is not trusted
        raise AssertionError(f"not recorded: {words}")


@pytest.fixture(scope="module")
def _cache() -> Iterator[Path]:
    if not podcli.command()[0].endswith("pod.pyz"):
        pytest.skip("capability built: prepared starts are a part of pod.pyz")
    folder = Path(tempfile.mkdtemp(prefix="pod-test-cache-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def prepared(pod: Pod, busybox: str, _cache: Path) -> Iterator[Prepared]:
    one = Prepared(pod, _cache)
    yield one
    one.forget()


def test_prepared_third_start_needs_no_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "echo")
    assert prepared.run(*words, "a").ok() == "a\n"
    assert [path.stat().st_size for path in prepared.files()] == [0]
    prepared.prime(*words, "b")
    assert prepared.run(*words, "c d", 'e"f\\\n\x7f', python=False).ok() == 'c d e"f\\\n\x7f\n'


def test_prepared_start_without_arguments_is_another_than_with(prepared: Prepared, busybox: str) -> None:
    prepared.prime("--rm", "-i", busybox, stdin=b"echo shell\n")
    assert prepared.run("--rm", "-i", busybox, stdin=b"echo again\n", python=False).ok() == "again\n"
    assert prepared.run("--rm", "-i", busybox, "cat", stdin=b"x", python=False).code == NO_PYTHON


FLAGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "host-network": ("--network", "host"),
    "environment": ("-e", "A=b c", "-e", "LANG"),
    "entrypoint": ("--entrypoint", "/bin/sleep"),
    "entrypoint-dropped": ("--entrypoint", ""),
    "user-and-folder": ("-u", "1000:1000", "-w", "/tmp", "--group-add", "27"),
    "hostname": ("-h", "somewhere", "--domainname", "example.org"),
    "confined": ("--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges", "--tmpfs", "/t:size=1m"),
    "wide": ("--privileged", "--pid", "host", "--ipc", "host"),
    "names": ("--dns", "10.0.0.1", "--add-host", "a:10.0.0.2", "--label", "x=y"),
    "limits": ("--ulimit", "nofile=100:200", "--shm-size", "1m", "--stop-signal", "INT", "--stop-timeout", "3"),
    "binds": ("-v", "/etc/hostname:/x:ro", "-v", "/usr:/host"),
    "volume": ("-v", "prepared-volume:/data"),
    "terminal": ("-t",),
    "init": ("--init", "--log-driver", "none"),
    "kept-ids": ("--userns", "keep-id"),
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_prepared_container_is_what_python_makes(prepared: Prepared, busybox: str, flags: tuple[str, ...]) -> None:
    pod = prepared.pod
    program = ("1000",) if "/bin/sleep" in flags else ("sleep", "1000")
    words = ("-d", *flags, busybox, *program)
    prepared.prime(*words)
    first = pod("run", *words).ok().strip()  # another cache: Python's
    second = prepared.run(*words, python=False).ok().strip()
    assert len(second) == 64
    assert second != first
    assert normalized(pod, second) == normalized(pod, first)
    for container in (first, second):
        pod("exec", container, "true").ok()


FILES = ("hostname", "hosts", "resolv.conf")


def normalized(pod: Pod, container: str) -> dict[str, Any]:
    """What inspect and the folder tell, with id, name, times and pids taken out."""
    pod.wait_for(container, "running")
    document = pod.inspect(container)
    document["State"] = {key: document["State"][key] for key in ("Status", "Running", "ExitCode", "Error")}
    document.pop("Created")
    name = document.pop("Name")
    assert re.fullmatch(r"/[a-z]+_[a-z]+\d*", name)
    folder = pod.root / "containers" / container
    document["record"] = json.loads((folder / "config.json").read_bytes())
    assert document["record"].pop("Name") == name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", document["record"].pop("Created"))
    document["record"]["Pod"].pop("Maker", None)
    document["files"] = {
        path.name: (path.stat().st_mode, path.read_text() if path.name in FILES else "")
        for path in folder.iterdir()
        if path.name not in ("config.json", "state.json")
    }
    text = json.dumps(document, sort_keys=True).replace(container, "ID").replace(container[:12], "SHORT")
    whole: dict[str, Any] = json.loads(text)
    return whole


def test_prepared_rm_leaves_nothing(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    prepared.prime(*words)
    for _ in range(5):
        prepared.run(*words, python=False).ok()
    assert prepared.pod.leftovers() == []


def test_prepared_name_in_use_is_told_by_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--name", "the_one", busybox, "sleep")
    prepared.prime(*words, "0")
    prepared.run(*words, "0", python=False).ok()
    prepared.pod("run", "-d", "--name", "the_one", busybox, "sleep", "1000").ok()
    prepared.run(*words, "0").failed(125, "Conflict", "the_one")


def test_prepared_missing_program_is_worded_as_ever(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox)
    prepared.prime(*words, "true")
    prepared.run(*words, "no-such-program").failed(127, "no-such-program", "hint:")


def test_prepared_words_beyond_ascii_go_to_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "echo")
    prepared.prime(*words, "a")
    assert prepared.run(*words, "\u00fc", python=False).code == NO_PYTHON
    assert prepared.run(*words, "\u00fc").ok() == "\u00fc\n"


def test_prepared_start_from_another_folder_works(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    prepared.run(*words, python=False, cwd=tmp_path).ok()


# ---- what makes it step aside


def test_prepared_variable_that_is_passed_on_changes(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "-e", "HUE", busybox, "sh", "-c", "echo $HUE")
    prepared.prime(*words, env={"HUE": "red"})
    assert prepared.run(*words, env={"HUE": "red", "OTHER": "1"}, python=False).ok() == "red\n"
    assert prepared.run(*words, env={"HUE": "blue"}, python=False).code == NO_PYTHON
    assert prepared.run(*words, env={"HUE": "blue"}).ok() == "blue\n"
    assert prepared.run(*words, python=False).code == NO_PYTHON


def test_prepared_configuration_appears(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "grep", "nameserver", "/etc/resolv.conf")
    prepared.prime(*words)
    file = prepared.pod.home / ".config/docker/daemon.json"
    file.parent.mkdir(parents=True)
    try:
        file.write_text('{"dns": ["10.9.8.7"]}')
        assert prepared.run(*words, python=False).code == NO_PYTHON
        assert "10.9.8.7" in prepared.run(*words).ok()
    finally:
        shutil.rmtree(prepared.pod.home / ".config")
    assert "10.9.8.7" not in prepared.run(*words).ok()


def test_prepared_file_of_variables_changes(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("A=1\n")
    words = ("--rm", "--env-file", str(file), busybox, "sh", "-c", "echo $A")
    prepared.prime(*words)
    assert prepared.run(*words, python=False).ok() == "1\n"
    file.write_text("A=2\n")
    assert prepared.run(*words).ok() == "2\n"


def test_prepared_image_gets_the_name_of_another(prepared: Prepared, busybox: str) -> None:
    pod = prepared.pod
    pod("tag", busybox, "moving:1").ok()
    words = ("--rm", "moving:1", "true")
    prepared.prime(*words)
    prepared.run(*words, python=False).ok()
    pod("tag", "pod.local/busybox", "moving:1").ok()
    assert prepared.run(*words, python=False).code == NO_PYTHON
    pod("rmi", "moving:1").ok()
    assert prepared.run("--rm", "--pull", "never", "moving:1", "true").code == 125


def test_prepared_bind_source_vanishes(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir(mode=0o755)
    words = ("--rm", "-v", f"{source}:/x", busybox, "ls", "/x")
    prepared.prime(*words)
    (source / "new").touch()
    assert prepared.run(*words, python=False).ok() == "new\n"  # its content is not our affair
    shutil.rmtree(source)
    source.symlink_to("/usr")
    assert prepared.run(*words, python=False).code == NO_PYTHON


def test_prepared_layer_vanishes(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    file = prepared.prime(*words)
    done = sorted(prepared.pod.root.glob("layers/*/*/done"))
    kept = [(path, path.read_bytes()) for path in done]
    try:
        for path in done:
            path.unlink()
        assert prepared.run(*words, python=False).code == NO_PYTHON
    finally:
        for path, data in kept:
            path.write_bytes(data)
    assert file.exists()


def test_prepared_store_that_cannot_be_written_is_told_by_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    names = prepared.pod.root / "names"
    before = sorted((prepared.pod.root / "containers").iterdir())
    names.chmod(0o500)
    try:
        assert prepared.run(*words, python=False).code == NO_PYTHON
    finally:
        names.chmod(0o700)
    assert sorted((prepared.pod.root / "containers").iterdir()) == before


@pytest.mark.parametrize("what", ["cidfile", "anonymous volume"])
def test_prepared_start_with_traces_elsewhere_is_never_recorded(
    prepared: Prepared, busybox: str, tmp_path: Path, what: str
) -> None:
    flags = ("--cidfile", str(tmp_path / "id")) if what == "cidfile" else ("-v", "/data")
    for _ in range(4):
        (tmp_path / "id").unlink(missing_ok=True)
        prepared.run("--rm", *flags, busybox, "true").ok()
        time.sleep(0.11)
    assert all(path.stat().st_size < SMALLEST for path in prepared.files())


# ---- a file that is not what it should be


def test_prepared_file_of_others_or_behind_a_link_is_not_taken(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    file = prepared.prime(*words)
    file.chmod(0o620)
    assert prepared.run(*words, python=False).code == NO_PYTHON
    file.chmod(0o600)
    prepared.run(*words, python=False).ok()
    elsewhere = file.rename(prepared.build / "elsewhere")
    file.symlink_to(elsewhere)
    assert prepared.run(*words, python=False).code == NO_PYTHON


def test_prepared_file_damaged_anywhere_never_crashes(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    file = prepared.prime(*words)
    whole = file.read_bytes()
    chance = random.Random(20261121)
    tables = len(whole) - 1200  # the patches and names lie at the end, the entries at the beginning
    for number in range(120):
        data = bytearray(whole)
        if number % 4 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(1 + number % 3):
                place = chance.choice((chance.randrange(700), chance.randrange(tables, len(data))))
                data[place] = chance.randrange(256)
        file.write_bytes(data)
        done = prepared.run(*words, python=False)
        assert done.code < 128, f"mutation {number}: {done!r}"
    prepared.forget()
    prepared.pod("ps", "-a").ok()


def test_prepared_start_killed_at_any_instant_leaves_what_can_be_cleaned(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    prepared.prime(*words)
    chance = random.Random(7)
    for _ in range(40):
        process = subprocess.Popen(
            prepared.pod.argv("run", *words), env=prepared.pod.environ(prepared.env), stdin=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0, 0.012))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    time.sleep(5.5)  # names without a container are given that long: their maker may be at work
    prepared.pod("ps", "-aq").ok()
    assert prepared.pod.leftovers() == []


def test_prepared_files_are_bounded(prepared: Prepared, busybox: str) -> None:
    starts = prepared.build / "starts"
    for number in range(300):
        (starts / f"{number:016x}").touch()
        os.utime(starts / f"{number:016x}", (number, number))
    for _ in range(4):
        prepared.run("--rm", busybox, "true").ok()
        time.sleep(0.11)
    assert len(prepared.files()) < 200
    prepared.run("--rm", busybox, "true", python=False).ok()
