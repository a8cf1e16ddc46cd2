"""``python -m gemini_workshop.authoring.slides`` builds the decks in ``slides/``: what ``make slides`` does.

Names of decks build these alone. Figures that are out of date are drawn first, which runs their lessons.
"""

import sys
from importlib import metadata

from gemini_workshop.authoring.slides import figures
from gemini_workshop.authoring.slides.decks import TYPST, facts_for, find_decks, pdfs_of
from gemini_workshop.paths import notebooks_folder


def main(names: list[str]) -> None:
    """Draw what is out of date, then write the PDFs of all decks, or of those whose names begin so."""
    if (version := metadata.version("typst")) != TYPST:
        raise SystemExit(f"The decks are made with Typst {TYPST}; this is {version}. Run: pip install typst=={TYPST}")
    notebooks = notebooks_folder()
    slides = notebooks.parent / "slides"
    decks = find_decks(slides)
    wanted = [deck for deck in decks if not names or deck.stem.startswith(tuple(names))]
    if stale := figures.out_of_date(slides, notebooks, figures.cited(wanted)):
        print(f"drawing {', '.join(stale)}", flush=True)  # noqa: T201
        figures.draw(slides, notebooks, stale)
    figures.forget(slides, figures.cited(decks))
    facts = facts_for(slides, notebooks)
    for deck in wanted:
        for name, content in pdfs_of(deck, facts).items():
            (slides / name).write_bytes(content)
            print(f"{name}: {len(content) / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
