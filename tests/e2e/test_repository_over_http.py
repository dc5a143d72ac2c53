"""A repository that only the service can open, damaged at rest: found, told and repaired over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.exits import Exit
from chalicelib.cli.main import run
from chalicelib.cli.session import Session
from chalicelib.domain.operation import OperationKind
from chalicelib.store import layout
from chalicelib.store.backends.files import path_of
from chalicelib.store.backends.s3 import S3Access
from tests.e2e.running import Service
from tests.harness.s3 import VersityServer
from tests.support.soaking import Soak
from tests.support.worker import PASSPHRASE, Storage


@dataclass
class Scene:
    """An application's versions, the service that has their repository, and where it lies."""

    soak: Soak
    service: Service
    files: Path

    def back_up(self, seed: int) -> str:
        """A new version's id. It is made here: the service has no cluster."""
        started = self.soak.start(OperationKind.BACKUP, seed=seed)
        assert started is not None
        self.soak.engine.work(self.soak.application)
        return str(self.soak.repository.operations.get(self.soak.application, started.id).outcome["version"])

    def damage(self, version: str) -> str:
        """Flip a bit of one segment, on the disk behind it all; its key."""
        manifest = self.soak.repository.versions(self.soak.application).get(version)
        key = layout.segment(self.soak.application, manifest.segments[0].name)
        path = path_of(self.files, key)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        return key


@pytest.fixture(params=["directory", "versitygw"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    # Turns so short that the work takes many.
    settings = {"MAINSTAY_PASSPHRASE_FILE": str(tmp_path / "passphrase"), "MAINSTAY_TURN_SECONDS": "0.1"}
    if request.param == "directory":
        files = tmp_path / "repository"
        files.mkdir()
        settings["MAINSTAY_REPOSITORY"] = f"file://{files}"
        yield from _served(Storage(directory=str(files)), tmp_path, settings, files)
        return
    with VersityServer(tmp_path / "server") as server:
        access = S3Access(server.endpoint, server.region, server.access_key, server.secret_key)
        bucket = server.make_bucket()
        settings |= {
            "MAINSTAY_REPOSITORY": f"s3://{bucket}/shop",
            "MAINSTAY_LEASE_SECONDS": "12",
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": server.region,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }
        files = server.directory / "data" / bucket / "shop"
        yield from _served(Storage(bucket=bucket, access=access), tmp_path, settings, files)


def _served(storage: Storage, folder: Path, settings: dict[str, str], files: Path) -> Iterator[Scene]:
    soak = Soak(storage, folder, 1, workers=0)
    service = Service(folder / "data", settings=settings).start()
    try:
        yield Scene(soak, service, files)
    finally:
        service.stop()
        soak.close()


@pytest.fixture
def mainstay(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """`mainstay repository …` as somebody calls it who knows the service's URL and nothing else."""
    monkeypatch.setenv("MAINSTAY_URL", scene.service.url)
    monkeypatch.setenv("MAINSTAY_TOKEN", scene.service.token)

    def call(*arguments: str) -> tuple[int, Any]:
        out, err = io.StringIO(), io.StringIO()
        code = run(["repository", *arguments, "-o", "json"], Session(out=out, err=err))
        return code, json.loads(out.getvalue() or err.getvalue())

    return call


def test_damage_is_found_told_and_repaired_through_the_service_alone(
    scene: Scene, mainstay: Callable[..., tuple[int, Any]]
) -> None:
    first, other = scene.back_up(1), scene.back_up(2)
    whole, answer = mainstay("verify")
    assert (whole, answer["damaged"]) == (Exit.OK, 0)
    key = scene.damage(first)

    code, answer = mainstay("verify", "--app", "shop")
    assert code == Exit.FAILED
    (found,) = answer["applications"]
    assert [damage["key"] for damage in found["damages"]] == [key]
    assert first in found["affectedVersions"]
    assert found["damages"][0]["objects"]
    operation = scene.service.done("GET", f"/operation/{found['operation']}")
    assert (operation["state"], operation["error"]["code"]) == ("failed", "damaged")

    code, answer = mainstay("verify", "--repair")
    assert (code, answer["condemned"]) == (Exit.FAILED, 1)
    again = scene.back_up(1)
    code, answer = mainstay("verify", "--repair")
    assert (code, answer["mended"]) == (Exit.OK, 1)
    for version in (first, other, again):
        scene.soak.check(version)

    code, sizes = mainstay("stats", "--app", "shop")
    assert code == Exit.OK
    assert {each["id"] for each in sizes["applications"][0]["versions"]} == {first, other, again}
    assert sizes["applications"][0]["unneededSegments"] == 0
    scene.soak.repository.end_version(scene.soak.application, other, "a test", "to be swept")
    code, swept = mainstay("sweep", "--now")
    assert code == Exit.OK
    assert swept["items"][0]["outcome"]["segments"] > 0
    assert mainstay("verify")[0] == Exit.OK
