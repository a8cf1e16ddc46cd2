"""The layers of the package and the road through them: the picture in docs/architecture.md.

``python -m gemini_workshop.authoring.architecture`` draws ``docs/images/architecture.png`` again.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from gemini_workshop.visualization.theme import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, use_theme

LAYERS: tuple[dict[str, str], ...] = (
    {
        "errors": "what a user can fix",
        "paths": "where files are",
        "tables": "plain text",
    },
    {"reading": "text and JSON, or one clear error"},
    {"files": "written whole or not at all"},
    {"config": "settings of models, training and generation, and the presets"},
    {"devices": "which device to compute on"},
    {
        "models": "each idea once, plainly",
        "diagnostics": "is this machine ready?",
    },
    {"data": "corpora, tokenizers, batches", "kernels": "what models define, computed faster"},
    {"checkpoint": "find, load and save a model"},
    {
        "generation": "from a model to text",
        "training": "from a text to a model",
        "exchange": "files for other programs",
        "finetuning": "what comes after pretraining",
    },
    {
        "evaluation": "how good a model is, and what its heads and neurons do",
        "serving": "a model for other programs",
    },
    {"exercises": "checks, hints, quizzes, progress", "visualization": "figures and widgets"},
    {
        "authoring": "builds notebooks and pictures",
        "lessons": "the learner's own copies",
        "room": "who is where, live",
        "bundle": "for a USB stick",
        "benchmarks": "against peers, in one run",
        "demos": "a page to talk to models and look inside",
    },
    {"grading": "judges the notebooks of strangers"},
    {"cli": "the command gemini-workshop"},
)
"""The units with what they are for, lowest layer first. A module may import from its own unit and from lower layers."""

ROAD = (
    ("text", "corpora,\nyour files", "data"),
    ("shards", "token ids\non disk", "data"),
    ("batches", "rows with\ntargets", "data"),
    ("model", "logits for\nevery token", "models"),
    ("step", "loss, gradient,\noptimizer", "training"),
    ("checkpoint", "weights, config,\ntokenizer", "checkpoint"),
)
"""What happens to a text, in order: name, explanation, the unit that does it."""

ENDS = (("generate", "generation"), ("evaluate", "evaluation"), ("export", "exchange"))
"""What a checkpoint is for, and the unit that does it."""

SLATE = "#5a5f66"
COLOURS = {
    "data": BLUE,
    "models": ORANGE,
    "training": RED,
    "checkpoint": PURPLE,
    "generation": GREEN,
    "evaluation": SKY,
}


def draw_architecture(path: str | Path) -> None:
    """Draw the road from text to checkpoint above the layers of the package."""
    use_theme()
    figure, (road, layers) = plt.subplots(2, 1, figsize=(10, 8.4), height_ratios=(1, 2.8))
    road.set_title("One road from text to a model, and three uses of it")
    layers.set_title("Modules import only from lower layers")
    for axes in (road, layers):
        axes.axis("off")
    _draw_road(road)
    _draw_layers(layers)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_road(axes: Axes) -> None:
    width, gap = 1.3, 0.35
    axes.set(xlim=(-0.05, len(ROAD) * (width + gap) + 1.3), ylim=(0, 1.5))
    for place, (name, explanation, unit) in enumerate(ROAD):
        left = place * (width + gap)
        _box(axes, left, 0.3, width, 0.9, f"{name}\n", COLOURS[unit])
        axes.text(
            left + width / 2, 0.63, explanation, ha="center", va="center", fontsize=8.5, color=_ink(COLOURS[unit])
        )
        if place:
            _arrow(axes, (left - gap, 0.75), (left, 0.75))
    right = len(ROAD) * (width + gap)
    for place, (name, unit) in enumerate(ENDS):
        middle = 1.25 - 0.5 * place
        _box(axes, right, middle - 0.18, 1.2, 0.36, name, COLOURS.get(unit, SLATE))
        _arrow(axes, (right - gap, 0.75), (right, middle))


def _draw_layers(axes: Axes) -> None:
    axes.set(xlim=(-0.05, 10.05), ylim=(0, len(LAYERS)))
    for height, units in enumerate(LAYERS):
        width = 10 / len(units)
        for place, (unit, purpose) in enumerate(units.items()):
            colour = COLOURS.get(unit, SLATE)
            _box(axes, place * width, height + 0.08, width - 0.08, 0.84, f"{unit}\n", colour)
            middle = place * width + width / 2 - 0.04
            axes.text(middle, height + 0.3, purpose, ha="center", va="center", fontsize=8.5, color=_ink(colour))


def _box(axes: Axes, left: float, bottom: float, width: float, height: float, text: str, colour: str) -> None:
    shape = FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.08", color=colour)
    axes.add_patch(shape)
    place = (left + width / 2, bottom + height / 2)
    axes.text(*place, text, ha="center", va="center", color=_ink(colour), fontweight="bold", fontsize=10.5)


def _ink(colour: str) -> str:
    """Text that can be read on this colour."""
    return BLACK if colour in (ORANGE, SKY, PURPLE) else "white"


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": BLACK, "lw": 1.4})


if __name__ == "__main__":
    draw_architecture(sys.argv[1] if len(sys.argv) > 1 else "docs/images/architecture.png")
