"""What is chosen at the start: how long leases are, and requests that fit into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib import bootstrap
from chalicelib.domain.errors import Invalid
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.settings import Settings
from chalicelib.store.address import LEAST_MARGIN_ON_S3
from chalicelib.store.backends.s3 import S3Limits

BUCKET = "s3://backups/mainstay"


def settings(repository: str, lease: float, **more: str) -> Settings:
    names = {"MAINSTAY_REPOSITORY": repository, "MAINSTAY_LEASE_SECONDS": str(lease), **more}
    return Settings.read({"MAINSTAY_PASSPHRASE": "a passphrase of tests", "MAINSTAY_ADMIN_TOKEN": "t" * 30, **names})


@pytest.mark.parametrize("margin", [LEAST_MARGIN_ON_S3, 5.0, 9.0, 10.0, 60.0])
def test_an_attempt_is_over_before_the_margin_is(margin: float) -> None:
    limits = S3Limits.within(margin)
    assert 3.0 <= limits.connect + limits.read < margin
    assert limits.total <= S3Limits().total


def test_with_the_usual_margin_limits_are_the_usual_ones() -> None:
    assert S3Limits.within(LeaseTerms().margin) == S3Limits()


@pytest.mark.parametrize("lease", [12, 20, 30, 600])
def test_every_call_of_a_bucket_is_over_before_the_holders_deadline(lease: float) -> None:
    terms = LeaseTerms(lease, min(10.0, lease / 3))
    assert S3Limits.within(terms.margin).total < terms.seconds - terms.margin


@pytest.mark.parametrize("more", [{}, {"MAINSTAY_CONTROL": "file:///srv/control"}])
def test_a_lease_too_short_for_a_bucket_is_refused_before_anything_is_asked(more: dict[str, str]) -> None:
    for begin in (bootstrap.build, bootstrap.make_repository):
        with pytest.raises(Invalid, match="MAINSTAY_LEASE_SECONDS=11 is too short for a repository on S3") as refused:
            begin(settings(BUCKET, 11, **more))
        assert refused.value.problems[0].hint == "12 or more"


def test_a_control_in_a_bucket_counts_too(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="MAINSTAY_LEASE_SECONDS=4 is too short"):
        bootstrap.make_repository(settings(f"file://{tmp_path}/vault", 4, MAINSTAY_CONTROL=BUCKET))


def test_a_directory_is_quick_enough_for_short_leases(tmp_path: Path) -> None:
    chosen = settings(f"file://{tmp_path}/repository", 4)
    assert bootstrap.make_repository(chosen) is not None
    assert bootstrap.make_repository(chosen) is None
    services = bootstrap.build(chosen)
    assert services.operations.now().tzinfo is not None
