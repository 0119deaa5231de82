"""What a stream brings lies in few files, and is found again."""

from __future__ import annotations

import io
import os

from pod.core.engine import Engine
from pod.core.image import archive_tar, blobs, layout, spool
from pod.core.image.archive_members import Members
from tests.support import archives
from tests.unit.core.image.conftest import digest


def test_spool_when_files_are_many_and_small_then_they_share_one(engine: Engine) -> None:
    layout.prepare(engine)
    large = os.urandom(200_000)
    files = [*((f"f{number}", b"%d" % number) for number in range(3000)), ("large", large), ("empty", b"")]
    with Members("made up") as members:
        members.spool(engine, archive_tar.Pipe(io.BytesIO(archives.tar(files)).read))
        (folder,) = [path for path in os.listdir(engine.paths.blobs) if path.startswith(spool.PREFIX)]
        assert sorted(os.listdir(f"{engine.paths.blobs}/{folder}")) == ["1", "small"]
        for name, content in files:
            part = members.need(name)
            assert members.read(name, 1 << 20) == content
            assert members.digest(part) == digest(content)
            members.adopt(engine, part, digest(content))
        assert blobs.has(engine, digest(large), len(large))
        assert not blobs.has(engine, digest(b"7"), 1)
    assert not [path for path in os.listdir(engine.paths.blobs) if path.startswith(spool.PREFIX)]
