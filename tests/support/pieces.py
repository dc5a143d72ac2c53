"""A worker's time, counted in pieces of work: however busy the machine is, a turn ends where the test wants it."""

from __future__ import annotations

from chalicelib.engine.lane.budget import Budget


class Pieces(Budget):
    """Is over when it was asked so many times."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self._pieces = pieces

    def turn(self, seconds: float | None) -> Budget:  # noqa: ARG002
        """This one: pieces are not seconds."""
        return self

    @property
    def over(self) -> bool:
        """Whether the pieces are done. Asking is doing one."""
        self._pieces -= 1
        return self.stopped or self._pieces < 0

    @property
    def late(self) -> bool:
        """Whether the pieces are done; asking for this is no work."""
        return self.stopped or self._pieces <= 0
