"""`pod search` and `pod manifest`: catalogues, Docker's search, lists that are put together here and pushed."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support import tools
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, Pusher, archive, digest

pytestmark = pytest.mark.alike
RESULTS = [
    {"name": "app", "description": "The\nfirst " + "x" * 60, "star_count": 12, "is_official": True},
    {"name": "team/app", "description": "\x1b[31mred", "star_count": 3, "is_official": False},
    {"name": 7, "description": None, "star_count": "many"},
]


def test_search_by_api_when_asked_then_dockers_table_and_filters(offline_pod: Pod, server: Scripted) -> None:
    server.rules({"path": "/v1/search", "body": json.dumps({"num_results": 3, "results": RESULTS})})
    table = offline_pod("search", f"{server.host}/app").ok().splitlines()
    assert table[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert table[1].split()[0] == f"{server.host}/app"
    assert table[1].split()[-2:] == ["12", "[OK]"]
    assert "The first" in table[1]
    assert "x…" in table[1]
    assert "\x1b" not in "".join(table)
    assert "q=app&n=25" in server.requests("/v1/search")[0]["path"]
    whole = offline_pod("search", "--no-trunc", "--limit", "1", f"{server.host}/app").ok()
    assert "x" * 60 in whole
    assert len(whole.splitlines()) == 2
    only = ("search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", "-f")
    assert offline_pod(*only, "stars=5", f"{server.host}/app").ok() == f"{server.host}/app 12 [OK]\n"
    assert "team/app" in offline_pod(*only, "is-official=false", f"{server.host}/app").ok()
    rows = [
        json.loads(line)
        for line in offline_pod("search", "--format", "json", f"{server.host}/app").ok().split("\n")[:-1]
    ]
    assert rows[0]["IsOfficial"] == "true"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "101"], "limit 101 is outside the range of [1, 100]"),
        (["-f", "colour=red"], "invalid filter 'colour'"),
        (["-f", "stars=many"], "invalid filter 'stars=many'"),
    ],
)
def test_search_when_flags_do_not_fit_then_dockers_words(offline_pod: Pod, words: list[str], said: str) -> None:
    offline_pod("search", *words, "127.0.0.1:1/app").failed(1, said)


def test_search_by_catalogue_where_there_is_no_api(offline_pod: Pod, writable_registry: Registry) -> None:
    pusher = Pusher(writable_registry)
    for name in ("team/app", "team/application", "team/other"):
        pusher.image(name, "v1", Built(archive(a="1")))
    names = offline_pod("search", "--format", "{{.Name}}", f"{writable_registry.host}/app").ok().split()
    assert names == [f"{writable_registry.host}/team/{name}" for name in ("app", "application")]


def test_search_when_the_registry_has_neither_then_one_line(offline_pod: Pod, server: Scripted) -> None:
    offline_pod("search", f"{server.host}/app").failed(1, "neither a search nor a catalogue")
    server.rules({"path": "/v1/", "body": "<html>"}, {"path": "_catalog", "body": "{" * 100})
    offline_pod("search", f"{server.host}/app").failed(1, "catalogue")


@pytest.fixture
def two(writable_registry: Registry) -> tuple[Pusher, Built, Built]:
    """team/app:amd64 and other/app:arm64."""
    pusher = Pusher(writable_registry)
    first, second = Built(archive(a="1")), Built(archive(b="2"), architecture="arm64", variant="v8")
    pusher.image("team/app", "amd64", first)
    pusher.image("other/app", "arm64", second)
    return pusher, first, second


def test_manifest_list_is_created_annotated_pushed_and_gone(offline_pod: Pod, two: tuple[Pusher, Built, Built]) -> None:
    pusher, first, second = two
    name, one, other = (f"{pusher.host}/{what}" for what in ("team/app:multi", "team/app:amd64", "other/app:arm64"))
    assert offline_pod("manifest", "create", name, one).ok() == f"Created manifest list {name}\n"
    offline_pod("manifest", "create", name, other).failed(
        1, "refusing to amend an existing manifest list with no --amend"
    )
    offline_pod("manifest", "create", "-a", name, other).ok()
    assert offline_pod("manifest", "annotate", "--os-version", "5", "--os-features", "a,b", name, other).ok() == ""
    offline_pod("manifest", "annotate", "--arch", "x", name, f"{pusher.host}/no:x").failed(1, "does not exist in")
    shown = json.loads(offline_pod("manifest", "inspect", name).ok())
    platforms = [entry["platform"] for entry in shown["manifests"]]
    assert platforms[0] == {"architecture": "amd64", "os": "linux"}
    given = {"os.version": "5", "os.features": ["a", "b"]}
    assert platforms[1] == {"architecture": "arm64", "os": "linux", "variant": "v8", **given}
    assert json.loads(offline_pod("manifest", "inspect", name, one).ok()) == json.loads(first.manifest)
    lines = offline_pod("manifest", "push", "-p", name).ok().splitlines()
    assert lines[0].startswith("Pushed ref ")
    assert len(lines) == 3
    offline_pod("manifest", "push", name).failed(1, "No such manifest")
    pushed = json.loads(offline_pod("manifest", "inspect", name).ok())
    assert pushed == shown
    offline_pod("pull", "--platform", "linux/arm64", name).ok()
    assert offline_pod("image", "inspect", "--format", "{{.Id}}", name).ok().strip() == second.id
    verbose = json.loads(offline_pod("manifest", "inspect", "-v", name).ok())
    assert [entry["Descriptor"]["digest"] for entry in verbose] == [digest(first.manifest), digest(second.manifest)]
    assert verbose[0]["OCIManifest"]["mediaType"] == MANIFEST
    skopeo = tools.find("skopeo")
    if skopeo:
        argv = [skopeo, "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
        raw = subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout
        assert digest(raw) == lines[2]


def test_manifest_rm_forgets_and_tells_what_was_not_there(offline_pod: Pod, two: tuple[Pusher, Built, Built]) -> None:
    pusher, _, _ = two
    name = f"{pusher.host}/team/app:multi"
    offline_pod("manifest", "create", name, f"{pusher.host}/team/app:amd64").ok()
    offline_pod("manifest", "rm", name).ok()
    offline_pod("manifest", "rm", name).failed(1, "No such manifest")


def test_manifest_commands_when_they_cannot_then_one_line(offline_pod: Pod, two: tuple[Pusher, Built, Built]) -> None:
    pusher, _, _ = two
    pusher.index("team/app", "index", Built(archive(a="1")))
    name = f"{pusher.host}/team/app"
    offline_pod("manifest", "inspect", f"{name}:none").failed(1, f"no such manifest: {name}:none")
    offline_pod("manifest", "create", f"{name}:multi", f"{name}:index").failed(1, "is a manifest list")
    offline_pod("manifest", "create", "other.example/app:multi", f"{name}:amd64").ok()
    offline_pod("manifest", "push", "other.example/app:multi").failed(1, "different registry than the target image")
    offline_pod("manifest", "annotate", "--os", "a\nb", f"{name}:multi", f"{name}:amd64").failed(125, "--os")
