"""Figures about experts: how many neurons matter, who gets the tokens over training, which tokens an expert gets."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.diagrams import Arrow, Box, flow
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, COLORS, GREY, ORANGE, PURPLE, label_line


def loss_by_kept_neurons(losses: Mapping[str, Sequence[float]], kept: Sequence[int], title: str) -> Figure:
    """A model's loss if each layer keeps only some of its neurons, one line for each way to choose them.

    Args:
        kept: neurons that are kept in each layer, for each loss of a line.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    for (name, line), color in zip(losses.items(), COLORS, strict=False):
        axes.plot(range(len(kept)), line, color=color, marker="o")
        axes.annotate(name, (0, line[0]), xytext=(-8, 0), textcoords="offset points", ha="right", va="center")
    axes.set_xticks(range(len(kept)), [str(number) for number in kept])
    axes.set(xlim=(-1.9, len(kept) - 0.7), xlabel="neurons kept in each layer", ylabel="loss (nats per token)")
    axes.set_title(title)
    return describe(
        figure, f"A line with a point for {', '.join(map(str, kept))} neurons for each of {_listed(losses)}."
    )


def dispatch(num_experts: int, chosen: Sequence[int], weights: Sequence[float]) -> Figure:
    """One token on its way through a mixture of experts: the router, its chosen experts, the weighted sum."""
    middle = (num_experts - 1) / 2
    boxes = [
        Box(name="token", at=(middle, 0)),
        Box(name="router", at=(middle, 1.2), note=f"a score for each of {num_experts}", color=PURPLE, width=2.4),
        *(
            Box(name=f"expert {e}", at=(e, 2.9), color=ORANGE, width=0.85, is_filled=e in chosen)
            for e in range(num_experts)
        ),
        Box(name="add", at=(middle, 4.6), width=2.4),
    ]
    arrows = [Arrow(start="token", end="router")]
    for e, weight in zip(chosen, weights, strict=True):
        arrows.append(Arrow(start="router", end=f"expert {e}"))
        arrows.append(Arrow(start=f"expert {e}", end="add", label=f"{weight:.2f}"))
    return flow(boxes, arrows, "Two of four experts compute", column=1.05)


def load_over_training(loads: Mapping[str, Float[Tensor, "S E"]], title: str) -> Figure:
    """Which fraction of the choices falls on each expert, step by step: a map for each way to train, busiest on top."""
    figure, panels = plt.subplots(
        1, len(loads), figsize=(3.1 * len(loads) + 1.6, 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    highest = max(float(load.max()) for load in loads.values())
    for axes, (name, load) in zip(panels[0], loads.items(), strict=True):
        order = load[-20:].mean(0).argsort(descending=True)
        image = axes.imshow(load[:, order].T.numpy(), aspect="auto", vmin=0.0, vmax=highest, interpolation="nearest")
        axes.set_title(name, fontsize=11)
        axes.set(xlabel="step", yticks=range(load.shape[1]))
    panels[0][0].set_ylabel("expert, the busiest on top")
    bar = figure.colorbar(image, ax=panels[0], shrink=0.9)
    bar.set_label("fraction of all choices")
    bar.outline.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=13)
    return describe(
        figure,
        f"A map for each of {_listed(loads)}: a row for each expert, a column for each step, the lighter the busier.",
    )


def busiest_over_training(loads: Mapping[str, Float[Tensor, "S E"]], title: str) -> Figure:
    """The load of the busiest expert as a multiple of the mean, averaged over ten steps."""
    figure, axes = plt.subplots(figsize=(7.5, 3.4))
    for (name, load), color in zip(loads.items(), COLORS, strict=False):
        busiest = load.unfold(0, 10, 1).mean(-1).max(1).values * load.shape[1]
        axes.plot(range(10, len(load) + 1), busiest.tolist(), color=color)
        label_line(axes, float(len(load)), float(busiest[-1]), name, color)
    longest = max(map(len, loads.values()))
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.set(xlim=(0, longest * 1.35), ylim=(0.8, None), xlabel="step", ylabel="busiest expert ÷ mean", title=title)
    axes.set_xticks(range(0, longest + 1, 50))
    return describe(figure, f"A line each for {_listed(loads)}, and a line at 1, where all experts are equally busy.")


def bits_known(bits: Mapping[str, Sequence[float]], shuffled: Mapping[str, Sequence[float]], title: str) -> Figure:
    """How many bits of an expert's number something tells, measured and after shuffling; a point for each seed."""
    figure, axes = plt.subplots(figsize=(7.5, 0.55 * len(bits) + 1.4))
    for row, name in enumerate(bits):
        for values, color, size in ((bits[name], BLUE, 55), (shuffled[name], GREY, 22)):
            axes.scatter(values, [row] * len(values), color=color, s=size, zorder=3)
    last = len(bits) - 1
    first = next(iter(bits))
    for label, place in (("shuffled", max(shuffled[first])), ("measured", max(bits[first]))):
        axes.annotate(label, (place, 0), xytext=(0, 11), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(bits)), list(bits))
    axes.set(xlim=(0, None), ylim=(last + 0.5, -0.9), xlabel="bits about a token's first expert", title=title)
    return describe(
        figure,
        f"For each of {_listed(bits)}: points for the measured bits, and for those that are left after shuffling.",
    )


def experts_of_tokens(tokens: Sequence[str], fractions: Float[Tensor, "W E"], title: str) -> Figure:
    """Which fraction of a token's occurrences goes to each expert first: one row per token."""
    figure, axes = plt.subplots(figsize=(6.4, 0.24 * len(tokens) + 1.5))
    image = axes.imshow(fractions.numpy(), aspect="auto", vmin=0.0, vmax=1.0)
    axes.set_yticks(range(len(tokens)), [visible_token(token) for token in tokens], family="monospace", size=9)
    axes.set(xticks=range(fractions.shape[1]), xlabel="expert", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("fraction of its occurrences")
    bar.outline.set_visible(False)
    return describe(
        figure,
        f"A map: a row for each of {len(tokens)} frequent tokens, one column per expert, the lighter the more often.",
    )


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names)
