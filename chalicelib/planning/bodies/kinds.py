"""What single kinds carry that is true of one incarnation only.

Each rule takes the body and its metadata and changes them in place. A rule is here if it holds wherever the object is
restored; `docs/capture-rules.md` lists them for users.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chalicelib.domain.objects import Body

Rule = Callable[[Body, dict[str, Any]], None]

#: The tail that the API server and controllers put on names they make up (`rand.String(5)`).
GENERATED_TAIL = "[bcdfghjklmnpqrstvwxz2456789]{5}"

_BIND_ANNOTATIONS = (
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-resizer",
    "volume.alpha.kubernetes.io/selected-node",
)
_JOB_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_JOB_LABELS = (*_JOB_UID_LABELS, "job-name", "batch.kubernetes.io/job-name")
_HASH_LABELS = ("pod-template-hash", "controller-revision-hash", "pod-template-generation")
#: What network plugins write about one running pod.
_POD_ANNOTATIONS = (
    "cni.projectcalico.org/containerID",
    "cni.projectcalico.org/podIP",
    "cni.projectcalico.org/podIPs",
    "k8s.ovn.org/pod-networks",
    "k8s.v1.cni.cncf.io/network-status",
    "k8s.v1.cni.cncf.io/networks-status",
)
_LEADER = "control-plane.alpha.kubernetes.io/leader"


def _drop_annotations(metadata: dict[str, Any], *names: str) -> None:
    _drop(metadata, "annotations", names)


def _drop_labels(metadata: dict[str, Any], *names: str) -> None:
    _drop(metadata, "labels", names)


def _drop(metadata: dict[str, Any], member: str, names: tuple[str, ...]) -> None:
    values = metadata.get(member)
    if values:
        for name in names:
            values.pop(name, None)
        if not values:
            del metadata[member]


def _template(body: Body, *path: str) -> None:
    """Older servers write `creationTimestamp: null` into templates, newer ones do not."""
    place: Any = body
    for name in path:
        place = (place or {}).get(name)
    metadata = (place or {}).get("metadata")
    if isinstance(metadata, dict) and "creationTimestamp" in metadata and metadata["creationTimestamp"] is None:
        del metadata["creationTimestamp"]


def _deployment(body: Body, metadata: dict[str, Any]) -> None:
    _drop_annotations(metadata, "deployment.kubernetes.io/revision")
    _template(body, "spec", "template")


def _replica_set(body: Body, metadata: dict[str, Any]) -> None:
    _drop_annotations(
        metadata,
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
    )
    _template(body, "spec", "template")


def _daemon_set(body: Body, metadata: dict[str, Any]) -> None:
    # Counts the changes of the template; the server writes it over whatever is sent.
    _drop_annotations(metadata, "deprecated.daemonset.template.generation")
    _template(body, "spec", "template")


def _stateful_set(body: Body, _metadata: dict[str, Any]) -> None:
    _template(body, "spec", "template")
    for claim in (body.get("spec") or {}).get("volumeClaimTemplates") or ():
        metadata = claim.get("metadata") or {}
        if "creationTimestamp" in metadata and metadata["creationTimestamp"] is None:
            del metadata["creationTimestamp"]


def _replication_controller(body: Body, _metadata: dict[str, Any]) -> None:
    _template(body, "spec", "template")


def _cron_job(body: Body, _metadata: dict[str, Any]) -> None:
    _template(body, "spec", "jobTemplate")
    _template(body, "spec", "jobTemplate", "spec", "template")


def _job(body: Body, metadata: dict[str, Any]) -> None:
    """The selector and labels that the server generates name the Job's own uid."""
    _drop_annotations(metadata, "batch.kubernetes.io/job-tracking")
    spec = body.get("spec") or {}
    _template(body, "spec", "template")
    if spec.get("manualSelector"):
        return
    _drop_labels(metadata, *_JOB_UID_LABELS)
    spec.pop("selector", None)
    template = spec.get("template") or {}
    template_metadata = template.get("metadata")
    if template_metadata is not None:
        _drop_labels(template_metadata, *_JOB_LABELS)
        if not template_metadata:
            del template["metadata"]


def _pod(body: Body, metadata: dict[str, Any]) -> None:
    """What scheduling and admission gave to one pod: its node, its priority's number, its token's volume."""
    _drop_annotations(metadata, *_POD_ANNOTATIONS)
    if not any(reference.get("controller") for reference in metadata.get("ownerReferences") or ()):
        _drop_labels(metadata, *_HASH_LABELS)
    spec = body.get("spec") or {}
    for name in ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers"):
        spec.pop(name, None)
    account = spec.get("serviceAccountName") or "default"
    generated = re.compile(f"(?:kube-api-access-|{re.escape(account)}-token-){GENERATED_TAIL}")
    volumes = spec.get("volumes")
    if not volumes:
        return
    gone = {volume["name"] for volume in volumes if generated.fullmatch(volume.get("name") or "")}
    if not gone:
        return
    spec["volumes"] = [volume for volume in volumes if volume.get("name") not in gone]
    if not spec["volumes"]:
        del spec["volumes"]
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.get("volumeMounts")
        if mounts:
            container["volumeMounts"] = [mount for mount in mounts if mount.get("name") not in gone]
            if not container["volumeMounts"]:
                del container["volumeMounts"]


def _claim(body: Body, metadata: dict[str, Any]) -> None:
    """Bind marks, and where the content came from: the source is used once, and may be gone."""
    _drop_annotations(metadata, *_BIND_ANNOTATIONS)
    spec = body.get("spec") or {}
    spec.pop("dataSource", None)
    spec.pop("dataSourceRef", None)


def _volume(body: Body, metadata: dict[str, Any]) -> None:
    """A volume is promised to a claim by name; the uid is that of one incarnation of the claim."""
    _drop_annotations(metadata, "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")
    reference = (body.get("spec") or {}).get("claimRef")
    if reference:
        reference.pop("uid", None)
        reference.pop("resourceVersion", None)


def _secret(body: Body, metadata: dict[str, Any]) -> None:
    """Tokens of service accounts are signed for one incarnation of the account; the controller fills them anew."""
    if body.get("type") != "kubernetes.io/service-account-token":
        return
    _drop_annotations(metadata, "kubernetes.io/service-account.uid")
    # The first changes every day the token is used.
    _drop_labels(metadata, "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since")
    data = body.get("data")
    if data:
        for name in ("token", "ca.crt", "namespace"):
            data.pop(name, None)
    if not data:
        body.pop("data", None)


def _service_account(body: Body, metadata: dict[str, Any]) -> None:
    """References to Secrets that were generated for the account."""
    generated = re.compile(f"{re.escape(metadata.get('name') or '')}-(?:token|dockercfg)-{GENERATED_TAIL}")
    for member in ("secrets", "imagePullSecrets"):
        if member in body:
            kept = [item for item in body[member] or () if not generated.fullmatch(item.get("name") or "")]
            if kept:
                body[member] = kept
            else:
                del body[member]


def _namespace(body: Body, metadata: dict[str, Any]) -> None:
    """The server itself sets the finalizer and the label with the name."""
    _drop_labels(metadata, "kubernetes.io/metadata.name")
    spec = body.get("spec")
    if spec is not None:
        spec.pop("finalizers", None)
        if not spec:
            del body["spec"]


def _endpoints(body: Body, metadata: dict[str, Any]) -> None:
    _drop_annotations(metadata, "endpoints.kubernetes.io/last-change-trigger-time", _LEADER)
    for subset in body.get("subsets") or ():
        for address in (*(subset.get("addresses") or ()), *(subset.get("notReadyAddresses") or ())):
            _target(address)


def _endpoint_slice(body: Body, metadata: dict[str, Any]) -> None:
    _drop_annotations(metadata, "endpoints.kubernetes.io/last-change-trigger-time")
    for endpoint in body.get("endpoints") or ():
        _target(endpoint)


def _target(address: dict[str, Any]) -> None:
    target = address.get("targetRef")
    if target:
        target.pop("uid", None)
        target.pop("resourceVersion", None)


def _config_map(_body: Body, metadata: dict[str, Any]) -> None:
    # Old-style leader election renews this every two seconds: no two reads would ever be equal.
    _drop_annotations(metadata, _LEADER)


def _autoscaler(_body: Body, metadata: dict[str, Any]) -> None:
    # In v1 these carry status; its other alpha annotations (metrics, behavior) carry the spec and stay.
    _drop_annotations(
        metadata, "autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics"
    )


def _definition(body: Body, _metadata: dict[str, Any]) -> None:
    """Definitions that were made through v1beta1 keep unknown fields in a way that v1 refuses to create."""
    spec = body.get("spec") or {}
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
        return
    del spec["preserveUnknownFields"]
    for version in spec.get("versions") or ():
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if isinstance(schema, dict):
            schema["x-kubernetes-preserve-unknown-fields"] = True


def _webhooks(body: Body, _metadata: dict[str, Any]) -> None:
    """Likewise side effects: v1beta1 allowed `Unknown` and `Some`."""
    for hook in body.get("webhooks") or ():
        if "sideEffects" in hook and hook["sideEffects"] not in {"None", "NoneOnDryRun"}:
            hook["sideEffects"] = "None"


RULES: dict[tuple[str, str], Rule] = {
    ("", "ConfigMap"): _config_map,
    ("", "Endpoints"): _endpoints,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replication_controller,
    ("", "Secret"): _secret,
    ("", "ServiceAccount"): _service_account,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
}
