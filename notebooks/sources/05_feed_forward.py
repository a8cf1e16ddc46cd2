# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "05"
#     title: Feed-forward networks
#     part: part2_fundamentals
#     kind: pair
#     minutes: 40
#     budget_seconds: 60
#     requires: ["02"]
# ---

# %% [markdown]
# # 05 · Feed-forward networks
#
# **40 minutes** · builds on lesson 02
#
# After this lesson you can
#
# - show what a layer without a bend can never learn, however large it is,
# - write GELU, the plain feed-forward layer and the gated one (SwiGLU, GeGLU),
# - choose widths so that two layers cost the same, and compare them fairly,
# - read a neuron of a trained model: what fires it, what it promotes, and what that does not prove.
#
# Two of the five exercises are classes. They are checked with weights of our own, so what counts is what they compute.

# %%
import copy
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.dataset import split_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.neurons import neuron_strengths, promoted_scores, silenced
from gemini_workshop.exercises.core import check, hint, quiz, solution
from gemini_workshop.exercises.modules import give_weights
from gemini_workshop.models.feedforward import ACTIVATIONS
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.checkpointing import load_pretrained
from gemini_workshop.visualization import attention as attention_figures
from gemini_workshop.visualization import feedforward as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import Dropdown, FloatSlider, IntSlider
from jaxtyping import Float
from torch import Tensor, nn

use_theme()
device = pick_device()
rng = torch.Generator().manual_seed(5)
model, tokenizer = load_pretrained(device=device)
training_stories, held_out = split_documents(load_documents("stories"), 0.05)

# %% [markdown]
# ## 1 · Three matrices are one
#
# Attention fetches: it mixes vectors of other tokens into a token's own. Then the token has to *do* something with what
# it has. The smallest thing worth doing is a question with "either … or": is exactly one of two things true? Two
# channels, each +1 or -1; the answer is +1 where they differ and -1 where they agree.
#
# We train a stack of three matrices on these four points. **Predict before you run:** which loss does it reach? (Always
# answering 0 costs 1.)


# %%
def train_stack(bend, seed):
    """Three matrices with `bend` between them, after 300 steps on the four points."""
    torch.manual_seed(seed)
    first, second, third = (
        nn.Linear(width, next_width, bias=False)
        for width, next_width in ((2, 16), (16, 16), (16, 1))
    )
    stack = nn.Sequential(first, bend(), second, bend(), third)
    optimizer = torch.optim.Adam(stack.parameters(), lr=0.01)
    for _ in range(300):
        loss = F.mse_loss(stack(corners)[:, 0], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return stack, loss.item()


corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
targets = torch.tensor([-1.0, 1.0, 1.0, -1.0])

straight, straight_loss = train_stack(nn.Identity, seed=0)
print(f"loss after 300 steps: {straight_loss:.2f}")
assert math.isclose(straight_loss, 1.0, abs_tol=1e-3)

# %% [markdown]
# As if it had not been trained. More layers do not help, and more neurons do not either, because a matrix times a
# matrix is a matrix:

# %%
first, second, third = (layer.weight for layer in straight if isinstance(layer, nn.Linear))
one_matrix = third @ second @ first  # 1 × 2
x = torch.randn(100, 2, generator=rng)
assert torch.allclose(straight(x), x @ one_matrix.T, atol=1e-5)
print("304 numbers in three matrices do what", one_matrix.numel(), "numbers do")
assert sum(weight.numel() for weight in (first, second, third)) == 304

# %% [markdown]
# What a single matrix can answer is a plane, tilted one way or another, and no plane is high at two opposite corners
# and low at the other two. So bend it: between the matrices, replace every negative number by 0. That is **ReLU**,
# $\max(x, 0)$.

# %% tags=["expected"]
bent, bent_loss = train_stack(nn.ReLU, seed=0)
print(f"with ReLU between the same matrices: loss {bent_loss:.2f}")
assert bent_loss < 0.01

ticks = torch.linspace(-1.6, 1.6, 81)
plane = torch.cartesian_prod(ticks, ticks).flip(-1)  # channel 0 along a row
with torch.no_grad():
    maps = {
        "Three matrices: flat": straight(plane).view(81, 81),
        "Bent between: solved": bent(plane).view(81, 81),
    }
figure = figures.corner_maps(maps, 1.6, corners, targets)

# %% [markdown]
# **By hand, once.** Two neurons are enough. Give the first the weights (1, -1) and the second (-1, 1), apply ReLU, and
# add them up: $\max(a - b, 0) + \max(b - a, 0) = |a - b|$. What is that where $a$ and $b$ agree, and where they differ?

# %%
up = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # one row a neuron
answers = F.relu(corners @ up.T).sum(-1) - 1.0
print([int(answer) for answer in answers])
assert torch.equal(answers, targets)

# %% [markdown]
# That is a feed-forward layer: up into neurons, a bend, down again. It sits behind the attention of every transformer
# layer. **Predict:** which share of the parameters in the pretrained model's layers is in its feed-forward parts? A
# quarter, a half, three quarters?

# %%
in_blocks = sum(weight.numel() for weight in model.blocks.parameters())
in_feed_forward = sum(
    weight.numel() for block in model.blocks for weight in block.feed_forward.parameters()
)
print(f"{in_feed_forward / in_blocks:.0%}")
assert 0.7 < in_feed_forward / in_blocks < 0.8

# %% [markdown]
# Nearly three of four numbers. When people say that a language model "knows" something, this is where most of the room
# for it is.

# %% [markdown]
# ## 2 · A softer bend
#
# ReLU has a flaw. Left of zero its slope is 0, and no gradient passes a slope of 0. Here is a layer of 32 neurons whose
# biases start so low that every neuron is off for every input. We ask it for a sine curve, once with ReLU and once with
# a function called GELU. **Predict:** what does the loss of the ReLU layer do in 300 steps?


# %% tags=["expected"]
def train_from_below(activation, seed):
    """A layer of 32 neurons that all start on the negative side; its loss at each step."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-1, 1, 64)[:, None]
    up = torch.randn(1, 32, generator=generator)
    bias = -1.0 - up[0].abs()  # so that up * x + bias is below -1 everywhere
    down = torch.randn(32, 1, generator=generator) / 32**0.5
    weights = [weight.requires_grad_() for weight in (up, bias, down)]
    optimizer = torch.optim.Adam(weights, lr=0.02)
    losses = []
    for _ in range(300):
        loss = F.mse_loss(activation(x @ up + bias) @ down, torch.sin(3 * x))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


curves = {"ReLU": train_from_below(F.relu, 0), "GELU": train_from_below(F.gelu, 0)}
figure = figures.learning_curves(curves, "mean squared error", "No slope, no learning")

assert curves["ReLU"][-1] == curves["ReLU"][0], "not one weight should have moved"
assert curves["GELU"][-1] < 0.01

# %% [markdown]
# It is not slow: it stands still, to the last bit. In a large network some neurons end like that on the way ("dead"
# neurons), and no gradient of their own brings them back. GELU has a slope on the left, too.
#
# It comes from a thought about chance. Let a number $x$ pass with a probability that grows with $x$: the probability
# $\Phi(x)$ that a number drawn from the standard normal distribution is smaller than $x$. What passes on average is
#
# $$\text{gelu}(x) = x \cdot \Phi(x) = x \cdot \tfrac{1}{2}\left(1 + \text{erf}\!\left(\tfrac{x}{\sqrt 2}\right)\right)$$
#
# `torch.erf` is the error function, the usual way to get at $\Phi$. When GELU was new, erf was slow on many machines,
# and a formula with tanh took its place in GPT-2 and, later, in Gemma:
#
# $$\text{gelu}(x) \approx x \cdot \tfrac{1}{2}\left(1 + \tanh\!\left(\sqrt{\tfrac{2}{\pi}}\,
# \left(x + 0.044715\,x^3\right)\right)\right)$$
#
# ### Exercise 05.1 · `gelu` (6 minutes)


# %%
def gelu(
    x: Float[Tensor, "..."], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "..."]:
    """Let each number through in the proportion in which standard normal numbers are smaller.

    gelu(tensor([-1., 0., 1.])) is tensor([-0.1587, 0.0000, 0.8413]).

    Args:
        approximate: "tanh" takes the formula with tanh, "none" the exact one.
    """
    # SOLUTION
    # 1. The share of x that passes, in the form that was asked for.
    if approximate == "tanh":
        share = 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    else:
        share = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    # 2. That share of x.
    return x * share
    # END SOLUTION


# %% tags=["check"]
gelu = check("05.1", gelu)

# %% [markdown]
# Compare the shapes. The red line is the tangent; its slope, on the right, is the factor with which a gradient passes.
# Where is the slope of GELU *negative*? Where larger than 1? What does SiLU, $x \cdot \text{sigmoid}(x)$, do
# differently?

# %%
curves_by_name = {"GELU": gelu, "ReLU": F.relu, "SiLU": F.silu}


def values_and_slopes(activation, x):
    x = x.clone().requires_grad_()
    y = activation(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), slope


def draw_activation(name="GELU", x=-1.0):
    inputs = torch.linspace(-4, 4, 801)
    return figures.activation(inputs, *values_and_slopes(curves_by_name[name], inputs), x, name)


explore(
    draw_activation,
    name=Dropdown(options=list(curves_by_name)),
    x=FloatSlider(value=-1.0, min=-4.0, max=4.0),
)

# %%
inputs = torch.linspace(-6, 6, 1201)
y, slope = values_and_slopes(gelu, inputs)
lowest = int(y.argmin())
apart = (gelu(inputs) - gelu(inputs, "tanh")).abs().max()
print(f"GELU is lowest at {inputs[lowest]:.2f}, where it is {y[lowest]:.2f}")
print(f"its slope runs from {slope.min():.2f} to {slope.max():.2f}")
print(f"and is negative left of that point, above 1 right of {inputs[slope > 1].min():.2f}")
silu = F.silu(inputs)
print(f"SiLU is lowest at {inputs[silu.argmin()]:.2f}, where it is {silu.min():.2f}")
print(f"the two forms differ by {apart:.4f} at most")
assert inputs[lowest] == inputs[525]
assert slope.min() < -0.1 < 1.1 < slope.max()
assert (slope[inputs < inputs[lowest] - 0.01] <= 0).all()
assert 4e-4 < apart < 5e-4

# %% [markdown]
# GELU is not monotone: from its lowest point to the left it climbs back to 0. SiLU does the same, deeper and more
# slowly. And far enough out its slope fades as well, so it makes dead neurons rarer and not impossible. Half a
# thousandth between the two forms is nothing to the eye. Published models name the form that they were trained with all
# the same, so that their scores can be repeated digit by digit.

# %% [markdown]
# ## 3 · The layer
#
# With the matrices $W_\text{up}$ (from the width of the model to the number of neurons, usually four times as many) and
# $W_\text{down}$ (back again):
#
# $$\text{feed\_forward}(x) = W_\text{down}\; \text{activation}(W_\text{up}\, x)$$
#
# ### Exercise 05.2 · `FeedForward` (7 minutes)
#
# A class this time: `__init__` makes the matrices, `forward` uses them. `nn.Linear(a, b, bias=...)` is a matrix that
# turns a channels into b. `ACTIVATIONS` holds functions by name: "relu", "gelu", "gelu_tanh", "silu".


# %%
class FeedForward(nn.Module):
    """One projection up, a nonlinearity, one projection down.

    Its matrices are called up (embed_dim to ffn_dim) and down (ffn_dim to embed_dim).
    """

    def __init__(
        self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False
    ) -> None:
        super().__init__()
        # SOLUTION
        # 1. Look the activation up; keep the function.
        self.activation = ACTIVATIONS[activation]
        # 2. Make the two matrices, with a bias each if that is asked for.
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        # SOLUTION
        # 3. Up, bend, down.
        return self.down(self.activation(self.up(x)))
        # END SOLUTION


# %% tags=["check"]
FeedForward = check("05.2", FeedForward)

# %% [markdown]
# In lesson 02 you changed each token in turn and saw a staircase: every later output moved. **Predict:** what does the
# same experiment show with your feed-forward layer in the place of attention?

# %% tags=["expected"]
torch.manual_seed(0)
layer = FeedForward(8, 32, "gelu")
x = torch.randn(6, 8, generator=rng)
has_moved = torch.zeros(6, 6, dtype=torch.bool)
with torch.no_grad():
    for s in range(6):
        changed = x.clone()
        changed[s] += 1.0
        has_moved[:, s] = ((layer(changed) - layer(x)).abs() > 1e-5).any(-1)
figure = attention_figures.influence(has_moved, "Each token by itself")

assert torch.equal(has_moved, torch.eye(6, dtype=torch.bool))

# %% [markdown]
# Only its own. All tokens pass the same matrices, and none learns of another. The two parts of a transformer layer have
# divided the work: attention moves things between tokens, the feed-forward layer works on one token at a time.

# %% [markdown]
# ## 4 · A gate
#
# A neuron adds up weighted channels and bends the sum. Some questions are not sums. *How much of this, given that?* is
# a product: one channel times another. We train a ReLU layer of 16 neurons on the product of two channels, both between
# -1 and 1, and then ask it about larger ones. **Predict:** 3 times 3?

# %%
torch.manual_seed(0)
plain = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(plain.parameters(), lr=0.02)
x = torch.rand(400, 2, generator=rng) * 2 - 1
for _ in range(600):
    loss = F.mse_loss(plain(x)[:, 0], x.prod(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

three_times_three = plain(torch.tensor([[3.0, 3.0]])).item()
print(f"typical error where it was trained: {loss.sqrt():.2f}")
print("is its 3 times 3 below 6?", three_times_three < 6)
assert loss.sqrt() < 0.05
assert three_times_three < 6

# %% [markdown]
# Within what it has seen it is good: it has fitted pieces of planes together. Outside, the last piece goes on straight.
#
# So give the layer a product. Make *two* projections of the input, bend one, and multiply them, number by number. The
# bent one is the **gate**: where it is 0, nothing passes, whatever the other says.
#
# ### Exercise 05.3 · `gate_units` (3 minutes)


# %%
def gate_units(
    gate: Float[Tensor, "*B F"],
    up: Float[Tensor, "*B F"],
    activation: Callable[[Tensor], Tensor],
) -> Float[Tensor, "*B F"]:
    """Let one projection decide how much of the other passes, unit by unit.

    Args:
        gate: the projection that decides, not yet bent.
        up: the projection that passes or does not.
        activation: a function such as F.relu.
    """
    # SOLUTION
    # 1. Open the gates, and let through what comes up.
    return activation(gate) * up
    # END SOLUTION


# %% tags=["check"]
gate_units = check("05.3", gate_units)

# %% [markdown]
# **By hand, once.** Two units multiply exactly. Unit 0 has the gate $a$ and lets $b$ through; unit 1 has the gate $-a$
# and lets $-b$ through. With ReLU one of the two gates is always closed. What is the sum of both units, for positive
# $a$ and for negative $a$?

# %% tags=["expected"]
line = torch.linspace(-3, 3, 61)
a, b = line, line
units = gate_units(torch.stack([a, -a]), torch.stack([b, -b]), F.relu)
by_gates = units.sum(0)
with torch.no_grad():
    by_bends = plain(torch.stack([a, b], dim=-1))[:, 0]
answers = {"16 neurons, trained": by_bends.tolist(), "2 gated units": by_gates.tolist()}
figure = figures.beyond_what_was_seen(line.tolist(), (a * b).tolist(), answers, (-1, 1))

assert torch.allclose(by_gates, a * b, atol=1e-5)
a, b = torch.cartesian_prod(line, line).T  # and where a and b differ
units = gate_units(torch.stack([a, -a]), torch.stack([b, -b]), F.relu)
assert torch.allclose(units.sum(0), a * b, atol=1e-5)

# %% [markdown]
# Two units, exact everywhere. With biases a gated layer can do all that a plain one can (let `up` always be 1), and it
# can also multiply.
#
# ### Exercise 05.4 · `GatedFeedForward` (5 minutes)
#
# $$\text{gated}(x) = W_\text{down}\left(\text{activation}(W_\text{gate}\, x) \odot (W_\text{up}\, x)\right)$$
#
# where $\odot$ multiplies number by number. With SiLU in the gate it is called **SwiGLU** (Llama, Mistral, Qwen), with
# GELU **GeGLU** (Gemma).


# %%
class GatedFeedForward(nn.Module):
    """Two projections up, a gate, one projection down.

    Its matrices are called gate and up (embed_dim to ffn_dim) and down (ffn_dim to embed_dim).
    """

    def __init__(
        self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False
    ) -> None:
        super().__init__()
        # SOLUTION
        # 1. The activation and three matrices.
        self.activation = ACTIVATIONS[activation]
        self.gate = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)
        # END SOLUTION

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        # SOLUTION
        # 2. Both ways up, the gate, and down.
        return self.down(gate_units(self.gate(x), self.up(x), self.activation))
        # END SOLUTION


# %% tags=["check"]
GatedFeedForward = check("05.4", GatedFeedForward)

# %% [markdown]
# The pretrained model's layers are of this kind. We take them out, put yours in their place with the same weights, and
# let the model read stories that it was not trained on. Then we give your layers each of the other activations.
# **Predict:** which one was it trained with, and do the others ruin it?


# %% tags=["expected"]
def with_my_layers(activation):
    """The pretrained model with GatedFeedForward, as defined above, in every layer."""
    config, mine = model.config, copy.deepcopy(model)
    for block in mine.blocks:
        layer = GatedFeedForward(config.embed_dim, config.ffn_dim, activation)
        give_weights(layer, dict(block.feed_forward.named_parameters()))
        block.feed_forward = layer.to(device)
    return mine


@torch.no_grad()
def next_token_loss(some_model, token_ids):
    logits = some_model(token_ids)[:, :-1].flatten(0, 1)
    return float(F.cross_entropy(logits, token_ids[:, 1:].flatten()))


batch = torch.tensor([tokenizer.encode(story)[:96] for story in held_out[:8]], device=device)
losses = {name: next_token_loss(with_my_layers(name), batch) for name in ACTIVATIONS}
own = model.config.activation
figure = figures.losses_with_activation(losses, own)

assert math.isclose(losses[own], next_token_loss(model, batch), abs_tol=1e-4)
assert losses[own] <= min(losses.values()) + 1e-3
assert losses["silu"] < losses["gelu"] < losses["relu"] < losses["relu_squared"]
assert losses["relu_squared"] < losses[own] + 0.2

# %% [markdown]
# With its own activation the model is itself, in your layers. GELU, whose curve is nearest, costs least; ReLU and its
# square (`relu_squared`, used by some small models) cost more, and none ruins it: not even a fifth of a nat is added.
# What the weights have learned, they have learned around one curve.

# %% [markdown]
# ## 5 · A fair comparison
#
# Is a gate worth its price? A gated layer has three matrices where a plain one has two. At equal width it is half as
# large again, and if it then does better, we have learned nothing about gates.
#
# ### Exercise 05.5 · `gated_ffn_dim` (4 minutes)
#
# How wide may a gated layer be to have as many parameters as a plain one? Count both, leave biases out, and set them
# equal. Hardware likes round widths, so round to the nearest multiple of `multiple_of`.


# %%
def gated_ffn_dim(ffn_dim: int, multiple_of: int = 1) -> int:
    """The width at which a gated layer has as many parameters as a plain one of width ffn_dim.

    Args:
        multiple_of: round to the nearest multiple of this.
    """
    # SOLUTION
    # 1. Three matrices share what two had; count in multiples, and round.
    multiples = round(2 * ffn_dim / (3 * multiple_of))
    # 2. Back to a width.
    return multiples * multiple_of
    # END SOLUTION


# %% tags=["check"]
gated_ffn_dim = check("05.5", gated_ffn_dim)

# %% [markdown]
# The textbook width of a plain layer is four times the model's. Your function says what that becomes with a gate. Do
# you find the width of the pretrained model again? And that of Llama 7B, which is 4096 wide and rounds to multiples of
# 256?


# %%
def num_parameters(module):
    return sum(weight.numel() for weight in module.parameters())


width = model.config.embed_dim
plain_layer = FeedForward(width, 4 * width, "gelu")
gated_layer = GatedFeedForward(width, gated_ffn_dim(4 * width), "gelu")
print("plain:", num_parameters(plain_layer), "· gated:", num_parameters(gated_layer))
print(
    "ours:", gated_ffn_dim(4 * width), "· Llama 7B:", gated_ffn_dim(4 * 4096, multiple_of=256)
)
assert num_parameters(plain_layer) == num_parameters(gated_layer)
assert gated_ffn_dim(4 * width) == model.config.ffn_dim
assert gated_ffn_dim(4 * 4096, multiple_of=256) == 11008

# %% [markdown]
# Now the race: four one-layer models that read stories letter by letter. They differ in the feed-forward layer and in
# nothing else: as many parameters (to 0.2 %), the same texts in the same order, 100 steps each. And since a single race
# proves little, three of them, with other starting weights and other texts each. **Predict** the order.

# %%
KINDS = {  # activation, gated
    "ReLU": ("relu", False),
    "GELU": ("gelu", False),
    "SwiGLU": ("silu", True),
    "GeGLU": ("gelu", True),
}
letters = sorted(set("".join(training_stories + held_out)))
number_of = {letter: i for i, letter in enumerate(letters)}


def as_rows(stories, count):
    """Rows of 65 letters: 64 to read, each with the one that follows it."""
    text = "\n".join(stories)[: count * 65]
    return torch.tensor([number_of[letter] for letter in text]).view(count, 65)


train_rows, test_rows = as_rows(training_stories, 8000), as_rows(held_out, 400)


def small_model(kind, seed):
    activation, is_gated = KINDS[kind]
    config = ModelConfig(
        vocab_size=len(letters),
        context_tokens=64,
        embed_dim=64,
        num_layers=1,
        num_heads=2,
        num_kv_heads=2,
        head_dim=32,
        ffn_dim=gated_ffn_dim(256) if is_gated else 256,
        activation=activation,
        gated=is_gated,
        rope=RotaryConfig(base=10000.0),
        norm_eps=1e-6,
        tied_head=True,
    )
    return Transformer(config, torch.Generator().manual_seed(seed))


def race(kind, seed, steps=100):
    """Train one model (lesson 11 explains how) and return its loss on stories that it has not seen."""
    runner, draw = small_model(kind, seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(runner.parameters(), lr=0.005, betas=(0.9, 0.95))
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 10) * (1 - step / steps)
    )
    for _ in range(steps):
        rows = train_rows[torch.randint(len(train_rows), (16,), generator=draw)]
        loss = F.cross_entropy(runner(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return next_token_loss(runner, test_rows)


sizes = {kind: small_model(kind, 0).num_parameters() for kind in KINDS}
assert max(sizes.values()) < 1.002 * min(sizes.values())

# %% tags=["expected"]
results = {kind: [race(kind, seed) for seed in (0, 1, 2)] for kind in KINDS}
figure = figures.losses_by_seed(
    results,
    "loss on unseen stories (nats per letter)",
    "A gate helps; which one, we cannot tell",
)

by_seed = [
    dict(zip(results, losses, strict=True)) for losses in zip(*results.values(), strict=True)
]
mean = {kind: float(np.mean(losses)) for kind, losses in results.items()}
between_seeds = max(float(np.ptp(losses)) for losses in results.values())
for losses in by_seed:
    assert losses["ReLU"] > losses["GELU"] > max(losses["SwiGLU"], losses["GeGLU"])
assert mean["GELU"] - max(mean["SwiGLU"], mean["GeGLU"]) > 0.02
assert abs(mean["SwiGLU"] - mean["GeGLU"]) < between_seeds

# %% [markdown]
# In each race the order is ReLU, GELU, then the gated two, at equal cost: follow a grey line, which is one race.
# Between SwiGLU and GeGLU the means lie closer together than the races of one and the same kind: with these numbers
# nobody can say that one of them is better. And 100 steps on letters show no more than who is ahead at the start.
# Shazeer, who proposed these layers, trained far larger models for far longer. There, too, the gated ones came out
# ahead and close together, while ReLU and GELU ended level. He gave no reason: "We offer no explanation as to why these
# architectures seem to work; we attribute their success, as all else, to divine benevolence."

# %% [markdown]
# ## 6 · Neurons as memories
#
# Write the layer's last step out. Neuron $i$ holds a number $m_i$, its *strength* for this token, and owns one column
# of $W_\text{down}$, its *value* $v_i$. The output is
#
# $$\text{feed\_forward}(x) = m_1 v_1 + m_2 v_2 + \dots$$
#
# That is lesson 02's soft dictionary over again, without the softmax. What a neuron compares $x$ with is its key: one
# row of weights in a plain layer, a row of the gate and one of `up` in a gated one. If it matches, the value is added
# to the stream (Geva et al. 2021); a negative strength subtracts it.

# %%
layer = model.blocks[2].feed_forward
x = torch.randn(model.config.embed_dim, generator=rng).to(device)
with torch.no_grad():
    strengths = gate_units(layer.gate(x), layer.up(x), layer.activation)
    output = sum(m * v for m, v in zip(strengths, layer.down.weight.T, strict=True))
    assert torch.allclose(output, layer(x), atol=1e-4)
print(len(strengths), "neurons, added up one by one, give the layer's output")

# %% [markdown]
# Keys can be read by experiment. We let the model read the held-out stories and note every neuron's strength at every
# token. A neuron's twenty strongest places are its **triggers**.
#
# Values can be read, too: the model's head turns a vector into scores for every token, so show it a value. The ten
# tokens with the highest scores are what the neuron **promotes**. We ask for tokens that begin with a space and occur
# in these stories: a piece from the middle of a word says little by itself.

# %%
texts = [
    torch.tensor(tokenizer.encode(story)[: model.config.context_tokens], device=device)
    for story in held_out
]
strengths = torch.cat([neuron_strengths(model, ids)[:, :-1] for ids in texts], dim=1)
read = torch.cat([ids[:-1] for ids in texts]).cpu()  # the token at each place
following = torch.cat([ids[1:] for ids in texts]).cpu()  # the one that comes next
written = {int(i): tokenizer.decode([int(i)]) for i in read.unique()}
words = torch.tensor(
    [i for i, text in written.items() if text[0] == " " and text[1:].isalpha()]
)

ends = np.cumsum([len(ids) - 1 for ids in texts])  # where each story ends
num_layers, num_places, num_neurons = strengths.shape
places = strengths.topk(20, dim=1).indices  # layers, 20, neurons
promoted, promoted_by = [], []
for layer in range(num_layers):
    scores, best = promoted_scores(model, layer)[:, words].topk(10)
    promoted.append(words[best])
    promoted_by.append(scores)
print(num_layers, "layers of", num_neurons, "neurons, each at", num_places, "places")

# %% [markdown]
# Before looking at single neurons, two questions to all of them. How many different tokens are among the twenty
# triggers: is a neuron one word? And does the value fit the key? After a trigger comes a next token; how often is it
# among the ten that the neuron promotes, and how often among the ten of *other* neurons of the layer?


# %% tags=["expected"]
def next_token_is_promoted(layer):
    """hits[i, j]: share of neuron i's triggers whose next token is promoted by neuron j."""
    next_tokens = torch.zeros(num_neurons, model.config.vocab_size)
    next_tokens.scatter_add_(
        1, following[places[layer]].T, torch.full((num_neurons, 20), 1 / 20)
    )
    is_promoted = torch.zeros_like(next_tokens).scatter_(1, promoted[layer], 1.0)
    return next_tokens @ is_promoted.T


sorted_triggers = read[places].sort(dim=1).values
num_different = 1 + (sorted_triggers.diff(dim=1) != 0).sum(1)  # layers, neurons
hits = torch.stack([next_token_is_promoted(layer) for layer in range(num_layers)])
own_hits = hits.diagonal(dim1=1, dim2=2)
others_hits = (hits.sum(2) - own_hits) / (num_neurons - 1)
figure = figures.readable_neurons(num_different, 20, own_hits.mean(1), others_hits.mean(1))

one_word = float((num_different == 1).float().mean())
print(f"{one_word:.0%} of the neurons have one and the same token as trigger twenty times")
print(f"the median neuron has {num_different.float().median():.0f} different ones")
assert one_word < 0.1
assert num_different.float().median() >= 5
assert (own_hits.mean(1) > 2 * others_hits.mean(1)).all()

# %% [markdown]
# Two findings. Few neurons are one word; most answer to a mixture. And a neuron's value names the next token more than
# twice as often as its neighbours' values do, in every layer, although no part of the training asked for it: key and
# value belong together.
#
# Here is the neuron with the clearest reading: of those with at least six different triggers, the one whose value
# promotes what really comes next most often, compared with its neighbours. What do its triggers have in common?


# %% tags=["expected"]
def draw_neuron(layer=0, neuron=0, shown=12):
    """A neuron's strongest triggers in their contexts, and what its value promotes."""
    contexts = []
    for place in places[layer, :shown, neuron].tolist():
        story = int(np.searchsorted(ends, place, side="right"))
        ids = texts[story].tolist()
        t = place - (int(ends[story - 1]) if story else 0)
        before = tokenizer.decode(ids[max(0, t - 14) : t])[-38:]
        after = tokenizer.decode(ids[t + 1 : t + 12])[:26]
        contexts.append((before, tokenizer.decode([ids[t]]), after))
    return figures.memory(
        contexts,
        strengths[layer, places[layer, :shown, neuron], neuron].tolist(),
        [tokenizer.decode([int(i)]) for i in promoted[layer][neuron]],
        promoted_by[layer][neuron].tolist(),
        f"Layer {layer}, neuron {neuron}",
    )


advantage = (own_hits - others_hits).masked_fill(num_different < 6, -1.0)
clearest_layer, clearest = divmod(int(advantage.argmax()), num_neurons)
figure = draw_neuron(clearest_layer, clearest)

assert own_hits[clearest_layer, clearest] >= 0.5
assert num_different[clearest_layer, clearest] >= 6

# %% [markdown]
# That one was picked as the best of thousands. For an honest impression, move the sliders to ten neurons without
# choosing. For how many can you finish the sentence "it fires at …"? In which layers is it easier?

# %%
explore(
    draw_neuron,
    layer=IntSlider(value=1, max=num_layers - 1),
    neuron=IntSlider(value=5, max=num_neurons - 1),
)

# %% [markdown]
# ### What a reading does not prove
#
# If this neuron is how the model knows what comes next at its triggers, the model should be lost there without it. So
# silence it, and look at the loss at exactly those twenty places. **Predict:** how much is added at the triggers, where
# the value was so often right?


# %%
@torch.no_grad()
def losses_of_tokens(texts):
    """The loss at every place of these texts."""
    losses = [
        F.cross_entropy(model(ids[None])[0, :-1], ids[1:], reduction="none") for ids in texts
    ]
    return torch.cat(losses).cpu()


triggers = places[clearest_layer, :, clearest]
is_trigger = torch.zeros(num_places, dtype=torch.bool)
is_trigger[triggers] = True

before = losses_of_tokens(texts)
with silenced(model, clearest_layer, clearest):
    added = losses_of_tokens(texts) - before
at_triggers, elsewhere = added[is_trigger].mean(), added[~is_trigger].mean()

down = model.blocks[clearest_layer].feed_forward.down.weight.detach().cpu()
sizes = (strengths[clearest_layer].abs() * down.norm(dim=0)).sort(dim=1, descending=True).values
so_far = sizes.cumsum(1)
for_half = 1 + (so_far < so_far[:, -1:] / 2).sum(1).float().median()

print(f"without the neuron: {at_triggers:+.2f} nats at its triggers")
print(f"half of what its layer adds to a token comes from {for_half:.0f} neurons (median)")
assert abs(at_triggers) < 0.2
assert abs(elsewhere) < 0.01
assert for_half > 20

# %% [markdown]
# The loss hardly changes where the neuron fires most, and by less than a hundredth of a nat elsewhere. No neuron speaks
# alone: dozens of them make up half of what one layer adds to a token, and other layers add to it as well. A neuron's
# reading is a true statement about when it fires and where it points. That the model *keeps* something there is another
# claim, and silencing the neuron does not bear it out.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see what speaks for or against it.

# %%
quiz("05")

# %% [markdown]
# ## From here to Gemini
#
# - The plain layer is equation 2 of Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)), with
#   ReLU and a width of four times the model's. GELU is Hendrycks and Gimpel 2016
#   ([arXiv:1606.08415](https://arxiv.org/abs/1606.08415)); GPT-2 took its tanh form.
# - Gates in feed-forward layers, with two thirds of the width, are Shazeer 2020
#   ([arXiv:2002.05202](https://arxiv.org/abs/2002.05202)). Gemma has GeGLU with the tanh form, Llama SwiGLU. How wide a
#   layer is has become a matter of taste: many models spend more on it than the two thirds.
# - Keys, values and their agreement are Geva et al. 2021 ([arXiv:2012.14913](https://arxiv.org/abs/2012.14913));
#   reading values through the head is Geva et al. 2022 ([arXiv:2203.14680](https://arxiv.org/abs/2203.14680)).
# - In `gemini_workshop/models/feedforward.py`, `FeedForward` and `GatedFeedForward` are line for line what you wrote.
#   `evaluation/neurons.py` has what section 6 used.
# - Lesson 06 puts this layer and attention around a residual stream. Lesson 08 cuts it into experts and lets each token
#   use a few of them. Gemini 1.5 is such a model: many memories, few of them read for each token.
#
# ## Stretch · the quickest way up
#
# `gate` and `up` read the same input. Put both into one matrix of twice the width, multiply once, and cut the result in
# two halves: one large product has less to start than two small ones, and some published weights come packed like that
# (those of Phi-3, for example). The test is ready. What happens if the halves change places?


# %%
class FusedFeedForward(nn.Module):
    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        self.gated = gated  # yours goes here: one matrix for gate and up

    def forward(self, x):
        return self.gated(x)


original = GatedFeedForward(6, 10, "silu")
x = torch.randn(4, 6, generator=rng)
assert torch.allclose(FusedFeedForward(original)(x), original(x), atol=1e-5)
