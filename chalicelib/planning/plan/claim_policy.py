"""StatefulSets that take their claims with them (`whenDeleted: Delete`): what such a one is once it leaves them."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.objects import Body

_POLICY = "persistentVolumeClaimRetentionPolicy"
#: The merge patch that has a StatefulSet leave its claims when it goes, and the one that takes it back.
LEAVES_CLAIMS: Body = {"spec": {_POLICY: {"whenDeleted": "Retain"}}}
TAKES_CLAIMS: Body = {"spec": {_POLICY: {"whenDeleted": "Delete"}}}


def takes_claims(body: Body) -> bool:
    """Whether it is a StatefulSet whose claims go with it."""
    return _when_deleted(body) == "Delete"


def before_it_was_told(body: Body) -> Body | None:
    """What a StatefulSet that leaves its claims was if it took them; `None` of all else. `body` stays as it is."""
    if _when_deleted(body) != "Retain":
        return None
    policy: dict[str, Any] = {**body["spec"][_POLICY], "whenDeleted": "Delete"}
    return {**body, "spec": {**body["spec"], _POLICY: policy}}


def _when_deleted(body: Body) -> str | None:
    if (body.get("apiVersion"), body.get("kind")) != ("apps/v1", "StatefulSet"):
        return None
    said: str | None = ((body.get("spec") or {}).get(_POLICY) or {}).get("whenDeleted")
    return said
