# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "06"
#     title: The transformer block
#     part: part2_fundamentals
#     kind: pair
#     minutes: 90
#     budget_seconds: 60
#     requires: ["02", "03", "04", "05"]
# ---

# %% [markdown]
# # 06 · The transformer block
#
# **90 minutes** · builds on 02 to 05
#
# After this lesson you can
#
# - explain what the residual stream is for, and what happens to a stack without it,
# - write LayerNorm and RMSNorm, and put them in three different places,
# - build a whole language model from its parts, and verify that it is right,
# - count its parameters and its operations on paper.
#
# Attention lets tokens gather information from one another; the feed-forward layer lets each work on what it has. This
# lesson stacks them. You write six pieces, and the last section compares your own transformer with the one that this
# package trains. Short of time? Run sections 4 (the lens) and 7 (pre or post) without reading them: no exercise builds
# on them.

# %%
import math
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import ModelConfig
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.models.accounting import forward_flops, num_parameters
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import MultiHeadAttention
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import blocks as figures
from gemini_workshop.visualization import shapes
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import Layout, Text
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

use_theme()
device = pick_device()
pretrained, tokenizer = load_pretrained(device=device)
vocab_size = pretrained.config.vocab_size

# Parts that you wrote in earlier lessons on this computer are used; the package's replace the others.
causal_mask = own_or(causal_mask)
MultiHeadAttention = own_or(MultiHeadAttention, embed_dim=8, num_heads=2)
GatedFeedForward = own_or(GatedFeedForward, embed_dim=8, ffn_dim=3, activation="silu")
for part in (causal_mask, MultiHeadAttention, GatedFeedForward):
    print(f"{part.__name__:20s} {'yours' if is_own(part) else 'from the package'}")

# %% [markdown]
# ## 1 · A stack that forgets
#
# We have all the parts: attention reads a text, the feed-forward layer works on the result. Let us stack them, each
# reading what the one below returned, 24 times. The weights are random, scaled so that every matrix by itself keeps the
# size of its input. The text is real: four stories from the training data.
#
# **Predict before you run:** the vectors start with size 1 (root mean square of their channels). What is their size
# after 24 blocks: about 1, very large or very small?

# %%
stories = load_documents("stories")[:4]
ids = torch.tensor([tokenizer.encode(story)[:33] for story in stories])
mask = causal_mask(33, 33)


def fresh(module, generator):
    """Initialize the weights so that a product with them keeps the size of a vector."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    return module


def replace_it(x, sublayer):
    return sublayer(x)


@torch.no_grad()
def stream_sizes(step, seed, num_blocks=24, width=64):
    """Root mean square of the vectors at the beginning and after each block."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(vocab_size, width, generator=generator)[ids]
    sizes = [float(x.square().mean().sqrt())]
    for _ in range(num_blocks):
        attention = fresh(MultiHeadAttention(width, 4), generator)
        feed_forward = fresh(GatedFeedForward(width, 171, "silu"), generator)
        x = step(x, lambda x, attention=attention: attention(x, mask=mask))
        x = step(x, feed_forward)
        sizes.append(float(x.square().mean().sqrt()))
    return sizes


replaced = stream_sizes(replace_it, seed=0)
print("after 0 to 6 blocks:", "  ".join(f"{size:.0e}" for size in replaced[:7]))
for seed in (0, 1, 2):
    assert stream_sizes(replace_it, seed)[6] < 1e-3
    assert stream_sizes(replace_it, seed)[-1] == 0.0

# %% [markdown]
# Nothing is left. A gated feed-forward layer *multiplies* two small numbers, so each block makes small vectors much
# smaller, and long before the 24th the stories are zeros in floating point: not a word of them has come through.
# Whatever the last block might learn, there is nothing for it to read, and no gradient finds its way back.
#
# The cure is not to replace what a layer reads, but to **add** to it. Then whatever a layer does not touch stays:


# %%
def add_to_it(x, sublayer):
    return x + sublayer(x)


added = stream_sizes(add_to_it, seed=0)
print("after 0 to 6 blocks:", "  ".join(f"{size:.0e}" for size in added[:7]))
for seed in (0, 1, 2):
    assert not math.isfinite(stream_sizes(add_to_it, seed)[-1])

figure = figures.stream_sizes(
    {"replaced": replaced, "added": added}, "Replaced, the text vanishes; added to, it explodes"
)

# %% [markdown]
# This sum is called the **residual stream** (residual, because a layer only has to find what is still missing). It no
# longer vanishes. But now the same multiplication works the other way: a large vector makes a larger one, and in the
# end the numbers overflow. (A line ends where it leaves the range of $10^{-12}$ to $10^{12}$.)
#
# So each layer should read the stream at a *known* size, however large it has become. That takes a norm.

# %% [markdown]
# ## 2 · Norms
#
# ### Exercise 06.1 · `layer_norm` (5 minutes)
#
# Take one token's vector $x$ of $D$ channels. Shift it to mean 0, divide it by its standard deviation, then let each
# channel have a learned scale $w$ and shift $b$:
#
# $$y_i = w_i \cdot \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} + b_i \qquad
# \mu = \frac{1}{D}\sum_i x_i \qquad \sigma^2 = \frac{1}{D}\sum_i (x_i - \mu)^2$$
#
# $\varepsilon$ is a tiny number that keeps a vector of equal channels from being divided by zero. By hand: (3, 5)
# becomes (-1, 1). What becomes of (3, 9)?


# %%
def layer_norm(
    x: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], bias: Float[Tensor, " D"], eps: float
) -> Float[Tensor, "*B D"]:
    """Shift each vector to mean 0, divide by its standard deviation, then scale and shift every channel.

    layer_norm(tensor([3., 5.]), weight=ones(2), bias=zeros(2), eps=0.0) is tensor([-1., 1.])
    """
    # SOLUTION
    # 1. The mean of each vector, with its axis kept; the vector minus its mean.
    centered = x - x.mean(dim=-1, keepdim=True)
    # 2. The mean of the squares of that.
    variance = centered.square().mean(dim=-1, keepdim=True)
    # 3. Divide by the root of the variance plus eps; scale and shift.
    return centered / torch.sqrt(variance + eps) * weight + bias
    # END SOLUTION


# %% tags=["check"]
layer_norm = check("06.1", layer_norm)

# %% [markdown]
# What does a norm keep, and what does it throw away? Not only (3, 5) becomes (-1, 1), but (3, 9) as well: of two channels
# only their order is left. Here are four vectors of three channels; three of them come out the same.

# %% tags=["expected"]
for vector in ([1, 2, 6], [10, 20, 60], [101, 102, 106], [1, 6, 2]):
    normed = layer_norm(
        torch.tensor([vector]).float(), torch.ones(3), torch.zeros(3), eps=1e-6
    )[0]
    print(f"{vector!s:16s} -> ({', '.join(f'{value:+.2f}' for value in normed)})")

a, b, c, d = (
    layer_norm(torch.tensor([v]).float(), torch.ones(3), torch.zeros(3), 1e-6)
    for v in ([1, 2, 6], [10, 20, 60], [101, 102, 106], [1, 6, 2])
)
assert torch.allclose(a, b, atol=1e-3)
assert torch.allclose(a, c, atol=1e-3)
assert not torch.allclose(a, d, atol=1e-3)
two_channels = layer_norm(torch.tensor([[3.0, 9.0]]), torch.ones(2), torch.zeros(2), 1e-6)
assert torch.allclose(two_channels, torch.tensor([[-1.0, 1.0]]), atol=1e-3)

# %% [markdown]
# The size is gone, and so is the common offset of all channels. What stays is how the channels
# differ from each other.
#
# ### Exercise 06.2 · `RMSNorm` (6 minutes)
#
# Half of that turned out to be unnecessary. RMSNorm neither subtracts the mean nor has a bias; it divides by the
# **r**oot of the **m**ean **s**quare and scales:
#
# $$y_i = w_i \cdot \frac{x_i}{\sqrt{\frac{1}{D}\sum_j x_j^2 + \varepsilon}}$$
#
# Gemma, Llama and most models since use it. This one is a module: it owns its weight. Two traps: the initial value of
# the weight, and 16-bit numbers. The square of 300 does not fit into float16, whose largest number is 65504; bfloat16
# holds it, but with only 8 significant bits, too few to add up squares. So work in float32 (`x.float()`), and convert
# back to the input's dtype (`.to(x.dtype)`) before multiplying by the weight.


# %%
class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, then scale every channel.

    Args:
        dim: channels of a vector.
        eps: added under the root.

    Attributes:
        weight: the learned scale of each channel, shape (dim,). At first it scales nothing.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        # SOLUTION
        # 1. A parameter, so that the optimizer finds it.
        self.weight = nn.Parameter(torch.ones(dim))
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalize the last axis; computed in float32."""
        # SOLUTION
        # 1. Convert to float32.
        wide = x.float()
        # 2. Divide by the root of the mean square plus eps.
        normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        # 3. Back to the input's dtype, then scale.
        return normed.to(x.dtype) * self.weight
        # END SOLUTION


# %% tags=["check"]
RMSNorm = check("06.2", RMSNorm)

# %% [markdown]
# Back to the stack. Every sublayer now reads the stream through your norm, and adds to the stream *as it was*.
# **Predict:** with what power of the number of blocks does the stream grow now? (Twice the blocks, twice the size:
# power 1.)

# %% tags=["expected", "rounded"]
norm_of_64 = RMSNorm(64, eps=1e-6)


def add_normed(x, sublayer):
    return x + sublayer(norm_of_64(x))


normed = stream_sizes(add_normed, seed=0)
figure = figures.stream_sizes(
    {"replaced": replaced, "added": added, "added, read through a norm": normed},
    "Read through a norm, the stream grows slowly",
)
for seed in (0, 1, 2):
    sizes = stream_sizes(add_normed, seed, num_blocks=96)
    power = math.log(sizes[96] / sizes[6]) / math.log(96 / 6)
    print(
        f"seed {seed}: size {sizes[24]:.1f} after 24 blocks, {sizes[96]:.1f} after 96: power {power:.1f}"
    )
    assert 2 < sizes[24] < 10
    assert 0.35 < power < 0.7

# %% [markdown]
# Each block adds something of about the same size, in a direction of its own. Such sums grow with the square root of
# the number of terms (power 1/2): 16 times the blocks, about 4 times the size. Nothing vanishes, nothing explodes, and
# each layer reads numbers of the size that it expects.
#
# ## 3 · Where the norm goes
#
# Three placements have been used most. With $f$ for attention or feed-forward:
#
# | placement | formula | used by |
# |---|---|---|
# | **post** | $\text{norm}(x + f(x))$ | the first transformer (2017), BERT |
# | **pre** | $x + f(\text{norm}(x))$ | GPT-2, Llama |
# | **sandwich** | $x + \text{norm}'(f(\text{norm}(x)))$ | Gemma 2 and 3, our pretrained model's family |
#
# ### Exercise 06.3 · `residual_step` (5 minutes)
#
# One function for all three. It takes up to three norms; one that is left out changes nothing. Notice which
# of them touch the stream itself.


# %%
def identity(x):
    """The norm that changes nothing."""
    return x


def residual_step(
    x: Float[Tensor, "*B D"],
    sublayer: Callable[[Tensor], Tensor],
    norm: Callable[[Tensor], Tensor] = identity,
    output_norm: Callable[[Tensor], Tensor] = identity,
    stream_norm: Callable[[Tensor], Tensor] = identity,
) -> Float[Tensor, "*B D"]:
    """Add what a sublayer finds to the residual stream.

    Args:
        norm: normalizes what the sublayer reads (pre and sandwich).
        output_norm: normalizes what the sublayer found, before it is added (sandwich).
        stream_norm: normalizes the sum (post).
    """
    # SOLUTION
    # 1. What the sublayer finds when it reads the normalized stream.
    found = sublayer(norm(x))
    # 2. Add it, normalized, to the stream as it was. Normalize the sum.
    return stream_norm(x + output_norm(found))
    # END SOLUTION


# %% tags=["check"]
residual_step = check("06.3", residual_step)

# %% [markdown]
# The blocks of most large models are this one line, used twice. Here is the pretrained model again: its own norms,
# attention and feed-forward layers, put together by *your* function. The stream is recorded after each block.


# %% tags=["expected"]
@torch.no_grad()
def streams_of(ids):
    """The residual stream of the pretrained model: after the embedding, and after each block."""
    rotations = [rotary(torch.arange(len(ids), device=device)) for rotary in pretrained.rotary]
    x = pretrained.embedding(ids[None]) * pretrained.embedding_scale
    streams = [x]
    for block, kind in zip(pretrained.blocks, pretrained.rotary_of, strict=True):
        x = residual_step(
            x,
            lambda x, block=block, kind=kind: block.attention(x, rotations[kind]),
            block.attention_norm,
            block.attention_output_norm,
            block.attention_stream_norm,
        )
        x = residual_step(
            x,
            block.feed_forward,
            block.feed_forward_norm,
            block.feed_forward_output_norm,
            block.feed_forward_stream_norm,
        )
        streams.append(x)
    return streams


sentence = "Once upon a time, there was a little girl named Lily."
sentence_ids = torch.tensor(tokenizer.encode(sentence), device=device)
streams = streams_of(sentence_ids)
with torch.no_grad():
    difference = (
        pretrained.logits(pretrained.norm(streams[-1])) - pretrained(sentence_ids[None])
    ).abs()
assert difference.max() < 1e-3
print(f"{len(pretrained.blocks)} blocks by residual_step: the same scores as the model's own")

# %% [markdown]
# ## 4 · What the model would predict after each block
#
# Every block adds to the same stream, and at the end the head compares that stream with the embedding of every
# token. Nothing stops us from applying the head *earlier*: stop after block 2, normalize, and read off the next token.
# This is called the **logit lens**.
#
# **Predict:** right after the embedding, before any block, which next token will the lens show after " time"?
#
# Type your own sentence into the box and press Enter; its first twelve tokens are shown. Begin as a children's story
# would.


# %%
@torch.no_grad()
def lens(ids):
    """The scores that the head gives after the embedding and after each block."""
    return torch.stack(
        [pretrained.logits(pretrained.norm(x))[0] for x in streams_of(ids)]
    ).cpu()


def draw_lens(sentence=sentence):
    ids = torch.tensor(tokenizer.encode(sentence or "Once")[:12], device=device)
    probabilities = lens(ids).softmax(-1)
    predicted = [[tokenizer.decode([int(i)]) for i in row] for row in probabilities.argmax(-1)]
    tokens = [tokenizer.decode([int(i)]) for i in ids]
    return figures.logit_lens(
        predicted,
        probabilities.amax(-1).tolist(),
        tokens,
        "The predicted next token, block by block",
    )


explore(
    draw_lens,
    sentence=Text(value=sentence, continuous_update=False, layout=Layout(width="90%")),
)

# %% [markdown]
# Read a column from the bottom up. At the bottom the lens mostly shows the token that was just *read*, " time" after
# " time": no block has added anything yet, the stream is that token's embedding, and the head looks for the embedding
# with the largest product. The exceptions are instructive: a product also grows with the *length* of a vector, so a
# token with a long embedding can win in a column that is not its own. Further up, the predictions move from the current
# token to the next one.
#
# In numbers, over sixteen stories that all begin differently: how often does the lens show the token just read, and
# what is its loss on the true next one? Equal probabilities for all tokens give a loss of ln V. **Predict:** does the
# first column fall from block to block?

# %% tags=["expected", "rounded"]
many = [
    torch.tensor(tokenizer.encode(s)[:96], device=device)
    for s in load_documents("stories")[:16]
]
scores = torch.stack([lens(story) for story in many])  # stories, depths, tokens, vocabulary
truth = torch.stack(many).cpu()
echo = [
    float((scores[:, i].argmax(-1) == truth).float().mean()) for i in range(scores.shape[1])
]
nats = [
    float(F.cross_entropy(scores[:, i, :-1].flatten(0, 1), truth[:, 1:].flatten()))
    for i in range(scores.shape[1])
]
for i, (repeated, loss) in enumerate(zip(echo, nats, strict=True)):
    print(
        f"after {i} blocks: {100 * repeated:3.0f} % predict the token just read, {loss:5.1f} nats per token"
    )
print(f"equal probabilities for all:                          {math.log(vocab_size):5.1f}")

assert echo[0] > 0.5
assert echo[-1] < 0.15
assert nats[0] > 1.5 * math.log(vocab_size)
assert nats[-1] < 0.5 * math.log(vocab_size)
num_better = sum(later < earlier for earlier, later in pairwise(nats))
assert num_better > len(nats) / 2
print(f"{num_better} of {len(nats) - 1} blocks bring the lens closer to the true next token")

# %% [markdown]
# The last block has the last word, but it does not start from scratch: the loss falls over several blocks. The fraction
# that repeats the token just read need not fall at once. The first blocks may even raise it: what they add is not meant
# for the head.
#
# That is the caution with this lens: the head was trained to read the *last* row and no other. Where a middle row looks
# confused, the stream may hold what is needed in a form that only later blocks can read.
#
# ## 5 · The block
#
# This is what you build next, with its norms before the sublayers, for a text of 32 tokens. The numbers beside the
# arrows are shapes. Notice that the stream has one shape from bottom to top: that is why blocks can be stacked.

# %% tags=["expected"]
figure = shapes.block_shapes(num_tokens=32, embed_dim=64, num_heads=4, ffn_dim=171)

# %% [markdown]
# ### Exercise 06.4 · `PlainBlock` (5 minutes)
#
# Two residual steps: attention gathers, the feed-forward layer processes. The parts are made in `__init__`. Look at
# which norms exist in which placement; the others are `nn.Identity`. `residual_step` needs a function that it can call,
# not what attention has returned.


# %%
class PlainBlock(nn.Module):
    """Attention, then feed-forward, each added to the residual stream.

    Args:
        placement: where the norms are: "pre", "post" or "sandwich".
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        ffn_dim: int,
        placement: str = "pre",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()

        def norm(*placements):
            return RMSNorm(embed_dim, eps) if placement in placements else nn.Identity()

        self.attention_norm = norm("pre", "sandwich")
        self.attention = MultiHeadAttention(embed_dim, num_heads)
        self.attention_output_norm = norm("sandwich")
        self.attention_stream_norm = norm("post")
        self.feed_forward_norm = norm("pre", "sandwich")
        self.feed_forward = GatedFeedForward(embed_dim, ffn_dim, "silu")
        self.feed_forward_output_norm = norm("sandwich")
        self.feed_forward_stream_norm = norm("post")

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "T T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Gather from other tokens, then process each token by itself.

        Args:
            mask: True where token t may look at token s. Attention takes it as `mask=`.
        """
        # SOLUTION
        # 1. A residual step with attention and its three norms.
        x = residual_step(
            x,
            lambda normed: self.attention(normed, mask=mask),
            self.attention_norm,
            self.attention_output_norm,
            self.attention_stream_norm,
        )
        # 2. A residual step with the feed-forward and its three norms.
        return residual_step(
            x,
            self.feed_forward,
            self.feed_forward_norm,
            self.feed_forward_output_norm,
            self.feed_forward_stream_norm,
        )
        # END SOLUTION


# %% tags=["check"]
PlainBlock = check("06.4", PlainBlock)

# %% [markdown]
# **One block, every number.** Two tokens of two channels, one head, and every matrix the identity, so that you can
# follow on paper. Token 0 is (2, 2), token 1 is (4, -4). **Predict** the first norm, and which token attends to which.

# %% tags=["expected"]
tiny, stages = PlainBlock(2, num_heads=1, ffn_dim=2), {}
with torch.no_grad():
    for weight in tiny.parameters():
        weight.copy_(torch.eye(*weight.shape) if weight.ndim == 2 else torch.ones_like(weight))


def recorder(name):
    return lambda module, inputs, output: stages.update({name: output.detach()})


for name in ("attention_norm", "attention", "feed_forward_norm", "feed_forward"):
    getattr(tiny, name).register_forward_hook(recorder(name))

stream = torch.tensor([[[2.0, 2.0], [4.0, -4.0]]])
result = tiny(stream, causal_mask(2, 2)).detach()
after_attention = stream + stages["attention"]
table = (
    ("the stream", stream),
    ("norm: what attention reads", stages["attention_norm"]),
    ("attention: what it found", stages["attention"]),
    ("the stream, with that added", after_attention),
    ("norm: what feed-forward reads", stages["feed_forward_norm"]),
    ("feed-forward: what it found", stages["feed_forward"]),
    ("the stream, with that added", result),
)
for name, vectors in table:
    a, b = vectors[0].tolist()
    print(f"{name:30s} ({a[0]:5.2f}, {a[1]:5.2f})   ({b[0]:5.2f}, {b[1]:5.2f})")

read = stages["attention_norm"][0]
scores = read[1] @ read.T / 2**0.5
print("token 1: scores", [f"{score:.2f}" for score in scores.tolist()], end=", ")
print("attention weights", [f"{weight:.3f}" for weight in scores.softmax(-1).tolist()])
assert torch.allclose(result, after_attention + stages["feed_forward"], atol=1e-5)

# %% [markdown]
# Follow token 1. Attention reads (1, -1). The score with token 0 is $1 \cdot 1 + (-1) \cdot 1 = 0$, with itself
# $2 / \sqrt{2} = 1.41$; softmax makes them attention weights, and
# $0.196 \cdot (1, 1) + 0.804 \cdot (1, -1) = (1, -0.61)$. Each sublayer reads a *normalized copy*, and what it finds is
# added to the stream as it was.
#
# ## 6 · A whole model
#
# Little more is needed around the blocks: a table that turns ids into vectors, a table of positions, one last norm, and
# a head that scores every token of the vocabulary.
#
# The head is **tied**: it is the embedding table again. A token's score is the product of the stream with that
# token's own embedding, $\text{score}_v = \text{norm}(x) \cdot e_v$, so one table serves both ends.

# %% tags=["expected"]
figure = shapes.model_shapes(vocab_size, num_tokens=32, embed_dim=64, num_layers=2)

# %% [markdown]
# ### Exercise 06.5 · `PlainTransformer` (10 minutes)
#
# Two gaps. Pass `placement` and `eps` on to the blocks. Keep the names: at the end the weights are copied into the
# package's model by name.


# %%
class PlainTransformer(nn.Module):
    """From token ids to a score for every possible next token."""

    def __init__(
        self,
        vocab_size: int,
        context_tokens: int,
        embed_dim: int,
        num_layers: int,
        num_heads: int,
        ffn_dim: int,
        placement: str = "pre",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.position_embedding = nn.Embedding(context_tokens, embed_dim)
        self.norm = nn.Identity() if placement == "post" else RMSNorm(embed_dim, eps)
        # SOLUTION
        # 1. self.blocks: num_layers blocks in a container that PyTorch looks into.
        self.blocks = nn.ModuleList(
            PlainBlock(embed_dim, num_heads, ffn_dim, placement, eps) for _ in range(num_layers)
        )
        # END SOLUTION

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """After each token, score every token of the vocabulary as the next one."""
        # SOLUTION
        # 1. The vectors of the tokens plus the vectors of their positions 0, 1, 2, ...
        T = token_ids.shape[1]
        positions = torch.arange(T, device=token_ids.device)
        x = self.embedding(token_ids) + self.position_embedding(positions)
        # 2. Through the blocks, one after the other, with a causal mask.
        mask = causal_mask(T, T, device=token_ids.device)
        for block in self.blocks:
            x = block(x, mask)
        # 3. The last norm, and the product with every row of the embedding table.
        return self.norm(x) @ self.embedding.weight.T
        # END SOLUTION


# %% tags=["check"]
PlainTransformer = check("06.5", PlainTransformer)

# %% [markdown]
# A fresh model knows nothing, so all $V$ tokens should be about equally likely, and its loss should be $\ln V$.
# **Predict:** is that so, with the weights that PyTorch gives to new modules?

# %%
inputs, targets = ids[:, :-1], ids[:, 1:]


def loss_of(model, inputs=inputs, targets=targets):
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


torch.manual_seed(0)
untouched = PlainTransformer(vocab_size, 32, 64, num_layers=2, num_heads=4, ffn_dim=171)
print(
    f"ln V is {math.log(vocab_size):.1f} nats; PyTorch's initial weights give {loss_of(untouched).item():.0f}"
)
assert loss_of(untouched) > 2 * math.log(vocab_size)

# %% [markdown]
# Far worse than knowing nothing: the model is *sure*, and wrong. `nn.Embedding` starts with numbers of standard
# deviation 1, and a vector of 64 such channels has a product of about 64 with itself. The tied head finds its own input
# there and bets everything on a repetition, as in the bottom row of the lens above.
#
# So initialization is part of the model. The recipe of our package:
#
# - embeddings start small, at 0.02, so that all scores begin near zero,
# - matrices keep the size of their input,
# - the two matrices of a block that **write** to the stream start at zero. Every block starts *silent*, as the
#   identity.

# %%
WRITE_TO_STREAM = ("attention.output.weight", "feed_forward.down.weight")


@torch.no_grad()
def initialize(model, generator, silent=True):
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0)
        elif silent and name.endswith(WRITE_TO_STREAM):
            weight.zero_()
        else:
            std = 0.02 if name.endswith("embedding.weight") else weight.shape[1] ** -0.5
            weight.normal_(0.0, 1.0, generator=generator).mul_(std)


def new_model(seed, silent=True, **sizes):
    model = PlainTransformer(vocab_size, 32, 64, num_heads=4, ffn_dim=171, **sizes)
    initialize(model, torch.Generator().manual_seed(seed), silent)
    return model


for seed in (0, 1, 2):
    first = loss_of(new_model(seed, num_layers=2)).item()
    assert abs(first - math.log(vocab_size)) < 0.05 * math.log(vocab_size)
print(f"initialized: {first:.2f} nats, ln V is {math.log(vocab_size):.2f}")

# %% [markdown]
# ## 7 · Pre or post
#
# The first transformer normalized the sum. With many layers that is hard to train. Why? Look at the gradients of a deep
# model before its first step. The blocks are not silent here, just as they were not in 2017.
#
# **Predict:** 48 blocks. In which placement do the gradients of the first and the last block differ most?


# %% tags=["expected", "rounded"]
def gradient_by_block(placement, seed, num_layers=48):
    """The norm of the loss's gradient in the weights of each block."""
    model = new_model(seed, silent=False, num_layers=num_layers, placement=placement)
    loss_of(model).backward()
    return [
        float(torch.stack([w.grad.norm() for w in block.parameters()]).norm())
        for block in model.blocks
    ]


gradients = {
    name: [gradient_by_block(name, seed) for seed in (0, 1, 2)]
    for name in ("post", "pre", "sandwich")
}
ratio = {name: sorted(g[0] / g[-1] for g in seeds) for name, seeds in gradients.items()}
figure = figures.gradient_by_block(gradients, "Post: every block multiplies the gradient")
for name, (least, _, most) in ratio.items():
    print(
        f"{name:8s}: the first block gets {least:.0f} to {most:.0f} times what the last one gets"
    )

assert min(ratio["post"]) > 40
assert max(ratio["pre"]) < 30
assert max(ratio["sandwich"]) < 50
assert min(g[11] / g[-1] for g in gradients["post"]) > 15
assert max(g[11] / g[-1] for g in gradients["pre"] + gradients["sandwich"]) < 5

# %% [markdown]
# On this axis a straight slope means that every block multiplies the gradient by the same factor. With the norm on the
# sum that is the case. With a free stream the first and the last block differ as well, by the factors above, but the
# lines fall at first and then level off: from block 12 to block 48 by less than a factor of five, where those of post
# fall by more than fifteen. Half as many blocks show that post really multiplies:

# %% tags=["rounded"]
for name in ("post", "pre"):
    half = sorted((g := gradient_by_block(name, seed, 24))[0] / g[-1] for seed in (0, 1, 2))
    growth = ratio[name][1] / half[1]
    print(
        f"{name:4s}: first block over last, twice as many blocks: times {growth:.0f} (median)"
    )
    assert growth > 4 if name == "post" else growth < 3

# %% [markdown]
# (Which end gets more depends on the sublayers: in the transformer of 2017, with ReLU, it is the output; see Xiong et
# al. below.) It is tempting to stop here: no single learning rate suits blocks whose gradients differ so much, so
# post-norm cannot be trained. Plausible, and easy to test. Twelve blocks memorize one small batch with AdamW, same
# rate, same data, no warm-up, three seeds. In one of the variants each block's gradient is **leveled** to norm 1
# before each step. **Predict:** which of the four succeed?


# %% tags=["rounded"]
def memorize(model, steps, rate=3e-3, inputs=inputs, targets=targets, leveled=False):
    """Train on one batch only; return the loss before each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    curve = []
    for _ in range(steps):
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        if leveled:
            level_gradients(model)
        optimizer.step()
        curve.append(loss.item())
    return curve


def level_gradients(model):
    """Scale the gradients of each block to norm 1."""
    for block in model.blocks:
        norm = torch.stack([w.grad.norm() for w in block.parameters()]).norm()
        for weight in block.parameters():
            weight.grad /= norm


def deep_model(name, seed, num_layers=12):
    silent, placement = name == "post, silent start", name.split(",")[0]
    return new_model(seed, silent=silent, num_layers=num_layers, placement=placement)


kinds = ("pre", "post", "post, leveled", "post, silent start")
deep = {name: [deep_model(name, seed) for seed in (0, 1, 2)] for name in kinds}
curves = {name: [memorize(model, 30) for model in deep[name]] for name in ("pre", "post")}
for name in curves:
    print(f"{name:18s}: {fmean(curve[-1] for curve in curves[name]):.1f}, mean of three seeds")

# %% [markdown]
# Now with leveled gradients, and with blocks that start silent, as our recipe has them:

# %% tags=["expected", "rounded"]
for name in ("post, leveled", "post, silent start"):
    curves[name] = [
        memorize(model, 30, leveled=name == "post, leveled") for model in deep[name]
    ]

frequencies = targets.flatten().bincount() / targets.numel()
counts_only = float(-(frequencies * frequencies.clamp_min(1e-9).log()).sum())
figure = figures.losses_of_seeds(
    curves,
    "Post-norm sticks, with equal gradients too",
    (counts_only, "knows only how often each token occurs"),
)
for name in kinds:
    print(f"{name:18s}: {fmean(curve[-1] for curve in curves[name]):.1f}, mean of three seeds")

for seed in range(3):
    pre, post, leveled, rescued = (curves[name][seed][-1] for name in kinds)
    assert max(pre, rescued) < 0.75 * counts_only
    assert min(post, leveled) > 0.85 * counts_only

# %% [markdown]
# Leveling does not help: the plausible explanation was wrong, at least for AdamW, which divides each weight's step by
# the usual size of that weight's own gradient and so never saw how large it was. Post-norm gets stuck near the dashed
# line: the loss of a model that knows how often each token occurs in the batch and looks at no context at all.
#
# So look the other way, forward. How similar to each other are the vectors of a text's tokens after each of 48 blocks,
# before training? And after training, at the top of the twelve blocks?


# %% tags=["expected", "rounded"]
@torch.no_grad()
def token_similarity(model):
    """Mean cosine between the vectors of two tokens of a text: before the blocks, and after each."""
    num_tokens = inputs.shape[1]
    x = model.embedding(inputs) + model.position_embedding(torch.arange(num_tokens))
    mask = causal_mask(num_tokens, num_tokens)
    others = ~torch.eye(num_tokens, dtype=torch.bool)
    similarities = []
    for block in [None, *model.blocks]:
        x = x if block is None else block(x, mask)
        unit = F.normalize(x, dim=-1)
        similarities.append(float((unit @ unit.transpose(1, 2))[:, others].mean()))
    return similarities


starts = {
    name: [token_similarity(deep_model(name, seed, num_layers=48)) for seed in (0, 1, 2)]
    for name in ("pre", "post", "post, silent start")
}
figure = figures.similarity_by_block(
    starts, "Post-norm makes all tokens alike, deep in the stack"
)
for name in ("pre", "post"):
    for depth in (12, 48):
        after = " ".join(f"{line[depth]:.1f}" for line in starts[name])
        print(f"{name:18s} before training, after {depth} blocks: {after}")

at_the_end = {name: [token_similarity(model)[-1] for model in deep[name]] for name in kinds}
for name, seeds in at_the_end.items():
    print(f"{name:18s} after training, at the top: " + " ".join(f"{s:.1f}" for s in seeds))
assert (
    max(line[12] for line in starts["post"]) < 0.95 < min(line[48] for line in starts["post"])
)
assert max(line[48] for line in starts["pre"]) < 0.9
assert max(line[48] for line in starts["post, silent start"]) < 0.1
assert min(at_the_end["post"] + at_the_end["post, leveled"]) > 0.9
assert max(at_the_end["pre"] + at_the_end["post, silent start"]) < 0.7
for line, after in zip(starts["pre"], at_the_end["pre"], strict=True):
    assert after < line[12], "with pre-norm the tokens part again"

# %% [markdown]
# Attention averages, and averages of the same text are alike, so in both placements the tokens become alike at first.
# Then pre-norm slows down: it adds to a stream that goes through. Post-norm normalizes the sum, so that every block
# shrinks what a token had of its own, and deep in the stack next to nothing of it is left. This is called **rank
# collapse**.
#
# After twelve blocks it is not complete yet. Training decides: with pre-norm the tokens part again; in the models that
# are stuck the collapse is complete. All positions of a text have nearly the same vector, hence the same scores, and
# the best that one set of scores can do for all of them is to say how often each token occurs. That is the dashed line.
#
# Blocks that start silent do not mix anything at first, and post-norm trains. That is one cure, and our recipe above
# has it built in. The transformer of 2017 had only six blocks on top of each other, and a long *warm-up* of the
# learning rate.
#
# ## 8 · The sanity test
#
# Before anyone trains a new model for hours, it has to memorize one small batch: it is overfitted on purpose. If a
# model with hundreds of thousands of weights cannot memorize sixteen sentences, something is broken, and no amount of
# data will fix it. Here is yours.

# %% tags=["expected"]
sixteen = torch.tensor(
    [tokenizer.encode(story)[:25] for story in load_documents("stories")[:16]]
)
batch = sixteen[:, :-1], sixteen[:, 1:]

mine = new_model(0, num_layers=2)
curve = memorize(mine, 100, 5e-3, *batch)
print(f"from {curve[0]:.2f} to {curve[-1]:.3f} nats per token")
assert loss_of(mine, *batch) < 0.05

figure = figures.losses(
    {"yours": curve}, "Your transformer memorizes a batch", (0.05, "0.05 nats")
)

# %% [markdown]
# How much does passing prove? **Predict** which of these bugs the test notices:
#
# - the blocks are not trained (the optimizer never saw them, say), and stay silent,
# - the blocks are not trained, and stay random, as in most models at the start,
# - there is no causal mask.


# %% tags=["expected"]
class Leaky(PlainTransformer):
    def forward(self, token_ids):
        T = token_ids.shape[1]
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(T))
        for block in self.blocks:
            x = block(x)  # no mask
        return self.norm(x) @ self.embedding.weight.T


untrained = {silent: new_model(0, silent, num_layers=2) for silent in (True, False)}
for model in untrained.values():
    model.blocks.requires_grad_(False)
leaky = Leaky(vocab_size, 32, 64, num_layers=2, num_heads=4, ffn_dim=171)
initialize(leaky, torch.Generator().manual_seed(0))

curves = {
    "silent blocks": memorize(untrained[True], 100, 5e-3, *batch),
    "random blocks": memorize(untrained[False], 100, 5e-3, *batch),
    "no mask": memorize(leaky, 100, 5e-3, *batch),
}


def entropy(*columns):
    """The entropy, in nats, of the rows that these columns make up, by their frequency."""
    rows = torch.stack([column.flatten() for column in columns], dim=1)
    frequencies = rows.unique(dim=0, return_counts=True)[1] / len(rows)
    return float(-(frequencies * frequencies.log()).sum())


token, position = batch[0], torch.arange(24).expand(16, 24)
without_context = entropy(token, position, batch[1]) - entropy(token, position)
print(f"the lowest possible loss without context: {without_context:.2f} nats")
figure = figures.losses(
    {"yours": curve} | curves,
    "The test notices dead blocks only if they are silent",
    (without_context, "token and position alone"),
)
assert 0.05 < without_context < curves["silent blocks"][-1]
assert max(curves["random blocks"][-1], curves["no mask"][-1]) < 0.05

# %% [markdown]
# It notices the first, thanks to our recipe. Silent blocks are the identity, so the model knows only a token and its
# position, and the dashed line is the loss of the best guess that those two allow, counted from the batch itself. No
# training gets below it, and it is above 0.05.
#
# The second goes unnoticed. Random blocks hand each token a mixture of those before it, and the embeddings alone learn
# to tell sixteen texts apart by it. So check as well that every parameter has a gradient and moves. The third goes
# unnoticed, because a model that reads the answer also knows it. The test of lesson 02 reveals it:

# %%
changed = batch[0].clone()
changed[:, 20] = (changed[:, 20] + 1) % vocab_size
with torch.no_grad():
    for name, model in {"yours": mine, "no mask": leaky}.items():
        moved = (model(changed) - model(batch[0])).abs().amax((0, 2)) > 1e-4
        print(
            f"{name:8s} token 20 changed; scores moved before it: {int(moved[:20].sum())} of 20"
        )
        assert bool(moved[:20].any()) == (name == "no mask")

# %% [markdown]
# ## 9 · What it costs
#
# ### Exercise 06.6 · `parameters_and_flops` (8 minutes)
#
# On paper first. By which matrices is a token multiplied, and what are their shapes? A product of an (m, n) and an
# (n, k) matrix takes $2mnk$ operations (FLOPs): a multiplication and an addition for each of its terms. Count products
# and nothing else. Attention's own two products have no parameters but count as FLOPs; count them as if every token
# saw every other.
#
# The model is the one above: gated feed-forward, tied head, norms before the sublayers, no biases.


# %%
def parameters_and_flops(
    vocab_size: int,
    context_tokens: int,
    embed_dim: int,
    num_layers: int,
    ffn_dim: int,
    num_tokens: int,
) -> tuple[int, int]:
    """How many numbers a plain transformer holds, and how many operations it takes to read one text.

    Args:
        num_tokens: tokens of the text.

    Returns:
        Parameters, and FLOPs.
    """
    # SOLUTION
    # 1. All matrices by which a token is multiplied: in the blocks, and the head.
    D, T = embed_dim, num_tokens
    matrices = num_layers * (4 * D * D + 3 * D * ffn_dim) + vocab_size * D
    # 2. What else is stored: the norms and the table of positions.
    parameters = matrices + (2 * num_layers + 1) * D + context_tokens * D
    # 3. What is computed: every token times every matrix, queries times keys, attention weights times values.
    flops = 2 * T * matrices + num_layers * 2 * (2 * D * T * T)
    return parameters, flops
    # END SOLUTION


# %% tags=["check"]
parameters_and_flops = check("06.6", parameters_and_flops)

# %% [markdown]
# Your count, compared with what the package counts from a configuration, and with the tensors that are really there:

# %%
config = ModelConfig(
    vocab_size=vocab_size,
    context_tokens=32,
    embed_dim=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=4,
    head_dim=16,
    ffn_dim=171,
    positions="learned",
    norm_eps=1e-6,
    activation="silu",
    tied_head=True,
)
parameters, flops = parameters_and_flops(vocab_size, 32, 64, 2, 171, num_tokens=32)
assert parameters == num_parameters(config) == sum(w.numel() for w in mine.parameters())
assert flops == forward_flops(config, 32)
print(
    f"{parameters:,} parameters, {flops / 1e6:.1f} million operations for 32 tokens: all agree"
)

# %% [markdown]
# The formula tells more at other sizes. Where are the parameters in your model, in one like GPT-2, in one the
# size of Llama 2's 7 billion? (Taken as plain models of these sizes: GPT-2 itself has a plain feed-forward of two
# matrices, and Llama an untied head.)

# %% tags=["expected"]
sizes = {  # vocabulary, context, width, blocks, width of the feed-forward
    "yours": (vocab_size, 32, 64, 2, 171),
    "as GPT-2": (50257, 1024, 768, 12, 2048),
    "as Llama 2 7B": (32000, 4096, 4096, 32, 11008),
}
parts = {
    name: {
        "embedding and positions": (V + N) * D,
        "attention": L * 4 * D * D,
        "feed-forward": L * 3 * D * F,
    }
    for name, (V, N, D, L, F) in sizes.items()
}
for name, size in sizes.items():
    total, _ = parameters_and_flops(*size, num_tokens=1)
    print(f"{name:14s} {total / 1e6:8.1f} million parameters")
figure = figures.where_the_parameters_are(parts, "Large models are mostly feed-forward")
assert parts["as Llama 2 7B"]["feed-forward"] > 0.6 * sum(parts["as Llama 2 7B"].values())
assert parts["yours"]["embedding and positions"] > 0.5 * sum(parts["yours"].values())

# %% [markdown]
# A rule of thumb follows: reading one token takes about two operations per parameter, as long as the text is short
# enough for attention's own products not to matter. When does that end? Each matrix costs the same for every token,
# but attention's products grow with the length of the text. **Predict** for the large one: at 2 thousand tokens,
# 30 thousand, or a million?

# %%
for num_tokens in (2048, 32768, 1048576):
    parameters, flops = parameters_and_flops(*sizes["as Llama 2 7B"], num_tokens)
    print(
        f"{num_tokens:9,} tokens: {flops / num_tokens / parameters:6.1f} operations per token and parameter"
    )
assert parameters_and_flops(*sizes["as Llama 2 7B"], 2048)[1] / 2048 / parameters < 2.5
assert parameters_and_flops(*sizes["as Llama 2 7B"], 32768)[1] / 32768 / parameters > 4

# %% [markdown]
# At 30 thousand: there attention's own products are already more than half of the work.
#
# ## 10 · Yours against ours
#
# Everything is in place for the last question: is what you built the model that this package trains? Its decoder, with
# the matching configuration, loads your trained weights. Then both read the same stories.

# %%
ours = Transformer(config)
weights = mine.state_dict()
if weights.keys() != ours.state_dict().keys():  # named otherwise: match them by their order
    weights = dict(zip(ours.state_dict(), weights.values(), strict=True))
ours.load_state_dict(weights)

with torch.no_grad():
    scores = mine.double()(batch[0])
    difference = (scores - ours.double()(batch[0])).abs().max() / scores.abs().max()
print("same scores to 1e-6 of the largest:", bool(difference < 1e-6))
assert difference < 1e-6

parts = {
    "causal_mask": causal_mask,
    "MultiHeadAttention": MultiHeadAttention,
    "GatedFeedForward": GatedFeedForward,
    "RMSNorm": RMSNorm,
    "residual_step": residual_step,
    "PlainBlock": PlainBlock,
    "PlainTransformer": PlainTransformer,
}
print("yours:", ", ".join(name for name, part in parts.items() if is_own(part)) or "none yet")
print(
    "from the package:",
    ", ".join(name for name, part in parts.items() if not is_own(part)) or "none",
)

# %% [markdown]
# And it can write, in its way. It has memorized the beginnings of sixteen stories:

# %% tags=["expected"]
text = sixteen[:1, :6]
with torch.no_grad():
    while text.shape[1] < 25:
        text = torch.cat([text, mine(text)[:, -1:].argmax(-1)], dim=1)
print(tokenizer.decode(text[0].tolist()))
assert torch.equal(text, sixteen[:1])

# %% [markdown]
# Word for word the first of them. To write anything else it needs more stories, and that is lesson 11.
#
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("06")

# %% [markdown]
# ## Recap
#
# 1. The residual stream is a vector per token. Every sublayer reads it and *adds* to it.
# 2. Stacked without a residual, the text vanishes; with a residual and without norms, the stream explodes.
# 3. LayerNorm subtracts the mean and divides by the standard deviation; RMSNorm only divides by the root mean square.
#    Both take one token at a time, over its channels.
# 4. Pre-norm normalizes what a sublayer reads, post-norm the sum, sandwich norm what it reads and what it found.
# 5. With pre-norm and random weights the stream grows like the square root of the number of blocks.
# 6. The logit lens applies the head after every block. It shows what the *head* can read there, not all that is known.
# 7. A model is an embedding, positions, blocks, a last norm and a head; a tied head is the embedding again.
# 8. A good start has a loss of ln V. Blocks whose writing matrices start at zero are the identity at first.
# 9. Memorizing one batch proves that something learns, not that every block does, nor that the mask is right.
# 10. A token costs about 2 operations per parameter, plus attention's products, which grow with the text.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (5) must match the size of tensor b (3)</code></summary>
#
# A mean without `keepdim=True` has lost its axis, so it cannot be subtracted from each channel (`layer_norm`,
# `RMSNorm`).
# </details>
#
# <details>
# <summary><code>TypeError: 'Tensor' object is not callable</code></summary>
#
# `residual_step` was given attention's *result*. Give it a function that it can call: `lambda normed: ...`
# (`PlainBlock`).
# </details>
#
# <details>
# <summary><code>IndexError: index out of range in self</code></summary>
#
# The text has more tokens than the table of positions has rows (`context_tokens`), or an id is not in the vocabulary.
# </details>
#
# <details>
# <summary><code>ValueError: optimizer got an empty parameter list</code></summary>
#
# Blocks in a plain Python list are invisible to PyTorch: `nn.ModuleList` registers them (`PlainTransformer`). If the
# model has other parameters there is no error, and the blocks silently do not train.
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
# - Residual connections come from image recognition: He et al. 2015
#   ([arXiv:1512.03385](https://arxiv.org/abs/1512.03385)). LayerNorm is equation 4 of Ba et al. 2016
#   ([arXiv:1607.06450](https://arxiv.org/abs/1607.06450)), RMSNorm equation 4 of Zhang and Sennrich 2019
#   ([arXiv:1910.07467](https://arxiv.org/abs/1910.07467)).
# - Xiong et al. 2020 ([arXiv:2002.04745](https://arxiv.org/abs/2002.04745)) explain post-norm's need for a warm-up by
#   its gradients at the start. They find the largest ones near the output; ours, with gated feed-forward layers, are
#   near the input. Liu et al. 2020 ([arXiv:2004.08249](https://arxiv.org/abs/2004.08249)) find, as you did, that
#   gradients of unequal size are not the root of it. Vectors that become equal with depth are called rank collapse:
#   Dong et al. 2021 ([arXiv:2103.03404](https://arxiv.org/abs/2103.03404)) prove it for attention without residuals;
#   Noci et al. 2022 ([arXiv:2206.03126](https://arxiv.org/abs/2206.03126)) say what it does to gradients.
# - Gemma 2 ([arXiv:2408.00118](https://arxiv.org/abs/2408.00118)) put norms on both sides of each sublayer and Gemma 3
#   ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)) kept them. In `gemini_workshop/models/transformer_block.py`,
#   `TransformerBlock.forward` is your block: the same two steps with the same six norms.
# - A zero start does not suit sandwich norms: a norm of a vector of zeros has the slope $1/\sqrt{\varepsilon} = 1000$.
#   `models/initialization.py` explains it, and `TransformerBlock` makes the exception.
# - The tied head is from Press and Wolf 2017 ([arXiv:1608.05859](https://arxiv.org/abs/1608.05859)). Reading the stream
#   with the head of another depth has a trained version, the tuned lens: Belrose et al. 2023
#   ([arXiv:2303.08112](https://arxiv.org/abs/2303.08112)).
#
# ## Stretch · one block less
#
# If every block only adds, one of them can be left out and the rest still works, somehow. Which block of the pretrained
# model matters most? Leave each out in turn and measure the loss on the sixteen stories. Then guess, before you
# measure, what happens if two neighboring blocks are swapped.


# %%
@torch.no_grad()
def loss_without(block_index):
    kept = pretrained.blocks
    try:
        pretrained.blocks = nn.ModuleList(b for i, b in enumerate(kept) if i != block_index)
        scores = torch.cat([pretrained(story[None, :-1]) for story in many])
    finally:
        pretrained.blocks = kept
    return float(F.cross_entropy(scores.flatten(0, 1).cpu(), truth[:, 1:].flatten()))


# Yours goes here. loss_without(None) leaves nothing out.

# %% [markdown]
# **A second one:** give `PlainTransformer` rotary positions (lesson 04) in place of the table, and compare it with
# `Transformer` once more: `ModelConfig(positions="rotary", rope=RotaryConfig(base=10_000.0), ...)`.
