"""What the log says of an exception: type and places, never its words."""

from __future__ import annotations

import io
import logging

import pytest
from pydantic import BaseModel, ValidationError

from chalicelib.local.logs import Formatter


class Sent(BaseModel):
    number: int


def read() -> None:
    Sent.model_validate({"number": "hunter2"})


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Formatter())
    logger = logging.Logger("a.test")
    logger.addHandler(handler)
    return logger, written


def test_a_line_ends_with_what_it_is_about(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("step %s failed", "apply", extra={"operation": "op-1", "application": "app-1", "other": "x"})
    logger.warning("nothing in particular")
    first, second = written.getvalue().splitlines()
    assert first.endswith("step apply failed [app-1, op-1]")
    assert second.endswith("nothing in particular")


def test_an_exception_is_told_by_type_and_places(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    try:
        try:
            read()
        except ValidationError as error:
            raise RuntimeError("hunter2") from error
    except RuntimeError:
        logger.exception("unexpected")
    lines = written.getvalue().splitlines()
    assert lines[0].endswith("ERROR a.test: unexpected")
    assert lines[1] == "RuntimeError"
    assert "which came of ValidationError" in written.getvalue()
    assert "test_logs.py" in written.getvalue()
    assert " in read" in written.getvalue()
    assert "hunter2" not in written.getvalue()


def test_a_record_without_an_exception_is_one_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("cannot look for work: %s", "the bucket does not answer")
    assert written.getvalue().count("\n") == 1
    assert "WARNING a.test: cannot look for work: the bucket does not answer" in written.getvalue()
