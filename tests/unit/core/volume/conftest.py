"""An engine on a store in tmp_path."""

from __future__ import annotations

from tests.unit.core.container.conftest import engine as engine
