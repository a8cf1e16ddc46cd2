"""Figures about heads: where numbers go when channels are split, who looks where, and what heads are found to do."""

from collections.abc import Mapping, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.diagrams import Arrow, Box, flow
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLACK, BLUE, COLORS, GREY, ORANGE, PURPLE, RED, SKY, ink, label_line


def split_into_heads(x: Float[Tensor, "T HC"], splits: Mapping[str, Float[Tensor, "H T C"]]) -> Figure:
    """The numbers of every head, each in the color of the token that it comes from; one row for each way to split.

    Every number must be in ``x`` once.
    """
    token_of = {value: t for t, row in enumerate(x.tolist()) for value in row}
    H, T, C = next(iter(splits.values())).shape
    figure, axes = plt.subplots(
        len(splits),
        H + 1,
        figsize=(1.3 + 0.42 * C * (2 * H), 0.75 + 0.62 * T * len(splits)),
        width_ratios=(H, *[1] * H),
    )
    for row, (name, heads) in zip(np.atleast_2d(axes), splits.items(), strict=True):
        _table(row[0], x, token_of, "before: one row per token")
        row[0].set_ylabel(name, weight="bold")
        for h in range(H):
            _table(row[h + 1], heads[h], token_of, f"head {h}")
    return describe(
        figure, f"Tables of numbers, one color for each of {T} tokens, before and after the split: {', '.join(splits)}."
    )


def _table(axes: Axes, numbers: Tensor, token_of: Mapping[float, int], title: str) -> None:
    for (i, j), value in np.ndenumerate(numbers.numpy()):
        axes.add_patch(plt.Rectangle((j, i), 0.94, 0.9, color=COLORS[token_of[float(value)]], alpha=0.75))
        axes.text(j + 0.47, i + 0.47, f"{value:g}", ha="center", va="center", size=9)
    axes.set(xlim=(0, numbers.shape[1]), ylim=(numbers.shape[0], 0), xticks=[], yticks=[])
    axes.set_title(title, size=10, weight="normal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def layer_shapes(title: str = "") -> Figure:
    """Multi-head attention from its two inputs to its output, with the shape of everything that flows."""
    matrix, step = partial(Box, color=BLUE), partial(Box, color=ORANGE)
    boxes = (
        Box(name="x", at=(0, 0), note="asks"),
        Box(name="context", at=(3.1, 0), note="is looked at", width=3.6),
        matrix(name="query", at=(0, 1.2), note="matrix"),
        matrix(name="key", at=(2.1, 1.2), note="matrix"),
        matrix(name="value", at=(4.1, 1.2), note="matrix"),
        step(name="split", at=(0, 2.4)),
        step(name="split ", at=(2.1, 2.4)),
        step(name="split  ", at=(4.1, 2.4)),
        Box(name="attention", at=(2.05, 3.6), note="in all heads at once", color=PURPLE, width=5.7),
        step(name="merge", at=(2.05, 4.8)),
        matrix(name="output", at=(2.05, 6), note="matrix"),
        Box(name="result", at=(2.05, 7.2)),
    )
    arrows = [Arrow(start="x", end="query", label="B T D")]
    arrows += [Arrow(start="context", end=end, label="B S D") for end in ("key", "value")]
    for name, split, tokens in (("query", "split", "T"), ("key", "split ", "S"), ("value", "split  ", "S")):
        arrows.append(Arrow(start=name, end=split, label=f"B {tokens} HC"))
        arrows.append(Arrow(start=split, end="attention", label=f"B H {tokens} C"))
    arrows.append(Arrow(start="attention", end="merge", label="B H T C"))
    arrows.append(Arrow(start="merge", end="output", label="B T HC"))
    arrows.append(Arrow(start="output", end="result", label="B T D"))
    return flow(boxes, arrows, title, row=0.6)


def attention_lines(
    weights: Float[Tensor, "T S"], asking: Sequence[str], looked_at: Sequence[str], title: str = ""
) -> Figure:
    """Who looks at whom: a line from each token that asks to each that it looks at, the wider the larger the weight."""
    T, S = weights.shape
    rows = max(T, S)
    figure, axes = plt.subplots(figsize=(5.4, 1.2 + 0.3 * rows))
    for (t, s), weight in np.ndenumerate(weights.numpy()):
        if weight > 0.02:
            axes.plot([0, 1], [t, s], color=BLUE, linewidth=5 * weight, alpha=min(1.0, 0.15 + weight))
    for x, tokens, side in ((0, asking, "right"), (1, looked_at, "left")):
        for i, token in enumerate(tokens):
            shift = -0.03 if side == "right" else 0.03
            axes.text(x + shift, i, visible_token(token), ha=side, va="center", family="monospace", size=10)
    axes.text(-0.03, -1.1, "asks", ha="right", va="center", color=ink(GREY))
    axes.text(1.03, -1.1, "is looked at", ha="left", va="center", color=ink(GREY))
    axes.set(xlim=(-0.6, 1.6), ylim=(rows - 0.4, -1.6), title=title)
    axes.axis("off")
    return describe(
        figure,
        f"Lines from the tokens {' '.join(asking)} to the tokens {' '.join(looked_at)}, wider for larger weights.",
    )


def two_look_ups(
    both: Mapping[str, Sequence[Sequence[float]]], answers: Mapping[str, Sequence[Sequence[float]]]
) -> Figure:
    """How often both questions of two were answered during training, and how often each one in the end.

    Args:
        both: one curve per seed for each kind of model: the fraction of texts with both answers right at every
            step. It is drawn as the mean of ten steps.
        answers: for each kind of model and seed, the fraction of right answers to each question, the better first.
    """
    figure, (curves, bars) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=(1.5, 1))
    for (name, lines), color in zip(both.items(), (RED, SKY, BLUE), strict=False):
        for line in lines:
            smooth = np.convolve(line, np.full(10, 0.1), mode="valid")
            curves.plot(np.arange(10, len(line) + 1), smooth, color=color, alpha=0.7, linewidth=1.4)
        height = float(np.mean([line[-50:] for line in lines])) + (0.05 if color == RED else 0.0)
        label_line(curves, float(len(lines[0])), height, name, color)
    curves.set(ylim=(0, 1.04), xlim=(0, len(lines[0]) * 1.5), xlabel="training step", ylabel="both answers right")
    curves.set_xticks(range(0, len(lines[0]) + 1, 50))
    curves.set_title("One mixture, read by one matrix: one answer")
    for i, (seeds, color) in enumerate(zip(answers.values(), (RED, SKY, BLUE), strict=False)):
        for q, marker in enumerate("o^"):
            bars.scatter([i] * len(seeds), [seed[q] for seed in seeds], marker=marker, color=color, s=60, alpha=0.8)
    bars.set(ylim=(0, 1.04), xlim=(-0.5, len(answers) - 0.5), ylabel="right answers")
    bars.set_xticks(range(len(answers)), [name.replace(", ", "\n") for name in answers], size=9)
    bars.set_title("○ better question  △ the other", size=10, weight="normal")
    return describe(figure, f"Lines and points for {'; '.join(both)}; three seeds each.")


def weights_by_head(
    weights: Float[Tensor, "H S"], looked_at: Sequence[str], wanted: Sequence[int], title: str = ""
) -> Figure:
    """Where each head looks for one token that asks: one row per head; the labels asked for are highlighted."""
    H, S = weights.shape
    figure, axes = plt.subplots(figsize=(1.6 + 0.85 * S, 1.5 + 0.32 * H))
    axes.imshow(weights.numpy(), vmin=0, vmax=1, aspect="auto")
    for (h, s), weight in np.ndenumerate(weights.numpy()):
        if weight >= 0.05:
            axes.text(s, h, f"{weight:.2f}", ha="center", va="center", size=8, color=BLACK if weight > 0.6 else "white")
    axes.set_xticks(range(S), [name.replace(" ", "\n") for name in looked_at], size=9)
    for s in wanted:
        axes.get_xticklabels()[s].set(color=ink(RED), weight="bold")
    axes.set_yticks(range(H), [f"head {h}" for h in range(H)], size=9)
    axes.set(title=title)
    return describe(
        figure, f"A map of {H} heads, one per row, over {', '.join(looked_at)}; asked for: {_names(looked_at, wanted)}."
    )


def _names(looked_at: Sequence[str], wanted: Sequence[int]) -> str:
    return " and ".join(looked_at[s] for s in wanted)


def too_many_heads(right_answers: Mapping[int, float]) -> Figure:
    """How often the worse answered of two questions is answered, by the number of heads of the same total width."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    counts = [float(count) for count in right_answers]
    axes.semilogx(counts, list(right_answers.values()), marker="o", color=BLUE, base=2)
    for count, fraction in right_answers.items():
        lift = 7 if fraction > 0.5 else -16  # away from the line, which rises at the left
        axes.annotate(
            f"{fraction:.2f}", (count, fraction), xytext=(0, lift), textcoords="offset points", ha="center", size=9
        )
    axes.set_xticks(counts, [str(count) for count in right_answers])
    axes.set(xlabel="heads, all together 32 channels wide", ylabel="right answers, worse question", ylim=(0, 1.15))
    axes.set_title("Enough heads to ask, wide enough to tell")
    return describe(figure, f"A line with points at {', '.join(map(str, right_answers))} heads.")


def served_by(previous: Float[Tensor, " N"], left: Float[Tensor, " N"]) -> Figure:
    """Heads below an induction head: how much they look one step back, and what is left of its score without them."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    axes.axhline(1, color=GREY, linewidth=1)
    axes.scatter(previous, left, color=BLUE, s=45, alpha=0.75, edgecolor="white")
    axes.set(xlabel="attention weight given to the token before", ylabel="induction score left without it")
    axes.set_ylim(min(0.7, float(left.min()) - 0.05), 1.05)
    axes.set_title("Missed most are heads that look one step back")
    return describe(figure, f"One point for each of {len(left)} heads, and a line at 1, where nothing is lost.")


def head_scores(scores: Mapping[str, Float[Tensor, "L H"]]) -> Figure:
    """What each head of a model scores, one table for each score; the highest is framed."""
    figure, all_axes = plt.subplots(1, len(scores), figsize=(4.4 * len(scores), 3.9))
    for axes, (name, table) in zip(np.atleast_1d(all_axes), scores.items(), strict=True):
        L, H = table.shape
        axes.imshow(table.numpy(), vmin=0)
        middle = float(table.max()) * 0.6
        for (layer, head), score in np.ndenumerate(table.numpy()):
            color = BLACK if score > middle else "white"
            axes.text(head, layer, f"{score:.2f}", ha="center", va="center", size=8, color=color)
        layer, head = divmod(int(table.argmax()), H)
        axes.add_patch(plt.Rectangle((head - 0.5, layer - 0.5), 1, 1, fill=False, edgecolor=RED, linewidth=3))
        axes.set(xticks=range(H), yticks=range(L), xlabel="head", ylabel="layer", title=name)
    return describe(figure, "A table for each score, one row per layer, one column per head; the highest is framed.")
