"""Compare every file of this folder with SHA256SUMS. Needs nothing but Python."""

import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def wrong() -> "list[str]":
    """A sentence for each file that is missing or damaged."""
    found = []
    for line in (HERE / "SHA256SUMS").read_text("utf-8").splitlines():
        sum_, name = line.split("  ", 1)
        path = HERE / name
        if not path.is_file():
            found.append(name + " is missing.")
            continue
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
        if digest.hexdigest() != sum_:
            found.append(name + " is damaged.")
    return found


if __name__ == "__main__":
    problems = wrong()
    if problems:
        sys.exit("\n".join([*problems[:20], "Copy the folder again."]))
