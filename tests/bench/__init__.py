"""`make bench`: pod beside its peers in one run.

measure   one process, timed: wall clock, CPU of it and of all that it leaves behind
peers     how each peer does the same thing here, or why it cannot
cases     start, exec, pull, extract: who takes part, how a round is prepared
table     medians, 90th percentiles, ratios
"""
