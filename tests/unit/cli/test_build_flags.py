"""Flags of build to Wishes: each honoured, or refused with the reason."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from pod.cli import build_flags, build_outputs, build_wishes
from pod.cli.options import Command, parse
from pod.core.builder.wishes import Wishes
from pod.core.engine import Engine
from pod.core.errors import UsageError

COMMAND = Command("build", "", "", build_flags.FLAGS, min_args=1, max_args=1)
Said = list[tuple[str, Any]]


def wishes(*words: str, environ: dict[str, str] | None = None, said: Said | None = None) -> Wishes:
    told: Said = [] if said is None else said
    engine = Engine(environ or {}, root="/nowhere", progress=lambda event, fields: told.append((event, fields)))
    return build_wishes.wishes(engine, parse(COMMAND, [*words, "."]))


def refused(*words: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        wishes(*words, environ=environ)
    return caught.value.message


def test_wishes_when_nothing_is_given_then_plain() -> None:
    found = wishes()
    assert found.context == "."
    assert found.file == ""
    assert found.tags == []
    assert found.outputs == []
    assert found.network == "default"
    assert found.shm_size == 0
    assert found.makes_image
    assert not found.pull
    assert not found.no_cache
    assert not found.squash
    assert not found.quiet


def test_wishes_when_everything_is_given_then_all_of_it_arrives(tmp_path: Path) -> None:
    found = wishes(
        "-f", "dir/D", "-t", "app", "--tag", "r.example:5000/team/app:1", "--target", "final", "--build-arg", "A=1=2",
        "--build-arg", "FROM_HERE", "--build-arg", "NOT_HERE", "--label", "a=b", "--label", "c", "--annotation",
        "x.y=z", "--annotation", "manifest:k=v", "--no-cache", "--no-cache-filter", "one,two", "--pull", "--platform",
        "linux/arm64", "--network", "none", "--add-host", "h:10.0.0.1", "--shm-size", "1m", "--ulimit", "nofile=1:2",
        "--build-context", "docker.io/library/alpine:latest=docker-image://x", "--squash", "--cache-from", "a/b",
        "--cache-to", "type=inline", "--rm", "--force-rm", "--compress", "--isolation", "default", "--builder",
        "default", "--provenance=false", "--sbom", "false", "--attest", "type=sbom,disabled=true", "--allow",
        "network.host", environ={"FROM_HERE": "value"},
    )  # fmt: skip
    assert (found.file, found.target) == ("dir/D", "final")
    assert [name.familiar() for name in found.tags] == ["app:latest", "r.example:5000/team/app:1"]
    assert found.build_args == {"A": "1=2", "FROM_HERE": "value"}
    assert found.labels == {"a": "b", "c": ""}
    assert found.annotations == {"x.y": "z", "k": "v"}
    assert found.no_cache
    assert found.no_cache_filter == ["one", "two"]
    assert found.pull
    assert found.squash
    assert found.platform == "linux/arm64"
    assert found.network == "none"
    assert found.add_hosts == ["h:10.0.0.1"]
    assert found.shm_size == 1 << 20
    assert found.ulimits == [("nofile", 1, 2)]
    assert found.build_contexts == {"alpine": "docker-image://x"}
    assert found.cache_from == [{"type": "registry", "ref": "a/b"}]
    assert found.cache_to == [{"type": "inline"}]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("-t", "UPPER"), 'invalid argument "UPPER" for "-t, --tag" flag'),
        (("-t", "a@sha256:" + "0" * 64), "a digest is no name"),
        (("--build-arg", "=x"), "--build-arg"),
        (("--annotation", "none"), "expected key=value"),
        (("--annotation", "index:a=b"), "index annotations"),
        (("--platform", "linux/amd64,linux/arm64"), "one at a time"),
        (("--platform", "a/b/c/d"), "a/b/c/d"),
        (("--network", "web"), 'network mode "web" not supported'),
        (("--add-host", "x"), 'bad format for add-host: "x"'),
        (("--ulimit", "nope=1"), "invalid ulimit type"),
        (("--shm-size", "1x"), "shm-size"),
        (("--build-context", "a"), "invalid context value: a, expected key=value"),
        (("--build-context", "A=b"), "invalid context name A"),
        (("--memory", "1m"), "Minimum memory limit allowed is 6MB"),
        (("-c", "-5"), "shares value of -5 is invalid"),
        (("--cgroup-parent", "x.slice"), "--cgroup-parent: x.slice: slices are systemd's to make"),
        (("--isolation", "hyperv"), "invalid isolation: hyperv"),
        (("--builder", "b1"), 'no builder "b1" found'),
        (("--security-opt", "seccomp=unconfined"), "--security-opt"),
        (("--allow", "security.insecure"), "--allow security.insecure"),
        (("--provenance=true",), "--provenance: pod writes no attestations"),
        (("--attest", "type=sbom"), "--attest: pod writes no attestations"),
        (("--cache-from", "type=gha"), 'no cache of type "gha"'),
        (("--cache-from", "type=inline"), 'no cache of type "inline"'),
        (("--cache-to", "type=local"), "dest is required"),
        (("--cache-to", "type=registry,ref=x,mode=most"), "invalid mode 'most'"),
        (("--cache-to", "type=registry,ref=x,colour=red"), '"colour" means nothing here'),
        (("--cache-to", "type=registry,ref=x,compression=zstd"), "compression is gzip here"),
        (("--cache-to", "type=local,dest=x,ignore-error=maybe"), "ignore-error is true or false"),
        (("--cache-to", "ref=x"), "type required"),
        (("--cache-from", "UPPER"), "--cache-from"),
    ],
)
def test_wishes_when_a_value_is_wrong_then_its_flag_is_named(words: tuple[str, ...], part: str) -> None:
    assert part in refused(*words)


def test_wishes_when_both_are_from_stdin_then_refused() -> None:
    engine = Engine({}, root="/nowhere")
    with pytest.raises(UsageError, match="stdin for both"):
        build_wishes.wishes(engine, parse(COMMAND, ["-f", "-", "-"]))


def test_wishes_when_rm_is_switched_off_then_a_warning_says_it_means_nothing() -> None:
    said: Said = []
    wishes("--rm=false", said=said)
    assert [event for event, _ in said] == ["warning"]
    assert "leave no containers" in said[0][1]["text"]


def test_secrets_of_files_and_variables(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("x")
    environ = {"TOKEN": "t", "both": "b"}
    found = wishes(
        "--secret", f"id=a,src={path}", "--secret", f"type=file,id=b,source={path}", "--secret", "id=c,env=TOKEN",
        "--secret", "type=env,id=TOKEN", "--secret", "id=both", "--secret", "type=env,id=d,src=TOKEN", environ=environ,
    ).secrets  # fmt: skip
    assert found == {
        "a": ("file", str(path)),
        "b": ("file", str(path)),
        "c": ("env", "TOKEN"),
        "TOKEN": ("env", "TOKEN"),
        "both": ("env", "both"),
        "d": ("env", "TOKEN"),
    }


def test_secrets_when_only_an_id_then_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert wishes("--secret", "id=key").secrets == {"key": ("file", str(tmp_path / "key"))}


def test_secrets_when_wrong_then_refused_before_anything_is_built(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * (build_wishes.MAX_SECRET + 1))
    os.mkfifo(tmp_path / "pipe")
    assert "too big" in refused("--secret", f"id=a,src={big}")
    assert "no regular file" in refused("--secret", f"id=a,src={tmp_path / 'pipe'}")
    assert "no regular file" in refused("--secret", f"id=a,src={tmp_path}")
    assert "no such file" in refused("--secret", f"id=a,src={tmp_path / 'none'}")
    assert 'no variable "NONE"' in refused("--secret", "id=a,env=NONE")
    assert "secret missing ID" in refused("--secret", f"src={big}")
    assert "unexpected key 'x'" in refused("--secret", "id=a,x=y")
    assert "must be a key=value pair" in refused("--secret", "id")
    assert 'unsupported secret type "vault"' in refused("--secret", "id=a,type=vault")
    assert "too big" in refused("--secret", "id=E", environ={"E": "x" * (build_wishes.MAX_SECRET + 1)})


def test_ssh_with_and_without_an_agent(tmp_path: Path) -> None:
    key, agent = tmp_path / "k", tmp_path / "a"
    key.touch()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(agent))
        found = wishes("--ssh", "default", "--ssh", f"git={agent}", environ={"SSH_AUTH_SOCK": "/s"}).ssh
        assert "one socket, not 2" in refused("--ssh", f"git={agent},{agent}")
    assert found == {"default": [], "git": [str(agent)]}
    assert "SSH_AUTH_SOCK" in refused("--ssh", "default")
    assert "cannot be read" in refused("--ssh", f"a={tmp_path / 'none'}")
    assert "is no socket of an agent" in refused("--ssh", f"a={key}")


@pytest.mark.parametrize(
    ("text", "kind", "attributes"),
    [
        ("out", "local", {"dest": "out"}),
        ("type=local,dest=out", "local", {"dest": "out"}),
        ("type=tar,dest=o.tar", "tar", {"dest": "o.tar"}),
        ("type=oci,dest=o.tar,compression=zstd", "oci", {"dest": "o.tar", "compression": "zstd"}),
        ("type=oci,tar=0,dest=folder", "oci", {"dest": "folder", "tar": "false"}),
        ("type=docker", "docker", {}),
        ("type=docker,destination=o.tar", "docker", {"dest": "o.tar"}),
        ("type=image", "image", {}),
        ("type=registry,name=r.example/a", "image", {"push": "true", "name": "r.example/a"}),
        ('type=image,"name=r.example/a,r.example/b"', "image", {"name": "r.example/a,r.example/b"}),
        ("type=image,name=r.example/a,push=1", "image", {"push": "true", "name": "r.example/a"}),
    ],
)
def test_output_forms(
    text: str, kind: str, attributes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = wishes("-o", text)
    (output,) = found.outputs
    assert (output.kind, output.attributes) == (kind, attributes)
    assert output.makes_image == found.makes_image == (kind in ("image", "docker") and "dest" not in attributes)
    named = attributes.get("name", "")
    assert [name.familiar() for name in found.tags] == [f"{name}:latest" for name in named.split(",") if name]


def test_output_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    (output,) = wishes("-o", "-").outputs
    assert (output.kind, output.attributes) == ("tar", {"dest": "-"})
    (output,) = wishes("-o", "type=oci").outputs
    assert output.attributes == {"dest": "-"}
    assert "only one can go to standard output" in refused("-o", "-", "-o", "type=oci")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "refusing to write to console" in refused("-o", "-")


def test_load_and_push_are_outputs() -> None:
    assert [one.kind for one in wishes("--load").outputs] == ["docker"]
    (output,) = wishes("--push", "-t", "r.example/a").outputs
    assert (output.kind, output.attributes) == ("image", {"push": "true"})
    (output,) = wishes("--push", "--load", "-o", "type=image", "-t", "a").outputs
    assert output.attributes == {"push": "true"}
    assert "tag is needed when pushing" in refused("--push")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("dest=x,a=b", "type is required"),
        ("type=cacheonly", 'unsupported type "cacheonly"'),
        ("type=local", "dest is required for local output"),
        ("type=local,dest=-", "cannot go to standard output"),
        ("type=tar,dest=none/x.tar", "does not exist"),
        ("type=tar,dest=.", "is a directory"),
        ("type=local,dest=x,mode=1", '"mode" means nothing here'),
        ("type=oci,dest=x,compression=lz4", 'unsupported compression "lz4"'),
        ("type=docker,dest=x,compression=gzip", "layers of this archive are plain"),
        ("type=image,compression=zstd", "a push compresses them"),
        ("type=image,oci-mediatypes=false", "OCI images"),
        ("type=image,push=maybe", "true or false"),
        ("type=oci,tar=false", "a folder is needed"),
        ("type=image,name=UPPER", "UPPER"),
        ('"type=image', "output"),
        ("type=image,push", "must be a key=value pair"),
    ],
)
def test_output_when_wrong_then_refused(text: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in refused("-o", text)
    assert os.listdir(tmp_path) == []


def test_output_when_a_folder_is_a_file_then_refused(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert "is no folder" in refused("-o", str(tmp_path / "f"))


def test_every_flag_of_dockers_reference_is_known() -> None:
    known = {row[0]: row for row in build_flags.FLAGS}
    legacy = {
        "add-host", "build-arg", "cache-from", "cgroup-parent", "compress", "cpu-period", "cpu-quota", "cpu-shares",
        "cpuset-cpus", "cpuset-mems", "file", "force-rm", "iidfile", "isolation", "label", "memory", "memory-swap",
        "network", "no-cache", "platform", "pull", "quiet", "rm", "security-opt", "shm-size", "squash", "tag", "target",
        "ulimit",
    }  # fmt: skip
    buildx = {
        "allow", "annotation", "attest", "build-context", "builder", "cache-to", "call", "check", "load",
        "metadata-file", "no-cache-filter", "output", "progress", "provenance", "push", "sbom", "secret", "ssh",
    }  # fmt: skip
    assert legacy | buildx <= set(known)
    shorts = {row[1]: row[0] for row in build_flags.FLAGS if row[1]}
    assert shorts == {
        "f": "file", "c": "cpu-shares", "m": "memory", "o": "output", "q": "quiet", "t": "tag", "D": "debug",
    }  # fmt: skip


def test_check_writable_when_a_folder_is_missing_then_the_flag_is_named(tmp_path: Path) -> None:
    build_outputs.check_writable("iidfile", "")
    build_outputs.check_writable("iidfile", str(tmp_path / "new"))
    for path in (tmp_path / "none" / "x", tmp_path):
        with pytest.raises(UsageError, match="--iidfile"):
            build_outputs.check_writable("iidfile", str(path))
