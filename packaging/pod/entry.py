"""How to start this very pod once more, and its static helper: the same words for the one file and the source tree.

    from the cache   <cache>/pod/<build>/_pod_run.py and site/pod/…      python -I -S _pod_run.py PYZ ARGS…
    out of the zip   PYZ/site-packages/pod/…                             python -I -S PYZ ARGS…
    the source tree  packaging/pod/…                                     python packaging/pod/__main__.py ARGS…
"""

from __future__ import annotations

import os
import sys

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def command() -> list[str]:
    """The argv, to be followed by pod's arguments, that runs this build again: absolute paths, no environment."""
    site = os.path.dirname(PACKAGE)
    archive = os.path.abspath(sys.argv[0])
    lean = os.path.dirname(site) + "/_pod_run.py"
    if os.path.exists(lean):
        return [sys.executable, "-I", "-S", lean, archive]
    if os.path.isdir(PACKAGE):
        return [sys.executable, PACKAGE + "/__main__.py"]
    return [sys.executable, "-I", "-S", os.path.dirname(site)]


def open_helper() -> int:
    """A descriptor (close-on-exec) to read the static helper's bytes from. OSError where it was not built."""
    try:
        return os.open(PACKAGE + "/ext/pod-helper", os.O_RDONLY | os.O_CLOEXEC)
    except NotADirectoryError:
        import zipimport

        site = os.path.dirname(PACKAGE)
        member = f"{site}/pod/_lib/{os.uname().machine}/pod-helper"
        data = zipimport.zipimporter(os.path.dirname(site)).get_data(member)
        fd = os.memfd_create("pod-helper", os.MFD_CLOEXEC)
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd
