"""What the tests saw of each application, as a table in Markdown.

MAINSTAY_TEST_RESULTS=folder pytest tests/applications      one small JSON file for each application
python -m tests.applications.table folder                    the table of them
python -m tests.applications.table folder --into page.md     … between the two marks on a page
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "MAINSTAY_TEST_RESULTS"
_BEGIN, _END = "<!-- seen: begin -->", "<!-- seen: end -->"
COLUMNS = ("backup", "delete", "restore", "plan again", "rolled back", "undone", "other namespace", "other cluster")


@dataclass
class Row:
    """What was seen of one application: by column, the seconds it took and what came of it."""

    application: str
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What `kubectl apply` was refused.
    refused: list[str] = field(default_factory=list)

    def saw(self, column: str, seconds: float | None, what: str) -> None:
        """Note one column; only what was asserted is noted."""
        assert column in COLUMNS
        self.seen[column] = {"seconds": seconds, "what": what}

    def write(self) -> None:
        """Keep it, if somebody asked for it."""
        folder = os.environ.get(VARIABLE)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{self.application}.json").write_text(json.dumps(asdict(self), indent=1))


def verbs(counts: Mapping[str, int]) -> str:
    """What a plan did, such as `3 created, 1 replaced`."""
    words = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "skip": "left"}
    return sentence({word: counts[verb] for verb, word in words.items() if counts.get(verb)}) or "nothing to do"


def sentence(counts: Mapping[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table, the applications in alphabetical order."""
    lines = [f"| application | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for row in sorted(rows, key=lambda each: str(each["application"])):
        cells = [_cell(row["seen"].get(column)) for column in COLUMNS]
        lines.append(f"| {row['application']} | {' | '.join(cells)} |")
    for row in rows:
        if row["refused"]:
            refused = "; ".join(row["refused"])
            lines += ["", f"Of `{row['application']}` the API server refused, as it refuses `kubectl`: {refused}"]
    return "\n".join(lines)


def _cell(seen: Mapping[str, Any] | None) -> str:
    if seen is None:
        return "–"
    took = "" if seen["seconds"] is None else f" ({seen['seconds']:.1f} s)"
    return f"{seen['what']}{took}"


def main() -> None:
    """Print the table, or put it on a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path)
    arguments = parser.parse_args()
    made = markdown([json.loads(path.read_text()) for path in sorted(arguments.results.glob("*.json"))])
    if arguments.into is None:
        print(made)
        return
    page = arguments.into.read_text()
    head, rest = page.split(_BEGIN)
    _, tail = rest.split(_END)
    arguments.into.write_text(f"{head}{_BEGIN}\n{made}\n{_END}{tail}")


if __name__ == "__main__":
    main()
