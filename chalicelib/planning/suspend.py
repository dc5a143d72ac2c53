"""What begins something by itself: jobs on a timetable, and what deploys or commits from elsewhere.

Restored elsewhere it would do so a second time: two bills, two mails; or it would go on deploying to where the
original is. Suspended, it is there as it was kept, and does nothing until somebody has it go on.

    spec.suspend: true                            CronJob, Job, objects of Flux, workflows, scheduled backups
    without what has it sync by itself            Application and ApplicationSet of Argo CD, which have no such field
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.domain.objects import Body, key_of

_ARGO = "argoproj.io"
_APPLICATION, _SET = (_ARGO, "Application"), (_ARGO, "ApplicationSet")
_KUSTOMIZATION = ("kustomize.toolkit.fluxcd.io", "Kustomization")
_RELEASE = ("helm.toolkit.fluxcd.io", "HelmRelease")
#: Kinds whose `spec.suspend` says it.
_WITH_FIELD = frozenset(
    {
        ("batch", "CronJob"),
        ("batch", "Job"),
        (_ARGO, "CronWorkflow"),
        (_ARGO, "Workflow"),
        ("image.toolkit.fluxcd.io", "ImageUpdateAutomation"),
        ("jobset.x-k8s.io", "JobSet"),
        ("postgresql.cnpg.io", "ScheduledBackup"),
        _KUSTOMIZATION,
        _RELEASE,
    }
)
#: What Argo CD deletes what an Application deployed by, as it is deleted.
_CASCADE = "resources-finalizer.argocd.argoproj.io"
#: How Argo CD calls the cluster that it is on.
_OWN_CLUSTER = frozenset({"https://kubernetes.default.svc", "in-cluster", ""})

#: Kinds that this module knows: what is asked of others is answered with no.
KINDS = _WITH_FIELD | {_APPLICATION, _SET}


def acts(body: Body) -> bool:
    """Whether an object begins something by itself."""
    kind = key_of(body)[:2]
    if kind in _WITH_FIELD:
        return not (body.get("spec") or {}).get("suspend")
    if kind not in {_APPLICATION, _SET}:
        return False
    return any(
        not (member == "automated" and isinstance(holder[member], dict) and holder[member].get("enabled") is False)
        for holder, member in _automatic(body)
    )


def suspend(body: Body) -> None:
    """Have it wait. **Changes the body**; what is not known, or waits already, stays as it is."""
    kind = key_of(body)[:2]
    if kind in _WITH_FIELD:
        body["spec"] = {**(body.get("spec") or {}), "suspend": True}
    elif kind in {_APPLICATION, _SET}:
        for holder, member in list(_automatic(body)):
            del holder[member]
        for metadata in _metadata(body):
            kept = [name for name in metadata.get("finalizers") or () if not str(name).startswith(_CASCADE)]
            if kept:
                metadata["finalizers"] = kept
            else:
                metadata.pop("finalizers", None)


def leads_out(body: Body, into: frozenset[str]) -> Iterator[str]:
    """Places (JSON Pointers) by which what deploys reaches beyond the namespaces `into`, once it goes on. A cluster
    that is named is beyond. Nothing is known of what its sources say themselves."""
    spec, kind = body.get("spec") or {}, key_of(body)[:2]
    if kind in {_APPLICATION, _SET}:
        for place, holder in _specs(spec, kind):
            destination = holder.get("destination") or {}
            if destination.get("namespace") and destination["namespace"] not in into:
                yield f"{place}/destination/namespace"
    elif kind in {_KUSTOMIZATION, _RELEASE}:
        # A HelmRelease that says nothing is installed where it is; a Kustomization goes where its manifests say.
        unsaid = body["metadata"].get("namespace") if kind == _RELEASE else None
        if spec.get("targetNamespace", unsaid) not in into:
            yield "/spec/targetNamespace"
    yield from other_cluster(body)


def other_cluster(body: Body) -> Iterator[str]:
    """Places by which what deploys names a cluster: not the one it is on, but the same as the original's."""
    spec, kind = body.get("spec") or {}, key_of(body)[:2]
    if kind in {_APPLICATION, _SET}:
        for place, holder in _specs(spec, kind):
            destination = holder.get("destination") or {}
            for member in ("server", "name"):
                if str(destination.get(member) or "") not in _OWN_CLUSTER:
                    yield f"{place}/destination/{member}"
    elif kind in {_KUSTOMIZATION, _RELEASE} and spec.get("kubeConfig"):
        yield "/spec/kubeConfig"


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
    for holder in _all(spec):
        policy = holder.get("syncPolicy")
        if isinstance(policy, dict) and policy.get("automated") is not None:
            yield policy, "automated"


def _metadata(body: Body) -> Iterator[dict[str, Any]]:
    yield body["metadata"]
    for holder in _all(body.get("spec")):
        template = holder.get("template")
        if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
            yield template["metadata"]


def _specs(spec: dict[str, Any], kind: tuple[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The spec of an Application, or of those that are made from a template."""
    if kind == _APPLICATION:
        yield "/spec", spec
    else:
        yield "/spec/template/spec", (spec.get("template") or {}).get("spec") or {}


def _all(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a value, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all(inner)
