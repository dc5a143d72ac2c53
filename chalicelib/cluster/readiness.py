"""A starting API server answers before it knows everything: roles (a false 403), groups (kinds are left out).

Seen on 1.35: for about a second after the port opens, `/apis` gave 20 of 50 groups and RBAC refused what it allows.
Taken at its word, a backup during an upgrade of the control plane would lack kinds without knowing it. `/readyz` is
green only after all of that, so it is asked before a refusal or a discovery is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Seconds a confirmation holds: an API server takes longer to start (1.2 s were seen). A failure ends it at once.
HOLDS_SECONDS = 1.0

#: Seconds to wait for a server that says it is not ready, and for one that does not let this identity ask.
MOST_SECONDS = 30.0
MOST_SECONDS_HIDDEN = 5.0

_PAUSE = 0.2


@dataclass
class Standing:
    """What is known of one API server; shared by all clients of its connections."""

    confirmed_at: float = float("-inf")
    #: `/readyz` stays refused: this identity may not ask, or a proxy does not let it through.
    hidden: bool = False

    def doubt(self) -> None:
        """No answer came, or a 5xx: what was confirmed before holds no longer."""
        self.confirmed_at = float("-inf")

    def confirmed(self, at: float) -> bool:
        """Whether the server was known to be ready at a point in time."""
        return self.hidden or at - HOLDS_SECONDS <= self.confirmed_at


def wait_until_ready(
    standing: Standing,
    probe: Callable[[], int],
    *,
    end: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Ask until the server is ready, or until it is clear that this cannot be told. Never later than `end`.

    `probe` gives the HTTP status of one `/readyz`, 0 for no answer.
    """
    began = clock()
    answers: set[int] = set()
    while True:
        at = clock()
        status = probe()
        answers.add(status)
        if status == 200:
            standing.confirmed_at = at
            standing.hidden = False
            return
        only_refused = answers <= {401, 403, 404}
        if only_refused and standing.hidden:
            return
        limit = MOST_SECONDS_HIDDEN if only_refused else MOST_SECONDS
        if clock() - began + _PAUSE > limit:
            standing.hidden = only_refused
            return
        if clock() + _PAUSE > end:
            return
        sleep(_PAUSE)
