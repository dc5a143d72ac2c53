"""`spec.backup`: when versions are made by themselves, and how long they stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le, MaxLen
from pydantic import Field, StrictBool, StrictInt, model_validator

from chalicelib.domain.document.part import Part, refusal
from chalicelib.domain.fields import (
    Cron,
    DailyWindow,
    Duration,
    Size,
    TimeZone,
    Webhook,
)

Count = Annotated[StrictInt, Ge(0), Le(100_000)]


class Schedule(Part):
    """When something happens: `every` so often, or by `cron`."""

    every: Duration | None = Field(None, description="How often, at least a minute.")
    cron: Cron | None = Field(None, description="Five fields: minute, hour, day of month, month, day of week.")
    timezone: TimeZone | None = Field(None, description="Time zone of `cron` and `window`; UTC if not said.")
    jitter: Duration | None = Field(None, description="Move every start by the application's own part of this time.")
    window: DailyWindow | None = Field(None, description="Start only between these times of day.")

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.every is not None and self.cron is not None:
            raise refusal("`every` and `cron` exclude each other: keep one of them.", "cron")
        if self.every is not None and self.every < timedelta(minutes=1):
            raise refusal("Once a minute is the most often.", "every")
        if self.every is None and self.cron is None:
            for name in ("timezone", "jitter", "window"):
                if getattr(self, name) is not None:
                    raise refusal(f"`{name}` has no effect without `every` or `cron`.", name)
        if self.timezone is not None and self.cron is None and self.window is None:
            raise refusal("`timezone` has no effect without `cron` or `window`.", "timezone")
        if self.jitter is not None and self.jitter >= (self.every or timedelta(days=1)):
            raise refusal("`jitter` must be shorter than the time between two runs (a day, for cron).", "jitter")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of `cron` and `window`."""
        return self.timezone or ZoneInfo("UTC")


class Keep(Part):
    """Which versions stay. A version stays if any of these rules keeps it."""

    last: Count = Field(0, description="The newest so many.")
    hourly: Count = Field(0, description="The newest of each of the last so many hours that have one.")
    daily: Count = Field(0, description="The newest of each of the last so many days that have one.")
    weekly: Count = Field(0, description="The newest of each of the last so many weeks that have one.")
    monthly: Count = Field(0, description="The newest of each of the last so many months that have one.")
    yearly: Count = Field(0, description="The newest of each of the last so many years that have one.")
    last_good: StrictBool = Field(True, description="The newest complete one, whatever the other rules say.")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not any((self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)):
            raise refusal("These rules keep nothing: give at least one of them a number above 0.")
        return self


class Alert(Part):
    """When to raise an alarm."""

    no_good_version_for: Duration = Field(description="Alarm if the newest complete version is older than this.")


class Notice(Part):
    """Whom to tell what became of backups and drills."""

    webhook: Webhook = Field(description="An http or https address that gets a POST with JSON.")


class Backup(Schedule):
    """When versions are made by themselves, and how long they stay."""

    keep: Keep | None = Field(None, description="Which versions stay.")
    quota: Size | None = Field(None, description="The most room that all versions may take.")
    alert: Alert | None = Field(None, description="When to raise an alarm.")
    notify: Annotated[tuple[Notice, ...], MaxLen(20)] = Field((), description="Whom to tell.")
