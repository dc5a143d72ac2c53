"""What the fault tests share: one application on the shared control plane, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.access import Access
from tests.support.site import Site, open_site


@pytest.fixture
def site(control_plane: Access, tmp_path: Path) -> Iterator[Site]:
    """The shop, registered, in a namespace and a repository of its own."""
    with open_site(control_plane, tmp_path) as opened:
        yield opened
