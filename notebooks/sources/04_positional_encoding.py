# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "04"
#     title: Positional encoding
#     part: part2_fundamentals
#     kind: pair
#     minutes: 75
#     budget_seconds: 60
#     requires: ["02"]
# ---

# %% [markdown]
# # 04 · Positional encoding
#
# **75 minutes** · builds on 02
#
# After this lesson you can
#
# - prove that attention by itself does not know the order of its tokens,
# - give it that order in three ways: fixed waves, a learned table, rotations,
# - explain why rotations make a score depend on distance, and check it,
# - tell the two layouts of rotary weights apart, and convert one into the other,
# - predict what happens when a text is longer than any in training, and measure it.
#
# You write three functions and one small class, a dozen lines in all. Short of time? Sections 5 and 7 can be skipped:
# no exercise builds on them.

# %%
import cmath
import dataclasses
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.exercises import check, hint, quiz, solution
from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.embeddings import apply_rotary_interleaved, rotary_cos_sin
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import positions as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider
from jaxtyping import Float, Int
from torch import Tensor, nn

use_theme()
device = pick_device()
rng = torch.Generator().manual_seed(4)
model, tokenizer = load_pretrained(device=device)

# %% [markdown]
# ## 1 · Attention does not know what came first
#
# "Tom saw Lily" and "Lily saw Tom" are two different stories. Here are the vectors of some tokens, once in order and
# once shuffled, both passed through one attention layer without a mask. **Predict:** what happens to the outputs?

# %%
ids = torch.tensor(tokenizer.encode("Tom saw Lily in the garden."), device=device)
x = model.embedding.weight[ids].detach().cpu()
x = 0.3 * x / x.std(dim=-1, keepdim=True)  # small enough that attention mixes
order = torch.randperm(len(x), generator=rng)

in_order = scaled_dot_product_attention(x, x, x)
shuffled = scaled_dot_product_attention(x[order], x[order], x[order])
assert torch.allclose(shuffled, in_order[order], atol=1e-5)
print("shuffle the tokens, and the same outputs come in the shuffled order")

# %% [markdown]
# Nothing else changes. Whatever "Tom" gathered, it gathers again, wherever it is. Mathematicians say that attention
# is *equivariant* under permutations. For us it means: to this layer a sentence is a bag of words.
#
# Does the causal mask help? It hides what comes later, so a token knows *which* others came before it, but not in what
# order:

# %%
last_in_order = scaled_dot_product_attention(x, x, x, causal_mask(len(x), len(x)))[-1]
order = torch.cat([torch.randperm(len(x) - 1, generator=rng), torch.tensor([len(x) - 1])])
y = x[order]  # everything but the last token is shuffled
last_shuffled = scaled_dot_product_attention(y, y, y, causal_mask(len(x), len(x)))[-1]
assert torch.allclose(last_shuffled, last_in_order, atol=1e-5)
print("shuffle all tokens before it, and the last output stays as it was")

# %% [markdown]
# So to one masked layer the earlier tokens are a bag: which ones there are, how often each, in no order. **Predict:**
# does a second masked layer on top of it see more?


# %%
def two_masked_layers(x):
    """The last output of two attention layers, each with the causal mask."""
    mask = causal_mask(len(x), len(x))
    below = scaled_dot_product_attention(x, x, x, mask)
    return scaled_dot_product_attention(below, below, below, mask)[-1]


changed = (two_masked_layers(y) - two_masked_layers(x)).norm() / two_masked_layers(x).norm()
print(f"shuffle all tokens before it, and the last output of two layers moves by {changed:.0%}")
assert changed > 0.05

# %% [markdown]
# It does: the layer below gives each token a mixture of *its* predecessors, and the layer above can tell those mixtures
# apart. Decoders that are trained without any positions (**NoPE**) do nearly as well as others on text; presumably the
# mask lets each token infer how many others came before it (Haviv et al. 2022). Most decoders still tell their tokens
# where they are; some, such as Llama 4, do so in most of their layers and leave it out in the rest.
#
# **How much order matters.** The pretrained model knows the order by a trick that section 4 explains. Here we switch
# the trick off and leave all weights as they are. The loss is in nats per token, measured on stories. **Predict:** how
# much does it rise? (With equal probabilities for all tokens it would be ln V.)


# %% tags=["rounded"]
def with_rope(**changes):
    """The pretrained model, with the same weights and its rotary positions changed."""
    rope = dataclasses.replace(model.config.rope, **changes)
    other = Transformer(dataclasses.replace(model.config, rope=rope), torch.Generator())
    other.load_state_dict(model.state_dict())
    return other.to(device).eval()


@torch.no_grad()
def token_losses(model, token_ids):
    """The loss of every predicted token, one row per text."""
    logits = model(token_ids)[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), token_ids[:, 1:], reduction="none").cpu()


context = model.config.context_tokens
stream = []
for story in load_documents("stories")[:60]:
    stream += [*tokenizer.encode(story), tokenizer.end_of_text_id]
stream = torch.tensor(stream, device=device)
texts = stream[: 8 * context].view(8, context)

loss = float(token_losses(model, texts).mean())
# Divided by a billion, every angle is as good as 0.
unrotated = with_rope(scaling="linear", factor=1e9)
without_order = float(token_losses(unrotated, texts).mean())
assert without_order - loss > 1.5
print(f"with its positions {loss:.2f} nats per token, without them {without_order:.2f}")
print(f"with equal probabilities for all tokens {math.log(model.config.vocab_size):.2f}")

# %% [markdown]
# This shows how much *this* model relies on its positions. It does not show what a model without them could have
# learned: for that, one has to train one.
#
# ### A question that only order can answer
#
# For the rest of the lesson we need a task small enough to train in seconds. A diary of boxes: now and then something
# is put into a box, `b=4`, which replaces what was in it. At the end come questions: what is in box `b` *now*? To
# answer, a model has to find the notes about that box and take the **latest**.
#
# The next two cells make the task and a small model for it. You can run them and read on: what matters is the printed
# diary.

# %%
BOXES, CONTENTS, NOTHING, NOTES, QUESTIONS = 6, 6, 6, 16, 8
FIRST_QUESTION = BOXES * CONTENTS
FIRST_NOTHING = FIRST_QUESTION + BOXES
VOCABULARY = FIRST_NOTHING + NOTHING


def diaries(count, num_tokens, rng):
    """Token ids, and the content of each box asked about: always 16 notes and 8 questions."""
    ids = torch.randint(FIRST_NOTHING, VOCABULARY, (count, num_tokens), generator=rng)
    boxes = torch.randint(BOXES, (count, NOTES), generator=rng)
    contents = torch.randint(CONTENTS, (count, NOTES), generator=rng)
    days = torch.rand(count, num_tokens - QUESTIONS, generator=rng).argsort(-1)[:, :NOTES]
    ids.scatter_(1, days.sort(-1).values, boxes * CONTENTS + contents)
    asked = boxes[:, torch.randperm(NOTES, generator=rng)[:QUESTIONS]]
    ids[:, -QUESTIONS:] = FIRST_QUESTION + asked
    is_about = boxes[:, None, :] == asked[:, :, None]
    latest = (is_about * torch.arange(1, NOTES + 1)).argmax(-1)
    return ids, contents.gather(1, latest)


def in_words(token):
    if token >= FIRST_NOTHING:
        return "·"
    if token >= FIRST_QUESTION:
        return "abcdef"[token - FIRST_QUESTION] + "?"
    return "abcdef"[token // CONTENTS] + "=" + str(token % CONTENTS)


diary, answers = diaries(1, 64, torch.Generator().manual_seed(0))
print(" ".join(in_words(int(token)) for token in diary[0]))
print("answers:", *answers[0].tolist())

# %% [markdown]
# The reader is one attention layer with two heads and nothing around it. What it knows about positions comes from
# outside: vectors to **add** to the tokens, or **frequencies** by which to rotate queries and keys. Without either it
# is the bag of words from above. **Predict:** how often will it be right? Less often than, as often as, or more often
# than someone who picks one of the notes about the box at random?

# %% tags=["rounded"]
SEEDS = (0, 1, 2)  # one result proves little


class Reader(nn.Module):
    """One attention layer: the questions at the end look back at the diary."""

    def __init__(self, rng, add=None, frequencies=None, width=64, heads=2):
        super().__init__()
        self.heads, self.add, self.frequencies = heads, add, frequencies
        self.embedding = nn.Parameter(torch.randn(VOCABULARY, width, generator=rng))
        self.query, self.key, self.value = (
            nn.Parameter(torch.randn(width, width, generator=rng) * width**-0.5)
            for _ in range(3)
        )
        self.output = nn.Parameter(torch.randn(width, CONTENTS, generator=rng) * width**-0.5)

    def forward(self, ids, frequencies=None):
        frequencies = self.frequencies if frequencies is None else frequencies
        positions = torch.arange(ids.shape[1])
        asking = ids[:, -QUESTIONS:], positions[-QUESTIONS:]
        diary = ids[:, :-QUESTIONS], positions[:-QUESTIONS]
        query = self.project(*asking, self.query)
        key, value = self.project(*diary, self.key), self.project(*diary, self.value)
        if frequencies is not None:
            cos, sin = rotary_cos_sin(positions, frequencies)
            query = apply_rotary(query, cos[-QUESTIONS:], sin[-QUESTIONS:])
            key = apply_rotary(key, cos[:-QUESTIONS], sin[:-QUESTIONS])
        mixed = scaled_dot_product_attention(query, key, value)
        return mixed.transpose(1, 2).flatten(-2) @ self.output

    def project(self, ids, positions, matrix):
        """(embedding + position) times the matrix, by heads; the small tables are multiplied first."""
        x = F.embedding(ids, self.embedding @ matrix)
        if self.add is not None:
            x = x + self.add(positions) @ matrix
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def trained_reader(seed, add=None, frequencies=None, steps=300, num_tokens=64):
    rng = torch.Generator().manual_seed(seed)
    reader = Reader(rng, add, frequencies)
    optimizer = torch.optim.Adam(reader.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.01, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        ids, answers = diaries(64, num_tokens, rng)
        loss = F.cross_entropy(reader(ids).flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return reader


@torch.no_grad()
def accuracy(reader, num_tokens, frequencies=None):
    ids, answers = diaries(300, num_tokens, torch.Generator().manual_seed(100))
    return float((reader(ids, frequencies).argmax(-1) == answers).float().mean())


readers = {"none": [trained_reader(SEEDS[0])]}
right = [accuracy(reader, 64) for reader in readers["none"]]

# Two ways to answer without order, on the same diaries: how many notes about the box name each content?
ids, answers = diaries(300, 64, torch.Generator().manual_seed(100))
boxes = ids[:, -QUESTIONS:, None, None] - FIRST_QUESTION
notes = boxes * CONTENTS + torch.arange(CONTENTS)[:, None]
named = (ids[:, None, None, :-QUESTIONS] == notes).sum(-1)


def fraction_right(chances):
    """How often an answer drawn with these chances is right."""
    return float(
        (chances / chances.sum(-1, keepdim=True)).gather(-1, answers[..., None]).mean()
    )


by_chance = fraction_right(named)
by_vote = fraction_right(named == named.amax(-1, keepdim=True))
print(f"right without positions: {right[0]:.1f}")
print(f"right by a random pick among the notes about the box: {by_chance:.2f}")
print(f"right by the content that most of these notes name: {by_vote:.2f}")
assert all(by_chance - 0.05 < fraction < by_vote + 0.03 for fraction in right)

# %% [markdown]
# About as often, or a little more. It has found the notes about the box: a blind guess among six contents would be
# right once in six times. Since it mixes these notes, it can lean towards the content that most of them name, and that
# is the best anyone can do without order. It cannot know which note is the latest, and no training will teach it. The
# order has to come from somewhere.
#
# ## 2 · Waves
#
# The first transformer *added* to each token a vector that says where it is. Position $p$ has $D$ channels, in
# pairs. Pair $i$ is the sine and the cosine of one angle, which grows with the position, more slowly from pair to pair:
#
# $$\text{channel } 2i = \sin\frac{p}{10000^{2i/D}} \qquad \text{channel } 2i+1 = \cos\frac{p}{10000^{2i/D}}$$
#
# Think of the hands of a clock: one for seconds, one for minutes, one for hours. Together they tell the times of half a
# day apart, and none of the numbers ever gets large. Here the slowest hand needs up to $2\pi \cdot 10000$ positions
# for one round: the wider the vector, the closer to that.
#
# ### Exercise 04.1 · `sinusoidal_positions` (8 minutes)


# %%
def sinusoidal_positions(
    positions: Int[Tensor, "*B T"], embed_dim: int
) -> Float[Tensor, "*B T D"]:
    """A vector for each position, to be added to the token's: sin, cos, sin, cos, ...

    sinusoidal_positions(tensor([0]), 4) is tensor([[0., 1., 0., 1.]]).

    Args:
        positions: whole numbers in any order, for one text or for a batch of them (the `*B`);
            the first token of a text is at 0.
        embed_dim: channels of a vector, an even number D.
    """
    # SOLUTION
    # 1. The speed of each pair: 1 / 10000^(2i/D) for 2i = 0, 2, 4, ...
    speeds = 1.0 / 10_000 ** (
        torch.arange(0, embed_dim, 2, device=positions.device) / embed_dim
    )
    # 2. The angle of each position and pair.
    angles = positions.unsqueeze(-1) * speeds
    # 3. Sine and cosine of an angle next to each other.
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    # END SOLUTION


# %% tags=["check"]
sinusoidal_positions = check("04.1", sinusoidal_positions)

# %% [markdown]
# On the left are your vectors, one column per position. On the right is how similar two of them are: the dot product of
# the vector in the middle with all others. **Predict:** does it matter *which* position is in the middle?

# %% tags=["expected"]
vectors = sinusoidal_positions(torch.arange(128), 32)
figure = figures.waves(vectors)

similarity = vectors @ vectors.T
for distance in range(1, 128):
    diagonal = similarity.diagonal(distance)
    assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-3)

# %% [markdown]
# It does not: the assertion finds the same number at every pair of positions of one distance. That is the
# addition theorem of the cosine: $\sin a \sin b + \cos a \cos b = \cos(a - b)$, summed over the pairs. Keep it in mind:
# section 4 is built on it.
#
# ## 3 · A table
#
# Why prescribe waves at all? GPT-2 *learns* a vector for each position, just as it learns one for each token.
#
# ### Exercise 04.2 · `LearnedPositionalEmbedding` (6 minutes)
#
# A class this time. `__init__` makes the table, one row per position, and `forward` picks rows. The rows start as small
# random numbers (standard deviation 0.02), because they are added to the token vectors and must not drown them.


# %%
class LearnedPositionalEmbedding(nn.Module):
    """A vector for each position, to be added to the token's, learned as token embeddings are.

    Its one parameter is the table, `weight`, of shape (num_positions, embed_dim).

    Args:
        generator: the source of the random initial numbers, which have a standard deviation of 0.02.
    """

    def __init__(
        self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        # SOLUTION
        # 1. Fill the table with random numbers and make it a parameter of this module.
        start = 0.02 * torch.randn(num_positions, embed_dim, generator=generator)
        self.weight = nn.Parameter(start)
        # END SOLUTION

    def forward(self, positions: Int[Tensor, "*B T"]) -> Float[Tensor, "*B T D"]:
        """The vectors of these positions; a position past the end of the table is an error."""
        # SOLUTION
        # 1. Pick the rows.
        return self.weight[positions]
        # END SOLUTION


# %% tags=["check"]
LearnedPositionalEmbedding = check("04.2", LearnedPositionalEmbedding)

# %% [markdown]
# Now the reader gets your table, with room for 256 positions, and trains on diaries of 64 tokens. Then we look at
# which rows have moved. **Predict** the picture.


# %% tags=["expected", "rounded"]
def fresh_table(seed):
    return LearnedPositionalEmbedding(256, 64, torch.Generator().manual_seed(seed))


def rows_of(table):
    return next(table.parameters()).detach()


tables = [fresh_table(seed) for seed in SEEDS]
readers["learned"] = [
    trained_reader(seed, add=table) for seed, table in zip(SEEDS, tables, strict=True)
]
changes = [
    rows_of(table) - rows_of(fresh_table(seed))
    for seed, table in zip(SEEDS, tables, strict=True)
]
moved = changes[0].norm(dim=-1)
figure = figures.moved_rows(moved, trained_tokens=64)

with_table = [accuracy(reader, 64) for reader in readers["learned"]]
print(
    "right with a learned table, three seeds:", *(f"{fraction:.1f}" for fraction in with_table)
)
assert min(with_table) > max(right) + 0.15
assert (moved[:64] > 0.05).all()
assert all((change[64:] == 0).all() for change in changes)

# %% [markdown]
# It is now right far more often than without. The valley shows how: early and late rows moved in *opposite*
# directions, so that a later note gets a higher score; the cell below checks both. (The last eight rows belong to the
# questions.)
#
# And the rows from 64 on are, to the last bit, the random numbers that they were: no text ever touched them, so they
# never had a gradient. For position 100 the table returns noise, and more training on 64 tokens will not change that.
# (With weight decay, as in AdamW, such rows shrink towards zero. They still learn nothing.)

# %%
for change, table, reader in zip(changes, tables, readers["learned"], strict=True):
    early, late = change[2:20].mean(0), change[44:55].mean(0)
    opposite = F.cosine_similarity(early, late, dim=0)
    assert opposite < -0.8

    rows = rows_of(table)[:64]
    asking = reader.embedding[FIRST_QUESTION:FIRST_NOTHING] + rows[-1]
    scores = (asking @ reader.query) @ (rows @ reader.key).T
    assert (scores[:, 44:55].mean(-1) > scores[:, 2:20].mean(-1)).all()
    print(f"cosine between the ways of early and of late rows: {opposite:.1f}")

# %% [markdown]
# ## 4 · Rotating instead of adding
#
# What we want in the end is a *score* that depends on how far apart query and key are. The waves suggest how: the
# dot product of two of them depends only on the difference of their angles. So do not add the angles to the token;
# **rotate the query and the key themselves**. Split the channels of a head into pairs. Each pair is a point in the
# plane; at position $p$ it is rotated by the angle $p \cdot f_i$:
#
# $$(a, b) \;\to\; (a \cos p f_i - b \sin p f_i,\;\; b \cos p f_i + a \sin p f_i)$$
#
# If the query is rotated by $p f_i$ and the key by $s f_i$, the angle between them changes by $(p - s) f_i$.
#
# **One pair, every number.** The query is (2, 1), the key (1, 2), and $f = 0.5$ radians per token. The cell rotates
# with complex numbers, in which a pair $(a, b)$ is $a + b\,\mathrm{i}$ and a rotation is one multiplication.
# **Predict:** which rows end with the same score?

# %%
query, key, frequency = complex(2, 1), complex(1, 2), 0.5


def pair_score(query_position, key_position):
    """The two rotated points of one pair, and their part of the score: the dot product."""
    q = query * cmath.exp(1j * query_position * frequency)
    k = key * cmath.exp(1j * key_position * frequency)
    return q, k, q.real * k.real + q.imag * k.imag


print("   query at, rotated by, becomes |   key at, rotated by, becomes | score")
for p, s in ((0, 0), (2, 0), (3, 1), (13, 11), (3, 2)):
    q, k, score = pair_score(p, s)
    print(
        f"{p:6d} {p * frequency:9.1f} ({q.real:+.2f}, {q.imag:+.2f}) |"
        f"{s:6d} {s * frequency:9.1f} ({k.real:+.2f}, {k.imag:+.2f}) | {score:+.2f}"
    )
assert math.isclose(pair_score(2, 0)[2], pair_score(13, 11)[2])
assert not math.isclose(pair_score(3, 2)[2], pair_score(13, 11)[2])

# %% [markdown]
# The three rows in which the query is two tokens after the key agree, although all four numbers of their points are
# different. Now with your eyes: move both position sliders by the same amount and watch the title.


# %%
def draw_pair(query_position=12, key_position=4, frequency=0.3):
    return figures.rotated_pair(
        query_position * frequency, key_position * frequency, query=(0.9, 0.3), key=(0.4, -0.8)
    )


explore(
    draw_pair,
    query_position=IntSlider(value=12, max=30),
    key_position=IntSlider(value=4, max=30),
    frequency=FloatSlider(value=0.3, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# ### Exercise 04.3 · `rotary_frequencies` (5 minutes)
#
# The speeds are those of the waves, with the base as a parameter: pair $i$ of a head with $C$ channels rotates by
# $f_i = \text{base}^{-2i/C}$ radians from one token to the next.


# %%
def rotary_frequencies(head_dim: int, base: float) -> Float[Tensor, " pairs"]:
    """Radians by which each pair of channels rotates from token to token, fastest pair first.

    rotary_frequencies(4, 100.0) is tensor([1.0000, 0.1000]).
    """
    # SOLUTION
    # 1. The exponents 0, 2/C, 4/C, ...
    exponents = torch.arange(0, head_dim, 2) / head_dim
    # 2. One over the base to that power.
    return 1.0 / base**exponents
    # END SOLUTION


# %% tags=["check"]
rotary_frequencies = check("04.3", rotary_frequencies)

# %% [markdown]
# Your clock. Move the position, then the base. Which hands does the base change, and which one does it never change?


# %%
def draw_clock(position=64, base=10_000.0):
    angles = position * rotary_frequencies(16, base)
    return figures.clock_hands(angles, f"Position {position}, base {base:,.0f}")


explore(
    draw_clock,
    position=IntSlider(value=64, max=1024),
    base=FloatLogSlider(value=10_000, min=2, max=6, step=1),
)

# %% [markdown]
# The base never changes the first hand: anything to the power of 0 is 1, so it moves by one radian per token. A larger
# base slows all the others, the last one most.
#
# ### Exercise 04.4 · `apply_rotary` (10 minutes)
#
# `rotary_cos_sin`, which is given, turns positions and frequencies into cosines and sines: it multiplies every position
# by every frequency and takes both. What is left is the rotation.
#
# Which two channels make a pair is a matter of choice. Here, as in Gemma, pair $i$ is channel $i$ of the
# **first half** and channel $i$ of the **second half**: with six channels (0, 3), (1, 4), (2, 5).


# %%
def apply_rotary(
    x: Float[Tensor, "*B T C"], cos: Float[Tensor, "*#B T C/2"], sin: Float[Tensor, "*#B T C/2"]
) -> Float[Tensor, "*B T C"]:
    """Rotate the channel pairs (i, i + C/2) of each token by the angle of its position.

    Args:
        cos, sin: of the angle of each token and pair.
    """
    # SOLUTION
    # 1. Split the channels into two halves.
    first, second = x.chunk(2, dim=-1)
    # 2. Rotate each pair. Both results need both old values.
    rotated_first = first * cos - second * sin
    rotated_second = second * cos + first * sin
    # 3. Put the halves together again.
    return torch.cat([rotated_first, rotated_second], dim=-1)
    # END SOLUTION


# %% tags=["check"]
apply_rotary = check("04.4", apply_rotary)


# %% [markdown]
# **A whole head, every number.** Three tokens with the same four channels (two pairs), so that positions are all that
# can make a difference. Read the stages from top to bottom. **Predict** the pattern of the scores.

# %% tags=["expected"]
frequencies = rotary_frequencies(4, 100.0)
tokens = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)
cos, sin = rotary_cos_sin(torch.arange(3), frequencies)
rotated = apply_rotary(tokens, cos, sin)
scores = rotated @ rotated.T / 4**0.5

angles = torch.arange(3)[:, None] * frequencies
stages = {
    "angle of pairs 0 and 1": angles,
    "channels, before": tokens,
    "channels, after": rotated,
    "score with key 0, 1, 2": scores,
    "attention weights": scores.softmax(-1),
}
for name, rows in stages.items():
    for t, row in enumerate(rows.tolist()):
        print(f"{name if t == 0 else '':24s} token {t}: " + " ".join(f"{v:6.2f}" for v in row))

assert torch.allclose(scores[1, 0], scores[2, 1])
assert scores[0, 0] > scores[1, 0] > scores[2, 0]

# %% [markdown]
# The channels of a pair are two columns apart: 0 with 2, 1 with 3. Pair 0 moves by a radian per token, pair 1 by a
# tenth of it. In the scores every diagonal holds one number: the same token, one step away, always gets the same score.
#
# Is that so at every distance, and for other vectors? We take *one* query and *one* key, at random, and put them at
# every pair of positions. **Predict** both figures: on the left both are rotated, on the right only the query.

# %% tags=["expected"]
query, key = torch.randn(2, 1, 8, generator=rng)
cos, sin = rotary_cos_sin(torch.arange(40), rotary_frequencies(8, 100.0))
rotated_query = apply_rotary(query.expand(40, 8), cos, sin)
rotated_key = apply_rotary(key.expand(40, 8), cos, sin)

both = rotated_query @ rotated_key.T
only_query = rotated_query @ key.expand(40, 8).T
figure = figures.scores_by_position(
    {"both rotated: distance decides": both, "only the query: it does not": only_query}
)


def is_by_distance(scores):
    diagonals = (scores.diagonal(d) for d in range(-30, 31))
    return all(torch.allclose(line, line[0].expand_as(line), atol=1e-4) for line in diagonals)


assert is_by_distance(both)
assert not is_by_distance(only_query)

# %% [markdown]
# Stripes along the diagonal: all pairs at the same distance have the same score, whether positive or negative. On the
# right each row has its own score whatever the key's position: the distance plays no part.
#
# And the values? They are averaged, not compared. We shift a whole text by 100 positions; nothing should change.


# %%
def attend(x, first_position, rotates_values=False):
    positions = first_position + torch.arange(len(x))
    cos, sin = rotary_cos_sin(positions, rotary_frequencies(x.shape[-1], 100.0))
    rotated = apply_rotary(x, cos, sin)
    return scaled_dot_product_attention(rotated, rotated, rotated if rotates_values else x)


x = torch.randn(12, 8, generator=rng)
assert torch.allclose(attend(x, 0), attend(x, 100), atol=1e-4)
assert not torch.allclose(
    attend(x, 0, rotates_values=True), attend(x, 100, rotates_values=True), atol=0.1
)
print("queries and keys rotated: shifting the text changes nothing")
print("values rotated as well: shifting the text changes the outputs")

# %% [markdown]
# A warning about this test: it is easy to pass. Rotate in the wrong direction, choose any base, pair any channels you
# like: the shift still changes nothing. That is why the check of 04.4 also compares numbers.
#
# ## 5 · Two layouts, one rotation
#
# The paper pairs neighbors, (0, 1), (2, 3), ..., and so does Meta's own code of Llama. Gemma pairs halves, as you did,
# and so does Llama in the library `transformers`. Which is right? Both, but weights trained with one do not fit the
# other. **Predict:** how bad does it get if the pretrained model runs with the wrong layout?

# %% tags=["rounded"]
wrong_layout = with_rope(layout="interleaved")
loss_in_wrong_layout = float(token_losses(wrong_layout, texts).mean())
print(f"right layout {loss:.2f} nats per token, wrong layout {loss_in_wrong_layout:.2f}")
assert loss_in_wrong_layout - loss > 1.0

# %% [markdown]
# No error, no wrong shape; just a much worse model. It is a well-known way to lose a day when weights are converted.
# The cure is to reorder the *channels* of queries and keys, so that the pairs match again:

# %%
channels = torch.arange(8).view(2, 4).T.flatten()
print("half to interleaved:", channels.tolist())

x = torch.randn(5, 8, generator=rng)
cos, sin = rotary_cos_sin(torch.arange(5), rotary_frequencies(8, 100.0))
reordered_first = apply_rotary_interleaved(x[:, channels], cos, sin)
assert torch.allclose(reordered_first, apply_rotary(x, cos, sin)[:, channels], atol=1e-5)

# %% [markdown]
# Each channel is computed by one row of a weight matrix, so it is enough to reorder rows, once, for each head: those of
# the query and the key matrices, and the weights of the norms that act on queries and keys. A score is a sum over
# channels; the order of summation makes no difference.

# %%
C = model.config.head_dim
channels = torch.arange(C).view(2, C // 2).T.flatten().to(device)
with torch.no_grad():
    for block in wrong_layout.blocks:
        for matrix in (block.attention.query, block.attention.key):
            by_head = matrix.weight.unflatten(0, (-1, C))
            matrix.weight.copy_(by_head[:, channels].flatten(0, 1))
        for norm in (block.attention.query_norm, block.attention.key_norm):
            norm.weight.copy_(norm.weight[channels])

converted = float(token_losses(wrong_layout, texts).mean())
assert abs(converted - loss) < 1e-3
print("with its rows reordered the model is the old one again")

# %% [markdown]
# ## 6 · Longer than ever
#
# The readers were trained on 64 tokens. Now the diaries get longer, up to 256, with the same 16 notes spread over more
# days. Two more readers join: one with your waves added, one with your rotations.
#
# What base? With 128 channels and base 10,000 the slowest pair of Llama 2 rotates by about half a radian over its 4096
# tokens. For heads of 32 channels and 64 tokens, base 100 gives 0.85 radians, which is of the same order.
#
# **Predict**, for each of the four: is it still right at 128 tokens? At 256?

# %%
llama_angle = 4096 * rotary_frequencies(128, 10_000.0)[-1]
our_angle = 64 * rotary_frequencies(32, 100.0)[-1]
assert 0.4 < llama_angle < 0.6
assert round(float(our_angle), 2) == 0.85

readers["sinusoidal"] = [
    trained_reader(seed, add=lambda positions: sinusoidal_positions(positions, 64))
    for seed in SEEDS
]

# %%
readers["rotary"] = [
    trained_reader(seed, frequencies=rotary_frequencies(32, 100.0)) for seed in SEEDS
]

# %% tags=["expected", "rounded"]
lengths = [64, 96, 128, 192, 256]
right = {
    name: np.array([[accuracy(reader, T) for T in lengths] for reader in of_seeds])
    for name, of_seeds in readers.items()
}
figure = figures.recall_by_length(
    lengths, right, trained_tokens=64, title="Past the training length all of them fail"
)

for name, of_seeds in right.items():
    means = ", ".join(
        f"{T}: {mean:.1f}" for T, mean in zip(lengths, of_seeds.mean(0), strict=True)
    )
    print(f"{name:10s} {means}")
for name in ("learned", "sinusoidal", "rotary"):
    assert right[name][:, 0].min() > right["none"][:, 0].max() + 0.15
    assert right[name][:, -1].max() < by_chance + 0.1
assert right["rotary"][:, 1].mean() > right["sinusoidal"][:, 1].mean() + 0.05
assert right["rotary"][:, 1].mean() > right["learned"][:, 1].mean() + 0.1

# %% [markdown]
# All of them, the rotations too. At 256 tokens none of them does better than a random pick among the notes about the
# box. (The reader without positions loses as well: more empty days take more of its attention.) The table had to fail.
# The waves exist at every position, but the weights that read them only ever saw the first 64. Rotations fail more
# slowly, and are ahead at 96 tokens. "Relative" is not the same as "for any length": distances above 64 never occurred
# either.
#
# Where does it go wrong? Look at the largest angle of each pair, in training and in the test.

# %% tags=["expected"]
FACTOR = 256 / 64
as_trained = rotary_frequencies(32, 100.0)
interpolated = as_trained / FACTOR
raised_base = rotary_frequencies(32, 100.0 * FACTOR ** (32 / 30))
figure = figures.angles_met(
    {
        "as trained": as_trained,
        "position interpolation": interpolated,
        "raised base": raised_base,
    },
    trained_tokens=64,
    tested_tokens=256,
)

assert torch.isclose(raised_base[-1], interpolated[-1])
assert raised_base[0] == as_trained[0]
is_new = (as_trained * 64 < 2 * torch.pi) & (as_trained * 256 > as_trained * 64)
assert 0 < int(is_new.sum()) < len(as_trained)

# %% [markdown]
# A fast pair has gone around the circle many times in 64 tokens; it has seen every angle. A slow pair has seen only
# part of the circle, and in a longer text reaches the rest, for which no weight was ever fitted. So slow it down:
#
# - **Position interpolation** divides every frequency by the factor by which the text is longer. Token 256 is now
#   where token 64 was. Nothing is new, but neighbors are squeezed together, four into the space of one.
# - A **raised base** (known as NTK-aware scaling) slows the slowest pair by the same factor and leaves the fastest
#   alone, with all others in between. Neighbors stay apart; some middle pairs still meet a few new angles. The slowest
#   pair has the exponent 30/32, so the base has to grow by the factor to the power of 32/30.
#
# No weight is changed and nothing is trained. **Predict**, then run.


# %% tags=["expected", "rounded"]
def slowed_down(slow):
    """How often the rotary readers are right, with frequencies of their own for each length."""
    return np.array(
        [[accuracy(reader, T, slow(T / 64)) for T in lengths] for reader in readers["rotary"]]
    )


right["interpolated"] = slowed_down(lambda factor: as_trained / factor)
right["raised base"] = slowed_down(
    lambda factor: rotary_frequencies(32, 100.0 * factor ** (32 / 30))
)
figure = figures.recall_by_length(
    lengths, right, trained_tokens=64, title="Slowed down, the same weights hold"
)

at_256 = {name: of_seeds[:, -1] for name, of_seeds in right.items()}
for name in ("rotary", "interpolated", "raised base"):
    print(f"{name:13s} at 256 tokens:", *(f"{fraction:.1f}" for fraction in at_256[name]))
assert min(at_256["interpolated"].min(), at_256["raised base"].min()) > 0.7
assert at_256["interpolated"].mean() > at_256["raised base"].mean() + 0.03

# %% [markdown]
# The same weights, four times the length, and both stay above 0.7. For this task interpolation is the better cure: the
# notes are four times as far apart as before, and it moves them together again. Do not expect that of every task.
#
# ## 7 · A real one, past its context
#
# Text is not a diary of boxes. The pretrained model was trained on texts of a fixed length, its context. We give it
# four times as much, one story after another, and measure the loss by position, as it is and slowed down in both ways.
# **Predict:** which of the three curves rises past the context? Which one is worst?

# %% tags=["expected", "rounded"]
long_texts = stream[: 12 * 4 * context].view(12, 4 * context)
ways = {
    "as trained": model,
    "interpolated": with_rope(scaling="linear", factor=4.0),
    "raised base": with_rope(scaling="ntk", factor=4.0),
}
by_token = {
    name: torch.cat([token_losses(way, four) for four in long_texts.split(4)]).mean(0)
    for name, way in ways.items()
}
edges = [context // 2, context, 2 * context, 3 * context, 4 * context - 1]
by_stretch = {
    name: [float(losses[a:b].mean()) for a, b in itertools.pairwise(edges)]
    for name, losses in by_token.items()
}
figure = figures.loss_by_position(
    edges, by_stretch, context, title="Interpolation hurts most, inside the context too"
)

print("nats per token, inside the context and in three stretches beyond it")
for name, losses in by_stretch.items():
    print(f"{name:12s}", *(f"{loss:.2f}" for loss in losses))
within, *beyond = by_stretch["as trained"]
assert max(beyond) - within < 0.3
for i in range(4):
    assert 0 < by_stretch["raised base"][i] - by_stretch["as trained"][i] < 0.3
    assert by_stretch["interpolated"][i] - by_stretch["as trained"][i] > 0.5

# %% [markdown]
# Not what the diaries led us to expect, and worth a closer look.
#
# - As trained, **nothing breaks**: up to four times the context the loss is about what it was inside. (The small steps
#   are those of the stories: with a raised base the curve has them, too.)
# - **Interpolation hurts everywhere**, inside the context too. It squeezes neighbors together, and predicting text
#   depends on neighbors. The paper that proposed it trains the model for a while afterwards.
# - A **raised base** changes little: neighbors stay where they were. Here it costs a little in every stretch and helps
#   in none, because there is nothing to fix.
#
# Why does nothing break? One reason is in the configuration: most layers of this model look through a *window*
# (lesson 07). Whatever the length of the text, they never meet a larger distance than in training. The other reason can
# be measured. Predict the same last tokens twice: once with everything before them, once with one context only.

# %% tags=["rounded"]
windows = [layer.window_tokens for layer in model.config.layers]
assert sum(window is not None for window in windows) > len(windows) / 2

last = context // 2
from_everything = by_token["as trained"][-last:].mean()
short = long_texts[:, -2 * last :]
from_little = token_losses(model, short).mean(0)[-last:].mean()
assert abs(from_everything - from_little) < 0.2
print(
    f"loss with everything before them {from_everything:.2f}, with one context {from_little:.2f}"
)
lengths_of_stories = (stream == tokenizer.end_of_text_id).nonzero()[:, 0].diff() - 1
fit = float((lengths_of_stories < context).float().mean())
print(f"{fit:.0%} of the stories are shorter than one context")
assert fit > 0.9

# %% [markdown]
# The distant text is of no help, and could hardly be any: nearly all stories are shorter than the context, so it
# consists of *other* stories. Losing it costs nothing. A flat curve shows that a model survives long texts, not that it
# *uses* them. To show that, one has to ask for something that is far back, as the diaries do, and as the
# needle-in-a-haystack tests of lesson 14 do.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("04")

# %% [markdown]
# ## Recap
#
# 1. Attention without positions is permutation-equivariant: shuffle the tokens, and the outputs are shuffled with them.
# 2. One causal layer sees its predecessors as a bag, without their order. A second one on top can tell orders apart.
# 3. Sinusoidal positions are *added*: pairs of sine and cosine, slower from pair to pair.
# 4. The dot product of two of them depends only on the distance, since $\sin a \sin b + \cos a \cos b = \cos(a - b)$.
# 5. A learned table is also added. Rows that no text reached hold noise.
# 6. Rotary positions (RoPE) rotate queries and keys, never values: pair $i$ at position $p$ by $p \cdot
#    \text{base}^{-2i/C}$.
# 7. The score of two rotated vectors depends on their distance. Shifting the whole text changes nothing.
# 8. Two layouts of the pairs exist, halves and neighbors. Weights of one run in the other without an error, and badly.
# 9. Past the trained length slow pairs reach angles that no weight was fitted to.
# 10. Position interpolation slows all pairs, a raised base mostly the slow ones. Which is better depends on the task.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (8) must match the size of tensor b (4)</code></summary>
#
# x has one number per channel, cos and sin have one per *pair* (`apply_rotary`): multiply the halves of x. In
# `sinusoidal_positions` the same message means that positions and speeds need an axis each, `positions.unsqueeze(-1)`.
# </details>
#
# <details>
# <summary><code>TypeError: cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor</code></summary>
#
# `torch.cat` and `torch.stack` take one list: `torch.cat([first, second], dim=-1)`.
# </details>
#
# <details>
# <summary><code>IndexError: tensors used as indices must be long, int, byte or bool tensors</code></summary>
#
# Positions became floats, by a division for example, before they picked rows of the table
# (`LearnedPositionalEmbedding`).
# </details>
#
# <details>
# <summary><code>IndexError: index 300 is out of bounds for dimension 0 with size 256</code></summary>
#
# A position past the end of the table. This one is on purpose: a table has no answer there.
# </details>
#
# <details>
# <summary><code>NameError: name ... is not defined</code></summary>
#
# A cell above was not run, for example after a restart. In the menu: Run, then Run All Above Selected Cell.
# </details>
#
# ## From here to Gemini
#
# - Waves: Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)), section 3.5. Rotations: Su et al.
#   2021 ([arXiv:2104.09864](https://arxiv.org/abs/2104.09864)), section 3.2. In the package both are in
#   `gemini_workshop/models/embeddings.py`; the waves are built there from `rotary_frequencies`.
# - Decoders without positions (NoPE): Haviv et al. 2022 ([arXiv:2203.16634](https://arxiv.org/abs/2203.16634)); how
#   they do on longer texts: Kazemnejad et al. 2023 ([arXiv:2305.19466](https://arxiv.org/abs/2305.19466)).
# - Position interpolation: Chen et al. 2023 ([arXiv:2306.15595](https://arxiv.org/abs/2306.15595)). YaRN, which keeps
#   fast pairs and slows the slow ones: Peng et al. 2023 ([arXiv:2309.00071](https://arxiv.org/abs/2309.00071)).
#   `models/rotary_scaling.py` has these two, the raised base and Llama 3's way.
# - Gemma 3 ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)) gives its local layers, which look through a window,
#   base 10,000, and its global layers base 1,000,000; the long context comes from interpolating the global ones by 8
#   and training on. `rope` and `local_rope` in `ModelConfig` are that pair.
# - ALiBi (Press et al. 2021, [arXiv:2108.12409](https://arxiv.org/abs/2108.12409)) needs no vectors and no rotations:
#   it lowers each score in proportion to the distance. `alibi_slopes` is in the package; try `positions: alibi`.
#
# ## Stretch · keep the fast, slow the slow
#
# A pair that went around several times in training has seen every angle and needs no cure; a pair that did not needs
# the full one. Build frequencies for 256 tokens by that rule. Where must the border be if you want to beat the raised
# base? (`llama3_scaling` is such a rule, with a smooth transition in between.)


# %%
def by_parts(frequencies, trained_tokens, factor):
    return frequencies  # yours goes here


mine = accuracy(readers["rotary"][0], 256, by_parts(as_trained, 64, FACTOR))
is_better = mine > at_256["raised base"][0] + 0.03
print("better than the raised base" if is_better else "not better than the raised base yet")

# %% [markdown]
# ## Stretch · a longer table
#
# Can the table be saved as well? Stretch its trained rows over all 256 positions with `F.interpolate`: the rows of the
# diary over 248, those of the questions as they are. Measure. What would the same do to a model that depends on
# neighbors?
