"""An API server behind a fault proxy, with the kubeconfig that leads through it."""

import base64
import json
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness import pki
from tests.harness.access import Access
from tests.harness.cache import write_whole
from tests.harness.errors import ApiError
from tests.harness.proxy import HttpProxy, TcpProxy

_ACCOUNT = "mainstay-test-proxy"


@contextmanager
def api_behind_http_proxy(access: Access) -> Iterator[tuple[HttpProxy, Path]]:
    """Faults by method and path. The client shows a cluster administrator's token: no certificate gets through."""
    directory = access.directory / "proxies" / secrets.token_hex(4)
    authority = pki.Authority.create(directory)
    credential = authority.server()
    certificate = directory / "server.pem"
    write_whole(certificate, credential.certificate + credential.key, 0o600)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    upstream, ca = _cluster(access)
    with HttpProxy(upstream, server=server, client=ssl.create_default_context(cadata=ca)) as proxy:
        own_ca = authority.certificate_file.read_text()
        path = directory / "kubeconfig"
        write_whole(path, pki.kubeconfig(proxy.endpoint, own_ca, _ACCOUNT, _administrator_token(access)), 0o600)
        yield proxy, path


@contextmanager
def api_behind_tcp_proxy(access: Access) -> Iterator[tuple[TcpProxy, Path]]:
    """Faults of whole connections. The client is the administrator of the cluster's own kubeconfig."""
    with TcpProxy(_cluster(access)[0]) as proxy:
        config: dict[str, Any] = json.loads(json.dumps(access.config))
        config["clusters"][0]["cluster"]["server"] = proxy.endpoint
        path = access.directory / "proxies" / secrets.token_hex(4) / "kubeconfig"
        write_whole(path, json.dumps(config), 0o600)
        yield proxy, path


def _cluster(access: Access) -> tuple[str, str]:
    cluster = access.config["clusters"][0]["cluster"]
    return cluster["server"], base64.b64decode(cluster["certificate-authority-data"]).decode()


def _administrator_token(access: Access) -> str:
    accounts = "/api/v1/namespaces/kube-system/serviceaccounts"
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "namespace": "kube-system", "name": _ACCOUNT}
    metadata = {"metadata": {"name": _ACCOUNT}}
    for path, body in ((accounts, metadata), (bindings, {**metadata, "roleRef": role, "subjects": [subject]})):
        try:
            access.api.post(path, body)
        except ApiError as error:
            if error.status != 409:  # made by an earlier proxy
                raise
    return access.token("kube-system", _ACCOUNT)
