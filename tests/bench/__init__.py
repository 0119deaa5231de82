"""`make bench`: pod beside its peers in one run.

measure   one process, timed: wall clock, CPU of it and of all that it leaves behind
peers     how each peer does the same thing here, or why it cannot
cases     start, exec, pull, extract: who takes part, how a round is prepared
networks  throughput, CPU, round trips, names, memory, starts beside pasta and slirp4netns
installs  what root emulation costs an installation
table     medians, 90th percentiles, ratios
"""

import sys
from pathlib import Path

# Started by root it runs as each test user by a bare Python, which has to be told where pod is.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))
