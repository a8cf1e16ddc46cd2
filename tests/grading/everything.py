"""Grade all generated submissions in one run, and say whether each was graded right: ``make grading``.

Names on the command line choose some of them.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.grading.grading import contents, differences, graded, own_processes
from tests.grading.handed_in import everything, write


def main() -> None:
    """Print what differs, and exit with 1 if anything does."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        elsewhere, folder = place / "elsewhere", place / "handed_in"
        elsewhere.mkdir()
        chosen = sys.argv[1:]
        handed_in = {name: each for name, each in everything(elsewhere).items() if name in chosen or not chosen}
        write(handed_in, folder)
        before, processes, begun = contents(place), own_processes(), time.monotonic()
        book = graded(folder, seconds=10.0, workers=2)
        found = list(differences(book, handed_in))
        found += ["a file was changed"] if contents(place) != before else []
        found += ["a process is left"] if own_processes() - processes else []
        found += ["the answers were not isolated"] if not book.is_isolated else []
        seconds = time.monotonic() - begun
    print(f"{len(handed_in)} submissions in {seconds:.0f} s, {len(found)} graded or left otherwise than expected")
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
