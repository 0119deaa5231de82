"""Dockerfiles of our own, each instruction, option and error: pod's images are buildah's, or what Docker's reference
says (tests/support/dockerfiles.py has the form of tests/conformance/dockerfiles).

    a sample    in every run               all of them    in the long one
    as root     buildah builds them anew, and what is written down is still what it makes; both users have one image

dockerfiles.DIFFERENCES are those from buildah: where the reference does not decide, and where it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_owners_rooted import PodOf
from tests.support import dockerfile_builds, dockerfiles, images, podcli, tools, users
from tests.support.dockerfile_builds import ByBuildah, ByPod, Failed, Site
from tests.support.dockerfiles import Case
from tests.support.registry import Registry

pytestmark = [pytest.mark.skopeo, pytest.mark.image("busybox:latest")]

LEAST = 200
MOST_UNDECIDED = 10
"""Differences from buildah in which Docker's reference does not decide."""
EVERY = 8
"""One in so many is in the sample."""
GROUPS = dockerfiles.groups()


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Site, Path, Registry]]:
    with dockerfile_builds.site() as found:
        yield found


@pytest.fixture(scope="module")
def builder(made: tuple[Site, Path, Registry]) -> Iterator[ByPod]:
    site, _, registry = made
    for pod in podcli.shared(registry.name):
        yield ByPod(pod, site, pod.image("busybox:latest"))


def wrong(builder: ByPod | ByBuildah, case: Case, bases: dict[str, Case], known: dict[str, Any]) -> str:
    """What is not as expected of one case; "" if all is well."""
    try:
        found = builder.build(case, bases)
    except Failed as error:
        said = str(error).lower()
        if not case.errors:
            return f"{case}: failed: {error}"
        missing = [words for words in case.errors if words.lower() not in said]
        return f"{case}: {missing} not in: {error}" if missing and isinstance(builder, ByPod) else ""
    if case.errors:
        return f"{case}: did not fail: {found}"
    wanted = known.get(case.name, {})
    lines = [f"  config {key}: {found['config'].get(key)} instead of {wanted.get('config', {}).get(key)}"
             for key in sorted(found["config"].keys() | wanted.get("config", {}).keys())
             if found["config"].get(key) != wanted.get("config", {}).get(key)]  # fmt: skip
    ours, theirs = set(found["tree"]), set(wanted.get("tree", []))
    lines += [f"  has {line}" for line in sorted(ours - theirs)]
    lines += [f"  lacks {line}" for line in sorted(theirs - ours)]
    return "\n".join([f"{case}:", *lines]) if lines else ""


def all_wrong(builder: ByPod | ByBuildah, cases: list[Case], bases: dict[str, Case], group: str) -> list[str]:
    known = dockerfiles.expected(group)
    return [text for text in (wrong(builder, case, bases, known) for case in cases) if text]


@pytest.mark.alike
def test_corpus_when_counted_then_large_and_differences_are_named() -> None:
    cases = [case for group in GROUPS for case in dockerfiles.read(group)[0]]
    assert len(cases) >= LEAST
    assert len({case.name for case in cases}) == len(cases)
    assert {case.differs for case in cases if case.differs} | {"path"} == dockerfiles.DIFFERENCES.keys()
    assert len(dockerfiles.UNDECIDED) <= MOST_UNDECIDED
    for group in GROUPS:
        named = {case.name for case in dockerfiles.read(group)[0] if not case.errors}
        assert named == dockerfiles.expected(group).keys(), group


@pytest.mark.parametrize("group", GROUPS)
def test_sample_of_the_corpus_when_built_then_as_expected(builder: ByPod, group: str) -> None:
    cases, bases = dockerfiles.read(group)
    assert not all_wrong(builder, cases[::EVERY], bases, group)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_corpus_when_built_then_as_expected(builder: ByPod, group: str) -> None:
    cases, bases = dockerfiles.read(group)
    found = all_wrong(builder, cases, bases, group)
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def buildah(made: tuple[Site, Path, Registry]) -> ByBuildah:
    site, layout, _ = made
    try:
        return ByBuildah(site, layout)
    except (tools.CommandFailed, OSError) as error:
        pytest.skip(f"capability tree {images.BUILDAH_SUITE} with buildah: {error}")


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.mmdebstrap
@pytest.mark.parametrize("group", GROUPS)
def test_corpus_when_buildah_builds_it_then_still_as_written_down(buildah: ByBuildah, group: str) -> None:
    cases, bases = dockerfiles.read(group)
    found = all_wrong(buildah, [case for case in cases if not case.reason], bases, group)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.mmdebstrap
@pytest.mark.parametrize("group", GROUPS)
def test_corpus_when_buildah_builds_what_differs_then_it_still_does(buildah: ByBuildah, group: str) -> None:
    """Nothing is called a difference, or a syntax that buildah does not have, which is none any more."""
    cases, bases = dockerfiles.read(group)
    known = dockerfiles.expected(group)
    same = [repr(case) for case in cases if case.reason and not wrong(buildah, case, bases, known)]
    assert not same, same


@pytest.mark.slow
@pytest.mark.root
def test_corpus_when_both_users_build_it_then_one_image_each(made: tuple[Site, Path, Registry]) -> None:
    """The same digest, with and without sub-ids."""
    site, _, registry = made
    pods = [PodOf(name) for name in (users.WITHOUT_SUB_IDS, users.WITH_SUB_IDS)]
    try:
        with ThreadPoolExecutor(len(pods)) as pool:
            alone, mapped = pool.map(lambda pod: digests(pod, site, registry), pods)
    finally:
        for pod in pods:
            pod.destroy()
    assert len(alone) > LEAST / 2
    assert {name: (one, mapped.get(name)) for name, one in alone.items() if mapped.get(name) != one} == {}


def digests(pod: PodOf, site: Site, registry: Registry) -> dict[str, str]:
    base = registry.name("busybox:latest")
    pod("pull", "-q", base).ok()
    place = site.place / pod.user.pw_name
    place.mkdir()
    own = Site(place, site.values["url"], [])
    for path in (place, *place.rglob("*")):
        os.lchown(path, pod.user.pw_uid, pod.user.pw_gid)
    (place / "context/suid").chmod(0o4755)  # which a change of owner takes away
    pod.variables.update(dockerfile_builds.EPOCH)
    builder = ByPod(pod, own, base)
    found = {}
    for group in GROUPS:
        cases, bases = dockerfiles.read(group)
        found.update({repr(case): builder.digest(case, bases) for case in cases if not case.errors})
    return found
