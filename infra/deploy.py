"""Create or update a stage's stack: `deploy.py STAGE [--token-file FILE] [NAME=VALUE …]`, after `make package`.

It needs boto3 and credentials as boto3 finds them, and nothing else: neither AWS's command line nor SAM's. The
package goes into a bucket of its own, `mainstay-deployments-<account>-<region>`; the stack is changed through a
change set, which is shown. Of the administrator's token only its SHA-256 leaves this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
#: Seconds that CloudFormation may take, and between two looks.
PATIENCE, PAUSE = 1800.0, 3.0

Tell = Callable[[str], None]


class DeploymentError(Exception):
    """The stack is not what it should be; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Deploy, and say what to do next; 1 with a sentence if that fails."""
    parser = argparse.ArgumentParser(prog="deploy.py", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--token-file", type=Path, help="the administrator's token; made with mode 0600 if not there")
    parser.add_argument("--package", type=Path, help="where `make package` put it; default: dist/STAGE")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="parameters of infra/template.yaml")
    # Options may stand among the parameters.
    given = parser.parse_intermixed_args(arguments)
    package = given.package or ROOT / "dist" / given.stage
    token_file = given.token_file or _data_directory() / f"{given.stage}-token"
    try:
        parameters = {"AdminTokenSha256": token_digest(token_file), **_pairs(given.parameters)}
        outputs = Deployment(given.stage, _clients(), print).deploy(package, parameters)
    except DeploymentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(next_steps(outputs, token_file)))
    return 0


def token_digest(file: Path) -> str:
    """SHA-256 of the token in a file, in hex. A file that is not there is made, readable by its owner only."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as written:
            written.write(secrets.token_urlsafe(32) + "\n")
    token = file.read_text("utf-8").strip()
    if len(token) < 20:
        raise DeploymentError(f"The token in {file} is too short to be safe: `openssl rand -hex 24` makes one.")
    return hashlib.sha256(token.encode()).hexdigest()


def next_steps(outputs: dict[str, str], token_file: Path) -> list[str]:
    """What to do with a stack, as lines."""
    return [
        "",
        f"The service answers at {outputs['EndpointURL'].rstrip('/')}",
        "Where there is no repository yet, make it, and write down the recovery key that is shown once:",
        f"  MAINSTAY_REPOSITORY={outputs['RepositoryAddress']} MAINSTAY_KMS_KEY={outputs['KmsKey']} \\",
        "    mainstay repository init",
        "Then:",
        f"  export MAINSTAY_URL={outputs['EndpointURL'].rstrip('/')} MAINSTAY_TOKEN=$(cat {token_file})",
        f"  Roles to let into clusters: {outputs['ApiRole']} and {outputs['WorkerRole']}",
        "docs/deploy.md goes on from here.",
    ]


class Deployment:
    """One stage in one account and region. `clients` gives boto3's client of a service."""

    def __init__(self, stage: str, clients: Callable[[str], Any], tell: Tell, pause: float = PAUSE) -> None:
        self.stack = f"mainstay-{stage}"
        self._stage = stage
        self._clients = clients
        self._tell = tell
        self._pause = pause

    def deploy(self, package: Path, parameters: dict[str, str]) -> dict[str, str]:
        """Bring the stack to what the package says; its outputs."""
        archive, template_file = package / "deployment.zip", package / "sam.yaml"
        if not archive.is_file() or not template_file.is_file():
            raise DeploymentError(f"{package} has no package: run `make package STAGE={self._stage}` first.")
        bucket = self._bucket()
        code = self._upload(bucket, archive.read_bytes(), ".zip")
        template = with_code(yaml.safe_load(template_file.read_text("utf-8")), f"s3://{bucket}/{code}")
        text = yaml.safe_dump(template, allow_unicode=True, sort_keys=False).encode()
        where = self._upload(bucket, text, ".yaml")
        # Presigned, so that CloudFormation's own region and endpoint do not matter.
        url = self._clients("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": where})
        self._change(url, parameters, set(template.get("Parameters", ())))
        return self._outputs()

    def _bucket(self) -> str:
        s3, region = self._clients("s3"), self._clients("s3").meta.region_name
        account = self._clients("sts").get_caller_identity()["Account"]
        name = f"mainstay-deployments-{account}-{region}"
        if name in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            return name
        elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **elsewhere)
        s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        self._tell(f"made the bucket {name} for packages")
        return name

    def _upload(self, bucket: str, content: bytes, ending: str) -> str:
        """Put a file under its own hash; what is there already is not sent again."""
        s3 = self._clients("s3")
        key = f"{self._stage}/{hashlib.sha256(content).hexdigest()[:32]}{ending}"
        if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
            s3.put_object(Bucket=bucket, Key=key, Body=content)
            self._tell(f"uploaded {key} ({len(content) / 1e6:.1f} MB)")
        return key

    def _change(self, url: str, parameters: dict[str, str], known: set[str]) -> None:
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise DeploymentError(f"The template has no parameter {unknown[0]}; it has: {', '.join(sorted(known))}.")
        cloud, before = self._clients("cloudformation"), self._describe()
        exists = before is not None and before["StackStatus"] != "REVIEW_IN_PROGRESS"
        kept = {each["ParameterKey"] for each in (before or {}).get("Parameters", ())} if exists else set()
        change_set = f"deploy-{int(time.time())}-{secrets.token_hex(3)}"
        cloud.create_change_set(
            StackName=self.stack,
            ChangeSetName=change_set,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=url,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
            + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted((kept & known) - set(parameters))],
            Tags=[{"Key": "application", "Value": "mainstay"}, {"Key": "stage", "Value": self._stage}],
        )
        named = {"StackName": self.stack, "ChangeSetName": change_set}
        changes = self._wait(lambda: cloud.describe_change_set(**named), "Status")
        if changes["Status"] == "FAILED":
            reason = str(changes.get("StatusReason", ""))
            cloud.delete_change_set(**named)
            if "didn't contain changes" in reason or "No updates" in reason:
                self._tell("nothing has changed")
                return
            raise DeploymentError(f"CloudFormation refuses the template: {reason}")
        for change in changes.get("Changes", ()):
            resource = change["ResourceChange"]
            self._tell(
                f"  {resource['Action'].lower():8}{resource['ResourceType']:36}{resource['LogicalResourceId']}"
            )
        cloud.execute_change_set(**named)
        ended = self._wait(self._described, "StackStatus")
        if ended["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise DeploymentError(f"{self.stack} is {ended['StackStatus']}: {self._why()}")

    def _wait(self, look: Callable[[], dict[str, Any]], member: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = look()
            # Executing begins a moment after it was asked for: until then the stack is under review, or as before.
            if not seen[member].endswith(("_IN_PROGRESS", "_PENDING")) or seen[member] == "DELETE_COMPLETE":
                return seen
            if time.monotonic() > deadline:
                raise DeploymentError(f"{self.stack} is still {seen[member]} after {PATIENCE / 60:.0f} minutes.")
            time.sleep(self._pause)

    def _describe(self) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            stacks: list[dict[str, Any]] = self._clients("cloudformation").describe_stacks(StackName=self.stack)[
                "Stacks"
            ]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stacks[0] if stacks else None

    def _described(self) -> dict[str, Any]:
        found = self._describe()
        if found is None:
            raise DeploymentError(f"{self.stack} is gone.")
        return found

    def _why(self) -> str:
        events = self._clients("cloudformation").describe_stack_events(StackName=self.stack)["StackEvents"]
        failures = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in event.get("ResourceStatusReason", "")
        ]
        return "; ".join(reversed(failures[-3:])) or "its events say nothing"

    def _outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._described().get("Outputs", ())}


def with_code(template: dict[str, Any], code: str) -> dict[str, Any]:
    """The template with the package where it was uploaded to."""
    resources = {
        name: {**resource, "Properties": {**resource["Properties"], "CodeUri": code}}
        if resource["Type"] == "AWS::Serverless::Function"
        else resource
        for name, resource in template["Resources"].items()
    }
    return {**template, "Resources": resources}


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise DeploymentError(f"{pair!r} is not NAME=VALUE.")
        pairs[name] = value
    return pairs


def _data_directory() -> Path:
    from platformdirs import user_data_path

    return user_data_path("mainstay") / "deployed"


def _clients() -> Callable[[str], Any]:
    import boto3

    session = boto3.session.Session()
    if session.region_name is None:
        raise DeploymentError("No region is set: name one in AWS_DEFAULT_REGION.")
    return cache(session.client)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
