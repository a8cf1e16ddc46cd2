"""The generator of the embedded corpus: about a thousand short stories, the same for every run with the same seed.

A story is one of sixteen plots, told with a cast of its own. The words are in grammar/, how they are put together is
in teller.py. ``python -m gemini_workshop.authoring.stories.generator`` writes ``data/samples/stories.txt``.
"""

import sys
from pathlib import Path

from gemini_workshop.authoring.stories.cast import begin_story
from gemini_workshop.authoring.stories.plots import plot_names, tell_closing, tell_plot
from gemini_workshop.authoring.stories.teller import Teller
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.files import write_atomically

NUM_STORIES = 1000
SEED = 2026
MIN_WORDS, MAX_WORDS = 100, 200


def generate_stories(num_stories: int = NUM_STORIES, seed: int = SEED) -> list[str]:
    """The stories of a seed: all distinct, all within the limits of length."""
    teller = Teller(seed)
    stories: dict[str, None] = {}
    while len(stories) < num_stories:
        begin_story(teller)
        tell_plot(teller, teller.deal(plot_names(), "plots"))
        tell_closing(teller)
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
