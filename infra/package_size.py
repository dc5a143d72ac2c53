"""Check a package made by `chalice package` against AWS's limits for a Lambda: `package_size.py DIRECTORY`.

AWS refuses more than 50 MB zipped (uploaded directly) and 250 MB unzipped; ours stops at 200 MB, to leave room.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

MB = 1000 * 1000
MOST_ZIPPED = 50 * MB
MOST_UNZIPPED = 200 * MB


def main(arguments: list[str]) -> int:
    """Print the sizes; 1 if one is too large."""
    if len(arguments) != 1:
        print("usage: package_size.py DIRECTORY", file=sys.stderr)
        return 2
    package = Path(arguments[0]) / "deployment.zip"
    if not package.is_file():
        print(f"{package} is not there: run `chalice package` first", file=sys.stderr)
        return 2
    with zipfile.ZipFile(package) as archive:
        members = archive.infolist()
    zipped, unzipped = package.stat().st_size, sum(member.file_size for member in members)
    print(f"{package}: {zipped / MB:.1f} MB zipped (of {MOST_ZIPPED // MB}), ", end="")
    print(f"{unzipped / MB:.1f} MB unzipped (of {MOST_UNZIPPED // MB}), {len(members)} files")
    for name, size in _largest(members):
        print(f"  {size / MB:7.1f} MB  {name}")
    if zipped >= MOST_ZIPPED or unzipped >= MOST_UNZIPPED:
        print("The package is too large for AWS Lambda.", file=sys.stderr)
        return 1
    return 0


def _largest(members: list[zipfile.ZipInfo]) -> list[tuple[str, int]]:
    sizes: dict[str, int] = {}
    for member in members:
        top = member.filename.partition("/")[0]
        sizes[top] = sizes.get(top, 0) + member.file_size
    return sorted(sizes.items(), key=lambda item: -item[1])[:8]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
