"""The house is as ARCHITECTURE.md draws it: who may import whom, how large things are, what a warm start may load."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES = 500
FUNCTION_LINES = 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

LADDER: tuple[tuple[str, ...], ...] = (
    ("pod.core.oci", "pod.core.errors"),
    (
        "pod.core.background", "pod.core.host", "pod.core.host_probe", "pod.core.host_doctor",
        "pod.core.host_doctor_network", "pod.core.cgroups", "pod.core.cgroup_scope",
        "pod.core.notices",
        "pod.core.config", "pod.core.disk", "pod.core.events", "pod.core.holders", "pod.core.lost_records",
        "pod.core.moments",
        "pod.core.paths", "pod.core.rundir", "pod.core.statefile", "pod.core.storedir",
    ),
    (
        "pod.core.image.blobs", "pod.core.image.durable", "pod.core.image.store", "pod.core.image.layers",
        "pod.core.registry",
    ),
    ("pod.core.engine", "pod.core.image", "pod.core.network", "pod.core.volume", "pod.core.runtime"),
    ("pod.core.container",),
    ("pod.core.builder",),
    ("pod.core.compose",),
    ("pod.core.system",),
    ("pod.cli",),
)  # fmt: skip
"""Low to high; a module imports only from its own rung and from lower ones. The longest prefix that fits counts."""

UPWARD = {
    ("pod.core.image.layers", "pod.core.image.unpacking"): "a layer that is missing is extracted when it is needed",
    ("pod.core.rundir", "pod.core.image.durable"): "the first command of a boot judges what the last one left",
    ("pod.core.image.store", "pod.core.image.embedded"): "the first look for pod.local/busybox loads it",
    ("pod.core.image.store", "pod.core.image.layout"): "index.json is derived after each change of a name",
}
"""Imports against the ladder, each with its reason; only inside functions."""

CARRIER = "pod.core.engine"
"""Opens its parts lazily (imports inside functions), so that lower rungs may name its type; only imports at run time
count, and functions of lower rungs get the engine as an argument."""

NATIVE = (
    "pod.core.runtime", "pod.core.image.trash", "pod.core.image.unpacking", "pod.core.image.compress",
    "pod.core.image.commit",
    "pod.core.image.archive_decoder", "pod.core.image.push", "pod.core.image.prune", "pod.core.container",
    "pod.core.volume", "pod.core.builder.copying", "pod.core.network", "pod.core.host_probe", "pod.core.storedir",
)  # fmt: skip
"""Who may import pod.ext besides pod.ext._build and pod.ext.errors."""

HEAVY = {
    "argparse", "asyncio", "collections", "concurrent", "contextlib", "dataclasses", "datetime", "email", "enum",
    "functools", "hashlib", "http", "importlib", "inspect", "json", "logging", "multiprocessing", "pathlib", "pickle",
    "platform", "random", "re", "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile",
    "threading", "typing", "urllib", "urllib3", "tomli", "tomllib", "uuid", "weakref", "zipfile",
}  # fmt: skip
"""Never at the top of a warm module."""

WARM_STANDARD = {
    "_abc", "_codecs", "_collections_abc", "_frozen_importlib_external", "_io", "_json", "_posixsubprocess", "_signal",
    "_stat", "abc", "codecs", "encodings", "errno", "fcntl", "gc", "genericpath", "io", "marshal", "os", "posix",
    "posixpath", "select", "stat", "termios", "time", "zipimport", "_bootlocale", "_locale", "__future__", "winreg",
    "_sha256", "_sha2",
}  # fmt: skip
"""What a warm run may import of the standard library. Another one is milliseconds: measure, then change this list.

_sha256 (CPython's own code, 0.1 ms): the image's configuration is held against its digest.
"""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of pod by its full name."""
    for part in ("core", "cli", "ext"):
        for path in sorted((ROOT / part).rglob("*.py")):
            dotted = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            yield "pod." + dotted.removesuffix(".__init__"), path


MODULES = dict(modules())


def imports(name: str, path: Path, *, top: bool) -> set[str]:
    """Modules that this one imports when it runs; with ``top`` only at its top. TYPE_CHECKING blocks do not run."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif top and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = {one for one in whole if one in MODULES or one in ("pod.ext.layer", "pod.ext.process")}
            found |= inner or {node.module}
        else:
            todo += ast.iter_child_nodes(node)
    found.discard(name)
    return found


def rung(name: str) -> int:
    """Position on the ladder."""
    best, position = "", -1
    for index, group in enumerate(LADDER):
        for prefix in group:
            if (name == prefix or name.startswith(prefix + ".")) and len(prefix) > len(best):
                best, position = prefix, index
    return position


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_imports_only_its_rung_and_lower_ones(name: str) -> None:
    if name in ("pod.core", "pod.cli") or name.startswith("pod.ext"):
        wrong = {one for one in imports(name, MODULES[name], top=False) if one.startswith(("pod.core.", "pod.cli."))}
        assert not wrong, f"{name} imports {wrong}"
        return
    own = rung(name)
    assert own >= 0, f"{name} has no rung: add it to LADDER and to ARCHITECTURE.md"
    if name == CARRIER:
        own = len(LADDER)
        assert not {one for one in imports(name, MODULES[name], top=True) if rung(one) > rung(CARRIER)}
    wrong = {one for one in imports(name, MODULES[name], top=False) if one.startswith("pod.") and rung(one) > own}
    wrong -= {one for one in wrong if (name, one) in UPWARD} - imports(name, MODULES[name], top=True)
    assert not wrong, f"{name} imports {', '.join(sorted(wrong))}, which stand higher"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith(("pod.core", "pod.cli"))))
def test_module_reaches_native_code_only_where_it_may(name: str) -> None:
    allowed = {"pod.ext", "pod.ext._build", "pod.ext.errors"}
    native = {one for one in imports(name, MODULES[name], top=False) if one.startswith("pod.ext")} - allowed
    assert not native or any(name == one or name.startswith(one + ".") for one in NATIVE), f"{name} imports {native}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_has_a_name_of_its_own_and_a_bounded_size(name: str) -> None:
    path = MODULES[name]
    text = path.read_text("utf-8")
    assert path.stem not in BANNED_NAMES
    assert text.count("\n") <= MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{name}.{node.name}: {length} lines"


NATIVE_SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder, patterns in (("ext", ("*.pyx", "*.pxd")), ("ext/src", ("**/*.[ch]",)), ("packaging", ("*.[ch]",)),
                             ("tests", ("**/*.[ch]",)))
    for pattern in patterns
    for path in (ROOT / folder).glob(pattern)
)  # fmt: skip
"""Our C, headers and glue; ext/*.c is what Cython wrote."""


@pytest.mark.parametrize("name", NATIVE_SOURCES)
def test_native_source_has_a_name_of_its_own_and_a_bounded_size(name: str) -> None:
    path = ROOT / name
    assert path.stem not in BANNED_NAMES
    assert path.read_text("utf-8").count("\n") <= MODULE_LINES


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_has_a_docstring_unless_empty(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree), f"{name} does not say what it is for"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_leaves_no_second_copies_of_classes(name: str) -> None:
    wrong = {one for one in imports(name, MODULES[name], top=False) if one.split(".")[0] in ("core", "cli", "ext")}
    assert not wrong, f"{name} imports {wrong} without pod."


def test_module_prints_only_in_output_and_progress() -> None:
    printing = re.compile(r"^\s*print\(|sys\.stdout\.write", re.MULTILINE)
    found = {name for name, path in MODULES.items() if printing.search(path.read_text("utf-8"))}
    assert found <= {"pod.cli.output", "pod.cli.progress"}


def test_core_reads_the_environment_only_in_config_and_paths() -> None:
    found = {name for name, path in MODULES.items() if "os.environ" in path.read_text("utf-8")}
    allowed = {"pod.core.config", "pod.core.paths", "pod.core.container.prepared"}  # prepared watches who else does
    assert {name for name in found if name.startswith("pod.core")} <= allowed


def warm_modules() -> list[str]:
    """Modules of the warm bundle."""
    lines = (ROOT / "packaging/launcher/warm.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#") and ":" not in line]


@pytest.mark.parametrize("name", [name for name in warm_modules() if name in MODULES])
def test_warm_module_imports_nothing_heavy_at_its_top(name: str) -> None:
    heavy = {one for one in imports(name, MODULES[name], top=True) if one.split(".")[0] in HEAVY}
    assert not heavy, f"{name} imports {', '.join(sorted(heavy))}"


def built() -> Path:
    """The built file."""
    named = os.environ.get("POD_UNDER_TEST", "")
    path = Path(named).resolve() if named and named != "dev" else ROOT / "pod.pyz"
    if not path.exists():
        pytest.skip("capability built: pod.pyz is not built (make pod.pyz)")
    return path


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home folder."""
    path = Path(tempfile.mkdtemp(prefix="pod-home-", dir="/tmp"))
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", str(path)], check=False)
    shutil.rmtree(path, ignore_errors=True)


def trace(home: Path, *arguments: str, **variables: str) -> set[str]:
    """Modules in sys.modules when a command of the lean start ends or execs the helper, as preamble.sh starts it."""
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables}
    (folder,) = [path for path in (home / ".cache/pod").iterdir() if not path.name.startswith(".")]
    python = (folder / "python").read_text().strip()
    command = [python, "-I", "-S", "-c", TRACE, str(folder / "_pod_run.py"), str(built()), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return set(done.stderr.rpartition("modules:")[2].split())


TRACE = """
import posix, sys
posix._exit = sys.exit
before = set(sys.modules)
def tell(event, arguments):
    if event == "os.exec" or event == "tell":
        sys.stderr.write("modules:" + " ".join(set(sys.modules) - before))
        sys.stderr.flush()
sys.addaudithook(tell)
__file__ = sys.argv[1]
del sys.argv[0]
source = open(__file__).read()
try:
    exec(compile(source, __file__, "exec"))
finally:
    sys.audit("tell")
"""


@pytest.mark.built
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--rm", "--network", "none", "pod.local/busybox", "true"),
        ("run", "--rm", "--network", "none", "-e", "A=b", "-w", "/tmp", "pod.local/busybox", "true"),
        ("ps",),
        ("ps", "-a", "-q"),
        ("rm", "nosuch"),
        ("rmi", "pod.local/busybox"),
        ("stats", "--no-stream"),
        ("exec", "nosuch", "true"),
    ],
    ids=" ".join,
)
def test_warm_command_imports_only_what_is_listed(home: Path, arguments: tuple[str, ...]) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    first = [str(built()), "run", "--rm", "--network", "none", "pod.local/busybox", "true"]
    done = subprocess.run(first, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    only_listed(trace(home, *arguments))


@pytest.mark.built
def test_build_that_is_known_imports_only_what_is_listed(home: Path) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    (home / "context").mkdir()
    (home / "context/Dockerfile").write_text("FROM pod.local/busybox\nWORKDIR /a\nCOPY Dockerfile .\n")
    time.sleep(0.15)
    words = ["build", "-t", "known", str(home / "context")]
    for _ in range(2):
        subprocess.run([str(built()), *words], env=environ, capture_output=True, timeout=120, check=True)
    if not (home / ".local/share/pod/cache/builds").exists():
        pytest.skip("capability local-disk: times of files there may tell of a change too late")
    only_listed(trace(home, *words))


@pytest.mark.built
def test_stats_soon_after_others_import_only_what_is_listed(home: Path) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    for words in (["run", "-d", "--name", "it", "pod.local/busybox", "sleep", "100"], ["stats", "--no-stream"]):
        subprocess.run([str(built()), *words], env=environ, capture_output=True, timeout=120, check=True)
    loaded = trace(home, "stats", "--no-stream")
    subprocess.run([str(built()), "rm", "-f", "it"], env=environ, capture_output=True, timeout=120, check=True)
    assert "pod.ext.process" in loaded
    native = {"pod.ext.process", "cython_runtime", "types", "zlib"}  # no part of the bundle; what Cython asks for
    only_listed({name for name in loaded - native if not name.startswith("_cython")})


def only_listed(loaded: set[str]) -> None:
    assert "pod.cli.main" in loaded
    ours = {name for name in loaded if name.partition(".")[0] == "pod"}
    assert ours <= set(warm_modules()), f"add to packaging/launcher/warm.txt: {sorted(ours - set(warm_modules()))}"
    standard = {name.partition(".")[0] for name in loaded} - {"pod"}
    assert standard <= WARM_STANDARD, f"imports {sorted(standard - WARM_STANDARD)}"


@pytest.mark.built
def test_first_start_of_some_words_leaves_a_mark_and_does_without_the_whole_of_os(home: Path) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    words = ["run", "--rm", "--network", "none", "pod.local/busybox", "true"]
    subprocess.run([str(built()), *words], env=environ, capture_output=True, timeout=120, check=True)
    marks = home / "starts"
    marks.mkdir()
    loaded = trace(home, *words, POD_PREPARED=f"m{0:016x}{marks}")
    assert len(list(marks.iterdir())) == 1
    assert "_collections_abc" not in loaded, "os is loaded; what asks for more of it than posix has?"


@pytest.mark.built
def test_lean_start_has_only_the_standard_library_and_ours_on_its_path(home: Path) -> None:
    environ = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": "/tmp", "PYTHONSTARTUP": "/x"}
    subprocess.run([str(built()), "-v"], env=environ, capture_output=True, timeout=60, check=True)
    (folder,) = [path for path in (home / ".cache/pod").iterdir() if not path.name.startswith(".")]
    lean = (folder / "_pod_run.py").read_text()
    assert lean.endswith("sys.exit(status)\n")
    (folder / "_pod_run.py").write_text(lean.replace("status = main()", "status = print(sys.path, flush=True) or 0"))
    done = subprocess.run([str(built())], env=environ, capture_output=True, text=True, timeout=60, check=True)
    path = ast.literal_eval(done.stdout)
    assert path[-1] == str(folder / "site")
    python = (folder / "python").read_text().strip()
    plain = [python, "-I", "-S", "-c", "import sys; print(sys.path)"]
    expected = subprocess.run(plain, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout
    assert path[:-1] == ast.literal_eval(expected)
