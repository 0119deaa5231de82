"""What the prune commands ask before and say after."""

from __future__ import annotations

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.cli.options import Options


def agreed(options: Options, warning: str) -> bool:
    """Whether to go on: ``--force``, or a yes to the question. A no ends the command with status 0, as in Docker."""
    if options["force"]:
        return True
    from pod.cli import prompt

    return prompt.confirm(f"WARNING! {warning}\nAre you sure you want to continue?")


def report(kind: str, gone: Sequence[str], reclaimed: int) -> None:
    """Docker's closing words: what is gone, if anything, and the bytes that are free again."""
    if gone:
        output.write(f"Deleted {kind}:\n" + "".join(one + "\n" for one in gone) + "\n")
    output.line("Total reclaimed space: " + output.human_size(reclaimed, 4))
