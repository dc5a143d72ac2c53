"""Kubernetes' quantities (`10Gi`, `500M`, `1e9`), as far as sizes of volumes need comparing."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([numkMGTPE]i?|Ki|[eE][+-]?\d+)?")
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)}
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIXES = {**_BINARY, **_DECIMAL, **_SMALL}


def amount(quantity: str) -> Decimal | None:
    """The number that a quantity stands for; `None` if it is none."""
    match = _QUANTITY.fullmatch(quantity.strip())
    if match is None:
        return None
    number, suffix = Decimal(match.group(1)), match.group(2)
    if not suffix:
        return number
    if suffix[0] in "eE" and len(suffix) > 1 and suffix[1] != "i":
        return number.scaleb(int(suffix[1:]))
    factor = _SUFFIXES.get(suffix)
    return None if factor is None else number * factor


def larger(one: str, other: str) -> bool:
    """Whether `one` is more than `other`; `False` if either cannot be read."""
    first, second = amount(str(one)), amount(str(other))
    return first is not None and second is not None and first > second
