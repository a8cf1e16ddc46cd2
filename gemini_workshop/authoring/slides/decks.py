"""From the decks' sources to PDFs: slides, and slides with notes below. The same sources give the same bytes."""

import json
from pathlib import Path
from typing import Any

import matplotlib

from gemini_workshop.authoring.slides.facts import all_facts
from gemini_workshop.authoring.slides.figures import read_record

TYPST = "0.15.2"  # makes the committed PDFs; another version sets a few bytes otherwise
TIMESTAMP = 1_767_225_600  # 1 January 2026: a PDF says when it was made, and ours has to say the same each time


def find_decks(slides: Path) -> list[Path]:
    """The sources of the decks, in order."""
    return sorted(slides.glob("[0-9][0-9]_*.typ"))


def facts_for(slides: Path, notebooks: Path) -> str:
    """What decks cite, as the JSON text that they read."""
    return json.dumps(all_facts(notebooks) | {"figures": read_record(slides)}, sort_keys=True)


def pdfs_of(deck: Path, facts: str) -> dict[str, bytes]:
    """The PDF files of a deck by their names: the slides, and the slides with notes."""
    return {
        f"{deck.stem}.pdf": compiled(deck, facts, format="pdf", timestamp=TIMESTAMP),
        f"{deck.stem}_notes.pdf": compiled(deck, facts, notes="yes", format="pdf", timestamp=TIMESTAMP),
    }


def compiled(deck: Path, facts: str, notes: str = "no", **options: Any) -> Any:
    """What Typst makes of a deck; fonts are those of Typst and of Matplotlib, not the machine's."""
    import typst

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    compiler = typst.Compiler(
        deck,
        root=deck.parent,
        font_paths=[fonts],
        ignore_system_fonts=True,
        sys_inputs={"facts": facts, "notes": notes},
    )
    return compiler.compile(**options)
