"""A cluster of EKS: a real API server that takes only tokens as EKS does, and for a few seconds each."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from botocore.credentials import Credentials

from chalicelib.adapters.eks import Eks
from chalicelib.domain.application import EksCluster
from chalicelib.domain.errors import Invalid
from chalicelib.domain.operation import Operation, State
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.services.access import ADMINISTRATOR
from chalicelib.services.clusters import RegisteredClusters
from chalicelib.services.models.clusters import ClusterQuery, ClusterSettings
from tests.harness.cluster import Cluster
from tests.harness.control_plane import Options
from tests.harness.processes import wait_until
from tests.support.connect_proxy import Proxy
from tests.support.eks import Authenticator, webhook
from tests.support.site import Site, open_site
from tests.support.worker import TERMS

KEY, SECRET = "AKIAMAINSTAYTESTS", "a secret of the tests"


def outlived(token: str, seconds: float) -> bool:
    """Whether a token was signed so long ago."""
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()
    at = re.search(r"X-Amz-Date=(\w+)", url)
    assert at is not None
    return time.time() - datetime.strptime(at[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() > seconds


class AtEks(NamedTuple):
    cluster: Cluster
    authenticator: Authenticator

    @property
    def authority(self) -> str:
        pem = (self.cluster.directory / "pki" / "ca.crt").read_bytes()
        return base64.b64encode(pem).decode()

    def settings(self, **more: object) -> ClusterSettings:
        eks = {"name": "shop", "region": "eu-central-1", "endpoint": self.cluster.url}
        return ClusterSettings.model_validate(
            {"name": "eks", "eks": {**eks, "certificateAuthority": self.authority}, **more}
        )


@pytest.fixture(scope="module")
def at_eks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtEks]:
    folder: Path = tmp_path_factory.mktemp("eks")
    authenticator = Authenticator("shop", Credentials(KEY, SECRET))
    with (
        webhook(authenticator, folder) as flags,
        Cluster(options=Options(node=False, apiserver_flags=flags)) as cluster,
    ):
        yield AtEks(cluster, authenticator)


@pytest.fixture(autouse=True)
def identity(at_eks: AtEks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    at_eks.authenticator.seconds = 900.0
    at_eks.authenticator.delays.clear()
    at_eks.authenticator.seen.clear()
    at_eks.authenticator.refused.clear()


@pytest.fixture
def site(at_eks: AtEks, tmp_path: Path) -> Iterator[Site]:
    with open_site(at_eks.cluster, tmp_path) as opened:
        yield opened


def registered(site: Site, at_eks: AtEks, eks: Eks) -> Engine:
    """The site's application on the cluster of EKS, registered as users do; the engine that works there."""
    sessions = Clusters(site.repository, None, eks)
    view = RegisteredClusters(site.repository, sessions).configure(ADMINISTRATOR, at_eks.settings(connections=1))
    site.repository.applications.update(
        site.application.id, lambda found: found.model_copy(update={"cluster": view.id})
    )
    return Engine(site.repository, sessions, FLOWS, terms=TERMS)


def test_a_cluster_is_registered_without_any_credentials_being_stored(site: Site, at_eks: AtEks) -> None:
    sessions = Clusters(site.repository, None, Eks())
    services = RegisteredClusters(site.repository, sessions)
    view = services.configure(ADMINISTRATOR, at_eks.settings())
    assert (view.source, view.server) == ("eks", at_eks.cluster.url)
    assert site.repository.clusters.credentials(view.id) is None
    seen = services.status(ADMINISTRATOR, ClusterQuery(cluster="eks"))
    assert seen.reachable
    assert seen.missing_permissions == []
    assert at_eks.authenticator.refused == []


def test_a_cluster_is_reached_through_the_proxy_that_it_was_registered_with(site: Site, at_eks: AtEks) -> None:
    proxy = Proxy()
    sessions = Clusters(site.repository, None, Eks())
    services, settings = RegisteredClusters(site.repository, sessions), at_eks.settings()
    assert settings.eks is not None
    through = settings.eks.model_copy(update={"proxy": f"http://me:secret@127.0.0.1:{proxy.port}"})
    view = services.configure(ADMINISTRATOR, settings.model_copy(update={"eks": through}))
    assert services.status(ADMINISTRATOR, ClusterQuery(cluster="eks")).reachable
    assert len(proxy.heads) >= 2
    # What opens the proxy is shown nowhere, and lies encrypted.
    assert "secret" not in view.model_dump_json()
    assert "secret" not in site.repository.clusters.get(view.id).model_dump_json()
    # Registered once more without a word of it, as one does after AWS rotated the authority, it keeps its proxy.
    seen = len(proxy.heads)
    services.configure(ADMINISTRATOR, settings)
    assert services.status(ADMINISTRATOR, ClusterQuery(cluster="eks")).reachable
    assert len(proxy.heads) >= seen + 2
    # Said to have none, it is asked directly.
    proxy.close()
    directly = settings.eks.model_copy(update={"proxy": ""})
    services.configure(ADMINISTRATOR, settings.model_copy(update={"eks": directly}))
    assert services.status(ADMINISTRATOR, ClusterQuery(cluster="eks")).reachable
    assert site.repository.clusters.credentials(view.id) is None


def test_a_cluster_that_is_registered_once_more_is_asked_with_the_role_it_had(site: Site, at_eks: AtEks) -> None:
    roles: list[str] = []

    class Asking(Eks):
        """Notes with which role, and asks with none: nobody here can give one."""

        def token(self, cluster: EksCluster) -> tuple[str, float]:
            roles.append(cluster.role_arn)
            return super().token(cluster.model_copy(update={"role_arn": ""}))

    services = RegisteredClusters(site.repository, Clusters(site.repository, None, Asking()))
    settings = at_eks.settings()
    assert settings.eks is not None
    for said in ("arn:aws:iam::111122223333:role/ask", None, ""):
        eks = settings.eks.model_copy(update={"role_arn": said})
        services.configure(ADMINISTRATOR, settings.model_copy(update={"eks": eks}))
    assert roles == ["arn:aws:iam::111122223333:role/ask"] * 2 + [""]
    # Another cluster than before, by the same name here: nothing of the first is meant for it.
    eks = settings.eks.model_copy(update={"role_arn": "arn:aws:iam::111122223333:role/ask"})
    services.configure(ADMINISTRATOR, settings.model_copy(update={"eks": eks}))
    services.configure(
        ADMINISTRATOR, settings.model_copy(update={"eks": settings.eks.model_copy(update={"region": "eu-west-1"})})
    )
    assert roles[-1] == ""


def test_a_cluster_that_takes_no_token_of_ours_is_refused_and_nothing_is_stored(
    site: Site, at_eks: AtEks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "somebody else's")
    services = RegisteredClusters(site.repository, Clusters(site.repository, None, Eks()))
    with pytest.raises(Invalid, match="credentials are not accepted") as refused:
        services.configure(ADMINISTRATOR, at_eks.settings())
    assert "k8s-aws-v1" not in str(refused.value.as_json())
    assert [record.name for record in site.repository.clusters.list()] == ["default"]


def test_tokens_are_renewed_in_the_middle_of_a_backup_and_of_a_restore(site: Site, at_eks: AtEks) -> None:
    # A token is another one when it was signed in another second.
    engine = registered(site, at_eks, Eks(seconds=0.5))
    before = site.look()

    def run(kind: str, **arguments: str) -> Operation:
        wait_until(lambda: outlived(at_eks.authenticator.seen[-1], 1.0), seconds=5, what="another second")
        at_eks.authenticator.seen.clear()
        # Longer than a token counts, so that the next request needs another.
        at_eks.authenticator.delays[:] = [1.1, 1.1]
        done = site.run(kind, engine, **arguments)
        assert done.state is State.SUCCEEDED, done.error
        assert len(set(at_eks.authenticator.seen)) >= 3
        return done

    version = run("backup").outcome["version"]
    site.cluster.api.delete(f"/api/v1/namespaces/{site.namespace}/configmaps/conf")
    run("restore", version=version, mode="exact")
    assert site.look() == before
    assert at_eks.authenticator.refused == []


def test_a_token_that_the_cluster_takes_no_more_is_replaced_by_a_fresh_one(site: Site, at_eks: AtEks) -> None:
    engine = registered(site, at_eks, Eks())
    assert site.run("backup", engine).state is State.SUCCEEDED
    # Started anew it has forgotten which tokens were good; and this one is too old by now.
    at_eks.authenticator.seconds = 1.0
    at_eks.cluster.kill_apiserver()
    at_eks.cluster.restart_apiserver()
    wait_until(lambda: outlived(at_eks.authenticator.seen[-1], 1.0), seconds=5, what="a token to end")
    done = site.run("backup", engine)
    assert done.state is State.SUCCEEDED, done.error
    assert set(at_eks.authenticator.refused) == {"it is too old"}
