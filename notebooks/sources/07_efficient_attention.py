# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "07"
#     title: Efficient attention
#     part: part3_innovations
#     kind: pair
#     minutes: 90
#     budget_seconds: 60
#     requires: ["02", "03", "06"]
# ---

# %% [markdown]
# # 07 · Efficient attention
#
# **90 minutes** · builds on 02, 03 and 06
#
# After this lesson you can
#
# - compute attention without ever holding its matrix, and say what that saves and what it does not,
# - build a sliding window whose cost really is proportional to the text,
# - say what a sparse pattern cannot see,
# - share keys and values between heads, and predict the size of a cache to the byte.
#
# Attention has three bills: arithmetic, memory traffic, and the cache. Each idea of this lesson pays one of them and
# leaves the others. You write seven functions. In a hurry? Sections 1, 3, 6 and 7 are the core; sections 4 and 5 have
# no exercise.

# %%
import math
import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.interpretability.heads import attention_maps
from gemini_workshop.evaluation.traffic import MemoryTraffic
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.accounting import num_parameters
from gemini_workshop.models.attention import scaled_dot_product_attention, visible_keys
from gemini_workshop.models.attention import scaled_dot_product_attention as written_out
from gemini_workshop.models.block_sparse import block_sparse_attention
from gemini_workshop.models.families.registry import published_config
from gemini_workshop.models.flash_attention import largest_tile
from gemini_workshop.models.masks import block_sparse_mask, causal_mask, token_mask
from gemini_workshop.visualization import efficient as figures
from gemini_workshop.visualization.attention import attention_map
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import IntSlider
from jaxtyping import Bool, Float
from torch import Tensor

use_theme()
device = pick_device()
model, tokenizer = load_pretrained(device=device)
stories = [tokenizer.encode(story) for story in load_documents("stories")]
long_stories = [ids for ids in stories if len(ids) >= 192]


def is_quick(attend):
    """Whether it computes with whole matrices: Python loops over tokens would take minutes below."""
    start = time.process_time()
    attend(*torch.zeros(3, 64, 4))
    return time.process_time() - start < 0.03


# Parts that you wrote in earlier lessons on this computer are used; the package's replace the others.
causal_mask = own_or(causal_mask)
own = own_or(scaled_dot_product_attention)
scaled_dot_product_attention = own if is_quick(own) else scaled_dot_product_attention
for part in (causal_mask, scaled_dot_product_attention):
    print(f"{part.__name__:30s} {'yours' if is_own(part) else 'from the package'}")

# %% [markdown]
# ## 1 · A softmax in pieces
#
# In lesson 02 a text of a million tokens needed terabytes for the weights of a single head. Must they all be there at
# once? The obvious idea: cut the keys into tiles, compute attention over each tile, and average the outputs. No tile
# ever needs the whole row.
#
# Here are real queries, keys and values: from one head of the pretrained model while it reads a story. **Predict:** how
# far from the true output is the average of the tiles: is it exact, off by about 1 %, or off by more than 10 %?


# %%
def record_attention(ids, layer):
    """Queries, keys and values of a layer's first head, while the model reads a text."""
    seen = []

    def attend(query, key, value, rule):
        seen.append([x[0, 0].cpu() for x in (query, key, value)])
        return original(query, key, value, rule)

    original = model.blocks[0].attention.attend
    with torch.no_grad(), model.attention_by(attend):
        model(torch.tensor([ids], device=device))
    return seen[layer]


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def average_of_tiles(query, key, value, tile):
    """The wrong way: attention over each tile of keys by itself, then the mean."""
    pieces = zip(key.split(tile), value.split(tile), strict=True)
    return torch.stack([scaled_dot_product_attention(query, k, v) for k, v in pieces]).mean(0)


last_layer = model.config.num_layers - 1
for story in long_stories[:3]:
    query, key, value = record_attention(story[:192], last_layer)
    asking = query[-1:]  # the last token sees all keys, so no mask is needed
    expected = scaled_dot_product_attention(asking, key, value)
    error = relative_error(average_of_tiles(asking, key, value, 16), expected)
    print(f"average of 12 tiles: off by more than a tenth: {error > 0.1}")
    assert error > 0.1

# %% [markdown]
# Far off. Each tile's softmax hands out a whole unit of weight, however unimportant its keys are, so a tile in which
# nothing matches counts as much as the one that holds the answer. What has to be kept is how much weight each tile
# *deserves*: the sum of its exponentials.
#
# Sums can be kept running. For each query, three things are enough: the largest score so far $m$, the total
# $\ell = \sum_j e^{s_j - m}$, and the values mixed with the same terms, $o = \sum_j e^{s_j - m}\, v_j$. At the end the output
# is $o / \ell$. There is one difficulty: the next tile may hold a larger score, and then every old term was made
# with the wrong $m$.
#
# ### Exercise 07.1 · `online_softmax` (10 minutes)
#
# Take a tile of further keys into the three sums. Lesson 02 asked this in its last stretch: when a larger score turns
# up, by what must the old sums be multiplied? Example: with the scores 1 and 1 behind you (largest 1, total 2) comes
# the score $1 + \ln 4$. Relative to the new largest, each old term is not 1 but a quarter, and the new total is
# $2 \cdot \frac14 + 1$.


# %%
def online_softmax(
    largest: Float[Tensor, "*B T 1"],
    total: Float[Tensor, "*B T 1"],
    mixed: Float[Tensor, "*B T Cv"],
    scores: Float[Tensor, "*B T S"],
    value: Float[Tensor, "*B S Cv"],
) -> tuple[Float[Tensor, "*B T 1"], Float[Tensor, "*B T 1"], Float[Tensor, "*B T Cv"]]:
    """Take the scores and values of more keys into a softmax that is not finished.

    Args:
        largest: the largest score so far of each query; before the first key, minus infinity.
        total: the sum of exp(score - largest) over the keys so far.
        mixed: the same sum with each term times the key's value.
        scores: of the new keys, minus infinity where one is hidden.
        value: the values of the new keys.

    Returns:
        The three sums, now with the new keys; not divided by anything.
    """
    # SOLUTION
    # 1. The largest score of each query, old and new keys together.
    new_largest = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    # 2. The factor that brings the old sums to this new largest score.
    shrink = (largest - new_largest).exp()
    # 3. The exponentials of the new scores; both sums with old and new terms.
    weights = (scores - new_largest).exp()
    total = total * shrink + weights.sum(dim=-1, keepdim=True)
    mixed = mixed * shrink + weights @ value
    return new_largest, total, mixed
    # END SOLUTION


# %% tags=["check"]
online_softmax = check("07.1", online_softmax)

# %% [markdown]
# Three tiles of two keys each, by hand. The exponentials of the scores are 1, 3 · 6, 12 · 2, 6, and each value is the
# number of its key. Watch `total` when the second tile brings a larger score, and the last column: the output as far as
# it is known.

# %% tags=["expected"]
scores = torch.tensor([[1.0, 3.0, 6.0, 12.0, 2.0, 6.0]]).log()
values = torch.arange(6.0)[:, None]
sums = torch.full((1, 1), -math.inf), torch.zeros(1, 1), torch.zeros(1, 1)
for start in (0, 2, 4):
    tile = slice(start, start + 2)
    sums = online_softmax(*sums, scores[:, tile], values[tile])
    largest, total, mixed = (float(x) for x in sums)
    print(f"keys {start} and {start + 1}: exp(largest) {math.exp(largest):2.0f}", end="")
    print(f" · total {total:.3f} · mixed {mixed:.3f} · mixed / total {mixed / total:.3f}")
assert math.isclose(mixed / total, float(scores.softmax(-1) @ values), abs_tol=1e-5)
assert math.isclose(total, 30 / 12, abs_tol=1e-5)

# %% [markdown]
# And on the real head: how far the running answer is from the final one, tile by tile, beside the average of the tiles.

# %% tags=["expected"]
key_tiles, value_tiles = key.split(16), value.split(16)
sums = torch.full((1, 1), -math.inf), torch.zeros(1, 1), torch.zeros(1, value.shape[1])
errors = {"online softmax": [], "average of the tiles": []}
for i, (k, v) in enumerate(zip(key_tiles, value_tiles, strict=True)):
    sums = online_softmax(*sums, asking @ k.T / math.sqrt(key.shape[1]), v)
    errors["online softmax"].append(relative_error(sums[2] / sums[1], expected))
    seen = slice(0, 16 * (i + 1))
    averaged = average_of_tiles(asking, key[seen], value[seen], 16)
    errors["average of the tiles"].append(relative_error(averaged, expected))
figure = figures.curves(
    range(16, 193, 16),
    {name: [max(error, 1e-7) for error in line] for name, line in errors.items()},
    "Online: exact after the last tile",
    labels=("keys seen", "distance from the final output"),
    is_log=(False, True),
)
assert errors["online softmax"][-1] < 1e-5
assert errors["average of the tiles"][-1] > 0.1

# %% [markdown]
# The line drops to the rounding of a float at the last tile and not before: until then, a key that has not been seen may
# still change everything. It is exact, not an approximation.
#
# ## 2 · Tiles
#
# Now the queries are cut into tiles, too. A tile of queries stays; the tiles of keys and values pass by.
#
# ### Exercise 07.2 · `flash_attention` (20 minutes)
#
# Causal attention in tiles, the largest exercise of this lesson: a loop over tiles of queries and in it one over tiles
# of keys. The queries are the last T of the S tokens, as in `causal_mask`: query t is token S - T + t.
#
# Three questions before you write. Where do the sums start, and where are they divided? Which tiles of keys can be left
# out, because they lie wholly in the future? And does every query see something in the first tile, so that no row
# begins with nothing but minus infinity?


# %%
def flash_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S Cv"],
    tile_tokens: int,
) -> Float[Tensor, "*B T Cv"]:
    """Causal attention tile by tile; no tensor has a number for every query and key.

    Args:
        query: the last T of the S tokens.
        tile_tokens: how many queries a tile has, and how many keys; the last tiles may have fewer.
    """
    # SOLUTION
    T, S = query.shape[-2], key.shape[-2]
    outputs = []
    # 1. For each tile of queries: scale it, note the places of its queries, and start the three sums.
    for first in range(0, T, tile_tokens):
        tile = query[..., first : first + tile_tokens, :] / math.sqrt(query.shape[-1])
        places = S - T + first + torch.arange(tile.shape[-2], device=query.device)
        largest = torch.full_like(tile[..., :1], -math.inf)
        total, mixed = torch.zeros_like(largest), torch.zeros_like(largest) * value[..., :1, :]
        # 2. Go through the keys in tiles, up to the last one that any query of this tile sees.
        for start in range(0, S - T + first + tile.shape[-2], tile_tokens):
            keys = slice(start, start + tile_tokens)
            # 3. The scores of this tile of keys; hide what comes after the query.
            scores = tile @ key[..., keys, :].transpose(-2, -1)
            numbers = torch.arange(start, start + scores.shape[-1], device=query.device)
            scores = scores.masked_fill(numbers > places[:, None], -math.inf)
            # 4. Take them into the sums.
            largest, total, mixed = online_softmax(
                largest, total, mixed, scores, value[..., keys, :]
            )
        # 5. After the last tile of keys, finish the softmax of this tile of queries.
        outputs.append(mixed / total)
    return torch.cat(outputs, dim=-2)
    # END SOLUTION


# %% tags=["check"]
flash_attention = check("07.2", flash_attention)

# %% [markdown]
# Equal to the plain formula for lengths that no tile divides, in float64, where rounding explains nothing. And in every
# layer of the pretrained model (its heads share keys, which is section 6; until then they are repeated):


# %%
def attend_by_tiles(query, key, value, rule):
    groups = query.unflatten(1, (key.shape[1], -1))  # sequences, groups, heads of a group, ...
    key, value = (x.unsqueeze(2).expand(-1, -1, groups.shape[2], -1, -1) for x in (key, value))
    return flash_attention(groups, key, value, tile_tokens=16).flatten(1, 2)


for T in (1, 7, 37, 101):
    q, k, v = torch.randn(3, 2, T, 8, generator=torch.Generator().manual_seed(T)).double()
    plain = scaled_dot_product_attention(q, k, v, causal_mask(T, T))
    assert (flash_attention(q, k, v, 16) - plain).abs().max() < 1e-6

ids = torch.tensor([long_stories[0][:101]], device=device)
with torch.no_grad():
    expected = model(ids)
    with model.attention_by(attend_by_tiles):
        found = model(ids)
assert (found - expected).abs().max() < 1e-3
print("tiles of 16: equal for 1, 7, 37 and 101 tokens, and in all layers of the model")

# %% [markdown]
# What has been gained? **Predict**, for a text of 2048 tokens: does the arithmetic fall by more than half? Does the
# traffic between the memory and the cores?
#
# A GPU has two memories. The large one holds everything and is slow; the small one beside the cores holds some tens of
# thousands of numbers. `MemoryTraffic` watches PyTorch with such a machine in mind: a result stays in the fast memory if it
# fits; otherwise it is written to the slow one, and read again by the next operation. `largest_tile` says which
# tile fits. 64 channels, and a fast memory of 5,000 or 20,000 numbers:

# %% tags=["expected"]
lengths = [256, 512, 1024, 2048]
traffic = {"written out": [], "tiles, M = 5,000": [], "tiles, M = 20,000": []}
flops = {name: [] for name in traffic}
for T in lengths:
    x = torch.zeros(T, 64)
    mask = causal_mask(T, T)
    with MemoryTraffic(fast_numbers=20_000) as plain:
        written_out(x, x, x, mask)
    counted = [plain]
    for fast_numbers in (5_000, 20_000):
        with MemoryTraffic(fast_numbers) as memory:
            flash_attention(x, x, x, largest_tile(fast_numbers, channels=64))
        counted.append(memory)
    for name, memory in zip(traffic, counted, strict=True):
        traffic[name].append(memory.traffic / 1e6)
        flops[name].append(memory.flops / 1e6)
print(f"largest tensor: {plain.largest_made:,} numbers, by tiles {memory.largest_made:,}")
for name in traffic:
    print(
        f"{name:18s} {traffic[name][-1]:5.1f} million numbers, {flops[name][-1]:6.0f} million FLOPs"
    )

figure = figures.curves(
    lengths,
    traffic,
    "The tiles move a fraction of the numbers",
    labels=("tokens", "numbers moved (millions)"),
)
assert traffic["written out"][-1] > 5 * traffic["tiles, M = 20,000"][-1]
assert traffic["tiles, M = 5,000"][-1] >= 2 * traffic["tiles, M = 20,000"][-1]
for line in traffic.values():
    assert 3 * line[-2] <= line[-1] <= 5 * line[-2], "twice the text, four times the traffic"

# %% [markdown]
# All three lines rise with the square of the text: tiles do not change that. In the order of size, attention written
# out moves $n^2$ numbers, and tiles move $n^2 d^2 / M$ for $n$ tokens, $d$ channels and a fast memory of $M$ numbers:
# keys and values pass by once for each tile of queries, and a larger memory means fewer tiles. With a realistic $M$
# that is many times less, and on a GPU the traffic is what takes the time. This is FlashAttention.
#
# The arithmetic falls by no more than half, and that half has nothing to do with the softmax: tiles in the future are
# left out. Of what a query may see, every score is still computed.
#
# ## 3 · A window
#
# To save arithmetic, fewer pairs must be looked at. Which ones does the model need? The last layer of ours is
# **global**: it sees everything. Its other layers see the last 128 tokens. Narrow the view of *all* layers, without
# training it again. **Predict:** at which window does the model begin to get worse?

# %% tags=["expected", "rounded"]
front = tokenizer.end_of_text_id  # stands before each text, as it did in training
batches = [
    torch.tensor(
        [[front, *ids[:191]] for ids in long_stories[start : start + 8]], device=device
    )
    for start in (0, 8, 16)
]


def losses_by(attend):
    """The loss on three sets of eight stories, on the tokens whose window is full, with another attention."""
    losses = []
    with torch.no_grad(), model.attention_by(attend):
        for ids in batches:
            logits = model(ids[:, :-1])[:, 96:]
            losses.append(float(F.cross_entropy(logits.flatten(0, 1), ids[:, 97:].flatten())))
    return losses


def attend_under(mask_of):
    """Attention of the model's layers under one more mask."""

    def attend(query, key, value, rule):
        mask = visible_keys(query.shape[2], key.shape[2], rule, query.device)
        mask = mask & mask_of(query.shape[2]).to(query.device)
        return F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)

    return attend


def band(num_tokens, window_tokens):
    everything = torch.ones(num_tokens, num_tokens, dtype=torch.bool)
    return everything.tril().triu(1 - window_tokens)


windows = [8, 16, 32, 64, 96, 192]
by_window = [losses_by(attend_under(lambda T, w=w: band(T, w))) for w in windows]
added = [
    [loss - full for loss, full in zip(row, by_window[-1], strict=True)] for row in by_window
]
for w, row in zip(windows[:-1], added, strict=False):
    print(f"window {w:2d}: {sum(row) / 3:+.2f} nats per token")
figure = figures.curves(
    windows[:-1],
    {f"stories {8 * i} to {8 * i + 7}": [row[i] for row in added[:-1]] for i in range(3)},
    "Most of what the model needs is close by",
    labels=("window (tokens)", "added loss (nats per token)"),
    is_log=(True, False),
)
for i in range(3):
    assert added[0][i] > 0.2
    assert abs(added[3][i]) < 0.15

# %% [markdown]
# A window of 64, a third of the text, costs little. So windows are a good bargain, the more so if some layer still sees
# everything. (Stories are short. A model that has to find a name a thousand tokens back needs more.)
#
# ### Exercise 07.3 · `sliding_window_mask` (6 minutes)
#
# The window counts the query's own key: with a window of 1 a token sees itself and nothing else. As in `causal_mask`,
# the queries are the last of the keys. In the docstring `#` is True:


# %%
def sliding_window_mask(
    num_queries: int,
    num_keys: int,
    window_tokens: int,
    *,
    device: torch.device | None = None,
) -> Bool[Tensor, "T S"]:
    """Each query may look at the last `window_tokens` keys, its own included.

    sliding_window_mask(4, 5, window_tokens=3)      keys 0 1 2 3 4
                                        query of key 1   # # . . .
                                        query of key 2   # # # . .
                                        query of key 3   . # # # .
                                        query of key 4   . . # # #
    """
    # SOLUTION
    # 1. The place of each key and of each query in the text.
    keys = torch.arange(num_keys, device=device)
    queries = keys[num_keys - num_queries :, None]
    # 2. How far a key lies behind a query; both ends of the window.
    distance = queries - keys
    return (distance >= 0) & (distance < window_tokens)
    # END SOLUTION


# %% tags=["check"]
sliding_window_mask = check("07.3", sliding_window_mask)

# %% [markdown]
# Your mask over a real attention map, of the global layer. How much of what its heads look at would be lost?

# %% tags=["rounded"]
some = torch.tensor(long_stories[0][:20], device=device)
tokens = [tokenizer.decode([int(i)]) for i in some]
maps = attention_maps(model, some)[last_layer]


def draw_window(window=6, head=0):
    mask = sliding_window_mask(len(tokens), len(tokens), window)
    kept = float((maps[head] * mask).sum(-1).mean())
    title = f"A window of {window} keeps {kept:.1f} of the weight"
    return attention_map(maps[head], tokens, title, mask)


explore(
    draw_window,
    window=IntSlider(value=6, min=1, max=20),
    head=IntSlider(max=model.config.num_heads - 1),
)

# %% [markdown]
# The mask alone saves nothing: all scores are computed and most are thrown away.
#
# ### Exercise 07.4 · `sliding_window_attention` (12 minutes)
#
# Go through the queries in chunks. A chunk of neighbors sees one slice of the keys, a little longer than the window. Two
# corners of that rectangle are outside the window and have to be masked:
#
#     window of 3 tokens, chunks of 2 queries      keys 0 1 2 3 4 5
#                                       queries 0 1    |# .|. . . .
#                                                      |# #|. . . .
#                                               2 3    |# # # .|. .
#                                                      |. # # #|. .
#                                               4 5     . .|# # # .|
#                                                       . .|. # # #|
#
# You have both functions that you need: the mask, and attention from lesson 02.


# %%
def sliding_window_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S Cv"],
    window_tokens: int,
    chunk_tokens: int,
) -> Float[Tensor, "*B T Cv"]:
    """Attention under a sliding window mask, in chunks of queries, each with its slice of keys.

    Args:
        query: the last T of the S tokens.
        window_tokens: keys that a query sees, its own included.
        chunk_tokens: queries of a chunk; the last chunk may have fewer.
    """
    # SOLUTION
    T, S = query.shape[-2], key.shape[-2]
    outputs = []
    for start in range(0, T, chunk_tokens):
        stop = min(start + chunk_tokens, T)
        # 1. Keys from the oldest that the first query sees to the newest that the last one sees.
        oldest = max(0, S - T + start - window_tokens + 1)
        newest = S - T + stop
        # 2. The mask of this rectangle: its queries are the last of its keys.
        mask = sliding_window_mask(
            stop - start, newest - oldest, window_tokens, device=query.device
        )
        # 3. Attention of the chunk to its slice.
        keys, values = key[..., oldest:newest, :], value[..., oldest:newest, :]
        outputs.append(
            scaled_dot_product_attention(query[..., start:stop, :], keys, values, mask)
        )
    # 4. All chunks, one below the other.
    return torch.cat(outputs, dim=-2)
    # END SOLUTION


# %% tags=["check"]
sliding_window_attention = check("07.4", sliding_window_attention)

# %% [markdown]
# Now the work does fall. Compare your band with the formula under your mask, for a window of 32: how many numbers does
# each compute on the way?

# %% tags=["expected"]
work = {"the mask alone": [], "your band": []}
for T in lengths:
    x = torch.zeros(T, 64)
    mask = sliding_window_mask(T, T, 32)
    with MemoryTraffic(fast_numbers=20_000) as masked:
        written_out(x, x, x, mask)
    with MemoryTraffic(fast_numbers=20_000) as band_only:
        sliding_window_attention(x, x, x, window_tokens=32, chunk_tokens=32)
    work["the mask alone"].append(masked.numbers_made / 1e6)
    work["your band"].append(band_only.numbers_made / 1e6)
figure = figures.curves(
    lengths,
    work,
    "A band makes the work proportional to the text",
    labels=("tokens", "numbers computed (millions)"),
)
times = work["the mask alone"][-1] / work["your band"][-1]
print(f"at {lengths[-1]} tokens: {times:.0f} times fewer")
assert work["your band"][-1] <= 2.2 * work["your band"][-2]
assert work["the mask alone"][-1] > 3.5 * work["the mask alone"][-2]

# %% [markdown]
# And what is lost? One layer sees no further than its window. But it sees vectors that have *already* gathered from
# windows of their own. Here all six layers of the model get a window of 8, and one token is exchanged. **Predict:** how
# far to the right does the change reach after one block, and after six?


# %% tags=["expected"]
def streams_under_a_window(ids, window_tokens):
    """The residual stream after each block, when every layer has this window."""
    streams = []
    hooks = [
        block.register_forward_hook(lambda block, given, stream: streams.append(stream[0]))
        for block in model.blocks
    ]
    with torch.no_grad(), model.attention_by(attend_under(lambda T: band(T, window_tokens))):
        model(torch.tensor([ids], device=device))
    for hook in hooks:
        hook.remove()
    return torch.stack(streams)


changed, window = 10, 8
for story in long_stories[:3]:
    other = list(story[:72])
    other[changed] = tokenizer.encode(" dog")[0]
    before, after = (streams_under_a_window(ids, window) for ids in (story[:72], other))
    change = (after - before).norm(dim=-1).cpu()
    for block, row in enumerate(change, start=1):
        farthest = int(row.nonzero()[-1]) - changed
        assert farthest <= block * (window - 1), (
            "beyond the staircase: not small, but exactly zero"
        )
        assert (row[:changed] == 0).all()
        assert block > 3 or farthest == block * (window - 1)
    near, far = float(change[-1, changed + 1]), float(change[-1, changed + 28])
    assert near > 100 * far
print(
    f"one block reaches {window - 1} tokens, {len(change)} blocks up to {len(change) * (window - 1)}"
)
print("the next token changes a hundred times as much as the 28th:", near > 100 * far)
figure = figures.reach(change, changed, window, "The reach is a staircase, the influence fades")

# %% [markdown]
# The **receptive field** of $L$ layers with a window of $w$ is $L (w - 1)$ tokens, and the assertion finds exact zeros
# beyond the black lines. But what arrives there is tiny: the way leads through many averages. That is why a stack of
# windows is not enough, and why models mix in global layers.
#
# ## 4 · Patterns, and what they cannot see
#
# A window is one way to leave pairs out. Others were invented before it became usual to alternate layers. They are
# drawn here in blocks of tokens, as they are computed. None shows as much as half of all pairs:
#
# - **local**: a window.
# - **local + global** (Longformer): and some tokens that everybody sees, here the first block.
# - **local + global + random** (BigBird): and some at random.
# - **local + stride** (sparse transformers): and every fourth block, which everybody sees.
#
# **Predict:** in which of them does every block reach *all* earlier blocks in two layers?

# %% tags=["expected"]
num_blocks = 24
local = block_sparse_mask(num_blocks, local_blocks=2, stride_blocks=num_blocks)
first_for_all = local.clone()
first_for_all[:, 0] = True
at_random = (
    torch.rand(num_blocks, num_blocks, generator=torch.Generator().manual_seed(7)) < 0.12
)
masks = {
    "local": local,
    "local + global": first_for_all,
    "local + global + random": (first_for_all | at_random).tril(),
    "local + stride": block_sparse_mask(num_blocks, local_blocks=4, stride_blocks=4),
}
figure = figures.patterns(masks, "In two layers, only the stride reaches everything")

blind = {}
for name, mask in masks.items():
    earlier = num_blocks * (num_blocks + 1) // 2
    in_two = (mask.int() @ mask.int()) > 0
    blind[name] = 1 - int(in_two.sum()) / earlier
    print(
        f"{name:24s} computes {100 * int(mask.sum()) / earlier:3.0f} % of the blocks,", end=""
    )
    print(f" never sees {100 * blind[name]:3.0f} % in two layers")
assert blind["local + stride"] == 0
assert all(int(mask.sum()) < earlier / 2 for mask in masks.values())
assert min(blind["local"], blind["local + global"]) > 0.5
assert 0 < blind["local + global + random"] < blind["local + global"]

# %% [markdown]
# The global block looks as if it connected everything, and in an encoder it does: it reads all and is read by all. In a
# *causal* model the first block has read nothing but itself, so it can pass nothing on, and "local + global" leaves
# nearly the same hole as "local". With a stride, the blocks that everybody sees lie in the middle of the text and have read what
# is before them. Random blocks close the hole by chance, more of it with each layer.
#
# A pattern in blocks is also what computers like: whole tiles are computed or left out. The package's
# `block_sparse_attention` does just that, and equals attention under the mask of tokens:

# %%
q, k, v = torch.randn(3, 1, 2, 24 * 4, 8, generator=torch.Generator().manual_seed(0))
for mask in masks.values():
    with MemoryTraffic(fast_numbers=1000) as memory:
        by_blocks = block_sparse_attention(q, k, v, mask, block_tokens=4)
    by_mask = scaled_dot_product_attention(q, k, v, token_mask(mask, 4))
    assert torch.allclose(by_blocks, by_mask, atol=1e-5)
    all_pairs = 2 * 2 * 2 * (24 * 4) ** 2 * 8  # two products, two heads
    assert memory.flops == all_pairs * int(mask.sum()) / num_blocks**2
print("equal to the masks, and the FLOPs are those of the blocks that are shown")

# %% [markdown]
# ## 5 · When the first tokens leave
#
# A softmax has to give away all of its weight, even where nothing matches. Many large models learned to put it on the
# first token of the text, which is always there: an **attention sink**. If a window slides on and the first token leaves,
# such a model breaks down; keep the first four tokens in view, and it works again (Xiao et al. 2023). By hand: a query
# that fits no key, with and without a place for its weight.

# %% tags=["expected"]
key_scores = torch.tensor([0.1, -0.2, 0.0, 0.1])  # nothing matches
value_sizes = torch.tensor([4.0, 4.0, 4.0, 4.0])
for name, sink in (("without a sink", []), ("with a sink", [4.0])):
    weights = torch.cat([torch.tensor(sink), key_scores]).softmax(0)
    values = torch.cat([torch.zeros(len(sink)), value_sizes])  # a sink gives nothing
    print(f"{name:15s}: the head adds {float(weights @ values):.2f} to the stream")
assert float(weights @ values) < 0.3

# %% [markdown]
# Does ours have a sink? All layers get a window of 32; then the first four tokens stay in view as well, however far away
# they are. **Predict:** how much of the loss do they bring back? And how much weight do late tokens give to token 0?


# %% tags=["expected", "rounded"]
def with_the_first(num_tokens, window_tokens, num_first):
    mask = band(num_tokens, window_tokens)
    mask[:, :num_first] = True
    return mask.tril()


full = by_window[-1]
slid = losses_by(attend_under(lambda T: band(T, 32)))
kept = losses_by(attend_under(lambda T: with_the_first(T, 32, 4)))
for name, losses in {"everything": full, "window of 32": slid, "and the first 4": kept}.items():
    print(f"{name:16s} {' '.join(f'{loss:.2f}' for loss in losses)} nats per token")
regained = [(s - k) / (s - f) for s, k, f in zip(slid, kept, full, strict=True)]
print(
    "of what the window costs, the first four bring back less than a fifth:",
    max(regained) < 0.2,
)
assert max(regained) < 0.2

weights = torch.stack([attention_maps(model, ids) for ids in batches[0][:4]])
on_first = weights[:, last_layer, :, 100:, 0].mean((0, 2))  # of each head
evenly = (1 / torch.arange(101.0, 193.0)).mean()
print(
    "global layer, late tokens: token 0 gets less than an even part:",
    bool(on_first.mean() < evenly),
)
print(
    "no head of any layer gives it a tenth:",
    bool(weights[..., 60:, 0].mean((0, 3)).max() < 0.1),
)
assert on_first.mean() < evenly
assert weights[..., 60:, 0].mean((0, 3)).max() < 0.1

# %% [markdown]
# It has none. In the global layer the first token gets less than an even part of the weight, no head anywhere gives it as
# much as a tenth, and keeping it helps next to nothing. That is what its training suggests: in five of six layers every story of more than 128 tokens loses its first token, so
# those heads could never rely on it. A model that was trained to see everything is another matter, and so is a
# larger one. Measure before you trust a rule. Some models are given a sink that cannot leave: gpt-oss learns one
# score per head that joins the softmax and has no value (`sinks` in `gemini_workshop/models/attention.py`).
#
# ## 6 · Sharing keys and values
#
# When a model writes, tokens come one at a time, and there is neither a matrix nor much arithmetic. What it needs are
# the keys and values of *all* tokens before, for every layer and head, from the **cache**. So the third bill is the
# cache, and to make it smaller there must be fewer numbers in it.
#
# ### Exercise 07.5 · `grouped_query_attention` (8 minutes)
#
# H query heads, but only K heads of keys and values. Neighboring query heads share one: with 6 and 2, the heads 0, 1, 2
# use the first and 3, 4, 5 the second. K = H is multi-head attention (MHA), K = 1 is multi-query attention (MQA),
# everything between is grouped-query attention (GQA).


# %%
def grouped_query_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "B H T Cv"]:
    """Attention in which H / K neighboring query heads share one key/value head.

    Args:
        mask: True where query t may look at key s. None: everywhere.
    """
    # SOLUTION
    # 1. How many query heads share one key/value head.
    times = query.shape[1] // key.shape[1]
    # 2. Keys and values with one head for each query head; neighbors get the same.
    key, value = (x.repeat_interleave(times, dim=1) for x in (key, value))
    # 3. Attention in all heads.
    return scaled_dot_product_attention(query, key, value, mask)
    # END SOLUTION


# %% tags=["check"]
grouped_query_attention = check("07.5", grouped_query_attention)

# %% [markdown]
# The pretrained model has six query heads and two key/value heads. Here it runs on your function. Then two changes that
# keep every shape: the heads are dealt out in turn (0, 1, 0, 1, …) instead of side by side, and both key/value heads are
# averaged into one, as if it were a multi-query model. **Predict:** what does each cost? Equal probabilities for all
# tokens would be 8.3 nats.


# %% tags=["expected", "rounded"]
def grouped_by(change):
    """The model's attention with changed keys and values, by your function."""

    def attend(query, key, value, rule):
        mask = visible_keys(query.shape[2], key.shape[2], rule, query.device)[0, 0]
        return grouped_query_attention(query, change(key), change(value), mask)

    return attend


def in_turn(x):
    return x.repeat(1, 3, 1, 1)


def averaged(x):
    return x.mean(dim=1, keepdim=True)


shared = {
    "as trained": losses_by(grouped_by(lambda x: x)),
    "dealt out in turn": losses_by(grouped_by(in_turn)),
    "averaged into one": losses_by(grouped_by(averaged)),
}
figure = figures.bars(
    shared, "Sharing heads has to be trained", "loss (nats per token), three sets of stories"
)
assert all(abs(a - b) < 0.01 for a, b in zip(shared["as trained"], full, strict=True))
for name in ("dealt out in turn", "averaged into one"):
    assert all(b > a + 1 for a, b in zip(shared["as trained"], shared[name], strict=True))
assert abs(math.log(model.config.vocab_size) - 8.3) < 0.05

# %% [markdown]
# The wrong order is as bad as it looks harmless: no shape complains. And sharing has to be *trained*: the authors of GQA
# average the heads of a multi-head model and then train it for another 5 % of its steps.
#
# Can one go further without sharing? Keys and values of a token are linear functions of one vector. Perhaps they have
# less in them than their number suggests. Take what our model's layers would store, 128 numbers per token (two heads,
# keys and values, 32 channels), and keep only the $R$ directions in which they vary most. **Predict:** how many of the
# 128 are needed?


# %% tags=["expected", "rounded"]
def activations_and_weights():
    """For each layer: what its attention reads on 16 stories, and the matrix of its keys and values."""
    read = {}
    hooks = [
        block.attention_norm.register_forward_hook(
            lambda norm, given, out, i=i: read.update({i: out.flatten(0, 1)})
        )
        for i, block in enumerate(model.blocks)
    ]
    with torch.no_grad():
        model(torch.tensor([ids[:192] for ids in long_stories[100:116]], device=device))
    for hook in hooks:
        hook.remove()
    layers = [block.attention for block in model.blocks]
    weights = [torch.cat([layer.key.weight, layer.value.weight]).detach() for layer in layers]
    return [(read[i], weight) for i, weight in enumerate(weights)]


def losses_at_rank(rank):
    """The loss when keys and values of every layer pass through `rank` numbers per token."""
    try:
        for block, (_, weight), directions in zip(model.blocks, layers, main, strict=True):
            low = directions[:rank].T @ (directions[:rank] @ weight)
            block.attention.key.weight.data, block.attention.value.weight.data = low.chunk(2)
        return losses_by(grouped_by(lambda x: x))
    finally:
        for block, (_, weight) in zip(model.blocks, layers, strict=True):
            whole = weight.clone().chunk(2)
            block.attention.key.weight.data, block.attention.value.weight.data = whole


layers = activations_and_weights()
main = [torch.linalg.svd(x @ weight.T, full_matrices=False)[2] for x, weight in layers]
ranks = [16, 32, 48, 64, 96, 128]
by_rank = [losses_at_rank(rank) for rank in ranks]
for rank, losses in zip(ranks, by_rank, strict=True):
    print(f"{rank:3d} numbers per token: {sum(losses) / 3:.2f} nats per token")
figure = figures.curves(
    ranks,
    {f"stories {8 * i} to {8 * i + 7}": [row[i] for row in by_rank] for i in range(3)},
    "Half the numbers hold nearly all of it",
    labels=("numbers kept per token and layer", "loss (nats per token)"),
    is_log=(False, False),
)
for half, all_of_them, eighth in zip(by_rank[3], by_rank[-1], by_rank[0], strict=True):
    assert half - all_of_them < 0.15
    assert eighth - all_of_them > 0.3

# %% [markdown]
# Half is nearly enough, although the model was never asked to be thrifty. A model that is *trained* with a bottleneck
# can do better. That is **multi-head latent attention** (MLA): one small vector per token is kept, and every head unpacks
# keys and values of its own from it.
#
# ### Exercise 07.6 · `latent_projections` (8 minutes)
#
# Two projections: down to the latent vector $c = W^{\text{down}} x$ of $R$ numbers, then up, for each head $h$, to
# $k_h = W_h^{K} c$ and $v_h = W_h^{V} c$.


# %%
def latent_projections(
    x: Float[Tensor, "B S D"],
    down: Float[Tensor, "R D"],
    key_up: Float[Tensor, "H C R"],
    value_up: Float[Tensor, "H Cv R"],
) -> tuple[Float[Tensor, "B S R"], Float[Tensor, "B H S C"], Float[Tensor, "B H S Cv"]]:
    """One small vector per token, and the keys and values that every head unpacks from it.

    Args:
        down: from a token's vector to its latent one, the same for all heads.
        key_up: of each head, from the latent vector to a key; `value_up` to a value.

    Returns:
        The latent vectors, which a cache keeps; keys; values.
    """
    # SOLUTION
    # 1. Down: one latent vector per token.
    latents = x @ down.T
    # 2. Up: give it an axis for the heads, and multiply with the matrices of each.
    for_all = latents.unsqueeze(1)
    return latents, for_all @ key_up.transpose(1, 2), for_all @ value_up.transpose(1, 2)
    # END SOLUTION


# %% tags=["check"]
latent_projections = check("07.6", latent_projections)

# %% [markdown]
# The experiment above was latent attention already. With the directions of layer 0 as matrices, your function gives the
# keys and values that were used at rank 64.
#
# And here is the trick that makes it fast. A score is $q \cdot k_h = q \cdot (W_h^K c) = (W_h^{K\top} q) \cdot c$. So the
# unpacking can move to the *query*: it is carried into the space of the latent vectors, once, and compared with what is
# in the cache as it is. Neither keys nor values ever exist.

# %% tags=["expected"]
x, weight = layers[0]
directions = main[0][:64]
down = (directions @ weight).cpu()
key_up, value_up = directions.T.cpu().reshape(2, 2, 32, 64)  # keys and values, heads
latents, keys, values = latent_projections(x[None, :192].cpu(), down, key_up, value_up)
low = (x[:192] @ (directions.T @ down.to(device)).T).cpu()
assert torch.allclose(keys[0].transpose(0, 1).flatten(1), low[:, :64], atol=1e-2)

query = torch.randn(1, 2, 192, 32, generator=torch.Generator().manual_seed(3))
mask = causal_mask(192, 192)
unpacked = scaled_dot_product_attention(query, keys, values, mask)

carried = query @ key_up * math.sqrt(64 / 32)  # attention will divide by the root of 64
on_latents = scaled_dot_product_attention(carried, latents[:, None], latents[:, None], mask)
absorbed = on_latents @ value_up.transpose(1, 2)
assert relative_error(absorbed, unpacked) < 1e-4
print("attention to the latent vectors themselves: the same output")
print(
    f"kept per token: {latents[0, 0].numel()} numbers in place of {keys[0, :, 0].numel() * 2}"
)

# %% [markdown]
# (A rotation by position stands between key and query in a real model, and cannot be moved to the other side. DeepSeek
# keeps a second, short key for that, one for all heads: `latent_attention.py` shows it.)
#
# ## 7 · The size of a cache
#
# ### Exercise 07.7 · `cache_bytes` (6 minutes)
#
# What one text occupies. `windows` has an entry for each layer: how many of the newest tokens it keeps, or None for all.


# %%
def cache_bytes(
    num_tokens: int,
    windows: Sequence[int | None],
    num_kv_heads: int,
    head_dim: int,
    bytes_per_number: int,
) -> int:
    """Memory of the keys and values of one text.

    Args:
        num_tokens: length of the text.
        windows: for each layer, how many of the newest tokens it keeps; None: all of them.
        bytes_per_number: 4 for float32, 2 for bfloat16.
    """
    # SOLUTION
    # 1. Tokens that are kept, over all layers.
    kept = sum(num_tokens if w is None else min(w, num_tokens) for w in windows)
    # 2. A key and a value for each, in every key/value head.
    return 2 * kept * num_kv_heads * head_dim * bytes_per_number
    # END SOLUTION


# %% tags=["check"]
cache_bytes = check("07.7", cache_bytes)

# %% [markdown]
# Is it right? The package's own cache allocates tensors; on the device "meta" they have shapes and no memory, so that a
# cache of any size can be asked for its bytes. Llama 3.1, Gemma 3 and DeepSeek-V3, from their published
# configurations. (A latent cache has one vector of R numbers and the short key, for keys and values at once: half of
# one head.)


# %%
def allocated(name, num_tokens, kind="static"):
    config = published_config(name)
    cache = KVCache(config, 1, num_tokens, torch.bfloat16, "meta", kind=kind)
    return config, cache.num_bytes()


def predicted(config, num_tokens, spare=0):
    windows = [
        None if layer.window_tokens is None else layer.window_tokens + spare
        for layer in config.layers
    ]
    if config.latent is not None:
        stored = config.latent.kv_rank + config.latent.rope_dim
        return cache_bytes(num_tokens, windows, 1, stored, 2) // 2
    layer = config.layers[0]
    return cache_bytes(num_tokens, windows, layer.num_kv_heads, layer.head_dim, 2)


for name in ("llama-3.1-8b", "deepseek-v3"):
    config, found = allocated(name, 100_000)
    assert predicted(config, 100_000) == found
    print(f"{name:13s} {found // 100_000 / 2**10:6.1f} KiB per token, as allocated")
config, found = allocated("gemma-3-27b", 100_000, kind="ring")
assert predicted(config, 100_000, spare=127) == found, "a ring keeps 127 spare tokens per layer"
print(f"{'gemma-3-27b':13s} {found / 2**30:6.1f} GiB for 100,000 tokens, as allocated")

# %% [markdown]
# Now one model, the size of Llama 3.1 8B, with the ways to cache that you have met. Its weights are 15 GiB in bfloat16.
# **Predict:** after how many tokens is the cache of the multi-head version larger than the model?

# %% tags=["expected"]
llama = published_config("llama-3.1-8b")
L, H, C = llama.num_layers, llama.num_heads, llama.head_dim
everywhere = [None] * L
five_to_one = [None if (i + 1) % 6 == 0 else 1024 for i in range(L)]
texts = [2**n for n in range(10, 21)]
ways = {
    "MHA, 32 heads": lambda T: cache_bytes(T, everywhere, H, C, 2),
    "GQA, 8 heads": lambda T: cache_bytes(T, everywhere, 8, C, 2),
    "MQA, 1 head": lambda T: cache_bytes(T, everywhere, 1, C, 2),
    "MLA, 512 + 64": lambda T: cache_bytes(T, everywhere, 1, 512 + 64, 2) // 2,
    "GQA, 5 local : 1 global": lambda T: cache_bytes(T, five_to_one, 8, C, 2),
}
weights_gib = 2 * num_parameters(llama) / 2**30
gib = {name: [way(T) / 2**30 for T in texts] for name, way in ways.items()}
for name, line in gib.items():
    beyond = [T for T, size in zip(texts, line, strict=True) if size > weights_gib]
    crossing = (
        f"beyond the weights at {beyond[0]:9,} tokens"
        if beyond
        else "below the weights up to 1,048,576"
    )
    print(f"{name:24s} {line[-1]:6.1f} GiB for a million tokens; {crossing}")
figure = figures.curves(
    texts,
    gib,
    "The cache outgrows the model",
    labels=("tokens", "cache (GiB)"),
    levels={"weights of the model": weights_gib},
)
assert 14.5 < weights_gib < 15.5
assert gib["MHA, 32 heads"][5] > weights_gib > gib["MHA, 32 heads"][4]
assert gib["GQA, 8 heads"][-1] * 4 == gib["MHA, 32 heads"][-1]
assert gib["MLA, 512 + 64"][-1] < gib["GQA, 8 heads"][-1] / 3
assert gib["GQA, 5 local : 1 global"][-1] < gib["GQA, 8 heads"][-1] / 5

# %% [markdown]
# With all 32 heads, between 16 and 32 thousand tokens, for *one* reader: a server has hundreds. Every line is steep, and
# no trick but the window bends one: the mixed line is flat where the local layers are full, then rises with the global
# ones alone. Today's models combine: Gemma 3 groups heads *and* keeps five of six layers local.
#
# ## 8 · On your machine
#
# In practice nobody runs tiles written in Python. PyTorch has fused kernels (`F.scaled_dot_product_attention`) and
# **flex attention**, to which you describe a mask or a change of the scores as a small function; a compiler builds the
# kernel. First that they agree; then, without a stored result, how long each takes on *your* processor.

# %%
from gemini_workshop.kernels.flex_attention import flex_causal_attention  # loads the compiler
from gemini_workshop.models.attention import AttentionRule

q, k, v = torch.randn(3, 1, 2, 256, 32, generator=torch.Generator().manual_seed(5))
rule = AttentionRule(window_tokens=64)
by_flex = flex_causal_attention(q, k, v, rule)
by_band = sliding_window_attention(q, k, v, 64, 64)
by_torch = F.scaled_dot_product_attention(q, k, v, sliding_window_mask(256, 256, 64))
assert torch.allclose(by_flex, by_band, atol=1e-5)
assert torch.allclose(by_torch, by_band, atol=1e-5)
print("flex attention, PyTorch with your mask, your band: equal")


# %% tags=["gpu"]
def milliseconds(compute):
    compute()  # the first call may compile
    tries = []
    for _ in range(3):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize()
        tries.append(1e3 * (time.perf_counter() - start))
    return min(tries)


print("milliseconds for 8 heads of 64 channels, causal; the window is 256 tokens")
print(
    f"{'tokens':>7s} {'formula':>9s} {'your tiles':>11s} {'fused':>7s} {'your band':>10s} {'flex':>7s}"
)
for T in (512, 1024, 2048):
    q, k, v = torch.randn(3, 1, 8, T, 64, device=device)
    mask = causal_mask(T, T, device=device)
    took = [
        milliseconds(lambda q=q, k=k, v=v, m=mask: scaled_dot_product_attention(q, k, v, m)),
        milliseconds(lambda q=q, k=k, v=v: flash_attention(q, k, v, 128)),
        milliseconds(
            lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
        ),
        milliseconds(lambda q=q, k=k, v=v: sliding_window_attention(q, k, v, 256, 64)),
        milliseconds(
            lambda q=q, k=k, v=v: flex_causal_attention(
                q, k, v, AttentionRule(window_tokens=256)
            )
        ),
    ]
    print(
        f"{T:7d} {took[0]:9.1f} {took[1]:11.1f} {took[2]:7.1f} {took[3]:10.1f} {took[4]:7.1f}"
    )
    if device.type == "cuda":
        for name, compute in {
            "formula": lambda q=q, k=k, v=v, m=mask: scaled_dot_product_attention(q, k, v, m),
            "fused": lambda q=q, k=k, v=v: F.scaled_dot_product_attention(
                q, k, v, is_causal=True
            ),
        }.items():
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            compute()
            peak = (torch.cuda.max_memory_allocated() - before) / 2**20
            print(f"{'':8s}{name}: {peak:.0f} MiB at the worst moment")

# %% [markdown]
# Read your own numbers. A CPU has a fast memory, too (its caches), so that even tiles written in Python may beat the
# formula on a long text. Flex attention is not compiled on a CPU here and computes every score. On a GPU, expect the
# fused kernel and flex attention far ahead, and what uses the window ahead of the rest where the text is many windows
# long.
#
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("07")

# %% [markdown]
# ## Recap
#
# 1. Attention costs arithmetic, memory traffic, and a cache; each cure pays one bill.
# 2. Averages of tiles are wrong. Sums of exponentials, relative to the largest score so far, can be kept running; a
#    larger score shrinks both by exp(old largest − new largest).
# 3. FlashAttention is exact. It moves fewer numbers between the memories; it computes the same scores.
# 4. A window counts the query's own key. A mask alone saves nothing; a band costs $n \cdot w$.
# 5. $L$ layers with a window of $w$ reach $L (w - 1)$ tokens, and the influence fades on the way.
# 6. A causal model cannot collect the text in its first block: the blocks that all can see must come after what they
#    report.
# 7. An attention sink is where weight goes when nothing matches. Not every model has one: measure.
# 8. Neighboring query heads share a key/value head; the cache shrinks, the scores do not. Sharing has to be trained.
# 9. Latent attention keeps one small vector per token; unpacking can move to the query's side.
# 10. Bytes of a cache: 2 · kept tokens · key/value heads · channels · bytes, summed over the layers.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (6) must match the size of tensor b (2) at non-singleton dimension 1</code></summary>
#
# Six query heads meet two key/value heads. Repeat the keys and values for each group first (`grouped_query_attention`).
# </details>
#
# <details>
# <summary><code>IndexError: amax(): Expected reduction dim -1 to have non-zero size.</code></summary>
#
# A slice of keys is empty: it begins before token 0 and Python counted from the end, or its beginning is not before its
# end. Limit it with `max(0, ...)` (`sliding_window_attention`).
# </details>
#
# <details>
# <summary><code>ValueError: torch.cat(): expected a non-empty list of Tensors</code></summary>
#
# Nothing was appended to `outputs`. The line belongs inside the outer loop, after the inner one (`flash_attention`).
# </details>
#
# <details>
# <summary>No error, but the output is <code>nan</code></summary>
#
# A row had only hidden keys in the first tile: its largest score is minus infinity, and infinity minus infinity is not
# a number. Start with the tile that holds key 0, or leave out tiles in which a row sees nothing.
# </details>
#
# ## From here to Gemini
#
# - The online softmax is algorithm 3 of Milakov and Gimelshein 2018
#   ([arXiv:1805.02867](https://arxiv.org/abs/1805.02867)). FlashAttention is Dao et al. 2022
#   ([arXiv:2205.14135](https://arxiv.org/abs/2205.14135)): its algorithm 1 and theorem 2 are your tiles and your counter;
#   the order of the loops is that of Dao 2023 ([arXiv:2307.08691](https://arxiv.org/abs/2307.08691)). Compare with
#   `gemini_workshop/models/flash_attention.py`.
# - Windows and global tokens: Beltagy et al. 2020 ([arXiv:2004.05150](https://arxiv.org/abs/2004.05150)); strides: Child
#   et al. 2019 ([arXiv:1904.10509](https://arxiv.org/abs/1904.10509)); random blocks: Zaheer et al. 2020
#   ([arXiv:2007.14062](https://arxiv.org/abs/2007.14062)); sinks: Xiao et al. 2023
#   ([arXiv:2309.17453](https://arxiv.org/abs/2309.17453)); flex attention: Dong et al. 2024
#   ([arXiv:2412.05496](https://arxiv.org/abs/2412.05496)).
# - One key/value head: Shazeer 2019 ([arXiv:1911.02150](https://arxiv.org/abs/1911.02150)); groups: Ainslie et al. 2023
#   ([arXiv:2305.13245](https://arxiv.org/abs/2305.13245)); latent attention: DeepSeek-AI 2024
#   ([arXiv:2405.04434](https://arxiv.org/abs/2405.04434)), section 2.1.
# - Gemma 3 ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)) has five local layers for each global one, windows of
#   512 or 1024 tokens, and grouped heads. Our shipped model has the same shape, smaller: `layer_pattern` in its
#   configuration. In `gemini_workshop/models/sliding_window.py` and `attention.py` are your functions;
#   `gemini_workshop/kernels` computes the same faster.
#
# ## Stretch · one token at a time, without keys
#
# Write `attend_to_latents(query, latents, key_up, value_up)`: attention of one new token to the latent vectors, with the
# unpacking on the side of the query. Then count with `MemoryTraffic` what it moves for a text of 4096 tokens, against
# unpacking all keys and values first. Which term is gone?


# %%
def attend_to_latents(query, latents, key_up, value_up):
    keys, values = (latents[:, None] @ up.transpose(1, 2) for up in (key_up, value_up))
    return scaled_dot_product_attention(query, keys, values)  # yours goes here


many = torch.zeros(1, 4096, 64)
new_query = torch.zeros(1, 2, 1, 32)
with MemoryTraffic(fast_numbers=20_000) as memory:
    attend_to_latents(new_query, many, key_up, value_up)
print(f"{memory.traffic:,} numbers moved; the cache has {many.numel():,}")

# %% [markdown]
# **A second one:** give `flash_attention` a window. Which tiles of keys can now be left out at the *beginning*, and what
# has to be true of the first tile that is left?
