"""Whether an object that changed since the plan is as an update of this operation left it.

A worker can end between the answer to a PUT and the ledger, or get no answer, and admission can have made something
else of the update than was sent. What is there then is neither as planned nor as wanted, which is how a stranger's
change looks. It is taken for ours only if all of this holds:

1.  The update may have been sent: there is an intent without an outcome, or an answer was lost. (For the caller to
    say. Without it nothing of ours can have arrived, and nobody needs to be asked.)
2.  It is the incarnation that was planned, and something that the plan set out to change there is as wanted. So some
    write brought it where the plan was going. A webhook that lets no change through any more would answer 3 with yes
    whatever a stranger had done.
3.  The same update, asked for by dry run, would change nothing. What a stranger wrote on top of ours, or instead of
    it, the update would put right, and so it would change something; what it would leave is what the server itself
    puts there, or keeps there, when we write.

Nothing is written in either case, so nothing of a stranger's is overwritten. What is counted as done is what doing it
would come to: the planner leaves such an object as it is, by the same question, and so does the reading back.
In doubt it is a stranger's: where the server does not say, where owners differ (a dry run cannot tell of those that
the same plan makes), and where admission changes the very fields that the plan changes, and no others differed.
"""

from __future__ import annotations

from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable
from chalicelib.domain.objects import Body, Resource
from chalicelib.domain.plan import Action
from chalicelib.engine.write.owners import Owners
from chalicelib.engine.write.sending import Sending
from chalicelib.planning.bodies import creation, ownership
from chalicelib.planning.bodies.compare import Comparison
from chalicelib.planning.bodies.normalise import content_of, normalise


def is_as_updated(
    sending: Sending, owners: Owners, action: Action, resource: Resource, live: Body, comparison: Comparison
) -> bool:
    """Whether 2 and 3 hold. Raises the refusal if it was written to meanwhile: then it is to be read again."""
    if live["metadata"]["uid"] != action.live_uid or not _has_arrived(action, comparison):
        return False
    if comparison.live["metadata"].get("ownerReferences") != comparison.target["metadata"].get("ownerReferences"):
        return False
    body, _said = owners.resolve(creation.for_update(comparison.target, live, resource))
    manager = ownership.best_manager(comparison.target, live)
    session = sending.session
    limit = session.client.write_seconds
    try:
        made = session.objects.replace(body, manager, resource=resource, dry_run=True, timeout=limit)
    except ClusterRefused as refusal:
        if refusal.reason == "Conflict":
            raise
        return False
    except ClusterUnreachable:
        return False
    return content_of(normalise(made, resource)) == content_of(comparison.live)


def _has_arrived(action: Action, comparison: Comparison) -> bool:
    """Whether a field that the plan set out to change differs no longer."""
    still = [difference.path for difference in comparison.differences]
    if "" in still:
        return False  # there are more than are told
    return any(
        planned.path and not any(_is_within(planned.path, path) or _is_within(path, planned.path) for path in still)
        for planned in action.differences
    )


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/")
