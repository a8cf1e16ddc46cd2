"""The road map of the course: the model that it builds, and which lesson builds which part."""

from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from gemini_workshop.visualization.diagrams import Arrow, Box, Frame, flow
from gemini_workshop.visualization.showing import png
from gemini_workshop.visualization.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, use_theme

BASICS, INNOVATIONS, TRAINING, INPUT = BLUE, ORANGE, GREEN, GREY

BOXES = (
    Box(name="text", at=(0, 0), color=INPUT),
    Box(name="tokenizer", at=(0, 1), note="lesson 10", color=TRAINING),
    Box(name="embedding", at=(0, 2), note="lesson 06", color=BASICS),
    Box(name="norm", at=(0, 3), note="lesson 06", color=BASICS),
    Box(name="attention", at=(0, 4), note="lessons 02 and 03", color=BASICS),
    Box(name="add", at=(0, 5), note="lesson 06", color=BASICS),
    Box(name="norm ", at=(0, 6), note="lesson 06", color=BASICS),
    Box(name="feed-forward", at=(0, 7), note="lesson 05", color=BASICS),
    Box(name="add ", at=(0, 8), note="lesson 06", color=BASICS),
    Box(name="scores", at=(0, 9), note="lesson 06", color=BASICS),
    Box(name="softmax", at=(0, 10), note="lesson 02", color=BASICS),
    Box(name="next token", at=(0, 11), note="chosen in lesson 12", color=TRAINING),
    Box(name="images, sound", at=(2.1, 2), note="lesson 09", color=INNOVATIONS),
    Box(name="positions", at=(2.1, 3.6), note="lesson 04", color=BASICS),
    Box(name="windows, sharing", at=(2.1, 4.4), note="lesson 07", color=INNOVATIONS),
    Box(name="experts", at=(2.1, 7), note="lesson 08", color=INNOVATIONS),
    Box(name="training loop", at=(2.1, 10), note="lesson 11", color=TRAINING),
    Box(name="your mini-Gemini", at=(2.1, 11), note="lesson 13: all of it", color=PURPLE, is_filled=True),
)
"""From the text at the bottom to the next token at the top; a name with a space behind it stands for a second time."""

UP = ("text", "tokenizer", "embedding", "norm", "attention", "add", "norm ", "feed-forward", "add ", "scores")
ARROWS = (
    *(Arrow(start=start, end=end) for start, end in pairwise(UP)),
    Arrow(start="scores", end="softmax"),
    Arrow(start="softmax", end="next token"),
    Arrow(start="embedding", end="add", bend=-0.35),
    Arrow(start="add", end="add ", bend=-0.35),
    Arrow(start="images, sound", end="embedding"),
    Arrow(start="positions", end="attention"),
    Arrow(start="windows, sharing", end="attention"),
    Arrow(start="experts", end="feed-forward"),
    Arrow(start="softmax", end="training loop"),
)


def road_map() -> Figure:
    """The final model from the text to the next token; each part names the lesson that builds it."""
    block = Frame(name="a block, many times", left=-1.3, bottom=2.5, right=3.05, top=8.45)
    return flow(BOXES, ARROWS, "What you build, and where", frames=[block], column=1.3, row=0.62)


if __name__ == "__main__":  # python -m gemini_workshop.visualization.course: the figure in README
    use_theme()
    Path("docs/images/road-map.png").write_bytes(png(road_map()))
