"""What tests on the shared control plane share: a client of it, and one application, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.connection import load_kubeconfig
from tests.harness.access import Access
from tests.support.site import Site, open_site


@pytest.fixture
def site(control_plane: Access, tmp_path: Path) -> Iterator[Site]:
    """The shop, registered, in a namespace and a repository of its own."""
    with open_site(control_plane, tmp_path) as opened:
        yield opened


@pytest.fixture
def client(control_plane: Access) -> Iterator[Client]:
    """An administrator's."""
    made = Client(load_kubeconfig(control_plane.kubeconfig))
    yield made
    made.close()
