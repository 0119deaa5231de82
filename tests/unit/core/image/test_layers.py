"""Layers as a container sees them stacked."""

from __future__ import annotations

from pod.core.engine import Engine
from pod.core.image import layers, pull
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive

HOST = platform.host().architecture


def test_ensure_when_a_layer_is_opaque_at_its_top_then_nothing_below_shows(engine: Engine, pusher: Pusher) -> None:
    built = Built(
        archive(below="1"), archive(**{".wh..wh..opq": "", "only": "2"}), archive(above="3"), architecture=HOST
    )
    image = pull.pull(engine, pusher.image("team/opaque", "v1", built))
    chain = image.chain_ids
    assert layers.ensure(engine, image) == [engine.paths.layer(engine.idmap.key, one) for one in chain[1:]]
    assert layers.ensure(engine, image) == [engine.paths.layer(engine.idmap.key, one) for one in chain[1:]]
