"""Figures about attention: look-ups, spreads of scores, maps, influence and how much single heads matter."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.models.attention import softmax
from gemini_workshop.visualization.diagrams import Matrix, matrices
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HIDDEN,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    ink,
    label_line,
)

LOWEST = 1e-6  # a gradient that is smaller is drawn here, at the edge


def soft_lookup(
    query: Float[Tensor, " 2"], keys: Float[Tensor, "S 2"], values: Float[Tensor, " S"], weights: Float[Tensor, " S"]
) -> Figure:
    """A query among two-dimensional keys, and the average of values that is the answer."""
    figure, (plane, bars) = plt.subplots(1, 2, figsize=(7.5, 3.3), width_ratios=(1, 1.2))
    colors = (BLUE, ORANGE, GREEN)
    for key, value, color in zip(keys.tolist(), values.tolist(), colors, strict=False):
        plane.annotate("", key, (0, 0), arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2.5})
        plane.annotate(f"key of {value:g}", key, xytext=(4, 6), textcoords="offset points", color=ink(color))
    plane.annotate("", query.tolist(), (0, 0), arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 3.5})
    plane.annotate("query", query.tolist(), xytext=(6, -4), textcoords="offset points", weight="bold")
    plane.set(xlim=(-0.15, 1.6), ylim=(-0.15, 1.35), aspect="equal", xticks=[0, 1], yticks=[0, 1])
    answer = float((weights * values).sum())
    names = [f"value {value:g}" for value in values.tolist()]
    bars.barh(names, weights.tolist(), color=colors[: len(names)], height=0.6)
    for i, weight in enumerate(weights.tolist()):
        bars.annotate(f"{weight:.2f}", (weight, i), xytext=(5, 0), textcoords="offset points", va="center")
    bars.set(xlim=(0, 1.18), xticks=[0, 0.5, 1], xlabel="attention weight", title=f"The answer is {answer:.1f}")
    bars.invert_yaxis()
    return describe(
        figure, f"Arrows for the query and for the keys of {_listed(values.tolist())}; a bar for the weight of each."
    )


def score_spread(
    head_dims: Sequence[int], spreads: dict[str, Sequence[float]], largest_weights: dict[str, Sequence[float]]
) -> Figure:
    """How widely scores spread and how much the largest weight takes, by head size; one line for each way to scale."""
    figure, (spread_axes, weight_axes) = plt.subplots(1, 2, figsize=(9, 3.8))
    for (name, spread), weight, color in zip(spreads.items(), largest_weights.values(), (RED, BLUE), strict=False):
        spread_axes.loglog(head_dims, spread, marker="o", color=color, base=2)
        weight_axes.semilogx(head_dims, weight, marker="o", color=color, base=2)
        label_line(spread_axes, float(head_dims[-1]), spread[-1], name, color)
        label_line(weight_axes, float(head_dims[-1]), weight[-1], name, color)
    for axes in (spread_axes, weight_axes):
        axes.set_xticks(head_dims[::2], [str(n) for n in head_dims[::2]])
        axes.set_xlim(head_dims[0] * 0.8, head_dims[-1] * 6)
        axes.set_xlabel("head size (channels)")
    spread_axes.set_yticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    spread_axes.set(ylabel="standard deviation of a score", title="Scores spread like √d …")
    weight_axes.set(ylabel="largest of 16 weights (mean)", ylim=(0, 1.05), title="… and one key takes all")
    return figure


def gradient_at_queries(
    head_dims: Sequence[int], gradients: dict[str, Sequence[tuple[float, float, float]]], title: str
) -> Figure:
    """How large the gradient at a query is, by head size.

    Args:
        gradients: for each way of scaling and head size, the size that a tenth, half and nine tenths of queries are
            below.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.9))
    for (name, sizes), color in zip(gradients.items(), (RED, BLUE), strict=False):
        low, median, high = (np.maximum(size, LOWEST) for size in zip(*sizes, strict=True))
        axes.fill_between(head_dims, low, high, color=color, alpha=0.18, linewidth=0)
        axes.loglog(head_dims, median, marker="o", color=color, base=2)
        label_line(axes, float(head_dims[-1]), float(median[-1]), name, color)
    axes.set_yscale("log", base=10)
    axes.set_xticks(head_dims[::2], [str(n) for n in head_dims[::2]])
    axes.set(xlim=(head_dims[0] * 0.8, head_dims[-1] * 5), ylim=(LOWEST, None), title=title)
    axes.set(xlabel="head size (channels)", ylabel="gradient at a query (norm)")
    names = " and ".join(gradients)
    return describe(figure, f"Lines for the median query, bands from a tenth to nine tenths of queries: {names}.")


def attention_shapes(title: str = "") -> Figure:
    """The matrices of attention to scale, with the letters of their axes."""
    return _attention_steps((3, 5, 2, 4), title, cell=0.26)


def worked_attention(
    query: Float[Tensor, "T C"],
    key: Float[Tensor, "S C"],
    value: Float[Tensor, "S Cv"],
    mask: Bool[Tensor, "T S"] | None = None,
    title: str = "",
) -> Figure:
    """Attention over a few small numbers, with every intermediate number; ``mask`` hides what is above the diagonal."""
    scores = query @ key.T / math.sqrt(query.shape[1])
    visible = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    weights = softmax(visible)
    numbers = [part.tolist() for part in (query, key.T, scores, weights, value, weights @ value)]
    sizes = (len(query), len(key), query.shape[1], value.shape[1])
    return _attention_steps(sizes, title, cell=0.46, numbers=numbers, is_masked=mask is not None)


def _attention_steps(
    sizes: tuple[int, int, int, int],
    title: str,
    cell: float,
    numbers: Sequence[Sequence[Sequence[float]] | None] = (None,) * 6,
    is_masked: bool = False,
) -> Figure:
    """Two lines: from queries and keys to weights, from weights and values to the output."""
    T, S, C, Cv = zip(("T", "S", "C", "Cv"), sizes, strict=True)
    query = Matrix(name="queries", rows=T, columns=C, color=BLUE, numbers=numbers[0])
    key = Matrix(name="keys, transposed", rows=C, columns=S, color=ORANGE, numbers=numbers[1])
    scores = Matrix(name="scores", rows=T, columns=S, color=SKY, is_masked=is_masked, numbers=numbers[2])
    weights = Matrix(name="weights", rows=T, columns=S, color=PURPLE, is_masked=is_masked, numbers=numbers[3])
    value = Matrix(name="values", rows=S, columns=Cv, color=GREEN, numbers=numbers[4])
    output = Matrix(name="output", rows=T, columns=Cv, color=GREEN, numbers=numbers[5])
    first: list[Matrix | str] = [query, "·", key, "/ √C =", scores, "softmax", weights]
    return matrices([first, [weights, "·", value, "=", output]], title, cell=cell)


def attention_map(
    weights: Float[Tensor, "T S"],
    tokens: Sequence[str],
    title: str = "",
    may_attend: Bool[Tensor, "T S"] | None = None,
) -> Figure:
    """Who looks at whom: one row per query, one column per key, the weights as colors; grey is hidden by a mask."""
    size = max(3.2, 0.34 * len(tokens) + 1.6)
    figure, axes = plt.subplots(figsize=(size + 0.9, size))
    hidden = False if may_attend is None else ~may_attend.numpy()
    axes.set_facecolor(HIDDEN)
    image = axes.imshow(np.ma.masked_array(weights.numpy(), hidden), vmin=0, vmax=1)
    labels = [visible_token(token) for token in tokens]
    axes.set_xticks(range(len(labels)), labels, rotation=90, family="monospace", size=9)
    axes.set_yticks(range(len(labels)), labels, family="monospace", size=9)
    axes.set(xlabel="key: the token looked at", ylabel="query: the token that looks", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("attention weight")
    bar.outline.set_visible(False)
    return describe(figure, f"A map of {len(labels)} tokens, the lighter the larger the weight: {' '.join(labels)}.")


def _listed(things: Sequence[object]) -> str:
    return ", ".join(f"{thing:g}" if isinstance(thing, float) else str(thing) for thing in things)


def _staircase(has_moved: Bool[Tensor, "T T"]) -> str:
    return "; ".join(
        f"token {s} moves {_listed(column.nonzero().flatten().tolist())}" for s, column in enumerate(has_moved.T)
    )


def visible_token(token: str) -> str:
    """A token as a label: spaces and line ends are drawn, so that " a" and "a" can be told apart."""
    return token.replace(" ", "␣").replace("\n", "⏎")


def influence(has_moved: Bool[Tensor, "T T"], title: str) -> Figure:
    """Which outputs moved when one token was changed: one column per changed token, one row per output."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    axes.imshow(has_moved.numpy(), cmap="Blues", vmin=0, vmax=1.4)
    for t, s in np.ndindex(tuple(has_moved.shape)):
        if has_moved[t, s]:
            axes.text(s, t, "moved", ha="center", va="center", size=8, color="white")
    axes.set(
        xticks=range(has_moved.shape[1]),
        yticks=range(has_moved.shape[0]),
        xlabel="token that was changed",
        ylabel="output",
        title=title,
    )
    return describe(
        figure, f"Marked are {int(has_moved.sum())} of {has_moved.numel()} fields: {_staircase(has_moved)}."
    )


def head_costs(
    focus: Float[Tensor, "L H"], cost: Float[Tensor, "L H"], named: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Every head of a model: how focused its map looks, against how much the model loses without it."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    axes.axhline(0, color=GREY, linewidth=1)
    axes.scatter(focus.flatten(), cost.flatten(), color=BLUE, s=45, alpha=0.75, edgecolor="white")
    for layer, head in named:
        x, y = float(focus[layer, head]), float(cost[layer, head])
        axes.scatter([x], [y], color=RED, s=70, zorder=3)
        axes.annotate(
            f"layer {layer}, head {head}",
            (x, y),
            xytext=(10, -16),
            textcoords="offset points",
            color=ink(RED),
            weight="bold",
        )
    axes.set(
        xlabel="focus: mean of each query's largest weight",
        ylabel="added loss (nats per token)",
        title=title,
    )
    axes.margins(x=0.15, y=0.15)
    return describe(figure, f"One point for each of {focus.numel()} heads; marked: {_listed(named)}.")


def scores_and_probabilities(
    scores: Float[Tensor, " S"], probabilities: Float[Tensor, " S"], names: Sequence[str], title: str
) -> Figure:
    """Scores on the left, the probabilities that softmax makes of them on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.0), sharey=True)
    labels = [visible_token(name) for name in names]
    left.barh(labels, scores.tolist(), color=GREY, height=0.6)
    left.axvline(0, color=BLACK, linewidth=1)
    left.set(xlabel="score", title=title)
    right.barh(labels, probabilities.tolist(), color=BLUE, height=0.6)
    for i, probability in enumerate(probabilities.tolist()):
        right.annotate(f"{probability:.2f}", (probability, i), xytext=(5, 0), textcoords="offset points", va="center")
    right.set(xlabel="probability", xlim=(0, 1.15))
    left.invert_yaxis()
    return describe(figure, f"Bars, most likely first: {', '.join(labels)}.")


def leakage(leaked: dict[str, float]) -> Figure:
    """How much attention still reaches tokens that should be hidden, for several ways of hiding them."""
    figure, axes = plt.subplots(figsize=(7.5, 2.9))
    names = list(leaked)
    axes.barh(
        names, list(leaked.values()), color=[RED if fraction > 0 else GREEN for fraction in leaked.values()], height=0.6
    )
    for i, fraction in enumerate(leaked.values()):
        axes.annotate(f"{fraction:.2f}", (fraction, i), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set(
        xlim=(0, 1),
        xlabel="attention that reaches the future",
        title="A hidden score lies far below all others",
    )
    axes.invert_yaxis()
    return describe(figure, f"Bars for {', '.join(names)}.")
