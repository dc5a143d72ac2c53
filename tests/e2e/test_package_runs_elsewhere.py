"""The zip that is deployed, unpacked elsewhere, does the main job with nothing of this checkout at hand."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap
from chalicelib.settings import Settings
from tests.e2e import shop
from tests.e2e.aws import Stack
from tests.e2e.packaged import Deployed, make_package
from tests.harness.access import Access
from tests.harness.api_proxy import api_behind_http_proxy
from tests.harness.localstack import LocalStack

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

#: Seconds of the worker's function: a quarter of it is margin, and no operation ends within the rest.
SECONDS = 2.0
#: Objects that a restore brings back.
MANY = 96


@dataclass
class Account:
    """A stack in LocalStack, the package's functions on it, and what SQS and the schedule would do."""

    stack: Stack
    deployed: Deployed
    token: str
    turns: int = 0

    def ask(self, method: str, path: str, body: Any = None, resource: str = "") -> Any:
        return self.deployed.ask(method, path, body, self.token, resource)

    def ended(self, started: Any, seconds: float = 120) -> Any:
        """An operation once it has ended: messages of the queue are handed to the worker meanwhile."""
        end = time.monotonic() + seconds
        while True:
            found = self.ask("GET", f"/operation/{started['id']}", resource="/operation/{id}")
            if found["ended"]:
                return found
            assert time.monotonic() < end, (found, self.deployed.logs()[-3000:])
            if not self._work_on_a_message():
                self.deployed.function("tick")(SCHEDULED, 20)

    def _work_on_a_message(self) -> bool:
        sqs, url = self.stack.client("sqs"), self.stack.made.work_queue
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            event = {"Records": [_record(message)]}
            answer = self.deployed.function("work")(event, SECONDS)
            self.turns += 1
            if not answer["batchItemFailures"]:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return True
        return False


SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "000000000000",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:000000000000:rule/mainstay-tick"],
    "detail": {},
}


def _record(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0", "SenderId": "x"},
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:mainstay-work",
        "awsRegion": "us-east-1",
    }


@pytest.fixture(scope="module")
def account(localstack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    stack = Stack(localstack)
    token = secrets.token_urlsafe(32)
    values = {
        **stack.made.settings,
        "MAINSTAY_ADMIN_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "POWERTOOLS_SERVICE_NAME": stack.name,
        "POWERTOOLS_METRICS_NAMESPACE": "Mainstay",
        # As the template leaves them where no proxy is named.
        "HTTPS_PROXY": "",
        "NO_PROXY": "",
    }
    deployed = Deployed(make_package(), tmp_path_factory.mktemp("elsewhere"), values, localstack.environment)
    with pytest.MonkeyPatch.context() as patch, deployed.stack:
        for name, value in localstack.environment.items():
            patch.setenv(name, value)
        # As docs/deploy.md says: from the administrator's own machine.
        bootstrap.make_repository(Settings.read(stack.made.settings))
        yield Account(stack, deployed, token)


def test_its_handlers_register_back_up_and_restore_in_many_turns_and_log_in_json_without_secrets(
    account: Account, control_plane: Access, control_namespace: str
) -> None:
    with api_behind_http_proxy(control_plane) as (proxy, kubeconfig):
        # Writes so slow that a restore of `MANY` objects takes longer than one turn.
        proxy.delay("POST|PUT|PATCH", r"/configmaps", seconds=0.6, times=None)
        text = Path(kubeconfig).read_text()
        account.ask("PUT", "/kubernetes/setKubernetesSettings", {"name": "production", "kubeconfig": text})
        shop.deploy(control_plane, control_namespace)
        _there_and_back(account, control_plane, control_namespace)
    assert account.turns > 2
    _logs_tell_no_secret(account)


def _there_and_back(account: Account, control_plane: Access, control_namespace: str) -> None:
    many = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"many-{number}", "namespace": control_namespace, "labels": {"many": "yes"}},
        }
        for number in range(MANY)
    ]
    control_plane.apply(*many)
    application = account.ask("POST", "/app", {"name": "shop", "namespace": control_namespace})

    made = account.ended(account.ask("POST", "/app/backup", {"id": application["id"]}))
    assert made["state"] == "succeeded", made
    shop.set_config(control_plane, control_namespace, "config-0", number="wrong")
    shop.delete_config(control_plane, control_namespace, "config-1")
    control_plane.api.delete(f"/api/v1/namespaces/{control_namespace}/configmaps?labelSelector=many")

    path = f"/version/restoreVersion?versionId={made['outcome']['version']}"
    restored = account.ended(account.ask("PUT", path, {}, "/version/restoreVersion"))
    assert restored["state"] == "succeeded", restored
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "0"}
    assert shop.config(control_plane, control_namespace, "config-1") == {"number": "1"}


def _logs_tell_no_secret(account: Account) -> None:
    for function in account.deployed.warm.values():
        for line in function.log.read_text().splitlines():
            assert isinstance(json.loads(line), dict), (function.name, line)
    for secret in (account.token, "hunter2", "aHVudGVyMg=="):
        assert secret not in account.deployed.logs()


def test_nothing_of_the_checkout_is_within_reach(account: Account) -> None:
    unpacked = str(account.deployed.package.unpacked)
    for name in account.deployed.package.functions:
        greeting = account.deployed.function(name).greeting
        assert greeting["module"].startswith(unpacked), name
        assert not [place for place in greeting["path"] if "site-packages" in place or "dist-packages" in place]
