"""The generator of the embedded corpus: about a thousand short stories, the same for every run with the same seed.

A story is one of sixteen plots, told with a cast of its own: see :mod:`gemini_workshop.data.storytelling`.
``python -m gemini_workshop.data.stories`` writes ``data/samples/stories.txt`` anew.
"""

import sys
from pathlib import Path

from gemini_workshop.data.files import write_atomically
from gemini_workshop.data.storytelling.cast import begin_story
from gemini_workshop.data.storytelling.plots import PLOTS
from gemini_workshop.data.storytelling.teller import Teller
from gemini_workshop.data.tokenizer import END_OF_TEXT

NUM_STORIES = 1000
SEED = 2026
MIN_WORDS, MAX_WORDS = 100, 200


def generate_stories(num_stories: int = NUM_STORIES, seed: int = SEED) -> list[str]:
    """The stories of a seed: all distinct, all within the limits of length."""
    teller = Teller(seed)
    stories: dict[str, None] = {}
    while len(stories) < num_stories:
        begin_story(teller)
        teller.deal(PLOTS, "plots")(teller)
        story = teller.text()
        if MIN_WORDS <= len(story.split()) <= MAX_WORDS:
            stories[story] = None
    return list(stories)


def write_stories(path: str | Path) -> None:
    """Write the corpus file: a line ``<|endoftext|>`` after each story."""
    text = "".join(f"{story}\n{END_OF_TEXT}\n" for story in generate_stories())
    write_atomically(path, text.encode("utf-8"))


if __name__ == "__main__":
    write_stories(sys.argv[1] if len(sys.argv) > 1 else "data/samples/stories.txt")
