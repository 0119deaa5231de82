from __future__ import annotations

import json
import os


def test_info_when_run_then_dockers_layout(offline_pod):
    result = offline_pod("info")
    lines = result.ok().splitlines()
    assert lines[0] == "Client:"
    assert "Server:" in lines
    for start in (
        " Containers: ",
        " Images: ",
        " Storage Driver: ",
        " Kernel Version: ",
        " CPUs: ",
        " Docker Root Dir: ",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, start


def test_info_when_limits_are_not_enforced_then_warnings_close_it(offline_pod):
    lines = offline_pod("info").err.splitlines()
    assert "WARNING: No memory limit support" in lines
    assert "WARNING: No pids limit support" in lines
    assert all(line.startswith("WARNING: ") for line in lines)


def test_info_when_json_then_dockers_fields(offline_pod):
    document = json.loads(offline_pod("info", "--format", "json").ok())
    assert document["DockerRootDir"] == str(offline_pod.root)
    assert document["KernelVersion"] == os.uname().release
    assert document["MemoryLimit"] is False
    assert document["Containers"] == document["ContainersRunning"] + document["ContainersStopped"]
    assert "name=rootless" in document["SecurityOptions"]
    assert document["ClientInfo"]["Version"] == document["ServerVersion"]


def test_info_when_a_template_is_given_then_that_field(offline_pod):
    assert offline_pod("info", "-f", "{{.OSType}}").ok() == "linux\n"
    assert offline_pod("system", "info", "-f", "{{.Images}}").ok().strip().isdigit()


def test_info_when_a_field_does_not_exist_then_an_error(offline_pod):
    offline_pod("info", "-f", "{{.Nothing}}").failed(1)


def test_info_when_a_proxy_has_a_password_then_it_is_not_shown(offline_pod):
    result = offline_pod("info", env={"HTTPS_PROXY": "http://user:secret@proxy.example:3128"})
    assert "secret" not in result.ok()
    assert "proxy.example:3128" in result.out
