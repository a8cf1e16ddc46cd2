"""Shapes that flow through a feed-forward layer, a block and a whole model, as diagrams."""

from itertools import pairwise

from matplotlib.figure import Figure

from gemini_workshop.visualization.diagrams import Arrow, Box, Frame, flow
from gemini_workshop.visualization.theme import BLUE, GREEN, GREY, ORANGE, PURPLE

STREAM, NORM, ATTENTION, FEED_FORWARD, TABLE = GREY, GREEN, BLUE, ORANGE, PURPLE


def feed_forward_shapes(embed_dim: int, ffn_dim: int, gated_dim: int) -> Figure:
    """A plain and a gated layer side by side: their matrices, and the numbers of one token on every way.

    Args:
        ffn_dim: neurons of the plain layer; ``gated_dim`` are those of the gated one.
    """
    plain = (
        Box(name="token", at=(0, 0)),
        Box(name="up", at=(0, 1.3), note=f"{embed_dim} × {ffn_dim}", color=FEED_FORWARD),
        Box(name="activation", at=(0, 2.6)),
        Box(name="down", at=(0, 3.9), note=f"{ffn_dim} × {embed_dim}", color=FEED_FORWARD),
        Box(name="what is added", at=(0, 5.2)),
    )
    gated = (
        Box(name="token ", at=(4, 0)),
        Box(name="gate", at=(3, 1.3), note=f"{embed_dim} × {gated_dim}", color=FEED_FORWARD),
        Box(name="up ", at=(5, 1.3), note=f"{embed_dim} × {gated_dim}", color=FEED_FORWARD),
        Box(name="activation ", at=(3, 2.1)),
        Box(name="multiply", at=(4, 2.9)),
        Box(name="down ", at=(4, 3.9), note=f"{gated_dim} × {embed_dim}", color=FEED_FORWARD),
        Box(name="what is added ", at=(4, 5.2)),
    )
    wide, narrow, between = f"{embed_dim} numbers", f"{ffn_dim}", f"{gated_dim}"
    arrows = (
        *_line([box.name for box in plain], [wide, narrow, narrow, wide]),
        Arrow(start="token ", end="gate"),
        Arrow(start="token ", end="up ", label=wide),
        Arrow(start="gate", end="activation ", label=between),
        Arrow(start="activation ", end="multiply"),
        Arrow(start="up ", end="multiply", label=between),
        *_line(["multiply", "down ", "what is added "], [between, wide]),
    )
    frames = [
        Frame(name="plain", left=-1.2, bottom=0.85, right=1.2, top=4.45),
        Frame(name="gated", left=2.0, bottom=0.85, right=6.0, top=4.45),
    ]
    return flow([*plain, *gated], arrows, "The same number of weights, spent in two ways", frames=frames)


def block_shapes(num_tokens: int, embed_dim: int, num_heads: int, ffn_dim: int) -> Figure:
    """A block with its norms before the sublayers: what reads the stream, and where it is added."""
    stream = f"{num_tokens} × {embed_dim}"
    heads = f"{num_heads} heads of {embed_dim // num_heads}"
    boxes = (
        Box(name="stream", at=(0, 0), color=STREAM),
        Box(name="norm", at=(0, 1), color=NORM),
        Box(name="attention", at=(0, 2), note=heads, color=ATTENTION),
        Box(name="add", at=(0, 3), width=0.7, color=STREAM),
        Box(name="norm ", at=(0, 4), color=NORM),
        Box(name="feed-forward", at=(0, 5), note=f"{ffn_dim} units, gated", color=FEED_FORWARD),
        Box(name="add ", at=(0, 6), width=0.7, color=STREAM),
        Box(name="stream ", at=(0, 7), color=STREAM),
    )
    up = [box.name for box in boxes]
    around = (
        Arrow(start="stream", end="add", label="as it is", bend=0.4),
        Arrow(start="add", end="add ", label="as it is", bend=0.85),
    )
    return flow(boxes, [*_line(up, [stream] * 7), *around], "A block: two residual steps", column=1.6, row=0.66)


def model_shapes(vocab_size: int, num_tokens: int, embed_dim: int, num_layers: int) -> Figure:
    """A whole model: from token ids through tables and blocks to a score for every token of the vocabulary."""
    stream = f"{num_tokens} × {embed_dim}"
    table = f"{vocab_size} × {embed_dim}"
    boxes = (
        Box(name="token ids", at=(0, 0), color=STREAM),
        Box(name="embedding", at=(0, 1), note=table, color=TABLE),
        Box(name="positions", at=(2.1, 1), note=f"{num_tokens} × {embed_dim}", color=TABLE),
        Box(name="add", at=(0, 2), width=0.7, color=STREAM),
        Box(name="blocks", at=(0, 3), note=f"{num_layers}, one after another", color=ATTENTION),
        Box(name="last norm", at=(0, 4), color=NORM),
        Box(name="head", at=(0, 5), note=f"{embed_dim} × {vocab_size}, tied", color=TABLE),
        Box(name="scores", at=(0, 6), color=STREAM),
    )
    up = ["token ids", "embedding", "add", "blocks", "last norm", "head", "scores"]
    labels = [f"{num_tokens} ids", stream, stream, stream, stream, f"{num_tokens} × {vocab_size}"]
    others = (
        Arrow(start="positions", end="add"),
        Arrow(start="embedding", end="head", label="same table", bend=-0.4),
    )
    return flow(boxes, [*_line(up, labels), *others], "Your model: one table at both ends", column=1.6, row=0.7)


def _line(names: list[str], labels: list[str]) -> list[Arrow]:
    """Arrows from each of the boxes to the next."""
    return [Arrow(start=a, end=b, label=label) for (a, b), label in zip(pairwise(names), labels, strict=True)]
