"""Each function runs on a real API server and moto's S3, SQS and KMS: its policy allows what it asks, little more."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.config import Config
from chalice.local import LambdaContext, LocalGateway

from app import app
from chalicelib import bootstrap
from chalicelib.domain import request
from chalicelib.services.bundle import Services
from chalicelib.settings import Settings
from tests.harness.access import Access
from tests.harness.s3 import MotoServer
from tests.support import shop
from tests.support.rights_at_aws import Record, record, rights

TOKEN = "a token of twenty characters and more"
FUNCTIONS = ("api", "tick", "work", "dead_letter", "bucket")

#: Rights that this test has no use for, each with the reason why a function has it all the same.
UNUSED = {
    r"\w+ logs:\w+ .*": "Lambda writes the log with the function's role",
    r"\w+ sqs:(ReceiveMessage|DeleteMessage|ChangeMessageVisibility|GetQueueAttributes) .*": (
        "Lambda takes messages with the function's role"
    ),
    r"api eks:DescribeCluster .*": "needs EKS",
    r"api s3:PutObject .*/vault/app-\*/key-\*.json": "a result is asked for before anything was kept",
    r"work s3:(Get|Put)Object .*/responses/\*": "how a request's operation ended is written down later",
    r"dead_letter s3:PutObject .*/versions/\*\.ended": "a backup that nobody finished makes no version any more",
    r"work s3:DeleteObject .*/(condemned|versions|key-).*": "of these a sweep deletes only what is old",
}


@dataclass
class Aws:
    """The service's functions, called as AWS calls them, and what they asked for."""

    record: Record
    sqs: Any
    s3: Any
    urls: dict[str, str]
    bucket: str
    settings: Settings
    _services: dict[str, Services] = field(default_factory=dict)

    @contextmanager
    def function(self, name: str) -> Iterator[None]:
        """As the function `name`, in a process of its own: it has opened nothing yet."""
        if name not in self._services:
            self._services[name] = bootstrap.build(self.settings)
        with self.record.as_function(name), bootstrap.use(self._services[name]):
            yield

    def api(self, method: str, path: str, body: Any = None) -> Any:
        sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        raw = b"" if body is None else json.dumps(body).encode()
        with self.function("api"):
            answer = LocalGateway(app, Config()).handle_request(method, path, sent, raw)
        assert answer["statusCode"] < 300, (method, path, answer["statusCode"], answer["body"])
        return json.loads(answer["body"])

    def event(self, function: str, event: dict[str, Any], seconds: int = 60) -> Any:
        with self.function(function):
            return app.handler_map[function](event, LambdaContext(function, 1024, max_runtime_ms=seconds * 1000))

    def work(self) -> None:
        """Hand the queue's messages to the worker until there are none."""
        while True:
            taken = self.sqs.receive_message(QueueUrl=self.urls["WorkQueue"]).get("Messages", [])
            if not taken:
                return
            for message in taken:
                self.sqs.delete_message(QueueUrl=self.urls["WorkQueue"], ReceiptHandle=message["ReceiptHandle"])
                assert self.message("work", message["Body"]) == {"batchItemFailures": []}

    def message(self, function: str, body: str) -> Any:
        one = {"messageId": "1", "receiptHandle": "r", "body": body, "attributes": {}, "messageAttributes": {}}
        more = {"md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:x:1:q", "awsRegion": "x"}
        return self.event(function, {"Records": [{**one, **more}]})

    def tick(self) -> None:
        event = dict.fromkeys(("version", "id", "source", "account", "time", "region"), "")
        self.event("tick", {**event, "detail-type": "", "detail": {}, "resources": []})

    def ended(self, operation: dict[str, Any]) -> dict[str, Any]:
        self.work()
        found: dict[str, Any] = self.api("GET", f"/operation/{operation['id']}")
        assert found["state"] in {"succeeded", "cancelled"}, found
        return found


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[MotoServer]:
    with MotoServer(tmp_path) as server:
        yield server


@pytest.fixture
def aws(moto: MotoServer, control_plane: Access, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in {
        "AWS_ENDPOINT_URL": moto.endpoint,
        "AWS_DEFAULT_REGION": moto.region,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "POWERTOOLS_SERVICE_NAME": "mainstay-test",
        "POWERTOOLS_METRICS_NAMESPACE": "Mainstay",
    }.items():
        monkeypatch.setenv(name, value)
    sqs, s3, kms = (boto3.client(name) for name in ("sqs", "s3", "kms"))
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("WorkQueue", "RequestQueue")}
    s3.create_bucket(Bucket="repository")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    arns = {"Repository": "arn:aws:s3:::repository", "RootKeys": key}
    arns |= {name: f"arn:aws:sqs:{moto.region}:123456789012:{name}" for name in urls}
    settings = Settings.read(
        {
            "MAINSTAY_REPOSITORY": "s3://repository",
            "MAINSTAY_KMS_KEY": key,
            "MAINSTAY_QUEUE_URL": urls["WorkQueue"],
            "MAINSTAY_ADMIN_TOKEN_SHA256": sha256(TOKEN.encode()).hexdigest(),
            # Turns so short that workers wake each other.
            "MAINSTAY_TURN_SECONDS": "0.2",
        }
    )
    assert bootstrap.make_repository(settings) is not None
    return Aws(record(monkeypatch, arns), sqs, s3, urls, "repository", settings)


@pytest.mark.slow
def test_each_function_may_do_what_it_does_and_little_more(
    aws: Aws, control_plane: Access, control_namespace: str
) -> None:
    shop.deploy(control_plane.api, control_namespace)
    _use(aws, control_plane, control_namespace)
    granted = {function: rights(function, aws.record.arns) for function in FUNCTIONS}
    refused = {
        asked for asked in aws.record.asked if not any(right.allows(asked) for right in granted[asked.function])
    }
    assert refused == set()
    unused = [
        str(right)
        for given in granted.values()
        for right in given
        if not any(right.allows(asked) for asked in aws.record.asked if asked.function == right.function)
    ]
    unused = [each for each in unused if not any(re.fullmatch(pattern, each) for pattern in UNUSED)]
    assert "\n".join(unused) == ""


def _use(aws: Aws, cluster: Access, namespace: str) -> None:
    """Everything that the functions do, once."""
    kubeconfig = cluster.kubeconfig.read_text()
    aws.api("PUT", "/kubernetes/setKubernetesSettings", {"name": "stored", "kubeconfig": kubeconfig})
    aws.api("GET", "/kubernetes/checkKubernetesStatus?cluster=stored")
    application = aws.api("POST", "/app", {"name": "shop", "document": shop.document(namespace), "cluster": "stored"})
    identifier = application["id"]
    backup = aws.ended(aws.api("POST", "/app/backup", {"id": identifier, "name": "first"}))
    for random in ("aa", "bb"):  # an operation that runs longer than a lease leaves several looks at its lane
        entry = f"control/wake/20260101T000000.000Z/{identifier}/lease-{random}"
        aws.s3.put_object(Bucket=aws.bucket, Key=entry, Body=b"{}")
    aws.tick()
    version = aws.api("GET", f"/version/getAllVersionsOfApp?appId={identifier}")["items"][0]["id"]
    aws.api("GET", f"/version/selectVersion?versionId={version}")
    aws.api("PUT", f"/version/updateVersion?versionId={version}", {"comment": "known to be good"})
    aws.api("GET", f"/version/compare?from={version}&to=live")
    aws.api("GET", f"/app/status/{identifier}?refresh=true")
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/configmaps/conf")
    plan = aws.ended(aws.api("PUT", f"/version/restoreVersion?versionId={version}", {"dryRun": True}))
    aws.api("GET", f"/operation/{plan['id']}/plan")
    restore = aws.ended(aws.api("PUT", f"/version/restoreVersion?versionId={version}", {"mode": "exact"}))
    aws.api("GET", f"/operation/{restore['id']}/result")
    _ask_by_signed_request(aws, version)
    aws.api("PUT", f"/app/autobackup/{identifier}/3600")
    aws.message("dead_letter", json.dumps({"application": identifier, "operation": backup["id"]}))
    stuck = aws.api("POST", "/app/backup", {"id": identifier})
    # Nobody watches over it any more.
    for listed in aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="control/wake/")["Contents"]:
        aws.s3.delete_object(Bucket=aws.bucket, Key=listed["Key"])
    for _ in range(3):
        aws.message("dead_letter", json.dumps({"application": identifier, "operation": stuck["id"]}))
    aws.ended(aws.api("POST", "/app/backup", {"id": identifier}))
    newest = aws.api("GET", f"/version/getAllVersionsOfApp?appId={identifier}")["items"][0]["id"]
    aws.api("DELETE", f"/version/deleteVersion?versionId={newest}&force=true")
    _damage_and_repair(aws, identifier, version)
    aws.ended(aws.api("POST", f"/app/sweep/{identifier}?now=true"))
    assert len(aws.api("GET", f"/app/stats/{identifier}")["versions"]) > 0
    aws.ended(aws.api("DELETE", f"/app/{identifier}"))
    aws.api("DELETE", "/kubernetes/clusters/stored")
    aws.tick()


def _damage_and_repair(aws: Aws, application: str, version: str) -> None:
    """Two segments are damaged at rest. One is mended, as another one has its content, and the other condemned."""
    assert aws.api("GET", "/repository")["items"][0]["id"] == application
    sealed = aws.s3.get_object(Bucket=aws.bucket, Key=f"vault/{application}/versions/{version}.json")["Body"].read()
    manifest = json.loads(sealed)["manifest"]
    mended, condemned = (
        f"vault/{application}/segments/{each['name'][:2]}/{each['name']}"
        for each in (manifest["document"], manifest["segments"][0])
    )
    copy = f"{mended.rpartition('-')[0]}-acopyofit"
    aws.s3.copy_object(Bucket=aws.bucket, Key=copy, CopySource={"Bucket": aws.bucket, "Key": mended})
    for key in (mended, condemned):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"altered")
    started = aws.api("POST", f"/app/verify/{application}?repair=true")
    aws.work()
    rows = aws.api("GET", f"/operation/{started['id']}/damages")["items"]
    assert {row["key"]: row["repair"] for row in rows} == {mended: "mended", condemned: "condemned"}


def _ask_by_signed_request(aws: Aws, version: str) -> None:
    made = aws.api("POST", "/requestKey", {"name": "on call"})
    asked = {
        "apiVersion": request.API_VERSION,
        "kind": request.KIND,
        "application": "shop",
        "version": version,
        "options": {"mode": "merge"},
        "key": made["id"],
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": base64.b64encode(b"once").decode(),
    }
    body = json.dumps(request.signed(asked, made["secret"])).encode()
    aws.s3.put_object(Bucket=aws.bucket, Key="requests/one.json", Body=body)
    told = {"s3": {"bucket": {"name": aws.bucket}, "object": {"key": "requests/one.json", "size": len(body)}}}
    event = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", **told}
    aws.message("bucket", json.dumps({"Records": [event]}))
    aws.work()
    answer = json.loads(aws.s3.get_object(Bucket=aws.bucket, Key="responses/one.json")["Body"].read())
    assert answer.get("operation"), answer
    aws.api("DELETE", f"/requestKey/{made['id']}")
