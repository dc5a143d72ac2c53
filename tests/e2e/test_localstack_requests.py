"""What queues are told: of signed requests that are put into the bucket, and of work that no worker can do."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e import shop
from tests.e2e.aws import Stack
from tests.e2e.running import Service
from tests.harness.access import Access
from tests.harness.localstack import LocalStack

pytestmark = pytest.mark.cluster


@dataclass
class Inbox:
    """The bucket's `requests/` and `responses/`."""

    stack: Stack
    service: Service

    def put(self, name: str, request: Any) -> None:
        body = json.dumps(request).encode()
        self.stack.client("s3").put_object(Bucket=self.stack.made.bucket, Key=f"requests/{name}", Body=body)

    def answer(self, name: str, *, ended: bool = False, seconds: float = 60) -> Any:
        """What is answered, once something is (and the operation has ended)."""
        s3, end = self.stack.client("s3"), time.monotonic() + seconds
        while True:
            found = s3.list_objects_v2(Bucket=self.stack.made.bucket, Prefix=f"responses/{name}").get("Contents", [])
            if found:
                said = json.loads(
                    s3.get_object(Bucket=self.stack.made.bucket, Key=f"responses/{name}")["Body"].read()
                )
                if said.get("ended") or not ended:
                    return said
            assert time.monotonic() < end, (found, self.service.log[-3000:])
            time.sleep(0.2)


def signed(key: Any, application: str, **options: Any) -> Any:
    """As docs/requests.md says, with the standard library only."""
    request = {
        "apiVersion": "mainstay.dev/v1",
        "kind": "RestoreRequest",
        "key": key["id"],
        "application": application,
        "version": "newest good",
        "options": {"mode": "exact", **options},
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": secrets.token_hex(8),
    }
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return {**request, "signature": hmac.new(key["secret"].encode(), text, hashlib.sha256).hexdigest()}


@pytest.fixture(scope="module")
def inbox(localstack: LocalStack, control_plane: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    stack = Stack(localstack)
    with stack.serving(tmp_path_factory.mktemp("aws"), control_plane.kubeconfig) as service:
        yield Inbox(stack, service)


def test_a_signed_request_restores_once_and_a_copy_or_a_forgery_touches_nothing(
    inbox: Inbox, control_plane: Access, control_namespace: str
) -> None:
    service = inbox.service
    shop.deploy(control_plane, control_namespace)
    body = {"name": control_namespace, "namespace": control_namespace}
    application = service.done("POST", "/app", body)["id"]
    assert service.finished("POST", "/app/backup", {"id": application})["state"] == "succeeded"
    key = service.done("POST", "/requestKey", {"name": control_namespace, "applications": [control_namespace]})
    assert (key["applications"][0]["id"], key["elsewhere"]) == (application, False)
    shop.set_config(control_plane, control_namespace, "config-0", number="wrong")

    forged = {**signed(key, control_namespace), "version": "ver-00000000000000000000000000"}
    inbox.put("a forged one.json", forged)
    refused = inbox.answer("a forged one.json")
    assert (refused["accepted"], refused["error"]["code"]) == (False, "not-signed")
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "wrong"}

    request = signed(key, control_namespace)
    inbox.put("mine.json", request)
    inbox.put("mine.json", request)
    said = inbox.answer("mine.json", ended=True)
    assert (said["accepted"], said["state"]) == (True, "succeeded"), said
    assert shop.config(control_plane, control_namespace, "config-0") == {"number": "0"}

    other = service.done("POST", "/app", {**body, "name": f"{control_namespace}-other"})
    inbox.put("another.json", signed(key, other["name"]))
    inbox.put("elsewhere.json", signed(key, control_namespace, namespace="payments"))
    for name in ("another.json", "elsewhere.json"):
        assert inbox.answer(name)["error"]["code"] == "outside-scope"
    assert service.done("GET", f"/operation?appId={other['id']}")["items"] == []

    inbox.put("copy.json", request)
    assert inbox.answer("copy.json")["error"]["code"] == "replayed"
    operations = service.done("GET", f"/operation?appId={application}")["items"]
    assert [each["id"] for each in operations if each["kind"] == "restore"] == [said["operation"]]
    assert inbox.stack.waiting(inbox.stack.made.last_dead_letters) == 0


def test_work_that_no_worker_can_do_is_redriven_by_sqs_itself_and_then_looked_into(
    inbox: Inbox, control_plane: Access, control_namespace: str
) -> None:
    service, stack, sqs, s3 = inbox.service, inbox.stack, inbox.stack.client("sqs"), inbox.stack.client("s3")
    shop.deploy(control_plane, control_namespace)
    body = {"name": control_namespace, "namespace": control_namespace}
    application = service.done("POST", "/app", body)["id"]
    made = service.finished("POST", "/app/backup", {"id": application})
    document = {"Bucket": stack.made.bucket, "Key": f"control/apps/{application}/app.json"}
    sound = s3.get_object(**document)["Body"].read()

    with stack.impatient(receives=2):
        path = f"/version/restoreVersion?versionId={made['outcome']['version']}"
        plan = service.ask("PUT", path, {"dryRun": True}).json["id"]
        s3.put_object(**document, Body=b"spoiled")  # before the first message arrives: each of its workers fails
        message = json.dumps({"application": application, "operation": plan})
        for _ in range(3):
            sqs.send_message(QueueUrl=stack.made.work_queue, MessageBody=message, DelaySeconds=0)
        ended = service.ended(plan)
    s3.put_object(**document, Body=sound)

    # Nobody but SQS puts anything into the queue of dead letters, and nobody but its reader counts them.
    assert (ended["state"], ended["attempts"]) == ("failed", 0)
    assert "3 messages about it came to nothing" in ended["error"]["message"]
    assert service.log.count("not done, it comes again") >= 6
    assert [stack.waiting(queue) for queue in (stack.made.dead_letters, stack.made.last_dead_letters)] == [0, 0]
    assert service.finished("POST", "/app/backup", {"id": application})["state"] == "succeeded"
