"""A scripted server for each test, and a client of it that does not wait between its tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.credentials import Connection
from tests.contract.cluster.scripted import ScriptedServer, scripted


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """How long the client would have slept."""
    return []


@pytest.fixture
def client(server: ScriptedServer, pauses: list[float]) -> Iterator[Client]:
    made = Client(Connection(server=server.url, source="a test"), sleep=pauses.append)
    yield made
    made.close()


@pytest.fixture
def connect(server: ScriptedServer) -> Callable[..., Client]:
    """A client with other settings."""
    return lambda **settings: Client(Connection(server=server.url, source="a test"), **settings)
