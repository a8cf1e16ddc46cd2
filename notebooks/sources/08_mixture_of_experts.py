# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "08"
#     title: Mixture of experts
#     part: part3_innovations
#     kind: pair
#     minutes: 95
#     budget_seconds: 60
#     requires: ["05", "06"]
# ---

# %% [markdown]
# # 08 · Mixture of experts
#
# **95 minutes** · builds on 05 and 06
#
# After this lesson you can
#
# - explain how a layer can hold many more weights than a token pays for,
# - route tokens to experts, compute each expert once, and put the answers back in place,
# - recognize a collapsed router, and balance it in two different ways,
# - compare sparse and dense layers fairly: at equal operations *and* at equal parameters,
# - say what experts specialize in, with a baseline, and what it costs to spread them over machines.
#
# You write eight pieces, most of them two or three lines. The layer that you build replaces one of the pretrained
# model. Short of time? Sections 7 (capacity) and 9 (two processes) stand alone.

# %%
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import MoEConfig
from gemini_workshop.data.batches.reading import split_documents
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.models.experts import dense_moe_forward
from gemini_workshop.models.feedforward import GatedFeedForward, gate_units
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.routing import expert_statistics
from gemini_workshop.training.parallel.distributed import launch
from gemini_workshop.visualization import experts as figures
from gemini_workshop.visualization.feedforward import losses_by_seed
from gemini_workshop.visualization.theme import use_theme
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

use_theme()
model, tokenizer = load_pretrained()
training_stories, held_out = split_documents(load_documents("stories"), 0.05)
GatedFeedForward = own_or(GatedFeedForward, embed_dim=8, ffn_dim=3, activation="silu")
print("GatedFeedForward:", "yours" if is_own(GatedFeedForward) else "from the package")


def rows_of(stories, count):
    """The first 96 tokens of stories that are long enough: one row per story."""
    rows = [tokenizer.encode(story)[:96] for story in stories[: 3 * count]]
    return torch.tensor([row for row in rows if len(row) == 96][:count])


train_ids, test_ids = rows_of(training_stories, 240), rows_of(held_out, 40)
print(len(train_ids), "stories to learn from,", len(test_ids), "held out")

# %% [markdown]
# ## 1 · A token needs few neurons
#
# A feed-forward layer of the pretrained model has 512 neurons, and every token pays for all of them. Does it need them
# all? A neuron adds its value times its strength to the stream (lesson 05). So for each token we keep only those
# neurons that add the longest vectors, in every layer, and set the others to zero.
#
# **Predict before you run:** what happens to the loss if each token keeps 64 of the 512? And if all tokens have to
# share the *same* 64, those that add most on average?


# %%
class KeepSome(nn.Module):
    """A feed-forward layer in which only some of its neurons count."""

    def __init__(self, layer, kept, is_shared):
        super().__init__()
        self.layer, self.kept, self.is_shared = layer, kept, is_shared

    def forward(self, x):
        layer = self.layer
        strengths = gate_units(layer.gate(x), layer.up(x), layer.activation)
        sizes = strengths.abs() * layer.down.weight.norm(dim=0)
        if self.is_shared:
            sizes = sizes.mean(dim=(0, 1), keepdim=True).expand_as(sizes)
        kept = torch.zeros_like(sizes).scatter(-1, sizes.topk(self.kept).indices, 1.0)
        return layer.down(strengths * kept)


@torch.no_grad()
def loss_with(layers, token_ids):
    """The model's loss on held-out stories with other feed-forward layers, by block."""
    own = {i: model.blocks[i].feed_forward for i in layers}
    try:
        for i, layer in layers.items():
            model.blocks[i].feed_forward = layer
        logits = model(token_ids)[:, :-1]
    finally:
        for i, layer in own.items():
            model.blocks[i].feed_forward = layer
    return float(F.cross_entropy(logits.flatten(0, 1), token_ids[:, 1:].flatten()))


kept = (64, 128, 512)
losses = {
    name: [
        loss_with(
            {i: KeepSome(b.feed_forward, k, is_shared) for i, b in enumerate(model.blocks)},
            test_ids[:16],
        )
        for k in kept
    ]
    for name, is_shared in {"the same for all": True, "each token's own": False}.items()
}
for name, (an_eighth, a_quarter, whole) in losses.items():
    print(
        f"{name:17s}: {an_eighth:.2f} with 64, {a_quarter:.2f} with 128, {whole:.2f} with 512"
    )
figure = figures.loss_by_kept_neurons(
    losses, kept, "A token needs few neurons, but its own ones"
)

assert losses["each token's own"][0] < losses["each token's own"][2] + 0.15
assert losses["the same for all"][0] > losses["each token's own"][0] + 1.0

# %% [markdown]
# With an eighth of the neurons, each token's own, the model hardly notices. With the same eighth for everyone it is
# ruined. So a layer may be large, as long as every token may use *its* part of it.
#
# But we have cheated. To know which neurons a token needs, we computed all of them. What is missing is something cheap
# that knows the right part *in advance*. That is a **router**, and the parts are called **experts**: small feed-forward
# layers, side by side, of which each token uses a few. The whole is a **mixture of experts** (MoE).

# %% [markdown]
# ## 2 · The router
#
# The router is one small matrix. It gives each token a score for each expert; a softmax makes probabilities of them,
# and the best few are chosen. The token's output is the sum of what these experts answer, weighted by their
# probabilities, which are divided by their sum first, so that they add up to 1.
#
# **By hand:** four experts have the probabilities 0.1, 0.4, 0.2 and 0.3. Which two are chosen, and with which weights?
#
# ### Exercise 08.1 · `top_k_routing` (8 minutes)
#
# There is one more argument: a bias for each expert, which is added to the probabilities to *choose* and which does not
# touch the weights. We need it in section 5. Of the chosen experts, the one with the highest sum of probability and bias
# comes first. Use `topk` and `gather`.


# %%
def top_k_routing(
    logits: Float[Tensor, "N E"],
    experts_per_token: int,
    selection_bias: Float[Tensor, " E"] | None = None,
) -> tuple[Int[Tensor, "N A"], Float[Tensor, "N A"]]:
    """Send each token to its most probable experts.

    Probabilities of 0.1, 0.4, 0.2 and 0.3 and two experts per token give
    experts [1, 3] with weights [0.5714, 0.4286].

    Args:
        selection_bias: added to the probabilities to choose, and not to weight.

    Returns:
        The numbers of the chosen experts, highest probability plus bias first, and their
        weights, in the same order, which sum to 1.
    """
    # SOLUTION
    # 1. How probable is each expert?
    probabilities = logits.softmax(dim=-1)
    # 2. Choose the best, by probability plus bias if there is one.
    ranks = probabilities if selection_bias is None else probabilities + selection_bias
    experts = ranks.topk(experts_per_token, dim=-1).indices
    # 3. Their probabilities, divided by their sum.
    weights = probabilities.gather(-1, experts)
    return experts, weights / weights.sum(dim=-1, keepdim=True)
    # END SOLUTION


# %% tags=["check"]
top_k_routing = check("08.1", top_k_routing)

# %% tags=["expected"]
experts, weights = top_k_routing(torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log(), 2)
figure = figures.dispatch(4, experts[0].tolist(), weights[0].tolist())

# %% [markdown]
# The choice itself has no gradient: an index is a whole number. The router learns through the *weights*: if an expert's
# answer was good, its weight should grow.
#
# **Predict:** what does the router learn if each token goes to *one* expert?

# %%
logits = torch.tensor([[0.3, -0.2, 0.1]], requires_grad=True)
for count in (2, 1):
    experts, weights = top_k_routing(logits, count)
    (gradient,) = torch.autograd.grad(weights[0, 0], logits)
    numbers = [round(g, 3) + 0.0 for g in gradient[0].tolist()]
    print(f"{count} chosen: gradient of the first weight", numbers)
    assert bool((gradient.abs() > 1e-6).any()) == (count == 2)

# %% [markdown]
# Nothing. A single weight, divided by itself, is always 1. This is why the Switch Transformer, which sends each token to
# one expert, takes the probability itself as the weight. We do the same below, for that case only.

# %% [markdown]
# ## 3 · Sort, compute, combine
#
# Each expert should compute once, on all the tokens that chose it. So the choices are sorted by expert; each expert gets
# its rows; and its answers, times their weights, are added to the rows of their tokens. A token with two experts
# gets two additions.
#
# ```
# experts chosen       sorted by expert         added to
# token 0:  2  0       expert 0: tokens 0 2     0 2
# token 1:  1  2       expert 1: tokens 1 2     1 2
# token 2:  0  1       expert 2: tokens 0 1     0 1
# ```
#
# ### Exercise 08.2 · `moe_forward` (15 minutes)
#
# The simplest way is a loop over the *experts*. A loop over the tokens is right, too, and slow. What is refused is
# computing experts for tokens that did not choose them: then nothing is saved.


# %%
def moe_forward(
    x: Float[Tensor, "N D"],
    experts: Int[Tensor, "N A"],
    weights: Float[Tensor, "N A"],
    layers: Sequence[Callable[[Tensor], Tensor]],
) -> Float[Tensor, "N D"]:
    """Let each expert compute the tokens that chose it, once; add up the answers by weight.

    Args:
        experts: the numbers of each token's experts.
        weights: what the answer of each of them is multiplied by.
        layers: the experts; each turns rows of D numbers into as many.
    """
    # SOLUTION
    output = torch.zeros_like(x)
    for e, layer in enumerate(layers):
        # 1. Which tokens chose this expert, and at which place?
        tokens, places = torch.where(experts == e)
        # 2. Its answers, each times its weight.
        answers = layer(x[tokens]) * weights[tokens, places].unsqueeze(-1)
        # 3. Add them to the rows of these tokens.
        output = output.index_add(0, tokens, answers)
    return output
    # END SOLUTION


# %% tags=["check"]
moe_forward = check("08.2", moe_forward)

# %% [markdown]
# Now a layer: a router, experts, and your two functions. (A **shared expert**, which sees every token, is for section
# 6.) It remembers what the router decided, for the losses and for us to look at.


# %%
class Mixture(nn.Module):
    """A router and its experts."""

    def __init__(self, embed_dim, num_experts, expert_dim, per_token, shared_dim=0):
        super().__init__()
        self.router = nn.Linear(embed_dim, num_experts, bias=False)
        self.experts = nn.ModuleList(
            GatedFeedForward(embed_dim, expert_dim, "silu") for _ in range(num_experts)
        )
        self.shared = GatedFeedForward(embed_dim, shared_dim, "silu") if shared_dim else None
        self.per_token = per_token
        self.selection_bias = torch.zeros(num_experts)

    def route(self, x):
        self.logits = self.router(x)
        self.chosen, weights = top_k_routing(self.logits, self.per_token, self.selection_bias)
        if self.per_token == 1:
            weights = self.logits.softmax(-1).gather(-1, self.chosen)
        return weights

    def forward(self, x):
        rows = x.flatten(0, -2)
        weights = self.route(rows)
        output = moe_forward(rows, self.chosen, weights, list(self.experts)).view(x.shape)
        return output if self.shared is None else output + self.shared(x)


width, num_experts, expert_dim = model.config.embed_dim, 8, 64
layer = Mixture(width, num_experts, expert_dim, per_token=2)
x = torch.randn(1000, width, generator=torch.Generator().manual_seed(0))
rows_computed = []
for expert in layer.experts:
    expert.register_forward_hook(lambda _, inputs, output: rows_computed.append(len(output)))
with torch.no_grad():
    layer(x)
in_experts = sum(weight.numel() for weight in layer.experts.parameters())
print(f"{in_experts:,} weights in {num_experts} experts")
print(f"{sum(rows_computed):,} rows computed; with all experts {len(x) * num_experts:,}")
assert sum(rows_computed) == 2 * len(x)
assert in_experts == sum(w.numel() for w in GatedFeedForward(width, 512, "silu").parameters())

# %% [markdown]
# As many weights as a layer of the pretrained model has, in eight parts of 64 neurons. Each token pays for two of them:
# a quarter of the work.
#
# **The experiment of this lesson.** We take a feed-forward layer out of the pretrained model and let a new one learn to
# do its job: for each token of real stories, what did the layer read, and what did it add? A model's own layer is a
# good teacher, and this is cheap enough for many experiments. What we measure is the error on held-out stories as a
# fraction of the variance: 0 is perfect, 1 is as bad as always answering the mean.

# %%
BLOCK, STEPS, NUM_ROWS = 2, 150, 512


@torch.no_grad()
def recorded(token_ids):
    """What the layer of this block reads and answers, one row per token."""
    seen = []
    hook = model.blocks[BLOCK].feed_forward.register_forward_hook(
        lambda _, inputs, output: seen.append((inputs[0], output))
    )
    for some in token_ids.split(40):
        model(some)
    hook.remove()
    reads, answers = (torch.cat(part) for part in zip(*seen, strict=True))
    return reads.flatten(0, 1), answers.flatten(0, 1)


reads, answers = recorded(train_ids)
test_reads, test_answers = recorded(test_ids)
variance = answers.var(dim=0).sum()


def error_of(layer, reads, answers):
    return (layer(reads) - answers).square().sum(-1).mean() / variance


def train(layer, seed, extra_loss=None, after_step=None):
    """Let a layer learn to answer like the model's own; the chosen experts of each step."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    optimizer = torch.optim.AdamW(
        layer.parameters(), lr=0.01, betas=(0.9, 0.95), weight_decay=0.0
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 20) * (1 - step / STEPS)
    )
    chosen = []
    for _ in range(STEPS):
        rows = torch.randint(len(reads), (NUM_ROWS,), generator=generator)
        loss = error_of(layer, reads[rows], answers[rows])
        if extra_loss is not None:
            loss = loss + extra_loss(layer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        if isinstance(layer, Mixture):
            chosen.append(layer.chosen)
            if after_step is not None:
                after_step(layer)
    return chosen


@torch.no_grad()
def test_error(layer):
    return float(error_of(layer, test_reads, test_answers))


print(f"{len(reads):,} rows to learn from, {len(test_reads):,} held out")

# %% [markdown]
# ## 4 · The rich get richer
#
# ### Exercise 08.3 · `expert_load` (4 minutes)
#
# To watch a router we count: which fraction of all choices falls on each expert? With 8 experts, an even load is one
# eighth each. Note that some experts may not be chosen at all.


# %%
def expert_load(experts: Int[Tensor, "N A"], num_experts: int) -> Float[Tensor, " E"]:
    """The fraction of all choices that falls on each expert.

    expert_load(tensor([[0, 1], [0, 3]]), 4) is tensor([0.50, 0.25, 0.00, 0.25])
    """
    # SOLUTION
    # 1. Count how often each number occurs, zero included.
    counts = experts.flatten().bincount(minlength=num_experts)
    # 2. Divide by the number of choices.
    return counts / experts.numel()
    # END SOLUTION


# %% tags=["check"]
expert_load = check("08.3", expert_load)

# %% [markdown]
# Now train the layer, with no other goal than a small error. **Predict:** eight experts, equally good at the start. How
# evenly are they used after 150 steps?


# %% tags=["expected", "rounded"]
def loads_of(chosen):
    return torch.stack([expert_load(step, num_experts) for step in chosen])


alone = {seed: Mixture(width, num_experts, expert_dim, per_token=2) for seed in (0, 1, 2)}
alone_loads = {seed: loads_of(train(layer, seed)) for seed, layer in alone.items()}
figure = figures.load_over_training(
    {f"seed {seed}": loads for seed, loads in alone_loads.items()},
    "Left alone, a few experts get most of the tokens",
)

for seed, loads in alone_loads.items():
    last = loads[-20:].mean(0)
    idle = int((last < 0.25 / num_experts).sum())
    print(
        f"seed {seed}: the busiest expert gets {last.max() * num_experts:.1f} times the mean, "
        f"{idle} of {num_experts} get less than a quarter of it"
    )
    assert last.max() * num_experts > 1.5
    assert idle >= 1

# %% [markdown]
# An expert that is a little better at first is chosen more often, so it gets more gradients, so it becomes better, so it
# is chosen more often. Others get hardly a token any more, and what they could hold is lost: we pay memory for eight
# experts and use fewer. This is **collapse**. In a large model it is worse still: experts are on different machines, and
# all of them wait for the one with the most tokens.

# %% [markdown]
# ## 5 · Keeping the load even
#
# We want a loss that is small when the load is even. But the load is a *count*: it has no gradient. The trick is to
# multiply it by something that has one: the mean probability $P_e$ of each expert over the tokens. With the load $f_e$
# and $E$ experts:
#
# $$\text{balance} = E \sum_e f_e \, P_e$$
#
# Its derivative with respect to $P_e$ is $E f_e$: the busier an expert, the harder its probability is pushed down.
#
# **By hand:** what is it when the load and the probabilities are even, 1/E each? When all tokens go to one expert with
# probability 1?
#
# ### Exercise 08.4 · `load_balancing_loss` (6 minutes)


# %%
def load_balancing_loss(
    probabilities: Float[Tensor, "N E"], load: Float[Tensor, " E"]
) -> Float[Tensor, ""]:
    """How unevenly the experts are used: 1 if all are used equally.

    Args:
        probabilities: of each expert, for each token.
        load: the fraction of all choices that falls on each expert.
    """
    # SOLUTION
    # 1. The mean probability of each expert.
    mean = probabilities.mean(dim=0)
    # 2. Times its load, summed, and scaled so that an even load gives 1.
    return probabilities.shape[-1] * (load * mean).sum()
    # END SOLUTION


# %% tags=["check"]
load_balancing_loss = check("08.4", load_balancing_loss)

# %% tags=["expected"]
even, one = torch.full((6, 8), 1 / 8), F.one_hot(torch.zeros(6).long(), 8).float()
for name, p in {"even": even, "collapsed": one}.items():
    print(f"{name:10s}", float(load_balancing_loss(p, p.mean(0))))
assert load_balancing_loss(even, even[0]) == 1.0
assert load_balancing_loss(one, one[0]) == 8.0

# %% [markdown]
# ### Exercise 08.5 · `router_z_loss` (4 minutes)
#
# A second loss looks at the *size* of the scores. Add 100 to all scores of a token, and its softmax does not change, so
# no other loss notices. But numbers with few bits do: in bfloat16 the neighbor of 100 is 100.5. The z-loss keeps the
# scores where they are exact. It is the mean, over the tokens, of the *square* of the log of the sum of exponentials:
#
# $$z = \frac{1}{N} \sum_n \Big(\log \sum_e e^{s_{n,e}}\Big)^2$$


# %%
def router_z_loss(logits: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """How large the router's scores are.

    router_z_loss(tensor([[0., 0.]])) is log(2) squared, 0.4805
    """
    # SOLUTION
    # 1. The log of the sum of exponentials, one number per token; squared; the mean.
    return logits.logsumexp(dim=-1).square().mean()
    # END SOLUTION


# %% tags=["check"]
router_z_loss = check("08.5", router_z_loss)

# %% tags=["expected", "rounded"]
with torch.no_grad():
    scores = alone[0].router(test_reads)
    scores = scores - scores.logsumexp(-1, keepdim=True)  # start from a z-loss of 0
choices = scores.topk(2).indices
for offset in (0, 10, 100):
    moved = scores + offset
    rounded = moved.bfloat16().float().topk(2).indices.sort(-1).values
    changed = float((rounded != choices.sort(-1).values).any(-1).float().mean())
    z_loss = float(router_z_loss(moved))
    print(
        f"scores + {offset:3d}: z-loss {z_loss:8.1f}, other experts in bfloat16: {changed:.0%}"
    )
assert changed > 0.03
assert torch.tensor([100.2, 100.4]).bfloat16().tolist() == [100.0, 100.5]
assert torch.allclose(scores.softmax(-1), moved.softmax(-1), atol=1e-4)

# %% [markdown]
# Both losses are added to the main one with small weights: 0.01 and 0.001, as in several published models. **Predict**
# how the heat map changes, and whether the error rises: after all, the layer now has to serve a second goal.


# %% tags=["expected", "rounded"]
def balance(layer):
    load = expert_load(layer.chosen, len(layer.experts))
    probabilities = layer.logits.softmax(-1)
    z_loss = router_z_loss(layer.logits)
    return 0.01 * load_balancing_loss(probabilities, load) + 0.001 * z_loss


balanced = {seed: Mixture(width, num_experts, expert_dim, per_token=2) for seed in (0, 1, 2)}
balanced_loads = {
    seed: loads_of(train(layer, seed, balance)) for seed, layer in balanced.items()
}
figure = figures.load_over_training(
    {"left alone": alone_loads[0], "with a balance loss": balanced_loads[0]},
    "A balance loss keeps every expert at work",
)

for seed in (0, 1, 2):
    before, after = alone_loads[seed][-20:].mean(0), balanced_loads[seed][-20:].mean(0)
    times = [f"{load.max() * num_experts:.1f}" for load in (before, after)]
    errors = [f"{test_error(layers[seed]):.2f}" for layers in (alone, balanced)]
    print(f"seed {seed}: busiest/mean {' → '.join(times)}, error {' → '.join(errors)}")
    assert before.max() - after.max() > 0.2 / num_experts
    assert test_error(balanced[seed]) < test_error(alone[seed]) + 0.02
    assert after.min() > 0.25 / num_experts > before.min()

# %% [markdown]
# No expert is idle any more, and the error did not rise. Too large a weight would hurt: then the router cares more
# about evenness than about the tokens.
#
# ### Balance without a loss
#
# A loss mixes two goals in one gradient. There is another way: leave the gradient alone and put a thumb on the scale.
# Each expert has a bias that is added to its probability when experts are *chosen* (you built it in exercise 08.1).
# After each step, the bias of every expert with more than the mean load goes down a little, and that of every expert
# with less goes up.
#
# ### Exercise 08.6 · `balanced_bias` (5 minutes)


# %%
def balanced_bias(
    bias: Float[Tensor, " E"], load: Float[Tensor, " E"], rate: float
) -> Float[Tensor, " E"]:
    """The next selection bias: a step down for experts with more than the mean load, a step up for those with less.

    An expert with exactly the mean load keeps its bias. A bias of (0.5, 0.0, -0.5) with loads
    (0.5, 0.3, 0.2) and a rate of 0.1 becomes (0.4, 0.1, -0.4).

    Args:
        rate: the size of a step.
    """
    # SOLUTION
    # 1. Which way should each bias move? 2. By the size of the rate.
    return bias + rate * (load.mean() - load).sign()
    # END SOLUTION


# %% tags=["check"]
balanced_bias = check("08.6", balanced_bias)


# %% tags=["expected", "rounded"]
def move_bias(layer):
    load = expert_load(layer.chosen, len(layer.experts))
    layer.selection_bias = balanced_bias(layer.selection_bias, load, rate=0.003)


by_bias = {seed: Mixture(width, num_experts, expert_dim, per_token=2) for seed in (0, 1, 2)}
bias_loads = {
    seed: loads_of(train(layer, seed, after_step=move_bias)) for seed, layer in by_bias.items()
}
figure = figures.busiest_over_training(
    {"left alone": alone_loads[0], "balance loss": balanced_loads[0], "bias": bias_loads[0]},
    "A bias evens out the load without a loss",
)

for seed in (0, 1, 2):
    by_loss, busiest = (
        float(loads[seed][-20:].mean(0).max()) * num_experts
        for loads in (balanced_loads, bias_loads)
    )
    print(
        f"seed {seed}: busiest/mean with a balance loss {by_loss:.1f}, with a bias {busiest:.1f}"
    )
    assert busiest < min(1.3, by_loss)
    assert test_error(by_bias[seed]) < test_error(alone[seed]) + 0.02

# %% [markdown]
# The bias is not learned. It is a thermostat: it reacts to the load, step by step. DeepSeek-V3 is balanced mostly like
# this.

# %% [markdown]
# ## 6 · Sparse against dense
#
# Is it worth it? There are two fair comparisons, and a paper that shows only one of them hides something:
#
# - **equal operations**: a dense layer of 128 neurons, what two experts cost (the router itself adds little);
# - **equal parameters**: a dense layer of 512 neurons, what eight experts hold.
#
# In addition two other ways to spend the same: one expert of 128 out of four, and one of 64 out of seven beside a
# shared one. **Predict** the order of the five errors.

# %% tags=["expected", "rounded"]
kinds = {
    "dense,\nequal operations": lambda: GatedFeedForward(width, 128, "silu"),
    "1 of 4": lambda: Mixture(width, 4, 128, per_token=1),
    "1 of 7\n+ shared": lambda: Mixture(width, 7, 64, per_token=1, shared_dim=64),
    "2 of 8": None,  # trained above
    "dense,\nequal parameters": lambda: GatedFeedForward(width, 512, "silu"),
}
trained = {}
for name, make in kinds.items():
    if make is None:
        trained[name] = [balanced[seed] for seed in (0, 1, 2)]
        continue
    trained[name] = [make() for _ in range(3)]
    for seed, layer in enumerate(trained[name]):
        train(layer, seed, balance if isinstance(layer, Mixture) else None)
errors = {name: [test_error(layer) for layer in layers] for name, layers in trained.items()}
figure = losses_by_seed(
    errors,
    "error (fraction of the variance)",
    "Sparse: better than its cost, worse than its size",
)

sparse = errors["2 of 8"]
assert min(errors["dense,\nequal operations"]) > max(sparse) + 0.02
assert max(errors["dense,\nequal parameters"]) < min(sparse) - 0.02
for other in ("1 of 4", "1 of 7\n+ shared"):
    assert min(errors[other]) > max(sparse) + 0.01

# %% [markdown]
# At equal operations the mixture wins clearly. At equal parameters the dense layer wins, and pays four times the work
# per token. So the honest sentence is: **sparsity buys quality with memory instead of work.** Two small experts out of
# eight did better than one large one out of four. Perhaps because there are more pairs to choose from, and two answers
# to mix; the experiment does not say. A shared
# expert did not help here; in large models it is meant to hold what every token needs, so that the others do not all
# have to learn it.
#
# How much of that arrives in the model? Put the layers in place and measure the loss on held-out stories.

# %% tags=["expected", "rounded"]
some_ids = test_ids[:16]
whole = loss_with({}, some_ids)
costs = {}
for name in ("dense,\nequal operations", "2 of 8", "dense,\nequal parameters"):
    costs[name] = [loss_with({BLOCK: layer}, some_ids) - whole for layer in trained[name]]
    shown = "  ".join(f"{cost:+.2f}" for cost in costs[name])
    print(f"{name.replace(chr(10), ' '):24s} in place of the model's own: loss {shown}")
assert min(map(min, costs.values())) > 0
mean_cost = {name: sum(values) / 3 for name, values in costs.items()}
assert (
    mean_cost["dense,\nequal operations"]
    > mean_cost["2 of 8"]
    > mean_cost["dense,\nequal parameters"]
)

# %% [markdown]
# The same order. None of them is as good as the layer they learned from: 150 steps are few.

# %% [markdown]
# ## 7 · Capacity
#
# On real hardware each expert reserves room for a fixed number of tokens. That is its **capacity**: an even split, times
# a **capacity factor** for what is uneven. What does not fit is **dropped**: that choice adds nothing, and the residual
# stream carries the token on.
#
# ### Exercise 08.7 · `expert_capacity` (3 minutes)


# %%
def expert_capacity(
    num_tokens: int, num_experts: int, experts_per_token: int, capacity_factor: float
) -> int:
    """The largest number of tokens that one expert takes: an even split times the factor.

    Each token counts once for each expert that it is sent to.
    expert_capacity(10, 8, 2, 1.0) is 3
    """
    # SOLUTION
    # 1. All choices, spread evenly, times the factor; rounded up at the end.
    return math.ceil(num_tokens * experts_per_token * capacity_factor / num_experts)
    # END SOLUTION


# %% tags=["check"]
expert_capacity = check("08.7", expert_capacity)

# %% [markdown]
# ### Exercise 08.8 · `within_capacity` (12 minutes)
#
# Who is dropped? Think of a line in front of each expert. First the *first* choices of all tokens join, in the order of
# the text; then all second choices. Whoever finds the expert full is dropped. With a capacity of 1:
#
# ```
# token 0 chose 0, 1       0: kept    1: dropped (token 1 was there first, with its first choice)
# token 1 chose 1, 0       1: kept    0: dropped
# token 2 chose 0, 2       0: dropped 2: kept
# ```
#
# A loop is fine.


# %%
def within_capacity(experts: Int[Tensor, "N A"], capacity: int) -> Bool[Tensor, "N A"]:
    """Which choices still find room: first choices before second ones, in token order.

    within_capacity(tensor([[0, 1], [1, 0], [0, 2]]), 1) is
    tensor([[True, False], [True, False], [False, True]])
    """
    # SOLUTION
    # 1. The line of all choices: first choices, then second ones.
    line = experts.T.flatten()
    # 2. How many of the same expert have come up to each place?
    arrived = F.one_hot(line).cumsum(dim=0).gather(-1, line.unsqueeze(-1)).squeeze(-1)
    # 3. Those that found room, back in the shape of the tokens.
    return (arrived <= capacity).view(experts.shape[1], -1).T
    # END SOLUTION


# %% tags=["check"]
within_capacity = check("08.8", within_capacity)


# %% tags=["expected", "rounded"]
@torch.no_grad()
def with_capacity(layer, factor):
    """The fraction of choices that is dropped, and the error."""
    weights = layer.route(test_reads)
    room = expert_capacity(len(test_reads), num_experts, 2, factor)
    kept = within_capacity(layer.chosen, room)
    output = moe_forward(test_reads, layer.chosen, weights * kept, list(layer.experts))
    error = (output - test_answers).square().sum(-1).mean() / variance
    return 1 - float(kept.float().mean()), float(error)


dropped = {}
for name, layers in {"left alone": alone, "balanced": balanced}.items():
    for factor in (1.0, 1.5, 2.0):
        found = [with_capacity(layer, factor) for layer in layers.values()]
        dropped[name, factor] = [fraction for fraction, _ in found]
        shown = ", ".join(f"{fraction:.1f} (error {error:.1f})" for fraction, error in found)
        print(f"{name:10s} factor {factor}: dropped {shown}")
for factor in (1.0, 1.5):
    pairs = zip(dropped["left alone", factor], dropped["balanced", factor], strict=True)
    for before, after in pairs:
        assert before > after + 0.05

# %% [markdown]
# Three seeds in each line. Balance decides how much is lost: the collapsed layers drop many choices even with half as
# much room again, the balanced ones few. A dropped token still has its other expert, or at least its residual stream.
# But room that is reserved and not used is wasted work, so nobody sets the factor high and forgets about balance.

# %% [markdown]
# ## 8 · What the experts specialize in
#
# People like to imagine an expert for law and an expert for cooking. Let us measure. If we know something about a
# token, how many **bits** do we learn about its first expert? With 8 equally busy experts there are 3 bits to know.
# Candidates: the token itself, the one before it, the one after it, its place in the text, and the story it is from.
#
# With many tokens and few occurrences, chance looks like knowledge. So we shuffle the experts among the tokens and
# measure again: only what is *beyond* that counts. **Predict:** which candidates are clearly beyond it?


# %% tags=["expected", "rounded"]
def entropy_bits(labels):
    fractions = labels.unique(return_counts=True)[1] / len(labels)
    return float(-(fractions * fractions.log2()).sum())


def bits_about(experts, labels):
    """Mutual information: entropy of both, minus that of the pairs."""
    pairs = labels * num_experts + experts
    return entropy_bits(experts) + entropy_bits(labels) - entropy_bits(pairs)


places = torch.arange(96).expand(test_ids.shape)
inner = slice(1, -1)  # so that every token has a neighbor on both sides
candidates = {
    "the token": test_ids[:, inner],
    "the token before": test_ids[:, :-2],
    "the next token": test_ids[:, 2:],
    "place in the text": (places // 8)[:, inner],
    "the story": torch.arange(40)[:, None].expand(test_ids.shape)[:, inner],
}
measured = {name: [] for name in candidates}
shuffled = {name: [] for name in candidates}
for seed, layer in balanced.items():
    with torch.no_grad():
        layer.route(test_reads)
    first = layer.chosen[:, 0].view(test_ids.shape)[:, inner].flatten()
    mixed = first[torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))]
    for name, labels in candidates.items():
        measured[name].append(bits_about(first, labels.flatten()))
        shuffled[name].append(bits_about(mixed, labels.flatten()))
figure = figures.bits_known(
    measured, shuffled, "The token tells most, the story next to nothing"
)

beyond = {
    name: [m - s for m, s in zip(measured[name], shuffled[name], strict=True)]
    for name in candidates
}
for name, bits in beyond.items():
    shown = "  ".join(f"{max(b, 0.0):.1f}" for b in bits)
    print(f"{name:17s} beyond chance: {shown} bits")
assert min(beyond["the token"]) > 0.8
assert max(beyond["the story"] + beyond["place in the text"]) < 0.2

# %% [markdown]
# The token itself says most; its neighbors say less; the story and the place say next to nothing. Our experts are not
# about topics. They are about *words*, and kinds of words. Which ones? Here are the most frequent tokens.

# %% tags=["expected", "rounded"]
layer = balanced[0]
with torch.no_grad():
    layer.route(test_reads)
first, read = layer.chosen[:, 0], test_ids.flatten()
frequent = [token for token, _ in Counter(read.tolist()).most_common(24)]
fractions = torch.stack(
    [expert_load(first[read == token, None], num_experts) for token in frequent]
)
order = (fractions.argmax(-1) * 10 - fractions.amax(-1)).argsort()
figure = figures.experts_of_tokens(
    [tokenizer.decode([frequent[i]]) for i in order],
    fractions[order],
    "A frequent token has its main expert",
)
main = float(fractions.amax(-1).mean())
print(f"of a frequent token's occurrences, {main:.1f} go to the same expert first, on average")
assert main > 0.5
assert min(len(read[first == e].unique()) for e in range(num_experts)) > 24

# %% [markdown]
# Look for groups: do articles share an expert, or names, or punctuation marks? Do not read too much into a row. The
# reverse question, what an expert is *for*, has a poorer answer: each of them gets dozens of different tokens, because 3
# bits are few for a vocabulary of thousands. And this is one layer of one small model on children's stories.

# %% [markdown]
# ## 9 · Experts on two machines
#
# A layer with hundreds of experts does not fit on one device. So the experts are divided, and the *tokens* travel: each
# process routes its own tokens, sends every row to the process that owns the chosen expert, and gets the answer back.
# This is **expert parallelism**, and the exchange is called **all-to-all**.
#
# The next cell really does it: two Python processes on this computer, four experts each. The program is short; read it.
# **Predict:** which fraction of the rows has to travel?

# %% tags=["expected", "rounded"]
PROGRAM = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from gemini_workshop.models.feedforward import GatedFeedForward

dist.init_process_group("gloo")
rank, folder = dist.get_rank(), Path(sys.argv[1])
given = torch.load(folder / "given.pt")
x, experts, weights = (given[name].chunk(2)[rank] for name in ("x", "experts", "weights"))
own = []  # experts 0 to 3, or 4 to 7
for state in given["layers"][4 * rank : 4 * rank + 4]:
    own.append(GatedFeedForward(x.shape[1], given["expert_dim"], "silu"))
    own[-1].load_state_dict(state)

order = experts.flatten().argsort(stable=True)  # sort the choices by expert
rows = x[order // experts.shape[1]]
counts = experts.flatten().bincount(minlength=8).view(2, 4)  # to each process, for each expert
arriving = torch.empty_like(counts)
dist.all_to_all_single(arriving, counts)  # tell each other how much will come
sent, received = counts.sum(1).tolist(), arriving.sum(1).tolist()

arrived = rows.new_empty(sum(received), x.shape[1])
dist.all_to_all_single(arrived, rows, received, sent)  # the rows travel
which = torch.arange(4).repeat(2).repeat_interleave(arriving.flatten())
answers = torch.empty_like(arrived)
with torch.no_grad():
    for e, layer in enumerate(own):
        answers[which == e] = layer(arrived[which == e])
back = torch.empty_like(rows)
dist.all_to_all_single(back, answers, sent, received)  # and the answers return

back = back * weights.flatten()[order].unsqueeze(-1)
output = x.new_zeros(x.shape).index_add(0, order // experts.shape[1], back)
to_other = sent[1 - rank] * rows.shape[1] * rows.element_size()
from_other = received[1 - rank] * rows.shape[1] * rows.element_size()
torch.save((output, to_other + from_other), folder / f"found{rank}.pt")
dist.destroy_process_group()
"""

layer, x = balanced[0], test_reads[:1024]
with torch.no_grad():
    weights = layer.route(x)
    expected = layer(x)
with tempfile.TemporaryDirectory() as folder:
    given = {
        "x": x.clone(),
        "experts": layer.chosen,
        "weights": weights,
        "expert_dim": expert_dim,
        "layers": [expert.state_dict() for expert in layer.experts],
    }
    torch.save(given, Path(folder, "given.pt"))
    Path(folder, "program.py").write_text(PROGRAM, "utf-8")
    launch(2, [sys.executable, str(Path(folder, "program.py")), folder])
    found = [torch.load(Path(folder, f"found{rank}.pt")) for rank in range(2)]

output, num_bytes = torch.cat([output for output, _ in found]), sum(sent for _, sent in found)
print("same output as in one process:", torch.allclose(output, expected, atol=1e-5))
every_row = 2 * len(x) * 2 * width * 4  # choices, there and back, in float32
print(f"{num_bytes / every_row:.1f} of the rows travel")
print(f"{num_bytes / len(x) / 1000:.1f} thousand bytes per token and layer")
assert torch.allclose(output, expected, atol=1e-5)
assert 0.25 < num_bytes / every_row < 0.75

# %% [markdown]
# About half, as the experts of a token are on the other side as often as not. With $P$ processes it is $(P-1)/P$: with
# many, nearly all of them. Each token sends its vector to each of its experts and gets one back, in every layer, and the
# backward pass does it again. This is why large models limit the number of machines that a token may be sent to, and
# overlap the traffic with other work.
#
# ## 10 · Yours against ours
#
# Is what you built the layer of the package? It stores all experts in two tensors, and can do more. Give it your
# weights:

# %%
layer = balanced[0]
ours = MixtureOfExperts(
    width, MoEConfig(num_experts=8, experts_per_token=2, expert_dim=expert_dim), "silu"
)
with torch.no_grad():
    ours.router.weight.copy_(layer.router.weight)
    for e, expert in enumerate(layer.experts):
        gate, up, down = expert.parameters()
        ours.experts.gate_up[e] = torch.cat([gate, up])
        ours.experts.down[e] = down
    routing = ours.router(test_reads)
    dense = dense_moe_forward(test_reads, routing, ours.experts.weights())
    mine = layer(test_reads)
    results = {"the package's layer": ours(test_reads), "all experts": dense}
for name, output in results.items():
    print(f"{name:19s} same output:", torch.allclose(output, mine, atol=1e-4))
    assert torch.allclose(output, mine, atol=1e-4)
statistics = expert_statistics(routing)
print("dead experts:", statistics.dead_experts)
assert statistics.dead_experts == 0
assert torch.allclose(statistics.load, expert_load(routing.experts, 8))

parts = (
    top_k_routing,
    moe_forward,
    expert_load,
    load_balancing_loss,
    router_z_loss,
    balanced_bias,
    expert_capacity,
    within_capacity,
)
print("yours:", ", ".join(part.__name__ for part in parts if is_own(part)) or "none yet")

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("08")

# %% [markdown]
# ## Recap
#
# 1. A token needs few of a layer's neurons. A router chooses a few experts per token *before* they compute: work
#    depends on the chosen ones, memory on all.
# 2. The choice has no gradient. The router learns through the weights, so with a single expert they must not be divided
#    by their sum.
# 3. Sort the choices by expert, compute each expert once, add the answers to their tokens.
# 4. Left alone, a router collapses: who is chosen gets better, and is chosen more.
# 5. The balance loss multiplies the load, which has no gradient, by the mean probability, which has one.
# 6. The z-loss keeps scores small, for numbers with few bits. A selection bias balances without a loss.
# 7. At equal operations sparse beats dense; at equal parameters dense beats sparse. Sparsity trades memory for work.
# 8. A full expert drops tokens. The residual stream carries them on.
# 9. Our experts specialize in words, not in topics. Without a shuffled baseline, chance looks like knowledge.
# 10. Expert parallelism sends tokens to experts and answers back: two exchanges per layer.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: selected index k out of range</code></summary>
#
# `topk` was asked for more than there are: does it run over the experts (`dim=-1`)? (`top_k_routing`)
# </details>
#
# <details>
# <summary><code>RuntimeError: gather(): Expected dtype</code></summary>
#
# `gather` wants the numbers of the experts. `topk` returns two things, values and indices: were they exchanged?
# (`top_k_routing`)
# </details>
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (3) must match the size of tensor b (5)</code></summary>
#
# Answers of shape (rows, D) are multiplied by weights of shape (rows,). Give the weights an axis at the end:
# `.unsqueeze(-1)` (`moe_forward`).
# </details>
#
# <details>
# <summary><code>RuntimeError: bincount only supports 1-d non-negative integral inputs.</code></summary>
#
# `experts` has a row per token. Flatten it before it is counted (`expert_load`).
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
# - Sparse experts in language models are Shazeer et al. 2017 ([arXiv:1701.06538](https://arxiv.org/abs/1701.06538)).
#   GShard ([arXiv:2006.16668](https://arxiv.org/abs/2006.16668)) put them into transformers over many devices; the
#   Switch Transformer ([arXiv:2101.03961](https://arxiv.org/abs/2101.03961)) has one expert per token, capacity
#   (equation 3) and the balance loss (equation 4); the z-loss is equation 5 of ST-MoE
#   ([arXiv:2202.08906](https://arxiv.org/abs/2202.08906)).
# - Mixtral ([arXiv:2401.04088](https://arxiv.org/abs/2401.04088)) uses 2 of 8 experts. DeepSeekMoE
#   ([arXiv:2401.06066](https://arxiv.org/abs/2401.06066)) has many small experts and shared ones; DeepSeek-V3
#   ([arXiv:2412.19437](https://arxiv.org/abs/2412.19437)) balances by a bias, after Wang et al. 2024
#   ([arXiv:2408.15664](https://arxiv.org/abs/2408.15664)). Dispatch by sorting, without dropping, is MegaBlocks
#   ([arXiv:2211.15841](https://arxiv.org/abs/2211.15841)).
# - That neurons of a layer act like small experts, and that routers follow parts of speech, was also found in larger
#   models: Lo et al. 2024 ([arXiv:2406.18219](https://arxiv.org/abs/2406.18219)) and Antoine et al. 2024
#   ([arXiv:2412.16971](https://arxiv.org/abs/2412.16971)).
# - Gemini 1.5 Pro is a sparse mixture of experts ([arXiv:2403.05530](https://arxiv.org/abs/2403.05530)), and so is
#   Gemini 2.5 ([arXiv:2507.06261](https://arxiv.org/abs/2507.06261)). How many experts they have and how they are
#   routed is not published.
# - Your functions are in `gemini_workshop/models/plain_moe.py` and `routing.py`; `moe.py` is the layer that the course's
#   decoder uses, `kernels/experts.py` computes it faster, and `training/parallel/expert_parallel.py` is section 9 with
#   gradients.
#
# ## Stretch · how many experts?
#
# Keep the operations of two experts of 64, and cut finer: 4 of 16 experts of 32. And coarser: one of four. Where is the
# best error, and how even is the load? Then guess before you measure: what happens to 2 of 8 if the balance loss
# has a hundred times its weight?

# %%
# Yours goes here:
# finer = Mixture(width, 16, 32, per_token=4)
# train(finer, 0, balance)
# print(test_error(finer))
