"""What Lambda's runtime does with a function, for a Python that sees nothing but the package and its own library.

    python -I -S lambda_runtime.py FOLDER HANDLER

Reads one JSON object in each line, `{"event": …, "seconds": …}`, calls the handler with it and a context, and writes
`{"answer": …}` or `{"error": …}`, one line each. It imports nothing of the project and nothing that is installed.
"""

import importlib
import json
import os
import sys
import time
import traceback
import uuid


class Context:
    """The second argument of a handler."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"
        self.memory_limit_in_mb = "1769"
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "2026/01/01/[$LATEST]0"
        self.identity = None
        self.client_context = None

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the function's time."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main(folder: str, handler: str) -> None:
    """Serve until standard input ends."""
    # Answers have a channel of their own: what a handler prints is its log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, folder)
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps({"path": sys.path, "module": sys.modules[module].__file__}), file=answers, flush=True)
    for line in sys.stdin:
        invocation = json.loads(line)
        try:
            said = {"answer": function(invocation["event"], Context(invocation["seconds"]))}
        except Exception:  # noqa: BLE001 - Lambda tells of whatever it is
            said = {"error": traceback.format_exc()}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
