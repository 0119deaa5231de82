"""``pod commit``; docker/cli: container commit."""

from __future__ import annotations

import os
import time

from pod.cli.options import Command
from pod.core import moments
from pod.core.errors import InvalidReference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference

COMMAND = Command(
    "commit",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    (
        ("author", "a", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        ("change", "c", "list", "Apply Dockerfile instruction to the created image"),
        ("message", "m", "string", "Commit message"),
        ("no-pause", "", "bool", "Disable pausing container during commit"),
        ("pause", "p", "bool", "Pause container during commit (deprecated: use --no-pause instead)", True, True),
    ),
    min_args=1,
    max_args=2,
    aliases=("pod container commit", "pod commit"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import commit, store

    wishes = commit.Wishes(_created())
    wishes.reference = _reference(options.args[1]) if len(options.args) > 1 and options.args[1] else None
    wishes.author, wishes.message = options["author"], options["message"]
    wishes.changes = options["change"]
    wishes.pause = options["pause"] and not options["no-pause"]
    image = commit.commit(engine, store.find(engine, options.args[0]), wishes)
    output.line(image.id)
    return 0


def _reference(text: str) -> Reference:
    from pod.core.oci import reference as references

    try:
        found = references.parse(text).with_default_tag()
    except InvalidReference as error:
        said = error.message.removesuffix(f": {text}")
        raise InvalidReference(f'Error parsing reference: "{text}" is not a valid repository/tag: {said}') from None
    if found.digest:
        raise InvalidReference("refusing to create a tag with a digest reference")
    return found


def _created() -> str:
    """Now, or what SOURCE_DATE_EPOCH says (https://reproducible-builds.org/specs/source-date-epoch/), RFC 3339, UTC."""
    seconds = moments.source_date_epoch(os.environ)
    if seconds is None:
        return moments.rfc3339(time.time_ns())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
