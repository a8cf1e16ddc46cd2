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
#     minutes: 75
#     budget_seconds: 60
#     requires: ["00"]
# ---

# %% [markdown]
# # 02 · Attention
#
# **75 minutes** · needs only lesson 00
#
# After this lesson you can
#
# - compute attention by hand for three tokens,
# - say why scores are divided by √d, and show it,
# - mask the future, and prove that it is masked,
# - read an attention map without fooling yourself.
#
# You write four functions, a dozen lines in all. Each comes with a check; run it as often as you like. It tells
# you what your code does and what it should do. `hint("02.1")` helps, `solution("02.1")` shows an answer once you
# have tried. Nothing breaks if you skip one: the notebook uses the reference.
#
# **In a hurry?** Sections 1 to 3 are the core. Section 4 without its figure, and section 6, can wait. The code that
# measures and draws (`score_statistics`, `which_outputs_move`, everything in section 5) is there to be run: read what
# it prints, and skip how.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.interpretability.heads import attention_maps, head_costs
from gemini_workshop.exercises import check, hint, quiz, solution
from gemini_workshop.visualization import attention as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import FloatSlider, IntSlider
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

use_theme()
device = pick_device()
rng = torch.Generator().manual_seed(2)
model, tokenizer = load_pretrained(device=device)

# %% [markdown]
# ## 1 · A dictionary that never says "no such key"
#
# A Python dictionary has two answers: the value, or an error.

# %%
prices = {(1.0, 0.0): 10.0, (0.0, 1.0): 20.0}
print("the query (1, 0) finds", prices[1.0, 0.0])
try:
    prices[0.7, 0.7]
except KeyError as error:
    print("the query (0.7, 0.7) ends in", repr(error))

# %% [markdown]
# Here is one that always answers. It compares the query with *every* key, turns the similarities into **weights** that
# add up to one, and averages the values with these weights.
#
# **Predict before you run:** what does it answer to (0.7, 0.7)? And to (1, 0), the very query that found 10 above?


# %%
def soft_lookup(query, keys, values, sharpness=1.0):
    similarity = sharpness * (keys @ query)  # one number for each key
    weights = torch.softmax(similarity, dim=0)  # all positive, together 1
    return weights, float((weights * values).sum())


keys = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
values = torch.tensor([10.0, 20.0])

for query in ([0.7, 0.7], [1.0, 0.0]):
    weights, answer = soft_lookup(torch.tensor(query), keys, values)
    print(f"query {query}: weights {weights[0]:.2f} and {weights[1]:.2f}, answer {answer:.1f}")

assert math.isclose(soft_lookup(torch.tensor([0.7, 0.7]), keys, values)[1], 15.0, abs_tol=1e-4)
assert 12 < soft_lookup(torch.tensor([1.0, 0.0]), keys, values)[1] < 13

# %% [markdown]
# Halfway between the keys it answers halfway between the values: 15. But the exact key gives 12.7 and not 10, because
# even a key at right angles keeps some weight. *Soft* means that nothing is ever quite left out.
#
# Move the sliders. The **angle** rotates the query, the **sharpness** multiplies the similarities (it is one over the
# *temperature* of lesson 12). At which sharpness does the soft dictionary become an ordinary one? Keep that number in
# mind: section 2 is about a sharpness that nobody asked for.


# %%
def draw_lookup(angle=45, sharpness=1.0):
    radians = math.radians(angle)
    query = torch.tensor([math.cos(radians), math.sin(radians)])
    weights, _ = soft_lookup(query, keys, values, sharpness)
    return figures.soft_lookup(query, keys, values, weights)


explore(
    draw_lookup,
    angle=IntSlider(value=20, max=90),
    sharpness=FloatSlider(value=1.0, min=0.0, max=12.0),
)

# %% [markdown]
# In numbers, for a query that is exactly the first key, whose value is 10:

# %% tags=["expected"]
for sharpness in (1.0, 3.0, 6.0, 12.0):
    weights, answer = soft_lookup(keys[0], keys, values, sharpness)
    print(
        f"sharpness {sharpness:2.0f}: the other key keeps a weight of {weights[1]:.3f}, answer {answer:.1f}"
    )
assert abs(answer - 10) < 0.001

# %% [markdown]
# That is all there is to attention. What remains is to do it for many queries at once, to control the sharpness, and to
# decide which token may look at which.
#
# ### Exercise 02.1 · `softmax` (5 minutes)
#
# From scores to weights. For the scores $s_1 \dots s_n$ of one query, the weight of key $i$ is
#
# $$p_i = \frac{e^{s_i}}{\sum_j e^{s_j}}$$
#
# The exponential makes every score positive and keeps the order; the division makes the sum one. One warning: try your
# function on scores of a thousand before you trust it.


# %%
def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Turn scores into weights: each at least 0, together 1 along `dim`, larger for larger scores.

    softmax(tensor([1000., 1001.])) is tensor([0.2689, 0.7311]).
    """
    # SOLUTION
    # 1. Find a number that can be subtracted from every score of a row without changing any weight.
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
most_likely = probabilities.topk(6).indices
names = [tokenizer.decode([int(i)]) for i in most_likely]
figure = figures.scores_and_probabilities(
    scores[most_likely],
    probabilities[most_likely],
    names,
    "Small steps in score, large ones in probability",
)

assert math.isclose(float(probabilities.sum()), 1.0, abs_tol=1e-4)
assert {" happy", " sad"} <= set(names)

# %% [markdown]
# ## 2 · Why √d
#
# A score is a dot product: $q \cdot k = q_1 k_1 + \dots + q_d k_d$, a sum of $d$ products, where $d$ is the size of the
# vectors. Take queries and keys of independent random numbers with mean 0 and standard deviation 1, and let $d$ grow.
# **Predict:** what happens to the standard deviation of the scores from $d = 4$ to $d = 1024$? Does it grow 256 times,
# 16 times, or not at all?

# %%
head_dims = [4, 8, 16, 32, 64, 128, 256, 512, 1024]


def score_statistics(divide_by):
    """For each head size: the scores' standard deviation, and the largest of 16 weights."""
    deviation, largest = [], []
    for d in head_dims:
        query, key = torch.randn(2, 9600, d, generator=rng)
        scores = (query * key).sum(-1) / divide_by(d)
        deviation.append(float(scores.std()))
        largest.append(float(softmax(scores.reshape(600, 16)).amax(-1).mean()))
    return deviation, largest


deviation, largest = score_statistics(divide_by=lambda d: 1.0)
slope = np.polyfit(np.log(head_dims), np.log(deviation), deg=1)[0]
print(f"standard deviation ~ d to the power of {slope:.2f}")
print(f"from d = 4 to d = 1024 it grows {deviation[-1] / deviation[0]:.0f} times")
assert abs(slope - 0.5) < 0.02
assert largest[-1] > 0.9

figure = figures.score_spread(head_dims, {"as they are": deviation}, {"as they are": largest})

# %% [markdown]
# Sixteen times: the power is one half. Each product adds a variance of 1, so the variance of the sum is $d$ and its
# standard deviation is $\sqrt d$. On the right you see what that does. With 1024 channels one key of sixteen, picked by
# chance, takes nearly all the attention. The dictionary became sharp without being asked. The cure follows from the
# diagnosis: divide each score by $\sqrt d$.

# %%
scaled_deviation, scaled_largest = score_statistics(divide_by=math.sqrt)
print(f"scaled, it stays between {min(scaled_deviation):.2f} and {max(scaled_deviation):.2f}")
assert 0.95 < min(scaled_deviation) <= max(scaled_deviation) < 1.05
assert abs(scaled_largest[-1] - scaled_largest[2]) < 0.05

# %% [markdown]
# Is that more than a matter of taste? A sharp softmax could be just what a model wants. So look at what it does to
# learning: the gradient that reaches a query, for hundreds of random queries. **Predict:** without the root, do queries
# of 1024 channels get gradients that are too small, or too large?


# %% tags=["expected"]
def gradients_at_queries(d, divide_by, seed):
    """The norm of the gradient at each of 300 queries; the loss is a random mix of the output's channels."""
    random = torch.Generator().manual_seed(seed)
    query = torch.randn(300, 1, d, generator=random, requires_grad=True)
    key = torch.randn(300, 16, d, generator=random)
    value, wanted = torch.randn(300, 16, 8, generator=random), torch.randn(8, generator=random)
    weights = softmax((query * key).sum(-1) / divide_by(d))
    loss = ((weights[:, None] @ value) @ wanted).sum()
    return torch.autograd.grad(loss, query)[0].norm(dim=-1).flatten()


ways = {"as they are": lambda d: 1.0, "divided by √d": math.sqrt}
sizes = {name: [] for name in ways}
for name, divide_by in ways.items():
    for d in head_dims:
        runs = torch.stack([gradients_at_queries(d, divide_by, seed) for seed in range(3)])
        sizes[name].append(tuple(runs.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()))
        if d == 1024:
            medians, means = runs.median(dim=1).values, runs.mean(dim=1)
            print(f"d = 1024, {name}, three seeds:")
            print(f"    median query {', '.join(f'{median:.3f}' for median in medians)}")
            print(f"    mean         {', '.join(f'{mean:.1f}' for mean in means)}")
            largest_tenth = runs.sort(dim=1).values[:, -30:].sum() / runs.sum()
            print(f"    of all gradient, {largest_tenth:.0%} is at a tenth of the queries")
            assert (largest_tenth > 0.6) if name == "as they are" else (largest_tenth < 0.3)
            assert (
                means > 50 * medians if name == "as they are" else means < 3 * medians
            ).all()
figure = figures.gradient_at_queries(
    head_dims, sizes, "The larger the head, the fewer queries learn without the root"
)

assert sizes["as they are"][-1][1] < 0.05 * sizes["divided by √d"][-1][1]
assert sizes["as they are"][-1][2] > 3 * sizes["divided by √d"][-1][2]
assert sizes["as they are"][0][0] > sizes["divided by √d"][0][0], (
    "small heads do without the root"
)
assert all(0.25 * half < low and high < 4 * half for low, half, high in sizes["divided by √d"])
medians = {name: [half for _, half, _ in each] for name, each in sizes.items()}
assert max(medians["divided by √d"]) < 2.5 * min(medians["divided by √d"])
assert medians["as they are"][3:] == sorted(medians["as they are"][3:], reverse=True)

# %% [markdown]
# Both, and that is the trouble. Where one weight is nearly 1 and the others nearly 0, the softmax is flat, and a flat
# function has no gradient: the median query gets next to none. A few queries stand between two keys, where the softmax
# is as steep as a cliff: they get *more* than with the root, and dominate the mean. A model makes all queries with one
# matrix, so what that matrix learns would depend on these few. In small heads the root matters little: at the left end of
# the figure, most queries get a gradient without it, too. With the root, the median hardly depends on the size of the
# head, and most queries are within a few times of it.

# %% [markdown]
# ### Exercise 02.2 · `scaled_dot_product_attention` (10 minutes)
#
# For all queries at once. With the queries as the rows of $Q$, keys as the rows of $K$ and values as the rows of $V$:
#
# $$\text{attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$
#
# $d$ is the width of queries and keys. The softmax runs along the keys, so that each query's **attention weights** add
# up to one. The **mask** says which keys a query may see at all: `mask[t, s]` is True where query `t` *may* look at key
# `s`. A hidden key must get a weight of exactly zero, so give it a score whose exponential is zero *before* the
# softmax.
#
# Shapes are written in letters: T queries, S keys, C channels, Cv channels of a value, and `*B` for any axes in front
# (batch, heads), which your code can ignore if it counts axes from the end.

# %%
figure = figures.attention_shapes("Every query meets every key, every weight a value")

# %% [markdown]
# Axes that are multiplied away have the same letter: C in the first product, S in the second. (In code C is the size of
# a head, the $d$ of the formula.) Now write it.


# %%
def scaled_dot_product_attention(
    query: Float[Tensor, "*#B T C"],
    key: Float[Tensor, "*#B S C"],
    value: Float[Tensor, "*#B S Cv"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "*#B T Cv"]:
    """Average the values, weighting each by how well its key matches the query.

    Args:
        mask: True where query t may look at key s. None: every query may look at every key.
    """
    # SOLUTION
    # 1. Compare every query with every key: one row per query, one column per key. Scale.
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    # 2. Where there is a mask, give hidden keys a score whose exponential is zero.
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    # 3. Turn scores into weights and average the values with them.
    return softmax(scores) @ value
    # END SOLUTION


# %% tags=["check"]
scaled_dot_product_attention = check("02.2", scaled_dot_product_attention)

# %% [markdown]
# **By hand, once: three tokens, two channels.** The numbers are chosen so that paper is enough. The queries are
# multiples of $\sqrt 2$, so that the division by $\sqrt d$ cancels; the keys are logarithms of 1, 2 and 3, so that the
# exponentials are whole numbers. Work out the last row: its three scores, their exponentials, the weights, the output.

# %%
query = math.sqrt(2) * torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
key = torch.tensor([[1.0, 1.0], [2.0, 1.0], [1.0, 3.0]]).log()
value = torch.tensor([[0.0, 60.0], [60.0, 0.0], [120.0, 0.0]])

for t in range(3):  # a loop over queries, so that every number has a name
    scores = [float(query[t] @ key[s]) / math.sqrt(2) for s in range(3)]
    exponentials = [math.exp(score) for score in scores]
    weights = [one / sum(exponentials) for one in exponentials]
    output = [sum(weights[s] * float(value[s, c]) for s in range(3)) for c in range(2)]
    print(f"token {t}: exponentials {', '.join(f'{e:.0f}' for e in exponentials)}", end="")
    print(f" · weights {', '.join(f'{w:.2f}' for w in weights)}", end="")
    print(f" · output {', '.join(f'{o:.0f}' for o in output)}")
    mine = scaled_dot_product_attention(query, key, value)[t]
    assert torch.allclose(mine, torch.tensor(output), atol=1e-3)

# %% [markdown]
# And all at once, as your function does it. Follow one row from the left to the right, then into the second line.

# %% tags=["expected"]
figure = figures.worked_attention(query, key, value, title="One row per query, all the way")

# %% [markdown]
# Your function returns averages, not weights. There is a way to see the weights all the same: give every key a value
# that names it, a row of the identity matrix. What comes out is the attention weights themselves.
#
# Here it is on a real sentence. The vectors are the model's own embeddings, scaled to a standard deviation of one, used
# as queries and keys at once. **Predict:** to which token will each token give the most weight?

# %% tags=["expected"]
sentence = "Lily gave Tom her red ball because he was sad."
ids = torch.tensor(tokenizer.encode(sentence), device=device)
tokens = [tokenizer.decode([int(i)]) for i in ids]
vectors = model.embedding.weight[ids].detach().cpu()
vectors = vectors / vectors.std(dim=-1, keepdim=True)

weights = scaled_dot_product_attention(vectors, vectors, torch.eye(len(tokens)))
figure = figures.attention_map(weights, tokens, "With nothing learned, each looks at itself")
assert (weights.argmax(-1) == torch.arange(len(tokens))).all()

# %% [markdown]
# To itself. Of vectors of about the same length, as these are, each has the largest product with itself, and attention
# with nothing learned finds no more than that. To look *elsewhere*, a model learns three matrices that make a token's
# query, key and value different vectors: what it looks for, what it can be found by, and what it passes on. Lesson 03
# adds them. Section 5 below shows what they learn.

# %% [markdown]
# ## 3 · No peeking
#
# A language model learns by predicting the next token. Look at what a token sees in the map above: everything, even
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
# A model that reads its own future will do brilliantly in training and fail when it generates, because then there is no
# future to read. So each token may look at itself and at what came before it, and at nothing else.
#
# **Predict:** once that holds, which outputs move if token 2 of 6 changes?
#
# ### Exercise 02.3 · `causal_mask` (8 minutes)
#
# Draw it first, for three tokens: one row per query, one column per key, `#` where the query may look. Then write it in
# code.
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
# The three tokens from above, masked: where grey is, there is no score, and each row of weights still adds up to one.

# %% tags=["expected"]
figure = figures.worked_attention(
    query, key, value, causal_mask(3, 3), title="The same, with the future hidden"
)
first = scaled_dot_product_attention(query, key, value, causal_mask(3, 3))[0]
assert torch.allclose(first, value[0]), "the first token sees only itself"

# %% [markdown]
# A picture of a mask proves nothing about a model. An experiment does: change each token in turn and record which
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
figure = figures.influence(has_moved, "A change moves nothing that came before it")

assert not has_moved.triu(1).any(), "an output moved before its time"
assert has_moved.diagonal().all()

# %% [markdown]
# Token 2 moves the outputs 2, 3, 4 and 5. All in all a staircase, and above it not small numbers but exact zeros: outputs
# are compared with `!=`.
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
# ## 4 · Hiding a key
#
# Many libraries take a mask of numbers that is *added* to the scores instead of a boolean one. What do you have to add
# so that a weight does not change? So that it becomes exactly zero?
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
# Why so drastic, minus *infinity*? Here are ways to hide the future, and the fraction of attention that still reaches it,
# averaged over a hundred random texts of twelve tokens. The first two are mistakes that beginners make. The others are
# from real code: BERT's adds -10,000, GPT-2's subtracts 1e10, Gemma's sets about -2e38, not far from the lowest number
# that a float of 32 bits can hold. **Predict:** which of them leak?

# %% tags=["expected"]
queries, other_keys = torch.randn(2, 100, 12, 8, generator=rng)
scores = queries @ other_keys.transpose(-2, -1) / math.sqrt(8)
mask = causal_mask(12, 12)
hidden = {
    "scores times 0": scores * mask,
    "scores set to -1": scores.masked_fill(~mask, -1.0),
    "BERT: -10,000 added": scores - 1e4 * (~mask).float(),
    "GPT-2: 1e10 subtracted": scores - 1e10 * (~mask).float(),
    "Gemma: set to -2e38": scores.masked_fill(~mask, -2.3819763e38),
    "minus infinity added": scores + additive_mask(mask),
}
leaked = {name: float((softmax(s) * ~mask).sum(-1).mean()) for name, s in hidden.items()}
for name, fraction in leaked.items():
    print(f"{name:23s} {fraction:.2f}")
figure = figures.leakage(leaked)

mistakes, real = list(leaked.values())[:2], list(leaked.values())[2:]
assert min(mistakes) > 0.01
assert real == [0.0] * 4, "exactly zero: the exponential is too small for a float"

# %% [markdown]
# A score of zero is a score like any other, and so is -1. Every number that is *far* below the others hides its key
# just as well as minus infinity does: the exponential of -10,000 is exactly zero in a float. So why infinity? The
# difference shows in one case: **every** key of a query is hidden. It happens with padding, and with masks that are
# wrong by one. Scores 0, 1 and 2, values 1, 2 and 3, all of them hidden:

# %% tags=["expected"]
three_scores, three_values = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
all_hidden = {
    "not hidden at all": three_scores,
    "minus infinity added": three_scores - math.inf,
    "-10,000 added": three_scores - 1e4,
    "1e10 subtracted": three_scores - 1e10,
}
for name, hidden_scores in all_hidden.items():
    weights = softmax(hidden_scores)
    shown = ", ".join(f"{weight:.2f}" for weight in weights)
    print(f"{name:21s} weights {shown}, output {float(weights @ three_values):.1f}")

assert softmax(all_hidden["minus infinity added"]).isnan().all()
assert torch.allclose(softmax(all_hidden["-10,000 added"]), softmax(three_scores), atol=1e-3)
assert torch.allclose(softmax(all_hidden["1e10 subtracted"]), torch.full((3,), 1 / 3))

# %% [markdown]
# With minus infinity the weights are 0 / 0, and `nan` spreads to the loss within one step: you notice. With a finite
# number the query reads what it must not see, and nobody notices. After adding -10,000 it reads as if there were no mask:
# all scores fall by the same amount. 1e10 is so large that the scores are rounded away, and it reads all values evenly.
# Which is better, `nan` or this, depends on whether such a row is a mistake; in a causal mask it always is, since a token
# sees itself.

# %% [markdown]
# ## 5 · A real one, read with care
#
# The pretrained model has several layers with several heads each: small attentions side by side, each with its own
# learned query, key and value matrices (lesson 03). Move the sliders and look for a head that does something you
# can name.

# %%
maps = attention_maps(model, ids)  # layers, heads, queries, keys
num_layers, num_heads = maps.shape[:2]


def draw_head(layer=0, head=0):
    title = f"Layer {layer}, head {head}"
    return figures.attention_map(
        maps[layer, head], tokens, title, causal_mask(*[len(tokens)] * 2)
    )


explore(draw_head, layer=IntSlider(max=num_layers - 1), head=IntSlider(max=num_heads - 1))

# %% [markdown]
# Where does "he" look? Of all heads, this is the one whose "he" gives the most weight to the boy in the sentence:

# %% tags=["expected"]
he, tom = tokens.index(" he"), tokens.index(" Tom")
best = int(maps[:, :, he, tom].argmax())
layer, head = divmod(best, num_heads)
weight = float(maps[layer, head, he, tom])
print(f'layer {layer}, head {head}: " he" gives " Tom" a weight of {weight:.2f}')
figure = draw_head(layer, head)

# %% [markdown]
# It is tempting to write "the model has understood the pronoun" under such a picture. A map shows where a head *reads*.
# Whether the model *needs* what it reads there is another question, and it can be measured: remove a head and see
# how much worse the model predicts (an **ablation**). "Remove" here means that the head gives the same weight to
# everything it may see. **Predict:** are the heads with the most focused maps the ones that the model needs most?

# %% tags=["expected"]
stories = load_documents("stories")[:12]
batch = torch.tensor([tokenizer.encode(story)[:96] for story in stories], device=device)


def next_token_loss(logits, token_ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())


def rank_correlation(a, b):
    """Spearman's: the correlation of the ranks."""
    ranks = torch.stack([x.flatten().argsort().argsort().float() for x in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


costs = head_costs(model, batch, next_token_loss)
focus = torch.stack([attention_maps(model, story).amax(-1).mean(-1) for story in batch]).mean(0)

costliest = divmod(int(costs.argmax()), num_heads)
focused = focus >= focus.flatten().quantile(0.75)
idle = divmod(int(costs.masked_fill(~focused, math.inf).argmin()), num_heads)
order = rank_correlation(focus, costs)
for what, which in {"most needed": costliest, "focused, least needed": idle}.items():
    below = int((costs < costs[which]).sum())
    print(
        f"{what:22s} layer {which[0]}, head {which[1]}: {costs[which]:+.2f} nats per token, more",
        end="",
    )
    print(f" than {below} of the other {costs.numel() - 1} heads")
title = f"Focus against importance: a rank correlation of {order:.1f}"
figure = figures.head_costs(focus, costs, [costliest, idle], title)

assert order > 0.3
assert costs[idle] < 0.5 * costs[costliest]

# %% [markdown]
# (A **nat** is the unit of the loss: one nat more means that the token that really comes next gets $1/e$, about a
# third, of the probability it had.)
#
# The horizontal axis is what catches the eye: how strongly a head's queries focus on one key. The vertical axis is what
# the model loses without the head. The rank correlation compares two orders: 1 means that the heads stand in the same
# order on both axes, 0 that one order says nothing about the other. So on the whole a focused map *is* a hint that a
# head matters. For a single head it is no more than a hint: among the quarter of heads with the most focused maps is
# one that costs less than half of what the most needed head costs; the assertion checks it.
#
# Removing one head at a time is itself a rough measure: another head may step in for the one that is missing. How much
# a map explains has been argued ever since Jain and Wallace 2019, "Attention is not Explanation"
# ([arXiv:1902.10186](https://arxiv.org/abs/1902.10186)), and the reply by Wiegreffe and Pinter 2019, "Attention is not
# not Explanation" ([arXiv:1908.04626](https://arxiv.org/abs/1908.04626)): it depends on the question, so test it.

# %% [markdown]
# ## 6 · What it costs
#
# Every query meets every key. **Predict:** a text twice as long needs a matrix of weights how many times as large?

# %%
weights_bytes = {
    T: scaled_dot_product_attention(torch.zeros(T, 4), torch.zeros(T, 4), torch.eye(T)).nbytes
    for T in (256, 512, 1024)
}
for T, size in weights_bytes.items():
    print(f"{T:5d} tokens: {size / 2**20:6.2f} MiB for one head")
million = weights_bytes[1024] * (1_000_000 / 1024) ** 2
print(f"1,000,000 tokens: {million / 2**40:.1f} TiB for one head (1 TiB is 1024 × 1024 MiB)")
assert weights_bytes[1024] == 4 * weights_bytes[512] == 16 * weights_bytes[256]
assert 3.5 < million / 2**40 < 3.8

# %% [markdown]
# Four times for twice the length: the cost is *quadratic*. For the million tokens that Gemini reads, one head's matrix
# would fill terabytes. No single accelerator holds that, and none has to: lesson 07 computes the same result without ever
# writing the matrix down, and then makes most of it unnecessary.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("02")

# %% [markdown]
# ## Recap
#
# 1. Attention is a soft dictionary: compare a query with every key, average the values.
# 2. The softmax turns scores into attention weights: positive, and one in all for each query.
# 3. Only differences of scores count, so subtracting the largest one is free and keeps the exponential in range.
# 4. A score sums $d$ products, so its standard deviation grows like $\sqrt d$.
# 5. Divided by $\sqrt d$, the sharpness no longer depends on the size of the head, and most queries get a gradient.
# 6. Rows are queries, columns are keys; the mask is True where a query may look.
# 7. Causal means: no output depends on a later token. Test it by changing tokens, not by looking at the mask.
# 8. A hidden score lies far below all others *before* the softmax; if a whole row is hidden, infinity gives `nan`.
# 9. A map shows where a head reads; whether the model needs it is measured by taking the head away.
# 10. Every pair of tokens has a weight: twice the text, four times the matrix.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x2 and 3x2)</code></summary>
#
# `query @ key` with both as (tokens, channels). The inner sizes of a product must agree: transpose the keys, so that
# channels meet channels. With axes in front the message reads `Expected size for first two dimensions of batch2
# tensor`, and means the same.
# </details>
#
# <details>
# <summary><code>RuntimeError: masked_fill_ only supports boolean masks, but got mask with dtype float</code></summary>
#
# `masked_fill` wants True and False. A mask of zeros and ones is compared first: `mask == 0`. And `~mask` of numbers
# is something else than of booleans.
# </details>
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 1</code></summary>
#
# Two tensors are added or multiplied elementwise, and one axis has different sizes. In attention it is mostly a mask
# made for queries where keys are meant, or a sum without `keepdim=True`, so that the axis to divide by is gone.
# </details>
#
# <details>
# <summary>No error, but the loss is <code>nan</code></summary>
#
# Some row is hidden completely, or an exponential has overflowed. Look for the first tensor with
# `tensor.isnan().any()`, from the input up.
# </details>
#
# ## From here to Gemini
#
# - The formula is equation 1 of Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)), section
#   3.2.1; the argument about √d is its footnote 4. It is at the core of every Gemma model; how Gemini attends in detail
#   is not published.
# - The factor has changed since. Gemma 2 also limits large scores with a soft cap; Gemma 3 normalizes queries and keys,
#   so that the sharpness is learned and bounded; Gemma 3n and Gemma 4 do that and leave the division out altogether. Our
#   own model normalizes, too: `query_norm` and `key_norm` in `gemini_workshop/models/attention_layers.py`.
# - In `attention.py` beside it, `scaled_dot_product_attention` is what you wrote. In training,
#   `gemini_workshop/kernels/fused_attention.py` runs instead: the same numbers from PyTorch's fused kernel, without the
#   matrix.
# - Lesson 03 puts many heads side by side, 04 tells tokens where they are, 07 shares keys between heads and looks
#   through a window.
#
# ## Stretch · without the matrix
#
# Write attention again so that the T × S matrix is never stored. Go through the keys in chunks and keep, for each
# query, only the largest score so far, the sum so far and the average so far. When a larger score turns up, by what
# must the old sum and the old average be multiplied? The test below is ready: its last line shows the largest tensor
# that is made on the way, against the size of the matrix. The answer is in lesson 07.


# %%
def attention_in_chunks(query, key, value, chunk=4):
    return scaled_dot_product_attention(query, key, value)  # yours goes here


class LargestTensor(TorchDispatchMode):
    """While it is on, remembers how many numbers the largest new tensor has."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.numbers = max(self.numbers, getattr(result, "numel", int)())
        return result


long_query, long_key, long_value = torch.randn(3, 50, 8, generator=rng)
expected = F.scaled_dot_product_attention(long_query[None], long_key[None], long_value[None])[0]
with LargestTensor() as largest_tensor:
    found = attention_in_chunks(long_query, long_key, long_value)
assert torch.allclose(found, expected, atol=1e-5), "the result has to stay the same"
print(f"largest tensor: {largest_tensor.numbers} numbers; the matrix has {50 * 50}")
print("without the matrix:", largest_tensor.numbers < 50 * 50)
