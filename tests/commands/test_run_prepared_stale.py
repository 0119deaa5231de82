"""A prepared start steps aside as soon as something that Python would see is different."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.prepared import NO_PYTHON, Prepared
from tests.support.terminal import Terminal


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


# ---- what is read: pipes, files that the kernel makes up, links to descriptors


def test_prepared_variables_out_of_a_fifo_are_read_each_time(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    words = ("--rm", "--env-file", str(fifo), busybox, "sh", "-c", "echo $A")
    for value in range(5):
        with subprocess.Popen(["sh", "-c", f"echo A={value} >{fifo}"]):
            assert prepared.run(*words).ok() == f"{value}\n"
        time.sleep(0.11)


@pytest.mark.parametrize("path", ["/proc/self/fd/0", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("flag", ["--env-file", "--label-file"])
def test_prepared_file_behind_a_descriptor_is_read_each_time(
    prepared: Prepared, busybox: str, tmp_path: Path, path: str, flag: str
) -> None:
    file = tmp_path / "words"
    for value in range(5):
        file.write_text(f"A={value}\n")
        time.sleep(0.11)
        command = ["sh", "-c", 'exec "$@" <' + str(file), "sh"]
        command += prepared.pod.argv("run", "-d", "--name", "reader", flag, path, busybox, "true")
        subprocess.run(command, env=prepared.pod.environ(prepared.env), check=True, stdout=subprocess.DEVNULL)
        config = prepared.pod.inspect("reader")["Config"]
        assert f"A={value}" in config["Env"] if flag == "--env-file" else config["Labels"] == {"A": str(value)}
        prepared.pod("rm", "-f", "reader").ok()


def test_prepared_file_of_proc_behind_a_link_is_read_each_time(
    prepared: Prepared, busybox: str, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to("/proc/self/comm")  # empty for stat(2); of whoever asks, so that no record of it can hold
    words = ("--rm", "--label-file", str(link), busybox, "true")
    for _ in range(4):
        prepared.run(*words).ok()
        time.sleep(0.11)
    assert prepared.run(*words, python=False).code == NO_PYTHON


def test_prepared_empty_file_of_variables_is_filled(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.touch()
    words = ("--rm", "--env-file", str(file), busybox, "sh", "-c", "echo $A")
    prepared.prime(*words)
    assert prepared.run(*words, python=False).ok() == "\n"
    file.write_text("A=1\n")
    assert prepared.run(*words).ok() == "1\n"


def test_prepared_relative_paths_are_of_the_working_directory(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    words = ("--rm", "--env-file", "vars", "-v", "./here:/here", busybox, "sh", "-c", "echo $A; ls /here")
    for name in ("one", "two"):
        (tmp_path / name / "here" / name).mkdir(parents=True)
        (tmp_path / name / "vars").write_text(f"A={name}\n")
    prepared.prime(*words, cwd=tmp_path / "one")
    assert prepared.run(*words, python=False, cwd=tmp_path / "one").ok() == "one\none\n"
    assert prepared.run(*words, python=False, cwd=tmp_path / "two").code == NO_PYTHON
    assert prepared.run(*words, cwd=tmp_path / "two").ok() == "two\ntwo\n"


def test_prepared_absolute_paths_are_the_same_everywhere(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    words = ("--rm", "-v", f"{tmp_path}:/x", busybox, "true")
    prepared.prime(*words)
    prepared.run(*words, python=False, cwd=tmp_path).ok()


# ---- configuration, store, run directory


@pytest.mark.parametrize("place", ["daemon.json", "pod.toml", "POD_CONFIG"])
def test_prepared_configuration_changes(prepared: Prepared, busybox: str, tmp_path: Path, place: str) -> None:
    home = prepared.pod.home
    file = {
        "daemon.json": home / ".config/docker/daemon.json",
        "pod.toml": home / ".config/pod/pod.toml",
        "POD_CONFIG": tmp_path / "explicit.toml",
    }[place]
    forms = ('{"dns": ["%s"]}', 'dns = ["%s"]\n', 'dns = ["%s"]\n')
    form = dict(zip(("daemon.json", "pod.toml", "POD_CONFIG"), forms))[place]
    env = {"POD_CONFIG": str(file)} if place == "POD_CONFIG" else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    words = ("--rm", busybox, "grep", "nameserver", "/etc/resolv.conf")
    try:
        file.write_text(form % "10.9.8.7")
        prepared.prime(*words, env=env)
        assert "10.9.8.7" in prepared.run(*words, env=env, python=False).ok()
        file.write_text(form % "10.9.8.6")
        assert "10.9.8.6" in prepared.run(*words, env=env).ok()
        if env:
            assert "10.9.8.6" not in prepared.run(*words).ok()
        file.unlink()
        assert prepared.run(*words, env=env, python=False).code == NO_PYTHON
    finally:
        shutil.rmtree(home / ".config", ignore_errors=True)


def test_prepared_home_changes(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    assert prepared.run(*words, env={"HOME": str(tmp_path)}, python=False).code == NO_PYTHON
    assert prepared.run(*words, env={"XDG_CONFIG_HOME": str(tmp_path)}, python=False).code == NO_PYTHON


def test_prepared_store_named_by_a_relative_path(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    root = prepared.pod.root
    env = {"POD_ROOT": root.name}
    words = ("--rm", "--pull", "never", busybox, "true")
    prepared.prime(*words, env=env, cwd=root.parent)
    prepared.run(*words, env=env, cwd=root.parent, python=False).ok()
    assert prepared.run(*words, env=env, cwd=tmp_path, python=False).code == NO_PYTHON


def test_prepared_run_directory_loses_folders(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    pointer = prepared.pod.run_pointer()
    for loss in ("c", "locks", "facts", ""):
        prepared.prime(*words)
        prepared.run(*words, python=False).ok()
        path = pointer.resolve() / loss
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert prepared.run(*words, python=False).code == NO_PYTHON, loss
        prepared.run(*words).ok()
    assert prepared.pod.leftovers() == []


def test_prepared_doctor_looks_anew(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    prepared.pod("doctor", env=prepared.env).ok()
    assert prepared.run(*words, python=False).code == NO_PYTHON
    prepared.prime(*words)
    prepared.run(*words, python=False).ok()


def test_prepared_volume_vanishes(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "-v", "prepared-gone:/data", busybox, "ls", "/data")
    prepared.prime(*words)
    folder = prepared.pod.root / "volumes/prepared-gone"
    shutil.rmtree(folder)
    assert prepared.run(*words, python=False).code == NO_PYTHON
    assert prepared.run(*words).ok() == ""
    assert (folder / "volume.json").exists()


def test_prepared_volumes_from_follow_that_container(prepared: Prepared, busybox: str) -> None:
    pod = prepared.pod
    words = ("--rm", "--volumes-from", "giver", busybox, "cat", "/data/file")
    for text in ("one", "two"):
        volume = f"prepared-{text}"
        pod("run", "--name", "giver", "-v", f"{volume}:/data", busybox, "sh", "-c", f"echo {text} > /data/file").ok()
        assert prepared.run(*words).ok() == f"{text}\n"
        prepared.prime(*words)
        assert prepared.run(*words, python=False).ok() == f"{text}\n"
        pod("rm", "giver").ok()
        assert prepared.run(*words, python=False).code == NO_PYTHON
    prepared.run(*words).failed(125, "no such container: giver")


def test_prepared_device_vanishes(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    link = tmp_path / "device"
    link.symlink_to("/dev/null")
    words = ("--rm", "--device", f"{link}:/dev/x", busybox, "true")
    prepared.prime(*words)
    prepared.run(*words, python=False).ok()
    link.unlink()
    link.symlink_to("/dev/zero")
    assert prepared.run(*words, python=False).code == NO_PYTHON
    link.unlink()
    prepared.run(*words).failed(125, "no such file")


def test_prepared_on_a_terminal_only(prepared: Prepared, busybox: str) -> None:
    pod = prepared.pod
    words = ("--rm", "-i", "-t", busybox, "true")
    prepared.prime_with(
        lambda: Terminal(pod.argv("run", *words), pod.environ(prepared.env), rows=9, columns=9, cwd=pod.home).wait()
    )
    prepared.run(*words).failed(125, "not a TTY")


# ---- the process itself


def test_prepared_no_new_privileges(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    command = ["setpriv", "--no-new-privs", *prepared.pod.argv("run", *words)]
    with prepared.without_python():
        done = subprocess.run(command, env=prepared.pod.environ(prepared.env), check=False)
    assert done.returncode == NO_PYTHON


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("flags", [("--rm",), ("--rm", "-i"), ("--rm", "-d")], ids=" ".join)
def test_prepared_closed_streams(prepared: Prepared, busybox: str, flags: tuple[str, ...], closed: str) -> None:
    words = (*flags, busybox, "sh", "-c", "cat; exit 7")
    prepared.prime(*words)
    argv = prepared.pod.argv("run", *words)
    for python in (False, True):
        if python:
            prepared.forget()
        with prepared.without_python(not python):
            done = subprocess.run(
                ["sh", "-c", f'exec "$@" {closed}', "sh", *argv],
                env=prepared.pod.environ(prepared.env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=30,
            )
        assert (done.returncode, done.stderr) == (0 if "-d" in flags else 7, b""), python
    assert prepared.pod.leftovers() == []


def test_prepared_file_size_limit_is_told_by_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    before = sorted(path.name for path in (prepared.pod.root / "names").iterdir())
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *prepared.pod.argv("run", *words)],
        env=prepared.pod.environ(prepared.env),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, b"File too large" in done.stderr) == (125, True)
    assert sorted(path.name for path in (prepared.pod.root / "names").iterdir()) == before


# ---- whether the watch is whole


def test_prepared_inputs_are_all_that_python_looks_at(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    """The kernel is asked: no system call by a path of which the record does not know, but for Python's own files."""
    if shutil.which("strace") is None:
        pytest.skip("capability strace: not installed")
    (tmp_path / "words").write_text("A=1\n")
    (tmp_path / "profile").write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    flags = ["--rm", "--privileged", "--userns", "keep-id", "-e", "LANG", "--label-file", f"{tmp_path}/words"]
    flags += ["--env-file", "words", "--security-opt", "seccomp=profile", "-v", "./:/x", "-v", "watched:/y"]
    words = ("-d", *flags, "--device", "/dev/null:/dev/n", busybox, "true")
    file = prepared.prime(*words, cwd=tmp_path)
    file.write_bytes(b"")
    time.sleep(0.11)
    trace = tmp_path / "trace"
    command = ["strace", "-e", "trace=%file,memfd_create", "-s", "4096", "-o", str(trace)]
    command += prepared.pod.argv("run", *words)
    subprocess.run(command, env=prepared.pod.environ(prepared.env), cwd=tmp_path, check=False, capture_output=True)
    known = {os.fsdecode(text) for text in file.read_bytes().split(b"\0")}
    lines = trace.read_text().splitlines()
    (begin,) = [number for number, line in enumerate(lines) if "/prepared." in line][:1]
    (end,) = [number for number, line in enumerate(lines) if "memfd_create" in line][:1]
    looked = {match[1] for line in lines[begin:end] if (match := re.search(r'"([^"]*)"', line))}
    assert len(looked & known) > 30
    site = str(prepared.build)
    for path in sorted(looked - known):
        absolute = os.path.join(tmp_path, path)
        own = "/containers/" in path or "/names/" in path or re.search(r"/c/[0-9a-f]{32}", path)
        own = own or "/cache/used/" in path  # when the image was used last: noted once a day
        interpreter = re.match(r"(/usr)?(/local)?/lib|/etc/(localtime|ld.so)|.*/python3|/proc/(self/s|\d+/)", path)
        assert own or interpreter or path.startswith(site) or os.path.normpath(absolute) in known, path


def test_prepared_network_is_made_anew(prepared: Prepared, busybox: str) -> None:
    pod = prepared.pod
    pod("network", "create", "--subnet", "10.96.1.0/24", "moving").ok()
    words = ("--rm", "--network", "moving", busybox, "ip", "-o", "-4", "addr", "show", "eth0")
    prepared.prime(*words)
    assert " 10.96.1." in prepared.run(*words, python=False).ok()
    pod("network", "rm", "moving").ok()
    assert prepared.run(*words, python=False).code == NO_PYTHON
    assert "network moving not found" in prepared.run(*words).failed(125)
    pod("network", "create", "--subnet", "10.96.2.0/24", "moving").ok()
    assert " 10.96.2." in prepared.run(*words).ok()
    pod("network", "rm", "moving").ok()


def test_prepared_start_warns_as_python_does(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", "-p", "80", busybox, "true")
    for _ in range(4):
        assert "Published ports are discarded" in prepared.run(*words).err


def test_prepared_links_follow_that_container(prepared: Prepared, busybox: str) -> None:
    pod = prepared.pod
    pod("run", "-d", "--name", "db", "--network", "bridge", "--expose", "5432", busybox, "sleep", "1000").ok()
    words = ("--rm", "--network", "bridge", "--link", "db", busybox, "sh", "-c", "echo $DB_PORT; grep -w db /etc/hosts")
    for _ in range(3):
        address = pod.inspect("db")["NetworkSettings"]["IPAddress"]
        told, line = prepared.run(*words).ok().splitlines()
        assert told == f"tcp://{address}:5432"
        assert line.split()[0] == address
    pod("stop", "-t", "0", "db").ok()
    assert "Cannot link to a non running container: /db AS" in prepared.run(*words).failed(125)
