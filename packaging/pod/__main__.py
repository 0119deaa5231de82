"""``python -m pod``, and the source tree's way to run without installing: ``python packaging/pod/__main__.py``."""

from __future__ import annotations

import sys

if not __package__:
    # Started as a script: its folder would shadow the standard library's modules (pod/core, pod/cli, pod/ext).
    sys.path[:] = [entry for entry in sys.path if entry != __file__.rpartition("/")[0]]
    sys.path.insert(0, __file__.rpartition("/")[0] + "/..")

from pod.cli.main import main

sys.exit(main())
