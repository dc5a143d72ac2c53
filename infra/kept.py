"""What a stage leaves when it is removed: its bucket, and the KMS key that opens the repository in it.

A stage that comes back takes both over. The bucket has the stack's name; which key it is the repository itself says
(docs/format.md, root keys).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from infra.checks import DeploymentError

Tell = Callable[[str], None]

_BUCKET, _KEY = "TakeOverBucket", "TakeOverKey"
_ROOT_KEYS = "vault/keys/"


def taken_over(
    clients: Callable[[str], Any], stack: str, account: str, given: Mapping[str, str], tell: Tell
) -> dict[str, str]:
    """Parameters of a stack that is to be made, beside those given, by which it takes over what is there already."""
    s3 = clients("s3")
    bucket = f"{stack}-{account}-{s3.meta.region_name}"
    if _BUCKET in given or bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        return {}
    tell(f"the bucket {bucket} is there already: it is taken over as it is")
    if _KEY in given:
        return {_BUCKET: "yes"}
    key = _key_of(s3, bucket)
    if key is None:
        tell("no KMS key opens a repository in it: one is made")
        return {_BUCKET: "yes"}
    _check(clients("kms"), key, bucket)
    tell(f"so is the KMS key that opens the repository in it, {key}")
    return {_BUCKET: "yes", _KEY: key}


def _key_of(s3: Any, bucket: str) -> str | None:
    """The KMS key that opens the newest root key."""
    newest: tuple[int, str | None] = (0, None)
    for listed in s3.list_objects_v2(Bucket=bucket, Prefix=_ROOT_KEYS).get("Contents", ()):
        root = json.loads(s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read())
        keys = [wrapping["key"] for wrapping in root["wrappings"] if wrapping["wrapper"] == "kms"]
        newest = max(newest, (root["number"], keys[-1] if keys else None), key=lambda found: found[0])
    return newest[1]


def _check(kms: Any, key: str, bucket: str) -> None:
    """`DeploymentError` for a key that opens nothing: functions would be made that can do nothing."""
    from botocore.exceptions import ClientError

    try:
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        state = "gone"
    if state == "Enabled":
        return
    back = {
        "PendingDeletion": f"`aws kms cancel-key-deletion --key-id {key}`, then `aws kms enable-key --key-id {key}`, "
        "bring it back",
        "Disabled": f"`aws kms enable-key --key-id {key}` brings it back",
    }.get(state, "it does not come back")
    raise DeploymentError(
        f"The KMS key {key}, which opens the repository in {bucket}, is {state}: {back}. With {_KEY}= (nothing "
        "behind it) a new one is made instead; with the recovery key, `mainstay repository rewrap` then lets it open "
        "the repository."
    )
