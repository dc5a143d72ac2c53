"""Looking at a cluster within the time that a request may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from chalicelib.domain.errors import ClusterUnreachable

Seen = TypeVar("Seen")

#: No request waits on a cluster for longer than this, seconds.
MOST_SECONDS = 5.0


class _Look(Generic[Seen]):
    """One look in a thread of its own."""

    def __init__(self, look: Callable[[], Seen]) -> None:
        self._look = look
        self.seen: Seen | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self.seen = self._look()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            self.error = error
        finally:
            self.done.set()


def within(look: Callable[[], Seen], what: str, seconds: float = MOST_SECONDS) -> Seen:
    """What `look` returns; `ClusterUnreachable` if that takes longer than `seconds`.

    The client has limits of its own, but connecting, discovery and several lists may add up. A look that is given
    up goes on in its thread until those limits end it; it only reads.
    """
    one: _Look[Seen] = _Look(look)
    threading.Thread(target=one.run, name="mainstay-look", daemon=True).start()
    if not one.done.wait(seconds):
        raise ClusterUnreachable(f"{what} did not answer within {seconds:.0f} s.")
    if one.error is not None:
        raise one.error
    return one.seen  # type: ignore[return-value]  # set, as there was no error
