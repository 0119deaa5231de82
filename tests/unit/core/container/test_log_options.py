"""--log-opt: Docker's words for what is wrong, and what the supervisor is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pod.core.container import log_options
from pod.core.errors import PodError
from pod.core.runtime import plan
from tests.unit.core.container.conftest import record


def planned(driver: str, options: dict[str, str], **changes: Any) -> dict[str, bytes]:
    config = record()
    config["HostConfig"]["LogConfig"] = {"Type": driver, "Config": options}
    config["Config"].update(changes)
    writer = plan.PlanWriter()
    log_options.write_plan(writer, config)
    return plan.parse(writer.finish("0" * 32))


def number(value: bytes) -> int:
    return int.from_bytes(value, "little")


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("gelf", {}, "log driver gelf: not in pod"),
        ("nosuch", {}, "logger: no log driver named 'nosuch' is registered"),
        ("json-file", {"no": "1"}, "unknown log opt 'no' for json-file log driver"),
        ("json-file", {"syslog-address": "udp://h"}, "unknown log opt 'syslog-address' for json-file log driver"),
        ("syslog", {"max-size": "1m"}, "unknown log opt 'max-size' for syslog log driver"),
        ("none", {"max-size": "1m"}, "invalid logging opts for driver none"),
        ("json-file", {"max-size": ""}, "invalid size: ''"),
        ("json-file", {"max-size": "1.5.5m"}, "invalid size: '1.5.5m'"),
        ("json-file", {"max-size": "9" * 40}, "invalid size"),
        ("json-file", {"max-size": "m"}, "invalid size: 'm'"),
        ("json-file", {"max-size": "-2"}, "invalid size: '-2'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("local", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"compress": "maybe"}, 'strconv.ParseBool: parsing "maybe"'),
        ("json-file", {"compress": "true", "max-file": "1"}, "compress cannot be true"),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        ("json-file", {"max-buffer-size": "1m"}, "only supported with 'mode=non-blocking'"),
        ("json-file", {"mode": "non-blocking", "max-buffer-size": "x"}, "error parsing option max-buffer-size"),
        ("json-file", {"mode": "non-blocking", "max-buffer-size": "2g"}, "error parsing option max-buffer-size"),
        ("json-file", {"tag": "{{.Nothing}}"}, "can't evaluate {{.Nothing}}"),
        ("json-file", {"tag": "{{.ID"}, "can't evaluate"),
        ("json-file", {"tag": "a\nb"}, "line break"),
        ("json-file", {"labels-regex": "("}, "error parsing regexp"),
        ("syslog", {"syslog-address": "localhost"}, "in form proto://address, got localhost"),
        ("syslog", {"syslog-address": "tcp://h:0"}, "in form proto://address"),
        ("syslog", {"syslog-address": "tcp://h:99999"}, "in form proto://address"),
        ("syslog", {"syslog-address": "unix:///no/such"}, "stat /no/such: no such file or directory"),
        ("syslog", {"syslog-address": "unix:///" + "x" * 200}, "longer than a socket's path"),
        ("syslog", {"syslog-address": "tcp+tls://h"}, "syslog over TLS"),
        ("syslog", {"syslog-address": "udp://127.0.0.1", "syslog-facility": "nosuch"}, "invalid syslog facility"),
        ("syslog", {"syslog-address": "udp://127.0.0.1", "syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-address": "udp://127.0.0.1", "syslog-format": "x"}, "Invalid syslog format"),
    ],
)
def test_check_says_what_docker_says(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(PodError) as caught:
        log_options.check(driver, options)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "size"),
    [("10m", 10_000_000), ("1.5k", 1500), ("42", 42), ("2GB", 2_000_000_000), ("1 MiB", 1_000_000), ("7b", 7)],
)
def test_human_size_counts_in_thousands(text: str, size: int) -> None:
    assert log_options.human_size(text) == size


def test_plan_has_the_limits(tmp_path: Path) -> None:
    values = planned("json-file", {"max-size": "1m", "max-file": "7", "compress": "true"})
    assert {key: number(value) for key, value in values.items()} == {
        "LOG_SIZE": 1_000_000, "LOG_FILES": 7, "LOG_FLAGS": plan.LOG_COMPRESS,
    }  # fmt: skip
    values = planned("local", {"mode": "non-blocking", "max-buffer-size": "2m", "max-size": "-1", "compress": "false"})
    assert {key: number(value) for key, value in values.items()} == {
        "LOG_SIZE": 0, "LOG_FILES": 5, "LOG_FLAGS": plan.LOG_NON_BLOCKING, "LOG_BUFFER": 2 << 20,
    }  # fmt: skip


def test_plan_of_local_rotates_five_compressed_files_of_20_mb() -> None:
    values = planned("local", {})
    assert [number(values[key]) for key in ("LOG_SIZE", "LOG_FILES", "LOG_FLAGS")] == [20_000_000, 5, 1]


def test_plan_has_labels_variables_and_tag_in_order() -> None:
    values = planned(
        "json-file", {"labels": "b,missing", "env": "A", "env-regex": "^Z", "tag": "x-{{ .ID }}"},
        Labels={"b": '"1"', "c": "2"}, Env=["A=1=2", "ZED=z", "HOME=/"],
    )  # fmt: skip
    short = record()["Id"][:12]
    assert values["LOG_ATTRS"].decode() == f',"attrs":{{"A":"1=2","ZED":"z","b":"\\"1\\"","tag":"x-{short}"}}\0'


def test_plan_when_attributes_are_large_then_refused() -> None:
    with pytest.raises(PodError, match="32 KiB"):
        planned("json-file", {"labels": "a"}, Labels={"a": "x" * 40000})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("udp://127.0.0.1", b"udp\x00127.0.0.1\x00514\0"),
        ("tcp://127.0.0.1:601", b"tcp\x00127.0.0.1\x00601\0"),
        ("tcp://[::1]:601", b"tcp\0::1\x00601\0"),
        ("udp://localhost:5", b"udp\x00127.0.0.1\x005\0"),
    ],
)
def test_plan_of_syslog_has_a_numeric_address(address: str, expected: bytes) -> None:
    values = planned("syslog", {"syslog-address": address, "syslog-facility": "local3", "syslog-format": "rfc5424"})
    assert values["LOG_ADDRESS"].replace(b"::1", b"127.0.0.1") == expected.replace(b"::1", b"127.0.0.1")
    assert number(values["LOG_SYSLOG"]) == 19 | 2 << 8
    assert values["LOG_TEXTS"].split(b"\0")[0].decode() == record()["Id"][:12]


def test_plan_of_journald_has_dockers_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_options, "JOURNAL_SOCKET", str(tmp_path))
    values = planned("journald", {"labels": "a.b", "tag": "t"}, Labels={"a.b": "c"})
    fields = dict(field.split("=", 1) for field in values["LOG_TEXTS"].decode().split("\0")[:-1])
    assert fields["CONTAINER_ID_FULL"] == record()["Id"]
    assert fields["CONTAINER_TAG"] == fields["SYSLOG_IDENTIFIER"] == "t"
    assert fields["A_B"] == "c"


def test_check_when_there_is_no_journal_then_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_options, "JOURNAL_SOCKET", str(tmp_path / "none"))
    with pytest.raises(PodError, match="journald is not enabled on this host"):
        log_options.check("journald", {})


def test_merge_takes_the_configurations_options_for_its_own_driver_only() -> None:
    assert log_options.merge("", {"a": "1"}, "local", {"a": "2", "b": "3"}) == ("local", {"a": "1", "b": "3"})
    assert log_options.merge("json-file", {}, "local", {"b": "3"}) == ("json-file", {})
