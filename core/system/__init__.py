"""The engine as a whole: what its store takes on the disk, tidying up, and its end."""
