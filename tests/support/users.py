"""The two unprivileged users of the suite, made by root: ``python3 -m tests.support.users``.

podsub   has sub-ids (100000:65536): containers get a range of ids
podone   has none: containers get a single id
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import tools

WITH_SUB_IDS = "podsub"
WITHOUT_SUB_IDS = "podone"
RANGE = "100000:65536"


def ensure() -> list[str]:
    """Makes both users if they are missing; returns their names. Root only."""
    for name in (WITH_SUB_IDS, WITHOUT_SUB_IDS):
        try:
            pwd.getpwnam(name)
        except KeyError:
            tools.call(["useradd", "--create-home", "--shell", "/bin/bash", name])
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if line.partition(":")[0] not in (WITH_SUB_IDS, WITHOUT_SUB_IDS)]
        wanted = [*kept, f"{WITH_SUB_IDS}:{RANGE}"]
        if sorted(wanted) != sorted(lines):
            path.write_text("\n".join(wanted) + "\n")
    return [WITH_SUB_IDS, WITHOUT_SUB_IDS]


def as_user(name: str, argv: list[str]) -> list[str]:
    """The same command as that user, with its groups and a clean environment of its own."""
    entry = pwd.getpwnam(name)
    names = ("CI", "POD_UNDER_TEST", "POD_TEST_CACHE", "POD_SOAK_EXECS", "POD_SOAK_RUNS")
    names += tuple(f"POD_FAULTS{name}" for name in ("", "_PART", "_RESULTS", "_ONLY", "_OTHERS"))
    kept = {key: os.environ[key] for key in names if key in os.environ}
    environ = {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name, "PATH": tools.SEARCH, "LANG": "C.UTF-8", **kept}
    words = [f"{key}={value}" for key, value in environ.items()]
    ids = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]
    return [tools.find("setpriv") or "setpriv", *ids, "--", "/usr/bin/env", "-i", *words, *argv]


@contextlib.contextmanager
def divided_cgroup(name: str) -> Iterator[list[str]]:
    """Words before a command that begin it where tools.delegated_cgroup finds a cgroup of that user's: the command is
    in a part that is root's, and its user may move processes to parts made beside it. [] where the host has none.
    Where the host has controllers of version 1 there are groups of them too, for tools.split_cgroups.
    """
    place = tools.cgroup_root()
    folder = place / f"pod-suite-{name}-{os.getpid()}" if place else None
    try:
        assert folder is not None
        (folder / "rest").mkdir(parents=True)
    except (OSError, AssertionError):
        yield []
        return
    split = [Path(f"/sys/fs/cgroup/{controller}/{folder.name}") for controller in tools.SPLIT]
    split = [path for path in split if path.parent.is_dir() and (path.parent / "cgroup.clone_children").exists()]
    for path in split:
        tools.make_split_cgroup(path)
    for path in (folder, *split):
        shutil.chown(path, name)
        shutil.chown(path / "cgroup.procs", name)
    try:
        yield ["sh", "-c", f'echo $$ >"{folder}/rest/cgroup.procs"; exec "$@"', "sh"]
    finally:
        with contextlib.suppress(OSError):  # what a failed test left may be in there
            for place in (folder, *split):
                for path in [path for path in place.iterdir() if path.is_dir()]:
                    path.rmdir()
                place.rmdir()


if __name__ == "__main__":
    sys.stdout.write(" ".join(ensure()) + "\n")
