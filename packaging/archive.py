"""shiv's archive written again as pod.pyz: shell start in front, our cold start inside, entries sorted, dated 1980.

shiv's own bootstrap and environment.json stay inside (shiv-info reads them); nothing of it runs.
"""

from __future__ import annotations

import ast
import hashlib
import zipfile
from pathlib import Path

LAUNCHER = Path(__file__).resolve().parent / "launcher"
EPOCH = 315532800
DATE = (1980, 1, 1, 0, 0, 0)
STORED = (".gz", ".zip")
EXECUTABLE = ("pod-helper", "pod-netd", ".abi3.so")


def rewrite(source: Path, output: Path) -> None:
    """Reads shiv's file, writes ours beside ``output`` and renames it there."""
    with zipfile.ZipFile(source) as old:
        entries = {info.filename: old.read(info) for info in old.infolist() if not info.is_dir()}
    entries["__main__.py"] = (LAUNCHER / "main.py").read_bytes()
    entries["_pod_cold.py"] = (LAUNCHER / "cold.py").read_bytes()
    entries["_pod_lean.py"] = (LAUNCHER / "lean.py").read_bytes()
    entries["_pod_run.py"] = (LAUNCHER / "run.py").read_bytes()
    identity = content_id(entries)
    entries["_pod_manifest"] = manifest(entries, identity)
    preamble = (LAUNCHER / "preamble.sh").read_text("utf-8").replace("@BUILD@", identity)
    temporary = output.with_name(output.name + ".new")
    with temporary.open("wb") as file:
        file.write(preamble.encode())
        with zipfile.ZipFile(file, "w") as new:
            for name in sorted(entries):
                info = zipfile.ZipInfo(name, DATE)
                info.create_system = 3
                info.external_attr = (0o100000 | mode(name)) << 16
                info.compress_type = zipfile.ZIP_STORED if packed(entries[name]) else zipfile.ZIP_DEFLATED
                new.writestr(info, entries[name], compresslevel=9)
    temporary.chmod(0o755)
    temporary.rename(output)


def content_id(entries: dict[str, bytes]) -> str:
    """20 hex digits over names and contents: the name of the cache folder, so no two builds ever share one."""
    digest = hashlib.sha256((LAUNCHER / "preamble.sh").read_bytes())
    for name in sorted(entries):
        digest.update(f"{name}\0{len(entries[name])}\0".encode())
        digest.update(entries[name])
    return digest.hexdigest()[:20]


def manifest(entries: dict[str, bytes], identity: str) -> bytes:
    """See launcher/cold.py, Manifest."""
    lines = [f"build {identity}"]
    prefix = "site-packages/"
    for name in warm_modules():
        path = prefix + name.replace(".", "/")
        if path + ".py" in entries or path + "/__init__.py" in entries:
            lines.append(f"warm {name}")
        elif name == "pod.ext._build":
            lines.append(f"warm {name}")  # one for each machine, in pod/_lib
    for command, roots in eager_roots().items():
        lines.append(f"eager {command} {' '.join(load_order(entries, roots))}")
    for name in sorted(entries):
        if name.startswith(prefix):
            path = name.removeprefix(prefix)
            parts = path.split("/")
            machine = parts[2] if parts[:2] in (["pod", "_lib"], ["pod", "_images"]) else "-"
            lines.append(f"file {mode(name):o} {len(entries[name])} {machine} {path}")
    return "\n".join(lines).encode() + b"\n"


def warm_modules() -> list[str]:
    """launcher/warm.txt."""
    lines = (LAUNCHER / "warm.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#") and ":" not in line]


def eager_roots() -> dict[str, list[str]]:
    """Lines "COMMAND: MODULE…" of launcher/warm.txt ("-" for any other command)."""
    lines = (LAUNCHER / "warm.txt").read_text("utf-8").splitlines()
    pairs = [line.partition(":") for line in lines if ":" in line and not line.startswith("#")]
    return {command: names.split() for command, _, names in pairs}


def load_order(entries: dict[str, bytes], roots: list[str]) -> list[str]:
    """``roots`` and every warm module that they import at their top, each after those that it imports."""
    warm = set(warm_modules())
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in warm:
            return
        parent = name.rpartition(".")[0]
        if parent:
            visit(parent)
        for needed in top_imports(source_of(entries, name)):
            visit(needed)
        if name not in order:
            order.append(name)

    for root in roots:
        visit(root)
    return order


def source_of(entries: dict[str, bytes], name: str) -> bytes:
    """A module's source in the archive; b"" for what exists only beside each machine's native files."""
    path = "site-packages/" + name.replace(".", "/")
    return entries.get(path + ".py") or entries.get(path + "/__init__.py") or b""


def top_imports(source: bytes) -> list[str]:
    """Modules that a source imports when it is loaded, and ``from X import Y`` as X.Y too."""
    found: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def mode(name: str) -> int:
    """Permissions of one entry."""
    return 0o755 if name.endswith(EXECUTABLE) else 0o644


def packed(data: bytes) -> bool:
    """Whether compressing again is of no use (gzip)."""
    return data[:2] == b"\x1f\x8b"
