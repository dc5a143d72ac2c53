"""A short command in a container: run it, wait for it, see what it said. Streams of data are another matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.cluster.client import Client, now
from chalicelib.cluster.streams import Channel, Stream, StreamBroken, StreamTimeout, exit_code, open_exec
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, DeadlineExceeded

MOST_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended. Of each stream the first `max_output` bytes are kept; `truncated` says if more came."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0


def run(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    timeout: float,
    max_output: int = MOST_OUTPUT,
) -> ExecResult:
    """Run `command` (no shell) and wait for its end, `timeout` seconds in all, connecting included.

    Raises `ClusterRefused` (no such pod, container or program, not allowed), `ClusterUnreachable` (also when the
    connection breaks: the command may have run) and `DeadlineExceeded` (hanging up does not stop it: it may run on).
    """
    what = f"{command[0]!r} in {namespace}/{pod} ({container})"
    stream: Stream | None = None
    try:
        stream = open_exec(client, namespace, pod, container, command, deadline=now() + timeout)
        output, status = _collect(stream, max_output)
    except StreamTimeout as late:
        raise DeadlineExceeded(
            f"Exec of {what} did not end within {timeout:g} s. It may still run in the container."
        ) from late
    except StreamBroken as broken:
        raise _broken(what, str(broken)) from broken
    finally:
        if stream is not None:
            stream.close()
    if status is None:
        raise _broken(what, "the server closed it without an exit status")
    code, message = exit_code(status)
    if code is None:
        raise ClusterRefused(
            f"Exec of {what} was not started: {message}",
            http_status=500,
            reason="ExecFailed",
            request=f"GET /api/v1/namespaces/{namespace}/pods/{pod}/exec",
        )
    kept = {channel: bytes(content[:max_output]) for channel, content in output.items()}
    truncated = any(len(content) > max_output for content in output.values())
    return ExecResult(code, kept[Channel.STDOUT], kept[Channel.STDERR], truncated)


def _collect(stream: Stream, max_output: int) -> tuple[dict[int, bytearray], bytes | None]:
    """What came on each channel, one byte more than `max_output` at most, and the status."""
    output = {Channel.STDOUT.value: bytearray(), Channel.STDERR.value: bytearray()}
    status: bytes | None = None
    for channel, content in stream.messages():
        if channel == Channel.ERROR:
            status = (status or b"") + content
        elif channel in output:
            room = max_output + 1 - len(output[channel])
            output[channel] += content[:room]
    return output, status


def _broken(what: str, reason: str) -> ClusterUnreachable:
    return ClusterUnreachable(
        f"Exec of {what}: the connection broke ({reason}). Whether the command ended is unknown.",
        details={"outcome": "unknown"},
    )
