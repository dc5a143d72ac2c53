"""How an object is named: as one would say it, `Deployment shop/web`."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.words import printable

# Groups of Kubernetes itself: nobody needs to be told that a Deployment is of `apps`.
_KUBERNETES_OWN = {"", "apps", "batch", "autoscaling", "policy"}


def kind_of(identity: Json) -> str:
    """`Deployment`, `Role`, and `Widget.example.com` where the group says something; `*.example.com` of all kinds."""
    group = str(identity.get("group") or "")
    kind = printable(str(identity.get("kind", "")))
    known = (group in _KUBERNETES_OWN or group.endswith(".k8s.io")) and kind != "*"
    return kind if known else f"{kind}.{printable(group)}"


def gap_in_words(gap: Json) -> str:
    """What could not be read, and why: `Secret in shop: forbidden`."""
    where = f" in {gap['namespace']}" if gap.get("namespace") else ""
    return printable(f"{kind_of(gap)}{where}: {gap.get('message', '')}")


def object_name(identity: Json) -> str:
    """`Deployment shop/web`, or `ClusterRole reader` for one that is in no namespace."""
    namespace = identity.get("namespace")
    name = printable(str(identity.get("name", "")))
    return f"{kind_of(identity)} {printable(str(namespace))}/{name}" if namespace else f"{kind_of(identity)} {name}"


def some_of(names: Sequence[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
