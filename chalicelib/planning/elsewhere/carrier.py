"""Restoring elsewhere: into another namespace, to another cluster, with other storage classes, rewritten.

An object of a version goes through pure steps, in this order:

    kept ─► its namespace ─► what belongs to its old place ─► storage classes ─► suspended ─► the user's rewrites
         ─► API version

Inside the namespaces that are restored everything is as in a restore in place. What belongs to the whole cluster is
made if it is missing and otherwise only reported: where the original lives in the same cluster, it is the original's.
Volumes stay with the original: claims are given new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.objects import NAMESPACE, Body, ObjectKey, key_of
from chalicelib.planning.bodies import services
from chalicelib.planning.content.pod_specs import POD_SPECS, pod_spec_of
from chalicelib.planning.elsewhere import deploying, mentions, namespaces, suspend
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.planning.elsewhere.mentions import Mention
from chalicelib.planning.elsewhere.rewrite import Rewrites
from chalicelib.planning.elsewhere.versions import CannotConvert, convert
from chalicelib.planning.plan import deployers
from chalicelib.planning.plan.sayings import named
from chalicelib.planning.selecting.accounts import accounts_named

#: Characters of the longest name.
_LONGEST_NAME = 253
_VOLUME = ("", "PersistentVolume")
_CLAIM = ("", "PersistentVolumeClaim")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
#: Kinds that claim names in the public DNS, for all of a controller's.
_WITH_HOSTS = frozenset(
    {
        ("networking.k8s.io", "Ingress"),
        *(("gateway.networking.k8s.io", f"{name}Route") for name in ("GRPC", "HTTP", "TLS")),
    }
)
_TAKEN_FOR_ITS_OWN = (
    "Argo CD takes these for its own if it goes by the label `app.kubernetes.io/instance`, and deletes them when it "
    "prunes (`argocd app set APPLICATION --sync-policy none` before, or have it track by annotations)"
)
#: The type of the Secrets in which Helm keeps its releases, and the label of the ConfigMaps in which kapp keeps apps.
_HELM_RECORD = "helm.sh/release.v1"
_KAPP_RECORD = "kapp.k14s.io/is-app"
_HOSTS = "Hosts that the original answers to as well (a rewrite changes them)"
_DNS_NAMES = "DNS names of the old namespace are left as they are (a rewrite changes them)"
_ANNOTATIONS = (
    "Annotations that may name something in the old namespace are left as they are (a rewrite changes them)"
)
#: Places of one object that are named in a warning.
_MOST_PLACES = 3


@dataclass(slots=True)
class Carrier:
    """Carries the objects of one version to a destination, and remembers what there is to say about it."""

    destination: Destination
    rewrites: Rewrites
    #: The API version for each kind whose own one is not served there.
    versions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: What the cluster serves of kinds that cannot be brought to any of it.
    unspoken: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: Where in an object fields stand that the cluster would drop without a word.
    unknown: Callable[[Body], Iterable[str]] = lambda _body: ()
    #: Reasons why something may not be written: what it is called there, and a sentence.
    problems: dict[str, ObjectKey] = field(default_factory=dict)
    #: The Services of the version, each a namespace and a name: texts may mean them.
    services: frozenset[tuple[str, str]] = frozenset()
    #: The new storage classes in use, each with what uses it.
    classes: dict[str, set[ObjectKey]] = field(default_factory=dict)
    #: What begins something by itself, as it is called there: whether it was suspended.
    acting: dict[ObjectKey, bool] = field(default_factory=dict)
    #: Sentences that lack only what they are about; for each, what that is, and the object of it.
    _places: dict[str, dict[str, ObjectKey]] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether everything comes back as it was kept."""
        there = self.destination
        changes = there.elsewhere or there.storage_classes or there.suspends or self.rewrites.rules
        return not (changes or self.versions or self.unspoken)

    def takes(self, key: ObjectKey) -> bool:
        """Whether an object of the version is restored there at all; of some what they hold decides (`concerned`)."""
        there = self.destination
        if not there.elsewhere:
            return True
        home = namespaces.home_of(key)
        return key[:2] != _VOLUME and (not home or there.takes(home) or there.may_double(key))

    def concerned(self, body: Body) -> bool:
        """Whether an object that it takes has to do with what is restored: a binding of a namespace that stays only
        if it names accounts of one that does not."""
        key, there = key_of(body), self.destination
        if not key.namespace or not there.may_double(key):
            return True
        return any(account.namespace in there.names for account in accounts_named(body))

    def is_others(self, key: ObjectKey) -> bool:
        """Whether an object of the version is outside of the namespaces that are restored: others live there."""
        return not self.destination.takes(key.namespace) if key.namespace else key[:2] != NAMESPACE

    def moved(self, key: ObjectKey) -> ObjectKey:
        """What an object is called there, but for bindings that are given a name of their own."""
        return namespaces.moved_key(key, self.destination.names)

    def concerns(self, key: ObjectKey) -> bool:
        """Whether an object may be changed on its way: it has to be read in full."""
        there, kind = self.destination, key[:2]
        return (
            there.elsewhere
            or kind in self.versions
            or kind in self.unspoken
            or self.rewrites.concern(key)
            or (bool(there.storage_classes) and (kind == _CLAIM or kind in POD_SPECS))
            or there.has_wait(kind)
        )

    def carry(self, body: Body) -> Body:
        """The object as it is to be there. **May change the body it is given.** The same each time, and so is what
        is remembered of it."""
        was, there = key_of(body), self.destination
        labels = dict(body["metadata"].get("labels") or {})
        leading_back = list(self._leading_back(was, body))
        if there.names and not there.keeps(was):
            body = self._move(was, body)
        if there.elsewhere:
            self._let_go(was, body)
        if there.storage_classes:
            self._exchange_classes(body)
        began = was[:2] in suspend.KINDS and suspend.acts(body)
        if there.has_wait(was[:2]):
            suspend.suspend(body)
        as_kept = body
        if self.rewrites.rules:
            known = len(self.rewrites.problems)
            body = self.rewrites.apply(was, labels, body)
            for sentence in self.rewrites.problems[known:]:
                self.problems.setdefault(sentence, key_of(body))
        if began:  # a rewrite can have it go on, or wait
            self.acting[key_of(body)] = not suspend.acts(body)
        if leading_back:
            self._tell_left(was, key_of(body), leading_back, self._leading_back(was, body))
        if there.elsewhere:
            for what, where in deploying.told(body, there.names, beside=there.beside):
                self._say(what, where, key_of(body))
        self._convert(was, body)
        # What was kept of a cluster has the fields that it knows.
        for place in self.unknown(body) if there.far or body is not as_kept else ():
            self._say("Fields that the cluster does not know, and drops", f"{was} {place}", key_of(body))
        return body

    def _move(self, was: ObjectKey, body: Body) -> Body:
        """The object by the names of its new place."""
        there, subjects = self.destination, _subjects_of(body)
        body = namespaces.move(body, there.names)
        if there.may_double(was):
            self._double(was, body, subjects)
        if key_of(body) != was:
            application = deployers.forget(body)
            if application and there.beside:
                self._say(_TAKEN_FOR_ITS_OWN, f"{key_of(body)} of Application {application}", key_of(body))
        return body

    def _convert(self, was: ObjectKey, body: Body) -> None:
        if was[:2] in self.unspoken:
            stored = str(body.get("apiVersion", "")).rpartition("/")[2]
            sentence = (
                f"{was} was kept in version {stored}; the cluster serves {self.unspoken[was[:2]]}, "
                "and it is not known how to bring it there."
            )
            self.problems.setdefault(sentence, key_of(body))
        version = self.versions.get(was[:2])
        if version is not None:
            try:
                convert(body, was[:2], version)
            except CannotConvert as error:
                sentence = f"{was} cannot be converted to {version}, which the cluster serves: {error}."
                self.problems.setdefault(sentence, key_of(body))

    def _double(self, was: ObjectKey, body: Body, subjects: list[Any]) -> None:
        """A second binding beside the original's: what it grants is granted to the copy too, and to nobody else
        again. The original's stays as it is."""
        moved = [now for now, before in zip(_subjects_of(body), subjects, strict=True) if now != before]
        if not moved:
            return
        body["subjects"] = moved
        into = min({account.namespace for account in accounts_named(body)})
        body["metadata"]["name"] = f"{was.name[: _LONGEST_NAME - len(into) - 1]}-{into}"
        # By its labels it would belong to the original: to its selection, and to who deploys it.
        body["metadata"].pop("labels", None)

    def _let_go(self, was: ObjectKey, body: Body) -> None:
        """What belongs to the old place: addresses, ports and volumes."""
        if was[:2] == _CLAIM:
            spec = body.get("spec") or {}
            spec.pop("volumeName", None)
            if spec.get("storageClassName") == "":
                what = "Claims without a storage class wait until somebody makes a volume for them"
                self._say(what, str(was), key_of(body))
            else:
                spec.pop("selector", None)
        elif was[:2] == ("", "Service"):
            self._service(was, body)
        elif body.get("type") == _HELM_RECORD and was[:2] == ("", "Secret") and self.destination.names:
            self._say(
                "What Helm wrote down of a release names objects of the old namespace: "
                "`helm uninstall` or `helm upgrade` here would change those",
                str(was),
                key_of(body),
            )
        elif self.destination.beside and _KAPP_RECORD in (body["metadata"].get("labels") or {}):
            self._say(
                "What kapp wrote down of an app goes by the label that the original's objects bear: "
                "`kapp deploy` or `kapp delete` here, or an App of kapp-controller that goes on, would change those",
                str(was),
                key_of(body),
            )

    def _service(self, was: ObjectKey, body: Body) -> None:
        spec = body.get("spec") or {}
        if spec.get("clusterIP") != "None":
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
            if spec.get("ipFamilyPolicy") in {None, "SingleStack"} and self.destination.far:
                spec.pop("ipFamilies", None)
        chosen = set() if self.destination.beside else services.chosen_node_ports(body)
        for port in spec.get("ports") or ():
            if port.get("nodePort") and services.port_of(port) not in chosen:
                del port["nodePort"]
        if self.destination.beside or not services.chose_health_port(body):
            spec.pop("healthCheckNodePort", None)
        if spec.pop("loadBalancerIP", None):
            what = "The address of its load balancer stays with the original; another one is given"
            self._say(what, str(was), key_of(body))
        if self.destination.beside and spec.pop("externalIPs", None):
            self._say("External addresses stay with the original", str(was), key_of(body))

    def _exchange_classes(self, body: Body) -> None:
        key = key_of(body)
        if key[:2] == _CLAIM:
            self._exchange_class(key, body.get("spec"), body["metadata"])
        for template in _templates(body, key[:2]):
            self._exchange_class(key, template.get("spec"), template.get("metadata") or {})

    def _exchange_class(self, key: ObjectKey, spec: Any, metadata: dict[str, Any]) -> None:
        classes = self.destination.storage_classes
        annotations = metadata.get("annotations") or {}
        for holder, member in ((spec or {}, "storageClassName"), (annotations, _CLASS_ANNOTATION)):
            if holder.get(member) in classes:
                holder[member] = classes[holder[member]]
                self.classes.setdefault(holder[member], set()).add(key)

    # ── what there is to say ────────────────────────────────────────────────────────────────────────────

    def _leading_back(self, was: ObjectKey, body: Body) -> Iterator[tuple[str, Mention]]:
        """What may mean the original, each with the sentence that says so."""
        there = self.destination
        if there.beside and was[:2] in _WITH_HOSTS:
            yield from ((_HOSTS, Mention(host, host)) for host in _hosts_of(body))
        if there.names and not there.keeps(was):
            yield from ((_DNS_NAMES, each) for each in mentions.dns_names(body, there.names, self.services))
            yield from ((_ANNOTATIONS, each) for each in mentions.in_annotations(body, there.names))

    def _tell_left(
        self,
        was: ObjectKey,
        now: ObjectKey,
        before: Iterable[tuple[str, Mention]],
        after: Iterable[tuple[str, Mention]],
    ) -> None:
        """Tell of that what nothing changed on the way: neither the move nor a rewrite."""
        kept = {(what, mention.text) for what, mention in before}
        places: dict[str, list[str]] = {}
        for what, mention in after:
            if (what, mention.text) in kept:
                places.setdefault(what, []).append(mention.place)
        for what, found in places.items():
            self._say(what, f"{was} {named(list(dict.fromkeys(found)), _MOST_PLACES)}", now)

    def _say(self, what: str, where: str, now: ObjectKey) -> None:
        self._places.setdefault(what, {}).setdefault(where, now)

    def warnings(self, restored: Callable[[ObjectKey], bool] = lambda _key: True) -> Iterator[str]:
        """What to know of what is restored before agreeing to it, in sentences."""
        for what, places in self._places.items():
            about = [where for where, key in places.items() if restored(key)]
            if about:
                yield f"{what}: {named(about)}."
        yield from self.rewrites.unmet


def _subjects_of(body: Body) -> list[Any]:
    return [dict(subject) for subject in body.get("subjects") or ()]


def _hosts_of(body: Body) -> list[str]:
    spec = body.get("spec") or {}
    hosts = [*(rule.get("host") for rule in spec.get("rules") or ()), *(spec.get("hostnames") or ())]
    return list(dict.fromkeys(filter(None, hosts)))


def _templates(body: Body, kind: tuple[str, str]) -> Iterable[dict[str, Any]]:
    """The templates of claims in a workload."""
    if kind == ("apps", "StatefulSet"):
        yield from (body.get("spec") or {}).get("volumeClaimTemplates") or ()
    for volume in (pod_spec_of(body) or {}).get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template:
            yield template
