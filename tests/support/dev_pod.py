"""Runs pod out of the working tree: ``dev_pod.py LIBRARIES ARGUMENTS…``. This is what ``POD_UNDER_TEST=dev`` means."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging"))
sys.path.append(sys.argv.pop(1))

from pod.cli.main import main

sys.exit(main())
