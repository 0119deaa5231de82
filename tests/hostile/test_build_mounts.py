"""RUN --mount that attacks: where it is from, where it goes, what it is called; and what goes on at the same time."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from tests.support import layers
from tests.support.crafted import Craft
from tests.support.podcli import Pod, Result

SECRET = "of the host\n"


@pytest.fixture
def base(craft: Craft, outside: Path) -> str:
    """busybox with links to the host's paths: /out leads to the folder ``outside``, /up above everything."""

    def links(layer: layers.Layer) -> None:
        layer.symlink("out", str(outside))
        layer.symlink("up", "../../../../../../../.." + str(outside))

    return craft.make(links)


def build(pod: Pod, folder: Path, text: str, *flags: str) -> Result:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    words = ["build", "--progress", "plain", "--network", "none", "-t", "made:1", *flags, str(folder)]
    return pod(*words, timeout=120)


@pytest.mark.alike
@pytest.mark.parametrize("target", ["/out", "/up/made", "/../../up/secret/../made"])
@pytest.mark.parametrize("kind", ["cache", "tmpfs", "bind,rw", "secret,id=s"])
def test_mount_when_the_target_is_a_link_out_then_inside(
    pod: Pod, base: str, outside: Path, tmp_path: Path, target: str, kind: str
) -> None:
    text = f"FROM {base}\nRUN --mount=type={kind},target={target} cat /out/secret /up/secret; ls /out/ >&2; true\n"
    said = build(pod, tmp_path / "context", text, "--secret", "id=s,env=HOME")
    assert SECRET not in said.err.replace("#", "")
    assert [path.name for path in outside.iterdir()] == ["secret"]


@pytest.mark.alike
@pytest.mark.parametrize("source", ["link", "../outside", "d/../../../outside", "chain/secret", "/up"])
def test_mount_when_the_source_leads_out_then_inside(
    pod: Pod, base: str, outside: Path, tmp_path: Path, source: str
) -> None:
    context = tmp_path / "context"
    (context / "d").mkdir(parents=True)
    (context / "link").symlink_to(outside)
    (context / "chain").symlink_to("link")
    look = "find /seen -name secret; cat /seen /seen/secret 2>/dev/null; true"
    for flags in ("type=bind", "type=bind,rw", f"type=bind,from={base}", f"type=cache,from={base}"):
        text = f"FROM {base}\nRUN --mount={flags},source={source},target=/seen {look}\n"
        said = build(pod, context, text)
        assert said.code in (0, 1)
        assert "of the host" not in said.err
        (context / ".dockerignore").write_text("nothing\n")  # then it is copied


@pytest.mark.alike
@pytest.mark.parametrize("name", ["../../../outside", "/etc", "..", "a/../../b", "x" * 5000])
def test_cache_mount_when_its_id_is_a_path_then_only_a_name(
    pod: Pod, base: str, outside: Path, tmp_path: Path, name: str
) -> None:
    before = set(pod.root.glob("builder/mounts/*/_data"))
    text = f"FROM {base}\nRUN --mount=type=cache,id={name},target=/seen ls -A /seen >/list && touch /seen/made\n"
    build(pod, tmp_path / "context", text).ok()
    assert pod("run", "--rm", "--network", "none", "made:1", "cat", "/list").ok() == ""
    (made,) = [path for path in pod.root.glob("builder/mounts/*/_data/made") if path.parent not in before]
    assert len(made.parent.parent.name) == 32


@pytest.mark.parametrize("kind", ["cache", "tmpfs", "bind", "secret,id=s"])
def test_mount_when_its_place_becomes_a_link_then_nothing_outside_is_removed(
    pod: Pod, base: str, outside: Path, tmp_path: Path, kind: str
) -> None:
    """CVE-2024-23652: what was made for the mount is taken away afterwards, wherever a link leads by then."""
    victim = outside / "b"
    victim.mkdir()
    (victim / "c").touch()
    text = f"FROM {base}\nRUN --mount=type={kind},target=/a/b/c mkdir /d && mv /a /d/ && ln -s {outside} /a\n"
    said = build(pod, tmp_path / "context", text, "--secret", "id=s,env=HOME")
    assert said.code in (0, 1)
    assert (victim / "c").exists()
    (victim / "c").unlink()
    victim.rmdir()


@pytest.mark.alike
def test_cache_mount_when_another_step_swaps_its_source_for_links_then_never_out(
    pod: Pod, base: str, outside: Path, tmp_path: Path
) -> None:
    """CVE-2024-23651: ``source`` of a cache that a parallel step changes; CVE-2024-11218 with a folder in its way."""
    swap = (
        "mkdir -p /c/x/sub /c/y/sub; ln -sfn OUTSIDE /c/y/sub/link; touch /c/x/ready; "
        "while [ ! -e /c/x/end ]; do ln -sfn OUTSIDE /c/new; mv -T /c/new /c/x/sub 2>/dev/null || rm -rf /c/x/sub; "
        "mkdir -p /c/x/sub; ln -sfn ../../../../../../../OUTSIDE /c/x/n2; mv -T /c/x/sub /c/x/o 2>/dev/null; "
        "mv -T /c/x/n2 /c/x/sub; rm -rf /c/x/sub /c/x/o; mkdir /c/x/sub; done"
    ).replace("OUTSIDE", str(outside))
    text = f"FROM {base}\nRUN --mount=type=cache,id=race,target=/c {swap}\n"
    swapping = threading.Thread(target=lambda: build(pod, tmp_path / "swapping", text, "--no-cache"))
    swapping.start()
    read = "cat /seen/secret; ls -A /seen; true"
    codes = []
    try:
        for number in range(8):
            source = "x/sub" if number % 2 else "x/sub/"
            mount = f"--mount=type=cache,id=race,source={source},target=/seen"
            said = build(pod, tmp_path / "reading", f"FROM {base}\nRUN {mount} {read}\n", "--no-cache")
            assert "of the host" not in said.err
            assert said.code in (0, 1)
            codes.append(said.code)
    finally:
        end = f"FROM {base}\nRUN --mount=type=cache,id=race,target=/c mkdir -p /c/x && touch /c/x/end\n"
        build(pod, tmp_path / "ending", end, "--no-cache").ok()
        swapping.join(60)
    assert not swapping.is_alive()
    assert 0 in codes


@pytest.mark.alike
def test_cache_mount_when_stages_race_for_it_then_each_has_its_turn_or_its_own(
    pod: Pod, base: str, tmp_path: Path
) -> None:
    """locked: one after the other; private: never the same at once; shared: both in it."""
    step = (
        "RUN --mount=type=cache,id=I,sharing=S,target=/c sh -c 'mkdir /c/busy && echo alone >/said || echo met >/said; "
        "sleep 1; rmdir /c/busy 2>/dev/null; true'"
    )
    for sharing, expected in (("locked", {"alone"}), ("private", {"alone"}), ("shared", {"alone", "met"})):
        one = step.replace("I", f"turns-{sharing}").replace("sharing=S", f"sharing={sharing}")
        text = "".join(f"FROM {base} AS s{number}\nRUN echo {number} >/n\n{one}\n" for number in range(3))
        text += f"FROM {base}\n" + "".join(f"COPY --from=s{number} /said /said{number}\n" for number in range(3))
        build(pod, tmp_path / "context", text, "--no-cache").ok()
        said = pod("run", "--rm", "--network", "none", "made:1", "cat", "/said0", "/said1", "/said2").ok()
        assert set(said.split()) == expected, sharing


def test_secret_when_the_build_is_over_then_nowhere_in_store_history_or_log(
    pod: Pod, base: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden-words-of-the-caller")
    text = (
        f"FROM {base}\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=TOKEN wc -c /run/secrets/s && "
        'test "$TOKEN" = "$(cat /run/secrets/s)" && ls -l /run /proc/self/fd\n'
    )
    said = ""
    for progress in ("plain", "rawjson"):
        flags = ("--no-cache", "--progress", progress, "--secret", f"id=s,src={secret}")
        done = build(pod, tmp_path / "context", text, *flags)
        said += done.out + done.err + str(done.code)
    assert "hidden-words" not in said
    assert said.endswith("0")
    assert "hidden-words" not in pod("history", "--no-trunc", "made:1").ok() + str(pod.inspect("made:1"))
    assert pod("run", "--rm", "made:1", "ls", "-d", "/run").err == "ls: /run: No such file or directory\n"
    found = subprocess.run(["grep", "-rlF", "hidden-words", str(pod.root)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
