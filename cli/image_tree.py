"""``pod images --tree``: each image, its names, below them its platform; docker/cli: image/tree.go.

    IMAGE               ID             DISK USAGE   CONTENT SIZE   USED
    busybox:latest      27a71e19c956       6.53MB         2.17MB    ✔
    └─ linux/amd64      355b3a1bf5f6       6.53MB         2.17MB    ✔

Disk usage counts the unpacked layers and the blobs, content size the blobs alone. A narrow terminal has fewer columns.
"""

from __future__ import annotations

import os
import sys

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine
    from pod.core.image.listing import Listed

_SPACING = 3
_NARROWEST = 12
_COLUMNS = (("ID", 12), ("DISK USAGE", 10), ("CONTENT SIZE", 12), ("USED", 4))
_WARNING = "This is an experimental feature. The output may change and shouldn't be depended on."


def show(engine: Engine, found: Sequence[Listed]) -> None:
    """Prints the tree; an empty line between two images."""
    from pod.core.image import listing, variant

    containers = listing.containers(engine)
    trees = []
    for listed in found:
        image = listed.image
        content = _content(engine, listed)
        used = "✔" if containers.get(image.id) else ""
        sizes = (output.human_size(image.record["size"] + content), output.human_size(content), used)
        names = [name.familiar() for name in listed.names if name.tag] or [listing.NONE]
        child = (f"└─ {variant.platform_of(image)}", image.record["manifest"][7:19], *sizes)
        trees.append((names, (image.short_id, *sizes), child))
    lines = [names[-1] for names, _, _ in trees] + [child[0] for _, _, child in trees]
    lines += [name for names, _, _ in trees for name in names]
    width, count = _layout(max(map(len, [*lines, "IMAGE"])))
    output.warning(_WARNING)
    blocks = []
    for names, details, child in trees:
        rows = [_cut(name, width) for name in names[:-1]]
        rows += [_row((names[-1], *details), width, count), _row(child, width, count)]
        blocks.append("".join(row.rstrip() + "\n" for row in rows))
    output.write(_row(("IMAGE", *(title for title, _ in _COLUMNS)), width, count).rstrip() + "\n" + "\n".join(blocks))


def _content(engine: Engine, listed: Listed) -> int:
    """Bytes of the blobs of an image: its layers, configuration and manifest."""
    record = listed.image.record
    total = sum(int(layer["size"]) for layer in record["layers"])
    for digest in (record["id"], record["manifest"]):
        try:
            total += os.stat(engine.paths.blob(digest)).st_size
        except FileNotFoundError:
            continue
    return total


def _layout(widest: int) -> tuple[int, int]:
    """Width of the first column, and how many others there is room for."""
    try:
        room = max(os.get_terminal_size(sys.stdout.fileno()).columns or 80, 20)
    except (OSError, ValueError, AttributeError):
        return widest, len(_COLUMNS)
    count = 0
    for _, width in _COLUMNS:
        if room - width - _SPACING < _NARROWEST:
            break
        room -= width + _SPACING
        count += 1
    return min(room, widest), count


def _row(cells: Sequence[str], width: int, count: int) -> str:
    """One line: the name and the id to the left, sizes to the right, the mark in the middle."""
    parts = [_cut(cells[0], width).ljust(width)]
    for number, (_, room) in enumerate(_COLUMNS[:count]):
        cell = cells[number + 1]
        parts.append((cell.ljust, cell.rjust, cell.rjust, cell.center)[number](room))
    return (" " * _SPACING).join(parts)


def _cut(text: str, width: int) -> str:
    text = output.visible(text)
    return text if len(text) <= width else text[: width - 3] + "..."
