"""What is measured: samples in pairs, goals, and the rows that come of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(slots=True)
class Pairs:
    """Seconds of the limit and of Mainstay, measured one right after the other. The machine's noise hits both."""

    limits: list[float] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)

    def add(self, limit: float, measured: float) -> None:
        """One more pair."""
        self.limits.append(limit)
        self.measured.append(measured)

    @property
    def limit(self) -> float:
        """The median limit, seconds."""
        return median(self.limits)

    @property
    def own(self) -> float:
        """The median of what Mainstay took, seconds."""
        return median(self.measured)

    @property
    def times(self) -> float:
        """How many times the limit Mainstay took: the median of the pairs' own ratios."""
        return median(own / limit for limit, own in zip(self.limits, self.measured, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest of the pairs' ratios."""
        ratios = [own / limit for limit, own in zip(self.limits, self.measured, strict=True)]
        return min(ratios), max(ratios)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: `most` it may be or `least` it should be, with its unit (`times`, `MB`, …)."""

    direction: Literal["most", "least"]
    value: float
    unit: str = ""

    def reached(self, figure: float) -> bool:
        """Whether a figure keeps it, to the precision it is shown with."""
        figure = float(self.show(figure))
        return figure <= self.value if self.direction == "most" else figure >= self.value

    def show(self, figure: float) -> str:
        """A figure as this goal's column shows it."""
        return f"{figure:.0f}" if self.value >= 20 else f"{figure:.2f}"

    def __str__(self) -> str:
        sign = "≤" if self.direction == "most" else "≥"
        return f"{sign} {self.value:g} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `number` is that of the table of goals; `figure` is what the goal speaks of."""

    number: str
    work: str
    limit: str
    measured: str
    figure: float
    goal: Goal
    #: Least and greatest figure of the repetitions, if it was measured more than once.
    spread: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.goal.reached(self.figure)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "reached": self.reached}


def seconds(value: float) -> str:
    """A duration as the table shows it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def rate(count: int, value: float) -> str:
    """Objects a second."""
    return f"{count / value:,.0f}/s"
