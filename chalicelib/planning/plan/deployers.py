"""Signs that somebody else deployed an object: they may put their own state back over a restored one.

annotation argocd.argoproj.io/tracking-id           Argo CD, with its Application's name
label argocd.argoproj.io/instance                   Argo CD
label app.kubernetes.io/instance, and another sign  Argo CD (alone it is only a custom of charts)
labels kustomize.toolkit.fluxcd.io/…                Flux, a Kustomization
labels helm.toolkit.fluxcd.io/…                     Flux, a HelmRelease
annotations meta.helm.sh/release-…                  Helm; with objectset.rio.cattle.io/id and no owner, Fleet
annotations objectset.rio.cattle.io/owner-…         a controller of Rancher or K3s, with its own object
label kapp.k14s.io/app                              kapp, or kapp-controller by it
annotations projectsveltos.io/owner-…               Sveltos, with its profile
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib.domain.objects import Body, ObjectKey, key_of

_ARGO = "argocd.argoproj.io/"
_TRACKED = f"{_ARGO}tracking-id"
#: A label that charts set by custom, and older releases of Argo CD to know what is theirs.
_OF_CHARTS = "app.kubernetes.io/instance"
_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/"
_FLUX_HELM = "helm.toolkit.fluxcd.io/"
_OF_FLUX = ("name", "namespace")
_KAPP = "kapp.k14s.io/"
#: What Rancher's controllers, Fleet and K3s write on what they apply.
_SETS = "objectset.rio.cattle.io/"
_SVELTOS = "projectsveltos.io/"


class Deployer(NamedTuple):
    """Who keeps an object as it is elsewhere: `tool` with the name (and namespace) of its own object."""

    tool: str
    name: str
    namespace: str = ""


def deployers_of(body: Body) -> Iterator[Deployer]:
    """Whose signs an object bears. Flux installs charts as Helm releases: then only Flux is named."""
    metadata = body["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    application = _argo(metadata, labels, annotations)
    if application:
        yield Deployer("Argo CD", application)
    if labels.get(f"{_KUSTOMIZE}name"):
        yield Deployer("Flux", labels[f"{_KUSTOMIZE}name"], labels.get(f"{_KUSTOMIZE}namespace", ""))
    if labels.get(f"{_FLUX_HELM}name"):
        yield Deployer("Flux, with Helm", labels[f"{_FLUX_HELM}name"], labels.get(f"{_FLUX_HELM}namespace", ""))
    elif annotations.get("meta.helm.sh/release-name"):
        tool = "Fleet" if annotations.get(f"{_SETS}id") and f"{_SETS}owner-gvk" not in annotations else "Helm"
        namespace = annotations.get("meta.helm.sh/release-namespace", "")
        yield Deployer(tool, annotations["meta.helm.sh/release-name"], namespace)
    if annotations.get(f"{_SETS}owner-name"):
        yield Deployer("Rancher", _owner_in_set(annotations))
    if labels.get(f"{_KAPP}app"):
        yield Deployer("kapp", labels[f"{_KAPP}app"])
    if annotations.get(f"{_SVELTOS}owner-name"):
        kind = annotations.get(f"{_SVELTOS}owner-kind", "ClusterProfile")
        yield Deployer("Sveltos", f"{kind} {annotations[f'{_SVELTOS}owner-name']}")


def _owner_in_set(annotations: Mapping[str, str]) -> str:
    """Such as `Addon.k3s.cattle.io kube-system/coredns`; the kind stands there as `k3s.cattle.io/v1, Kind=Addon`."""
    version, _, kind = annotations.get(f"{_SETS}owner-gvk", "").partition(", Kind=")
    group = version.rpartition("/")[0]
    return str(
        ObjectKey(group, kind, annotations.get(f"{_SETS}owner-namespace", ""), annotations[f"{_SETS}owner-name"])
    )


def _argo(metadata: Body, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    tracked = annotations.get(_TRACKED)
    if tracked:
        return tracked.partition(":")[0]
    if labels.get(f"{_ARGO}instance"):
        return labels[f"{_ARGO}instance"]
    managers = {str(entry.get("manager")) for entry in metadata.get("managedFields") or ()}
    signed = any(name.startswith(_ARGO) for name in annotations) or not managers.isdisjoint(
        {"argocd-controller", "argocd-application-controller"}
    )
    return labels.get(_OF_CHARTS, "") if signed else ""


#: By which they know what they deployed, or what these begin with; Helm knows it by its own records. What else kapp
#: reads on an object its user wrote.
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "annotations": (
        _TRACKED,
        *(f"{_KAPP}{name}" for name in ("identity", "original", "original-diff", "original-diff-md5")),
        _SETS,
        _SVELTOS,
    ),
    "labels": (
        f"{_ARGO}instance",
        *(f"{flux}{name}" for flux in (_KUSTOMIZE, _FLUX_HELM) for name in _OF_FLUX),
        f"{_KAPP}app",
        f"{_KAPP}association",
        _SETS,
        _SVELTOS,
    ),
}


def forget(body: Body) -> str:
    """Take the signs off an object that is called otherwise than it was. **Changes the body.**

    By that name nobody deployed it. And Argo CD and kapp, which go by labels, would take it for something that they
    made and do not want any more: they delete that. A label of charts by which Argo CD may go is not taken off, as
    selectors of the copy need it: then the name of that Application is returned. For the same reason a pod keeps
    kapp's; without the other signs kapp does not delete it.
    """
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    application = "" if _TRACKED in annotations else _argo(metadata, labels, annotations)
    kept = f"{_KAPP}app" if body.get("kind") == "Pod" else ""
    for member, signs in _SIGNS.items():
        found = metadata.get(member) or {}
        for name in [name for name in found if _is_sign(name, signs) and name != kept]:
            del found[name]
        if not metadata.get(member, True):
            del metadata[member]
    return application if labels.get(_OF_CHARTS) == application else ""


def _is_sign(name: str, signs: Iterable[str]) -> bool:
    return any(name == sign or (sign.endswith("/") and name.startswith(sign)) for sign in signs)


@dataclass(slots=True)
class Deployed:
    """Who deployed what a plan writes to."""

    _counts: Counter[Deployer] = field(default_factory=Counter)
    _examples: dict[Deployer, ObjectKey] = field(default_factory=dict)

    def add(self, *bodies: Body | None) -> None:
        """One object, as it is and as it will be."""
        found = {deployer: key_of(body) for body in bodies if body is not None for deployer in deployers_of(body)}
        for deployer, key in found.items():
            self._counts[deployer] += 1
            self._examples.setdefault(deployer, key)

    def sentences(self) -> Iterable[str]:
        """For each of them what will happen and what to do about it."""
        for deployer in sorted(self._counts):
            yield _sentence(deployer, self._counts[deployer], self._examples[deployer])


def _sentence(deployer: Deployer, count: int, example: ObjectKey) -> str:
    tool, name, namespace = deployer
    place = f"{namespace}/{name}" if namespace else name
    where = f" -n {namespace}" if namespace else ""
    what = f"{example}" if count == 1 else f"{example} and others that change here"
    match tool:
        case "Argo CD":
            return (
                f"Argo CD keeps {what} as its Application {name} says, and will put that back if it syncs by itself. "
                f"Pause it first (`argocd app set {name} --sync-policy none`), and let Git agree before it goes on."
            )
        case "Flux":
            return (
                f"Flux keeps {what} as its Kustomization {place} says, and will put that back at its next run. "
                f"Suspend it first (`flux suspend kustomization {name}{where}`), and let its source agree before it "
                "is resumed."
            )
        case "Flux, with Helm":
            return (
                f"Flux keeps {what} as its HelmRelease {place} says, and may put that back at its next run. "
                f"Suspend it first (`flux suspend helmrelease {name}{where}`), and let its values agree before it is "
                "resumed."
            )
        case "Fleet":
            return (
                f"Fleet keeps {what} as the bundle behind the Helm release {place} says, and will put that back at "
                "its next change, or by itself where it corrects drift. Pause its GitRepo or Bundle first "
                "(`spec.paused`), and let Git agree before it goes on."
            )
        case "Rancher":
            return (
                f"A controller of Rancher or K3s keeps {what} as {name} says, and may put that back. Let that agree "
                "first; what an Addon says stands in a file of the server."
            )
        case "kapp":
            return (
                f"kapp deployed {what} (label `kapp.k14s.io/app={name}`). If an App of kapp-controller has it do so, "
                "that will put its own state back at its next sync: pause it first (`kctrl app pause -a APP -n "
                "NAMESPACE`; a PackageInstall by `spec.paused`), and let its source agree before it goes on. Else "
                "the next `kapp deploy` does."
            )
        case "Sveltos":
            return (
                f"Sveltos keeps {what} as its {name} says, and may put that back. Pause it first (annotation "
                "`profile.projectsveltos.io/paused`), and let its sources agree before it goes on."
            )
    return (
        f"The Helm release {place} deployed {what}. Nothing puts that back by itself, but the next `helm upgrade` "
        f"starts from what Helm knows of the release (`helm history {name}{where}`), which is restored only if the "
        "release's Secrets are in the selection."
    )
