"""`make local`: LocalStack, the stack of the deployment's template in it, and the runner on that. Ctrl-C ends it all.

Nothing of it is kept: LocalStack forgets its buckets, queues and keys when it ends, and with them the versions.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from infra.local.stack import Made, create
from tests.harness.errors import HarnessError
from tests.harness.localstack import LocalStack
from tests.harness.ports import answers

#: Where LocalStack listens by custom; another port is taken if something listens there.
PORT = 4566
NAME = "mainstay-local"
#: Seconds between two looks whether LocalStack lives.
_LOOK = 2.0
#: Seconds that the runner may take to stop when its queues are gone.
_PATIENCE = 30.0
MAINSTAY = Path(sys.executable).with_name("mainstay")


def main() -> int:
    """Serve until a signal ends it; what the runner ended with."""
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="mainstay-local-") as folder:
        try:
            with LocalStack(Path(folder), port=None if answers(PORT) else PORT) as localstack:
                made = create(localstack.service("cloudformation"), NAME)
                environment = environment_of(localstack, made, Path(folder))
                _say(localstack, made, environment)
                return _serve(environment, localstack)
        except HarnessError as error:
            print(f"make local: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0


def environment_of(localstack: LocalStack, made: Made, folder: Path) -> dict[str, str]:
    """What the runner is started with, beside what the caller's own environment says."""
    return {**localstack.environment, **made.settings, "MAINSTAY_DATA": str(folder / "data")}


def _serve(environment: Mapping[str, str], localstack: LocalStack) -> int:
    # In this process group, so that Ctrl-C in the terminal reaches it as well.
    runner = subprocess.Popen([MAINSTAY, "serve"], env={**os.environ, **environment})  # noqa: S603 - our own program
    while True:
        try:
            return runner.wait(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            if localstack.program.identity() is None:
                print(
                    "make local: LocalStack has ended, and with it all that was in it. Start anew.", file=sys.stderr
                )
                _end(runner)
                return 1
        except KeyboardInterrupt:
            # It stops in order, and LocalStack has to be there until it has. To stop twice is harmless.
            runner.send_signal(signal.SIGTERM)


def _end(runner: subprocess.Popen[bytes]) -> None:
    runner.send_signal(signal.SIGTERM)
    try:
        runner.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        runner.kill()


def _say(localstack: LocalStack, made: Made, environment: Mapping[str, str]) -> None:
    print(
        f"LocalStack is ready at {localstack.endpoint}; it keeps nothing when it ends.\n"
        f"  bucket       s3://{made.bucket}\n"
        f"  work queue   {made.work_queue}\n"
        f"  requests     {made.request_queue}, told of what is put at s3://{made.bucket}/requests/\n"
        f"  KMS key      {made.key}\n"
        "In another terminal (the command line then finds the token by itself, and the bucket where it needs it):\n"
        + "\n".join(f"  {line}" for line in exports(localstack.environment, environment))
        + "\n  mainstay status\n"
        "A cluster to try it on: make cluster, then KUBECONFIG=… make local. Ctrl-C ends everything.\n",
        flush=True,
    )


#: What commands need that work on the repository themselves: where it is, and what opens it.
_OF_COMMANDS = ("MAINSTAY_DATA", "MAINSTAY_REPOSITORY", "MAINSTAY_KMS_KEY")


def exports(aws: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Lines for a shell in which `mainstay` is to work beside the runner. `aws` is what leads to LocalStack."""
    wanted = {name: environment[name] for name in (*_OF_COMMANDS, *aws)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in wanted.items()]
    return [f"export PATH={shlex.quote(str(MAINSTAY.parent))}:$PATH", *lines]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
