# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "01"
#     title: Why RNNs hit a wall
#     part: part1_evolution
#     kind: pair
#     minutes: 70
#     budget_seconds: 60
#     requires: ["00"]
# ---

# %% [markdown]
# # 01 · Why RNNs hit a wall
#
# **70 minutes** · needs only lesson 00
#
# After this lesson you can
#
# - write two cells that neural language models were built from before 2017, and run them over a sequence,
# - measure how far back a network can learn from, and predict it from one matrix,
# - say what an LSTM changes, and what it does not,
# - name the two walls, in learning and in time, that attention goes around.
#
# You write four functions, about fifteen lines in all. Each comes with a check; run it as often as you like.
# `hint("01.1")` helps, `solution("01.1")` shows an answer once you have tried. If you skip one, the notebook uses the
# reference.
#
# **In a hurry?** Later lessons need nothing that you write here, and only the idea in bold in the recap. Sections 1, 2, 3
# and 5 tell the story; section 4 may be read without its widget, sections 6 and 7 for their figures. How `recall_batch`,
# `Recall` and `longest_chain` are written may be skipped.
#
# The assertions at the end of a cell check what the text says. If you change a cell and one of them fails, nothing is
# broken: you have found something that the text does not claim.

# %%
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.exercises import check, hint, quiz, solution
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import recurrence as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import FloatSlider
from jaxtyping import Float
from torch import Tensor, nn

use_theme()
device = pick_device()
model, tokenizer = load_pretrained(device=device)
seeds = (0, 1, 2)  # what this lesson claims is asserted for each of them

# %% [markdown]
# ## 1 · Order
#
# Who hit whom? Here are two sentences of the same words. The simplest way to put a text into one vector is to average
# the vectors of its tokens; these are the embeddings of the model that came with this workshop. **Predict before you
# run:** how far apart are the two averages?

# %%
sentences = ["Then Tom hit Lily.", "Then Lily hit Tom."]
ids = [torch.tensor(tokenizer.encode(sentence), device=device) for sentence in sentences]
vectors = [model.embedding.weight[i].detach().cpu() for i in ids]

difference = (vectors[0].mean(0) - vectors[1].mean(0)).abs().max()
print(f"the averages differ by {difference:.4f}")
assert difference < 1e-5
assert not torch.equal(*ids)

# %% [markdown]
# Not at all. A sum forgets the order of its terms, and with it who hit whom. To keep the order, read the tokens one
# after another and let each change a **state**, a vector of fixed size that summarizes everything read so far.
#
# ### Exercise 01.1 · `rnn_step` (5 minutes)
#
# The plain recurrent cell. From the input $x_t$ and the old state $h_{t-1}$ it makes the new state
#
# $$h_t = \tanh(W x_t + U h_{t-1} + b)$$
#
# $W$ are the input weights, $U$ the recurrent weights, $b$ the bias. The tanh squashes each number into $(-1, 1)$. In
# the formula vectors are columns. In the code they are rows, so that a whole batch of them fits into one tensor: for
# rows, $W x$ is written `x @ W.T`.
#
# Shapes are written in letters: D numbers in an input, R in a state, and `*B` for any axes in front.


# %%
def rnn_step(
    x: Float[Tensor, "*B D"],
    state: Float[Tensor, "*B R"],
    input_weight: Float[Tensor, "R D"],
    recurrent_weight: Float[Tensor, "R R"],
    bias: Float[Tensor, " R"],
) -> Float[Tensor, "*B R"]:
    """The next state: what comes in and what was kept, mixed and squashed into (-1, 1)."""
    # SOLUTION
    # 1. Multiply the input and the old state, each by its own weights; add both and the bias.
    total = x @ input_weight.T + state @ recurrent_weight.T + bias
    # 2. Squash the sum.
    return torch.tanh(total)
    # END SOLUTION


# %% tags=["check"]
rnn_step = check("01.1", rnn_step)

# %% [markdown]
# **By hand, once.** One unit, $W = 1$, $U = 0.5$, $b = 0$. It reads 1, then 0. The first state is
# $\tanh(1) = 0.76$. What is the second?

# %%
one, half, zero = torch.ones(1, 1), torch.full((1, 1), 0.5), torch.zeros(1)
first = rnn_step(torch.tensor([1.0]), zero, one, half, zero)
second = rnn_step(torch.tensor([0.0]), first, one, half, zero)
print(f"{float(first):.2f}, then {float(second):.2f}")
assert math.isclose(float(second), math.tanh(0.5 * math.tanh(1.0)), abs_tol=1e-5)

# %% [markdown]
# ### Exercise 01.2 · `unroll` (5 minutes)
#
# A text is many steps. `unroll` runs any cell over a batch of sequences: `step(x, state)` gives the next state, and all
# the states come back in a list. Time is axis 1 of `inputs`: `inputs[:, t]` is what every sequence of the batch reads
# at time t. Do not look inside the state. Here it is a tensor; in section 4 it will be a pair.


# %%
def unroll(step: Callable, inputs: Float[Tensor, "B T D"], state: Any) -> list:
    """The state after each of the T inputs, each made by `step(x, state)` from the one before."""
    # SOLUTION
    # 1. Start with an empty list.
    states = []
    # 2. Go through the inputs in time: make the next state from the one before, and note it.
    for x in inputs.unbind(dim=1):
        state = step(x, state)
        states.append(state)
    return states
    # END SOLUTION


# %% tags=["check"]
unroll = check("01.2", unroll)

# %% [markdown]
# Now the two sentences again, read by your cell with random weights. A column is the state after one token.


# %% tags=["expected"]
def drawn(rng, *shape):
    """Random weights, uniform within ±1/√(numbers that come in), as PyTorch draws them."""
    bound = shape[-1] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=rng))


class RNN(nn.Module):
    """Your cell with weights of its own. Reads (B, T, D), returns all states as (B, T, R)."""

    def __init__(self, num_inputs, width, rng):
        super().__init__()
        self.input_weight = drawn(rng, width, num_inputs)
        self.recurrent_weight = drawn(rng, width, width)
        self.bias = nn.Parameter(torch.zeros(width))

    def step(self, x, state):
        return rnn_step(x, state, self.input_weight, self.recurrent_weight, self.bias)

    def forward(self, inputs):
        start = torch.zeros(len(inputs), len(self.bias))
        return torch.stack(unroll(self.step, inputs, start), dim=1)


reader = RNN(vectors[0].shape[1], 12, torch.Generator().manual_seed(1))
scale = 5 / vectors[0].norm(dim=1).mean()  # embeddings are short: make them heard
with torch.no_grad():
    states = [reader(scale * v[None])[0] for v in vectors]
names = [[tokenizer.decode([int(i)]) for i in sentence_ids] for sentence_ids in ids]
figure = figures.states(states, names)

assert torch.allclose(states[0][0], states[1][0])  # both begin with "Then"
assert (states[0][-1] - states[1][-1]).abs().max() > 0.05

# %% [markdown]
# The states agree as long as the words do, and differ from the first different word to the end. Order is kept. But for
# how long? Take one unit, give it a single input of 1, and then nothing but zeros. **Predict:** with which
# recurrent weight does it still know, 30 steps later, that there was a pulse: 0.5, 1 or 2?

# %% tags=["expected"]
pulse = torch.zeros(1, 31, 1)
pulse[0, 0] = 1.0


def one_unit(inputs, weight):
    """A single unit with this recurrent weight; all its states."""
    step = partial(
        rnn_step, input_weight=one, recurrent_weight=torch.full((1, 1), weight), bias=zero
    )
    return torch.stack(unroll(step, inputs, torch.zeros(1, 1)), dim=1)


memory = {f"weight {w:g}": one_unit(pulse, w)[0, :, 0] for w in (0.5, 1.0, 2.0)}
for name, state in memory.items():
    print(f"{name}: after 10 steps {state[10]:.2f}, after 30 steps {state[30]:.2f}")
figure = figures.pulse(
    memory, "Above one it remembers, at one it fades slowly, below one it forgets"
)

assert memory["weight 0.5"][-1] < 1e-8
assert 0.1 < memory["weight 1"][-1] < 0.3
assert memory["weight 2"][-1] > 0.95

# %% [markdown]
# With 0.5 the pulse is gone, with 1 it fades slowly, and with 2 the unit is a *latch*: once set, it stays set for as long
# as nothing but zeros comes in. So an RNN **can** remember. The question is whether it can *learn* to.

# %% [markdown]
# ## 2 · A memory test
#
# Eight symbols. The first of a sequence carries a flag: "keep this one". Then come others without a flag, their number
# is the **delay**, and at the end the network has to name the flagged symbol. Guessing is right one time in eight.
#
# We train a new RNN for each delay, with 200 batches of 32 sequences, and for three seeds. **Predict:** how does the
# accuracy change from a delay of 5 to one of 40? (The cell after the next one does the training; it can take half a
# minute.)


# %%
def recall_batch(delay, size, rng):
    """One-hot symbols with a flag as ninth channel, and the symbol to recall."""
    symbols = torch.randint(8, (size, delay + 1), generator=rng)
    flag = torch.zeros(size, delay + 1, 1)
    flag[:, 0] = 1.0
    return torch.cat([F.one_hot(symbols, 8).float(), flag], dim=-1), symbols[:, 0]


class Recall(nn.Module):
    """A network that reads, and a matrix that turns its last output into eight scores."""

    def __init__(self, network, width, rng):
        super().__init__()
        self.network, self.scores = network, drawn(rng, 8, width)

    def forward(self, inputs):
        return self.network(inputs)[:, -1] @ self.scores.T


def accuracy_after_training(network, width, delay, rng):
    """Train a network on one delay, then ask it about a thousand sequences that it has not seen."""
    learner = Recall(network, width, rng)
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.003)
    for _ in range(200):
        inputs, answers = recall_batch(delay, 32, rng)
        optimizer.zero_grad()
        F.cross_entropy(learner(inputs), answers).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        inputs, answers = recall_batch(delay, 1000, rng)
        return float((learner(inputs).argmax(-1) == answers).float().mean())


def recall_test(network, width):
    """The accuracy for every seed and every delay: one row per seed."""
    rows = []
    for seed in seeds:
        rngs = [torch.Generator().manual_seed(seed) for _ in delays]
        rows.append(
            [
                accuracy_after_training(network(9, width, rng), width, delay, rng)
                for delay, rng in zip(delays, rngs, strict=True)
            ]
        )
    return np.array(rows)


# %% tags=["expected"]
delays = [5, 10, 20, 40]
recalled = {"RNN": recall_test(RNN, 48)}
figure = figures.recall(
    delays, recalled, 1 / 8, "The plain cell recalls only what it read recently"
)

mean = dict(zip(delays, recalled["RNN"].mean(0), strict=True))
print(
    "recalled, mean of three seeds:", {delay: f"{right:.1f}" for delay, right in mean.items()}
)

assert (recalled["RNN"][:, 0] > 0.9).all(), (
    "with the weights of this lesson, 5 steps are recalled"
)
assert (recalled["RNN"][:, -1] < 0.25).all(), (
    "with the weights of this lesson, 40 steps are not"
)

# %% [markdown]
# Nearly always right at 5, guessing at 40. There is no more to remember at 40 than at 5: one symbol of eight, and a state
# of 48 numbers has room for that. We also know that a latch can hold it. What fails is learning, so we have to look at
# what drives learning: the gradient.

# %% [markdown]
# ## 3 · The wall
#
# A weight learns to keep the first symbol only if an error at the *end* is felt at the *beginning*. That can be
# measured for any network that reads a sequence: take its last output and ask how strongly it reacts to the input one
# step back, two steps back, and so on.
#
# ### Exercise 01.3 · `gradient_norm_by_distance` (8 minutes)
#
# `run` is any network: it reads (B, T, D) and returns an output for every step, (B, T, R). Take the gradient of the
# *last* output's sum with respect to all the inputs; `torch.autograd.grad(number, tensor)` gives it, as a tuple with
# one entry. Then turn it into one number per step: the norm over the channels, averaged over the batch, **nearest
# first**, so that element k belongs to the input k steps before the last.
#
# Work on a copy that tracks gradients: the caller's tensor must not start to.


# %%
def gradient_norm_by_distance(
    run: Callable[[Tensor], Tensor], inputs: Float[Tensor, "B T D"]
) -> Float[Tensor, " T"]:
    """How strongly the last output depends on the input 0, 1, 2, ... steps back."""
    # SOLUTION
    # 1. Make a copy of the inputs that tracks gradients, and run the network on it.
    inputs = inputs.detach().clone().requires_grad_()
    last_output = run(inputs)[:, -1]
    # 2. Take the gradient of the last outputs' sum with respect to the copy.
    (gradient,) = torch.autograd.grad(last_output.sum(), inputs)
    # 3. One norm for each step of each sequence; average over the batch; nearest first.
    return gradient.norm(dim=-1).mean(dim=0).flip(0)
    # END SOLUTION


# %% tags=["check"]
gradient_norm_by_distance = check("01.3", gradient_norm_by_distance)

# %% [markdown]
# What should we see? By the chain rule, going one step back multiplies the gradient by
#
# $$\frac{\partial h_t}{\partial h_{t-1}} = \text{diag}(1 - h_t^2)\; U$$
#
# The slope of tanh, $1 - h_t^2$, is at most 1. A matrix stretches a vector at most by its **largest singular value**
# $\sigma$. So over $k$ steps the gradient grows at most by $\sigma^k$: where $\sigma < 1$ it *must* die out
# exponentially.
#
# To see it, take recurrent matrices that only rotate a vector and scale it (an orthogonal matrix times 0.8, 0.9, 1.0):
# all their singular values are equal. Next to them, one that PyTorch initialized. **Predict:** when each step keeps
# nine tenths, how much is left after 50 steps: half, a tenth, or less than a hundredth?


# %%
def rotation(width, rng):
    """A random orthogonal matrix: it rotates vectors (or mirrors them too) and keeps their length."""
    return torch.linalg.qr(torch.randn(width, width, generator=rng))[0]


def with_recurrent(matrix, rng):
    """A fresh RNN with eight inputs and this recurrent matrix."""
    network = RNN(8, len(matrix), rng)
    network.recurrent_weight.data = matrix
    return network


def fitted_factor(norms):
    """The factor per step of the exponential that fits best, without the first steps and what is too small."""
    steps = (norms > 1e-30).nonzero()[5:, 0]
    slope = np.polyfit(steps.numpy(), norms[steps].log().numpy(), deg=1)[0]
    return math.exp(slope)


print("recurrent matrix      largest singular value   fitted factor per step")
curves, bounds = {}, {}
for seed in seeds:
    rng = torch.Generator().manual_seed(seed)
    quiet = 0.05 * torch.randn(16, 60, 8, generator=rng)
    matrices = {f"rotation × {scale}": scale * rotation(32, rng) for scale in (0.8, 0.9, 1.0)}
    matrices["PyTorch's"] = drawn(rng, 32, 32).data
    for name, matrix in matrices.items():
        network = with_recurrent(matrix, rng)
        norms, sigma = (
            gradient_norm_by_distance(network, quiet),
            torch.linalg.svdvals(matrix)[0],
        )
        reach = sigma ** torch.arange(60) * torch.linalg.svdvals(network.input_weight.data)[0]
        assert (norms <= math.sqrt(32) * reach).all(), "the bound holds"
        factor = fitted_factor(norms)
        if name == "PyTorch's":
            assert sigma > 1 > 0.7 > factor
            assert abs(factor - torch.linalg.eigvals(matrix).abs().max()) < 0.05
        else:
            assert 0.95 * sigma < factor <= sigma
        if seed == seeds[0]:
            curves[name], bounds[name] = norms, norms[0] * sigma ** torch.arange(60)
            print(f"{name:20s} {sigma:16.2f} {factor:22.2f}")

left = float(curves["rotation × 0.9"][50] / curves["rotation × 0.9"][0])
print(f"rotation × 0.9: after 50 steps {left:.3f} is left")
assert left < 0.01

# %% tags=["expected"]
figure = figures.gradients(
    curves, bounds, "A fixed fraction is lost at every step", "σ to the power of the distance"
)

# %% [markdown]
# Straight lines on a logarithmic axis: exponential decay. For the rotations the fitted factor is the largest singular
# value, except for what the tanh takes (at most 5 %). Keeping nine tenths per step leaves less than a hundredth after 50
# steps.
#
# PyTorch's matrix teaches caution. Its largest singular value is above one, so the bound promises nothing, and yet its
# gradient vanishes faster than all the others. A vector that is stretched in one step points in another direction
# in the next. In the long run the *eigenvalue* of largest size counts: the assertions compare it with the fitted factor.
#
# Can a larger matrix save it? Move the sliders: **scale** multiplies a rotation, **loudness** the inputs. Look for
# a setting in which the gradient neither vanishes nor explodes, and then change the loudness.


# %%
rng = torch.Generator().manual_seed(0)
rotated, noise = rotation(32, rng), torch.randn(16, 60, 8, generator=rng)


def rotated_norms(scale, loudness):
    network = with_recurrent(scale * rotated, torch.Generator().manual_seed(0))
    return gradient_norm_by_distance(network, loudness * noise)


for scale in (0.5, 1.0, 1.5):
    at_rest, driven = (fitted_factor(rotated_norms(scale, loudness)) for loudness in (0.0, 1.0))
    print(f"scale {scale}: ×{at_rest:.2f} per step at loudness 0, ×{driven:.2f} at loudness 1")
    assert abs(at_rest - scale) < 0.01
    assert driven < min(scale, 0.98)


def draw_gradient(scale=1.1, loudness=0.05):
    norms = rotated_norms(scale, loudness)
    bound = norms[0] * scale ** torch.arange(60)
    title = f"×{fitted_factor(norms):.2f} per step"
    return figures.gradients(
        {"measured": norms}, {"measured": bound}, title, "scale to the power of the distance"
    )


explore(
    draw_gradient,
    scale=FloatSlider(value=1.1, min=0.5, max=1.5, step=0.05),
    loudness=FloatSlider(value=0.05, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# At loudness 0 the tanh is out of the way, and the gradient grows or shrinks by the scale: above one it *explodes*. At
# loudness 1 the tanh is pushed towards its flat ends, and the gradient shrinks from step to step even at a scale of 1.5.
# For the gradient to survive, its factor per step would have to stay at one, for every input.
#
# Back to the latch, the unit with weight 2 that never forgot. **Predict:** of the three units, which has the largest
# gradient over 30 steps?

# %% tags=["expected"]
norms = {
    f"weight {w:g}": gradient_norm_by_distance(partial(one_unit, weight=w), pulse)
    for w in (0.5, 1.0, 2.0)
}
for name, norm in norms.items():
    print(f"{name}: gradient 20 steps back {norm[20]:.0e}, 30 steps back {norm[30]:.0e}")
figure = figures.memory_and_gradient(memory, norms)

held = memory["weight 2"][-1]
factor_of_latch = norms["weight 2"][20] / norms["weight 2"][19]
assert torch.isclose(factor_of_latch, 2 * (1 - held**2), rtol=1e-3)
assert 0.16 < factor_of_latch < 0.17
for distance in (20, 30):
    by_weight = [float(norms[f"weight {w}"][distance]) for w in ("2", "0.5", "1")]
    assert by_weight == sorted(by_weight)

# %% [markdown]
# The unit with weight 1 has the largest, and the latch the *smallest*: only a sixth is left at every step. It holds
# because the tanh is saturated, and where tanh is saturated it is flat: $2\,(1 - 0.957^2) = 0.17$. A state that is
# protected from noise is also protected from learning. Hochreiter described the vanishing gradient in 1991 (in German, in
# his diploma thesis); that what is held safely cannot be learned is the result of Bengio, Simard and Frasconi (1994).
# This is the wall.
#
# Back to the memory test. How much of the gradient reaches the flagged symbol in its networks, before they are trained?


# %% tags=["expected"]
def fraction_that_reaches_the_flag(delay, seed):
    """The gradient at the first symbol, as a fraction of that at the last, in a fresh recall network."""
    rng = torch.Generator().manual_seed(seed)
    norm = gradient_norm_by_distance(RNN(9, 48, rng), recall_batch(delay, 100, rng)[0])
    return float(norm[delay] / norm[0])


reaching = {d: max(fraction_that_reaches_the_flag(d, seed) for seed in seeds) for d in delays}
for delay, fraction in reaching.items():
    print(
        f"delay {delay:2d}: a fraction of {fraction:.0e} reaches it, in the best of three networks"
    )
assert reaching[5] > 1e-3
assert reaching[40] < 1e-6

# %% [markdown]
# A few hundredths over 5 steps, next to nothing over 40. Training starts where the error hardly depends on the symbol
# that is asked for.

# %% [markdown]
# ## 4 · A path around the tanh
#
# The trouble is a product: at every step the state is multiplied by a matrix and squashed. So add a second, protected
# part to the state. The **cell** $c$ of an LSTM is only scaled and added to:
#
# $$c_t = f_t\, c_{t-1} + i_t\, g_t \qquad h_t = o_t \tanh(c_t)$$
#
# - the **forget gate** $f$ decides how much of the cell is kept (1 is all, in spite of the name),
# - the **input gate** $i$ decides how much of the candidate $g$ is written,
# - the **output gate** $o$ decides how much of the cell is shown as the hidden state $h$.
#
# Products are elementwise. The gates are numbers between 0 and 1: sigmoids of $W x_t + U h_{t-1} + b$, each with
# weights of its own. The candidate is a tanh of such a sum.
#
# ### Exercise 01.4 · `lstm_step` (10 minutes)
#
# All four sums are computed at once: the weights are stacked in the order **input, forget, candidate,
# output**, as in PyTorch, so `input_weight` has 4R rows. `tensor.chunk(4, dim=-1)` splits the sum. The state is a
# pair, hidden state first.


# %%
def lstm_step(
    x: Float[Tensor, "*B D"],
    state: tuple[Float[Tensor, "*B R"], Float[Tensor, "*B R"]],
    input_weight: Float[Tensor, "4*R D"],
    recurrent_weight: Float[Tensor, "4*R R"],
    bias: Float[Tensor, " 4*R"],
) -> tuple[Float[Tensor, "*B R"], Float[Tensor, "*B R"]]:
    """The next (hidden state, cell): the cell forgets and adds, the hidden state shows a part."""
    hidden, cell = state
    # SOLUTION
    # 1. The sums of all four, split.
    gates = x @ input_weight.T + hidden @ recurrent_weight.T + bias
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
    # 2. The new cell: what is kept of the old one, and what is written.
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    # 3. What is shown of it.
    hidden = output_gate.sigmoid() * cell.tanh()
    return hidden, cell
    # END SOLUTION


# %% tags=["check"]
lstm_step = check("01.4", lstm_step)

# %% [markdown]
# Along the cell, one step back multiplies the gradient by $f_t$ and by nothing else: no matrix, no slope of tanh. A
# common belief is that an LSTM's gradients therefore do not vanish. It was true of the first LSTM (Hochreiter and
# Schmidhuber 1997): its cell had no forget gate and was multiplied by exactly one. The forget gate came later (Gers,
# Schmidhuber and Cummins 2000), so that a cell can be emptied. **Predict:** with a forget gate, freshly initialized and
# all biases zero, how does the gradient compare with that of the plain cell?


# %% tags=["expected"]
class LSTM(nn.Module):
    """Your LSTM with weights of its own. `forget_bias` is added to the sum of every forget gate."""

    def __init__(self, num_inputs, width, rng, forget_bias=3.0):
        super().__init__()
        self.input_weight = drawn(rng, 4 * width, num_inputs)
        self.recurrent_weight = drawn(rng, 4 * width, width)
        self.bias = nn.Parameter(torch.zeros(4 * width))
        self.bias.data[width : 2 * width] = forget_bias

    def step(self, x, state):
        return lstm_step(x, state, self.input_weight, self.recurrent_weight, self.bias)

    def forward(self, inputs):
        start = torch.zeros(len(inputs), len(self.bias) // 4)
        pairs = unroll(self.step, inputs, (start, start))
        return torch.stack([hidden for hidden, cell in pairs], dim=1)


for seed in seeds:
    rng = torch.Generator().manual_seed(seed)
    inputs = 0.1 * torch.randn(16, 60, 8, generator=rng)
    networks = {"RNN": RNN(8, 32, rng)}
    networks |= {f"LSTM, bias {b}": LSTM(8, 32, rng, forget_bias=b) for b in (0, 1, 3)}
    curves = {name: gradient_norm_by_distance(net, inputs) for name, net in networks.items()}
    factors = {name: fitted_factor(norms) for name, norms in curves.items()}
    assert abs(factors["LSTM, bias 0"] - factors["RNN"]) < 0.2
    assert max(factors["LSTM, bias 0"], factors["RNN"]) < 0.75
    assert factors["LSTM, bias 0"] + 0.1 < factors["LSTM, bias 1"] < 0.95
    assert 1 < factors["LSTM, bias 3"] < 1.1

forget_gates = {b: 1 / (1 + math.exp(-b)) for b in (0, 1, 3)}
bounds = {
    f"LSTM, bias {b}": curves[f"LSTM, bias {b}"][0] * gate ** torch.arange(60)
    for b, gate in forget_gates.items()
}
for b, gate in forget_gates.items():
    print(
        f"bias {b}: forget gate {gate:.2f}, fitted factor {factors[f'LSTM, bias {b}']:.2f} per step"
    )
print(f"plain cell: fitted factor {factors['RNN']:.2f} per step")
open_gate = curves["LSTM, bias 3"]
print(
    f"bias 3: from its lowest point on, the gradient rises {open_gate[-1] / open_gate.min():.0f} times"
)
figure = figures.gradients(
    curves,
    bounds,
    "The wider the forget gate is open, the farther it reaches",
    "the forget gate alone",
)
assert open_gate[-1] > 3 * open_gate.min()
assert all(curves[name][-1] > bound[-1] for name, bound in bounds.items()), "far back, above"

# %% [markdown]
# With its biases at zero the gradient vanishes here as well, by a factor per step like that of the plain cell: the forget
# gate is $\sigma(0) = 0.5$ (here $\sigma$ is the sigmoid), and half of everything is forgotten at each step. The
# architecture does not save the gradient; it gives the network a *knob* for it, and opening it at the start is good
# practice (a bias of one: Jozefowicz, Zaremba and Sutskever 2015).
#
# But the forget gate is not all. Far back, the measured lines lie above the dotted ones, and with a bias of three the
# gradient even *grows* with the distance: on top of what the cell carries, gradient flows through the recurrent weights,
# as in a plain RNN, and the two add up to a factor above one.
#
# To see the forget gate by itself, make the recurrent weights small, so that the cell is the only path left, and turn the
# knob.


# %%
def with_forget_bias(bias, seed=0):
    network = LSTM(8, 32, torch.Generator().manual_seed(seed), forget_bias=bias)
    network.recurrent_weight.data *= 0.05
    return gradient_norm_by_distance(network, 0.1 * noise)


for bias in (0.0, 1.0, 3.0):
    forget = 1 / (1 + math.exp(-bias))
    for seed in seeds:
        assert abs(fitted_factor(with_forget_bias(bias, seed)) - forget) < 0.03
    print(
        f"bias {bias:.0f}: forget gate {forget:.2f}, fitted factor {fitted_factor(with_forget_bias(bias)):.2f}"
    )


def draw_forgetting(forget_bias=1.0):
    norms, forget = with_forget_bias(forget_bias), 1 / (1 + math.exp(-forget_bias))
    bound = norms[0] * forget ** torch.arange(60)
    title = f"With a forget gate of {forget:.2f}: ×{fitted_factor(norms):.2f} per step"
    return figures.gradients({"LSTM": norms}, {"LSTM": bound}, title, "the forget gate alone")


explore(draw_forgetting, forget_bias=FloatSlider(value=1.0, min=-1.0, max=5.0, step=0.25))

# %% [markdown]
# ## 5 · The memory test again
#
# An LSTM with a forget bias of 3 takes the test. Next to it, something that has no state at all: a single layer of
# **attention**. It keeps all inputs and, at the end, looks at every one of them at once. Lesson 02 builds it; here
# PyTorch's function does the work. To be fair, the widths are chosen so that all three have nearly the same number of
# weights.


# %%
class Attention(nn.Module):
    """One layer of attention without positions: every input may be looked at directly."""

    def __init__(self, num_inputs, width, rng):
        super().__init__()
        self.embed = drawn(rng, width, num_inputs)
        self.query, self.key, self.value = (drawn(rng, width, width) for _ in range(3))

    def forward(self, inputs):
        x = inputs @ self.embed.T
        return F.scaled_dot_product_attention(
            x @ self.query.T, x @ self.key.T, x @ self.value.T
        )


widths = {"RNN": 48, "LSTM": 23, "attention": 30}
sizes = {}
for name, network in {"RNN": RNN, "LSTM": LSTM, "attention": Attention}.items():
    rng = torch.Generator().manual_seed(0)
    learner = Recall(network(9, widths[name], rng), widths[name], rng)
    sizes[name] = sum(weight.numel() for weight in learner.parameters())
    print(f"{name:10s} {sizes[name]} weights")
assert max(sizes.values()) < 1.03 * min(sizes.values())

# %% [markdown]
# **Predict:** where does each of the three curves fall?

# %% tags=["expected"]
recalled["LSTM"] = recall_test(LSTM, widths["LSTM"])
recalled["attention"] = recall_test(Attention, widths["attention"])
figure = figures.recall(
    delays, recalled, 1 / 8, "The LSTM's wall is further off; attention has none here"
)

means = {
    name: dict(zip(delays, accuracy.mean(0), strict=True))
    for name, accuracy in recalled.items()
}
for name, mean in means.items():
    print(f"{name:10s}", {delay: f"{right:.1f}" for delay, right in mean.items()})
assert means["LSTM"][20] > 0.6 > 0.25 > means["RNN"][20]
assert means["LSTM"][40] < means["LSTM"][10] - 0.1
assert (recalled["LSTM"][:, -1] > recalled["RNN"][:, -1]).all()
assert (recalled["attention"] > 0.95).all()

# %% [markdown]
# The LSTM still recalls at 20, where the plain cell is guessing, and weakens at 40. Attention does not care: from the
# last token to the first is *one* step, whatever lies between.
#
# This is a test of learning with a fixed budget, not of what can be represented: with more training, a larger learning
# rate or other initial weights the walls are elsewhere (the second stretch moves one). They remain, since each step of
# the way still multiplies.

# %% [markdown]
# ## 6 · The second wall: waiting
#
# Suppose the gradients were fixed. To read token 1000, these cells need the state after 999, which needs the one after
# 998. The products $W x_t$ of all tokens can be computed at the same time; the steps from state to state cannot, on any
# machine. The waiting can be counted: the longest chain of operations, from the output back to the input, in the graph
# that PyTorch keeps for the gradient.
# **Predict:** how does the chain grow with the length, for each of the three?


# %% tags=["expected"]
def longest_chain(output):
    """The number of operations on the longest way from an output back through its graph."""
    length, stack = {}, [output.grad_fn]
    while stack:
        node = stack[-1]
        before = [previous for previous, _ in node.next_functions if previous is not None]
        unknown = [previous for previous in before if previous not in length]
        stack.extend(unknown)
        if not unknown:
            length[stack.pop()] = 1 + max((length[previous] for previous in before), default=0)
    return length[output.grad_fn]


lengths = [32, 64, 128, 256]
kinds = {"RNN": RNN, "LSTM": LSTM, "attention": Attention}
networks = {
    name: kind(9, widths[name], torch.Generator().manual_seed(0))
    for name, kind in kinds.items()
}
chains = {
    name: [longest_chain(network(torch.zeros(1, T, 9))[:, -1].sum()) for T in lengths]
    for name, network in networks.items()
}
for name, chain in chains.items():
    print(f"{name:10s}", dict(zip(lengths, chain, strict=True)))
figure = figures.depths(lengths, chains)

for name in ("RNN", "LSTM"):
    a, b, c, _ = chains[name]
    assert c - b == 2 * (b - a), "twice the text, twice the wait"
assert len(set(chains["attention"])) == 1

# %% [markdown]
# For the two cells the chain grows in proportion to the text; for attention it does not grow at all. Attention does
# *more* work on long texts, since every token meets every other (lesson 02 measures that), but it is work that can be
# done in parallel, and a graphics processor does thousands of things in parallel.
#
# The next cell measures the time on your own processor, so its figure is not stored here. Do not expect the same
# picture: with few cores little is done in parallel, attention's additional work counts, and on long texts the RNN may
# even win. On a graphics processor, which has room for all of attention's work at these lengths, expect the chain to
# decide.

# %% tags=["gpu"]
timed = {name: [] for name in networks}
for name, network in networks.items():
    for T in lengths:
        inputs = torch.zeros(8, T, 9)
        tries = []
        for _ in range(5):
            start = time.perf_counter()
            network(inputs).sum().backward()
            tries.append(time.perf_counter() - start)
        timed[name].append(min(tries))
figure = figures.seconds(lengths, timed)

# %% [markdown]
# ## 7 · A real one
#
# Your `gradient_norm_by_distance` works for any network, so try the pretrained model: a transformer, reading real
# stories. Its inputs are the vectors of the tokens. **Predict:** how much of the gradient is left 80 tokens back?

# %% tags=["expected"]
num_tokens = 100
encoded = (tokenizer.encode(story)[:num_tokens] for story in load_documents("stories"))
batch = torch.tensor(
    [story for story in encoded if len(story) == num_tokens][:8], device=device
)


def norms_of(network):
    """The gradient by distance of a model, given the vectors of the tokens in place of the tokens."""

    def run(inputs):
        with network.embedding.register_forward_hook(lambda *_: inputs):
            return network.hidden_states(batch)

    return gradient_norm_by_distance(run, network.embedding(batch).detach()).cpu()


fresh = Transformer(model.config, torch.Generator().manual_seed(0)).to(device)
norms = {"trained transformer": norms_of(model), "fresh transformer": norms_of(fresh)}
fresh_rnn = RNN(8, 32, torch.Generator().manual_seed(0))
long_noise = 0.1 * torch.randn(16, num_tokens, 8, generator=torch.Generator().manual_seed(1))
norms["fresh RNN"] = gradient_norm_by_distance(fresh_rnn, long_noise)
far = {name: float(norm[70:90].mean() / norm[1]) for name, norm in norms.items()}
for name, left in far.items():
    print(f"{name:20s} about 80 tokens back: 10 to the power of {math.log10(left):.0f}")
figure = figures.real_gradient(
    norms, "Attention reaches the far end, before and after training"
)

assert min(far["trained transformer"], far["fresh transformer"]) > 1e-3
assert far["fresh RNN"] < 1e-9

# %% [markdown]
# The trained model's gradient falls at first, since nearby words matter most to it, and then levels off: not a straight
# line down. A transformer with fresh weights is flatter still, so this is not something that training has to achieve. The
# architecture gives it: from the last of these hundred tokens to any other is one step. A fresh RNN with PyTorch's
# initial weights, on noise, is many powers of ten below both.

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("01")

# %% [markdown]
# ## Recap
#
# 1. An average forgets the order of words; a state that is updated word by word keeps it.
# 2. The plain cell: `tanh(W x + U h + b)`. With a weight above one, a unit can hold a bit through any number of zeros.
# 3. Holding is not learning: over 40 steps next to nothing of the gradient reaches the symbol that is to be recalled.
# 4. Each step back multiplies the gradient by a slope and a matrix. Over many steps that is exponential.
# 5. The largest singular value bounds the factor from above; it does not say how small it is.
# 6. The latch remembers because its tanh is saturated, and cannot be taught for the same reason.
# 7. An LSTM's cell is multiplied by its forget gate only. Open, it carries a gradient far; at bias zero it does not.
# 8. Steps of a recurrence wait for one another: the chain grows with the text.
# 9. **The two walls, in learning and in time, have one cause: a recurrence takes one step for each token in between.**
# 10. Attention needs one step between any two tokens, and pays with work that grows with the square of the length.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x3 and 8x3)</code></summary>
#
# A batch of 4 inputs with 3 numbers meets weights of shape (8, 3), one row for each number that comes *out*. Rows go
# with `x @ weight.T`.
# </details>
#
# <details>
# <summary><code>RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn</code></summary>
#
# Nothing on the way to this number tracks gradients: the copy lacks `requires_grad_()`, or something detached it
# (`detach`, `no_grad`, a trip through NumPy).
# </details>
#
# <details>
# <summary><code>RuntimeError: grad can be implicitly created only for scalar outputs</code></summary>
#
# A gradient is taken of *one* number. Sum what you want the gradient of.
# </details>
#
# <details>
# <summary><code>ValueError: step must be greater than zero</code></summary>
#
# Tensors have no `[::-1]`. Use `tensor.flip(0)`.
# </details>
#
# <details>
# <summary><code>TypeError: expected Tensor as element 0 in argument 0, but got tuple</code></summary>
#
# `torch.stack` was given pairs. An LSTM's state is a pair: take the hidden states out of it first.
# </details>
#
# ## From here to Gemini
#
# - The LSTM: Hochreiter and Schmidhuber 1997, "Long short-term memory", Neural Computation 9(8). A simpler cell in its
#   spirit, with two gates, is the GRU (Cho et al. 2014, [arXiv:1406.1078](https://arxiv.org/abs/1406.1078)).
# - Pascanu, Mikolov and Bengio 2013 ([arXiv:1211.5063](https://arxiv.org/abs/1211.5063)) derive the bound of section 3
#   and stop the explosion by clipping, which we used above and lesson 11 explains.
# - Bahdanau, Cho and Bengio 2014 ([arXiv:1409.0473](https://arxiv.org/abs/1409.0473)) let an RNN that translates look at
#   all states of another that has read: attention, still with a recurrence underneath. Vaswani et al. 2017
#   ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)) took the recurrence away. Their table 1 lists what you have
#   measured: path length and sequential operations.
# - Gemini is such a transformer; Gemini 1.5 ([arXiv:2403.05530](https://arxiv.org/abs/2403.05530)) finds a sentence
#   millions of tokens back.
# - Recurrence came back in another form: without the tanh between states, a step is linear and can be computed in
#   parallel. Mamba ([arXiv:2312.00752](https://arxiv.org/abs/2312.00752)) and Griffin
#   ([arXiv:2402.19427](https://arxiv.org/abs/2402.19427)), from which RecurrentGemma is made, do that.
# - Your four functions are those of `gemini_workshop/models/recurrent.py`.
#
# ## Stretch · without waiting
#
# Drop the tanh and the matrix: $h_t = a\,h_{t-1} + x_t$. Written as a loop, the chain is as long as the text. It can be
# much shorter: after combining each step with the one before it, then with the one two before, then four, every state
# is known. Write that, with about $\log_2 T$ rounds. The last line shows whether the chain has become shorter than the
# text.


# %%
def running_sum(inputs, a):
    """All states of h[t] = a h[t-1] + x[t], for inputs (B, T, D)."""
    states = unroll(lambda x, state: a * state + x, inputs, torch.zeros_like(inputs[:, 0]))
    return torch.stack(states, dim=1)  # yours goes here


inputs = torch.randn(2, 64, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
expected = [inputs[:, 0]]
for t in range(1, 64):
    expected.append(0.9 * expected[-1] + inputs[:, t])
states = running_sum(inputs, 0.9)
assert torch.allclose(states, torch.stack(expected, dim=1), atol=1e-4)
print("shorter than the text:", longest_chain(states.sum()) < 64)

# %% [markdown]
# A second one: initialize the recurrent weights of the recall RNN with `rotation(width, rng)` instead of `drawn(...)`,
# and run its test again. How far does the wall move? And how far with the old weights and a learning rate of `0.01`? (Le,
# Jaitly and Hinton 2015, [arXiv:1504.00941](https://arxiv.org/abs/1504.00941), tried the identity.)
