"""Objects that others may use too: what a version pulled in, and namespaces of which it holds only a part.

Missing, they are made, but for what would have a say in the original beside a copy. Where they differ it is reported,
and they are changed only if that was asked for. They are never extra, so nothing here is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Gap

#: Reasons of a skip: it differs; it is missing, and would have a say in the original; its namespace is missing too.
SHARED, REACHES, NOWHERE = "shared", "reaches-the-original", "no-namespace"

_ADMISSION = "admissionregistration.k8s.io"
#: Kinds whose objects judge, answer for or queue what everybody on a cluster asks for.
_OF_EVERYBODY = frozenset(
    {
        ("apiregistration.k8s.io", "APIService"),
        (_ADMISSION, "MutatingAdmissionPolicyBinding"),
        (_ADMISSION, "MutatingWebhookConfiguration"),
        (_ADMISSION, "ValidatingAdmissionPolicyBinding"),
        (_ADMISSION, "ValidatingWebhookConfiguration"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    }
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What others may use, each with the reason; whether it may be changed; and which of it could not be read."""

    reasons: Mapping[ObjectKey, str] = field(default_factory=dict)
    asked: bool = False
    gaps: tuple[Gap, ...] = ()
    #: At a destination: what is not in the namespaces that are restored, and so not the copy's alone.
    outside: frozenset[ObjectKey] = frozenset()
    #: At a destination: its namespaces that are there already. Who made them decides about their labels.
    prepared: frozenset[ObjectKey] = frozenset()
    #: Bindings that are made a second time beside the original.
    doubled: frozenset[ObjectKey] = frozenset()
    #: Whether the original lives in the same cluster.
    beside: bool = False
    #: At a destination: the namespaces in which an exact restore deletes. In place (`None`) the selection says where.
    inside: frozenset[str] | None = None

    def leaves(self, key: ObjectKey) -> bool:
        """Whether an object that differs is left as it is."""
        return not self.asked and (key in self.reasons or key in self.outside or key in self.prepared)

    def reaches(self, key: ObjectKey) -> bool:
        """Whether an object, once it is made, has a say in everything on a cluster where the original is too."""
        return self.beside and key in self.outside and key[:2] in _OF_EVERYBODY

    def keeps(self, key: ObjectKey) -> bool:
        """Whether an object that the version does not have stays all the same, whatever the mode."""
        return key in self.reasons or (self.inside is not None and key.namespace not in self.inside)

    def why(self, key: ObjectKey) -> str:
        """A sentence about an object that others may use too; empty of those that are the application's alone."""
        reason = self.reasons.get(key)
        if reason:
            return f"It was pulled in: {reason}."
        if key in self.prepared:
            return "It was there before, and its labels are those of whoever made it."
        if key in self.outside:
            return (
                "It is in a namespace that is not restored." if key.namespace else "It belongs to the whole cluster."
            )
        return "It grants to accounts of the copy what the original's have." if key in self.doubled else ""


NOTHING_SHARED = Shared()
