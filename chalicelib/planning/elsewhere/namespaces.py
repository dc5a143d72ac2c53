"""An object as it is called in another namespace: its own, and every place where it names one.

What is certain is changed: fields that can hold nothing but a namespace, and names that Kubernetes' own rules make of
one. What stands in texts (`db.shop.svc` in a variable) may mean anything: see `mentions`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.objects import NAMESPACE, Body, ObjectKey, key_of
from chalicelib.planning.content.paths import holders, mappings
from chalicelib.planning.elsewhere import deploying
from chalicelib.planning.elsewhere.namespace_fields import (
    ANNOTATIONS,
    FIELDS,
    LABELS,
    QUALIFIED_ANNOTATIONS,
    SELECTORS,
)

#: Old name → new name.
Names = Mapping[str, str]

_NAME_LABEL = "kubernetes.io/metadata.name"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: What the group of all accounts of a namespace, and one account as a user, are called.
_GROUP, _USER = "system:serviceaccounts:", "system:serviceaccount:"
#: Each `namespace/name` of a list.
_QUALIFIED = re.compile(r"((?:^|,)\s*)([a-z0-9][-a-z0-9]*)(?=/)")
#: What Argo CD writes on what it deploys: `application:group/Kind:namespace/name`.
_TRACKED = "argocd.argoproj.io/tracking-id"
_TRACKED_NAMESPACE = re.compile(r"^([^:]+:[^:]+:)([^:/]+)(?=/)")

_RBAC = "rbac.authorization.k8s.io"


def home_of(key: ObjectKey) -> str:
    """The namespace that an object is in, or that it is; `""` of what belongs to the whole cluster."""
    return key.name if key[:2] == NAMESPACE else key.namespace


def moved_key(key: ObjectKey, names: Names) -> ObjectKey:
    """What an object is called there. Cluster-scoped ones keep their name, but for the namespaces themselves."""
    if key[:2] == NAMESPACE:
        return key._replace(name=names.get(key.name, key.name))
    return key._replace(namespace=names.get(key.namespace, key.namespace))


def move(body: Body, names: Names) -> Body:
    """`body` in another namespace. **Changes and returns the very body it is given.**

    Moving there and back again is the identity, if no two namespaces come to the same name.
    """
    key, metadata = key_of(body), body["metadata"]
    kind = (key.group, key.kind)
    if kind == NAMESPACE:
        _exchange(metadata, "name", names)
        _exchange(metadata.get("labels"), _NAME_LABEL, names)
    elif "namespace" in metadata:
        _exchange(metadata, "namespace", names)
    for path in FIELDS.get(kind, ()):
        for holder, member in holders(body, path):
            _exchange(holder, member, names)
    for path in SELECTORS.get(kind, ()):
        for holder, member in holders(body, path):
            _selector(holder[member], names)
    deploying.move(body, names)
    _subjects(body, key, names)
    if kind == ("", "Service"):
        _external_name(body.get("spec"), names)
    _signs(metadata, names)
    _qualified(body, names)
    return body


def _signs(metadata: dict[str, Any], names: Names) -> None:
    """Labels and annotations that name a namespace."""
    annotations = metadata.get("annotations") or {}
    for name in LABELS:
        _exchange(metadata.get("labels"), name, names)
    for name in ANNOTATIONS:
        _exchange(annotations, name, names)
    if _TRACKED in annotations:
        annotations[_TRACKED] = _moved_in(annotations[_TRACKED], _TRACKED_NAMESPACE, names)
    if _LAST_APPLIED in annotations:
        annotations[_LAST_APPLIED] = _moved_text(annotations[_LAST_APPLIED], names)


def _qualified(body: Body, names: Names) -> None:
    """Annotations that name objects of other namespaces, those in templates too."""
    for place, holder in mappings(body):
        annotations = holder.get("annotations")
        if not place.endswith("/metadata") or not isinstance(annotations, dict):
            continue
        for name in QUALIFIED_ANNOTATIONS:
            if name in annotations:
                annotations[name] = _moved_in(annotations[name], _QUALIFIED, names)


def _moved_in(text: Any, pattern: re.Pattern[str], names: Names) -> Any:
    """A text with the namespaces changed that a pattern finds behind what stands before them."""
    if not isinstance(text, str):
        return text
    return pattern.sub(lambda found: found[1] + names.get(found[2], found[2]), text)


def _exchange(holder: Any, member: str | int, names: Names) -> None:
    if isinstance(holder, dict) and member not in holder:
        return
    if holder is not None and isinstance(holder[member], str):
        holder[member] = names.get(holder[member], holder[member])


def _selector(selector: Any, names: Names) -> None:
    if not isinstance(selector, dict):
        return
    _exchange(selector.get("matchLabels"), _NAME_LABEL, names)
    for term in selector.get("matchExpressions") or ():
        if term.get("key") == _NAME_LABEL and term.get("values"):
            term["values"] = [names.get(value, value) for value in term["values"]]


def _subjects(body: Body, key: ObjectKey, names: Names) -> None:
    """Who is meant by a binding or a flow schema."""
    if key.group == _RBAC:
        for subject in body.get("subjects") or ():
            _subject(subject, subject, names)
    elif key[:2] == ("flowcontrol.apiserver.k8s.io", "FlowSchema"):
        for rule in (body.get("spec") or {}).get("rules") or ():
            for subject in rule.get("subjects") or ():
                for member in ("serviceAccount", "group", "user"):
                    _subject(subject, subject.get(member), names)


def _subject(subject: dict[str, Any], named: dict[str, Any] | None, names: Names) -> None:
    if named is None:
        return
    name = str(named.get("name") or "")
    match subject.get("kind"):
        case "ServiceAccount":
            _exchange(named, "namespace", names)
        case "Group" if name.startswith(_GROUP):
            namespace = name.removeprefix(_GROUP)
            named["name"] = _GROUP + names.get(namespace, namespace)
        case "User" if name.startswith(_USER):
            namespace, _, account = name.removeprefix(_USER).partition(":")
            named["name"] = f"{_USER}{names.get(namespace, namespace)}:{account}"


def _external_name(spec: dict[str, Any] | None, names: Names) -> None:
    """The field holds a DNS name and nothing else: a Service's one is certain."""
    parts = str((spec or {}).get("externalName") or "").split(".")
    if spec is not None and len(parts) > 2 and parts[2] == "svc" and parts[1] in names:
        spec["externalName"] = ".".join([parts[0], names[parts[1]], *parts[2:]])


def _moved_text(text: str, names: Names) -> str:
    """What `kubectl apply` remembers, moved too: it would compare with the old namespace else. In kubectl's own
    form: compact, sorted, `<`, `>` and `&` escaped."""
    try:
        applied = json.loads(text)
    except ValueError:
        return text
    if not isinstance(applied, dict) or not isinstance(applied.get("metadata"), dict):
        return text
    before = json.dumps(applied, sort_keys=True)
    after = move(applied, names)
    if json.dumps(after, sort_keys=True) == before:
        return text
    written = json.dumps(after, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written + "\n" if text.endswith("\n") else written
