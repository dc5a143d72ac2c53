"""Where objects name a namespace: a table of kinds and paths (see `paths`).

Fields of the cluster that the object itself is on. What deploys to a cluster names namespaces of that one:
`deploying` knows those.
"""

from __future__ import annotations

from chalicelib.planning.content.pod_specs import POD_SPECS

_ADMISSION = "admissionregistration.k8s.io"
_ARGO = "argoproj.io"
_GATEWAYS = "gateway.networking.k8s.io"
_IMAGES = "image.toolkit.fluxcd.io"
_MONITORS = "monitoring.coreos.com"
_NOTIFICATIONS = "notification.toolkit.fluxcd.io"
_SOURCES = "source.toolkit.fluxcd.io"

_TERMS = (
    "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[]",
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[]",
    "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm",
    "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm",
)

#: Fields that hold the name of a namespace and nothing else, by kind.
FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "PersistentVolume"): ("spec.claimRef.namespace",),
    ("", "PersistentVolumeClaim"): ("spec.dataSourceRef.namespace",),
    ("", "Endpoints"): (
        "subsets[].addresses[].targetRef.namespace",
        "subsets[].notReadyAddresses[].targetRef.namespace",
    ),
    ("discovery.k8s.io", "EndpointSlice"): ("endpoints[].targetRef.namespace",),
    ("apiregistration.k8s.io", "APIService"): ("spec.service.namespace",),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): ("spec.conversion.webhook.clientConfig.service.namespace",),
    (_ADMISSION, "MutatingWebhookConfiguration"): ("webhooks[].clientConfig.service.namespace",),
    (_ADMISSION, "ValidatingWebhookConfiguration"): ("webhooks[].clientConfig.service.namespace",),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): ("spec.paramRef.namespace",),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): ("spec.paramRef.namespace",),
    ("networking.k8s.io", "IngressClass"): ("spec.parameters.namespace",),
    (_GATEWAYS, "Gateway"): ("spec.listeners[].tls.certificateRefs[].namespace",),
    (_GATEWAYS, "ReferenceGrant"): ("spec.from[].namespace",),
    **{
        (_GATEWAYS, f"{name}Route"): (
            "spec.parentRefs[].namespace",
            "spec.rules[].backendRefs[].namespace",
            "spec.rules[].filters[].requestMirror.backendRef.namespace",
        )
        for name in ("GRPC", "HTTP", "TCP", "TLS", "UDP")
    },
    (_MONITORS, "Prometheus"): ("spec.alerting.alertmanagers[].namespace",),
    **{
        (_MONITORS, kind): ("spec.namespaceSelector.matchNames[]",)
        for kind in ("ServiceMonitor", "PodMonitor", "Probe")
    },
    (_ARGO, "ApplicationSet"): ("spec.template.metadata.namespace",),
    (_ARGO, "AppProject"): ("spec.sourceNamespaces[]",),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): ("spec.sourceRef.namespace", "spec.dependsOn[].namespace"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"): (
        "spec.chart.spec.sourceRef.namespace",
        "spec.chartRef.namespace",
        "spec.dependsOn[].namespace",
    ),
    (_IMAGES, "ImagePolicy"): ("spec.imageRepositoryRef.namespace",),
    (_IMAGES, "ImageUpdateAutomation"): ("spec.sourceRef.namespace",),
    (_NOTIFICATIONS, "Alert"): ("spec.eventSources[].namespace",),
    (_NOTIFICATIONS, "Receiver"): ("spec.resources[].namespace",),
    (_SOURCES, "ExternalArtifact"): ("spec.sourceRef.namespace",),
    ("source.extensions.fluxcd.io", "ArtifactGenerator"): ("spec.sources[].namespace",),
    ("helm.crossplane.io", "Release"): (
        "spec.forProvider.chart.pullSecretRef.namespace",
        *(
            f"spec.forProvider.{place}.{kind}KeyRef.namespace"
            for place in ("valuesFrom[]", "patchesFrom[]", "set[].valueFrom")
            for kind in ("configMap", "secret")
        ),
        "spec.writeConnectionSecretToRef.namespace",
    ),
}
#: Label selectors over namespaces, by kind.
SELECTORS: dict[tuple[str, str], tuple[str, ...]] = {
    ("networking.k8s.io", "NetworkPolicy"): (
        "spec.ingress[].from[].namespaceSelector",
        "spec.egress[].to[].namespaceSelector",
    ),
    (_ADMISSION, "MutatingWebhookConfiguration"): ("webhooks[].namespaceSelector",),
    (_ADMISSION, "ValidatingWebhookConfiguration"): ("webhooks[].namespaceSelector",),
    (_ADMISSION, "ValidatingAdmissionPolicy"): ("spec.matchConstraints.namespaceSelector",),
    (_ADMISSION, "MutatingAdmissionPolicy"): ("spec.matchConstraints.namespaceSelector",),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): ("spec.matchResources.namespaceSelector",),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): ("spec.matchResources.namespaceSelector",),
    (_GATEWAYS, "Gateway"): ("spec.listeners[].allowedRoutes.namespaces.selector",),
    **dict.fromkeys(
        ((_IMAGES, "ImageRepository"), *((_SOURCES, kind) for kind in ("Bucket", "GitRepository", "HelmRepository"))),
        ("spec.accessFrom.namespaceSelectors[]",),
    ),
}
for _kind, _place in POD_SPECS.items():
    FIELDS[_kind] = tuple(f"{_place}.{term}.namespaces[]" for term in _TERMS)
    SELECTORS[_kind] = tuple(f"{_place}.{term}.namespaceSelector" for term in _TERMS)

#: Annotations and labels of any object that hold a namespace: where the release or the object of Flux is by which it
#: was deployed, and where an Ingress has its certificates.
ANNOTATIONS = ("meta.helm.sh/release-namespace", "projectcontour.io/tls-cert-namespace")
LABELS = ("helm.toolkit.fluxcd.io/namespace", "kustomize.toolkit.fluxcd.io/namespace")
#: Annotations that hold `namespace/name`, or several with commas between, by what reads them. A bare name is of the
#: object's own namespace.
_QUALIFIED = {
    "cert-manager.io": ("inject-ca-from", "inject-ca-from-secret"),
    "nginx.ingress.kubernetes.io": (
        "auth-proxy-set-headers",
        "auth-secret",
        "auth-tls-secret",
        "custom-headers",
        "proxy-ssl-secret",
    ),
    "appprotect.f5.com": ("app-protect-policy", "app-protect-security-log"),
    **dict.fromkeys(
        ("haproxy-ingress.github.io", "ingress.kubernetes.io"),
        ("auth-secret", "auth-tls-secret", "secure-crt-secret", "secure-verify-ca-secret"),
    ),
    "haproxy.org": ("auth-secret", "client-ca", "server-ca", "server-crt"),
    "k8s.v1.cni.cncf.io": ("networks",),
    "reflector.v1.k8s.emberstack.com": ("auto-reflects", "reflects"),
    "replicator.v1.mittwald.de": ("replicate-from",),
}
QUALIFIED_ANNOTATIONS = tuple(f"{reader}/{name}" for reader, names in _QUALIFIED.items() for name in names)
