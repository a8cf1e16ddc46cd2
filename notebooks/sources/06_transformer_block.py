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
#     minutes: 60
#     budget_seconds: 60
#     requires: ["02", "03", "04", "05"]
# ---

# %% [markdown]
# # 06 · The transformer block
#
# **60 minutes** · builds on 02 to 05
#
# After this lesson you can
#
# - say what the residual stream is for, and what becomes of a stack without it,
# - write LayerNorm and RMSNorm, and put them in three different places,
# - build a whole language model from its parts, and know that it is right,
# - count its parameters and its operations on paper.
#
# Attention lets tokens gather from each other, the feed-forward lets each work on what it has. This lesson stacks them.
# You write six pieces, and the last section runs your own transformer against the one this package trains.

# %%
import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from gemini_workshop.config import ModelConfig
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.exercises.core import check, hint, quiz, solution
from gemini_workshop.exercises.own_parts import is_own, own_or
from gemini_workshop.models.accounting import forward_flops, num_parameters
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import MultiHeadAttention
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.checkpointing import load_pretrained
from gemini_workshop.visualization import blocks as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import Layout, Text
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

use_theme()
device = pick_device()
pretrained, tokenizer = load_pretrained(device=device)
vocab_size = pretrained.config.vocab_size

# Parts that you wrote in earlier lessons on this computer are used; the package's stand in for the others.
causal_mask = own_or(causal_mask)
MultiHeadAttention = own_or(MultiHeadAttention, embed_dim=8, num_heads=2)
GatedFeedForward = own_or(GatedFeedForward, embed_dim=8, ffn_dim=3, activation="silu")
for part in (causal_mask, MultiHeadAttention, GatedFeedForward):
    print(f"{part.__name__:20s} {'yours' if is_own(part) else 'from the package'}")

# %% [markdown]
# ## 1 · A stack that forgets
#
# All parts are there: attention reads a text, the feed-forward works on the result. So put them on top of each other,
# each reading what the one below returned, 24 times. The weights are fresh, drawn so that every matrix by itself keeps
# the size of what it reads. The text is real: four stories from the training data.
#
# **Predict before you run:** the vectors start with size 1 (root mean square of their channels). What size do they have
# after 24 blocks: about 1, very large or very small?

# %%
stories = load_documents("stories")[:4]
ids = torch.tensor([tokenizer.encode(story)[:33] for story in stories])
mask = causal_mask(33, 33)


def fresh(module, generator):
    """Draw the weights so that a product with them keeps the size of a vector."""
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
# Nothing is left. A gated feed-forward *multiplies* two small numbers, so each block makes small vectors much smaller,
# and long before the 24th the stories are zeros in floating point: not a word of them has come through. Whatever the
# last block might learn, there is nothing for it to read, and no gradient finds its way back.
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
    {"replaced": replaced, "added": added}, "Replaced, the text fades; added to, it explodes"
)

# %% [markdown]
# This sum is called the **residual stream** (residual, because a layer only has to find what is still missing). It no
# longer fades. But now the same multiplication works the other way: a large vector makes a larger one, and in the end
# the numbers do not fit into a float. (A line ends where it leaves the range of $10^{-12}$ to $10^{12}$.)
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
# $\varepsilon$ is a tiny number that keeps a vector of equal channels from being divided by zero. By hand: (3, 5) becomes
# (-1, 1). What becomes of (3, 9)?


# %%
def layer_norm(
    x: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], bias: Float[Tensor, " D"], eps: float
) -> Float[Tensor, "*B D"]:
    """Shift each vector to mean 0, divide by its standard deviation, then scale and shift every channel.

    layer_norm(tensor([3., 5.]), weight=ones(2), bias=zeros(2), eps=0.0) is tensor([-1., 1.])
    """
    # SOLUTION
    # 1. The mean of each vector, with its axis kept; the vector minus its mean.
    centred = x - x.mean(dim=-1, keepdim=True)
    # 2. The mean of the squares of that.
    variance = centred.square().mean(dim=-1, keepdim=True)
    # 3. Divide by the root of the variance plus eps; scale and shift.
    return centred / torch.sqrt(variance + eps) * weight + bias
    # END SOLUTION


# %% tags=["check"]
layer_norm = check("06.1", layer_norm)

# %% [markdown]
# What does a norm keep, and what does it throw away? Here are four vectors; three of them come out the same.

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

# %% [markdown]
# The size is gone, and so is the common offset of all channels. What stays is how the channels
# differ from each other.
#
# ### Exercise 06.2 · `RMSNorm` (6 minutes)
#
# Half of that turned out to be unnecessary. RMSNorm neither shifts nor has a bias; it divides by the **r**oot of the
# **m**ean **s**quare and scales:
#
# $$y_i = w_i \cdot \frac{x_i}{\sqrt{\frac{1}{D}\sum_j x_j^2 + \varepsilon}}$$
#
# Gemma, Llama and nearly every model since use it. This one is a module: it owns its weight. Two traps: where the weight
# starts, and numbers of 16 bits, in which the square of 300 does not fit. So work in float32 (`x.float()`), and go back
# to the input's dtype (`.to(x.dtype)`) before the weight.


# %%
class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, then scale every channel.

    Args:
        dim: channels of a vector.
        eps: added under the root.

    Attributes:
        weight: the learned scale of each channel, shape (dim,). It starts such that nothing is scaled.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        # SOLUTION
        # 1. A parameter, which the optimizer will find.
        self.weight = nn.Parameter(torch.ones(dim))
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis; computed in float32."""
        # SOLUTION
        # 1. Widen to float32.
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
# **Predict:** with what power of the number of blocks does the stream grow now?

# %% tags=["expected"]
norm_of_64 = RMSNorm(64, eps=1e-6)


def add_normed(x, sublayer):
    return x + sublayer(norm_of_64(x))


normed = stream_sizes(add_normed, seed=0)
figure = figures.stream_sizes(
    {"replaced": replaced, "added": added, "added, read through a norm": normed},
    "With both, a stack of any depth stays in bounds",
)
for seed in (0, 1, 2):
    sizes = stream_sizes(add_normed, seed)
    assert 2 < sizes[24] < 10
    assert 1.6 < sizes[24] / sizes[6] < 2.4  # four times the blocks, twice the size

# %% [markdown]
# Each block adds something of about the same size, in a direction of its own. Sums of such things grow like the root of
# their number, so the stream after 24 blocks is only a few times larger than at the start. Nothing fades, nothing
# explodes, and each layer reads numbers of the size that it expects.
#
# ## 3 · Where the norm goes
#
# There are three places, and history tried them all. With $f$ for attention or feed-forward:
#
# | placement | formula | used by |
# |---|---|---|
# | **post** | $\text{norm}(x + f(x))$ | the first transformer (2017), BERT |
# | **pre** | $x + f(\text{norm}(x))$ | GPT-2, Llama |
# | **sandwich** | $x + \text{norm}'(f(\text{norm}(x)))$ | Gemma 2 and 3, our pretrained model's family |
#
# ### Exercise 06.3 · `residual_step` (5 minutes)
#
# One function for all three. It is given up to three norms; one that is left out passes everything unchanged. Note which
# ones touch the stream itself.


# %%
def identity(x):
    """What a norm does where there is none."""
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
        norm: normalises what the sublayer reads (pre and sandwich).
        output_norm: normalises what the sublayer found, before it is added (sandwich).
        stream_norm: normalises the sum (post).
    """
    # SOLUTION
    # 1. What the sublayer finds when it reads the normalised stream.
    found = sublayer(norm(x))
    # 2. Add it, normalised, to the stream as it was. Normalise the sum.
    return stream_norm(x + output_norm(found))
    # END SOLUTION


# %% tags=["check"]
residual_step = check("06.3", residual_step)

# %% [markdown]
# This one line is what all the blocks of a large model consist of. To prove it, here is the pretrained model again: its
# own norms, attention and feed-forward layers, put together by *your* function. The stream is kept after each block.


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
# ## 4 · What the model would say after each block
#
# Every block adds to one and the same stream, and at the end the head compares that stream with the embedding of every
# token. Nothing stops us from asking the head *earlier*: stop after block 2, normalise, and read off the next token.
# This is called the **logit lens**.
#
# **Predict:** straight after the embedding, before any block, which next token will the model name after "time"?
#
# Write your own sentence into the box and press Enter; its first twelve tokens are shown. Begin as a children's story
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
    said = [[tokenizer.decode([int(i)]) for i in row] for row in probabilities.argmax(-1)]
    tokens = [tokenizer.decode([int(i)]) for i in ids]
    return figures.logit_lens(
        said,
        probabilities.amax(-1).tolist(),
        tokens,
        "What the model would say next, block by block",
    )


explore(
    draw_lens,
    sentence=Text(value=sentence, continuous_update=False, layout=Layout(width="90%")),
)

# %% [markdown]
# Read a column from the bottom up. At the bottom the model nearly always names the token it has just *read*, and is sure
# of it: no block has added anything yet, the stream is that token's embedding, and what is most like it is itself. Then
# the answers drift from the token that was to the token that will be.
#
# In numbers, over sixteen stories that all begin differently: how often does the lens name the token just read, and how
# many nats does it lose on the true next one? A guess with equal shares for all loses ln V.

# %% tags=["expected"]
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
for i, (share, loss) in enumerate(zip(echo, nats, strict=True)):
    print(
        f"after {i} blocks: {100 * share:3.0f} % name the token just read, {loss:5.1f} nats per token"
    )
print(f"equal shares for all:                              {math.log(vocab_size):5.1f}")

assert echo[0] > 0.6
assert echo[-1] < 0.1
assert nats[0] > 2 * math.log(vocab_size)
assert all(later < earlier for earlier, later in pairwise(nats))

# %% [markdown]
# Every block brings the prediction nearer to the truth; none is allowed to start from scratch. Be careful, all the same:
# the head was trained to read the *last* row. Where a middle row looks confused, the block may hold what is needed in a
# form that only later blocks can read.
#
# ## 5 · The block
#
# ### Exercise 06.4 · `PlainBlock` (5 minutes)
#
# Two residual steps: attention gathers, the feed-forward thinks it over. The parts are made in `__init__`. Look at which
# norms exist in which placement; what is not there is an `nn.Identity`. `residual_step` wants a function that it can call,
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
        """Gather from other tokens, then think it over.

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
# ## 6 · A whole model
#
# Around the blocks it takes little: a table that turns ids into vectors, a table of positions, one last norm, and a
# head that scores every token of the vocabulary.
#
# The head is **tied**: it is the embedding table once more. A token's score is the product of the stream with that
# token's own embedding, $\text{score}_v = \text{norm}(x) \cdot e_v$, so one table serves both ends.
#
# ### Exercise 06.5 · `PlainTransformer` (10 minutes)
#
# Two gaps. Hand `placement` and `eps` on to the blocks. Keep the names: by them, weights will be copied into the package's
# model at the end.


# %%
class PlainTransformer(nn.Module):
    """Token ids in, a score for every possible next token out."""

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
        # SOLUTION
        # 1. self.blocks: num_layers blocks in a container that PyTorch looks into.
        self.blocks = nn.ModuleList(
            PlainBlock(embed_dim, num_heads, ffn_dim, placement, eps) for _ in range(num_layers)
        )
        # END SOLUTION
        self.norm = nn.Identity() if placement == "post" else RMSNorm(embed_dim, eps)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the successor of every token given."""
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
    f"ln V is {math.log(vocab_size):.1f} nats; PyTorch's own start gives {loss_of(untouched).item():.0f}"
)
assert loss_of(untouched) > 2 * math.log(vocab_size)

# %% [markdown]
# Far worse than knowing nothing: the model is *sure*, and wrong. `nn.Embedding` starts with numbers of spread 1, and a
# vector of 64 such channels has a product of about 64 with itself. The tied head finds its own input there and bets
# everything on a repetition, as in the bottom row of the lens above.
#
# So initialisation is part of the model. The recipe of our package:
#
# - embeddings start small, at 0.02, so that all scores begin near zero,
# - matrices keep the size of what they read,
# - the two matrices of a block that **write** to the stream start at zero. Every block begins *silent*, as the identity.

# %%
WRITE_TO_STREAM = ("attention.output.weight", "feed_forward.down.weight")


@torch.no_grad()
def initialise(model, generator, silent=True):
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
    initialise(model, torch.Generator().manual_seed(seed), silent)
    return model


for seed in (0, 1, 2):
    first = loss_of(new_model(seed, num_layers=2)).item()
    assert abs(first - math.log(vocab_size)) < 0.05 * math.log(vocab_size)
print(f"initialised: {first:.2f} nats, ln V is {math.log(vocab_size):.2f}")

# %% [markdown]
# ## 7 · Pre or post
#
# The first transformer normalised the sum. It was hard to train: with many layers only a slow *warm-up* of the learning
# rate kept it from failing. Why? Look at the gradients of a deep model before its first step. Blocks are not silent here,
# as they were not in 2017.
#
# **Predict:** 48 blocks. In which placement do the gradients of the first and the last block differ most?


# %% tags=["expected"]
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

assert min(ratio["post"]) > 40
assert max(ratio["pre"]) < 30
assert max(ratio["sandwich"]) < 50
assert min(g[11] / g[-1] for g in gradients["post"]) > 30
assert max(g[11] / g[-1] for g in gradients["pre"] + gradients["sandwich"]) < 5

# %% [markdown]
# On this axis a straight slope means: every block multiplies the gradient by the same factor. With the norm on the sum
# that is so, and after 48 blocks the first one gets more than forty times what the last one gets, in each of three
# seeds. With a free stream the lines fall at first and then level off: from block 12 to block 48 by less than a factor of
# five, where post's fall by more than thirty. Half as many blocks show that it really is a multiplication:

# %%
for name in ("post", "pre"):
    half = sorted((g := gradient_by_block(name, seed, 24))[0] / g[-1] for seed in (0, 1, 2))
    growth = ratio[name][1] / half[1]
    print(
        f"{name:4s}: first block over last, twice as many blocks: times {growth:.0f} (median)"
    )
    assert growth > 4 if name == "post" else growth < 3

# %% [markdown]
# One learning rate cannot serve blocks whose gradients differ so much. (Which end gets more depends on the sublayers: in
# the transformer of 2017, with ReLU, it is the output; see Xiong et al. below. That it depends on depth at all is the
# trouble.) Here is what comes of it: 18 blocks learn one small batch by heart, same rate, same data, no warm-up.


# %% tags=["expected"]
def learn_by_heart(model, steps, rate=3e-3, inputs=inputs, targets=targets):
    """Train on one batch only; return the loss before each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    curve = []
    for _ in range(steps):
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


deep = {
    "pre": new_model(0, silent=False, num_layers=18, placement="pre"),
    "post": new_model(0, silent=False, num_layers=18, placement="post"),
    "post, silent start": new_model(0, silent=True, num_layers=18, placement="post"),
}
curves = {name: learn_by_heart(model, steps=60) for name, model in deep.items()}

shares = targets.flatten().bincount() / targets.numel()
counts_only = float(-(shares * shares.clamp_min(1e-9).log()).sum())
figure = figures.losses(
    curves,
    "The same 18 blocks, the norm elsewhere",
    (counts_only, "knows only how often each token occurs"),
)
assert curves["pre"][-1] < 1 < curves["post"][-1]
assert abs(curves["post"][-1] - counts_only) < 0.3
assert curves["post, silent start"][-1] < 0.5 * curves["post"][-1]

# %% [markdown]
# Post-norm stops at the dashed line. That is the loss of a model that knows how often each token occurs in the batch and
# looks at no context at all: its blocks carry nothing. Blocks that start silent rescue it. That is a second cure for the
# same illness, and our recipe above has it built in.
#
# ## 8 · The sanity test
#
# Before anyone trains a new model for hours, it has to learn one small batch by heart. If a model with thousands of
# weights cannot memorise sixteen sentences, something is broken, and no amount of data will mend it. Here is yours.

# %% tags=["expected"]
sixteen = torch.tensor(
    [tokenizer.encode(story)[:25] for story in load_documents("stories")[:16]]
)
batch = sixteen[:, :-1], sixteen[:, 1:]

mine = new_model(0, num_layers=2)
curve = learn_by_heart(mine, 100, 5e-3, *batch)
print(f"from {curve[0]:.2f} to {curve[-1]:.3f} nats per token")
assert loss_of(mine, *batch) < 0.05

figure = figures.losses(
    {"yours": curve}, "Your transformer learns a batch by heart", (0.05, "0.05 nats")
)

# %% [markdown]
# How much does passing prove? **Predict** which of these bugs the test notices:
#
# - the blocks are not trained (they stood in a plain Python list, say, and the optimizer never saw them),
# - there is no causal mask.


# %% tags=["expected"]
class Leaky(PlainTransformer):
    def forward(self, token_ids):
        T = token_ids.shape[1]
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(T))
        for block in self.blocks:
            x = block(x)  # no mask
        return self.norm(x) @ self.embedding.weight.T


untrained = new_model(0, num_layers=2)
untrained.blocks.requires_grad_(False)
leaky = Leaky(vocab_size, 32, 64, num_layers=2, num_heads=4, ffn_dim=171)
initialise(leaky, torch.Generator().manual_seed(0))

curves = {
    "blocks not trained": learn_by_heart(untrained, 100, 5e-3, *batch),
    "no mask": learn_by_heart(leaky, 100, 5e-3, *batch),
}


def entropy(*columns):
    """Nats in the choice of one of the rows that these columns make up, each as likely as it is frequent."""
    rows = torch.stack([column.flatten() for column in columns], dim=1)
    shares = rows.unique(dim=0, return_counts=True)[1] / len(rows)
    return float(-(shares * shares.log()).sum())


token, place = batch[0], torch.arange(24).expand(16, 24)
without_context = entropy(token, place, batch[1]) - entropy(token, place)
print(f"the least possible without context: {without_context:.2f} nats")
figure = figures.losses(
    {"yours": curve} | curves,
    "The test notices dead blocks and misses the leak",
    (without_context, "token and place alone"),
)
assert 0.05 < without_context < curves["blocks not trained"][-1]
assert curves["no mask"][-1] < 0.05

# %% [markdown]
# It notices the first. With dead blocks a model knows a token and its place, and the dashed line is the loss of the best
# guess that those two allow, counted from the batch itself. No training gets below it, and it lies above 0.05.
#
# The second passes without a murmur, for a model that reads the answer also knows it. The test of lesson 02 is the one
# that tells:

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
# On paper first. Which matrices is a token multiplied with, and what are their shapes? A product of an (m, n) and an
# (n, k) matrix takes $2mnk$ operations (FLOPs): a multiplication and an addition for each of its terms. Count products
# and nothing else. Attention's own two products have no parameters and belong to the FLOPs; count them as if every token
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
    # 1. All matrices that a token is multiplied with: in the blocks, and the head.
    D, T = embed_dim, num_tokens
    matrices = num_layers * (4 * D * D + 3 * D * ffn_dim) + vocab_size * D
    # 2. What is stored besides: the norms and the table of positions.
    parameters = matrices + (2 * num_layers + 1) * D + context_tokens * D
    # 3. What is computed: every token with every matrix, queries with keys, shares with values.
    flops = 2 * T * matrices + num_layers * 2 * (2 * D * T * T)
    return parameters, flops
    # END SOLUTION


# %% tags=["check"]
parameters_and_flops = check("06.6", parameters_and_flops)

# %% [markdown]
# Your count against what the package counts from a configuration, and against the tensors that are really there:

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
# The formula is more telling at other sizes. Where do the parameters sit in your model, in one like GPT-2, in one the
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
# A rule of thumb follows: reading one token takes about two operations for each parameter, as long as the text is short
# enough for attention's own products not to count. When does that end? Each matrix costs the same for every token,
# attention's products grow with the length of the text. **Predict** for the large one: at 2 thousand tokens,
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
# Everything is in place for the last question: is what you built the model that this package trains? Its decoder, given
# the fitting configuration, takes over your weights, trained as they are. Then both read the same stories.

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
# And it speaks, in its way. It has seen the beginnings of sixteen stories:

# %% tags=["expected"]
text = sixteen[:1, :6]
with torch.no_grad():
    while text.shape[1] < 25:
        text = torch.cat([text, mine(text)[:, -1:].argmax(-1)], dim=1)
print(tokenizer.decode(text[0].tolist()))
assert torch.equal(text, sixteen[:1])

# %% [markdown]
# Word for word the first of them. To say anything else it needs more stories, and that is lesson 11.
#
# ## Checkpoint
#
# Click an answer to see what speaks for or against it.

# %%
quiz("06")

# %% [markdown]
# ## From here to Gemini
#
# - Residual connections come from image recognition: He et al. 2015 ([arXiv:1512.03385](https://arxiv.org/abs/1512.03385)).
#   LayerNorm is equation 4 of Ba et al. 2016 ([arXiv:1607.06450](https://arxiv.org/abs/1607.06450)), RMSNorm equation 4
#   of Zhang and Sennrich 2019 ([arXiv:1910.07467](https://arxiv.org/abs/1910.07467)).
# - That post-norm needs a warm-up, and why, is worked out by Xiong et al. 2020
#   ([arXiv:2002.04745](https://arxiv.org/abs/2002.04745)). They find the largest gradients near the output; ours, with
#   gated feed-forwards, lie near the input.
# - Gemma 2 ([arXiv:2408.00118](https://arxiv.org/abs/2408.00118)) put norms on both sides of each sublayer and Gemma 3
#   ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)) kept them. In `gemini_workshop/models/transformer_block.py`,
#   `TransformerBlock.forward` is your block: the same two steps with the same six norms.
# - A silent start is no friend of the sandwich: a norm of zeros has a gradient of a thousand. `initial_std` in
#   `transformer.py` says so and makes the exception.
# - The tied head is from Press and Wolf 2017 ([arXiv:1608.05859](https://arxiv.org/abs/1608.05859)). Reading the stream
#   with the head of another depth has a trained version, the tuned lens: Belrose et al. 2023
#   ([arXiv:2303.08112](https://arxiv.org/abs/2303.08112)).
#
# ## Stretch · a block less
#
# If every block only adds, one of them can be left out and the rest still works, somehow. Which block of the pretrained
# model is missed most? Leave each out in turn and measure the loss on the sixteen stories. Then guess, before you
# measure, what happens if two neighbouring blocks change places.


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
