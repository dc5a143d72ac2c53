"""`python -m bench`: measure, and print ratios beside the limits. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Iterator

from bench import capture, handler, imports, memory, restoring, turns
from bench.ground import Ground, Unexpected, ground
from bench.rows import Row
from bench.table import render
from tests.harness.errors import HarnessError

_PARTS = ("capture", "restore", "memory", "handler", "turns", "imports")


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for. Exit code 1: a measurement did not measure what it should; goals do not count."""
    given = _arguments(arguments)
    logging.basicConfig(level=logging.ERROR)
    try:
        rows = sorted(_told(_measure(given)), key=lambda row: (len(row.number.rstrip("abc")), row.number))
    except (Unexpected, HarnessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(json.dumps([row.as_json() for row in rows], indent=1) if given.json else render(rows))
    return 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help=f"of {', '.join(_PARTS)}; all by default")
    parser.add_argument("--captured", type=int, default=12_000, metavar="N", help="objects to back up (12000)")
    parser.add_argument("--restored", type=int, default=11_000, metavar="N", help="objects to restore (11000)")
    parser.add_argument(
        "--objects", type=int, default=100_000, metavar="N", help="objects of the memory row (100000)"
    )
    parser.add_argument("--turned", type=int, default=31_000, metavar="N", help="objects to restore in turns (31000)")
    parser.add_argument("--turn", type=float, default=10, metavar="SECONDS", help="of one turn (10)")
    parser.add_argument("--size", type=int, default=1024, metavar="BYTES", help="data of one Secret (1024)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="times to restore; others more often (3)")
    parser.add_argument("--repository", choices=("file", "s3"), default="file", help="a directory, or versitygw")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


def _measure(given: argparse.Namespace) -> Iterator[Row]:
    parts = given.parts or _PARTS
    if "imports" in parts:
        yield imports.row(given.repeat * 3)
    if set(parts) - {"imports"}:
        with ground(given.repository) as here:
            yield from _on_a_cluster(here, given, parts)


def _on_a_cluster(here: Ground, given: argparse.Namespace, parts: Iterable[str]) -> Iterator[Row]:
    if "capture" in parts:
        yield from capture.rows(here, given.captured, given.size, given.repeat * 2 + 1)
    if "restore" in parts:
        yield from restoring.rows(here, given.restored, given.size, given.repeat)
    if "handler" in parts:
        yield handler.row(here)
    if "turns" in parts:
        yield turns.row(here, given.turned, given.turn)
    if "memory" in parts:
        yield from memory.rows(here, given.objects, given.repeat)


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        print(f"{row.number}  {row.work}: {row.goal.show(row.figure)} (goal {row.goal})", file=sys.stderr, flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
