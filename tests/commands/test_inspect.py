"""inspect: whose document it is, and that it has what Docker's has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod

TOP = """
    AppArmorProfile Args Config Created Driver ExecIDs GraphDriver HostConfig HostnamePath HostsPath Id Image
    LogPath MountLabel Mounts Name NetworkSettings Path Platform ProcessLabel ResolvConfPath RestartCount
    State
"""
STATE = "Dead Error ExitCode FinishedAt OOMKilled Paused Pid Restarting Running StartedAt Status"
HOST = """
    AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps
    BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ConsoleSize ContainerIDFile
    CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus
    CpusetMems DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch ExtraHosts GroupAdd
    IOMaximumBandwidth IOMaximumIOps IpcMode Isolation Links LogConfig MaskedPaths Memory MemoryReservation
    MemorySwap MemorySwappiness NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit PortBindings
    Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize UTSMode
    Ulimits UsernsMode VolumeDriver VolumesFrom
"""
CONFIG = """
    AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env Hostname Image Labels OnBuild
    OpenStdin StdinOnce Tty User Volumes WorkingDir
"""
NETWORK = """
    Bridge EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen HairpinMode IPAddress IPPrefixLen
    IPv6Gateway LinkLocalIPv6Address LinkLocalIPv6PrefixLen MacAddress Networks Ports SandboxID SandboxKey
    SecondaryIPAddresses SecondaryIPv6Addresses
"""
ENDPOINT = """
    Aliases DNSNames DriverOpts EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen GwPriority IPAMConfig
    IPAddress IPPrefixLen IPv6Gateway Links MacAddress NetworkID
"""
"""Members that Docker's document always has: Engine API, schemas ContainerInspectResponse, ContainerState, HostConfig,
ContainerConfig, NetworkSettings, EndpointSettings (docs.docker.com/reference/api/engine). Members that it leaves out
where they are empty (Annotations, Tmpfs, Healthcheck, Health …) are not listed.
"""

OURS = {"RootEmulation"}
"""Members of HostConfig that Docker does not know."""


def test_inspect_has_every_member_of_dockers_document(pod: Pod, sleeper: str) -> None:
    document = pod.inspect(sleeper)
    for found, wanted in (
        (document, TOP),
        (document["State"], STATE),
        (document["Config"], CONFIG),
        (document["NetworkSettings"], NETWORK),
        (document["NetworkSettings"]["Networks"]["none"], ENDPOINT),
    ):
        own = set(found) - {"ExposedPorts", "StopSignal", "Healthcheck", "StopTimeout"}
        assert own == set(wanted.split()), own ^ set(wanted.split())
    host = set(document["HostConfig"]) - OURS - {"Annotations", "Init", "Sysctls", "Tmpfs"}
    assert host == set(HOST.split()), host ^ set(HOST.split())
    assert set(document["GraphDriver"]) == {"Name", "Data"}


def test_inspect_tells_the_state_from_creation_to_the_end(pod: Pod, busybox: str) -> None:
    zero = "0001-01-01T00:00:00Z"
    pod("create", "--name", "told", busybox, "sh", "-c", "sleep 100; exit 3").ok()
    state = pod.state("told")
    assert (state["Status"], state["Running"]) == ("created", False)
    assert (state["StartedAt"], state["FinishedAt"]) == (zero, zero)
    pod("start", "told").ok()
    state = pod.state("told")
    assert (state["Status"], state["Running"], state["ExitCode"]) == ("running", True, 0)
    assert Path(f"/proc/{state['Pid']}").exists()
    assert state["FinishedAt"] == zero < state["StartedAt"]
    pod("kill", "told").ok()
    state = pod.state("told")
    assert (state["Status"], state["Running"], state["ExitCode"], state["Pid"]) == ("exited", False, 137, 0)
    assert state["FinishedAt"] > state["StartedAt"]


def test_inspect_takes_the_container_before_the_image_of_its_name(pod: Pod, busybox: str) -> None:
    pod("tag", busybox, "twin").ok()
    image = pod.inspect("twin")
    assert image["RepoTags"]
    pod("create", "--name", "twin", busybox).ok()
    assert pod.inspect("twin")["Name"] == "/twin"
    assert pod.inspect("twin", "--type", "image")["Id"] == image["Id"]
    assert pod.inspect("twin", "--type", "container")["Name"] == "/twin"
    pod("rm", "twin").ok()
    pod("rmi", "twin").ok()


def test_inspect_shows_what_there_is_and_says_what_there_is_not(pod: Pod, sleeper: str, busybox: str) -> None:
    done = pod("inspect", sleeper, "nobody", busybox, "Bad Name", "host")
    assert done.code == 1
    assert [doc.get("Name") for doc in json.loads(done.out)] == ["/" + sleeper, None, "host"]
    said = [line for line in done.err.splitlines() if line.startswith("pod: ")]
    assert said == ["pod: No such object: nobody", "pod: No such object: Bad Name"]
    nothing = pod("inspect", "nobody")
    assert nothing.out == "[]\n"
    nothing.failed(1, "No such object: nobody")
    assert pod("inspect", "-f", "{{.Id}}", "nobody").out == ""
    for kind, words in (
        ("container", "No such container: " + busybox),
        ("image", "No such image"),
        ("network", f"network {busybox} not found"),
    ):
        name = sleeper if kind == "image" else busybox
        pod("inspect", "--type", kind, name).failed(1, words)
    pod("inspect", "--type", "secret", "x").failed(1, 'unknown type: "secret": must be one of "container", "image"')
    pod("inspect", "--type=", "x").failed(1, "type is empty: must be one of")
    pod("container", "inspect", busybox).failed(1, "No such container")


def test_inspect_networks_have_their_running_members(pod: Pod, sleeper: str) -> None:
    (network,) = json.loads(pod("inspect", "--type", "network", "none").ok())
    assert (network["Name"], network["Driver"], network["Scope"]) == ("none", "null", "local")
    assert [member["Name"] for member in network["Containers"].values()] == [sleeper]
    assert json.loads(pod("inspect", "host").ok())[0]["Containers"] == {}
    assert json.loads(pod("inspect", network["Id"][:12]).ok())[0]["Name"] == "none"


def test_inspect_size_counts_what_the_container_wrote(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "wrote", busybox, "sh", "-c", "head -c 100000 /dev/zero >/more").ok()
    document = pod.inspect("wrote", "--size")
    assert 100000 <= document["SizeRw"] < 110000
    assert document["SizeRootFs"] - document["SizeRw"] > 500000
    assert "SizeRw" not in pod.inspect("wrote")
    done = pod("inspect", "-s", "-f", "{{.Id}}", busybox)
    assert done.code == 0
    assert done.err == "WARNING: --size ignored for images\n"


def test_inspect_graph_driver_leads_to_the_files_until_they_are_removed(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "writer", busybox, "sh", "-c", "echo found >/written").ok()
    data = pod.inspect("writer")["GraphDriver"]["Data"]
    written = Path(data["UpperDir"]) / "written"
    assert written.read_text() == "found\n"
    for name in ("MergedDir", "WorkDir"):
        assert os.path.isdir(data.get(name, data["UpperDir"]))
    for lower in filter(None, data.get("LowerDir", "").split(":")):
        assert os.path.isdir(lower)
    pod("rm", "writer").ok()
    assert not Path(data["UpperDir"]).exists()


@pytest.mark.parametrize(
    ("template", "code", "words"),
    [
        ("{{", 1, "template parsing error"),
        ("{{.Nope}}", 1, 'map has no entry for key "Nope"'),
        ("{{.Name.Foo}}", 1, "can't evaluate field Foo"),
        ("{{index .Mounts 5}}", 1, "out of range"),
    ],
)
def test_inspect_template_that_is_none_is_refused(
    pod: Pod, sleeper: str, template: str, code: int, words: str
) -> None:
    done = pod("inspect", "-f", template, sleeper)
    done.failed(code, words)
