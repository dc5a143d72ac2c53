"""What is done about a message of the work queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.message import WorkMessage

if TYPE_CHECKING:
    from chalicelib.engine.engine import Engine
    from chalicelib.engine.work import Budget


def answer(message: WorkMessage, engine: Engine, budget: Budget) -> None:
    """Do what it is about: with an operation, one that takes no lane."""
    if message.operation is None:
        engine.work(message.application, budget)
    else:
        engine.run(message.application, message.operation, budget)
