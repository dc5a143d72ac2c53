"""One suite, five storages: a dictionary, a directory, and three S3 servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.store.places import InBucket, InDirectory, InMemory, Place
from tests.harness.localstack import LocalStack
from tests.harness.proxy import HttpProxy
from tests.harness.s3 import MotoServer, S3Server, VersityServer


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def versity_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with VersityServer(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def localstack_server(localstack: LocalStack) -> S3Server:
    return localstack


def _place(kind: str, request: pytest.FixtureRequest, tmp_path: Path, name: str = "repository") -> Place:
    if kind == "memory":
        return InMemory()
    if kind == "directory":
        return InDirectory(tmp_path / name)
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    return InBucket(server, server.make_bucket())


@pytest.fixture(params=["memory", "directory", "moto", "versity", "localstack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A fresh storage of each kind."""
    return _place(request.param, request, tmp_path)


@pytest.fixture(params=["directory", "moto", "versity", "localstack"])
def real_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A fresh storage of each kind that other processes can reach."""
    return _place(request.param, request, tmp_path)


@pytest.fixture
def other_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A second storage, of the same kind as the test's `real_place` or `place`."""
    kind = request.node.callspec.params.get("real_place") or request.node.callspec.params["place"]
    return _place(kind, request, tmp_path, "elsewhere")


@pytest.fixture(params=["moto", "versity"])
def bucket(request: pytest.FixtureRequest) -> InBucket:
    """A fresh bucket of each S3 server."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return InBucket(server, server.make_bucket())


@pytest.fixture
def proxy(bucket: InBucket) -> Iterator[HttpProxy]:
    """A fault proxy before `bucket`, whose backends lead through it from now on."""
    with HttpProxy(bucket.server.endpoint) as proxy:
        bucket.endpoint = proxy.endpoint
        yield proxy
