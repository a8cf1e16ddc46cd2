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
#     minutes: 70
#     budget_seconds: 60
#     requires: ["02"]
# ---

# %% [markdown]
# # 05 · Feed-forward networks
#
# **70 minutes** · builds on lesson 02
#
# After this lesson you can
#
# - show what a layer without a nonlinearity can never learn, however large it is,
# - write GELU, the plain feed-forward layer and the gated one (SwiGLU, GeGLU),
# - choose widths so that two layers cost the same, and compare them fairly,
# - read a neuron of a trained model: what activates it, what it promotes, and what that does not prove.
#
# Two of the five exercises are classes. They are checked with weights of our own, so only what they compute counts.
# Short of time? Section 6 (neurons) can be skipped: no exercise builds on it.

# %%
import copy
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.data.batches.reading import split_documents
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.interpretability.neurons import (
    neuron_strengths,
    promoted_scores,
    silenced,
)
from gemini_workshop.exercises import check, hint, quiz, solution
from gemini_workshop.exercises.core.pairing import give_weights
from gemini_workshop.models.feedforward import ACTIVATIONS
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import attention as attention_figures
from gemini_workshop.visualization import feedforward as figures
from gemini_workshop.visualization import shapes
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
# it has. The smallest interesting task is "either … or": is exactly one of two things true? Two
# channels, each +1 or -1; the answer is +1 where they differ and -1 where they agree.
#
# We train a stack of three matrices on these four points. **Predict before you run:** which loss does it reach? (Always
# answering 0 gives a loss of 1.)


# %%
def train_stack(nonlinearity, seed):
    """Three matrices with this nonlinearity between them, after 300 steps on the four points."""
    torch.manual_seed(seed)
    first, second, third = (
        nn.Linear(width, next_width, bias=False)
        for width, next_width in ((2, 16), (16, 16), (16, 1))
    )
    stack = nn.Sequential(first, nonlinearity(), second, nonlinearity(), third)
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
# As if it had never been trained. More layers do not help, and neither do more neurons, because a matrix times a
# matrix is a matrix:

# %%
first, second, third = (layer.weight for layer in straight if isinstance(layer, nn.Linear))
one_matrix = third @ second @ first  # 1 × 2
x = torch.randn(100, 2, generator=rng)
assert torch.allclose(straight(x), x @ one_matrix.T, atol=1e-5)
print("304 numbers in three matrices do what", one_matrix.numel(), "numbers do")
assert sum(weight.numel() for weight in (first, second, third)) == 304

# %% [markdown]
# The answers of a single matrix form a plane, tilted one way or another, and no plane is high at two opposite corners
# and low at the other two. So bend it: between the matrices, replace every negative number by 0. That is **ReLU**,
# $\max(x, 0)$. Such a function between matrices is called a **nonlinearity** or an **activation**.

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
up = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # one row per neuron
answers = F.relu(corners @ up.T).sum(-1) - 1.0
print([int(answer) for answer in answers])
assert torch.equal(answers, targets)

# %% [markdown]
# It is 0 where they agree and 2 where they differ; minus 1, these are the wanted answers. And that is a feed-forward
# layer: up into neurons, a nonlinearity, down again. It follows the attention in every transformer layer. **Predict:**
# what fraction of the parameters in the pretrained model's layers is in its feed-forward parts? A quarter, a half,
# three quarters?

# %%
in_blocks = sum(weight.numel() for weight in model.blocks.parameters())
in_feed_forward = sum(
    weight.numel() for block in model.blocks for weight in block.feed_forward.parameters()
)
print(f"{in_feed_forward / in_blocks:.0%}")
assert 0.7 < in_feed_forward / in_blocks < 0.8

# %% [markdown]
# Nearly three numbers out of four. When people say that a language model "knows" something, this is where most of the
# room for it is.

# %% [markdown]
# ## 2 · A softer nonlinearity
#
# ReLU has a flaw. Left of zero its slope is 0, and no gradient passes through a slope of 0. Here is a layer of 32
# neurons whose biases start so low that every neuron is off for every input. We train it on a sine curve, once with
# ReLU and once with a function called GELU. **Predict:** what does the loss of the ReLU layer do in 300 steps?


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
# It is not slow: it does not move at all, to the last bit. In a large network some neurons end up like that during
# training ("dead" neurons), and no gradient of their own brings them back. GELU has a slope on the left, too.
#
# It comes from an idea about probability. Let a number $x$ pass with a probability that grows with $x$: the probability
# $\Phi(x)$ that a sample from the standard normal distribution is smaller than $x$. What passes on average is
#
# $$\text{gelu}(x) = x \cdot \Phi(x) =
# x \cdot \tfrac{1}{2}\left(1 + \text{erf}\!\left(\tfrac{x}{\sqrt 2}\right)\right)$$
#
# `torch.erf` is the error function, the usual way to compute $\Phi$. The paper also gives an approximation with tanh,
# for where speed matters more than the last digits. GPT-2 used it, and so does Gemma:
#
# $$\text{gelu}(x) \approx x \cdot \tfrac{1}{2}\left(1 + \tanh\!\left(\sqrt{\tfrac{2}{\pi}}\,
# \left(x + 0.044715\,x^3\right)\right)\right)$$
#
# ### Exercise 05.1 · `gelu` (6 minutes)


# %%
def gelu(
    x: Float[Tensor, "..."], approximate: Literal["none", "tanh"] = "none"
) -> Float[Tensor, "..."]:
    """Multiply each number by the probability that a standard normal number is smaller.

    gelu(tensor([-1., 0., 1.])) is tensor([-0.1587, 0.0000, 0.8413]).

    Args:
        approximate: "tanh" uses the formula with tanh, "none" the exact one.
    """
    # SOLUTION
    # 1. The probability with which x passes, in the form that was asked for.
    if approximate == "tanh":
        probability = 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    else:
        probability = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    # 2. What passes on average.
    return x * probability
    # END SOLUTION


# %% tags=["check"]
gelu = check("05.1", gelu)

# %% [markdown]
# Compare the shapes. The short straight line is the tangent; its slope, on the right, is the factor that multiplies a
# gradient on its way back. Where is the slope of GELU *negative*? Where is it larger than 1? What does SiLU, $x \cdot
# \text{sigmoid}(x)$, do differently?

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
# GELU is not monotonic: left of its lowest point it climbs back to 0. SiLU does the same, deeper and more
# slowly. And far enough out their slopes vanish as well, so they make dead neurons rarer but not impossible. Half a
# thousandth between the two forms is invisible to the eye. Published models still name the form that they were trained
# with, so that their scores can be reproduced digit by digit.

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
# turns a channels into b. `ACTIVATIONS` is a dictionary of functions: "relu", "gelu", "gelu_tanh", "silu" and others.


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
        # 3. Up, activation, down.
        return self.down(self.activation(self.up(x)))
        # END SOLUTION


# %% tags=["check"]
FeedForward = check("05.2", FeedForward)

# %% [markdown]
# **One token, every number.** A layer with two channels and three neurons. Do it by hand before you run: what are the
# three sums, what does ReLU leave, what comes out?

# %%
tiny = FeedForward(2, 3, "relu")
token = torch.tensor([2.0, -1.0])
up = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])  # a row per neuron: its key
down = torch.tensor([[1.0, 7.0, 0.0], [0.0, 7.0, 2.0]])  # a column per neuron: its value
give_weights(tiny, {"up.weight": up, "down.weight": down})
sums = up @ token
with torch.no_grad():
    result = tiny(token)
print("token            ", token.tolist())
print("up: a sum each   ", sums.tolist())
print("after ReLU       ", F.relu(sums).tolist())
print("down: the output ", result.tolist())
assert torch.equal(result, torch.tensor([3.0, 2.0]))

# %% [markdown]
# Neuron 1 has a negative sum and is off: its column of `down`, (7, 7), leaves no trace in the output.
#
# In lesson 02 you changed each token in turn and saw a staircase: every later output moved. **Predict:** what does the
# same experiment show with your feed-forward layer in place of attention?

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
# Only its own. All tokens pass through the same matrices, and none sees another. The two parts of a transformer layer
# divide the work: attention moves information between tokens, the feed-forward layer works on one token at a time.

# %% [markdown]
# ## 4 · A gate
#
# A neuron adds up weighted channels and applies a nonlinearity to the sum. Some questions are not sums. *How much of
# this, given that?* is a product: one channel times another. We train a ReLU layer of 16 neurons on the product of two
# channels, both between -1 and 1, and then ask it about larger ones. **Predict:** what does it say to 3 times 3?


# %% tags=["rounded"]
def learn_products(seed):
    """A trained ReLU layer, and its typical error where it was trained."""
    torch.manual_seed(seed)
    layer = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    x = torch.rand(400, 2) * 2 - 1
    for _ in range(600):
        loss = F.mse_loss(layer(x)[:, 0], x.prod(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer, loss.sqrt().item()


for seed in (2, 1, 0):
    plain, error = learn_products(seed)
    three_times_three = plain(torch.tensor([[3.0, 3.0]])).item()
    print(f"seed {seed}: typical error {error:.2f}, and 3 times 3 is {three_times_three:.1f}")
    assert error < 0.06
    assert three_times_three < 6

# %% [markdown]
# Inside the range that it has seen it is good: it has fitted pieces of planes together. Outside, the last piece simply
# continues straight, in every one of the three layers, and the answer to 3 times 3 is far too small.
#
# So give the layer a product. Make *two* projections of the input, apply the activation to one, and multiply them
# elementwise. The one with the activation is the **gate**: where it is 0, nothing passes, whatever the other is.
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
        gate: the projection that decides, before the activation.
        up: the projection that passes or does not.
        activation: a function such as F.relu.
    """
    # SOLUTION
    # 1. Apply the activation to the gate, and multiply.
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
    by_neurons = plain(torch.stack([a, b], dim=-1))[:, 0]
answers = {"16 neurons, trained": by_neurons.tolist(), "2 gated units": by_gates.tolist()}
figure = figures.beyond_what_was_seen(line.tolist(), (a * b).tolist(), answers, (-1, 1))

assert torch.allclose(by_gates, a * b, atol=1e-5)
a, b = torch.cartesian_prod(line, line).T  # and where a and b differ
units = gate_units(torch.stack([a, -a]), torch.stack([b, -b]), F.relu)
assert torch.allclose(units.sum(0), a * b, atol=1e-5)

# %% [markdown]
# Two units, exact everywhere. With biases a gated layer can do everything a plain one of the same width can (let `up`
# always be 1), and it can also multiply.
#
# ### Exercise 05.4 · `GatedFeedForward` (5 minutes)
#
# $$\text{gated}(x) = W_\text{down}\left(\text{activation}(W_\text{gate}\, x) \odot (W_\text{up}\, x)\right)$$
#
# where $\odot$ multiplies elementwise. With SiLU in the gate it is called **SwiGLU** (Llama, Mistral, Qwen), with
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
        # 2. Both projections up, the gate, and down.
        return self.down(gate_units(self.gate(x), self.up(x), self.activation))
        # END SOLUTION


# %% tags=["check"]
GatedFeedForward = check("05.4", GatedFeedForward)

# %% [markdown]
# The same token with a gate. The gate gets the weights that `up` had above, and `up` new ones. **Predict** the output
# by hand: which unit is closed, and what do the other two let through?

# %%
tiny = GatedFeedForward(2, 3, "relu")
gate, up = up, torch.tensor([[0.0, 1.0], [5.0, 5.0], [1.0, 0.0]])
give_weights(tiny, {"gate.weight": gate, "up.weight": up, "down.weight": down})
with torch.no_grad():
    result = tiny(token)
print("token              ", token.tolist())
print("gate: how far open ", F.relu(gate @ token).tolist())
print("up: what waits     ", (up @ token).tolist())
print("gate times up      ", gate_units(gate @ token, up @ token, F.relu).tolist())
print("down: the output   ", result.tolist())
assert torch.equal(result, torch.tensor([-3.0, 4.0]))

# %% [markdown]
# What waits at unit 1 is large, and none of it passes.
#
# The pretrained model's layers are of this kind. We replace them by yours with the same weights, and
# let the model read stories that it was not trained on. Then we give your layers each of the other activations.
# **Predict:** which one was it trained with? And how much worse do the others make it? A model that is ruined guesses:
# ln V nats per token.


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
own, guessing = model.config.activation, math.log(model.config.vocab_size)
figure = figures.losses_with_activation(losses, own)
print(f"ln V is {guessing:.1f} nats per token")

assert math.isclose(losses[own], next_token_loss(model, batch), abs_tol=1e-4)
assert abs(losses["gelu"] - losses[own]) < 0.01
assert all(losses[name] > losses[own] + 0.02 for name in ("relu", "relu_squared", "silu"))
assert max(losses.values()) < 0.7 * guessing

# %% [markdown]
# With its own activation the model is itself, in your layers. With `gelu`, of which `gelu_tanh` is an approximation,
# you see no difference. The other three make it a little worse, and none ruins it: all curves are 0 or nearly 0 far on
# the left, and grow on the right. (`relu_squared` is the square of ReLU, which some models use.) The weights were
# fitted to one curve, and they work best with it or its near twin.

# %% [markdown]
# ## 5 · A fair comparison
#
# Does a gate pay off? A gated layer has three matrices where a plain one has two. At equal width it is one and a half
# times as large, and if it then does better, we have learned nothing about gates.
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
    # 1. Three matrices get what two had; count in multiples, and round.
    multiples = round(2 * ffn_dim / (3 * multiple_of))
    # 2. Back to a width.
    return multiples * multiple_of
    # END SOLUTION


# %% tags=["check"]
gated_ffn_dim = check("05.5", gated_ffn_dim)

# %% tags=["expected"]
width = model.config.embed_dim
figure = shapes.feed_forward_shapes(width, 4 * width, gated_ffn_dim(4 * width))

# %% [markdown]
# Multiply the sizes of the matrices: $2 \cdot 192 \cdot 768$ on the left, $3 \cdot 192 \cdot 512$ on the right.
#
# The textbook width of a plain layer is four times the model's. Your function computes what that becomes with a gate.
# Does it match the pretrained model's width? And those of Llama, which is 4096 wide with 7 billion parameters and 5120
# wide with 13 billion, and works in multiples of 256? Its feed-forward layers are 11008 and 13824 wide.


# %%
def num_parameters(module):
    return sum(weight.numel() for weight in module.parameters())


plain_layer = FeedForward(width, 4 * width, "gelu")
gated_layer = GatedFeedForward(width, gated_ffn_dim(4 * width), "gelu")
print("plain:", num_parameters(plain_layer), "· gated:", num_parameters(gated_layer))
print("ours:", gated_ffn_dim(4 * width), "· the pretrained model's:", model.config.ffn_dim)
for name, llama_width, published in (("Llama 7B", 4096, 11008), ("Llama 13B", 5120, 13824)):
    nearest = gated_ffn_dim(4 * llama_width, multiple_of=256)
    print(f"{name}: the nearest multiple is {nearest}, published is {published}")
    assert published == 256 * math.ceil(2 * 4 * llama_width / (3 * 256))
assert num_parameters(plain_layer) == num_parameters(gated_layer)
assert gated_ffn_dim(4 * width) == model.config.ffn_dim

# %% [markdown]
# The first two agree and the third does not: Llama's own code rounds *up*, which with 7 billion happens to be the
# nearest multiple as well.
#
# Now the race: four one-layer models that read stories letter by letter. They differ in the feed-forward layer and in
# nothing else: equally many parameters (to 0.2 %), the same texts in the same order, 100 steps each. And since a single
# race proves little, there are three, each with different initial weights and different texts. **Predict** the order.
# (The next cell builds the race track. You can run it and read on.)

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
assert max(sizes.values()) < (1 + 0.2 / 100) * min(sizes.values())

# %% tags=["expected"]
results = {kind: [race(kind, seed) for seed in (0, 1, 2)] for kind in KINDS}
figure = figures.losses_by_seed(
    results,
    "loss on unseen stories (nats per letter)",
    "A gate helps; which one is better, we cannot tell",
)

by_seed = [
    dict(zip(results, losses, strict=True)) for losses in zip(*results.values(), strict=True)
]
mean = {kind: float(np.mean(losses)) for kind, losses in results.items()}
between_seeds = max(float(np.ptp(losses)) for losses in results.values())
for losses in by_seed:
    lead = losses["GELU"] - max(losses["SwiGLU"], losses["GeGLU"])
    assert losses["ReLU"] > losses["GELU"]
    assert lead > abs(losses["SwiGLU"] - losses["GeGLU"])
assert mean["GELU"] - max(mean["SwiGLU"], mean["GeGLU"]) > 0.02
assert abs(mean["SwiGLU"] - mean["GeGLU"]) < between_seeds

# %% [markdown]
# In each of these races the order is ReLU, GELU, then the gated two, at equal cost: follow a grey line, which is one
# race. SwiGLU and GeGLU are closer to each other than to GELU. Even if one of them should win all three races, nobody
# could say that it is better: of two equally good ones, one wins three of three in every fourth trial. And 100 steps on
# letters show only who is ahead at the start.
#
# Shazeer, who proposed these layers, trained far larger models for far longer. There, too, the gated ones came out
# ahead and close together, while ReLU and GELU ended level. He gave no reason: "We offer no explanation as to why these
# architectures seem to work; we attribute their success, as all else, to divine benevolence."

# %% [markdown]
# ## 6 · Neurons as memories
#
# Write out the layer's last step. Neuron $i$ holds a number $m_i$, its *strength* for this token, and owns one column
# of $W_\text{down}$, its *value* $v_i$. The output is
#
# $$\text{feed\_forward}(x) = m_1 v_1 + m_2 v_2 + \dots$$
#
# That is lesson 02's soft dictionary again, without the softmax. What a neuron compares $x$ with is its key: one
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
# Keys can be read by experiment. We let the model read the held-out stories and record every neuron's strength at every
# token. A neuron's twenty strongest places are its **triggers**.
#
# Values can be read, too: the model's head turns a vector into scores for every token, so give it a value. The ten
# tokens with the highest scores are what the neuron **promotes**. We only look at tokens that begin with a space and
# occur in these stories: a piece from the middle of a word means little by itself.

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
# Before looking at single neurons, two questions about all of them. How many different tokens are among the twenty
# triggers: does a neuron stand for one word? And does the value fit the key? After a trigger comes a next token; how
# often is it among the ten that the neuron promotes, and how often among the ten of *other* neurons of the layer?


# %% tags=["expected"]
def next_token_is_promoted(layer):
    """hits[i, j]: fraction of neuron i's triggers whose next token is promoted by neuron j."""
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
print(f"{one_word:.0%} of the neurons have the same token as trigger twenty times")
print(f"the median neuron has {num_different.float().median():.0f} different ones")
times = own_hits.mean(1) / others_hits.mean(1)
never = float((own_hits == 0).float().mean())
print(
    f"next token promoted: own value {own_hits.mean():.0%}, others' {others_hits.mean():.0%} of the triggers"
)
print("own over others', by layer:", *(f"{t:.1f}" for t in times))
print(f"at {never:.0%} of the neurons the value promotes none of the twenty next tokens")
assert one_word < 0.2
assert num_different.float().median() >= 4
assert own_hits.mean() > 1.5 * others_hits.mean()
assert own_hits.mean() < 0.1
assert never > 0.5

# %% [markdown]
# Two findings. Few neurons stand for one word; most respond to a mixture. And *on average* a neuron's value names the
# next token more often than its neighbors' values do, by the factors above: keys and values belong together. That is
# what training rewards, since a neuron that is active before a token lowers the loss if it promotes that token. What it
# could not be sure to bring about is that this shows in *single* neurons, and mostly it does not: the average is a few
# percent, and with more than half of the neurons the value never names what follows.
#
# Here is the neuron with the clearest reading: of those with at least six different triggers, the one whose value
# promotes what really comes next most often, compared with its neighbors. What do its triggers have in common?


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
# choosing. For how many can you finish the sentence "it is active at …"? In which layers is it easier?

# %%
explore(
    draw_neuron,
    layer=IntSlider(value=1, max=num_layers - 1),
    neuron=IntSlider(value=5, max=num_neurons - 1),
)

# %% [markdown]
# ### What a reading does not prove
#
# If such a neuron is how the model knows what comes next at its triggers, the model should fail there without it. So we
# silence neurons: an **ablation**. Not only the clearest one, but the three with the clearest readings, one at a time;
# and for comparison the whole feed-forward layer that each of them belongs to. **Predict:** how much does the loss rise
# at a neuron's triggers, where its value was so often right? And without the whole layer?


# %% tags=["expected", "rounded"]
@torch.no_grad()
def losses_at(some_places):
    """The model's loss at each of these places, read in their stories."""
    story_of = torch.searchsorted(torch.tensor(ends), some_places.contiguous(), right=True)
    stories, row = story_of.unique(return_inverse=True)
    ids = nn.utils.rnn.pad_sequence([texts[s] for s in stories], batch_first=True)
    losses = F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    begins = torch.tensor([0, *ends])[story_of]
    return losses.cpu()[row, some_places - begins]


without_neuron, without_layer = [], []
for index in advantage.flatten().topk(3).indices.tolist():
    layer, neuron = divmod(index, num_neurons)
    triggers = places[layer, :, neuron]
    whole = losses_at(triggers).mean()
    with silenced(model, layer, neuron):
        without_neuron.append(float(losses_at(triggers).mean() - whole))
    with silenced(model, layer, slice(None)):
        without_layer.append(float(losses_at(triggers).mean() - whole))
    print(
        f"layer {layer}, neuron {neuron:3d}: loss at its triggers {whole:.2f}, "
        f"without the neuron {without_neuron[-1]:+.2f}, without the layer {without_layer[-1]:+.2f}"
    )

at_random = []
for index in torch.randperm(num_layers * num_neurons, generator=rng)[:9].tolist():
    layer, neuron = divmod(index, num_neurons)
    triggers = places[layer, :, neuron]
    whole = losses_at(triggers).mean()
    with silenced(model, layer, neuron):
        at_random.append(float(losses_at(triggers).mean() - whole))
print(f"nine neurons at random: {abs(np.median(at_random)):.2f} (median)")


def fewest_for_half(parts):
    """How many of the largest parts make up half of their sum (median over tokens)."""
    so_far = parts.sort(dim=-1, descending=True).values.cumsum(-1)
    return 1 + (so_far < so_far[..., -1:] / 2).sum(-1).float().median()


along, by_length = [], []
every_seventh = strengths[:, ::7]  # of the places: that will do
for block, m in zip(model.blocks, every_seventh, strict=True):
    values = block.feed_forward.down.weight.detach().cpu()
    along.append(fewest_for_half(m * (m @ values.T @ values)))  # along what the layer adds
    by_length.append(fewest_for_half(m.abs() * values.norm(dim=0)))
print("neurons for half of what a layer adds to a token:", *(f"{n:.0f}" for n in along))
print("neurons for half of the length that they write:  ", *(f"{n:.0f}" for n in by_length))
assert 0.05 < np.median(without_neuron) <= max(without_neuron) < 0.2, "about a tenth, for two"
assert np.median(without_layer) < 0.25 * guessing
assert abs(np.median(at_random)) < np.median(without_neuron)
assert all(2 < n < 12 for n in along)
assert min(by_length) > 12

# %% [markdown]
# Neurons taken at random are hardly missed where they are most active. The three with the clearest readings are missed
# a little: for two of them the next token loses about a tenth of its probability. Most of what the model knows there
# it knows without them, and even a whole layer is missed less than one would think: the other layers still know most of
# it. Nor does a neuron work alone. Several of them make up half of what one layer adds to a token, and dozens
# half of the length that is written, since much of it cancels. A neuron's reading is a true statement about when it is
# active and where it points. That the model *stores* something there, and only there, is another claim, and silencing
# the neuron does not support it.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("05")

# %% [markdown]
# ## Recap
#
# 1. Matrices in a row are one matrix. Without a nonlinearity, depth and width add nothing.
# 2. A feed-forward layer goes up into neurons, applies a nonlinearity, and goes down again. It sees one token at a
#    time.
# 3. Most parameters of a transformer's blocks are here.
# 4. ReLU has slope 0 on the left: a neuron that is always off gets no gradient and stays off. GELU and SiLU have a
#    slope there too.
# 5. GELU is $x\,\Phi(x)$. The form with tanh differs by less than a thousandth; models name the one they use.
# 6. A gate multiplies: $W_\text{down}(\text{activation}(W_\text{gate} x) \odot W_\text{up} x)$. SwiGLU has SiLU, GeGLU
#    GELU.
# 7. A gated layer has three matrices. At two thirds of the width it has as many parameters as a plain one.
# 8. A fair comparison has equal parameters and data, and several seeds: a difference below their spread shows nothing.
# 9. A layer's output is a sum of values, one per neuron, each times its strength: keys and values, without a softmax.
# 10. A neuron's triggers and its promoted tokens describe it. What it is needed for, only an ablation tells.
#
# ## I get this error
#
# <details>
# <summary><code>ValueError: only one element tensors can be converted to Python scalars</code></summary>
#
# `math.erf` and `math.tanh` take one number; for a tensor use `torch.erf` and `torch.tanh` (`gelu`).
# </details>
#
# <details>
# <summary><code>TypeError: sqrt(): argument 'input' (position 1) must be Tensor, not float</code></summary>
#
# The other way round: the root of a constant is `math.sqrt(2 / math.pi)`, or `** 0.5`.
# </details>
#
# <details>
# <summary><code>TypeError: 'str' object is not callable</code></summary>
#
# The *name* of the activation was kept, not the function: look it up in `ACTIVATIONS` (`FeedForward`,
# `GatedFeedForward`).
# </details>
#
# <details>
# <summary><code>RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x8 and 4x8)</code></summary>
#
# A matrix is the wrong way round: `nn.Linear(a, b)` reads a channels and writes b.
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
# - The plain layer is equation 2 of Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)), with
#   ReLU and a width of four times the model's. GELU is Hendrycks and Gimpel 2016
#   ([arXiv:1606.08415](https://arxiv.org/abs/1606.08415)); GPT-2 took its tanh form.
# - Gates in feed-forward layers, with two thirds of the width, are Shazeer 2020
#   ([arXiv:2002.05202](https://arxiv.org/abs/2002.05202)). Gemma has GeGLU with the tanh form, Llama SwiGLU. How wide a
#   layer is has become a matter of taste: many models use more than the two thirds.
# - Keys, values that are read through the head, and their agreement are Geva et al. 2021
#   ([arXiv:2012.14913](https://arxiv.org/abs/2012.14913)). What values promote, and how to steer with them, is Geva et
#   al. 2022 ([arXiv:2203.14680](https://arxiv.org/abs/2203.14680)).
# - In `gemini_workshop/models/feedforward.py`, `FeedForward` and `GatedFeedForward` compute what yours do.
#   `evaluation/interpretability/neurons.py` has what section 6 used.
# - Lesson 06 puts this layer and attention around a residual stream. Lesson 08 cuts it into experts and lets each token
#   use a few of them. Gemini 1.5 Pro ([arXiv:2403.05530](https://arxiv.org/abs/2403.05530)) is such a model: many
#   memories, few of them read for each token.
#
# ## Stretch · the quickest way up
#
# `gate` and `up` read the same input. Put both into one matrix of twice the width, multiply once, and split the result
# into two halves: one large product has less overhead than two small ones, and some published weights come packed like
# that (those of Phi-3, for example). The test is ready. What happens if the halves are swapped?


# %%
class FusedFeedForward(nn.Module):
    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        self.gated = gated  # yours goes here: one matrix for gate and up

    def forward(self, x):
        return self.gated(x)


original = GatedFeedForward(6, 10, "silu")
fused, x = FusedFeedForward(original), torch.randn(4, 6, generator=rng)
print("same outputs:", torch.allclose(fused(x), original(x), atol=1e-5))
print("two matrices in place of three:", len(list(fused.parameters())) == 2)
