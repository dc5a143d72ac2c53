"""EKS and STS as moto has them: where a cluster is, and tokens that say who signed them for which cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.credentials import Credentials

from chalicelib.adapters.eks import SECONDS, Eks
from chalicelib.domain.application import EksCluster
from chalicelib.domain.errors import ClusterNotConfigured, ClusterUnreachable
from tests.harness.ports import free_port
from tests.harness.s3 import MotoServer
from tests.support.eks import PREFIX, Authenticator, Refused

ROLE = "arn:aws:iam::123456789012:role/mainstay-cluster"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    with MotoServer(Path(tmp_path_factory.mktemp("moto"))) as server:
        yield server


@pytest.fixture
def aws(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return moto


def cluster(name: str = "shop", **more: str) -> EksCluster:
    return EksCluster(name=name, region="eu-central-1", **more)


def url_of(token: str) -> str:
    coded = token.removeprefix(PREFIX)
    return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()


def test_a_token_says_who_signed_it_and_for_which_cluster(aws: MotoServer) -> None:
    token, seconds = Eks().token(cluster())
    assert seconds == SECONDS
    keys = Credentials(aws.access_key, aws.secret_key)
    assert Authenticator("shop", keys).review(token) == aws.access_key
    with pytest.raises(Refused, match="another cluster"):
        Authenticator("other", keys).review(token)
    with pytest.raises(Refused, match="signature"):
        Authenticator("shop", Credentials(aws.access_key, "another secret")).review(token)


def test_a_token_is_for_the_regions_own_sts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for region, host in (
        ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ):
        token, _ = Eks().token(EksCluster(name="shop", region=region))
        assert urlsplit(url_of(token)).netloc == host


def test_a_role_is_taken_on_and_its_session_goes_along(aws: MotoServer) -> None:
    token, _ = Eks().token(cluster(role_arn=ROLE))
    assert "X-Amz-Security-Token=" in url_of(token)
    assert aws.access_key not in url_of(token)


def test_where_a_cluster_is_comes_from_aws(aws: MotoServer) -> None:
    eks: Any = boto3.client("eks", region_name="eu-central-1")
    eks.create_cluster(
        name="shop", roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": []}
    )
    for asked in (cluster(), cluster(role_arn=ROLE)):
        endpoint, authority = Eks().describe(asked)
        assert endpoint.startswith("https://")
        assert base64.b64decode(authority)


def test_a_cluster_that_is_not_there_is_told_by_its_name(aws: MotoServer) -> None:
    with pytest.raises(ClusterNotConfigured, match="the EKS cluster nowhere in eu-central-1: ResourceNotFound"):
        Eks().describe(cluster("nowhere"))


def test_an_aws_that_does_not_answer_is_a_passing_fault(aws: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for ask in (lambda: Eks().describe(cluster()), lambda: Eks().token(cluster(role_arn=ROLE))):
        with pytest.raises(ClusterUnreachable, match="gave no answer"):
            ask()


def test_without_credentials_it_is_said_that_there_are_none(
    aws: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for ask in (lambda: Eks().describe(cluster()), lambda: Eks().token(cluster())):
        with pytest.raises(ClusterNotConfigured, match="credentials"):
            ask()
