"""What a stage needs of AWS beside its functions, made in LocalStack from the template that deploys it.

Bucket (with its notification), queues (with their redrive) and key come out of `infra/template.yaml` as they stand
there, so that what is tried on one machine is what is deployed. Functions, roles, logs and alarms are left out:
LocalStack runs no functions here, the runner calls the same handlers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[1] / "template.yaml"

#: Types of resources that are made.
MADE = {
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::KMS::Key",
    "AWS::KMS::Alias",
}


@dataclass(frozen=True)
class Made:
    """What was made: names as AWS' APIs take them."""

    bucket: str
    key: str
    work_queue: str
    dead_letters: str
    request_queue: str
    last_dead_letters: str

    @property
    def settings(self) -> dict[str, str]:
        """Mainstay's settings that lead there."""
        return {
            "MAINSTAY_REPOSITORY": f"s3://{self.bucket}",
            "MAINSTAY_KMS_KEY": self.key,
            "MAINSTAY_QUEUE_URL": self.work_queue,
            "MAINSTAY_DEAD_LETTER_QUEUE_URL": self.dead_letters,
            "MAINSTAY_REQUEST_QUEUE_URL": self.request_queue,
        }


def local_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the deployment's template that is made in LocalStack."""
    resources = {name: body for name, body in template["Resources"].items() if body.get("Type") in MADE}
    # Conditions ask for parameters; what has no default is for the functions.
    parameters = {name: body for name, body in template["Parameters"].items() if "Default" in body}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": parameters,
        "Conditions": template["Conditions"],
        "Resources": resources,
    }


def create(cloudformation: Any, name: str, seconds: int = 120) -> Made:
    """Make the stack `name` with a client of CloudFormation, and wait until it is there."""
    template = local_template(yaml.safe_load(TEMPLATE.read_text()))
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": seconds})
    rows = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    ids = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
    return Made(
        bucket=ids["Repository"],
        key=ids["RootKeysAlias"],
        work_queue=ids["WorkQueue"],
        dead_letters=ids["WorkDeadLetters"],
        request_queue=ids["RequestQueue"],
        last_dead_letters=ids["LastDeadLetters"],
    )
