"""A great many starts, one after the other, leave nothing and do not become slower; nor do containers in the store.

1000 of them in `make test`, 10 000 in `make soak` (POD_SOAK_RUNS); a hundred where Python takes part in each. From a
session that has a keyring of its own.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.soak.test_execs import _files
from tests.support import crowd, podcli, tools
from tests.support.podcli import Pod
from tests.support.registry import Registry

RECORDS = 1000
PAIRS = 40
SLOWER = 1.1
"""By how much a start may be slower in a store with RECORDS stopped containers."""
GROWN = 1.25
"""By how much the last hundredth of the starts may be slower than the first: other users' suites run beside us."""


def _built() -> bool:
    return podcli.command()[0].endswith("pod.pyz")


def _count() -> int:
    return int(os.environ.get("POD_SOAK_RUNS", "1000" if _built() else "100"))


def _words(image: str) -> tuple[str, ...]:
    return ("run", "--rm", "--network", "none", image, "true")


def _quick(done: list[crowd.Done]) -> float:
    """Seconds that the quicker ones took: of a busy machine these say the most."""
    return statistics.quantiles([one.seconds for one in done], n=4)[0]


def test_runs_by_the_thousand_leave_nothing_and_do_not_become_slower(pod: Pod, busybox: str) -> None:
    crowd.run(pod, [_words(busybox)] * 10, 1)
    assert pod.leftovers() == []
    files, keys = _files(pod), crowd.keys()
    count = _count()
    done = crowd.run(pod, [_words(busybox)] * count, 1, timeout=600 + count)
    assert [one for one in done if one.code or one.out or one.err] == []
    assert pod.leftovers() == []
    assert _files(pod) == files
    assert not crowd.keys_left(keys)
    part = max(count // 10, 30)
    first, last = _quick(done[:part]), _quick(done[-part:])
    for _ in range(5):  # what the machine does beside us may be more at the end than at the beginning
        if last < GROWN * first:
            break
        time.sleep(3)
        last = _quick(crowd.run(pod, [_words(busybox)] * part, 1))
    assert last < GROWN * first, (first, last)


def fill(pod: Pod, image: str, count: int) -> None:
    """Containers that have exited: copies of a real one's records."""
    pod("run", "--name", "first", "--network", "none", image, "true").ok()
    (name,) = (pod.root / "names").iterdir()
    original = name.read_text().strip()
    folder = pod.root / "containers" / original
    config, state = ((folder / file).read_text() for file in ("config.json", "state.json"))
    for number in range(1, count):
        identity = os.urandom(32).hex()
        copy = pod.root / "containers" / identity
        for part in ("upper", "work", "merged"):
            (copy / part).mkdir(parents=True, mode=0o700)
        text = config.replace(original, identity).replace('"/first"', f'"/other{number}"')
        (copy / "config.json").write_text(text)
        (copy / "state.json").write_text(state)
        (pod.root / "names" / f"other{number}").write_text(identity + "\n")


@pytest.fixture
def other_pod(registry: Registry) -> Iterator[Pod]:
    yield from podcli.fresh(registry.name)


def test_run_when_a_thousand_stopped_containers_lie_in_the_store_then_it_is_as_quick(
    fresh_pod: Pod, other_pod: Pod
) -> None:
    image = fresh_pod.image("busybox:latest")
    assert other_pod.image("busybox:latest") == image
    fill(fresh_pod, image, RECORDS)
    assert len(fresh_pod("ps", "-aq").ok().split()) == RECORDS
    pair = [(fresh_pod, _words(image)), (other_pod, _words(image))]
    crowd.run_all(pair * 4, 1)
    for _ in range(3):  # what the machine does beside us may hit one of the two
        done = crowd.run_all(pair * PAIRS, 1)
        assert [one for one in done if one.code] == []
        full, empty = (statistics.median([one.seconds for one in done[first::2]]) for first in (0, 1))
        if full <= SLOWER * empty:
            break
    else:
        raise AssertionError((full, empty))
    tools.remove_tree(fresh_pod.root)  # quicker than rm
