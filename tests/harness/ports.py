"""Free ports on 127.0.0.1."""

import random
import socket

from tests.harness.errors import HarnessError

# Below the range from which Linux takes the ports of outgoing connections (32768 and up), so that a server
# which is killed and restarted finds its port still free.
_RANGE = range(20000, 32000)


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on now."""
    found: list[int] = []
    for port in random.sample(_RANGE, 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise HarnessError(f"found no {count} free ports between {_RANGE.start} and {_RANGE.stop}")


def free_port() -> int:
    return free_ports(1)[0]


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
