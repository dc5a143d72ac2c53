"""Objects that a version holds and that the lists of its selection do not bring: they left it since, because a label
of theirs was changed, or they were never in it and were pulled in.

They are there nevertheless: taken for missing, they would be made a second time, which the server refuses. So they
are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import Gap
from chalicelib.engine.capture.live import read_objects
from chalicelib.engine.capture.reading import Reading, Visitor, row_of
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.planning.selecting.capture_rules import Reason


def add_strayed(
    session: ClusterSession,
    reading: Reading,
    held: Iterable[ObjectKey],
    visitor: Visitor,
    pause: Callable[[], None],
) -> None:
    """Add to a reading the rows of those `held` objects that it did not bring. What lies in a gap stays unread."""
    seen, uids = set[int](), set[str]()
    for row in reading.rows:
        seen.add(hash(row.key))
        uids.add(row.uid)
    absent = [key for key in held if hash(key) not in seen and not any(gap.covers(key) for gap in reading.gaps)]
    found = []
    for key, resource, body in read_objects(session, absent, pause):
        made = row_of(body, Listing(resource, key.namespace), key, visitor)
        if made is not None:
            made_again = made.owner is not None and made.owner in uids
            found.append(made._replace(standing=Reason.DERIVED.value) if made_again else made)
    for strayed in sorted(found, key=lambda each: each.key):
        reading.rows.append(strayed)


def add_pulled(
    session: ClusterSession,
    reading: Reading,
    pulled: Iterable[ObjectKey],
    visitor: Visitor,
    pause: Callable[[], None],
) -> list[Gap]:
    """Add the rows of what was pulled in, kind by kind, and tell which kinds may not be read, and in which namespace:
    who may not read those of others may read the own."""
    gaps = []
    places: dict[tuple[str, str, str], list[ObjectKey]] = {}
    for key in pulled:
        places.setdefault(key[:3], []).append(key)
    for (group, kind, namespace), keys in sorted(places.items()):
        try:
            add_strayed(session, reading, keys, visitor, pause)
        except ClusterRefused as error:
            status, message = error.http_status, error.public().message
            gaps.append(Gap(group=group, kind=kind, namespace=namespace, status=status, message=message))
    return gaps
