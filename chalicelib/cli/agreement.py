"""Asking before something is done that takes something away."""

from __future__ import annotations

from chalicelib.cli.failure import Failure
from chalicelib.cli.session import Session


def agree(session: Session, question: str, *, yes: bool) -> None:
    """Return if the user agrees (`--yes`, or an answer on a terminal), else raise `Failure`."""
    if yes:
        return
    if not session.screen.interactive:
        raise Failure.refused(
            "This needs to be agreed to, and there is no terminal to ask on.",
            "Add --yes to agree beforehand.",
            code="not-agreed",
        )
    if not session.screen.agreed(question):
        raise Failure.refused("Nothing was done.", code="not-agreed")
