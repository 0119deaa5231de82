"""Images to and from podman, skopeo, umoci and buildah: the trees are equal, whichever way they went.

Of each path: type, mode, owners, seconds, content, link, attributes, device numbers, other names. The trees are read
out of archives (tests/support/trees.py), where owners and devices are for every user, so nobody needs to be root; what
pod itself unpacked comes out by ``export``. podman and buildah with a storage need sub-ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import layers, podcli, tools, trees
from tests.support.crafted import Craft
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.trees import Others, Stored, Tree

pytestmark = [pytest.mark.docker_registry, pytest.mark.skopeo]
CHANGE = """
set -e
umask 022
cd /data; echo more >>xattr; chown 5:6 xattr; chmod 711 capable; chown 0:0 owned; rm a; echo 2 >a; mv c moved
rm -r deep; mkdir deep; echo new >deep/new; rm dangling; mkdir dangling; rm fifo; ln -s x fifo
rm -r /opaque dir; mkdir /opaque; echo n >/opaque/n; mkdir dir; chown 30000:65534 dir; chmod 3775 dir
rm read-only/kept; echo z >read-only/new
mkdir -p /made/in; echo x >/made/in/x; ln /made/in/x /made/hard; ln -s x /made/in/link; mkfifo /made/fifo
chown -h 33:44 /made/in /made/in/link /made/fifo; mknod /made/null c 1 3; mknod -m 600 /made/disk b 259 70000
chown 7:8 /made/null; echo s >/made/suid; chown 55:66 /made/suid; chmod 6755 /made/suid
truncate -s 3000000 /made/holes; printf end >>/made/holes; echo n >"/made/a
b"; mv /data/device /made/device; rm /etc/group; echo l >>/etc/passwd
"""
MADE_BY_STARTS = {"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc", "run"}
FORMS = {"docker-archive": "docker-archive", "oci-archive": "oci-archive", "oci-dir": "oci"}
"""Of ``save --format``, and what skopeo calls them."""


class Made:
    """An image of two layers and a commit in pod's store; ``tree`` is what its archives make together."""

    def __init__(self, pod: Pod, registry: Registry, place: Path) -> None:
        self.pod, self.registry, self.place = pod, registry, place
        base = Craft(registry, place).make(layers.odd_entries)
        pod("run", "--name", "made", "--network", "none", base, "sh", "-ec", CHANGE).ok()
        self.id = pod("commit", "made", "example.org/made:1").ok().strip()
        pod("save", "--format", "oci-dir", "-o", str(place / "reference"), "example.org/made:1").ok()
        self.tree = Stored(place / "reference").tree()
        self.diff_ids = pod.inspect("example.org/made:1")["RootFS"]["Layers"]
        self.others = Others(place)

    def target(self, name: str) -> str:
        return f"{self.registry.host}/{name}"

    def exported(self, image: str) -> Tree:
        """What pod unpacked of an image."""
        path = self.place / "exported.tar"
        self.pod("create", "--name", "view", "--network", "none", image, "true").ok()
        try:
            self.pod("export", "-o", str(path), "view").ok()
        finally:
            self.pod("rm", "view").ok()
        return trees.flatten([path.read_bytes()])

    def same(self, stored: Stored) -> None:
        """Another tool's copy of the image has its layers and its tree."""
        assert stored.diff_ids() == self.diff_ids
        assert trees.different(self.tree, stored.tree()) == {}

    def same_seen(self, image: str, expected: Tree) -> None:
        """pod unpacks an image as its archives say."""
        assert trees.different(expected, self.exported(image), MADE_BY_STARTS) == {}

    def brought(self, *command: str) -> None:
        """The image, gone but for its base's layers, is brought by a command of pod's, with its tree."""
        self.pod("rmi", "-f", self.id).ok()
        self.pod(*command).ok()
        self.same_seen(self.id, self.tree)
        self.pod("tag", self.id, "example.org/made:1").ok()


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    with tools.short_folder() as place, Registry(place / "storage", place / "registry") as registry:
        for pod in podcli.shared():
            yield Made(pod, registry, place)


def test_commit_of_everything_when_flattened_then_as_the_container(made: Made) -> None:
    """What the other tests compare has all that they are about."""
    tree = made.tree
    assert {node.kind for node in tree.values()} == set("023456") - {"1"}
    assert tree["made/disk"][:3] == ("4", 0o600, (0, 0))
    assert (tree["made/disk"].said, tree["made/device"].said) == ("259,70000", "1,3")
    assert (tree["made/suid"].mode, tree["made/suid"].owner) == (0o6755, (55, 66))
    assert tree["data/dir"][1:3] == (0o3775, (30000, 65534))
    assert tree["made/hard"].names == ("made/hard", "made/in/x")
    assert tree["made/holes"].said.startswith("3000003 ")
    assert tree["data/xattr"].xattrs == (("user.colour", b"blue".hex()),)
    assert tree["data/capable"].xattrs == (("security.capability", layers.CAP_NET_RAW.hex()),)
    assert {"data/b", "data/dir", "made/a\nb"} - tree.keys() == set()
    assert not {"data/c", "opaque/old-1", "data/dir/x", "data/fifo/x", "etc/group"} & tree.keys()
    made.same_seen("example.org/made:1", tree)
    made.pod("export", "-o", str(made.place / "made.tar"), "made").ok()
    assert trees.different(tree, trees.flatten([(made.place / "made.tar").read_bytes()]), MADE_BY_STARTS) == {}


@pytest.mark.parametrize("form", FORMS)
def test_saved_image_when_skopeo_copies_it_then_the_tree_is_equal_and_back(made: Made, form: str) -> None:
    place, pod = made.place, made.pod
    pod("save", "--format", form, "-o", str(place / f"s-{form}"), "example.org/made:1").ok()
    made.same(Stored(place / f"s-{form}"))
    made.others.skopeo(f"{FORMS[form]}:{place}/s-{form}", f"dir:{place}/d-{form}")
    made.same(Stored(place / f"d-{form}"))
    made.others.skopeo(f"dir:{place}/d-{form}", f"{FORMS[form]}:{place}/b-{form}:example.org/back:{form}")
    made.brought("load", "-i", str(place / f"b-{form}"))


def test_pushed_image_when_skopeo_pulls_it_then_the_tree_is_equal_and_back(made: Made) -> None:
    target, back = made.target("team/made:1"), made.target("team/back:1")
    made.pod("tag", "example.org/made:1", target).ok()
    made.pod("push", "-q", target).ok()
    made.others.skopeo(f"docker://{target}", f"dir:{made.place}/pulled")
    made.same(Stored(made.place / "pulled"))
    made.others.skopeo(f"dir:{made.place}/pulled", f"docker://{back}", "--dest-compress-format", "zstd", "--format",
                       "oci")  # fmt: skip
    made.brought("pull", "-q", back)
    assert made.pod.inspect(back)["RootFS"]["Layers"] == made.diff_ids


def test_exported_tree_when_imported_then_one_layer_of_it(made: Made) -> None:
    """The same for skopeo, which reads what ``save`` wrote of it."""
    place, pod = made.place, made.pod
    pod("export", "-o", str(place / "e.tar"), "made").ok()
    pod("import", str(place / "e.tar"), "example.org/imported:1").ok()
    pod("save", "-o", str(place / "imported"), "example.org/imported:1").ok()
    made.others.skopeo(f"docker-archive:{place}/imported", f"oci:{place}/i:1")
    (layer,) = Stored(place / "i").layers
    expected = trees.flatten([(place / "e.tar").read_bytes()])
    assert trees.different(expected, trees.flatten([layer])) == {}
    made.same_seen("example.org/imported:1", expected)


@pytest.mark.umoci
def test_saved_layout_when_umoci_changes_it_then_pod_has_its_tree(made: Made) -> None:
    """umoci unpacks (without root: devices are files, owners are noted), changes and writes a layer of its own."""
    place, pod, umoci = made.place, made.pod, made.others.umoci
    pod("save", "--format", "oci-dir", "-o", str(place / "u"), "example.org/made:1").ok()
    _name(place / "u", "1")
    umoci("unpack", "--rootless", "--image", f"{place}/u:1", str(place / "bundle"))
    root = place / "bundle/rootfs"
    (root / "data/added").write_text("by umoci\n")  # or its layer would not have the folder, which is anybody's then
    (root / "made/in/x").unlink()
    (root / "data/moved").chmod(0o4711)
    (root / "made/in").rename(root / "made/further")
    umoci("repack", "--image", f"{place}/u:2", str(place / "bundle"))
    _name(place / "u", "umoci/changed:1", drop="1")
    assert pod("load", "-i", str(place / "u")).ok() == "Loaded image: umoci/changed:1\n"
    stored = Stored(place / "u")
    assert stored.diff_ids()[:-1] == made.diff_ids
    tree = stored.tree()
    made.same_seen("umoci/changed:1", tree)
    assert tree["data/added"].said.startswith("9 ")
    assert tree["data/moved"].mode == 0o4711
    assert tree["made/further"].owner == (33, 44)  # a link has nowhere to note its own
    assert "made/in" not in tree
    touched = {path for path in made.tree.keys() | tree.keys() if path.startswith(("made", "data/moved", "data/added"))}
    touched.add("data")
    assert trees.different(made.tree, tree, touched) == {}


def _name(layout: Path, tag: str, drop: str = "") -> None:
    """Gives the one image of a layout this name; that called ``drop`` goes."""
    document = json.loads((layout / "index.json").read_text())
    key = "org.opencontainers.image.ref.name"
    (entry,) = [one for one in document["manifests"] if not drop or one["annotations"][key] != drop]
    entry["annotations"] = {key: tag}
    document["manifests"] = [entry]
    (layout / "index.json").write_text(json.dumps(document))


@pytest.mark.podman
@pytest.mark.sub_ids
def test_image_when_podman_loads_and_saves_it_then_the_tree_is_equal_and_back(made: Made) -> None:
    place, pod, podman = made.place, made.pod, made.others.podman
    for form in ("docker-archive", "oci-archive"):
        pod("save", "--format", form, "-o", str(place / f"p-{form}"), "example.org/made:1").ok()
        podman("load", "-q", "-i", str(place / f"p-{form}"))
        for theirs in FORMS:
            back = place / f"q-{form}-{theirs}"
            podman("save", "-q", "--format", theirs, "-o", str(back), "example.org/made:1")
            made.same(Stored(back))
        podman("rmi", "-f", "example.org/made:1")
    target = made.target("podman/made:1")
    podman("load", "-q", "-i", str(place / "p-docker-archive"))
    podman("push", "-q", "--tls-verify=false", "example.org/made:1", target)
    made.brought("pull", "-q", target)


@pytest.mark.podman
@pytest.mark.sub_ids
def test_container_when_podman_exports_and_imports_it_then_the_tree_is_equal(made: Made) -> None:
    """What podman unpacked in a user namespace has no devices."""
    place, pod, podman = made.place, made.pod, made.others.podman
    target = made.target("team/pulled:1")
    pod("tag", "example.org/made:1", target).ok()
    pod("push", "-q", target).ok()
    podman("pull", "-q", "--tls-verify=false", target)
    container = podman("create", target, "true").strip()
    podman("export", "-o", str(place / "podman.tar"), container)
    theirs = trees.flatten([(place / "podman.tar").read_bytes()])
    assert trees.different(trees.without_devices(made.tree), theirs, MADE_BY_STARTS) == {}
    pod("import", str(place / "podman.tar"), "from/podman:1").ok()
    made.same_seen("from/podman:1", theirs)
    pod("export", "-o", str(place / "to-podman.tar"), "made").ok()
    podman("import", "-q", str(place / "to-podman.tar"), "to/podman:1")
    podman("save", "-q", "-o", str(place / "imported-by-podman"), "to/podman:1")
    ours = trees.flatten([(place / "to-podman.tar").read_bytes()])
    assert trees.different(ours, Stored(place / "imported-by-podman").tree()) == {}


@pytest.mark.buildah
@pytest.mark.sub_ids
def test_image_when_buildah_adds_a_layer_then_pod_has_its_tree(made: Made) -> None:
    place, pod, buildah = made.place, made.pod, made.others.buildah
    target, changed = made.target("team/base:1"), made.target("buildah/changed:1")
    pod("tag", "example.org/made:1", target).ok()
    pod("push", "-q", target).ok()
    pulled = buildah("pull", "-q", "--tls-verify=false", target).strip()
    buildah("push", "-q", pulled, f"dir:{place}/buildah")
    made.same(Stored(place / "buildah"))
    with layers.Layer(place / "more.tar") as layer:
        layer.folder("more", 0o3775, (30, 40))
        layer.add("more/suid", b"s", mode=0o4755, owner=(50, 60), pax={"SCHILY.xattr.user.x": "y"})
        layer.add("more/again", kind=b"1", link="more/suid", mode=0o4755, owner=(50, 60))
        layer.symlink("more/link", "/nowhere")
    container = buildah("from", pulled).strip()
    buildah("add", "-q", container, str(place / "more.tar"), "/")
    buildah("commit", "-q", "--tls-verify=false", container, f"docker://{changed}")
    made.others.skopeo(f"docker://{changed}", f"dir:{place}/changed")
    tree = Stored(place / "changed").tree()
    assert tree["more"][1:3] == (0o3775, (30, 40))
    assert (tree["more/suid"].mode, tree["more/suid"].owner) == (0o4755, (50, 60))
    assert {path for path in tree if path not in made.tree} == {"more", "more/suid", "more/again", "more/link"}
    pod("pull", "-q", changed).ok()
    made.same_seen(changed, tree)
