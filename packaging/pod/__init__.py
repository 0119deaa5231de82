"""pod: a container engine in one file, for people without root."""
