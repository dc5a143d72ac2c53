"""What begins something by itself: jobs on a timetable, and what deploys or commits from elsewhere.

Restored elsewhere it would do so a second time: two bills, two mails; or it would go on deploying to where the
original is, or into the namespace by its old name. Suspended, it is there as it was kept, and does nothing until
somebody has it go on.

    spec.suspend: true                            CronJob, Job, objects of Flux, workflows, scheduled backups
    spec.paused: true                             objects of kapp-controller and of Fleet
    an annotation                                 HelmChart of K3s, Release of Crossplane, profiles of Sveltos
    without what has it sync by itself            Application and ApplicationSet of Argo CD, which have no such field

And without the finalizer by which its controller deletes what it deployed: from what waits, nobody takes that off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.content.paths import mappings
from chalicelib.planning.elsewhere import deploying

_APPLICATION, _SET = deploying.APPLICATION, deploying.SET
_COMMITS = ("image.toolkit.fluxcd.io", "ImageUpdateAutomation")
#: The member of a kind's `spec` that says it.
_FIELDS: Mapping[tuple[str, str], str] = {
    **dict.fromkeys(
        (
            ("batch", "CronJob"),
            ("batch", "Job"),
            (deploying.ARGO, "CronWorkflow"),
            (deploying.ARGO, "Workflow"),
            ("jobset.x-k8s.io", "JobSet"),
            ("postgresql.cnpg.io", "ScheduledBackup"),
            _COMMITS,
            deploying.KUSTOMIZATION,
            deploying.RELEASE,
        ),
        "suspend",
    ),
    **dict.fromkeys((deploying.APP, deploying.INSTALL, *deploying.OF_FLEET), "paused"),
}
#: The annotation of a kind that says it.
_ANNOTATIONS: Mapping[tuple[str, str], str] = {
    deploying.CHART: "helmcharts.helm.cattle.io/unmanaged",
    **dict.fromkeys(deploying.OF_CROSSPLANE, "crossplane.io/paused"),
    **dict.fromkeys(deploying.OF_SVELTOS, "profile.projectsveltos.io/paused"),
}
#: Kinds that this module knows: what is asked of others is answered with no.
KINDS = _FIELDS.keys() | _ANNOTATIONS.keys() | {_APPLICATION, _SET}
#: Of these, those that deploy from sources (or commit to them), which know a namespace by its old name.
FROM_SOURCES = deploying.KINDS | {_COMMITS}


def acts(body: Body) -> bool:
    """Whether an object begins something by itself."""
    kind = key_of(body)[:2]
    if kind in _FIELDS:
        return not (body.get("spec") or {}).get(_FIELDS[kind])
    if kind in _ANNOTATIONS:
        annotations = body["metadata"].get("annotations") or {}
        return str(annotations.get(_ANNOTATIONS[kind], "false")) == "false"
    if kind not in {_APPLICATION, _SET}:
        return False
    return any(
        not (member == "automated" and isinstance(holder[member], dict) and holder[member].get("enabled") is False)
        for holder, member in _automatic(body)
    )


def suspend(body: Body) -> None:
    """Have it wait. **Changes the body**; what is not known, or waits already, stays as it is."""
    kind = key_of(body)[:2]
    if kind in _FIELDS:
        body["spec"] = {**(body.get("spec") or {}), _FIELDS[kind]: True}
    elif kind in _ANNOTATIONS:
        metadata = body["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _ANNOTATIONS[kind]: "true"}
    elif kind in {_APPLICATION, _SET}:
        for holder, member in list(_automatic(body)):
            del holder[member]
        for metadata in _metadata(body):
            _take_off(metadata, deploying.CASCADE)
    if kind in deploying.CASCADES:
        _take_off(body["metadata"], deploying.CASCADES[kind])


def _take_off(metadata: dict[str, Any], finalizer: str) -> None:
    kept = [name for name in metadata.get("finalizers") or () if finalizer not in str(name)]
    if kept:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)


def _automatic(body: Body) -> Iterator[tuple[dict[str, Any], str]]:
    """What has an object of Argo CD act by itself: what holds it, and the member."""
    spec = body.get("spec") or {}
    if key_of(body)[:2] == _SET:
        if spec.get("strategy"):  # its controller begins syncs, step after step
            yield spec, "strategy"
        patch = str(spec.get("templatePatch") or "")  # a text, laid over the Applications that are made
        if "syncPolicy" in patch or "automated" in patch:
            yield spec, "templatePatch"
    elif body.get("operation"):  # a sync that somebody has asked for
        yield body, "operation"
    for _, holder in mappings(spec):
        policy = holder.get("syncPolicy")
        if isinstance(policy, dict) and policy.get("automated") is not None:
            yield policy, "automated"


def _metadata(body: Body) -> Iterator[dict[str, Any]]:
    yield body["metadata"]
    for _, holder in mappings(body.get("spec")):
        template = holder.get("template")
        if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
            yield template["metadata"]
