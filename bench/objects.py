"""The objects that are measured with: Secrets of about 1 KB that compress no better than real ones."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import orjson


def names(count: int) -> Iterator[str]:
    """Their names, in order."""
    return (f"secret-{number:06d}" for number in range(count))


def body(name: str, size: int) -> bytes:
    """One Secret with `size` bytes of data, the same at each call."""
    data = random.Random(name).randbytes(size * 3 // 4)
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app": "bench"}},
            "data": {"key": base64.b64encode(data).decode()},
        }
    )
