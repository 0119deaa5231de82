"""Names, drivers and options of volumes: Docker's words for what cannot be."""

from __future__ import annotations

import os

import pytest

from pod.core.engine import Engine
from pod.core.errors import PodError
from pod.core.volume import listing, options, remove, store


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "-dash", "_under", "x" * 256, "new\nline", "ä1", "a b"])
def test_create_when_the_name_is_none_then_dockers_words(engine: Engine, name: str) -> None:
    with pytest.raises(PodError, match="includes invalid characters for a local volume name"):
        store.create(engine, name)
    with pytest.raises(PodError, match="no such volume"):
        store.find(engine, name)
    with pytest.raises(PodError, match="no such volume"):
        remove.remove(engine, name, force=False)
    assert os.listdir(engine.paths.volumes) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bogus": "1"}, 'invalid option: "bogus"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "bind"}, "missing required option"),
        ({"size": "1g"}, "quota size requested but no quota support"),
        ({"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4"}, "type nfs: only root may mount that"),
        ({"type": "cifs", "device": "//a/b"}, "only root may mount that"),
        ({"type": "ext4", "device": "/dev/sda1"}, "only root may mount that"),
        ({"type": "tmpfs,device=tmpfs", "device": "x"}, "only root may mount that"),
        ({"type": "none", "device": "/x"}, "lacks bind"),
        ({"type": "none", "device": "x", "o": "bind"}, "absolute path"),
        ({"type": "none", "device": "/x", "o": "bind,rshared"}, 'invalid mount option: "rshared"'),
        ({"type": "tmpfs", "device": "x", "o": "bogus"}, "invalid tmpfs option"),
    ],
)
def test_create_when_an_option_cannot_be_then_it_says_why(engine: Engine, given: dict[str, str], words: str) -> None:
    with pytest.raises(PodError) as failure:
        store.create(engine, "fine", options=given)
    assert words in failure.value.message
    assert os.listdir(engine.paths.volumes) == []


def test_options_mean_a_folder_of_the_host_or_memory() -> None:
    bound = {"type": "none", "device": "/x", "o": "ro,bind"}
    assert (options.device(bound), options.read_only(bound), options.memory(bound)) == ("/x", True, None)
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,,uid=1"}
    assert (options.device(memory), options.read_only(memory), options.memory(memory)) == ("", False, "size=1m,uid=1")
    assert (options.device({}), options.read_only({}), options.memory({})) == ("", False, None)


def test_prune_test_means_anonymous_ones_unless_all(engine: Engine) -> None:
    named, nameless = store.create(engine, "named", labels={"a": "b"}), store.create(engine)
    assert [listing.prune_test([], everything=False)(one) for one in (named, nameless)] == [False, True]
    assert [listing.prune_test(["all=true"], everything=False)(one) for one in (named, nameless)] == [True, True]
    assert [listing.prune_test(["label!=a"], everything=True)(one) for one in (named, nameless)] == [False, True]
    assert [listing.prune_test(["label=a=b"], everything=True)(one) for one in (named, nameless)] == [True, False]
    for filters, everything in ((["until=1h"], False), (["all=1"], True), (["all=maybe"], False), (["label"], False)):
        with pytest.raises(PodError):
            listing.prune_test(filters, everything=everything)


def test_size_counts_each_hard_link_once(engine: Engine) -> None:
    volume = store.create(engine, "sized")
    with open(volume.mountpoint + "/one", "wb") as file:
        file.write(b"x" * 1000)
    os.link(volume.mountpoint + "/one", volume.mountpoint + "/two")
    os.symlink("/etc", volume.mountpoint + "/away")
    assert listing.size(engine, volume) == 1000 + len("/etc")
