"""What deploys from elsewhere: where it leads to, and how much of that can be seen.

    Application, ApplicationSet of Argo CD      spec.destination (of each template), spec.source(s)
    Kustomization, HelmRelease of Flux          spec.targetNamespace; spec.kubeConfig, if to another cluster
    App, PackageInstall of kapp-controller      spec.defaultNamespace, intoNs; spec.cluster, if to another cluster
    HelmChart of K3s                            spec.targetNamespace
    objects of Fleet, Sveltos, Crossplane       to clusters that other objects stand for
    AppProject of Argo CD                       where its Applications may lead to

The namespaces that they name are those of the cluster they deploy to. Where that is their own, they are changed with
it. What their sources (Git, charts, images) name cannot be seen: it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.content.paths import below, holders, mappings, values

ARGO = "argoproj.io"
APPLICATION, SET, PROJECT = (ARGO, "Application"), (ARGO, "ApplicationSet"), (ARGO, "AppProject")
KUSTOMIZATION = ("kustomize.toolkit.fluxcd.io", "Kustomization")
RELEASE = ("helm.toolkit.fluxcd.io", "HelmRelease")
#: Of kapp-controller.
APP, INSTALL = ("kappctrl.k14s.io", "App"), ("packaging.carvel.dev", "PackageInstall")
#: Of K3s; the second one has more values for the first.
CHART, CHART_CONFIG = ("helm.cattle.io", "HelmChart"), ("helm.cattle.io", "HelmChartConfig")
#: Of Rancher's Fleet.
OF_FLEET = frozenset(("fleet.cattle.io", kind) for kind in ("Bundle", "BundleDeployment", "GitRepo"))
#: Of Crossplane's provider for Helm: of the whole cluster, and in namespaces.
OF_CROSSPLANE = frozenset({("helm.crossplane.io", "Release"), ("helm.m.crossplane.io", "Release")})
OF_SVELTOS = frozenset(("config.projectsveltos.io", kind) for kind in ("ClusterProfile", "Profile"))
#: What deploys.
KINDS = (
    frozenset({APPLICATION, SET, KUSTOMIZATION, RELEASE, APP, INSTALL, CHART}) | OF_FLEET | OF_CROSSPLANE | OF_SVELTOS
)
#: By this finalizer Argo CD deletes what an Application deployed, as that is deleted.
CASCADE = "resources-finalizer.argocd.argoproj.io"
#: What is in the names of finalizers by which the others do so.
CASCADES: Mapping[tuple[str, str], str] = {
    APP: "finalizers.kapp-ctrl.k14s.io/delete",
    INSTALL: "finalizers.packageinstall.packaging.carvel.dev/delete",
    CHART: "wrangler.cattle.io/on-helm-chart-remove",
    **dict.fromkeys(OF_CROSSPLANE, "finalizer.managedresource.crossplane.io"),
    **dict.fromkeys(OF_SVELTOS, "projectsveltos.io"),
}

#: How Argo CD calls the cluster that it is on.
_OWN_CLUSTER = frozenset({"https://kubernetes.default.svc", "in-cluster", ""})
_SOURCES = ("source", "sources[]", "sourceHydrator.drySource")
#: Fields that hold a namespace of the cluster that is deployed to, below each spec (see `_specs`).
_FIELDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    **dict.fromkeys(
        (APPLICATION, SET),
        (
            "destination.namespace",
            "ignoreDifferences[].namespace",
            "resources[].namespace",
            *(f"{source}.{tool}.namespace" for source in _SOURCES for tool in ("helm", "kustomize")),
        ),
    ),
    PROJECT: ("namespace", "namespaces[]"),
    KUSTOMIZATION: ("targetNamespace", "healthChecks[].namespace", "ignore[].target.namespace"),
    RELEASE: ("targetNamespace", "storageNamespace", "driftDetection.ignore[].target.namespace"),
    APP: ("defaultNamespace", "deploy[].kapp.intoNs"),
    INSTALL: ("defaultNamespace",),
    CHART: ("targetNamespace",),
}
#: Those of them that say where it deploys to.
_TARGETS: Mapping[tuple[str, str], tuple[str, ...]] = {
    **dict.fromkeys((APPLICATION, SET), ("destination.namespace",)),
    KUSTOMIZATION: ("targetNamespace",),
    RELEASE: ("targetNamespace", "storageNamespace"),
    **{kind: _FIELDS[kind] for kind in (APP, INSTALL, CHART)},
}
#: Members of a spec that lead to another cluster.
_BEYOND: Mapping[tuple[str, str], tuple[str, ...]] = {
    **dict.fromkeys((KUSTOMIZATION, RELEASE), ("kubeConfig",)),
    **dict.fromkeys((APP, INSTALL), ("cluster",)),
    **dict.fromkeys(OF_FLEET, ("targets",)),
    **dict.fromkeys(OF_CROSSPLANE, ("providerConfigRef",)),
    **dict.fromkeys(OF_SVELTOS, ("clusterRefs", "clusterSelector")),
}
#: Kinds that lead to a cluster which is not said in them, whatever stands there.
_NEVER_SAYS = OF_FLEET | OF_CROSSPLANE | OF_SVELTOS
#: Members in which users write values of their own for what is deployed.
_FREE = frozenset(
    {
        "elements",
        "env",
        "extVars",
        "inline",
        "parameters",
        "patches",
        "set",
        "substitute",
        "tlas",
        "values",
        "valuesContent",
        "valuesObject",
    }
)

_HIDDEN = (
    "Deploy what their sources say once they go on: a namespace that stands there is the old one, and cannot be seen "
    "from here"
)
_VALUES = "Values for what is deployed are called like the old namespace, and left (a rewrite changes them)"
_ANEW = (
    "Install a release of another name once they go on, as it is called after its namespace (`releaseName` would "
    "keep the old one)"
)
_DELETES = (
    "Have Argo CD delete what it finds of theirs, the original's too, when they are deleted, as by an undo "
    "(`suspend: true`, `--suspend`, takes that from them)"
)
_UNDOES = (
    "Have what they deployed deleted when they are deleted, as by an undo: the original's too, if they lead to it "
    "(`suspend: true`, `--suspend`, takes that from them)"
)


class _Spec(NamedTuple):
    """One place from which something is deployed, or may be."""

    place: str
    content: dict[str, Any]
    #: Where it names another cluster than its own.
    beyond: tuple[str, ...]


def move(body: Body, names: Mapping[str, str]) -> None:
    """Change the namespaces that it names of its own cluster. **Changes the body**; other kinds stay as they are."""
    kind = key_of(body)[:2]
    for spec in _specs(body):
        if spec.beyond:
            continue
        for path in _FIELDS.get(kind, ()):
            for holder, member in holders(spec.content, path):
                if isinstance(holder[member], str):
                    holder[member] = names.get(holder[member], holder[member])
        namespace, colon, account = str(spec.content.get("defaultServiceAccount") or "").partition(":")
        if kind == PROJECT and colon and namespace in names:
            spec.content["defaultServiceAccount"] = f"{names[namespace]}:{account}"


def told(body: Body, names: Mapping[str, str], *, beside: bool) -> Iterator[tuple[str, str]]:
    """What there is to know about where it leads in another place, where `names` are what namespaces are called:
    sentences that lack only what they are about, and that. `beside`: whether the original is in the same cluster.

    `body` is the object as it will be there.
    """
    key = key_of(body)
    if key[:2] not in KINDS and key[:2] != CHART_CONFIG:
        return
    called, finalizers = str(key), body["metadata"].get("finalizers") or ()
    if names and _sources_decide(body):
        yield _HIDDEN, called
    for place in _values_called(body, names):
        yield _VALUES, f"{called} {place}"
    if key[:2] == RELEASE and _is_called_anew(body, names):
        yield _ANEW, called
    beyond = list(other_cluster(body))
    if beside:
        for place in leads_out(body, frozenset(names.values())):
            yield "Deploy to where the original is, once they go on", f"{called} {place}"
    for place in () if beside else beyond:
        yield "Deploy to the cluster that they name, as the original does", f"{called} {place}"
    if (beside or beyond) and any(str(each).startswith(CASCADE) for each in finalizers):
        yield _DELETES, called
    cascade = CASCADES.get(key[:2])
    if cascade and (beside or beyond) and any(cascade in str(each) for each in finalizers):
        yield _UNDOES, called


def leads_out(body: Body, into: frozenset[str]) -> Iterator[str]:
    """Places (JSON Pointers) by which it reaches beyond the namespaces `into`; a cluster that is named is beyond."""
    for spec in _specs(body):
        for path in _TARGETS.get(key_of(body)[:2], ()) if not spec.beyond else ():
            if any(value not in into for value in values(spec.content, path)):
                yield f"{spec.place}/{path.replace('[]', '/*').replace('.', '/')}"
    yield from other_cluster(body)


def other_cluster(body: Body) -> Iterator[str]:
    """Places by which it names a cluster: not the one it is on, but the same as the original's."""
    if key_of(body)[:2] in KINDS:
        yield from dict.fromkeys(place for spec in _specs(body) for place in spec.beyond)


def _sources_decide(body: Body) -> bool:
    """Whether namespaces that stand in its sources hold. Kustomize's `namespace` comes before them."""
    kind = key_of(body)[:2]
    for spec in _specs(body):
        if spec.beyond:
            continue
        if kind == KUSTOMIZATION:
            return not spec.content.get("targetNamespace")
        if kind == APP:
            return not any(values(spec.content, "deploy[].kapp.intoNs"))
        sources = [source for path in _SOURCES for source in values(spec.content, path)]
        settled = [each for path in _SOURCES for each in values(spec.content, f"{path}.kustomize.namespace")]
        if kind == RELEASE or not sources or len(settled) < len(sources):
            return True
    return False


def _is_called_anew(body: Body, names: Mapping[str, str]) -> bool:
    """Whether the name of a release is made of a namespace that has another name now."""
    spec = body.get("spec") or {}
    settled = spec.get("releaseName") or spec.get("kubeConfig")
    return not settled and spec.get("targetNamespace") in names.values()


def _values_called(body: Body, names: Mapping[str, str]) -> Iterator[str]:
    """Places of values that are called like an old namespace: whether they mean it, only the user knows."""
    gone = names.keys() - set(names.values())
    if not gone:
        return
    # A whole value, or one in a text of YAML or of settings (`namespace: shop`, `namespace=shop`).
    scalar = re.compile(
        rf"(?:^|[:=-][ \t]*)[\"']?(?:{'|'.join(map(re.escape, sorted(gone)))})[\"']?[ \t]*(?:#.*)?$", re.MULTILINE
    )
    for place, holder in mappings(body.get("spec"), "/spec"):
        for member, value in holder.items():
            if member in _FREE:
                yield from _texts(value, below(place, member), scalar)


def _texts(value: Any, place: str, called: re.Pattern[str]) -> Iterator[str]:
    if isinstance(value, str):
        if called.search(value):
            yield place
        return
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for member, inner in members:
        yield from _texts(inner, below(place, member), called)


# ── where it is said ────────────────────────────────────────────────────────────────────────────────────────


def _specs(body: Body) -> Iterator[_Spec]:
    """Every place of an object from which something is deployed; of a project, where that is allowed to lead to."""
    kind, spec = key_of(body)[:2], body.get("spec")
    if not isinstance(spec, dict):
        return
    if kind == APPLICATION:
        beyond = _clusters(spec.get("destination"), "/spec/destination")
        yield _Spec("/spec", spec, beyond)
        for asked in values(body, "operation.sync"):  # a sync that somebody has asked for
            yield _Spec("/operation/sync", asked, beyond)
    elif kind == SET:
        for place, holder in mappings(spec, "/spec"):
            template = holder.get("template")
            inner = template.get("spec") if isinstance(template, dict) else None
            if isinstance(inner, dict):
                where = f"{place}/template/spec"
                yield _Spec(where, inner, _clusters(inner.get("destination"), f"{where}/destination"))
    elif kind == PROJECT:
        for member in ("destinations", "destinationServiceAccounts"):
            for number, each in enumerate(spec.get(member) or ()):
                place = f"/spec/{member}/{number}"
                yield _Spec(place, each, _clusters(each, place, _OWN_CLUSTER | {"*"}))
        for number, window in enumerate(spec.get("syncWindows") or ()):
            yield _Spec(f"/spec/syncWindows/{number}", window, ())
    elif kind in KINDS:
        said = tuple(f"/spec/{member}" for member in _BEYOND.get(kind, ()) if spec.get(member))
        yield _Spec("/spec", spec, said or (("/spec",) if kind in _NEVER_SAYS else ()))


def _clusters(destination: Any, place: str, own: frozenset[str] = _OWN_CLUSTER) -> tuple[str, ...]:
    """Places by which a destination names another cluster."""
    named = destination if isinstance(destination, dict) else {}
    return tuple(f"{place}/{member}" for member in ("server", "name") if str(named.get(member) or "") not in own)
