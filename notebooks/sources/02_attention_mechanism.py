# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "02"
#     title: Attention
#     part: part2_fundamentals
#     kind: pair
#     minutes: 60
#     budget_seconds: 60
#     requires: ["00"]
# ---

# %% [markdown]
# # 02 · Attention
#
# **60 minutes** · needs only lesson 00
#
# After this lesson you can
#
# - work attention out by hand for four tokens,
# - say why scores are divided by √d, and show it,
# - keep the future out, and prove that it is out,
# - read an attention map without fooling yourself.
#
# You write four functions, a dozen lines in all. Below each stands a check; run it as often as you like. It tells
# you what your code does and what it should do. `hint("02.1")` helps, `solution("02.1")` shows an answer once you
# have tried. Nothing breaks if you skip one: the notebook goes on with the reference.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.heads import attention_maps, head_costs
from gemini_workshop.exercises.core import check, hint, quiz, solution
from gemini_workshop.training.checkpointing import load_pretrained
from gemini_workshop.visualization import attention as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import FloatSlider, IntSlider
from jaxtyping import Bool, Float
from torch import Tensor

use_theme()
device = pick_device()
rng = torch.Generator().manual_seed(2)
model, tokenizer = load_pretrained(device=device)

# %% [markdown]
# ## 1 · A dictionary that never says "no such key"
#
# A Python dictionary knows two answers: the value, or nothing.

# %%
prices = {(1.0, 0.0): 10.0, (0.0, 1.0): 20.0}
print("the query (1, 0) finds", prices[1.0, 0.0])
try:
    prices[0.7, 0.7]
except KeyError as error:
    print("the query (0.7, 0.7) ends in", repr(error))

# %% [markdown]
# Here is one that always answers. It compares the query with *every* key, turns the likenesses into shares that add
# up to one, and mixes the values by their shares.
#
# **Predict before you run:** what does it answer to (0.7, 0.7)? And to (1, 0), the very query that found 10 above?


# %%
def soft_lookup(query, keys, values, sharpness=1.0):
    likeness = sharpness * (keys @ query)  # one number for each key
    shares = torch.softmax(likeness, dim=0)  # all positive, together 1
    return shares, float((shares * values).sum())


keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
values = torch.tensor([10.0, 20.0])

for query in ([0.7, 0.7], [1.0, 0.0]):
    shares, answer = soft_lookup(torch.tensor(query), keys, values)
    print(f"query {query}: shares {shares[0]:.2f} and {shares[1]:.2f}, answer {answer:.1f}")

assert math.isclose(soft_lookup(torch.tensor([0.7, 0.7]), keys, values)[1], 15.0, abs_tol=1e-4)
assert 12 < soft_lookup(torch.tensor([1.0, 0.0]), keys, values)[1] < 13

# %% [markdown]
# Halfway between the keys it answers halfway between the values: 15. But the exact key gives 12.7 and not 10, because
# even a key at right angles keeps a share. *Soft* means that nothing is ever quite left out.
#
# Move the sliders. The **angle** turns the query, the **sharpness** multiplies the likenesses. At which sharpness does
# the soft dictionary become an ordinary one? Keep that number in mind: section 2 is about a sharpness that nobody
# asked for.


# %%
def draw_lookup(angle=45, sharpness=1.0):
    radians = math.radians(angle)
    query = torch.tensor([math.cos(radians), math.sin(radians)])
    shares, _ = soft_lookup(query, keys, values, sharpness)
    return figures.soft_lookup(query, keys, values, shares)


explore(
    draw_lookup,
    angle=IntSlider(value=20, max=90),
    sharpness=FloatSlider(value=1.0, min=0.0, max=12.0),
)

# %% [markdown]
# That is attention, whole. What remains is to do it for many queries at once, to keep the sharpness in hand, and to
# decide who may look at whom.
#
# ### Exercise 02.1 · `softmax` (5 minutes)
#
# Shares from scores. For the scores $s_1 \dots s_n$ of one query, the share of key $i$ is
#
# $$p_i = \frac{e^{s_i}}{\sum_j e^{s_j}}$$
#
# The exponential makes every score positive and keeps the order; the division makes the sum one. One warning: try your
# function on scores of a thousand before you trust it.


# %%
def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Turn scores into shares: each at least 0, together 1 along `dim`, larger for larger scores.

    softmax(tensor([1000., 1001.])) is tensor([0.2689, 0.7311]).
    """
    # SOLUTION
    # 1. Find a number that can be subtracted from every score of a row without changing any share.
    shifted = scores - scores.amax(dim=dim, keepdim=True)
    # 2. Make every score positive.
    exponentials = shifted.exp()
    # 3. Divide by the total along dim.
    return exponentials / exponentials.sum(dim=dim, keepdim=True)
    # END SOLUTION


# %% tags=["check"]
softmax = check("02.1", softmax)

# %% [markdown]
# Your function at work, at the very end of a language model: the model that came with this workshop reads
# "Tom was very" and scores every token it knows as the next one. `softmax` turns those scores into probabilities.

# %% tags=["expected"]
ids = torch.tensor([tokenizer.encode("Tom was very")], device=device)
with torch.no_grad():
    scores = model(ids)[0, -1].cpu()
probabilities = softmax(scores)
likeliest = probabilities.topk(6).indices
names = [tokenizer.decode([int(i)]) for i in likeliest]
figure = figures.scores_and_shares(
    scores[likeliest], probabilities[likeliest], names, 'After "Tom was very"'
)

assert math.isclose(float(probabilities.sum()), 1.0, abs_tol=1e-4)
assert {" happy", " sad"} <= set(names)

# %% [markdown]
# ## 2 · Why √d
#
# A score is a dot product: $q \cdot k = q_1 k_1 + \dots + q_d k_d$, a sum of $d$ products, where $d$ is the size of
# the vectors. Take queries and keys of independent random numbers with mean 0 and spread 1, as they are in a fresh
# model, and let $d$ grow. **Predict:** what happens to the spread of the scores from $d = 4$ to $d = 1024$? Does it
# grow 256 times, 16 times, or not at all?

# %%
head_dims = [4, 8, 16, 32, 64, 128, 256, 512, 1024]


def score_statistics(divide_by):
    """For each head size: the scores' spread, the largest of 16 shares, and how much gradient gets through."""
    spread, largest, gradient = [], [], []
    for d in head_dims:
        query, key = torch.randn(2, 9600, d, generator=rng)
        scores = (query * key).sum(-1) / divide_by(d)
        shares = softmax(scores.reshape(600, 16))
        spread.append(float(scores.std()))
        largest.append(float(shares.amax(-1).mean()))
        # The slope of a share with respect to its own score is p (1 - p); summed over the keys:
        gradient.append(float((shares * (1 - shares)).sum(-1).mean()))
    return spread, largest, gradient


spread, largest, gradient = score_statistics(divide_by=lambda d: 1.0)
slope = np.polyfit(np.log(head_dims), np.log(spread), deg=1)[0]
print(
    f"spread ~ d to the power of {slope:.2f}; from d = 4 to d = 1024 it grows {spread[-1] / spread[0]:.0f} times"
)
assert abs(slope - 0.5) < 0.02
assert largest[-1] > 0.9

figure = figures.score_spread(head_dims, {"as they are": spread}, {"as they are": largest})

# %% [markdown]
# Sixteen times: the power is one half. Each product adds a variance of 1, so the variance of the sum is $d$ and its
# spread is $\sqrt d$. On the right you see what that does. With 1024 channels one key of sixteen, picked by chance,
# takes nearly all the attention. The dictionary became sharp without being asked.
#
# That alone would be a matter of taste. What it does to learning is not: where one share is nearly 1 and the others
# nearly 0, the softmax is flat, and a flat function has no gradient. The cure follows from the diagnosis: divide each
# score by $\sqrt d$.

# %% tags=["expected"]
scaled_spread, scaled_largest, scaled_gradient = score_statistics(divide_by=math.sqrt)
print(f"scaled, the spread stays between {min(scaled_spread):.2f} and {max(scaled_spread):.2f}")
print(
    f"at d = 1024 the scaled scores let {scaled_gradient[-1] / gradient[-1]:.0f} times as much gradient through"
)
assert 0.95 < min(scaled_spread) <= max(scaled_spread) < 1.05
assert scaled_gradient[-1] > 5 * gradient[-1]

figure = figures.surviving_gradient(
    head_dims, {"as they are": gradient, "divided by √d": scaled_gradient}
)

# %% [markdown]
# ### Exercise 02.2 · `scaled_dot_product_attention` (10 minutes)
#
# For all queries at once. With the queries as the rows of $Q$, keys as the rows of $K$ and values as the rows of $V$:
#
# $$\text{attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$
#
# $d$ is the width of queries and keys. The softmax runs along the keys, so that each query's shares add up to one. The
# **mask** says which keys a query may see at all: `mask[t, s]` is True where query `t` *may* look at key `s`. A hidden
# key must get a share of exactly zero, so give it a score whose exponential is zero *before* the softmax.
#
# Shapes are written in letters: T queries, S keys, C channels, Cv channels of a value, and `*B` for any axes in front
# (batch, heads), which your code can ignore if it counts axes from the end.


# %%
def scaled_dot_product_attention(
    query: Float[Tensor, "*#B T C"],
    key: Float[Tensor, "*#B S C"],
    value: Float[Tensor, "*#B S Cv"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "*#B T Cv"]:
    """Mix the values, weighting each by how well its key matches the query.

    Args:
        mask: True where query t may look at key s. None: every query may look at every key.
    """
    # SOLUTION
    # 1. Compare every query with every key: one row a query, one column a key. Scale.
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    # 2. Where there is a mask, give hidden keys a score whose exponential is zero.
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    # 3. Turn scores into shares and mix the values by them.
    return softmax(scores) @ value
    # END SOLUTION


# %% tags=["check"]
scaled_dot_product_attention = check("02.2", scaled_dot_product_attention)

# %% [markdown]
# **By hand, once.** Four keys, one query, $d = 4$, so $\sqrt d = 2$. The numbers are chosen so that paper is enough:
# each score is the logarithm of 1, 2, 3 or 4. What are the four shares? What is the answer? Write both down, then run.

# %%
query = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
key = torch.zeros(4, 4)
key[:, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0]).log()
value = torch.tensor([[10.0], [20.0], [30.0], [40.0]])

answer = scaled_dot_product_attention(query, key, value).item()
print(f"the answer is {answer:.1f}")
assert math.isclose(answer, 0.1 * 10 + 0.2 * 20 + 0.3 * 30 + 0.4 * 40, abs_tol=1e-4)

# %% [markdown]
# Your function returns mixtures, not shares. There is a way to see the shares all the same: give every key a value
# that names it, a row of the identity matrix. What comes out is the shares themselves.
#
# Here on a real sentence. The vectors are the model's own embeddings, brought to unit spread, used as queries and keys
# at once. **Predict:** which token will each token like best?

# %% tags=["expected"]
sentence = "Lily gave Tom her red ball because he was sad."
ids = torch.tensor(tokenizer.encode(sentence), device=device)
tokens = [tokenizer.decode([int(i)]) for i in ids]
vectors = model.embedding.weight[ids].detach().cpu()
vectors = vectors / vectors.std(dim=-1, keepdim=True)

shares = scaled_dot_product_attention(vectors, vectors, torch.eye(len(tokens)))
figure = figures.attention_map(shares, tokens, "Left to itself, each likes itself best")
assert (shares.argmax(-1) == torch.arange(len(tokens))).all()

# %% [markdown]
# Itself. A vector is more like itself than like anything else, and attention with nothing learned says no more than
# that. To look *elsewhere*, a model learns three matrices that make a token's query, key and value different vectors:
# what it asks for, what it offers to be found by, and what it hands over. Lesson 03 adds them. Section 5 below shows
# what they learn.

# %% [markdown]
# ## 3 · No peeking
#
# A language model learns by predicting the next token. Look at what a token sees in the map above: everything, also
# the words that come after it. Let us measure it. We change the *last* token and watch the *first* output.

# %%
x = torch.randn(6, 8, generator=rng)
changed = x.clone()
changed[-1] += 1.0

before = scaled_dot_product_attention(x, x, x)
after = scaled_dot_product_attention(changed, changed, changed)
print(f"token 5 changed; output 0 moved by {(after - before)[0].abs().max():.2f}")
assert (after - before)[0].abs().max() > 0.01

# %% [markdown]
# A model that reads its own future will score splendidly in training and know nothing at generation, when there is no
# future to read. So each token may look at itself and at what came before it, and at nothing else.
#
# **Predict:** once that holds, which outputs move if token 2 of 6 changes?
#
# ### Exercise 02.3 · `causal_mask` (8 minutes)
#
# Draw it first, for three tokens: one row a query, one column a key, `#` where the query may look. Then write it down.
#
# One more thing to draw: later, when text is generated token by token, the keys of old tokens are kept and only the
# newest tokens ask. There are then *more keys than queries*, and the queries are the **last** ones:
#
# ```
# causal_mask(2, 5)      keys 0 1 2 3 4
#          query of key 3     # # # # .
#          query of key 4     # # # # #
# ```


# %%
def causal_mask(
    num_queries: int, num_keys: int, *, device: torch.device | None = None
) -> Bool[Tensor, "T S"]:
    """True where a query may look at a key: at its own and the ones before it.

    The queries are the last `num_queries` of the `num_keys` tokens.
    """
    # SOLUTION
    # 1. Start from a matrix that is all True, on the device that was asked for.
    everything = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    # 2. Keep a triangle of it, shifted so that the last query reaches the last key.
    return everything.tril(num_keys - num_queries)
    # END SOLUTION


# %% tags=["check"]
causal_mask = check("02.3", causal_mask)

# %% [markdown]
# A picture of a mask proves nothing about a model. An experiment does: change each token in turn and note which
# outputs move.


# %% tags=["expected"]
def which_outputs_move(mask):
    """has_moved[t, s]: whether output t moved when token s was changed."""
    before = scaled_dot_product_attention(x, x, x, mask)
    has_moved = torch.zeros(len(x), len(x), dtype=torch.bool)
    for s in range(len(x)):
        changed = x.clone()
        changed[s] += 1.0
        after = scaled_dot_product_attention(changed, changed, changed, mask)
        has_moved[:, s] = (after != before).any(-1)
    return has_moved


has_moved = which_outputs_move(causal_mask(6, 6))
figure = figures.influence(has_moved, "A change moves only what comes after it")

assert not has_moved.triu(1).any(), "an output moved before its time"
assert has_moved.diagonal().all()

# %% [markdown]
# A staircase, and above it not small numbers but exact zeros: the assertion compares with `!=`.
#
# The same test on the whole pretrained model, all its layers: change the seventh token of the sentence and compare the
# scores for every next token.

# %%
other = ids.clone()
other[6] = tokenizer.encode(" dog")[0]
with torch.no_grad():
    moved = (model(ids[None]) - model(other[None]))[0].abs().amax(-1).cpu()
print("scores that moved:", (moved > 1e-4).int().tolist())
assert (moved[:6] < 1e-4).all()
assert (moved[6:] > 1e-4).all()

# %% [markdown]
# ## 4 · Shutting a key out
#
# Many libraries take a mask of numbers that is *added* to the scores instead of a boolean one. What do you have to add
# so that a share does not change? So that it becomes exactly zero?
#
# ### Exercise 02.4 · `additive_mask` (5 minutes)


# %%
def additive_mask(
    mask: Bool[Tensor, "*B T S"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*B T S"]:
    """The same mask as numbers to add to the scores: 0 where a query may attend, minus infinity elsewhere."""
    # SOLUTION
    # 1. Start from numbers that change nothing, in the right dtype and on the mask's device.
    zeros = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    # 2. Put minus infinity where attention is forbidden.
    return zeros.masked_fill(~mask, float("-inf"))
    # END SOLUTION


# %% tags=["check"]
additive_mask = check("02.4", additive_mask)

# %% [markdown]
# PyTorch's own attention takes both kinds. All three must agree:

# %%
mask = causal_mask(6, 6)
mine = scaled_dot_product_attention(x, x, x, mask)
by_booleans = F.scaled_dot_product_attention(x[None], x[None], x[None], attn_mask=mask)[0]
by_numbers = F.scaled_dot_product_attention(
    x[None], x[None], x[None], attn_mask=additive_mask(mask)
)[0]
assert torch.allclose(mine, by_booleans, atol=1e-5)
assert torch.allclose(mine, by_numbers, atol=1e-5)
print("yours, PyTorch with booleans, PyTorch with numbers: equal")

# %% [markdown]
# Why so drastic, minus *infinity*? Here are ways to hide the future that are found in real code, and the share of
# attention that still reaches it, averaged over a hundred random texts of twelve tokens.

# %% tags=["expected"]
queries, other_keys = torch.randn(2, 100, 12, 8, generator=rng)
scores = queries @ other_keys.transpose(-2, -1) / math.sqrt(8)
mask = causal_mask(12, 12)
hidden = {
    "scores as they are": scores,
    "scores times 0": scores * mask,
    "scores set to -1": scores.masked_fill(~mask, -1.0),
    "minus 1 added": scores + (mask.float() - 1.0),
    "minus infinity added": scores + additive_mask(mask),
}
leaked = {name: float((softmax(s) * ~mask).sum(-1).mean()) for name, s in hidden.items()}
figure = figures.leakage(leaked)

assert leaked["minus infinity added"] == 0.0
assert min(share for name, share in leaked.items() if name != "minus infinity added") > 0.01

# %% [markdown]
# One trap is left. If *every* key of a query is hidden, all its scores are minus infinity, and the shares are 0 / 0:

# %%
nothing_to_see = torch.full((3,), float("-inf"))
print(softmax(nothing_to_see))
assert softmax(nothing_to_see).isnan().all()

# %% [markdown]
# That is why a token always sees itself, and why a causal mask shifted by one, which hides the token from itself, ends
# in `nan` at the very first position.

# %% [markdown]
# ## 5 · A real one, read with care
#
# The pretrained model has several layers with several heads each: small attentions side by side, every one with its
# own learned query, key and value matrices (lesson 03). Move the sliders and look for a head that does something you
# can name.

# %%
maps = attention_maps(model, ids)  # layers, heads, queries, keys
num_layers, num_heads = maps.shape[:2]


def draw_head(layer=0, head=0):
    return figures.attention_map(maps[layer, head], tokens, f"Layer {layer}, head {head}")


explore(draw_head, layer=IntSlider(max=num_layers - 1), head=IntSlider(max=num_heads - 1))

# %% [markdown]
# Where does "he" look? Of all heads, this is the one whose "he" gives most to the boy in the sentence:

# %% tags=["expected"]
he, tom = tokens.index(" he"), tokens.index(" Tom")
best = int(maps[:, :, he, tom].argmax())
layer, head = divmod(best, num_heads)
share = float(maps[layer, head, he, tom])
print(f'layer {layer}, head {head}: " he" gives " Tom" a share of {share:.2f}')
figure = figures.attention_map(maps[layer, head], tokens, f"Layer {layer}, head {head}")

# %% [markdown]
# It is tempting to write "the model has understood the pronoun" under such a picture. A map shows where a head *reads*.
# Whether the model *needs* what it reads there is another question, and it can be measured: take a head away and see
# how much worse the model predicts. "Away" here means that the head gives the same share to everything it may see.

# %% tags=["expected"]
stories = load_documents("stories")[:12]
batch = torch.tensor([tokenizer.encode(story)[:96] for story in stories], device=device)


def next_token_loss(logits, token_ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())


costs = head_costs(model, batch, next_token_loss)
focus = torch.stack([attention_maps(model, story).amax(-1).mean(-1) for story in batch]).mean(0)

costliest = divmod(int(costs.argmax()), num_heads)
pointed = focus >= focus.flatten().quantile(0.75)
idle = divmod(int(costs.masked_fill(~pointed, math.inf).argmin()), num_heads)
for what, which in {"most needed": costliest, "pointed, hardly used": idle}.items():
    print(f"{what:20s} layer {which[0]}, head {which[1]}: {costs[which]:+.2f} nats per token")
figure = figures.head_costs(focus, costs, [costliest, idle])

blurred = focus < focus.flatten().median()
assert costs[idle] < 0.25 * costs[costliest]
assert costs[idle] < 0.75 * costs[blurred].max()

# %% [markdown]
# The horizontal axis is what the eye goes by: how strongly a head's queries settle on one key. The vertical axis is
# what the model loses without the head. Among the quarter of heads with the most pointed maps is one that costs less
# than a quarter of what the most needed head costs, and less than a head from the blurred half of the maps; the
# assertions hold us to that. A map is a place to start looking, and no more (Jain and Wallace 2019).

# %% [markdown]
# ## 6 · What it costs
#
# Every query meets every key. **Predict:** a text twice as long needs a matrix of shares how many times as large?

# %%
shares_bytes = {
    T: scaled_dot_product_attention(torch.zeros(T, 4), torch.zeros(T, 4), torch.eye(T)).nbytes
    for T in (256, 512, 1024)
}
for T, size in shares_bytes.items():
    print(f"{T:5d} tokens: {size / 2**20:6.2f} MiB for one head")
million = shares_bytes[1024] * (1_000_000 / 1024) ** 2
print(f"1,000,000 tokens: {million / 2**40:.1f} TiB for one head")
assert shares_bytes[1024] == 4 * shares_bytes[512] == 16 * shares_bytes[256]
assert 3.5 < million / 2**40 < 3.8

# %% [markdown]
# Four times for twice the length. For the million tokens that Gemini reads, one head's matrix would fill terabytes. No
# memory holds that, and none has to: lesson 07 computes the same result without ever writing the matrix down, and then
# makes most of it unnecessary.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see what speaks for or against it.

# %%
quiz("02")

# %% [markdown]
# ## From here to Gemini
#
# - The formula is equation 1 of Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)), section
#   3.2.1; the argument about √d is its footnote 4. Every Gemini and Gemma model still computes it.
# - Gemma 2 bends large scores back with a soft cap; Gemma 3 normalises queries and keys instead, so that the sharpness
#   is learned and bounded. Our own model does that too: `query_norm` and `key_norm` in
#   `gemini_workshop/models/attention_layers.py`.
# - In `attention.py` beside it, `scaled_dot_product_attention` is line for line what you wrote. `fused_attention.py`
#   is what runs in training: the same numbers from PyTorch's fused kernel, without the matrix.
# - Lesson 03 puts many heads side by side, 04 tells tokens where they stand, 07 shares keys between heads and looks
#   through a window.
#
# ## Stretch · without the matrix
#
# Write attention again so that the T × S matrix is never held. Go through the keys in chunks and keep, for each query,
# only the largest score so far, the sum so far and the mixture so far. When a larger score turns up, what must the old
# sum and the old mixture be multiplied with? The test below is ready; the answer is in lesson 07.


# %%
def attention_in_chunks(query, key, value, chunk=4):
    return scaled_dot_product_attention(query, key, value)  # yours goes here


long_query, long_key, long_value = torch.randn(3, 50, 8, generator=rng)
expected = F.scaled_dot_product_attention(long_query[None], long_key[None], long_value[None])[0]
assert torch.allclose(
    attention_in_chunks(long_query, long_key, long_value), expected, atol=1e-5
)
