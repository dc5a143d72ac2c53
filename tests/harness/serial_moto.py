"""moto's server with its writes one after the other: `python -m tests.harness.serial_moto -p PORT`.

moto 5.2.5 looks whether a condition holds and writes afterwards (`S3Response.put_object`), in as many threads as
there are requests, without a lock: now and then two of several racing writers are both told that they won. The
repository's own check of the storage found that. Real servers do not do it, so here it is mended from outside.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from moto.s3.responses import S3Response
from moto.server import main

_writing = threading.Lock()
_put_object = S3Response.put_object


def _put_one_at_a_time(self: S3Response) -> Any:
    with _writing:
        return _put_object(self)


if __name__ == "__main__":
    S3Response.put_object = _put_one_at_a_time  # type: ignore[method-assign]
    main(sys.argv[1:])
