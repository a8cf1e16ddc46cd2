"""Telling one of the plots of grammar/plots.yaml, whose first lines list what its steps mean."""

from typing import Any

from gemini_workshop.authoring.stories.cast import make_stranger
from gemini_workshop.authoring.stories.grammar import read_grammar
from gemini_workshop.authoring.stories.teller import Teller

CLOSING_PROBABILITY = 0.5


def plot_names() -> list[str]:
    """All plots, in the order of the file."""
    return list(read_grammar("plots")["plots"])


def tell_plot(teller: Teller, name: str) -> None:
    """Settle the facts of a plot, and tell its beats. The cast has been dealt already."""
    plot = read_grammar("plots")["plots"][name]
    for step in plot["facts"]:
        _settle(teller, step)
    for beat in plot["beats"]:
        if beat == "new paragraph":
            teller.paragraph()
        elif isinstance(beat, str):
            teller.tell(beat)
        else:
            teller.tell(beat["tell"], beat["chance"])


def tell_closing(teller: Teller) -> None:
    """End half of the stories with a sentence that fits every plot."""
    teller.tell(read_grammar("cast")["closings"], CLOSING_PROBABILITY)


def _settle(teller: Teller, step: dict[str, Any]) -> None:
    match step:
        case {"deal": table}:
            teller.fix(**teller.deal(read_grammar("facts")[table], table))
        case {"fix": facts}:
            teller.fix(**facts)
        case {"two_of": words, "as": names}:
            teller.fix(**dict(zip(names, teller.two_of(words), strict=True)))
        case {"stranger": name}:
            teller.cast[name] = make_stranger(teller)
        case _:
            raise ValueError(f"{step} is not a step of a plot. The first lines of plots.yaml list the steps.")
