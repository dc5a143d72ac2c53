"""Label selectors as objects have them. (Those of documents and requests are `domain.labels`.)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of an object (`matchLabels`, `matchExpressions`) fits some labels."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_fits(term, labels) for term in selector.get("matchExpressions") or ())


def _fits(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    name, values = term.get("key"), term.get("values") or ()
    match term.get("operator"):
        case "In":
            return labels.get(str(name)) in values
        case "NotIn":
            return labels.get(str(name)) not in values
        case "Exists":
            return name in labels
        case "DoesNotExist":
            return name not in labels
    return False
