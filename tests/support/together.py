"""The same scenario with many moments, several at a time: most of each is waiting for a lease to run out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.harness.access import Access
from tests.support.moments import Moment
from tests.support.site import Site, open_site

_AT_A_TIME = 8


def together(
    cluster: Access, folder: Path, moments: Sequence[Moment], scenario: Callable[[Site, Moment], None]
) -> None:
    """Run `scenario` for each moment, each on a site of its own; fails with all that failed, by their moments."""

    def run(number: int, moment: Moment) -> str:
        own = folder / f"{number:02d}"
        own.mkdir()
        try:
            with open_site(cluster, own) as site:
                scenario(site, moment)
        except Exception:  # noqa: BLE001  # gathered, and told together
            return f"── {moment}\n{traceback.format_exc()}"
        return ""

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        failures = list(filter(None, pool.map(run, range(len(moments)), moments)))
    if failures:
        raise AssertionError(f"{len(failures)} of {len(moments)} failed\n" + "\n".join(failures))
