"""What a plan says about objects: those that it leaves alone, and how many are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Difference
from chalicelib.domain.version import Gap
from chalicelib.planning.plan.shared import NOWHERE, REACHES, SHARED
from chalicelib.planning.selecting.capture_rules import Reason

#: Why nothing is done about an object that the version holds, by what stands in its way.
WHY_LEFT: dict[str, str] = {
    Reason.DERIVED.value: "Its controller makes it now, and keeps it as it wants.",
    Reason.FINISHED.value: "It has finished since; it is not run again.",
    Reason.EXCLUDED.value: "A label keeps it out.",
    Reason.CLUSTERS_OWN.value: "The cluster makes it by itself.",
    Reason.MOMENTARY.value: "It says something about one moment only.",
}

#: Reason of a skip: the server accepts what differs, and drops it or puts another value there.
NOT_KEPT = "not-kept"

_WARNINGS = {
    "protected": "Protected, and left as it is: {objects}. Consent to {kinds} to have it deleted or replaced.",
    "refused": "Left as it is because the server refuses the version's content: {objects}.",
    "in-use": "Not deleted or replaced because of who uses it: {objects}. The plan says what to do about each.",
    "not-served": "Not restored because the cluster does not serve the kind: {objects}.",
    "other-scope": "Not restored because objects of the kind have another scope now: {objects}.",
    "unread": "Not restored because the live objects of the kind could not be read: {objects}.",
    "incomplete": "Not deleted because not everything could be read: {objects}.",
    SHARED: "Perhaps used by others, so left as it is though it differs: {objects}.{ask}",
    REACHES: "Not made beside the original, in which they would have a say too: {objects}. "
    "Who wants them for the copy gives them names and selectors of their own.",
    NOWHERE: "Not granted to accounts of the copy, as the namespace that it is in is not there: {objects}.",
    NOT_KEPT: "The cluster drops fields that the version has (they are of another release, or switched off there), "
    "or its admission gives them other values: {objects}. Each says which.",
    "volume-gone": "Not restored because its storage is gone: {objects}.",
    Reason.FINISHED.value: "Not run again because it has finished since: {objects}.",
    Reason.EXCLUDED.value: "Left as it is because a label keeps it out: {objects}.",
}


def left_alone(left: Mapping[str, Sequence[ObjectKey]], *, beside: bool = False) -> Iterator[str]:
    """A sentence for each reason to leave objects alone, with the objects it concerns. `beside` the original nothing
    of others is changed, whoever asks."""
    ask = "" if beside else " Ask for `shared` to have it changed."
    for reason, sentence in _WARNINGS.items():
        keys = sorted(left.get(reason, ()))
        if keys:
            kinds = ", ".join(sorted({f"`{key.kind}`" for key in keys}))
            yield sentence.format(objects=named(keys), kinds=kinds, ask=ask)


def unread(gap: Gap) -> str:
    """What to say of a part that could not be read, now or when the version was made."""
    kind = f"the group {gap.group}" if gap.kind == "*" else f"{gap.kind}{f' ({gap.group})' if gap.group else ''}"
    where = f" in {gap.namespace}" if gap.namespace else ""
    return f"Not everything could be read, so not everything is known: {kind}{where}: {gap.message}"


def not_kept(lost: Sequence[Difference], most: int = 5) -> str:
    """What an object cannot have on a cluster that drops these fields, or changes them."""
    return f"The cluster does not keep {named([each.path for each in lost], most)}."


def moved(objects: Sequence[object]) -> str:
    """`1 object moved (Secret shop/db)`: what is not any more as a plan saw it."""
    return f"{len(objects)} {'object' if len(objects) == 1 else 'objects'} moved ({named(objects, 10)})"


def named(things: Sequence[object], most: int = 5) -> str:
    """The first `most` of them by what they are called, and how many more there are."""
    shown = ", ".join(str(each) for each in things[:most])
    return f"{shown} and {len(things) - most} more" if len(things) > most else shown
