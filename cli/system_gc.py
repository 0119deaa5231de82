"""``pod system gc``: pod's own."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "gc",
    "[OPTIONS]",
    "Remove images that no container uses, the least recently used first, down to a size of the store",
    (
        ("dry-run", "", "bool", "Only say what would be removed"),
        ("max-size", "", "string", 'What the store may take, e.g. "20GB" (default: max-size in [store] of pod.toml)'),
    ),
    max_args=0,
    path="pod system gc",
)


def main(engine: Engine, options: Options) -> int:
    """Status 1 where the store is larger than the limit and nothing else may go."""
    from pod.cli import output
    from pod.core.image import gc

    dry = options["dry-run"]
    done = gc.collect(engine, _limit(engine, options), dry=dry)
    if done.removals:
        lines = "".join(f"{removal.kind.lower()}: {removal.what}\n" for removal in done.removals)
        output.write(f"{'Would delete' if dry else 'Deleted'} Images:\n{lines}\n")
    verb = "Reclaimable" if dry else "Total reclaimed"
    output.line(f"{verb} space: {output.human_size(done.reclaimed, 4)}")
    size, limit = output.human_size(done.size, 4), output.human_size(done.limit, 4)
    output.line(f"Store: {size} of {limit}")
    if done.size <= done.limit:
        return 0
    raise PodError(
        f"collect images: the store takes {size}, more than {limit}: what is left is used, kept or was pulled just now",
        hint="'pod system df' shows containers and volumes; 'pod system prune' removes what nobody uses",
    )


def _limit(engine: Engine, options: Options) -> int:
    if "max-size" not in options.given:
        if not engine.config.store.max_size:
            raise PodError(
                "collect images: there is no limit for the store",
                hint='give --max-size, or write max-size = "20GB" below [store] in pod.toml',
            )
        return engine.config.store.max_size
    from pod.core import config

    try:
        return config.parse_size(options["max-size"])
    except ValueError as error:
        raise UsageError(f'invalid argument "{options["max-size"]}" for "--max-size" flag: {error}') from None
