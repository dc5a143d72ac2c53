"""Texts that may name an old namespace: nobody but the user knows whether they mean it, so they are told and left.

    DNS names     db.shop.svc in a variable, an argument, a ConfigMap, a Secret, an annotation; db.shop of a Service
    annotations   shop/basic, shop-auth@kubernetescrd, "namespace": "shop": what controllers take for a reference

What is certain is changed (see `namespaces`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from chalicelib.domain.objects import Body
from chalicelib.planning.content.paths import below, mappings

_LABEL = r"([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)"
_DNS = re.compile(rf"\.{_LABEL}\.svc(?![-a-z0-9])")
#: `db.shop` and no more: a Service's name, or (as often) the end of something else.
_SHORT = re.compile(rf"(?<![-a-z0-9]){_LABEL}\.{_LABEL}(?![-a-z0-9]|\.[a-z0-9])")
#: What `kubectl apply` remembers is moved as a whole; the others are Mainstay's own.
_PASSED_OVER = ("kubectl.kubernetes.io/last-applied-configuration", "mainstay.dev/")


class Mention(NamedTuple):
    """Where a text stands (a JSON Pointer), and the text as it stands there: of a Secret, encoded."""

    place: str
    text: str


def dns_names(body: Body, names: Collection[str], services: Collection[tuple[str, str]] = ()) -> Iterator[Mention]:
    """Texts with a DNS name of one of the namespaces `names`.

    Short names (`db.shop`) are found of `services`, each a namespace and a name.
    """

    def leads_there(text: str) -> bool:
        if not any(f".{name}" in text for name in names):
            return False
        return any(found in names for found in _DNS.findall(text)) or any(
            namespace in names and (namespace, name) in services for name, namespace in _SHORT.findall(text)
        )

    for place, text in _annotated(body):
        if leads_there(text):
            yield Mention(place, text)
    kind = (body.get("apiVersion"), body.get("kind"))
    for member, value in body.items():
        if member != "metadata":
            encoded = kind == ("v1", "Secret") and member == "data"
            yield from _texts(value, f"/{member}", leads_there, encoded=encoded)


def in_annotations(body: Body, names: Collection[str]) -> Iterator[Mention]:
    """Annotations, those in templates too, that controllers may take for a reference into one of the namespaces."""
    if not names:
        return
    called = f"(?:{'|'.join(map(re.escape, sorted(names)))})"
    reference = re.compile(
        rf"(?<![-\w./]){called}/[a-z0-9]"  # no path, and no image of a registry
        rf"|(?<![-\w.]){called}-[-a-z0-9.]+@kubernetescrd\b"
        rf"|\bnamespace[\"']?\s*[:=]\s*[\"']?{called}(?![-\w.])"
    )
    for place, holder in mappings(body):
        if place.endswith("/metadata"):
            for where, text in _annotated({"metadata": holder}, place.removesuffix("/metadata")):
                if reference.search(text):
                    yield Mention(where, text)


def _annotated(body: Body, place: str = "") -> Iterator[tuple[str, str]]:
    found = body["metadata"].get("annotations")
    for name, text in found.items() if isinstance(found, dict) else ():
        if isinstance(text, str) and not name.startswith(_PASSED_OVER):
            yield below(f"{place}/metadata/annotations", name), text


def _texts(value: Any, place: str, meant: Callable[[str], bool], *, encoded: bool) -> Iterator[Mention]:
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from _texts(inner, below(place, member), meant, encoded=encoded)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{place}/{number}", meant, encoded=encoded)
    elif isinstance(value, str) and meant(_decoded(value) if encoded else value):
        yield Mention(place, value)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
