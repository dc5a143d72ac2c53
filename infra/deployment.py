"""A stage in one account and region: its package into a bucket, its stack to what the package says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from infra.checks import DeploymentError
from infra.kept import taken_over
from infra.stack import PAUSE, Stack, Tell


@dataclass(frozen=True)
class Uploaded:
    """A package where CloudFormation finds it. `template`: an address, good for an hour."""

    template: str
    parameters: frozenset[str]


class Deployment:
    """One stage in one account and region. `clients` gives boto3's client of a service."""

    def __init__(self, stage: str, clients: Callable[[str], Any], tell: Tell, pause: float = PAUSE) -> None:
        self._stage = stage
        self._clients = clients
        self._tell = tell
        self.stack = Stack(f"mainstay-{stage}", clients("cloudformation"), tell, pause)

    @cached_property
    def account(self) -> str:
        """The account that the credentials belong to."""
        return str(self._clients("sts").get_caller_identity()["Account"])

    @property
    def region(self) -> str:
        return str(self._clients("sts").meta.region_name)

    @property
    def concurrency(self) -> tuple[int, int]:
        """How many functions the account may run at once, and how many of them nobody has set aside."""
        limits = self._clients("lambda").get_account_settings()["AccountLimit"]
        return limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]

    def deploy(self, package: Path, parameters: Mapping[str, str]) -> dict[str, str]:
        """Bring the stack to what the package says; its outputs."""
        return self.bring(self.upload(package), parameters)

    def upload(self, package: Path) -> Uploaded:
        """Put a package where CloudFormation finds it. `DeploymentError` if there is none."""
        archive, template_file = package / "deployment.zip", package / "sam.yaml"
        if not archive.is_file() or not template_file.is_file():
            raise DeploymentError(f"{package} has no package: run `make package STAGE={self._stage}` first.")
        bucket = self._bucket()
        code = self._put(bucket, archive.read_bytes(), ".zip")
        template = with_code(yaml.safe_load(template_file.read_text("utf-8")), f"s3://{bucket}/{code}")
        text = yaml.safe_dump(template, allow_unicode=True, sort_keys=False).encode()
        where = self._put(bucket, text, ".yaml")
        # Presigned, so that CloudFormation's own region and endpoint do not matter.
        url = self._clients("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": where})
        return Uploaded(url, frozenset(template.get("Parameters", ())))

    def bring(self, uploaded: Uploaded, parameters: Mapping[str, str]) -> dict[str, str]:
        """Bring the stack to what an uploaded package says; its outputs. What never was complete is removed first."""
        unknown = sorted(set(parameters) - uploaded.parameters)
        if unknown:
            raise DeploymentError(
                f"The template has no parameter {unknown[0]}; it has: {', '.join(sorted(uploaded.parameters))}."
            )
        self.stack.clear()
        found = self.taken_over(parameters, self._tell)
        tags = {"application": "mainstay", "stage": self._stage}
        self.stack.change(uploaded.template, {**found, **parameters}, set(uploaded.parameters), tags)
        return self.stack.outputs()

    def taken_over(self, parameters: Mapping[str, str], tell: Tell) -> dict[str, str]:
        """Parameters beside these by which a stack that is to be made takes over what an earlier one left."""
        if not self.stack.is_to_be_made():
            return {}
        return taken_over(self._clients, self.stack.name, self.account, parameters, tell)

    def _bucket(self) -> str:
        s3 = self._clients("s3")
        name = f"mainstay-deployments-{self.account}-{self.region}"
        if name in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            return name
        elsewhere = (
            {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        )
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

    def _put(self, bucket: str, content: bytes, ending: str) -> str:
        """Put a file under its own hash; what is there already is not sent again."""
        s3 = self._clients("s3")
        key = f"{self._stage}/{hashlib.sha256(content).hexdigest()[:32]}{ending}"
        if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
            s3.put_object(Bucket=bucket, Key=key, Body=content)
            self._tell(f"uploaded {key} ({len(content) / 1e6:.1f} MB)")
        return key


def with_code(template: dict[str, Any], code: str) -> dict[str, Any]:
    """The template with the package where it was uploaded to."""
    resources = {
        name: {**resource, "Properties": {**resource["Properties"], "CodeUri": code}}
        if resource["Type"] == "AWS::Serverless::Function"
        else resource
        for name, resource in template["Resources"].items()
    }
    return {**template, "Resources": resources}
