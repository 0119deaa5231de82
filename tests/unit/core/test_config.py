"""pod.core.config and pod.core.registry.registries: which file says what, and where an error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pod.core import config
from pod.core.errors import ConfigError, RegistryError
from pod.core.oci import reference
from pod.core.registry import registries
from pod.core.registry.registries import Registries


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    (tmp_path / "pod").mkdir()
    (tmp_path / "containers").mkdir()
    return tmp_path


def load(home: Path, **environ: str) -> config.Config:
    return config.load({"XDG_CONFIG_HOME": str(home), **environ})


def test_load_when_no_files_then_defaults(home: Path) -> None:
    loaded = load(home)
    assert (loaded.log_driver, loaded.parallel_downloads, loaded.dns) == ("json-file", 3, [])


def test_load_when_daemon_json_then_its_keys(home: Path) -> None:
    (home / "docker/daemon.json").write_text(
        """{"registry-mirrors": ["https://mirror.example.com/"], "insecure-registries": ["10.0.0.0/8"],
        "dns": ["1.1.1.1", "::1"], "bip": "10.9.0.1/24", "log-driver": "local", "log-opts": {"max-size": "1m"},
        "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}},
        "max-concurrent-downloads": 5, "storage-driver": "overlay2"}"""
    )
    loaded = load(home)
    assert loaded.registry_mirrors == ["https://mirror.example.com/"]
    assert loaded.insecure_registries == ["10.0.0.0/8"]
    assert loaded.dns == ["1.1.1.1", "::1"]
    assert loaded.bip == "10.9.0.1/24"
    assert (loaded.log_driver, loaded.log_opts) == ("local", {"max-size": "1m"})
    assert [(pool.base, pool.size) for pool in loaded.default_address_pools] == [("10.10.0.0/16", 24)]
    assert [(limit.name, limit.soft, limit.hard) for limit in loaded.default_ulimits] == [("nofile", 1024, 4096)]
    assert loaded.parallel_downloads == 5


def test_load_when_pod_toml_then_over_daemon_json(home: Path) -> None:
    (home / "docker/daemon.json").write_text('{"log-driver": "local", "dns": ["1.1.1.1"]}')
    (home / "pod/pod.toml").write_text('log-driver = "none"\n[token-realms]\n"r.example.com" = "https://auth.x/t"\n')
    loaded = load(home)
    assert (loaded.log_driver, loaded.dns) == ("none", ["1.1.1.1"])
    assert loaded.token_realms == {"r.example.com": "https://auth.x/t"}


def test_load_when_daemon_json_has_a_log_driver_of_its_own_then_default_stays(home: Path) -> None:
    (home / "docker/daemon.json").write_text('{"log-opts": {"tag": "x"}, "log-driver": "journald"}')
    loaded = load(home)
    assert (loaded.log_driver, loaded.log_opts) == ("json-file", {})
    assert loaded.skipped == [f"{home}/docker/daemon.json: log-driver journald"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{\n\n  nonsense", "daemon.json:3"),
        ("[]", "daemon.json:1"),
        ('{\n"dns": "1.1.1.1"}', "daemon.json:2: dns: must be a list"),
        ('{\n"dns": ["one"]}', "daemon.json:2: dns"),
        ('{"a": 1,\n\n"log-driver": 7}', "daemon.json:3: log-driver: must be a string"),
        ('{"bip": "10.0.0.1"}', "daemon.json:1: bip"),
        ('{"default-address-pools": [{"base": "10.0.0.0/24", "size": 16}]}', "daemon.json:1: default-address-pools"),
        ('{"default-address-pools": [{"base": "10.0.0.0/24"}]}', "daemon.json:1: default-address-pools"),
        ('{"default-ulimits": {"nofile": {"Soft": "x"}}}', "daemon.json:1: default-ulimits"),
        ('{"log-opts": {"a": 1}}', "daemon.json:1: log-opts"),
        ('{"max-concurrent-downloads": 0}', "parallel-downloads"),
        ("[" * 100_000, "daemon.json"),
    ],
)
def test_load_when_daemon_json_wrong_then_error_names_file_and_line(home: Path, text: str, place: str) -> None:
    (home / "docker/daemon.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(home)
    assert place in caught.value.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\n\nx = = 1", "pod.toml:3"),
        ('\nlog-drive = "none"', "pod.toml:2: log-drive: unknown key"),
        ("\n\ndns = 7\n", "pod.toml:3: dns"),
        ('\nlog-driver = "gelf"', "pod.toml:2: log-driver: gelf is not"),
        ("\xff", "pod.toml"),
    ],
)
def test_load_when_pod_toml_wrong_then_error_names_file_and_line(home: Path, text: str, place: str) -> None:
    (home / "pod/pod.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load(home)
    assert place in caught.value.message


def test_load_when_pod_config_names_no_file_then_error(home: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(home, POD_CONFIG=str(home / "none.toml"))


def test_load_when_file_is_huge_or_a_directory_then_error(home: Path) -> None:
    (home / "docker/daemon.json").write_text(" " * (config.MAX_FILE + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(home)
    (home / "docker/daemon.json").unlink()
    (home / "docker/daemon.json").mkdir()
    with pytest.raises(ConfigError, match="is a directory"):
        load(home)


def conf(home: Path, text: str, *drop_ins: str) -> Registries:
    (home / "containers/registries.conf").write_text(text)
    folder = home / "containers/registries.conf.d"
    folder.mkdir()
    for number, drop_in in enumerate(drop_ins):
        (folder / f"{number:03}.conf").write_text(drop_in)
    return registries.of(load(home))


def test_registries_when_version_2_then_rules_aliases_and_search(home: Path) -> None:
    found = conf(
        home,
        """unqualified-search-registries = ["a.example.com", "docker.io"]
        [[registry]]
        prefix = "example.com/team"
        location = "mirror.local:5000/x"
        insecure = true
        [[registry.mirror]]
        location = "near.local/x"
        pull-from-mirror = "digest-only"
        [[registry]]
        location = "bad.example.com"
        blocked = true
        [[registry]]
        prefix = "*.wild.com"
        location = "wild.local"
        """,
        '[aliases]\nfedora = "registry.example.org/fedora"\n',
    )
    rule = found.rule("example.com/team/app")
    assert rule is not None
    assert rule.rewrite("example.com/team/app", rule.location) == "mirror.local:5000/x/app"
    assert (rule.insecure, rule.mirrors[0].location, rule.mirrors[0].pull_from) == (True, "near.local/x", "digest-only")
    assert found.rule("example.com/teamwork") is None
    wild = found.rule("a.wild.com/app")
    assert wild is not None
    assert wild.rewrite("a.wild.com/app", wild.location) == "wild.local/app"
    assert found.rule("wild.com/app") is None
    with pytest.raises(RegistryError, match="blocked"):
        found.rule("bad.example.com/app")
    assert [ref.canonical() for ref in found.candidates("fedora:40")] == ["registry.example.org/fedora:40"]
    assert [ref.canonical() for ref in found.candidates("app:1")] == [
        "a.example.com/app:1",
        "docker.io/library/app:1",
    ]
    assert [ref.canonical() for ref in found.candidates("b.example.com/app")] == ["b.example.com/app"]


def test_registries_when_nothing_said_then_docker_io(home: Path) -> None:
    found = conf(home, "# nothing\n")
    assert [ref.canonical() for ref in found.candidates("app")] == ["docker.io/library/app"]


def test_registries_when_drop_in_has_same_prefix_then_replaces(home: Path) -> None:
    found = conf(
        home, '[[registry]]\nlocation = "a.com"\n', '[[registry]]\nlocation = "b.com"\nprefix = "a.com"\n'
    )
    rule = found.rule("a.com/x")
    assert rule is not None
    assert rule.location == "b.com"
    assert len(found.rules) == 1


def test_registries_when_version_1_then_understood(home: Path) -> None:
    found = conf(
        home,
        '[registries.search]\nregistries = ["a.com"]\n[registries.insecure]\nregistries = ["b.com"]\n'
        '[registries.block]\nregistries = ["c.com"]\n',
    )
    assert found.search == ["a.com"]
    rule = found.rule("b.com/x")
    assert rule is not None
    assert rule.insecure
    with pytest.raises(RegistryError):
        found.rule("c.com/x")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[[registry]]\nlocation = "https://a.com"\n', "registries.conf:2: location"),
        ('[[registry]]\nlocation = "a.com"\ninsecure = 1\n', "registries.conf:3: insecure"),
        ("[[registry]]\n", "registries.conf:1: registry: needs"),
        ('\nunqualified-search-registries = "a.com"\n', "registries.conf:2: unqualified"),
        ('[aliases]\nx = "y"\n', "registries.conf:2: x"),
        ('[aliases]\nx = "y.com/z:tag"\n', "registries.conf:2: x"),
        ('[[registry]]\nlocation = "a.com/../b"\n', "registries.conf:2: location"),
        ('[[registry]]\nlocation = "u@a.com"\n', "registries.conf:2: location"),
        ('registry = "x"\n', "registries.conf:1: registry"),
        ("x = \n", "registries.conf:1"),
    ],
)
def test_registries_when_wrong_then_error_names_file_and_line(home: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        conf(home, text)
    assert place in caught.value.message


def test_candidates_when_alias_then_reference_keeps_digest(home: Path) -> None:
    found = conf(home, '[aliases]\n"team/app" = "r.example.org/deep/app"\n')
    digest = "sha256:" + "0" * 64
    expected = reference.parse(f"r.example.org/deep/app@{digest}")
    assert found.candidates(f"team/app@{digest}") == [expected]
