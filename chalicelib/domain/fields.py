"""The values of a document's fields: how each is written as text, what it is once read, and what is refused.

Each `parse_…` takes text and raises `Invalid` with a sentence for the user. The annotated types at the end are
what the models of the document are made of; they take text, or the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from annotated_types import Len
from cronsim import CronSim, CronSimError
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from chalicelib.domain.errors import Invalid
from chalicelib.domain.labels import LabelSelector
from chalicelib.domain.patterns import CORE, KindPattern

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = r"(?:\d{1,9}w)?(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?"
_LONGEST = timedelta(days=3660)

_SIZE = r"(\d{1,15}(?:\.\d{1,9})?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)"
_FACTORS: dict[str, int] = {
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", start=1)},
    **{letter: 1000**power for power, letter in enumerate("kMGTP", start=1)},
}

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Names of objects are looser than DNS names: RBAC allows colons and capitals.
_OBJECT_NAME = r"[^\s/%\x00-\x1f\x7f]{1,253}"
_CLUSTER = r"[A-Za-z0-9](?:[A-Za-z0-9._:/@-]{0,251}[A-Za-z0-9])?"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-fA-F:.]+")
_WINDOW = r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)"


def quoted(text: str) -> str:
    """A user's own text inside a sentence: short, and on one line."""
    shown = " ".join(text.split())
    return f"`{shown[:60]}…`" if len(shown) > 60 else f"`{shown}`"


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `1h30m`, `1d`, `2w`: units from large to small, more than nothing, at most ten years."""
    if not text or re.fullmatch(_DURATION, text, re.ASCII) is None:
        raise Invalid(f"{quoted(text)} is not a duration: write one such as `30s`, `5m`, `1h30m`, `1d` or `2w`.")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([wdhms])", text))
    if seconds == 0:
        raise Invalid("A duration must be longer than nothing.")
    if seconds > _LONGEST.total_seconds():
        raise Invalid(f"{quoted(text)} is too long: ten years is the most.")
    return timedelta(seconds=seconds)


def show_duration(value: timedelta) -> str:
    """The text that `parse_duration` reads as `value` (whole seconds)."""
    rest = int(value.total_seconds())
    parts: list[str] = []
    for unit, seconds in _UNITS.items():
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Bytes: `20Gi`, `500Mi`, `1.5Ti` (powers of 1024), or `20G` (powers of 1000). A unit is needed."""
    match = re.fullmatch(_SIZE, text, re.ASCII)
    if match is None:
        raise Invalid(f"{quoted(text)} is not a size: write one such as `500Mi`, `20Gi` or `1.5Ti`.")
    size = round(float(match.group(1)) * _FACTORS[match.group(2)])
    if size == 0:
        raise Invalid("A size must be more than nothing.")
    return size


def show_size(value: int) -> str:
    """The shortest text that `parse_size` reads as `value` exactly (a multiple of some unit), else in Ki."""
    for unit in ("Pi", "Ti", "Gi", "Mi"):
        if value % _FACTORS[unit] == 0:
            return f"{value // _FACTORS[unit]}{unit}"
    return f"{value / 1024:.9f}".rstrip("0").rstrip(".") + "Ki"


def parse_cron(text: str) -> str:
    """A cron expression of five fields (minute, hour, day of month, month, day of week), as it was written."""
    if len(text.split()) != 5:
        raise Invalid(
            f"{quoted(text)} is not a cron expression: it needs five fields "
            "(minute, hour, day of month, month, day of week), such as `0 3 * * *`."
        )
    try:
        CronSim(text, datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as error:
        # CronSim says "Bad hour".
        field = str(error).removeprefix("Bad ")
        raise Invalid(
            f"{quoted(text)} is not a cron expression: its field for the {field} cannot be used."
        ) from error
    return " ".join(text.split())


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def parse_timezone(text: str) -> ZoneInfo:
    """A time zone by its IANA name, such as `Europe/Berlin` or `UTC`."""
    known = _zones()
    if text not in known.values():
        right = known.get(text.lower())
        hint = f"did you mean `{right}`?" if right else "write its IANA name, such as `Europe/Berlin` or `UTC`."
        raise Invalid(f"{quoted(text)} is not a known time zone: {hint}")
    return ZoneInfo(text)


@dataclass(frozen=True, slots=True)
class Window:
    """A daily stretch of local time. One that ends before it starts goes over midnight."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        """Whether a local time lies in it (its start does, its end does not)."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def parse_window(text: str) -> Window:
    """`22:00-06:00`."""
    match = re.fullmatch(_WINDOW, text, re.ASCII)
    if match is None:
        raise Invalid(f"{quoted(text)} is not a window: write two times of day such as `22:00-06:00`.")
    hours = [int(part) for part in match.groups()]
    window = Window(time(hours[0], hours[1]), time(hours[2], hours[3]))
    if window.start == window.end:
        raise Invalid(f"{quoted(text)} starts when it ends; leave the window out if any time will do.")
    return window


def parse_label_name(text: str) -> str:
    """A DNS label: the form of namespaces and of the names Mainstay gives."""
    if re.fullmatch(_LABEL, text) is None:
        if re.search(r"[*?\[]", text):
            raise Invalid(f"{quoted(text)} has a wildcard, but namespaces are exact names in this release.")
        raise Invalid(
            f"{quoted(text)} cannot be a name here: at most 63 lower-case letters, digits and `-`, "
            "with a letter or digit at both ends."
        )
    return text


def parse_object_name(text: str) -> str:
    """The name of one object of any kind, or a pattern with wildcards for such names."""
    if re.fullmatch(_OBJECT_NAME, text) is None:
        raise Invalid(
            f"{quoted(text)} cannot be the name of an object: at most 253 characters, without spaces, `/` and `%`."
        )
    return text


def parse_exact_name(text: str) -> str:
    """The name of one object; no wildcards."""
    if re.search(r"[*?\[]", text):
        raise Invalid(f"{quoted(text)} has a wildcard, but one exact name is needed here.")
    return parse_object_name(text)


def parse_cluster(text: str) -> str:
    """The name under which a cluster is registered."""
    if re.fullmatch(_CLUSTER, text) is None:
        raise Invalid(f"{quoted(text)} cannot be the name of a cluster.")
    return text


def parse_group(text: str) -> str:
    """An API group such as `apps`; the core group is written `core` and read as `""`."""
    return KindPattern.parse(f"*.{text}").group or ""


def show_group(value: str) -> str:
    """The text that `parse_group` reads as `value`."""
    return value or CORE


def parse_webhook(text: str) -> str:
    """An `http` or `https` address. It may hold a secret token, so no sentence repeats it."""
    wrong = Invalid("This is not a web address: write one such as `https://hooks.example.com/mainstay`.")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not host or _HOST.fullmatch(host) is None:
        raise wrong
    if re.search(r"[\s\x00-\x1f\x7f]", text) or len(text) > 2048:
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise Invalid("A web address with a user or password in it is refused: use a token in its path.")
    return text


def parse_pointer(text: str) -> str:
    """A JSON Pointer (RFC 6901)."""
    if text and (not text.startswith("/") or re.search(r"~(?![01])", text)):
        raise Invalid(
            f"{quoted(text)} is not a JSON Pointer: write one such as `/spec/replicas` "
            "(`~1` for a slash and `~0` for a tilde inside a name)."
        )
    return text


def parse_argument(text: str) -> str:
    """One word of a command: any text without a NUL character, which no process can be given."""
    if "\x00" in text or len(text) > 32_768:
        raise Invalid("An argument of a command is at most 32768 characters, without any NUL character.")
    return text


@dataclass(frozen=True, slots=True)
class Written:
    """Tells pydantic how a value is written: as text that `parse` reads and `show` writes."""

    parse: Callable[[str], Any]
    kind: type
    what: str
    show: Callable[[Any], str] = str
    pattern: str | None = None
    #: A unit that a bare number lacks.
    unit: str | None = None

    def validate(self, value: object) -> Any:
        """The value itself, or what its text says."""
        # Already read: a document built in Python. Plain strings and numbers always go through `parse`.
        if self.kind not in {str, int} and isinstance(value, self.kind):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("written", "{what}", {"what": self.what, "unit": self.unit})
        try:
            return self.parse(value)
        except Invalid as invalid:
            raise PydanticCustomError("sentence", "{sentence}", {"sentence": invalid.message}) from invalid

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.plain_serializer_function_ser_schema(self.show)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        text: dict[str, Any] = {"type": "string"}
        if self.pattern:
            text["pattern"] = f"^(?:{self.pattern})$"
        return text


Duration = Annotated[
    timedelta,
    Written(
        parse_duration,
        timedelta,
        "a duration such as `30s`, `5m` or `1h`",
        show_duration,
        pattern=rf"(?=\d){_DURATION}",
        unit="s",
    ),
]
Size = Annotated[int, Written(parse_size, int, "a size such as `20Gi`", show_size, pattern=_SIZE, unit="Gi")]
Cron = Annotated[str, Written(parse_cron, str, "a cron expression such as `0 3 * * *`")]
TimeZone = Annotated[ZoneInfo, Written(parse_timezone, ZoneInfo, "a time zone such as `Europe/Berlin`")]
DailyWindow = Annotated[
    Window, Written(parse_window, Window, "two times of day such as `22:00-06:00`", pattern=_WINDOW)
]
Selector = Annotated[
    LabelSelector,
    Written(LabelSelector.parse, LabelSelector, 'a label selector in text such as "app=web,tier!=cache"'),
]
Kinds = Annotated[KindPattern, Written(KindPattern.parse, KindPattern, "a kind such as `Deployment`")]
LabelName = Annotated[str, Written(parse_label_name, str, "a name", pattern=_LABEL)]
NamePattern = Annotated[str, Written(parse_object_name, str, "a name, or a pattern such as `tmp-*`")]
ObjectName = Annotated[str, Written(parse_exact_name, str, "the name of an object")]
ClusterName = Annotated[str, Written(parse_cluster, str, "the name of a registered cluster", pattern=_CLUSTER)]
Group = Annotated[str, Written(parse_group, str, "an API group such as `apps`", show_group)]
Webhook = Annotated[str, Written(parse_webhook, str, "a web address in text")]
Pointer = Annotated[str, Written(parse_pointer, str, "a JSON Pointer such as `/spec/replicas`")]
Argument = Annotated[str, Written(parse_argument, str, "an argument of a command in text")]
#: A command and its arguments, run without a shell.
Command = Annotated[tuple[Argument, ...], Len(1, 256)]
