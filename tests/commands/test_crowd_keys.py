"""Containers of a session that has its own keyring: none gets that, also where the user's quota of keys is used up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import compilers, crowd
from tests.support.podcli import Pod, until


@pytest.fixture(scope="module")
def describe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Path(__file__).with_name("session_keyring.c")
    return compilers.build(compilers.host(), source, tmp_path_factory.mktemp("keys") / "describe", "-static")


@pytest.fixture(autouse=True)
def no_key_left() -> Iterator[None]:
    before = crowd.keys()
    yield
    assert not crowd.keys_left(before)


def words(program: Path, image: str, *more: str) -> tuple[str, ...]:
    """A container that tells its session keyring; Docker's profile lets nobody ask for it."""
    options = ("--rm", "--network", "none", "--security-opt", "seccomp=unconfined", "-v", f"{program}:/describe:ro")
    return ("run", *options, *more, image, "/describe")


def test_run_when_the_session_has_a_keyring_then_the_container_has_another(
    pod: Pod, busybox: str, describe: Path
) -> None:
    with crowd.shared_held():
        before = crowd.shared()
        (done,) = crowd.run(pod, [words(describe, busybox)], 1, apart=True)
        assert (done.code, done.err) == (0, "")
        kind, uid, _, _, name = done.out.strip().split(";")
        assert (kind, uid, name) == ("keyring", "0", "_ses")
        until(lambda: crowd.shared() == before, 20, "the keyring to go with the last supervisor")


def test_run_when_the_quota_of_keys_is_used_up_then_containers_share_one_keyring_of_pods(
    pod: Pod, sleeper: str, busybox: str, describe: Path
) -> None:
    run, user = words(describe, busybox), words(describe, busybox, "--user", "7:7")
    found: list[str] = []

    def shared_twice() -> bool:
        done = crowd.run(pod, [run, user, run, user, run, user, ("exec", sleeper, "echo", "in")], 1, used_up=True)
        assert [(one.code, one.err) for one in done] == [(0, "")] * 7
        assert done[-1].out == "in\n"
        found[:] = [one.out.strip().rpartition(";")[2] for one in done[:-1]]
        assert set(found) <= {crowd.SHARED, "_ses"}
        return found.count(crowd.SHARED) >= 2

    # "_ses": a key of somebody's went just then; beside many tests that may be so for most of them.
    until(shared_twice, 60, "containers to share a keyring")


def test_run_when_others_have_used_up_the_quota_of_keys_then_it_is_said(
    pod: Pod, busybox: str, describe: Path
) -> None:
    failed: list[crowd.Done] = []

    def refused() -> bool:
        done = crowd.run(pod, [words(describe, busybox)] * 3, 1, used_up=True, apart=True)
        failed[:] = [one for one in done if one.code]
        return bool(failed)

    # Not all of them: a key of somebody's may go at that moment.
    until(refused, 60, "a run to be refused")
    for one in failed:
        assert one.code == 125
        assert "keyring: disk quota exceeded" in one.err
        assert "hint: your user's quota of keys is used up" in one.err
