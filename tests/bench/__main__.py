"""`python3 -m tests.bench [--rounds N] [--only CASE,…]`: one table a case, peers beside pod.

By a person: as that person. By root: once as each of the two test users, in a mount namespace of its own where the
second cgroup hierarchy of a hybrid host is hidden (crun refuses to start beside it) and anybody may open /dev/net/tun,
as distributions have it (pasta and slirp4netns need it). Ratios of one run hold; absolute
times are of this machine at this hour. Needs nothing but the standard library: started by root it is /usr/bin/python3.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.bench import (
    archives,
    build_installs,
    builds,
    commits,
    composes,
    counting,
    emulation,
    installs,
    living,
    logging,
    measure,
    networks,
    peers,
    pushes,
    table,
)
from tests.support import images, places, prepare, tools, users
from tests.support.registry import Registry

CASES = (
    *("start", "limits", "exec", "life", "network", "logs", "emulation"),
    *("pull", "push", "archives", "commit", "build", "build-install", "compose", "extract", "install"),
)


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def report(
    title: str,
    subjects: list[measure.Subject],
    missing: list[str],
    rounds: int,
    bases: list[str],
    goals: Mapping[str, float] | None = None,
) -> None:
    """Measures and prints one case; ``goals``: most that pod may take, as shares of peers' medians."""
    with tempfile.NamedTemporaryFile(prefix="pod-bench-") as log:
        missing = missing + measure.interleave(subjects, rounds, Path(log.name))
    say(
        *table.render(title, subjects, bases),
        *table.verdicts(subjects, goals or {}),
        *(f"  left out: {' '.join(line.split())[:300]}" for line in missing),
        "",
    )


def run_cases(bench: peers.Bench, cases: list[str], rounds: int, results: str) -> None:
    if "start" in cases:
        subjects, missing = peers.starts(bench)
        bases = ["python3 -I -S -c pass", "crun", "podman"]
        report("start: run --rm --network none busybox true (ms)", subjects, missing, rounds, bases, table.START_GOALS)
    if "limits" in cases:
        for title, subjects in peers.limited(bench):
            title = f"start: run -m 100m --cpus 1, {title} (ms)"
            report(title, subjects, [], rounds, ["no limits"], {"no limits": 1.15})
    if "exec" in cases:
        subjects, missing = peers.execs(bench)
        try:
            report("exec: true in a running container (ms)", subjects, missing, rounds, ["crun", "podman"])
        finally:
            peers.end_sleepers(bench)
    few = max(5, rounds // 6)
    if "network" in cases:
        run_networks(bench, rounds)
    if "logs" in cases:
        run_logs(bench, max(1, rounds // 10))
    if "life" in cases:
        run_lives(bench, rounds, few)
    if "emulation" in cases and not tools.sub_ids():
        run_emulation(bench, rounds, few)
    peers.settle()
    run_images(bench, cases, rounds, results)


def run_images(bench: peers.Bench, cases: list[str], rounds: int, results: str) -> None:
    """What fills the disk; the first of them before anything is removed (peers.extractions)."""
    few = max(5, rounds // 6)
    if "extract" in cases:
        run_extractions(bench, few)
    if "pull" in cases:
        run_pulls(bench, few)
    if "push" in cases and images.built("debian:12"):
        run_pushes(bench, few)
    if "archives" in cases and images.built("debian:12"):
        run_archives(bench, few)
    if "commit" in cases:
        run_commits(bench, few)
    run_all_builds(bench, cases, rounds)
    if "compose" in cases:
        run_applications(bench, few)
    if "install" in cases:
        subjects, missing = installs.subjects(bench)
        report("install: apt-get install of postgresql and others (ms)", subjects, missing, max(3, rounds // 12), [])
        if results:
            installs.note(Path(results), subjects)


def run_applications(bench: peers.Bench, rounds: int) -> None:
    applications = composes.Applications(bench)
    base = "podman-compose"
    try:
        for case, (title, goal) in composes.CASES.items():
            subjects = applications.subjects(case)
            report(f"compose: {title} (ms)", subjects, applications.missing, rounds, [base], {base: goal})
            applications.end()
        say(*applications.crowd(), "")
    finally:
        applications.end()


def run_logs(bench: peers.Bench, rounds: int) -> None:
    """1 GB of lines, and the CPU time of who keeps them."""
    try:
        say(*logging.run(bench, rounds), "")
    except (peers.MissingPeer, OSError, subprocess.SubprocessError) as error:
        say(f"logs: {error}", "")


def run_emulation(bench: peers.Bench, rounds: int, few: int) -> None:
    """With one id: what full root emulation costs."""
    try:
        say(*emulation.calls(bench), "")
    except emulation.Missing as error:
        say(f"calls: {error}", "")
    for title, make, count, goal in (
        ("start, full emulation beside none (ms)", emulation.starts, rounds, 1.05),
        ("4 Python programs that import 200 modules (ms)", emulation.python, few, 1.05),
        ("make -j2 of 24 C files (ms)", emulation.make, few, 1.1),
    ):
        try:
            report(title, make(bench), [], count, ["off"], {"off": goal})
        except emulation.Missing as error:
            say(f"{title}: {error}", "")


def run_networks(bench: peers.Bench, rounds: int) -> None:
    """Starts on a network, then what goes through it."""
    subjects, missing = networks.starts(bench)
    title = "start: run --rm busybox true on the bridge (ms)"
    report(title, subjects, missing, rounds, ["pod none", "podman"], {"pod none": 1.3, "podman": 0.12})
    say(*networks.run(bench, max(3, rounds // 8)), "")


def run_lives(bench: peers.Bench, rounds: int, few: int) -> None:
    """What people do to containers that live, beside podman."""
    goals = living.GOALS
    title = "run -d: until it returns (ms)"
    report(title, living.detached(bench), [], rounds, ["podman"], {"podman": goals["run -d"]})
    title = f"rm: a container that wrote {living.FILES} files (ms)"
    report(title, living.removals(bench), [], few, ["podman"], {"podman": goals["rm"]})
    subjects, clear = living.listings(bench)
    title = f"ps -a: {living.CONTAINERS} containers (ms)"
    report(title, subjects, [], rounds, ["podman"], {"podman": goals["ps"]})
    clear()


def run_pulls(bench: peers.Bench, rounds: int) -> None:
    """An image as most are, and one whose layer is all names."""
    if images.built("debian:12"):
        subjects, missing = peers.pulls(bench, bench.registry.name("debian:12"))
        report("pull: debian:12 into an empty store (ms)", subjects, missing, rounds, ["podman"], {"podman": 0.35})
        peers.settle()
    server, image = peers.serve_small_files(bench)
    try:
        subjects, missing = peers.pulls(bench, image)
        title = "pull: 60000 small files into an empty store (ms)"
        report(title, subjects, missing, rounds, ["podman"], {"podman": 0.3})
    finally:
        server.stop()


def run_pushes(bench: peers.Bench, rounds: int) -> None:
    """An image as most are, into an empty registry."""
    with Registry(bench.scratch / "push-storage", bench.scratch / "push-registry") as target:
        subjects, missing = pushes.subjects(bench, bench.registry.name("debian:12"), target)
        title = "push: debian:12 into an empty registry (ms)"
        report(title, subjects, missing, rounds, ["podman"], pushes.GOALS)


def run_archives(bench: peers.Bench, rounds: int) -> None:
    """A Debian image out of a store and into one, as Docker's archive."""
    both = archives.Archives(bench)
    goal = {"podman": archives.GOALS["save"]}
    report("save: debian:12 to a file (ms)", both.saves(), both.missing, rounds, ["podman"], goal)
    goal = {"podman": archives.GOALS["load"]}
    report("load: debian:12 into an empty store (ms)", both.loads(), both.missing, rounds, ["podman"], goal)
    goal = {"podman": archives.GOALS["rmi"]}
    report("rmi: debian:12, until it returns (ms)", both.removals(), both.missing, rounds, ["podman"], goal)


def run_commits(bench: peers.Bench, rounds: int) -> None:
    """A layer that is all names."""
    image = bench.registry.name("busybox:latest")
    subjects, missing = commits.subjects(bench, image, peers.small_files_layer(bench))
    title = "commit: a container that wrote 60000 small files (ms)"
    report(title, subjects, missing, rounds, ["podman"], {"podman": commits.GOAL})
    removed = commits.removals(subjects)
    title = "rmi: an image with a layer of 60000 small files, until it returns (ms)"
    report(title, removed, missing, rounds, ["podman"], {"podman": commits.GOAL_REMOVAL})


def run_all_builds(bench: peers.Bench, cases: list[str], rounds: int) -> None:
    if "build" in cases:
        run_builds(bench, min(rounds, max(5, rounds // 6)))
    if "build-install" in cases:
        run_build_installs(bench, max(3, rounds // 12))


def run_builds(bench: peers.Bench, rounds: int) -> None:
    """Small steps, the same again, and many files."""
    made = builds.Builds(bench, bench.registry.name("busybox:latest"))
    for case, title in (
        ("steps", "build: 10 small RUNs (ms)"),
        ("cached", "build: the same again, all from the cache (ms)"),
        ("copy", f"build: COPY of {builds.FILES} files (ms)"),
    ):
        report(title, made.subjects(case), made.missing, rounds, ["buildah"], {"buildah": builds.GOALS[case]})


def run_build_installs(bench: peers.Bench, rounds: int) -> None:
    """The same work in a step and in a container."""
    title = "build: apt-get install in RUN (ms)"
    try:
        found = build_installs.subjects(bench)
    except build_installs.Missing as error:
        say(f"{title}: {error}", "")
        return
    beside = build_installs.BESIDE
    report(title, found, [], rounds, [beside], {beside: build_installs.GOAL})


def run_extractions(bench: peers.Bench, rounds: int) -> None:
    """A layer as most are, one that is all names, one that is all bytes."""
    cases = []
    if images.built("debian:12"):
        cases.append(("a Debian base layer", "debian", images.first_layer("debian:12"), 0.40))
    cases.append(("60000 small files", "many", peers.small_files_layer(bench), 0.60))
    if images.built("debian:12"):
        cases.append(("8 files of 128 MiB", "big", peers.big_files_layer(bench), 0.35))
    for title, label, blob, goal in cases:
        subjects, missing = peers.extractions(bench, blob, label, keep=label != "big")
        bases = ["tar -xzp"]
        report(f"extract: {title}, gzip (ms)", subjects, missing, rounds, bases, {"tar -xzp": goal})
        peers.settle()


def run_stats(folder: Path, rounds: int) -> None:
    """Root's case: podman as root beside pod of each user."""
    measure.adopt_orphans()
    try:
        with counting.podman(folder / "podman") as peer:
            for name in users.ensure():
                with counting.held_by(name, str(folder)) as subjects:
                    title = f"stats --no-stream: {counting.CONTAINERS} containers, pod as {name}, podman as root (ms)"
                    peer.samples = []
                    report(title, [peer, *subjects], [], rounds, ["podman"], {"podman": counting.GOAL})
    except (peers.MissingPeer, OSError, subprocess.SubprocessError) as error:
        say(f"stats: {error}", "")


def drop_caches() -> None:
    """Else the kernel reclaims memory on the second core while the second user's cases run."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError as error:
        say(f"the page cache stays full: {error}", "")


def as_both_users(arguments: list[str], scratch: str, cases: list[str], rounds: int) -> int:
    """Root's part: hides the unified hierarchy in a new mount namespace and starts one run for each user.

    What the first leaves is removed after the second: see peers.extractions for what removals do to ext4.
    """
    prepare.prepare(list(images.RECIPES))
    hide = "mountpoint -q /sys/fs/cgroup/unified && umount -l /sys/fs/cgroup/unified; "
    hide += "mount -t tmpfs -o mode=755 tun /dev/net && mknod -m 666 /dev/net/tun c 10 200; "
    hide += 'exec "$@"'
    status = 0
    folder = Path(tempfile.mkdtemp(prefix="pod-bench-", dir=scratch))
    try:
        folder.chmod(0o777)
        results = folder / "results"
        results.touch()
        results.chmod(0o666)
        for name in users.ensure():
            drop_caches()
            words = [*arguments, "--scratch", str(folder), "--results", str(results), "--leave"]
            command = users.as_user(name, [peers.PYTHON, "-m", "tests.bench", *words])
            unshare = [tools.find("unshare") or "unshare", "--mount", "--propagation", "private"]
            argv = [*unshare, "--", "/bin/sh", "-c", hide, "sh", *command]
            with users.divided_cgroup(name):
                status = subprocess.run(argv, cwd=places.REPOSITORY, check=False).returncode or status
        say(*installs.compare(results))
        if "limits" in cases:
            run_stats(folder, rounds)
    finally:
        tools.remove_tree(folder, seconds=None)  # millions of files
    return status


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of start and exec (pull and extract: a sixth)")
    parser.add_argument("--only", default=",".join(CASES), help="cases, separated by commas")
    parser.add_argument("--scratch", default="/var/tmp", help="where the stores are made (/dev/shm: without a disk)")
    parser.add_argument("--results", default="", help="a file for what root compares between both users")
    parser.add_argument("--leave", action="store_true", help="what was made on the disk stays there")
    parser.add_argument("--hold", action="store_true", help="for root: containers, until the input ends")
    options = parser.parse_args(arguments)
    if os.getuid() == 0:
        return as_both_users(arguments, options.scratch, options.only.split(","), options.rounds)
    prepare.prepare(list(images.RECIPES))
    ids = "a range of sub-ids" if tools.sub_ids() else "a single id"
    load = os.getloadavg()[0]
    if not options.hold:
        say(f"== {ids}, Linux {platform.release()}, {os.cpu_count()} cores, load {load:.1f}", "")
    measure.adopt_orphans()
    scratch = Path(tempfile.mkdtemp(prefix="pod-bench-", dir=options.scratch))
    with Registry(places.registry_storage(), scratch / "registry", readonly=True) as registry:
        bench = peers.Bench(scratch / "bench", registry, leave=options.leave)
        try:
            if options.hold:
                counting.hold(bench)
            else:
                run_cases(bench, options.only.split(","), options.rounds, options.results)
        finally:
            bench.close()
    if not options.leave:
        tools.remove_tree(scratch)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
