"""Row 8: importing `app.py` cold, as the API function does it, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.rows import Goal, Pairs, Row, seconds

_REPOSITORY = Path(__file__).parents[1]
_LIMIT = "import chalice, boto3, pydantic"


def row(repeat: int) -> Row:
    """Processor time inside the process: the interpreter's own start is not in it, nor what else runs here."""
    pairs = Pairs()
    for statement in (_LIMIT, "import app"):
        _import(statement)  # writes the bytecode
    for _ in range(repeat):
        pairs.add(_import(_LIMIT), _import("import app"))
    return Row(
        "8",
        "cold import of app.py",
        f"{seconds(pairs.limit)} (chalice, boto3, pydantic)",
        seconds(pairs.own),
        pairs.times,
        Goal("most", 1.3, "times"),
        pairs.spread,
    )


def _import(statement: str) -> float:
    program = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_REPOSITORY, timeout=60
    )
    return float(done.stdout)
