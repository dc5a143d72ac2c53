"""Fixtures for pytest: `pytest_plugins = ["tests.harness.fixtures"]` in the top conftest.

Nothing here ever skips: a cluster or server that cannot be had is an error, in CI as anywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.access import Access, given_cluster
from tests.harness.api_proxy import api_behind_http_proxy, api_behind_tcp_proxy
from tests.harness.binaries import OLDER_KUBERNETES
from tests.harness.cluster import Cluster, Options
from tests.harness.keeper import borrow
from tests.harness.localstack import LocalStack
from tests.harness.proxy import HttpProxy, TcpProxy
from tests.harness.s3 import MotoServer, S3Server, VersityServer


@pytest.fixture(scope="session")
def cluster() -> Access:
    """A cluster where pods run. It is shared: work in a namespace of one's own, and leave its API server alone."""
    return given_cluster() or borrow(Options(node=True))


@pytest.fixture(scope="session")
def control_plane() -> Access:
    """A cluster without a node: cheaper, and any manifest can be applied, since no pod ever starts."""
    return given_cluster() or borrow(Options(node=False))


@pytest.fixture(scope="session")
def older_control_plane() -> Access:
    """Another cluster, of an older Kubernetes; it serves dynamic resource allocation in an older version only."""
    flags = ("--runtime-config=resource.k8s.io/v1beta1=true", "--feature-gates=DynamicResourceAllocation=true")
    return borrow(Options(version=OLDER_KUBERNETES, node=False, apiserver_flags=flags), "pytest-older")


@pytest.fixture
def namespace(cluster: Access) -> Iterator[str]:
    """A fresh namespace in `cluster`."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def control_namespace(control_plane: Access) -> Iterator[str]:
    """A fresh namespace in `control_plane`."""
    with control_plane.namespace() as name:
        yield name


@pytest.fixture
def make_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters of the test's own, to break: `make_cluster(node=False, apiserver_flags=[...])` (see Options)."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Cluster(options=replace(Options(node=False), **options)))


@pytest.fixture
def api_http_proxy(control_plane: Access) -> Iterator[tuple[HttpProxy, Path]]:
    """A fault proxy that knows requests before `control_plane`, and the kubeconfig that leads through it."""
    with api_behind_http_proxy(control_plane) as proxy:
        yield proxy


@pytest.fixture
def api_tcp_proxy(control_plane: Access) -> Iterator[tuple[TcpProxy, Path]]:
    """A fault proxy of connections before `control_plane`, and the kubeconfig that leads through it."""
    with api_behind_tcp_proxy(control_plane) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def versity_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with VersityServer(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """LocalStack, shared: work with names of one's own, and leave it running."""
    with LocalStack(tmp_path_factory.mktemp("localstack")) as server:
        yield server


@pytest.fixture
def s3_proxy() -> Iterator[Callable[[S3Server], HttpProxy]]:
    """Makes a fault proxy before an S3 server: `server.client(s3_proxy(server).endpoint)`."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(HttpProxy(server.endpoint))
