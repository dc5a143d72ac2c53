"""The wanted content, laid over what the live object's controllers own.

If nothing of it differs from the live content, there is nothing to do: `overlay` is what makes a plan after a restore
empty although addresses, replicas or injected certificates moved on. It is idempotent, and changes neither argument
(parts may be shared).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.bodies import services
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.content.quantities import larger

#: Finalizers that Kubernetes' own controllers put on and take off; whether they are there is theirs to say.
CONTROLLERS_FINALIZERS = frozenset(
    {
        "kubernetes.io/pv-protection",
        "kubernetes.io/pvc-protection",
        "service.kubernetes.io/load-balancer-cleanup",
        "external-provisioner.volume.kubernetes.io/finalizer",
        "customresourcecleanup.apiextensions.k8s.io",
        "snapshot.storage.kubernetes.io/pvc-protection",
    }
)

#: Annotations that controllers of the platform write on objects of users.
CONTROLLERS_ANNOTATIONS = (
    "cloud.google.com/neg-status",
    "field.cattle.io/publicEndpoints",
    "ingress.kubernetes.io/backends",
    "openshift.io/sa.scc.mcs",
    "openshift.io/sa.scc.supplemental-groups",
    "openshift.io/sa.scc.uid-range",
)

#: With one of these annotations somebody fills in the `caBundle`.
INJECT_CA = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
)


def overlay(wanted: Body, live: Body, context: PlanContext) -> Body:
    """`wanted` as it should be written over `live`; both normalised, of the same object."""
    result = dict(wanted)
    result["metadata"] = _metadata(wanted["metadata"], live["metadata"])
    key = key_of(wanted)
    if key in context.autoscaled:
        _replicas(result, live)
    rule = _RULES.get((key.group, key.kind))
    if rule is not None:
        rule(result, wanted, live)
    return result


def _metadata(wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    result = dict(wanted)
    finalizers = _finalizers(wanted.get("finalizers") or [], live.get("finalizers") or [])
    _set(result, "finalizers", finalizers)
    references, live_references = wanted.get("ownerReferences"), live.get("ownerReferences")
    if references and live_references and _same_owners(references, live_references):
        result["ownerReferences"] = live_references
    annotations = wanted.get("annotations") or {}
    live_annotations = live.get("annotations") or {}
    if any(annotations.get(name) != live_annotations.get(name) for name in CONTROLLERS_ANNOTATIONS):
        kept = {name: value for name, value in annotations.items() if name not in CONTROLLERS_ANNOTATIONS}
        kept |= {name: live_annotations[name] for name in CONTROLLERS_ANNOTATIONS if name in live_annotations}
        _set(result, "annotations", kept)
    return result


def _finalizers(wanted: list[str], live: list[str]) -> list[str]:
    """A finalizer is a promise of its controller to clean up: none is taken off here, and those of Kubernetes' own
    controllers are not put on either."""
    return live + [name for name in wanted if name not in live and name not in CONTROLLERS_FINALIZERS]


def _same_owners(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    def named(references: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        return sorted(
            (reference.get("apiVersion") or "", reference.get("kind") or "", reference.get("name") or "")
            for reference in references
        )

    return named(one) == named(other)


def _set(members: dict[str, Any], name: str, value: Any) -> None:
    if value:
        members[name] = value
    else:
        members.pop(name, None)


def _replicas(result: Body, live: Body) -> None:
    spec, replicas = result.get("spec"), (live.get("spec") or {}).get("replicas")
    if isinstance(spec, dict) and replicas is not None:
        result["spec"] = {**spec, "replicas": replicas}


# ── rules of single kinds: they put new members into `result` ───────────────────────────────────────────────


def _service(result: Body, wanted: Body, live: Body) -> None:
    result["spec"] = services.lay_over(wanted.get("spec") or {}, wanted, live)


def _claim(result: Body, wanted: Body, live: Body) -> None:
    """The volume a claim is bound to stays, and so does its size if it was enlarged: claims do not shrink."""
    spec, was = dict(wanted.get("spec") or {}), live.get("spec") or {}
    for name in ("volumeName", "selector"):
        _set(spec, name, was.get(name))
    request = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    had = ((was.get("resources") or {}).get("requests") or {}).get("storage")
    if request and had and larger(had, request):
        resources = spec["resources"]
        spec["resources"] = {**resources, "requests": {**resources["requests"], "storage": had}}
    result["spec"] = spec


def _volume(result: Body, wanted: Body, live: Body) -> None:
    """Whose volume it is, is not changed behind the claim's back."""
    reference = (live.get("spec") or {}).get("claimRef")
    if reference:
        result["spec"] = {**(wanted.get("spec") or {}), "claimRef": reference}


def _cluster_role(result: Body, wanted: Body, live: Body) -> None:
    """The rules of an aggregated role are put together by a controller."""
    if wanted.get("aggregationRule"):
        if "rules" in live:
            result["rules"] = live["rules"]
        else:
            result.pop("rules", None)


def injects_ca(body: Body) -> bool:
    """Whether somebody else fills in the certificate authority of this object."""
    annotations = body["metadata"].get("annotations") or {}
    return any(name in annotations for name in INJECT_CA)


def _webhooks(result: Body, wanted: Body, live: Body) -> None:
    if not injects_ca(wanted):
        return
    bundles = {hook.get("name"): _bundle(hook.get("clientConfig")) for hook in live.get("webhooks") or ()}
    result["webhooks"] = [
        {**hook, "clientConfig": with_bundle(hook.get("clientConfig") or {}, bundles.get(hook.get("name")))}
        for hook in wanted.get("webhooks") or ()
    ]


def _definition(result: Body, wanted: Body, live: Body) -> None:
    if not injects_ca(wanted):
        return
    spec = wanted.get("spec") or {}
    conversion = spec.get("conversion") or {}
    webhook = conversion.get("webhook")
    if not webhook or "clientConfig" not in webhook:
        return
    live_webhook = ((live.get("spec") or {}).get("conversion") or {}).get("webhook") or {}
    client = with_bundle(webhook["clientConfig"], _bundle(live_webhook.get("clientConfig")))
    result["spec"] = {**spec, "conversion": {**conversion, "webhook": {**webhook, "clientConfig": client}}}


def _api_service(result: Body, wanted: Body, live: Body) -> None:
    if injects_ca(wanted):
        result["spec"] = with_bundle(wanted.get("spec") or {}, _bundle(live.get("spec")))


def _bundle(client: dict[str, Any] | None) -> str | None:
    return (client or {}).get("caBundle")


def with_bundle(client: dict[str, Any], bundle: str | None) -> dict[str, Any]:
    """A client configuration with this certificate authority, or without any."""
    client = {name: value for name, value in client.items() if name != "caBundle"}
    return {**client, "caBundle": bundle} if bundle else client


_INJECTED_KEY = "service-ca.crt"


def _config_map(result: Body, wanted: Body, live: Body) -> None:
    """OpenShift fills one key of a ConfigMap that asks for it."""
    annotations = wanted["metadata"].get("annotations") or {}
    bundle = (live.get("data") or {}).get(_INJECTED_KEY)
    if annotations.get("service.beta.openshift.io/inject-cabundle") == "true" and bundle:
        result["data"] = {**(wanted.get("data") or {}), _INJECTED_KEY: bundle}


_RULES: dict[tuple[str, str], Callable[[Body, Body, Body], None]] = {
    ("", "ConfigMap"): _config_map,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("rbac.authorization.k8s.io", "ClusterRole"): _cluster_role,
}
