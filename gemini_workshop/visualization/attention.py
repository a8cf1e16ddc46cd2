"""Figures about attention: look-ups, spreads of scores, maps, influence and what single heads are worth."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.theme import BLACK, BLUE, GREEN, GREY, ORANGE, RED, label_line


def soft_lookup(
    query: Float[Tensor, " 2"], keys: Float[Tensor, "S 2"], values: Float[Tensor, " S"], shares: Float[Tensor, " S"]
) -> Figure:
    """A query among two-dimensional keys, and the mixture of values that it is answered with."""
    figure, (plane, bars) = plt.subplots(1, 2, figsize=(7.5, 3.3), width_ratios=(1, 1.2))
    colours = (BLUE, ORANGE, GREEN)
    for key, value, colour in zip(keys.tolist(), values.tolist(), colours, strict=False):
        plane.annotate("", key, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.5})
        plane.annotate(f"key of {value:g}", key, xytext=(4, 6), textcoords="offset points", color=colour)
    plane.annotate("", query.tolist(), (0, 0), arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 3.5})
    plane.annotate("query", query.tolist(), xytext=(6, -4), textcoords="offset points", weight="bold")
    plane.set(xlim=(-0.15, 1.6), ylim=(-0.15, 1.35), aspect="equal", xticks=[0, 1], yticks=[0, 1])
    answer = float((shares * values).sum())
    names = [f"value {value:g}" for value in values.tolist()]
    bars.barh(names, shares.tolist(), color=colours[: len(names)], height=0.6)
    for i, share in enumerate(shares.tolist()):
        bars.annotate(f"{share:.2f}", (share, i), xytext=(5, 0), textcoords="offset points", va="center")
    bars.set(xlim=(0, 1.18), xticks=[0, 0.5, 1], xlabel="share of the attention", title=f"The answer is {answer:.1f}")
    bars.invert_yaxis()
    return figure


def score_spread(
    head_dims: Sequence[int], spreads: dict[str, Sequence[float]], largest_shares: dict[str, Sequence[float]]
) -> Figure:
    """How widely scores spread and how much the largest share takes, by head size; one line for each way to scale."""
    figure, (spread_axes, share_axes) = plt.subplots(1, 2, figsize=(9, 3.8))
    for (name, spread), share, colour in zip(spreads.items(), largest_shares.values(), (RED, BLUE), strict=False):
        spread_axes.loglog(head_dims, spread, marker="o", color=colour, base=2)
        share_axes.semilogx(head_dims, share, marker="o", color=colour, base=2)
        label_line(spread_axes, float(head_dims[-1]), spread[-1], name, colour)
        label_line(share_axes, float(head_dims[-1]), share[-1], name, colour)
    for axes in (spread_axes, share_axes):
        axes.set_xticks(head_dims[::2], [str(n) for n in head_dims[::2]])
        axes.set_xlim(head_dims[0] * 0.8, head_dims[-1] * 6)
        axes.set_xlabel("head size (channels)")
    spread_axes.set_yticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    spread_axes.set(ylabel="standard deviation of a score", title="Scores spread like √d …")
    share_axes.set(ylabel="largest of 16 shares (mean)", ylim=(0, 1.05), title="… and one key takes all")
    return figure


def surviving_gradient(head_dims: Sequence[int], gradients: dict[str, Sequence[float]]) -> Figure:
    """How much of the gradient gets through the softmax, by head size."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for (name, gradient), colour in zip(gradients.items(), (RED, BLUE), strict=False):
        axes.loglog(head_dims, gradient, marker="o", color=colour, base=2)
        label_line(axes, float(head_dims[-1]), gradient[-1], name, colour)
    axes.set_xticks(head_dims[::2], [str(n) for n in head_dims[::2]])
    axes.set_yticks([1, 0.5, 0.25, 0.125, 0.0625], ["1", "1/2", "1/4", "1/8", "1/16"])
    axes.set_xlim(head_dims[0] * 0.8, head_dims[-1] * 5)
    axes.set(
        xlabel="head size (channels)",
        ylabel="size of the gradient at the scores",
        title="Without the root, learning fades as heads grow",
    )
    return figure


def attention_map(weights: Float[Tensor, "T S"], tokens: Sequence[str], title: str = "") -> Figure:
    """Who looks at whom: one row a query, one column a key, the shares as colours."""
    size = max(3.2, 0.34 * len(tokens) + 1.6)
    figure, axes = plt.subplots(figsize=(size + 0.9, size))
    image = axes.imshow(weights.numpy(), vmin=0, vmax=1)
    labels = [visible_token(token) for token in tokens]
    axes.set_xticks(range(len(labels)), labels, rotation=90, family="monospace", size=9)
    axes.set_yticks(range(len(labels)), labels, family="monospace", size=9)
    axes.set(xlabel="key: the token looked at", ylabel="query: the token that looks", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the attention")
    bar.outline.set_visible(False)
    return figure


def visible_token(token: str) -> str:
    """A token as a label: spaces and line ends are drawn, so that " a" and "a" can be told apart."""
    return token.replace(" ", "␣").replace("\n", "⏎")


def influence(has_moved: Bool[Tensor, "T T"], title: str) -> Figure:
    """Which outputs moved when one token was changed: one column a changed token, one row an output."""
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
    return figure


def head_costs(focus: Float[Tensor, "L H"], cost: Float[Tensor, "L H"], named: Sequence[tuple[int, int]]) -> Figure:
    """Every head of a model: how pointed its map looks, against how much the model loses without it."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    axes.axhline(0, color=GREY, linewidth=1)
    axes.scatter(focus.flatten(), cost.flatten(), color=BLUE, s=45, alpha=0.75, edgecolor="white")
    for layer, head in named:
        x, y = float(focus[layer, head]), float(cost[layer, head])
        axes.scatter([x], [y], color=RED, s=70, zorder=3)
        axes.annotate(
            f"layer {layer}, head {head}", (x, y), xytext=(8, 6), textcoords="offset points", color=RED, weight="bold"
        )
    axes.set(
        xlabel="focus: mean of each query's largest share",
        ylabel="added loss (nats per token)",
        title="A pointed map is not the same as an important head",
    )
    axes.margins(x=0.15, y=0.15)
    return figure


def scores_and_shares(
    scores: Float[Tensor, " S"], shares: Float[Tensor, " S"], names: Sequence[str], title: str
) -> Figure:
    """Scores on the left, the shares that softmax makes of them on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.0), sharey=True)
    labels = [visible_token(name) for name in names]
    left.barh(labels, scores.tolist(), color=GREY, height=0.6)
    left.axvline(0, color=BLACK, linewidth=1)
    left.set(xlabel="score", title=title)
    right.barh(labels, shares.tolist(), color=BLUE, height=0.6)
    for i, share in enumerate(shares.tolist()):
        right.annotate(f"{share:.2f}", (share, i), xytext=(5, 0), textcoords="offset points", va="center")
    right.set(xlabel="share", xlim=(0, 1.15))
    left.invert_yaxis()
    return figure


def leakage(leaked: dict[str, float]) -> Figure:
    """How much attention still reaches tokens that should be hidden, for several ways of hiding them."""
    figure, axes = plt.subplots(figsize=(7.5, 2.9))
    names = list(leaked)
    axes.barh(
        names, list(leaked.values()), color=[RED if share > 0 else GREEN for share in leaked.values()], height=0.6
    )
    for i, share in enumerate(leaked.values()):
        axes.annotate(f"{share:.2f}", (share, i), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set(
        xlim=(0, 1), xlabel="share of the attention that reaches the future", title="Only minus infinity keeps it out"
    )
    axes.invert_yaxis()
    return figure
