"""Roots whose folders are not what they seem: nothing outside is touched, a refusal is one line, nothing hangs.

CVE-2019-19921, CVE-2023-27561, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2026-41579.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import crafted
from tests.support.crafted import Craft
from tests.support.layers import Layer
from tests.support.podcli import Pod, Result

FOLDERS = ("proc", "sys", "dev")
LINKS = ("/etc", "../../../../../etc", "/", ".", "/proc/self/root", "/proc/self/fd/3", "/nowhere")


def settles(result: Result) -> bool:
    """Either it ran, or one line says why not, with status 125."""
    if result.code == 0:
        return True
    result.failed(125)
    return False


def replaced(name: str, make: Callable[[Layer, str], None]) -> Callable[[Layer], None]:
    """A layer in which ``name`` is something else than below."""

    def fill(layer: Layer) -> None:
        parent, _, last = name.rpartition("/")
        layer.whiteout(parent or ".", last)
        make(layer, name)

    return fill


def symlink_to(target: str) -> Callable[[Layer, str], None]:
    return lambda layer, name: layer.symlink(name, target)


@pytest.mark.parametrize("target", LINKS)
@pytest.mark.parametrize("name", FOLDERS)
def test_start_when_a_mount_target_is_a_link_then_it_is_refused(
    pod: Pod, craft: Craft, outside: Path, name: str, target: str
) -> None:
    image = craft.make(replaced(name, symlink_to(target)))
    result = pod("run", "--rm", image, "true")
    result.failed(125, f"/{name}")


@pytest.mark.parametrize("name", FOLDERS)
def test_start_when_a_mount_target_links_to_the_hosts_folder_then_that_is_untouched(
    pod: Pod, craft: Craft, outside: Path, name: str
) -> None:
    image = craft.make(replaced(name, symlink_to(str(outside))))
    pod("run", "--rm", image, "true").failed(125, f"/{name}")


@pytest.mark.parametrize("name", FOLDERS)
def test_start_when_a_mount_target_is_a_file_then_it_is_refused(pod: Pod, craft: Craft, name: str) -> None:
    image = craft.make(replaced(name, lambda layer, path: layer.add(path, b"not a folder")))
    pod("run", "--rm", image, "true").failed(125, f"/{name}")


@pytest.mark.parametrize("name", FOLDERS)
def test_start_when_a_mount_target_is_a_fifo_then_it_is_refused_at_once(pod: Pod, craft: Craft, name: str) -> None:
    image = craft.make(replaced(name, crafted.fifo))
    pod("run", "--rm", image, "true", timeout=30).failed(125, f"/{name}")


@pytest.mark.parametrize("target", ["/etc", "../../etc", "/proc/self/fd"])
def test_start_when_what_lies_below_dev_are_links_then_a_fresh_dev_hides_them(
    pod: Pod, craft: Craft, outside: Path, target: str
) -> None:
    def fill(layer: Layer) -> None:
        for inner in ("shm", "pts", "mqueue", "null", "console", "ptmx", "fd"):
            layer.symlink(f"dev/{inner}", target)

    image = craft.make(fill)
    script = "test ! -L /dev/null && test ! -L /dev/shm && grep ' /dev/shm ' /proc/mounts"
    assert pod("run", "--rm", image, "sh", "-c", script).ok().startswith("shm /dev/shm tmpfs")


@pytest.mark.parametrize("name", ["etc/hosts", "etc/hostname", "etc/resolv.conf"])
@pytest.mark.parametrize(
    "target", ["../../../../../../etc/passwd", "/etc/group", "/proc/self/environ", "/proc/sys/kernel/core_pattern"]
)
def test_start_when_an_engine_file_is_a_link_then_it_stays_inside(
    pod: Pod, craft: Craft, outside: Path, name: str, target: str
) -> None:
    host = Path("/etc/passwd").read_bytes()
    settles(pod("run", "--rm", craft.make(replaced(name, symlink_to(target))), "true"))
    assert Path("/etc/passwd").read_bytes() == host


@pytest.mark.parametrize("name", ["etc/hosts", "etc/hostname", "etc/resolv.conf"])
def test_start_when_an_engine_file_links_to_the_hosts_file_then_that_is_untouched(
    pod: Pod, craft: Craft, outside: Path, name: str
) -> None:
    image = craft.make(replaced(name, symlink_to(str(outside / "secret"))))
    settles(pod("run", "--rm", image, "sh", "-c", f"echo mine > /{name}"))


def test_start_when_resolv_conf_is_a_dangling_link_then_it_works_all_the_same(pod: Pod, craft: Craft) -> None:
    """Debian's and Ubuntu's cloud images have it so: systemd-resolved's file is not in them."""
    image = craft.make(lambda layer: layer.symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"))
    assert "127.0.0.11" in pod("run", "--rm", "--dns", "127.0.0.11", image, "cat", "/etc/resolv.conf").ok()


@pytest.mark.parametrize("name", ["etc/hosts", "etc/hostname", "etc/resolv.conf"])
def test_start_when_an_engine_file_is_a_fifo_then_nothing_waits_for_it(pod: Pod, craft: Craft, name: str) -> None:
    image = craft.make(replaced(name, crafted.fifo))
    assert settles(pod("run", "--rm", image, "cat", f"/{name}", timeout=30))


@pytest.mark.parametrize("name", ["etc/hosts", "etc/resolv.conf"])
def test_start_when_an_engine_file_is_a_folder_then_it_is_refused(pod: Pod, craft: Craft, name: str) -> None:
    image = craft.make(replaced(name, lambda layer, path: layer.folder(path)))
    pod("run", "--rm", image, "true").failed(125, f"/{name}")


@pytest.mark.parametrize("target", ["/", "/proc/self/root", "/proc", "../..", "/dev", "/sys", "/proc/self/fd"])
def test_start_when_etc_is_a_link_then_it_stays_inside(pod: Pod, craft: Craft, outside: Path, target: str) -> None:
    before = sorted(name.name for name in Path("/").iterdir())
    settles(pod("run", "--rm", craft.make(replaced("etc", symlink_to(target))), "/bin/true"))
    assert sorted(name.name for name in Path("/").iterdir()) == before


@pytest.mark.parametrize("target", ["/etc", "/proc", "/sys", "/dev", "../../../tmp", "/proc/self/cwd", "/loop"])
def test_start_when_a_volume_target_is_a_link_then_the_volume_is_mounted_inside(
    pod: Pod, craft: Craft, outside: Path, target: str
) -> None:
    def fill(layer: Layer) -> None:
        layer.symlink("data", target)
        layer.symlink("loop", "loop")

    image = craft.make(fill)
    settles(pod("run", "--rm", "-v", f"{outside}:/data:ro", image, "true", timeout=30))
    if not settles(pod("run", "--rm", "-v", "/data", image, "true", timeout=30)):
        assert target in ("/proc", "/loop", "/proc/self/cwd")
    settles(pod("run", "--rm", "--tmpfs", "/data", image, "true", timeout=30))


def test_start_when_a_parent_of_a_volume_is_a_link_to_the_host_then_it_is_made_inside(
    pod: Pod, craft: Craft, outside: Path
) -> None:
    image = craft.make(lambda layer: layer.symlink("data", str(outside)))
    pod("run", "--rm", "-v", "/data/new/deep", image, "true").ok()


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_start_when_run_is_no_folder_then_tmpfs_on_it_is_refused_or_inside(pod: Pod, craft: Craft, kind: str) -> None:
    makes: dict[str, Callable[[Layer, str], None]] = {
        "file": lambda layer, path: layer.add(path, b"x"),
        "fifo": crafted.fifo,
        "link": symlink_to("/proc/self/root/var"),
    }
    image = craft.make(lambda layer: makes[kind](layer, "run"))
    settles(pod("run", "--rm", "--tmpfs", "/run", image, "true", timeout=30))


def test_start_when_the_root_is_empty_then_the_program_is_not_found(pod: Pod, craft: Craft) -> None:
    image = craft.make(lambda layer: layer.folder("nothing"), base=False)
    pod("run", "--rm", image, "/bin/true").failed(127, "/bin/true")


def test_start_when_the_image_has_no_layer_then_it_is_one_line(pod: Pod, craft: Craft) -> None:
    pod("run", "--rm", craft.make(base=False), "/bin/true").failed(127, "/bin/true")


def test_start_when_workdir_is_an_inherited_descriptor_then_it_leads_nowhere(pod: Pod, craft: Craft) -> None:
    """CVE-2024-21626."""
    image = craft.make(config={"WorkingDir": "/proc/self/fd/7", "Cmd": ["sh"], "Env": [crafted.SEARCH]})
    script = ("sh", "-c", "pwd; ls -la; cat ../../../../../etc/shadow")
    pod("run", "--rm", image, *script).failed(125, "/proc/self/fd/7")
    for number in range(31):
        pod("run", "--rm", "-w", f"/proc/self/fd/{number}", image, *script).failed(125, f"/proc/self/fd/{number}")


@pytest.mark.parametrize("path", ["/proc/self/cwd", "/proc/1/cwd", "/proc/self/root", "/proc/self/task/1/root"])
def test_start_when_workdir_is_a_magic_link_then_it_is_the_containers_own(
    pod: Pod, craft: Craft, outside: Path, path: str
) -> None:
    image = craft.make()
    result = pod("run", "--rm", "-w", path, image, "sh", "-c", f"ls .; test ! -e ./{outside}/secret")
    if settles(result):
        assert "bin" in result.out.split()


@pytest.mark.parametrize("target", ["/proc/self/fd/5", "/proc/self/fd", "../../..", "/loop", "/dev/null"])
def test_start_when_workdir_passes_a_link_then_it_stays_inside(
    pod: Pod, craft: Craft, outside: Path, target: str
) -> None:
    def fill(layer: Layer) -> None:
        layer.symlink("work", target)
        layer.symlink("loop", "loop")

    image = craft.make(fill, {"WorkingDir": "/work/x", "Cmd": ["true"], "Env": [crafted.SEARCH]})
    settles(pod("run", "--rm", image))


def test_exec_when_workdir_is_an_inherited_descriptor_then_it_leads_nowhere(pod: Pod, craft: Craft) -> None:
    pod("run", "-d", "--name", "jailed", craft.make(), "sleep", "100").ok()
    for number in range(20):
        result = pod("exec", "-w", f"/proc/self/fd/{number}", "jailed", "cat", "../../../../etc/shadow")
        assert result.code != 0
        assert "root:" not in result.out
