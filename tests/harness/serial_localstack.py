"""LocalStack with its objects written one after the other. A script for the Python of its virtual environment.

LocalStack 4.8.1 looks at an object's condition under a lock of that object's bytes; in a bucket with versions each
new version has a lock of its own, so now and then two of several racing writers are both told that they won. The
repository's own check of the storage found that. AWS does not do it, so here it is mended from outside.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from localstack.runtime.main import main  # type: ignore[import-not-found]  # installed for its own Python only
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
    main()
