"""Services of Compose as what ``create`` is asked for, their images and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pod.core.compose import images, labels, service, staging
from pod.core.compose.project import Project
from pod.core.errors import HostUnsupported, NoSuchImage, NotFound, PodError, UsageError


def project(**document: Any) -> Project:
    made = Project("app", "/app")
    made.services = {"web": {"image": "busybox", **document}}
    made.networks = {"default": {"name": "app_default"}, "back": {"name": "app_back"}, "front": {"name": "front"}}
    made.volumes = {"data": {"name": "app_data"}}
    return made


def words(**document: Any) -> list[str]:
    return service.wish(project(**document), "web", {"db": "app-db-1"}).words


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"hostname": "h", "tty": True, "init": False}, ["--hostname=h", "--tty"]),
        ({"environment": {"A": "1", "B": None, "C": ""}}, ["--env=A=1", "--env=C="]),
        ({"ports": [{"target": 80, "published": "8080", "protocol": "udp"}]}, ["--publish=8080:80/udp"]),
        ({"ports": [{"target": 80, "host_ip": "::1"}]}, ["--publish=[::1]::80/tcp"]),
        ({"ports": [{"target": 80}]}, ["--publish=80/tcp"]),
        ({"network_mode": "service:db"}, ["--network=container:app-db-1"]),
        ({"networks": {}}, ["--network=none"]),
        ({"ipc": "service:db", "pid": "host", "networks": {}}, ["--ipc=container:app-db-1", "--pid=host"]),
        ({"volumes_from": ["db:ro", "container:x"]}, ["--volumes-from=app-db-1:ro", "--volumes-from=x"]),
        ({"stop_grace_period": "1m30s"}, ["--stop-timeout=90"]),
        ({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}, ["--restart=always"]),
        ({"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 3}}}, ["--restart=on-failure:3"]),
        ({"deploy": {"restart_policy": {}}}, []),
        ({"logging": {"driver": "local", "options": {"max-size": "1m"}}},
         ["--log-driver=local", "--log-opt=max-size=1m"]),
        ({"mem_limit": "1048576", "deploy": {"resources": {"limits": {"memory": "2097152", "cpus": 0.5}}}},
         ["--memory=2097152", "--cpus=0.5"]),
        ({"ulimits": {"nofile": {"soft": 1, "hard": 2}, "nproc": 3}}, ["--ulimit=nofile=1:2", "--ulimit=nproc=3"]),
        ({"gpus": [{"count": -1}]}, ["--gpus=all"]),
        ({"blkio_config": {"weight": 10, "device_read_bps": [{"path": "/dev/a", "rate": "1"}]}},
         ["--blkio-weight=10", "--device-read-bps=/dev/a:1"]),
        ({"sysctls": {"net.core.somaxconn": 1}}, ["--sysctl=net.core.somaxconn=1"]),
        ({"extra_hosts": ["a=1.2.3.4"]}, ["--add-host=a=1.2.3.4"]),
    ],
)  # fmt: skip
def test_wish_when_a_key_is_set_then_the_flag_that_means_it_is_given(
    document: dict[str, Any], expected: list[str]
) -> None:
    found = words(**document)
    missing = [word for word in expected if word not in found]
    assert not missing, found
    assert expected or found == ["--network=name=app_default,alias=web"]


def test_wish_when_networks_have_priorities_then_the_highest_is_the_first() -> None:
    asked = {"back": {"aliases": ["b", "web"], "ipv4_address": "10.0.0.2"}, "front": {"priority": 5}}
    assert words(networks=asked) == [
        "--network=name=front,alias=web", "--network=name=app_back,alias=web,alias=b,ip=10.0.0.2",
    ]  # fmt: skip


def test_wish_when_it_is_no_service_of_the_project_then_that_is_said() -> None:
    with pytest.raises(UsageError, match="service web: no such service: other"):
        words(network_mode="service:other")


@pytest.mark.parametrize("key", ["provider", "credential_spec"])
def test_wish_when_a_key_cannot_be_honoured_then_it_is_refused_by_name(key: str) -> None:
    with pytest.raises(HostUnsupported, match=f"service web: {key}: "):
        words(**{key: {"type": "x"}})


def test_mount_when_of_each_kind_then_it_is_that_of_the_mount_flag() -> None:
    made = project()
    bind = service.mount(made, {"type": "bind", "source": "/a,b", "target": "/c", "read_only": True,
                                "bind": {"create_host_path": False}})  # fmt: skip
    assert (bind.kind, bind.source, bind.read_only, bind.makes_source) == ("bind", "/a,b", True, False)
    volume = service.mount(made, {"type": "volume", "source": "data", "target": "/d", "volume": {"nocopy": True}})
    assert (volume.source, volume.copy) == ("app_data", False)
    tmpfs = service.mount(made, {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1024", "mode": 0o1777}})
    assert tmpfs.options == "mode=1777,size=1024"
    with pytest.raises(HostUnsupported):
        service.mount(made, {"type": "cluster", "source": "x", "target": "/t"})


def test_healthcheck_when_read_then_it_is_in_nanoseconds() -> None:
    assert service.healthcheck({"disable": True}) == {"Test": ["NONE"]}
    assert service.healthcheck({"test": "true", "interval": "1m", "retries": 2}) == {
        "Test": ["CMD-SHELL", "true"], "Interval": 60_000_000_000, "Retries": 2,
    }  # fmt: skip
    assert service.healthcheck(None) is None


def test_dependencies_when_written_as_a_label_then_they_are_read_again() -> None:
    text = labels.dependencies({"depends_on": {"db": {"condition": "service_healthy", "restart": True}, "a": {}}})
    assert text == "a:service_started:false,db:service_healthy:true"
    assert labels.read_dependencies(text)["db"] == {"condition": "service_healthy", "restart": True, "required": True}
    assert labels.read_dependencies("") == {}


@pytest.mark.parametrize(
    ("document", "age", "flags", "kinds"),
    [
        ({}, None, {}, ["pull"]),
        ({}, 10.0, {}, []),
        ({"pull_policy": "always"}, 10.0, {}, ["pull"]),
        ({"pull_policy": "daily"}, 90000.0, {}, ["pull"]),
        ({"pull_policy": "daily"}, 10.0, {}, []),
        ({"pull_policy": "every_2h"}, 8000.0, {}, ["pull"]),
        ({"build": {"context": "/c"}}, None, {}, ["build"]),
        ({"build": {"context": "/c"}}, 10.0, {}, []),
        ({"build": {"context": "/c"}}, 10.0, {"build": True}, ["build"]),
        ({"build": {"context": "/c"}, "pull_policy": "build"}, 10.0, {}, ["build"]),
        ({}, 10.0, {"pull": "always"}, ["pull"]),
    ],
)
def test_images_when_policies_differ_then_that_is_pulled_or_built(
    document: dict[str, Any], age: float | None, flags: dict[str, Any], kinds: list[str]
) -> None:
    plan = images.plan_images(project(**document), ["web"], lambda name: age, **flags)
    assert [action.kind for action in plan.actions] == kinds


def test_images_when_services_share_one_build_then_it_is_done_once() -> None:
    made = project(build={"context": "/c", "args": {"A": "1"}})
    other = {"context": "/c", "args": {"A": "2"}}
    uses = {"context": "/d", "additional_contexts": {"base": "service:again"}}
    made.services["again"] = dict(made.services["web"])
    made.services["other"] = {**made.services["web"], "build": other}
    made.services["uses"] = {"build": uses}
    plan = images.plan_images(made, ["web", "again", "other", "uses"], lambda name: None)
    assert [(action.kind, action.service) for action in plan.actions] == [
        ("build", "web"), ("build", "other"), ("build", "uses"),
    ]  # fmt: skip
    assert plan.actions[2].needs == {0}


def test_images_when_nothing_may_make_one_then_that_is_an_error() -> None:
    with pytest.raises(NoSuchImage):
        images.plan_images(project(pull_policy="never"), ["web"], lambda name: None)
    with pytest.raises(NoSuchImage, match="No such image: busybox"):
        images.plan_images(project(build={"context": "/c"}), ["web"], lambda name: None, no_build=True)


def test_build_when_all_keys_are_set_then_they_are_flags() -> None:
    build = {
        "context": "/c", "dockerfile": "D", "args": {"A": "1", "B": None}, "target": "t", "labels": {"l": "v"},
        "additional_contexts": {"base": "service:web", "more": "/m"}, "secrets": [{"source": "s", "target": "id"}],
        "ssh": {"default": ""}, "cache_from": ["a"], "no_cache": True, "network": "host", "tags": ["x:y"],
        "extra_hosts": ["h=1.2.3.4"],
    }  # fmt: skip
    made = project(build=build)
    made.secrets = {"s": {"file": "/f"}}
    found, context, inline = images.build_words(made, "web")
    assert (context, inline) == ("/c", "")
    assert found == [
        "--tag=busybox", "--tag=x:y", "--file=/c/D", "--build-arg=A=1", "--build-arg=B", "--label=l=v",
        "--build-context=base=docker-image://busybox", "--build-context=more=/m", "--target=t", "--network=host",
        "--no-cache", "--cache-from=a", "--add-host=h:1.2.3.4", "--ssh=default", "--secret=id=id,src=/f",
    ]  # fmt: skip


def files(made: Project) -> list[staging.File]:
    return staging.files(made, "web")


def test_staging_when_secrets_are_of_each_kind_then_their_places_are_dockers(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    made = project(
        secrets=[{"source": "f"}, {"source": "e", "target": "named", "mode": "0400"}], configs=[{"source": "c"}]
    )
    made.secrets = {"f": {"file": str(tmp_path / "f")}, "e": {"environment": "TOKEN"}}
    made.configs = {"c": {"content": "text"}}
    made.environment = {"TOKEN": "t"}
    found = files(made)
    assert [(one.target, one.source, one.data, one.mode) for one in found] == [
        ("/run/secrets/f", str(tmp_path / "f"), b"", 0o444), ("/run/secrets/named", "", b"t", 0o400),
        ("/c", "", b"text", 0o444),
    ]  # fmt: skip
    first = staging.digest(found)
    made.environment = {"TOKEN": "u"}
    assert first
    assert staging.digest(files(made)) != first


@pytest.mark.parametrize("target", ["../x", "a/../../x", "/etc/../x", "/", "x" * 200, "/proc/1/x", "a\0b"])
def test_staging_when_a_target_leads_astray_then_it_is_refused(target: str) -> None:
    made = project(secrets=[{"source": "e", "target": target}])
    made.secrets = {"e": {"content": "x"}}
    with pytest.raises(PodError, match="service web: "):
        files(made)


@pytest.mark.parametrize(
    ("document", "kind"),
    [({"external": True}, UsageError), ({"file": "/nothing/there"}, NotFound), ({"environment": "NOPE"}, UsageError)],
)
def test_staging_when_the_source_is_not_there_then_it_is_named(document: dict[str, Any], kind: type[PodError]) -> None:
    made = project(secrets=[{"source": "s"}])
    made.secrets = {"s": document}
    with pytest.raises(kind, match=r"service web: .*s"):
        files(made)
