"""Pushes of an image into a registry that has nothing of it, beside podman, buildah and skopeo.

podman and buildah have no blobs of what they pulled: like an image that was just committed there, a push packs and
compresses its layers. pod has them compressed, from the pull or the commit. skopeo copies them from a folder.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer
from tests.support import podcli, tools
from tests.support.registry import Registry

GOALS = {"podman": 0.3}


def subjects(bench: Bench, image: str, target: Registry) -> tuple[list[Subject], list[str]]:
    """Everyone who can push here; the registry is emptied before each round."""
    name = f"{target.host}/bench/image:1"
    made, missing = [], []

    def empty() -> None:
        tools.remove_tree(target.storage)

    def subject(label: str, argv: list[str], environ: dict[str, str]) -> Subject:
        return Subject(label, argv, environ, before=empty)

    pod = podcli.Pod(Path(tempfile.mkdtemp(prefix="pod-push-", dir=bench.scratch)), bench.registry.name)
    pod("pull", "-q", image, timeout=300).ok()
    pod("tag", image, name).ok()
    made.append(subject("pod", pod.argv("push", "-q", name), pod.environ()))
    for label in ("podman", "buildah"):
        try:
            argv = _podman(bench) if label == "podman" else _buildah(bench)
            for words in (["pull", "--quiet", "--tls-verify=false", image], ["tag", image, name]):
                subprocess.run([*argv, *words], env=bench.environ, check=True, capture_output=True, timeout=300)
            made.append(subject(label, [*argv, "push", "--quiet", "--tls-verify=false", name], bench.environ))
        except (MissingPeer, subprocess.SubprocessError, OSError) as error:
            missing.append(f"{label}: {error}")
    try:
        skopeo, folder = bench.program("skopeo"), bench.scratch / "skopeo-push"
        copy = [skopeo, "copy", "--quiet"]
        argv = [*copy, "--src-tls-verify=false", f"docker://{image}", f"dir:{folder}"]
        subprocess.run(argv, env=bench.environ, check=True, capture_output=True, timeout=300)
        argv = [*copy, "--dest-tls-verify=false", f"dir:{folder}", f"docker://{name}"]
        made.append(subject("skopeo (from a folder)", argv, bench.environ))
    except (MissingPeer, subprocess.SubprocessError, OSError) as error:
        missing.append(f"skopeo: {error}")
    return made, missing


def _podman(bench: Bench) -> list[str]:
    return bench.podman("podman-push")


def _buildah(bench: Bench) -> list[str]:
    base = bench.scratch / "buildah-push"
    argv = [bench.program("buildah"), "--root", str(base / "root"), "--runroot", str(base / "run")]
    return [*argv, "--storage-driver", "overlay", "--storage-opt", "overlay.ignore_chown_errors=true"]
