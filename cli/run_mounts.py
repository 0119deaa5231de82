"""--mount, --volumes-from and --volume-driver of run and create."""

from __future__ import annotations

import os

from pod.core.errors import PodError, UsageError
from pod.core.volume import mount_syntax, store, syntax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.spec import Request


def add(request: Request, options: Options) -> None:
    """What they say joins what -v said. UsageError in Docker's words."""
    driver = options["volume-driver"]
    try:
        store.check_driver(driver)
    except PodError as error:
        raise UsageError(error.message, hint=error.hint) from None
    request.volume_driver = driver
    request.volumes += [mount(text) for text in options["mount"]]
    seen: set[str] = set()
    for spec in request.volumes:
        if spec.target in seen:
            raise UsageError(f"Duplicate mount point: {spec.target}")
        seen.add(spec.target)
    request.volumes_from = [syntax.parse_volumes_from(text) for text in options["volumes-from"]]


def mount(text: str) -> syntax.VolumeSpec:
    """One --mount."""
    from pod.cli import flag_values

    try:
        return mount_syntax.parse(flag_values.split_csv(text), os.getcwd(), flag_values.parse_bytes)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: {error}') from None
