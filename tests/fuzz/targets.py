"""The targets of libFuzzer, how they are built, and one run of one of them.

    target     reads                                                        out of
    tar        tar streams: headers, PAX, GNU names, sparse maps            ext/src/layer
    layer      archives into trees: names, links, whiteouts, owners         ext/src/layer
    decode     gzip, zstd, plain; files that grow                           ext/src/layer
    plan       plan.bin                                                     ext/src/core
    passwd     /etc/passwd and /etc/group of an image                       ext/src/core
    prepared   the file of a prepared start                                 ext/src/helper
    frame      the control protocol, and the supervisor's loop behind it    ext/src/helper
    records    user.pod.owner, sidecars, owners of layers, changes.json     ext/src/emulator, layer, helper
    copy       archives of cp into a folder, and back                       ext/src/files
    log        output on its way into a log                                 ext/src/helper
    dns        questions of containers, answers of servers                  ext/src/net
    wire       netd's protocol: what netd reads, what supervisors do        ext/src/net, helper

Everything of ext/src is compiled once into an archive, from which each target takes what it needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = ROOT / "ext/src"
FOLDERS = ("core", "layer", "files", "emulator", "helper", "net")


class Target(NamedTuple):
    """``most``: bytes of an input. ``link``: further flags of the linker."""

    name: str
    most: int
    link: tuple[str, ...] = ()


TARGETS = (
    Target("tar", 32768),
    Target("layer", 32768),
    Target("decode", 16384),
    Target("plan", 8192),
    Target("passwd", 24576),
    Target("prepared", 8192),
    Target("frame", 8192, ("-Wl,--wrap=kill",)),
    Target("records", 8192),
    Target("copy", 16384, ("-Wl,--wrap=pod_apart_start", "-Wl,--wrap=pod_apart_finish")),
    Target("log", 8192),
    Target("dns", 4096),
    Target("wire", 8192),
)

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", f'-DPOD_BUILD_ID="{"0" * 32}"', "-g", "-O1", "-w", *SANITIZE)


class NoCompiler(Exception):
    """There is no clang with libFuzzer."""


def compiler(folder: Path) -> str:
    """A clang that can link libFuzzer; NoCompiler where there is none."""
    trial = folder / "trial.c"
    trial.write_text("int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n > 1; }\n")
    for name in ("clang", *(f"clang-{number}" for number in range(29, 13, -1))):
        if shutil.which(name):
            command = [name, "-fsanitize=fuzzer,address", str(trial), "-o", str(folder / "trial")]
            if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0:
                return name
    raise NoCompiler("make fuzz: no clang with libFuzzer (Debian: clang libclang-rt-dev)")


def libraries() -> list[str]:
    """As setup.py links the extension: zlib stands in for ISA-L where the host lacks it."""
    isal = ["-lisal"] if Path("/usr/include/isa-l/igzip_lib.h").exists() else []
    return [*isal, "-lcrypto", "-lz", "-lzstd", "-lpthread"]


def unpacked() -> list[str]:
    """Folders of the -dev packages that ``make dev`` unpacked, on a host that lacks them."""
    if Path("/usr/include/zstd.h").exists():
        return []
    machine = os.uname().machine
    root = ROOT / "build/debian-dev/root" / machine / "usr"
    triplet = f"{machine}-linux-gnu"
    return [f"-I{root}/include", f"-I{root}/include/{triplet}", f"-L{root}/lib/{triplet}"]


def build(folder: Path, names: list[str]) -> None:
    """The programs of those names in ``folder``, with two compilers at once; what is newer than its sources stays."""
    folder.mkdir(parents=True, exist_ok=True)
    clang = compiler(folder)
    common = [clang, *FLAGS, *(f"-I{SOURCES / name}" for name in FOLDERS), *unpacked()]
    headers = [*SOURCES.rglob("*.h"), *HERE.glob("*.h"), HERE / "targets.py"]
    newest = max(path.stat().st_mtime for path in headers)
    files = [path for name in FOLDERS for path in sorted((SOURCES / name).glob("*.c"))]
    files = [path for path in files if path.name not in ("main.c", "netd.c") and not path.stem.startswith("probe")]
    objects = {path: folder / f"{path.parent.name}-{path.stem}.o" for path in [*files, HERE / "shared.c"]}
    stale = [path for path, made in objects.items() if older(made, path, newest)]
    with ThreadPoolExecutor(2) as pool:
        no_link = "-fsanitize=fuzzer-no-link"
        jobs = [pool.submit(execute, [*common, no_link, "-c", str(path), "-o", str(objects[path])]) for path in stale]
        for job in jobs:
            job.result()
    archive = folder / "libpod.a"
    if stale or not archive.exists():
        archive.unlink(missing_ok=True)
        execute(["ar", "rcs", str(archive), *map(str, objects.values())])
    wanted = [target for target in TARGETS if target.name in names]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda target: link(folder, common, target), wanted))


def link(folder: Path, common: list[str], target: Target) -> None:
    """One target's own file, with libFuzzer and what it needs of the archive."""
    source, program, archive = HERE / f"fuzz_{target.name}.c", folder / f"fuzz-{target.name}", folder / "libpod.a"
    if not older(program, source, archive.stat().st_mtime):
        return
    whole = [str(source), str(archive), *libraries(), *target.link]
    execute([*common, "-fsanitize=fuzzer", *whole, "-o", str(program)])


def older(made: Path, source: Path, newest: float) -> bool:
    """Whether it must be made again."""
    return not made.exists() or made.stat().st_mtime <= max(source.stat().st_mtime, newest)


def execute(command: list[str]) -> None:
    """Runs a compiler; its words are the error."""
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"make fuzz: {' '.join(command)}: failed")


def run(folder: Path, target: Target, seconds: int, found: Path) -> tuple[bool, str]:
    """(fine, what it said): ``seconds`` of one target, from the corpus in the repository and what earlier runs added.

    What it finds stays in ``found``, as does the corpus that it makes.
    """
    grown = found.parent / f"corpus-{target.name}"
    for place in (found, grown):
        place.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.most}",
        f"-artifact_prefix={found}/{target.name}-",
        "-timeout=60",
        "-rss_limit_mb=1500",
        "-malloc_limit_mb=512",
        "-print_final_stats=1",
    ]
    command = [str(folder / f"fuzz-{target.name}"), *options, str(grown), str(HERE / "corpus" / target.name)]
    environ = {**os.environ, "ASAN_OPTIONS": "detect_stack_use_after_return=1:allocator_may_return_null=1"}
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, timeout=seconds + 300
    )
    return done.returncode == 0, done.stdout.decode("utf-8", "replace")
