"""Bad input: one `pod:` line, a hint, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod
from tests.support.registry import Registry

WATCHED = ("blobs/sha256", "containers", "images", "names", "refs", "layers", "volumes")


def contents(pod: Pod) -> set[str]:
    """Every name in the parts of the store that hold objects, two levels deep (locks and caches may come and go)."""
    found = set()
    for part in WATCHED:
        folder = pod.root / part
        if folder.is_dir():
            found |= {f"{part}/{name}" for name in os.listdir(folder)}
    single = pod.root / "layers"
    for key in os.listdir(single) if single.is_dir() else []:
        found |= {f"layers/{key}/{name}" for name in os.listdir(single / key)}
    return found


BAD = [
    pytest.param(("run", "--rm", "{registry}/library/not-there", "true"), 125, "not-there", id="unknown-image"),
    pytest.param(("pull", "{registry}/library/not-there"), 1, "not-there", id="pull-unknown-image"),
    pytest.param(("pull", "{registry}/library/busybox:no-tag"), 1, "no-tag", id="pull-unknown-tag"),
    pytest.param(("frobnicate",), 1, "'frobnicate' is not a pod command", id="unknown-command"),
    pytest.param(("run", "--frob", "x"), 125, "unknown flag: --frob", id="unknown-flag"),
    pytest.param(("ps", "--frob"), 125, "unknown flag: --frob", id="unknown-flag-of-ps"),
    pytest.param(("run", "-Z", "x"), 125, "unknown shorthand flag: 'Z' in -Z", id="unknown-short-flag"),
    pytest.param(("run",), 1, "requires at least 1 argument", id="no-image"),
    pytest.param(("run", "--rm", "Upper/Case", "true"), 125, "lowercase", id="bad-reference"),
    pytest.param(("pull", "a b"), 1, "reference", id="bad-reference-of-pull"),
    pytest.param(("run", "--rm", "127.0.0.1:1/x/y", "true"), 125, "127.0.0.1:1", id="unreachable-registry"),
    pytest.param(("pull", "no-such-host.invalid/x"), 1, "no-such-host.invalid", id="unresolvable-registry"),
    pytest.param(("run", "--memory", "lots", "x"), 125, "lots", id="bad-value"),
    pytest.param(("rm", "nobody"), 1, "nobody", id="rm-unknown"),
    pytest.param(("stop", "nobody"), 1, "nobody", id="stop-unknown"),
    pytest.param(("kill", "nobody"), 1, "nobody", id="kill-unknown"),
    pytest.param(("logs", "nobody"), 1, "nobody", id="logs-unknown"),
    pytest.param(("exec", "nobody", "true"), 1, "nobody", id="exec-unknown"),
    pytest.param(("inspect", "nobody"), 1, "nobody", id="inspect-unknown"),
    pytest.param(("rmi", "nobody"), 1, "nobody", id="rmi-unknown"),
    pytest.param(("inspect", "--format", "{{.Broken", "nobody"), (1, 64, 125), "template", id="bad-template"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD)
def test_bad_input_is_said_in_one_line_and_leaves_nothing(
    pod: Pod, registry: Registry, busybox: str, arguments: tuple[str, ...], code: int | tuple[int, ...], words: str
) -> None:
    before = contents(pod)
    done = pod(*(argument.replace("{registry}", registry.host) for argument in arguments))
    assert done.code in (code if isinstance(code, tuple) else (code,)), done
    done.failed(done.code, words)
    assert contents(pod) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--rm", "{registry}/library/not-there", "true"),
        ("frobnicate",),
        ("run", "--frob", "x"),
        ("run", "--rm", "Upper/Case", "true"),
        ("run", "--rm", "127.0.0.1:1/x/y", "true"),
        ("pull", "{registry}/library/busybox@sha256:" + "0" * 64),
    ],
)
def test_bad_input_gets_a_hint(pod: Pod, registry: Registry, arguments: tuple[str, ...]) -> None:
    done = pod(*(argument.replace("{registry}", registry.host) for argument in arguments))
    assert [line for line in done.err.splitlines() if line.startswith("hint: ")], done


def test_pull_unknown_digest_is_said(pod: Pod, registry: Registry) -> None:
    digest = "sha256:" + "0" * 64
    pod("pull", f"{registry.host}/library/busybox@{digest}").failed(1, digest[:20], "hint:")


@pytest.fixture
def damaged(registry: Registry, tmp_path: Path) -> Path:
    """The storage of a registry whose busybox has one byte of its layer changed."""
    skopeo = tools.find("skopeo")
    if skopeo is None:
        pytest.skip("capability skopeo: skopeo is not installed")
    storage = tmp_path / "storage"
    with Registry(storage, tmp_path / "filling") as filling:
        flags = ["--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy"]
        argv = [skopeo, "copy", "-q", *flags, "docker://" + registry.name("busybox"), f"docker://{filling.host}/b"]
        argv.remove("--insecure-policy")
        argv.insert(1, "--insecure-policy")
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    blobs = storage / "docker" / "registry" / "v2" / "blobs" / "sha256"
    largest = max(blobs.glob("*/*/data"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0x40
    largest.write_bytes(content)
    return storage


def test_pull_wrong_digest_is_said_and_leaves_nothing(offline_pod: Pod, damaged: Path, tmp_path: Path) -> None:
    with Registry(damaged, tmp_path / "serving", readonly=True) as serving:
        done = offline_pod("pull", f"{serving.host}/b")
    done.failed(1, "content is sha256:", "hint:")
    assert not [name for name in contents(offline_pod) if name.startswith(("refs/", "images/", "containers/"))]
    layers = offline_pod.root / "layers"
    if layers.exists():
        assert not [path for path in layers.glob("*/*") if not path.name.startswith(".")]


def test_registry_that_goes_away_is_said(offline_pod: Pod, registry: Registry, tmp_path: Path) -> None:
    with Registry(tmp_path / "empty", tmp_path / "gone") as gone:
        host = gone.host
    offline_pod("pull", f"{host}/x").failed(1, host, "hint:")


@pytest.mark.parametrize("command", ["swarm", "service", "stack", "node"])
def test_refused_commands_name_what_does_it_instead(offline_pod: Pod, command: str) -> None:
    done = offline_pod(command, "ls")
    assert done.code != 0
    assert "compose" in done.err


def test_debug_shows_where_and_plain_does_not(offline_pod: Pod) -> None:
    assert "Traceback" in offline_pod("--debug", "pull", "UPPER/x").err
    assert "Traceback" not in offline_pod("pull", "UPPER/x").err


def test_help_needs_no_store(offline_pod: Pod) -> None:
    for arguments in (("--help",), ("run", "--help"), ("help", "run"), ("version",), ("--version",)):
        offline_pod(*arguments).ok()
    if offline_pod.root.exists():
        shutil.rmtree(offline_pod.root / "cache", ignore_errors=True)
        assert not (offline_pod.root / "containers").exists() or not os.listdir(offline_pod.root / "containers")
