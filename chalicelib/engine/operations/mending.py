"""What can be done about what is damaged.

Content that was stored again since lies under another name too: its bytes are written over the damaged ones, and
every version that needs them is whole again. What nobody has any more is condemned: no backup counts on it from now
on, and the next one that meets this content stores it again; then it can be mended. What refers to it keeps it until
then: a part of a version may still be read, and the storage may get its bytes back.
"""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.errors import Damaged, StorageRefused, WrongKey
from chalicelib.engine.operations.findings import CONDEMNED, MENDED, Damage
from chalicelib.engine.operations.verifying import Verified, Verifier
from chalicelib.store import condemned, layout
from chalicelib.store.repository import Repository


def repair(
    repository: Repository, verifier: Verifier, verified: Verified, pause: Callable[[], None] = lambda: None
) -> None:
    """Mend what can be, and condemn the other segments that are damaged. Each damage then says which."""
    application, folder = verified.application, layout.segments(verified.application)
    try:
        reader = repository.segment_reader(application)
    except (Damaged, WrongKey):
        return
    _replace_lists(repository, verifier, verified)
    left: list[Damage] = []
    for damage in verified.damages:
        if not damage.key.startswith(folder) or damage.repair == MENDED:
            continue
        pause()
        name = _name(damage)
        try:
            mended = damage.unreadable and reader.mend(name, verifier.findings.content_of(name))
        except StorageRefused:  # a retention, a missing right: then at least no later version counts on it
            mended = False
        if mended:
            verifier.findings.is_repaired(damage, MENDED)
        else:
            left.append(damage)
    if left:
        known = frozenset().union(*(each.names for each in condemned.lists(repository.vault, application)))
        condemned.condemn(repository.vault, application, {_name(damage) for damage in left} - known, "damaged")
    for damage in left:
        verifier.findings.is_repaired(damage, CONDEMNED)


def _replace_lists(repository: Repository, verifier: Verifier, verified: Verified) -> None:
    """What stood on a condemned list that cannot be read is among what lies there: so all of that is condemned, and
    the list, which guards nothing more, goes."""
    vault, application = repository.vault, verified.application
    lists = [damage for damage in verified.damages if damage.key.startswith(layout.condemned(application))]
    if not lists:
        return
    names = {listed.key.rpartition("/")[2] for listed in vault.list(layout.segments(application))}
    condemned.condemn(vault, application, names, "in place of a list that cannot be read")
    for damage in lists:
        vault.delete(damage.key)
        verifier.findings.is_repaired(damage, MENDED)


def _name(damage: Damage) -> str:
    return damage.key.rpartition("/")[2]
