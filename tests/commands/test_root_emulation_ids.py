"""Random set*id(2) by real processes of a container: the user with sub-ids asks the kernel, the other one the emulator.

Both are compared with creds.c step by step, so they agree with each other.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.podcli import Pod

HARNESS = Path(__file__).parents[1] / "ext/emulator_harness.c"
ROUNDS = int(os.environ.get("POD_FUZZ_ROUNDS", "300"))


@pytest.mark.parametrize("seed", ["1", "2", os.environ.get("POD_FUZZ_SEED", "3")])
def test_full_when_ids_are_changed_at_random_then_as_the_kernel_would(
    pod: Pod, busybox: str, tmp_path_factory: pytest.TempPathFactory, seed: str
) -> None:
    program = tmp_path_factory.getbasetemp() / "ids-harness"
    if not program.exists():
        compilers.build(compilers.host(), HARNESS, program, "-static", *compilers.EMULATOR)
    options = ("--rm", "--root-emulation=full", "--network=none", "-v", f"{program}:/harness:ro")
    said = pod("run", *options, busybox, "/harness", "creds", seed, str(ROUNDS * 2), timeout=60 + ROUNDS // 10)
    assert said.ok() == f"{ROUNDS * 2} lives, 0 differ\n"
