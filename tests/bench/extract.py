"""Unpacks one layer with the engine of the working tree: ``extract.py BLOB TARGET``, a process that is measured."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging"))

from pod.ext import layer


def main(blob: str, target: str) -> None:
    source = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    owners = os.open(target + ".owners", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    layer.extract(source, root, owners, mapped=False, max_bytes=1 << 36, max_entries=1 << 24)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
