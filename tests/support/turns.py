"""Whose turn a test is: of those that concern every kind of user `make test` leaves half to users with sub-ids, half to
users without. As two users, and so in CI, all of them run; `make test-long` runs all of them as each.
"""

from __future__ import annotations

from zlib import crc32

BOTH = (
    "tests/faults/test_faults.py", "tests/soak/", "tests/test_", "tests/commands/test_readme.py",
    "tests/commands/test_services.py", "tests/conformance/test_transcripts.py", "tests/packaging/test_older.py",
)  # fmt: skip
"""How the names of tests begin that both run each time: faults and numbers promised for each, and whole flows."""
OWN = frozenset({"alike", "sub_ids", "no_sub_ids", "root"})
"""Marks of tests that one kind of user runs anyway."""


def is_other(name: str, marks: set[str], *, sub_ids: bool) -> bool:
    """Whether the test ``name`` (pytest's id, with its case) is not for a user who has, or has no, sub-ids, but for
    the other kind. The same on every machine; cases of one test fall to both.
    """
    if name.startswith(BOTH) or not OWN.isdisjoint(marks):
        return False
    return (crc32(name.encode("utf-8", "backslashreplace")) % 2 == 0) is not sub_ids
