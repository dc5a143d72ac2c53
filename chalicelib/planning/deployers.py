"""Signs that Argo CD, Flux or Helm deployed an object: they may put their own state back over a restored one.

annotation argocd.argoproj.io/tracking-id           Argo CD, with its Application's name
label argocd.argoproj.io/instance                   Argo CD
label app.kubernetes.io/instance, and another sign  Argo CD (alone it is only a custom of charts)
labels kustomize.toolkit.fluxcd.io/…                Flux, a Kustomization
labels helm.toolkit.fluxcd.io/…                     Flux, a HelmRelease
annotations meta.helm.sh/release-…                  Helm
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
        namespace = annotations.get("meta.helm.sh/release-namespace", "")
        yield Deployer("Helm", annotations["meta.helm.sh/release-name"], namespace)


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


#: By which Argo CD and Flux know what they deployed; Helm knows it by its own records.
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "annotations": (_TRACKED,),
    "labels": (f"{_ARGO}instance", *(f"{flux}{name}" for flux in (_KUSTOMIZE, _FLUX_HELM) for name in _OF_FLUX)),
}


def forget(body: Body) -> str:
    """Take the signs off an object that is called otherwise than it was. **Changes the body.**

    By that name nobody deployed it. And Argo CD, where it goes by labels, would take it for something that its
    Application made and does not want any more: it deletes that. A label of charts by which it may go is not taken
    off, as selectors of the copy need it: then the name of that Application is returned.
    """
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    application = "" if _TRACKED in annotations else _argo(metadata, labels, annotations)
    for member, names in _SIGNS.items():
        for name in names:
            (metadata.get(member) or {}).pop(name, None)
        if not metadata.get(member, True):
            del metadata[member]
    return application if labels.get(_OF_CHARTS) == application else ""


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
    return (
        f"The Helm release {place} deployed {what}. Nothing puts that back by itself, but the next `helm upgrade` "
        f"starts from what Helm knows of the release (`helm history {name}{where}`), which is restored only if the "
        "release's Secrets are in the selection."
    )
