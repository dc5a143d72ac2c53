"""LocalStack comes up with the services that Mainstay stands on, and forgets when it ends."""

from pathlib import Path

from tests.harness.localstack import LocalStack


def test_it_has_buckets_queues_and_keys_and_forgets_them_with_its_end(tmp_path: Path) -> None:
    with LocalStack(tmp_path) as server:
        bucket = server.make_bucket()
        queue = server.service("sqs").create_queue(QueueName="work")["QueueUrl"]
        key = server.service("kms").create_key()["KeyMetadata"]["Arn"]
        assert queue.startswith(server.endpoint)
        assert key.startswith("arn:aws:kms:us-east-1:000000000000:")

        server.restart()
        assert bucket not in [each["Name"] for each in server.client().list_buckets()["Buckets"]]
        assert server.service("sqs").list_queues().get("QueueUrls", []) == []
        assert server.service("kms").list_keys()["Keys"] == []
    assert server.program.identity() is None
