"""Which versions stay, and why: `(versions, rules) → verdicts`. Pure; deleting is somebody else's.

A version stays if any rule keeps it, or something else needs it. The newest complete version always stays. Versions
that restores made for themselves are not looked at here: neither counted nor deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from chalicelib.domain.document import Document
from chalicelib.domain.document.backup import Keep
from chalicelib.domain.policy import BackupPolicy


@dataclass(frozen=True, slots=True)
class Candidate:
    """One version as the rules see it. `captured_at` has a time zone."""

    version: str
    captured_at: datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a version stays, in words that go on from "It stays because"; no reason: it goes."""

    version: str
    reasons: tuple[str, ...]

    @property
    def stays(self) -> bool:
        """Whether anything keeps it."""
        return bool(self.reasons)


def keep_of(document: Document, policy: BackupPolicy) -> Keep | None:
    """The rules an application's versions are kept by: its document's, else the default; `None`: all stay."""
    backup = document.spec.backup
    return backup.keep if backup is not None and backup.keep is not None else policy.keep


def verdicts(
    versions: Iterable[Candidate],
    keep: Keep,
    *,
    zone: tzinfo = UTC,
    needed: Mapping[str, Sequence[str]] | None = None,
) -> list[Verdict]:
    """A verdict on each version, newest first. Days, weeks, months and years are those of `zone`; `needed` has
    reasons of other kinds by version, such as that it is held."""
    ordered = sorted(versions, key=lambda each: (each.captured_at, each.version), reverse=True)
    reasons: dict[str, list[str]] = {each.version: [] for each in ordered}
    for number, each in enumerate(ordered[: keep.last], start=1):
        reasons[each.version].append(f"it is one of the last {keep.last} (number {number})")
    for name, most, period in _periods(keep, zone):
        seen: set[str] = set()
        for each in ordered:
            this = period(each.captured_at)
            if this in seen:
                continue
            if len(seen) == most:
                break
            seen.add(this)
            reasons[each.version].append(f"it is the newest of {name} {this} ({len(seen)} of {most} kept)")
    good = next((each for each in ordered if each.complete), None)
    if good is not None:
        reasons[good.version].append("it is the last good version")
    for version, others in (needed or {}).items():
        if version in reasons:
            reasons[version] += others
    return [Verdict(each.version, tuple(reasons[each.version])) for each in ordered]


def _periods(keep: Keep, zone: tzinfo) -> list[tuple[str, int, Callable[[datetime], str]]]:
    """Name, how many are kept, and what tells one from another. Hours are UTC's: no zone has one of them twice."""

    def local(form: str) -> Callable[[datetime], str]:
        return lambda at: at.astimezone(zone).strftime(form)

    return [
        ("the hour", keep.hourly, lambda at: at.astimezone(UTC).strftime("%Y-%m-%d %H:00 UTC")),
        ("the day", keep.daily, local("%Y-%m-%d")),
        ("the week", keep.weekly, local("%G-W%V")),
        ("the month", keep.monthly, local("%Y-%m")),
        ("the year", keep.yearly, local("%Y")),
    ]
