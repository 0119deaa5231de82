"""Volumes and the syntax of mounts."""
