"""Backups, deletions and sweeps at random, with workers that freeze, wake late and die; then every version is read.

`MAINSTAY_TESTS_SOAK_SECONDS` makes it longer, `MAINSTAY_TESTS_SOAK_SEED` plays one again as far as chance allows.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from chalicelib.store.backends.s3 import S3Access
from tests.harness.proxy import HttpProxy
from tests.harness.s3 import VersityServer
from tests.support.soaking import Soak
from tests.support.worker import Storage

SECONDS = float(os.environ.get("MAINSTAY_TESTS_SOAK_SECONDS", "20"))


def soaked(
    storage: Storage, folder: Path, record: Callable[[str, object], None], also: Callable[[Soak], object]
) -> None:
    seed = int(os.environ.get("MAINSTAY_TESTS_SOAK_SEED") or secrets.randbelow(10**9))
    soak = Soak(storage, folder, seed)
    try:
        soak.run(SECONDS, lambda: also(soak))
        soak.settle()
        soak.check_all()
    finally:
        soak.close()
        record("seed", seed)
        record("done", dict(soak.done))
        print(f"seed {seed}: {dict(soak.done)}")
    assert soak.done["versions"] > 0
    assert soak.done["read"] > 0
    assert soak.done["segments swept"] > 0
    assert soak.done["woken"] > 0


def test_every_version_is_whole_and_nothing_else_is_left_in_a_directory(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    directory = tmp_path / "repository"
    directory.mkdir()
    soaked(Storage(directory=str(directory)), tmp_path, record_property, lambda _: None)


def test_every_version_is_whole_and_nothing_else_is_left_on_s3_whose_answers_get_lost(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    (tmp_path / "server").mkdir()
    with VersityServer(tmp_path / "server") as server, HttpProxy(server.endpoint) as proxy:
        access = S3Access(proxy.endpoint, server.region, server.access_key, server.secret_key)

        def lose_something(soak: Soak) -> None:
            lose = soak.choose.choice((proxy.lose_answer, proxy.lose_request))
            lose("PUT|DELETE", skip=soak.choose.randrange(20))
            soak.done["lost"] += 1

        soaked(Storage(bucket=server.make_bucket(), access=access), tmp_path, record_property, lose_something)
