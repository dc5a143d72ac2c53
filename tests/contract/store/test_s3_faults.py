"""What an S3 server and the network before it can do, and what comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.domain.errors import (
    LeaseLost,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    StorageUnfit,
)
from chalicelib.store.backend import Changed, Exists
from chalicelib.store.backends.s3 import S3Access, S3Backend, S3Limits
from chalicelib.store.documents import Documents
from tests.contract.store.places import InBucket
from tests.contract.store.racer import Counter
from tests.harness.proxy import HttpProxy

SHORT = S3Limits(connect=0.5, read=0.5, total=2.5)


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as the test says</Message></Error>".encode()


def test_a_write_whose_request_was_lost_is_made_again(bucket: InBucket, proxy: HttpProxy) -> None:
    proxy.lose_request("PUT", "document")
    bucket.backend().create("document", b"1")
    assert bucket.read("document") == b"1"


def test_a_create_whose_answer_was_lost_says_exists_and_the_bytes_tell_whose(
    bucket: InBucket, proxy: HttpProxy
) -> None:
    proxy.lose_answer("PUT", "document")
    with pytest.raises(Exists):
        bucket.backend().create("document", b"mine")
    assert bucket.read("document") == b"mine"


def test_a_replace_whose_answer_was_lost_says_changed_and_the_bytes_tell_whose(
    bucket: InBucket, proxy: HttpProxy
) -> None:
    backend = bucket.backend()
    written = backend.create("document", b"1")
    proxy.lose_answer("PUT", "document")
    with pytest.raises(Changed):
        backend.replace("document", b"mine", written.etag)
    assert bucket.read("document") == b"mine"


def test_a_document_whose_creation_lost_its_answer_is_created(bucket: InBucket, proxy: HttpProxy) -> None:
    proxy.lose_answer("PUT", "counter")
    assert Documents(bucket.backend()).create("counter", Counter(value=7)).value == 7


def test_a_counter_is_exact_although_every_other_answer_is_lost(bucket: InBucket, proxy: HttpProxy) -> None:
    documents = Documents(bucket.backend())
    documents.create("counter", Counter())
    for number in range(6):
        if number % 2:
            proxy.lose_answer("PUT", "counter")
        documents.update("counter", Counter, lambda counter: Counter(value=counter.value + 1))
    found = documents.read("counter", Counter)
    assert found is not None
    assert found.model.value == 6


def test_a_write_whose_answer_was_lost_and_on_which_another_wrote_is_not_made_twice(
    bucket: InBucket, proxy: HttpProxy
) -> None:
    mine = Documents(bucket.backend())
    mine.create("counter", Counter())
    others = Documents(replace(bucket, endpoint=bucket.server.endpoint).backend())

    def add(amount: int) -> Callable[[Counter], Counter]:
        return lambda counter: Counter(value=counter.value + amount)

    proxy.lose_answer("PUT", "counter")
    proxy.intercept("PUT", "counter", skip=1, call=lambda _: others.update("counter", Counter, add(100)))
    assert mine.update("counter", Counter, add(1)).value == 101
    found = others.read("counter", Counter)
    assert found is not None
    assert found.model.value == 101


def test_a_lost_write_is_known_by_its_effect_even_if_its_token_is_long_gone(
    bucket: InBucket, proxy: HttpProxy
) -> None:
    mine = Documents(bucket.backend())
    mine.create("counter", Counter())
    others = Documents(replace(bucket, endpoint=bucket.server.endpoint).backend())

    def many_writes(_: object) -> None:
        for _ in range(20):
            others.update("counter", Counter, lambda counter: Counter(value=counter.value + 1))

    proxy.lose_answer("PUT", "counter")
    proxy.intercept("PUT", "counter", skip=1, call=many_writes)
    changed = mine.update(
        "counter", Counter, lambda counter: Counter(value=counter.value + 1000), applied=lambda c: c.value >= 1000
    )
    assert changed.value == 1020


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (500, "InternalError"),
        (502, "BadGateway"),
        (429, "TooManyRequests"),
        (409, "ConditionalRequestConflict"),
        (400, "RequestTimeout"),
    ],
)
def test_answers_that_mean_later_are_asked_again(bucket: InBucket, proxy: HttpProxy, status: int, code: str) -> None:
    backend = bucket.backend()
    rules = [
        proxy.answer(method, "document", status=status, body=_error(code), times=2)
        for method in ("PUT", "GET", "DELETE")
    ]
    backend.create("document", b"1")
    found = backend.get("document")
    backend.delete("document")
    assert found is not None
    assert [rule.hits for rule in rules] == [2, 2, 2]


def test_listing_and_the_clock_are_asked_again_too(bucket: InBucket, proxy: HttpProxy) -> None:
    backend = bucket.backend()
    backend.create("document", b"1")
    proxy.answer("GET", "list-type", times=1)
    proxy.lose_answer("GET", "list-type", times=1, skip=1)
    proxy.answer("HEAD", "", times=1)
    assert [listed.key for listed in backend.list("")] == ["document"]
    assert backend.now().year > 2000


def test_a_body_that_breaks_off_is_read_again(bucket: InBucket, proxy: HttpProxy) -> None:
    backend = bucket.backend()
    data = os.urandom(100_000)
    backend.create("document", data)
    proxy.cut("GET", "document", after=5_000, times=2)
    found = backend.get("document")
    assert found is not None
    assert found.data == data


def test_a_storage_that_hangs_is_given_up_within_its_patience(bucket: InBucket, proxy: HttpProxy) -> None:
    bucket.limits = SHORT
    backend = bucket.backend()
    proxy.hang("PUT", "", times=None)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="document"):
        backend.create("document", b"1")
    assert time.monotonic() - began < backend.patience + 0.5


def test_a_storage_that_is_slow_but_answers_is_waited_for(bucket: InBucket, proxy: HttpProxy) -> None:
    bucket.limits = S3Limits(connect=1, read=3, total=9)
    proxy.delay("PUT", "", seconds=1.0)
    began = time.monotonic()
    bucket.backend().create("document", b"1")
    assert time.monotonic() - began > 1.0


def test_a_storage_that_stays_busy_is_given_up_with_its_last_words(bucket: InBucket, proxy: HttpProxy) -> None:
    bucket.limits = SHORT
    proxy.answer("PUT", "", status=503, times=None)
    with pytest.raises(StorageUnavailable, match="503 SlowDown") as caught:
        bucket.backend().create("document", b"1")
    assert caught.value.details["key"] == "document"


def test_a_server_that_is_gone_is_unavailable(bucket: InBucket) -> None:
    bucket.limits, bucket.endpoint = SHORT, "http://127.0.0.1:9"
    with pytest.raises(StorageUnavailable):
        bucket.backend().get("document")


def test_no_attempt_passes_a_guard_that_says_no(bucket: InBucket, proxy: HttpProxy) -> None:
    rule = proxy.answer("PUT", "", status=503, times=None)

    def guard() -> None:
        if rule.hits:
            raise LeaseLost("the lease ran out between two attempts")

    with pytest.raises(LeaseLost):
        bucket.backend().guarded(guard).create("document", b"1")
    assert rule.hits == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", StorageRefused),
        (400, "InvalidRequest", StorageRefused),
        (507, "InsufficientStorage", StorageFull),
        (403, "QuotaExceeded", StorageFull),
        (501, "NotImplemented", StorageUnfit),
    ],
)
def test_refusals_are_told_at_once(
    bucket: InBucket, proxy: HttpProxy, status: int, code: str, error: type[Exception]
) -> None:
    rule = proxy.answer("PUT", "", status=status, body=_error(code), times=None)
    with pytest.raises(error, match=code):
        bucket.backend().create("document", b"1")
    assert rule.hits == 1


def test_the_beginning_of_a_huge_object_is_one_request_for_that_range(bucket: InBucket, proxy: HttpProxy) -> None:
    bucket.write("huge", bytes(1_000_000))
    assert bucket.backend().beginning("huge", 1000) == bytes(1000)
    (request,) = proxy.requests
    assert (request.method, request.headers["range"], request.status) == ("GET", "bytes=0-999", 206)


def test_a_server_that_knows_no_ranges_is_not_listened_to_for_longer(bucket: InBucket, proxy: HttpProxy) -> None:
    proxy.answer("GET", "huge", status=200, body=bytes(5_000_000))
    assert bucket.backend().beginning("huge", 1000) == bytes(1000)
    assert bucket.backend().beginning("huge", 1000) is None  # the connection is fit for the next request


def test_a_missing_bucket_is_said_to_be_missing(bucket: InBucket) -> None:
    bucket.bucket = "no-such-bucket-here"
    with pytest.raises(StorageRefused, match="bucket"):
        bucket.backend().get("document")
    with pytest.raises(StorageRefused, match="bucket"):
        list(bucket.backend().list(""))


def test_wrong_credentials_are_refused_and_never_shown(bucket: InBucket) -> None:
    server = bucket.server
    access = S3Access(server.endpoint, server.region, server.access_key, "a-secret-that-is-wrong")
    backend = S3Backend(bucket.bucket, access=access)
    assert "a-secret" not in repr(access) + repr(backend)
    if server.name == "versitygw":  # moto lets everybody in
        with pytest.raises(StorageRefused) as caught:
            backend.create("document", b"1")
        assert "a-secret" not in caught.value.message


def test_an_answer_without_a_date_makes_the_server_unfit(bucket: InBucket, proxy: HttpProxy) -> None:
    proxy.answer("HEAD", "", status=200, body=b"", times=None)
    with pytest.raises(StorageUnfit, match="Date"):
        bucket.backend().now()
