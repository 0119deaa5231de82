"""``python3 -m tests.fuzz SECONDS [TARGET…]``: builds the targets and runs each for so long, two at once.

One line for each: how many inputs it took and how many places of the code (edges) they reached. Status 1 where one
found something: then its report follows, and the input lies in build/fuzz/found.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz import targets

AT_ONCE = 2


def summary(said: str) -> str:
    """ "1234567 inputs, 456 edges" out of libFuzzer's last lines."""
    inputs = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    edges = re.findall(r"cov: (\d+)", said)
    return f"{inputs.group(1) if inputs else '?'} inputs, {edges[-1] if edges else '?'} edges"


def main() -> int:
    """Of the command line."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    names = sys.argv[2:] or [target.name for target in targets.TARGETS]
    unknown = set(names) - {target.name for target in targets.TARGETS}
    if unknown or os.geteuid() == 0:
        why = f"no target {', '.join(sorted(unknown))}" if unknown else "not as root: inputs name files"
        print(f"make fuzz: {why}", file=sys.stderr)
        return 2
    folder = Path(os.environ.get("POD_FUZZ_BUILD") or targets.ROOT / "build/fuzz")
    try:
        targets.build(folder, names)
    except targets.NoCompiler as error:
        print(error, file=sys.stderr)
        return 2
    wanted = [target for target in targets.TARGETS if target.name in names]
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [(target, pool.submit(targets.run, folder, target, seconds, folder / "found")) for target in wanted]
        for target, job in jobs:
            fine, said = job.result()
            failed |= not fine
            print(f"{target.name:10} {seconds} s, {summary(said)}{'' if fine else ': FOUND SOMETHING'}", flush=True)
            if not fine:
                print(said[-6000:], flush=True)
    return int(failed)


raise SystemExit(main())
