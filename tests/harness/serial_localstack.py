"""LocalStack, mended from outside in two places. A script for the Python of its virtual environment.

Its objects are written one after the other: LocalStack 4.8.1 looks at an object's condition under a lock of that
object's bytes; in a bucket with versions each new version has a lock of its own, so now and then two of several
racing writers are both told that they won. The repository's own check of the storage found that. AWS does not do it.

Functions are created, and not prepared to run: that would need a container engine and a program of the Internet, and
a stack with functions in it could not be made.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from localstack.runtime.main import main  # type: ignore[import-not-found]  # installed for its own Python only
from localstack.services.lambda_.invocation.docker_runtime_executor import (  # type: ignore[import-not-found]
    DockerRuntimeExecutor,
)
from localstack.services.s3.provider import S3Provider  # type: ignore[import-not-found]

_writing = threading.Lock()


def _one_at_a_time(operation: Callable[..., Any]) -> Callable[..., Any]:
    # What LocalStack knows of an operation is on its function: `wraps` takes it over.
    @functools.wraps(operation)
    def alone(*arguments: Any, **named: Any) -> Any:
        with _writing:
            return operation(*arguments, **named)

    return alone


if __name__ == "__main__":
    for name in ("put_object", "complete_multipart_upload"):
        setattr(S3Provider, name, _one_at_a_time(getattr(S3Provider, name)))
    DockerRuntimeExecutor.prepare_version = staticmethod(lambda _version: None)
    main()
