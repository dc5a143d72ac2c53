"""What the version holds and is not live: it is made, where that gives back what it was."""

from __future__ import annotations

from collections.abc import Container, Sequence

from chalicelib.domain.objects import DEFINITION, NAMESPACE, Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.domain.version import Gap, IndexRow
from chalicelib.planning.plan import budgets, effects
from chalicelib.planning.plan.draft import Draft
from chalicelib.planning.plan.join import LiveRow
from chalicelib.planning.plan.shared import NOWHERE, REACHES
from chalicelib.planning.selecting.capture_rules import Reason

_VOLUME = ("", "PersistentVolume")
_CLAIM = ("", "PersistentVolumeClaim")
_SERVICE = ("", "Service")
_BUDGET = ("policy", "PodDisruptionBudget")
_JOB = ("batch", "Job")


def plan_missing(draft: Draft) -> None:
    """Creates, but for what could not be looked for, cannot be made here, or would come back empty."""
    arriving = {
        row.key.name.partition(".")[2] for row, _ in draft.missing if (row.key.group, row.key.kind) == DEFINITION
    }
    seen = draft.wanted(_worth_a_look(draft))
    volumes = {key.name for key, body in seen.items() if key[:2] == _VOLUME and not _volume_went(body)}
    for row, terminating in draft.missing:
        key = row.key
        if _in_a_gap(key, (*draft.gaps, *draft.shared.gaps)):
            draft.leave(key, "unread", "It is not known whether it is there: this kind could not be read.")
        elif draft.shared.reaches(key):
            draft.leave(key, REACHES, "It would have a say in the original too, which lives in this cluster.")
        elif key in draft.shared.doubled and not _has_a_place(draft, key):
            draft.leave(key, NOWHERE, "Its namespace is not restored, and is not there.")
        elif draft.context.resources and draft.context.resource_of(key) is None and key.group not in arriving:
            draft.leave(key, "not-served", "The cluster does not serve this kind.")
        elif key in seen and _volume_went(seen[key]):
            draft.leave(key, "volume-gone", "Its storage was given up together with it; there is nothing to bind.")
        else:
            draft.actions.append(create(draft, row, terminating, seen.get(key), volumes))


def _worth_a_look(draft: Draft) -> list[IndexRow]:
    kinds = {_VOLUME, _SERVICE, _BUDGET, _JOB} | ({_CLAIM} if draft.context.volume_free is not None else set())
    return [row for row, _ in draft.missing if (row.key.group, row.key.kind) in kinds]


def create(
    draft: Draft,
    row: IndexRow,
    terminating: LiveRow | None,
    body: Body | None,
    volumes: Container[str] = (),
) -> Action:
    """Making an object; `volumes` are the names of those that are made again."""
    key = row.key
    felt: tuple[str, ...] = ()
    if (key.group, key.kind) == _JOB:
        waits = bool(((body or {}).get("spec") or {}).get("suspend"))
        felt = ("The Job is suspended: it waits." if waits else "The Job runs from its beginning.",)
    elif (key.group, key.kind) == _CLAIM and body is not None and draft.context.volume_free is not None:
        volume = (body.get("spec") or {}).get("volumeName")
        arrives = volume in volumes
        if not volume or not (arrives or draft.context.volume_free(key, volume)):
            felt = ("The claim gets a new, empty volume.",)
        else:
            felt = (f"The claim is bound to its volume {volume} again, with its data.",)
    elif (key.group, key.kind) == _SERVICE and body is not None:
        draft.needs.add(body)
        felt = effects.of_create(body)
    elif (key.group, key.kind) == _BUDGET and body is not None:
        felt = budgets.blocking(body)
    message = "It is being deleted; it is made again as soon as it is gone." if terminating else ""
    message = f"{message} {draft.shared.why(key)}".strip()
    return Action(
        verb=Verb.CREATE,
        object=Identity.of(key),
        reason=Reason.TERMINATING.value if terminating else "missing",
        message=message,
        wanted_digest=row.digest.hex(),
        effects=felt,
    )


def _in_a_gap(key: ObjectKey, gaps: Sequence[Gap]) -> bool:
    return any(
        gap.group == key.group and gap.kind in {"*", key.kind} and gap.namespace in {"", key.namespace}
        for gap in gaps
    )


def _has_a_place(draft: Draft, key: ObjectKey) -> bool:
    return not key.namespace or draft.exists(ObjectKey(*NAMESPACE, "", key.namespace))


def _volume_went(body: Body) -> bool:
    """Whether a volume that is not there any more took its data with it: its provisioner deleted both."""
    spec, annotations = body.get("spec") or {}, body["metadata"].get("annotations") or {}
    return (
        body.get("kind") == "PersistentVolume"
        and spec.get("persistentVolumeReclaimPolicy") == "Delete"
        and "pv.kubernetes.io/provisioned-by" in annotations
    )
