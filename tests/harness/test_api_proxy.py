"""The API server behind a fault proxy: requests are picked one by one, or connections are broken."""

from pathlib import Path

import pytest

from tests.harness.access import Access
from tests.harness.api import Api
from tests.harness.api_proxy import api_behind_http_proxy
from tests.harness.errors import ApiError, HarnessError
from tests.harness.images import BUSYBOX
from tests.harness.proxy import HttpProxy, TcpProxy

pytestmark = pytest.mark.cluster


def through(access: Access, kubeconfig: Path) -> Api:
    return Access(kubeconfig, access.directory).api


def test_an_object_is_created_though_the_answer_was_lost(
    control_plane: Access, control_namespace: str, api_http_proxy: tuple[HttpProxy, Path]
) -> None:
    proxy, kubeconfig = api_http_proxy
    api = through(control_plane, kubeconfig)
    path = f"/api/v1/namespaces/{control_namespace}/configmaps"
    rule = proxy.lose_answer("POST", "/configmaps")
    with pytest.raises(OSError, match=r"closed|reset|EOF"):
        api.post(path, {"metadata": {"name": "made"}})
    assert rule.hits == 1
    assert control_plane.api.exists(f"{path}/made")
    proxy.answer("GET", "/configmaps", status=429, body=b"{}", headers={"Retry-After": "1"})
    with pytest.raises(ApiError, match="429"):
        api.get(f"{path}/made")
    assert api.get(f"{path}/made")["metadata"]["name"] == "made"


def test_kubectl_works_through_the_proxy_watches_included(
    control_plane: Access, control_namespace: str, api_http_proxy: tuple[HttpProxy, Path]
) -> None:
    _, kubeconfig = api_http_proxy
    control_plane.kubectl("create", "configmap", "c", "-n", control_namespace, kubeconfig=kubeconfig)
    control_plane.kubectl(
        "wait", "configmap/c", "-n", control_namespace, "--for=create", "--timeout=10s", kubeconfig=kubeconfig
    )
    control_plane.kubectl("delete", "configmap", "c", "-n", control_namespace, "--wait", kubeconfig=kubeconfig)


@pytest.mark.node
def test_exec_passes_through_the_proxy(cluster: Access, namespace: str) -> None:
    cluster.kubectl(
        "run", "p", "-n", namespace, f"--image={BUSYBOX}", "--image-pull-policy=Never", "--", "sleep", "600"
    )
    cluster.kubectl("wait", "-n", namespace, "pod/p", "--for=condition=Ready", "--timeout=60s", seconds=70)
    with api_behind_http_proxy(cluster) as (proxy, kubeconfig):
        text = "x" * 3_000_000
        said = cluster.kubectl("exec", "-i", "-n", namespace, "p", "--", "cat", stdin=text, kubeconfig=kubeconfig)
        assert said == text
        assert proxy.seen("GET|POST", "/exec")


def test_a_connection_is_broken_before_its_answer_comes_back(
    control_plane: Access, api_tcp_proxy: tuple[TcpProxy, Path]
) -> None:
    proxy, kubeconfig = api_tcp_proxy
    api = through(control_plane, kubeconfig)
    assert api.get("/readyz") == "ok"
    proxy.cut_next(after=100)
    with pytest.raises(OSError, match=r"closed|reset|EOF"):
        api.get("/readyz")
    proxy.refuse()
    with pytest.raises(OSError, match=r"closed|reset|EOF"):
        api.get("/readyz")
    proxy.refuse(False)
    assert api.get("/readyz") == "ok"
    proxy.freeze()
    with pytest.raises(HarnessError, match="no end after"):
        control_plane.kubectl("get", "namespaces", kubeconfig=kubeconfig, seconds=2)
    proxy.thaw()
    assert api.get("/readyz") == "ok"
