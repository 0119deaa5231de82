"""``make test-vm``: pod in virtual machines with other kernels; a table of what it found there, and what is wrong.

    python -m tests.vm [SUITE ...]

Each machine is booted once (some minutes where the processor has to be emulated) and tries every scenario of guest.sh.
"""

from __future__ import annotations

import sys
import time

from tests.vm import expect, image, machine

TIMEOUT = 1800.0


def main(suites: list[str]) -> int:
    tables: dict[str, dict[tuple[str, str, str], str]] = {}
    wrong: list[str] = []
    for suite in suites or list(image.SUITES):
        begin = time.monotonic()
        try:
            lines = machine.run(suite, TIMEOUT)
        except image.Lacking as error:
            sys.stderr.write(f"test-vm: {suite}: {error}\n")
            return 2
        except machine.Died as error:
            wrong.append(str(error))
            continue
        sys.stderr.write(f"test-vm: {suite}: {time.monotonic() - begin:.0f} s\n")
        tables[suite] = expect.parse(lines)
        wrong += [f"{suite}: {sentence}" for sentence in expect.judge(image.SUITES[suite], tables[suite])]
    sys.stdout.write(expect.table(tables))
    for sentence in wrong:
        sys.stdout.write(f"WRONG {sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
