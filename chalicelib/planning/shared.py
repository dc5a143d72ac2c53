"""Objects that a version pulled in: others may use them too.

Missing, they are made. Where they differ it is reported, and they are changed only if that was asked for. They are
never extra, so nothing here is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Gap

#: The reason of a skip.
SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Shared:
    """What was pulled in, each with the reason; whether it may be changed; and which of it could not be read."""

    reasons: Mapping[ObjectKey, str] = field(default_factory=dict)
    asked: bool = False
    gaps: tuple[Gap, ...] = ()
    #: At a destination: what belongs to the whole cluster there.
    cluster_wide: frozenset[ObjectKey] = frozenset()

    def leaves(self, key: ObjectKey) -> bool:
        """Whether an object that differs is left as it is."""
        return not self.asked and (key in self.reasons or key in self.cluster_wide)

    def why(self, key: ObjectKey) -> str:
        """A sentence about an object that was pulled in; empty of others."""
        reason = self.reasons.get(key)
        if reason:
            return f"It was pulled in: {reason}."
        return "It belongs to the whole cluster." if key in self.cluster_wide else ""


NOTHING_SHARED = Shared()
