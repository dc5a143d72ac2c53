"""What the functions ask of AWS, written down while they run, and whether their policies allow it."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.template import ROOT

#: The repository's bucket in policies.
_BUCKET = "arn:${AWS::Partition}:s3:::${AWS::StackName}-${AWS::AccountId}-${AWS::Region}"
#: IAM's name of each request that Mainstay makes, where it is another.
_ACTIONS = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket"}


@dataclass(frozen=True)
class Asked:
    """One request, in IAM's terms."""

    function: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Right:
    """One action on one resource that a policy allows."""

    function: str
    sid: str
    action: str
    resource: str
    conditions: tuple[tuple[str, str], ...] = ()

    def allows(self, asked: Asked) -> bool:
        return (
            self.action == asked.action
            and fnmatch.fnmatchcase(asked.resource, self.resource)
            and set(self.conditions) <= set(asked.context)
        )

    def __str__(self) -> str:
        return f"{self.function} {self.action} {self.resource}"


def rights(function: str, arns: Mapping[str, str]) -> list[Right]:
    """What a function's policy allows. `arns`: of resources in the template, by their names there."""
    found = []
    for statement in json.loads((ROOT / "policies" / "iam" / f"{function}.json").read_text())["Statement"]:
        conditions = tuple(sorted(statement.get("Condition", {}).get("StringEquals", {}).items()))
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in resources:
            # Both may be taken over: policies name the bucket by its name, and the key by a choice.
            arn = resource.get("Fn::Sub", "${RootKeys.Arn}").replace(_BUCKET, "${Repository.Arn}")
            for name, known in arns.items():
                arn = arn.replace(f"${{{name}.Arn}}", known)
            found += [Right(function, statement["Sid"], action, arn, conditions) for action in statement["Action"]]
    return found


@dataclass
class Record:
    """Who asks is said by `as_function`; what is asked outside of it is a person's or AWS' own."""

    arns: Mapping[str, str]
    asked: list[Asked] = field(default_factory=list)
    _function: str = ""

    @contextmanager
    def as_function(self, function: str) -> Iterator[None]:
        before, self._function = self._function, function
        try:
            yield
        finally:
            self._function = before

    def see(self, service: str, request: str, arguments: Mapping[str, Any]) -> None:
        if not self._function:
            return
        action = f"{service}:{request}"
        action, context = _ACTIONS.get(action, action), arguments.get("EncryptionContext", {})
        if service == "s3":
            resource = f"arn:aws:s3:::{arguments['Bucket']}" + (f"/{arguments['Key']}" if "Key" in arguments else "")
        elif service == "sqs":
            name = arguments["QueueUrl"].rpartition("/")[2]
            resource = next(arn for arn in self.arns.values() if arn.endswith(f":{name}"))
        else:
            resource = arguments["KeyId"]
        named = tuple((f"kms:EncryptionContext:{name}", value) for name, value in context.items())
        self.asked.append(Asked(self._function, action, resource, named))


def record(monkeypatch: pytest.MonkeyPatch, arns: Mapping[str, str]) -> Record:
    """From now on every request that boto3 makes is written down."""
    from botocore.client import BaseClient

    made = Record(arns)
    original: Callable[..., Any] = BaseClient._make_api_call

    def call(self: Any, request: str, arguments: Any) -> Any:
        made.see(self.meta.service_model.service_name, request, arguments)
        return original(self, request, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return made
