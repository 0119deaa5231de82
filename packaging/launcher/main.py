"""__main__.py of pod.pyz: the cold start, and ``python3 pod.pyz``."""

import sys

if sys.version_info < (3, 9):  # noqa: UP036 - this very file is what an older Python meets
    sys.stderr.write("pod: start: %s: Python 3.9 or later is needed\n" % sys.executable)  # noqa: UP031
    sys.exit(125)

import _pod_cold

_pod_cold.start(__loader__)
