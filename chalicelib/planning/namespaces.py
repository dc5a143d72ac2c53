"""An object as it is called in another namespace: its own, and every place where it names one.

What is certain is changed: fields that can hold nothing but a namespace, and names that Kubernetes' own rules make of
one. DNS names in texts (`db.shop.svc` in a variable) may mean anything: they are told, with their place.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.planning import deploying
from chalicelib.planning.namespace_fields import ANNOTATIONS, FIELDS, LABELS, QUALIFIED_ANNOTATIONS, SELECTORS
from chalicelib.planning.paths import below, holders

#: Old name → new name.
Names = Mapping[str, str]

_NAME_LABEL = "kubernetes.io/metadata.name"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: What the group of all accounts of a namespace, and one account as a user, are called.
_GROUP, _USER = "system:serviceaccounts:", "system:serviceaccount:"
_LABEL = r"([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)"
_DNS = re.compile(rf"\.{_LABEL}\.svc(?![-a-z0-9])")
#: `db.shop` and no more: a Service's name, or (as often) the end of something else.
_SHORT = re.compile(rf"(?<![-a-z0-9]){_LABEL}\.{_LABEL}(?![-a-z0-9]|\.[a-z0-9])")

_RBAC = "rbac.authorization.k8s.io"


def moved_key(key: ObjectKey, names: Names) -> ObjectKey:
    """What an object is called there. Cluster-scoped ones keep their name, but for the namespaces themselves."""
    if key[:2] == ("", "Namespace"):
        return key._replace(name=names.get(key.name, key.name))
    return key._replace(namespace=names.get(key.namespace, key.namespace))


def move(body: Body, names: Names) -> Body:
    """`body` in another namespace. **Changes and returns the very body it is given.**

    Moving there and back again is the identity, if no two namespaces come to the same name.
    """
    key, metadata = key_of(body), body["metadata"]
    kind = (key.group, key.kind)
    if kind == ("", "Namespace"):
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
    return body


def _signs(metadata: dict[str, Any], names: Names) -> None:
    """Labels and annotations that name a namespace."""
    annotations = metadata.get("annotations") or {}
    for name in LABELS:
        _exchange(metadata.get("labels"), name, names)
    for name in ANNOTATIONS:
        _exchange(annotations, name, names)
    for name in QUALIFIED_ANNOTATIONS:
        namespace, slash, rest = str(annotations.get(name) or "").partition("/")
        if slash and namespace in names:
            annotations[name] = f"{names[namespace]}/{rest}"
    if _LAST_APPLIED in annotations:
        annotations[_LAST_APPLIED] = _moved_text(annotations[_LAST_APPLIED], names)


def mentions(body: Body, names: Names, services: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """Places (JSON Pointers) where a text has a DNS name of one of the namespaces: it still leads to the old one.

    Short names (`db.shop`) are found of `services`, each a namespace and a name.
    """

    def leads_back(text: str) -> bool:
        if not any(f".{name}" in text for name in names):
            return False
        return any(found in names for found in _DNS.findall(text)) or any(
            namespace in names and (namespace, name) in services for name, namespace in _SHORT.findall(text)
        )

    kind = (body.get("apiVersion"), body.get("kind"))
    for member, value in body.items():
        if member == "metadata":
            continue
        encoded = kind == ("v1", "Secret") and member == "data"
        yield from _texts(value, f"/{member}", leads_back, encoded=encoded)


def _texts(value: Any, place: str, meant: Callable[[str], bool], *, encoded: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from _texts(inner, below(place, member), meant, encoded=encoded)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{place}/{number}", meant, encoded=encoded)
    elif isinstance(value, str):
        text = _decoded(value) if encoded else value
        if meant(text):
            yield place


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


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
