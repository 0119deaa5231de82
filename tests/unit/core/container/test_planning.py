"""From record to plan.bin: flags, namespaces, the order of mounts, what --rm takes away, exec."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.container import planning
from pod.core.engine import Engine
from pod.core.runtime import plan
from pod.core.volume.syntax import VolumeSpec
from tests.unit.core.container.conftest import record

OWN = plan.CLONE_NEWUSER | plan.CLONE_NEWNS | plan.CLONE_NEWCGROUP


@pytest.mark.parametrize(
    ("fields", "bits"),
    [
        ({}, OWN | plan.CLONE_NEWPID | plan.CLONE_NEWIPC | plan.CLONE_NEWUTS | plan.CLONE_NEWNET),
        ({"network": "host"}, OWN | plan.CLONE_NEWPID | plan.CLONE_NEWIPC | plan.CLONE_NEWUTS),
        ({"network": "none"}, OWN | plan.CLONE_NEWPID | plan.CLONE_NEWIPC | plan.CLONE_NEWUTS | plan.CLONE_NEWNET),
        ({"pid": "host", "ipc": "host", "uts": "host"}, OWN | plan.CLONE_NEWNET),
    ],
)
def test_namespaces_of_the_modes(fields: dict[str, Any], bits: int) -> None:
    assert planning.namespaces(record(**fields)["HostConfig"]) == bits


def test_attachment_flags_when_detached_then_no_stream() -> None:
    attachment = planning.Attachment()
    assert attachment.flags() == plan.ATTACH_OUT | plan.ATTACH_ERR | plan.SIG_PROXY
    attachment.stdin = True
    assert attachment.flags() & plan.ATTACH_IN
    attachment.detach = True
    assert attachment.flags() == plan.DETACH


def targets(engine: Engine, **fields: Any) -> list[str]:
    config = record(**fields)
    for spec in fields.get("volumes", []):
        mount = {"Type": spec.kind, "Source": spec.source, "Destination": spec.target, "RW": not spec.read_only}
        config["Mounts"].append(mount)
    return [mount.target for mount in planning.mount_operations(engine, config, "/dir", single=True)]


def test_mounts_when_nested_then_the_outer_comes_first(engine: Engine) -> None:
    volumes = [VolumeSpec("bind", "/s", target, "") for target in ("/a/b/c", "/a", "/etc")]
    found = targets(engine, volumes=volumes, tmpfs={"/a/b": ""})
    order = ["/proc", "/dev", "/sys", "/a", "/a/b", "/a/b/c"]
    assert [target for target in found if target in order] == order
    for name in ("hosts", "hostname", "resolv.conf"):
        assert found.index("/etc") < found.index("/etc/" + name)
    assert found.index("/proc/kcore") > found.index("/a/b/c")


def test_mounts_when_the_user_mounts_an_engine_file_then_that_is_the_one(engine: Engine) -> None:
    assert targets(engine, volumes=[VolumeSpec("bind", "/s", "/etc/hosts", "")]).count("/etc/hosts") == 1


def test_removal_takes_the_record_first_then_name_and_anonymous_volumes(engine: Engine) -> None:
    config = record()
    config["Mounts"] = [{"Source": "/v/anon/_data", "Anonymous": True}, {"Source": "/v/named/_data"}]
    assert planning.removal(engine, config, "/dir") == ["/dir", engine.paths.name("it"), "/v/anon"]


def test_plan_when_something_of_the_hosts_is_mounted_then_its_end_is_waited_for(engine: Engine) -> None:
    for mounts, apart in (([], plan.APART), ([{"Type": "bind", "Source": "/s", "Destination": "/d", "RW": True}], 0)):
        config = record()
        config["Mounts"] = mounts
        values = plan.parse(planning.container_plan(engine, config, "/dir", ["/layer"], planning.Attachment()))
        assert int.from_bytes(values["FLAGS"], "little") & plan.APART == apart
