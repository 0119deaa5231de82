"""`make bench`: pod beside its peers in one run.

measure   one process, timed: wall clock, CPU of it and of all that it leaves behind
peers     how each peer does the same thing here, or why it cannot
cases     start, exec, pull, extract: who takes part, how a round is prepared
installs  what root emulation costs an installation
table     medians, 90th percentiles, ratios
"""
