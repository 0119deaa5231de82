"""A registry that is a container of pod's serves pod's own push and pull: Debian's docker-registry in an image."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import layers, tools
from tests.support.crafted import Craft
from tests.support.podcli import Pod
from tests.support.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.docker_registry]
CONFIG = b"""\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000", secret: "for tests"}
"""


def registry_image(writable: Registry, scratch: Path) -> str:
    """busybox, the program, and the libraries that it names."""
    program = Path(tools.find("docker-registry") or "")
    libraries = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True, timeout=30).stdout

    def fill(layer: layers.Layer) -> None:
        layer.add("usr/bin/docker-registry", program.read_bytes(), mode=0o755)
        layer.add("etc/registry.yml", CONFIG)
        for name in re.findall(r"(/\S+) \(", libraries):
            layer.add(name.lstrip("/"), Path(name).resolve().read_bytes(), mode=0o755)

    words = ["/usr/bin/docker-registry", "serve", "/etc/registry.yml"]
    return Craft(writable, scratch).make(fill, {"Cmd": words, "Env": ["PATH=/usr/bin:/bin"], "WorkingDir": "/"})


def answers(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_push_and_pull_at_a_registry_that_is_a_container(
    fresh_pod: Pod, writable_registry: Registry, tmp_path: Path
) -> None:
    image = registry_image(writable_registry, tmp_path)
    fresh_pod("run", "-d", "--name", "registry", "-p", "127.0.0.1::5000", "-v", "/var/lib/registry", image).ok()
    port = fresh_pod("port", "registry", "5000/tcp").ok().strip().rpartition(":")[2]
    deadline = time.monotonic() + 30
    while not answers(port):
        assert time.monotonic() < deadline, fresh_pod("logs", "registry")
        time.sleep(0.05)
    target = f"127.0.0.1:{port}/self/registry:1"
    fresh_pod("tag", image, target).ok()
    pushed = re.search(r"digest: (sha256:\S+)", fresh_pod("push", target).ok())
    assert pushed is not None
    assert "Layer already exists" in fresh_pod("push", target).ok()
    fresh_pod("rmi", target).ok()
    assert f"Digest: {pushed.group(1)}" in fresh_pod("pull", target).ok()
    fresh_pod("rm", "-f", "-v", "registry").ok()
