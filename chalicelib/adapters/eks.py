"""EKS: where a cluster's API server is, and the tokens that it takes, without AWS's command line.

A token is a request to STS, `GetCallerIdentity`, that is signed but not sent: the cluster sends it and learns who
signed it. The header `x-k8s-aws-id`, signed along, binds it to one cluster.
"""

from __future__ import annotations

import base64
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.adapters.clients import Patience
from chalicelib.domain.errors import ClusterNotConfigured, ClusterUnreachable

if TYPE_CHECKING:
    from chalicelib.domain.application import EksCluster

#: Clusters take a token for 15 minutes from when it was signed. One less: clocks differ, and requests take time.
SECONDS = 14 * 60.0
#: In the URL, what the signature allows at most. Clusters want to see it and count by the time of signing.
_EXPIRES = 60

_PATIENCE = Patience(connect=2.0, answer=4.0, tries=2)
#: Answers that are not the asker's fault, beside 5xx.
_PASSING = {"Throttling", "ThrottlingException", "ServerException", "ServiceUnavailableException"}


class Eks:
    """EKS and STS. Endpoints and credentials are those of the environment, as boto3 reads it: in Lambda those of the
    function's role. Safe to share between threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._making = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}

    @cached_property
    def _session(self) -> Any:
        from botocore.session import get_session

        return get_session()

    def describe(self, cluster: EksCluster) -> tuple[str, str]:
        """The API server's address and its authority, PEM in base64. `ClusterNotConfigured`, `ClusterUnreachable`."""
        client = self._client("eks", cluster, self._credentials(cluster))
        answer = self._ask(client, "describe_cluster", cluster, name=cluster.name)
        found = answer["cluster"]
        if found.get("status") not in {"ACTIVE", "UPDATING"} or not found.get("endpoint"):
            raise ClusterNotConfigured(f"{cluster} is {found.get('status', 'not there')}: it has no API server yet.")
        return str(found["endpoint"]), str(found["certificateAuthority"]["data"])

    def token(self, cluster: EksCluster) -> tuple[str, float]:
        """A token for the API server, and how many seconds it is good for. Asks AWS only where a role is taken on."""
        from botocore.exceptions import BotoCoreError
        from botocore.model import ServiceId
        from botocore.signers import RequestSigner

        credentials = self._credentials(cluster)
        sts = self._client("sts", cluster, None)
        try:
            signer = RequestSigner(
                ServiceId("STS"),
                cluster.region,
                "sts",
                "v4",
                credentials or self._session.get_credentials(),
                self._session.get_component("event_emitter"),
            )
            url = signer.generate_presigned_url(
                {
                    "method": "GET",
                    "url": f"{sts.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
                    "body": {},
                    "headers": {"x-k8s-aws-id": cluster.name},
                    "context": {},
                },
                region_name=cluster.region,
                expires_in=_EXPIRES,
                operation_name="",
            )
        except BotoCoreError as error:
            raise ClusterNotConfigured(f"No token can be made for {cluster}: {error}") from error
        coded = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        return f"k8s-aws-v1.{coded}", self._seconds

    def _credentials(self, cluster: EksCluster) -> Any:
        """Those of the role that the cluster is asked with; `None` for one's own."""
        if not cluster.role_arn:
            return None
        from botocore.credentials import Credentials

        sts = self._client("sts", cluster, None)
        answer = self._ask(sts, "assume_role", cluster, RoleArn=cluster.role_arn, RoleSessionName="mainstay")
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def _ask(self, client: Any, request: str, cluster: EksCluster, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

        try:
            answer: dict[str, Any] = getattr(client, request)(**arguments)
        except ClientError as error:
            told = error.response.get("Error", {})
            code, status = told.get("Code", "an error"), error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
            if code in _PASSING or status >= 500:
                raise ClusterUnreachable(f"AWS answered {code} to {request} for {cluster}.") from error
            raise ClusterNotConfigured(
                f"AWS refuses {request} for {cluster}: {code}, {told.get('Message', 'without a reason')}"
            ) from error
        except (HTTPClientError, ConnectionError) as error:
            raise ClusterUnreachable(
                f"AWS gave no answer to {request} for {cluster}: {type(error).__name__}."
            ) from error
        except BotoCoreError as error:
            raise ClusterNotConfigured(f"AWS cannot be asked for {cluster}: {error}") from error
        return answer

    def _client(self, service: str, cluster: EksCluster, credentials: Any) -> Any:
        with self._making:
            known = self._made.get((service, cluster.region))
            if known is not None and credentials is None:
                return known
            given = {}
            if credentials is not None:
                given = {
                    "aws_access_key_id": credentials.access_key,
                    "aws_secret_access_key": credentials.secret_key,
                    "aws_session_token": credentials.token,
                }
            client = self._session.create_client(
                service, region_name=cluster.region, config=_PATIENCE.config(), **given
            )
            if credentials is None:
                self._made[(service, cluster.region)] = client
            return client
