# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "11"
#     title: The training loop
#     part: part4_training
#     kind: pair
#     minutes: 120
#     budget_seconds: 180
#     requires: ["06"]
# ---

# %% [markdown]
# # 11 · The training loop
#
# **120 minutes** · builds on 06
#
# After this lesson you can
#
# - write the whole loop: targets, loss, AdamW, schedule, clipping, accumulation, checkpoint,
# - train a language model on real stories, and say against which numbers its loss has to be read,
# - find a learning rate, and measure what each part of a recipe is worth,
# - look at the curve of a broken run and name the bug.
#
# Lesson 06 ended with a model that memorizes sixteen sentences. Here it learns from a thousand stories. You write eight
# functions, most of them one to eight lines long, and they train the model. At the end you are the doctor: eight sick
# runs, none of which raises an error. Short of time? Sections 10 and 11 can wait: no exercise builds on them.

# %%
import copy
import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.floors import bigram_entropy, unigram_entropy
from gemini_workshop.evaluation.likelihood import strided_log_probs
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.models.plain_transformer import PlainTransformer, initialize
from gemini_workshop.training.optimizers.muon import Muon
from gemini_workshop.training.plain_loop import load_run
from gemini_workshop.training.rehearsal.clinic import clinic_run, patient
from gemini_workshop.visualization import blocks, runs
from gemini_workshop.visualization.feedforward import losses_by_seed
from gemini_workshop.visualization.theme import use_theme
from jaxtyping import Float, Int
from torch import Tensor, nn

use_theme()
device = pick_device()  # the small models gain little from a GPU; the code is the same

# The model that you wrote in lesson 06 is used, if it was on this computer; the package's replaces it.
PlainTransformer = own_or(
    PlainTransformer,
    vocab_size=11,
    context_tokens=5,
    embed_dim=6,
    num_layers=1,
    num_heads=2,
    ffn_dim=4,
)
print("PlainTransformer:", "yours" if is_own(PlainTransformer) else "from the package")

# %% [markdown]
# The data: 900 stories to learn from and 100 to be examined on. A tokenizer with 512 tokens is learned from the first
# part only, as in lesson 10. All stories become one long row of ids, cut into rows of 65: 64 inputs and one more.

# %%
stories = load_documents("stories")
training_stories, held_out = stories[:900], stories[900:]
tokenizer = BPETokenizer.train(training_stories, 512)
V, T = tokenizer.vocab_size, 64


def ids_of(stories):
    """The tokens of many stories in a row; each begins with the end-of-text token."""
    return torch.tensor(
        [i for story in stories for i in (tokenizer.end_of_text_id, *tokenizer.encode(story))]
    )


rows = ids_of(training_stories).to(device).unfold(0, T + 1, T)
validation_ids = ids_of(held_out)
validation_rows = validation_ids.to(device).unfold(0, T + 1, T)[:64]


def new_model(seed, width=32):
    model = PlainTransformer(V, T, width, num_layers=2, num_heads=4, ffn_dim=8 * width // 3)
    initialize(model, torch.Generator().manual_seed(seed))
    return model.to(device)


print(f"{rows.numel():,} tokens to learn from, {validation_ids.numel():,} held out")
print(f"{sum(weight.numel() for weight in new_model(0).parameters()):,} parameters")

# %% [markdown]
# ## 1 · Too good to be true
#
# A first loop, as you have seen it in earlier lessons: compute the loss, its gradient, take a step, and again. Each
# token is a question, and the model has to answer with a token.
#
# **Predict before you run:** after 40 steps, about how many nats per token will it pay? It begins at
# $\ln 512$, a little over six, like any model that knows nothing.


# %%
def first_loop(pair_of, seed=0, steps=40):
    """Train with the inputs and targets that ``pair_of`` makes of rows of tokens."""
    model = new_model(seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=0.01)
    curve = []
    for step in range(steps):
        inputs, targets = pair_of(rows[8 * step : 8 * step + 8])
        nats = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        adamw.zero_grad()
        nats.backward()
        adamw.step()
        curve.append(nats.item())
    return model, curve


parrot, too_good = first_loop(lambda ids: (ids[:, 1:], ids[:, 1:]))
print(f"from {too_good[0]:.1f} to {too_good[-1]:.1f} nats per token")
for seed in (0, 1, 2):
    assert first_loop(lambda ids: (ids[:, 1:], ids[:, 1:]), seed)[1][-1] < 0.8


@torch.no_grad()
def write(model, text, number):
    """Continue a text with the most likely token, again and again."""
    ids = [tokenizer.end_of_text_id, *tokenizer.encode(text)]
    for _ in range(number):
        ids.append(int(model(torch.tensor([ids[-T:]], device=device))[0, -1].argmax()))
    return tokenizer.decode(ids[1:])


print(write(parrot, "Once upon a time", 12))

# %% [markdown]
# After 40 steps it is nearly perfect, and nobody is that good. Look at what it writes: the last token, again and again. It was asked to
# name the token that it has just *read*, and learned to copy. The code ran without an error and the curve is
# beautiful. Remember this curve; it comes back in section 12.
#
# ### Exercise 11.1 · `shift_targets` (3 minutes)
#
# The target of each token is the token *after* it. From rows of N tokens make N - 1 inputs and N - 1 targets.


# %%
def shift_targets(
    token_ids: Int[Tensor, "B N"],
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Inputs and targets for next-token prediction.

    shift_targets(tensor([[5, 6, 7]])) is (tensor([[5, 6]]), tensor([[6, 7]])).
    """
    # SOLUTION
    # 1. Which tokens of a row have one after them? Which have one before them?
    return token_ids[:, :-1], token_ids[:, 1:]
    # END SOLUTION


# %% tags=["check"]
shift_targets = check("11.1", shift_targets)

# %% tags=["expected"]
_, honest = first_loop(shift_targets)
inputs, targets = shift_targets(torch.tensor([tokenizer.encode("Once upon a time")]))
for read, next_one in zip(inputs[0].tolist(), targets[0].tolist(), strict=True):
    print(f"{tokenizer.decode([read])!r:10s} -> {tokenizer.decode([next_one])!r}")
figure = blocks.losses(
    {"not shifted": too_good, "shifted": honest}, "Honest targets are much harder"
)
assert honest[-1] > 4

# %% [markdown]
# ## 2 · What a loss means
#
# The loss of a target is $-\ln p$: how surprised the model is by the token that came. The model gives a logit $z_v$ to
# each token $v$ of the vocabulary, and softmax turns logits into probabilities:
#
# $$-\ln p_\text{target} = -\ln \frac{e^{z_\text{target}}}{\sum_v e^{z_v}} = \ln \sum_v e^{z_v} - z_\text{target}$$
#
# ### Exercise 11.2 · `cross_entropy` (8 minutes)
#
# The mean over the targets that count. Rows are often filled up to equal lengths, and no loss should be taken there:
# the target is `ignore_index`, which is not a token. Two traps: logits of a thousand, and by what you divide.
# PyTorch has `logits.logsumexp(-1)` for the first term.


# %%
IGNORE_INDEX = -100


def cross_entropy(
    logits: Float[Tensor, "*B V"], targets: Int[Tensor, "*B"], ignore_index: int = IGNORE_INDEX
) -> Float[Tensor, ""]:
    """Mean of -log p(target) in nats over all targets that are not ``ignore_index``.

    With logits (0, ln 3) the probabilities are (1/4, 3/4); the target 1 costs -ln(3/4).
    """
    # SOLUTION
    # 1. Which targets count? Give the others a valid id, so that they can be looked up.
    counts = targets != ignore_index
    inside = targets.where(counts, 0)
    # 2. The target's logit, for each place.
    chosen = logits.gather(-1, inside.unsqueeze(-1)).squeeze(-1)
    # 3. The loss of each place.
    losses = logits.logsumexp(dim=-1) - chosen
    # 4. The mean over those that count.
    return (losses * counts).sum() / counts.sum()
    # END SOLUTION


# %% tags=["check"]
cross_entropy = check("11.2", cross_entropy)

# %% [markdown]
# Four nats, is that good? By itself a loss means little. Three simple models can be computed exactly, by counting:
#
# - **uniform**: all tokens are equally likely,
# - **unigram**: each token as likely as it is frequent, whatever came before,
# - **bigram**: each token as likely as it is frequent *after the one before it*.
#
# **Predict:** where between them did 40 honest steps bring the model?

# %% tags=["expected", "rounded"]
floors = {
    "uniform": math.log(V),
    "unigram": unigram_entropy(validation_ids),
    "bigram": bigram_entropy(validation_ids),
}
fresh, _ = first_loop(shift_targets, steps=0)
with torch.no_grad():
    start = float(cross_entropy(fresh(validation_rows[:, :-1]), validation_rows[:, 1:]))
for name, nats in floors.items():
    print(f"{name:8s} {nats:.2f} nats per token")
print(f"a fresh model pays {start:.2f}; after 40 steps it pays {honest[-1]:.1f} in training")
assert abs(start - floors["uniform"]) < 0.1
assert floors["bigram"] < honest[-1] < floors["uniform"] - 0.5

# %% [markdown]
# (The bigram number is a lower bound: it is counted on the held-out stories themselves, which no real bigram model
# has seen.) A model that gets below it must use more than one token of context. That is the goal of this lesson.
#
# ## 3 · The optimizer
#
# Gradient descent takes a step against the gradient, $w \leftarrow w - \eta g$, with one learning rate $\eta$ for
# all. Here are the gradients of each tensor of a model after a few steps, and the *steps* that AdamW makes of them at
# the same moment. **Predict:** by what factor do the gradients of two tensors differ?

# %% tags=["expected", "rounded"]
model, _ = first_loop(shift_targets, steps=20)
adamw = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
for step in range(20, 30):
    inputs, targets = shift_targets(rows[8 * step : 8 * step + 8])
    nats = cross_entropy(model(inputs), targets)
    adamw.zero_grad()
    nats.backward()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    adamw.step()


def size(tensor):
    return float(tensor.detach().square().mean().sqrt())


gradients = {name: size(weight.grad) for name, weight in model.named_parameters()}
steps = {name: size(weight - before[name]) for name, weight in model.named_parameters()}
spread = {
    "gradients": max(gradients.values()) / min(gradients.values()),
    "steps": max(steps.values()) / min(steps.values()),
}
figure = runs.sizes_by_tensor(
    gradients, steps, "Gradients differ, AdamW's steps hardly", ("gradient", "AdamW's step")
)
print(
    f"gradients: the largest is more than {spread['gradients'] // 20 * 20:.0f} times the smallest"
)
print(f"AdamW's steps: the largest is {spread['steps']:.0f} times the smallest")
assert spread["gradients"] > 20 > 5 > spread["steps"]

# %% [markdown]
# AdamW keeps two running means for each weight: of its gradient, $m$, and of the square, $s$. Dividing one by the
# root of the other removes the *size* of the gradient. What remains is how reliable its *sign* is: a weight
# whose gradient always points the same way moves by about $\eta$ per step, one whose gradient keeps changing its sign
# hardly moves.
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad s \leftarrow \beta_2 s + (1 - \beta_2) g^2 \qquad
# \hat m = \frac{m}{1 - \beta_1^t} \qquad \hat s = \frac{s}{1 - \beta_2^t}$$
#
# $$w \leftarrow w - \eta \lambda w - \eta \frac{\hat m}{\sqrt{\hat s} + \varepsilon}$$
#
# The hats correct for both having begun at zero; $t$ is the number of the step, from 1. $\lambda$ is the **weight
# decay**, a pull of every weight towards zero.
#
# ### Exercise 11.3 · `adamw_step` (12 minutes)
#
# `weight`, `mean` and `square` have to change **in place**, because the model holds this very tensor: `mean *= 2` and
# `mean.mul_(2)` change it, `mean = mean * 2` gives the name to another one.


# %%
def adamw_step(
    weight: Float[Tensor, "*N"],
    gradient: Float[Tensor, "*N"],
    mean: Float[Tensor, "*N"],
    square: Float[Tensor, "*N"],
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Move the weight, and update both running means, in place.

    Args:
        step: number of this step; the first is 1.
    """
    # SOLUTION
    # 1. Both running means.
    mean.mul_(beta1).add_((1 - beta1) * gradient)
    square.mul_(beta2).add_((1 - beta2) * gradient.square())
    # 2. Corrected copies of them.
    expected_mean = mean / (1 - beta1**step)
    expected_square = square / (1 - beta2**step)
    # 3. The pull towards zero, then the step.
    weight.mul_(1 - lr * weight_decay)
    weight.sub_(lr * expected_mean / (expected_square.sqrt() + eps))
    # END SOLUTION


# %% tags=["check"]
adamw_step = check("11.3", adamw_step)

# %% [markdown]
# PyTorch's optimizers are objects that hold the running means of every weight. This one calls your function, for all
# tensors of a model. Is it the same as PyTorch's? In double precision, after 25 steps on real text:


# %% tags=["expected"]
class AdamW(torch.optim.Optimizer):
    """Your step, for every parameter."""

    def __init__(self, groups, betas=(0.9, 0.95), eps=1e-8):
        super().__init__(groups, {"lr": 0.0, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                kept = self.state[weight]
                if not kept:
                    kept["mean"], kept["square"] = (
                        torch.zeros_like(weight),
                        torch.zeros_like(weight),
                    )
                    kept["step"] = 0
                kept["step"] += 1
                adamw_step(
                    weight,
                    weight.grad,
                    kept["mean"],
                    kept["square"],
                    kept["step"],
                    group["lr"],
                    *group["betas"],
                    group["eps"],
                    group["weight_decay"],
                )


yours, theirs = (new_model(0).cpu().double() for _ in range(2))  # not every device has doubles
optimizers = [
    AdamW([{"params": [*yours.parameters()], "lr": 0.01, "weight_decay": 0.1}]),
    torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.95), weight_decay=0.1),
]
for step in range(25):
    inputs, targets = shift_targets(rows[2 * step : 2 * step + 2].cpu())
    for model, adamw in zip((yours, theirs), optimizers, strict=True):
        adamw.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        adamw.step()
difference = max(
    float((a - b).detach().abs().max())
    for a, b in zip(yours.parameters(), theirs.parameters(), strict=True)
)
assert difference < 1e-9
print("the same weights to nine digits after the point:", difference < 1e-9)

# %% [markdown]
# ## 4 · The schedule
#
# **Predict:** one weight has a gradient of 1, another one of a millionth. How far does AdamW's *first* step move each,
# at a learning rate of 0.01?

# %% tags=["expected"]
for gradient in (1.0, 1e-6):
    weight, mean, square = torch.zeros(1), torch.zeros(1), torch.zeros(1)
    adamw_step(weight, torch.tensor([gradient]), mean, square, 1, lr=0.01, eps=1e-12)
    print(f"gradient {gradient:g}: the weight moves by {abs(weight.item()):.3f}")
    assert abs(abs(weight.item()) - 0.01) < 1e-4

# %% [markdown]
# Both by the whole rate. After one gradient the mean and the root of the mean square are the same number, and the step
# is a bet on its sign. So the first steps are the largest, and know least. The cure is to begin slowly: a **warm-up**.
# At the end it is the other way round: a rate that is still high jumps about the minimum instead of settling, so the
# rate **decays**. The most common curve of the two together is a line up and half a cosine down.
#
# ### Exercise 11.4 · `cosine_schedule` (8 minutes)
#
# Some runs have no warm-up: with `warmup_steps=0` the rate is `highest` at step 0 already, and falls from there.


# %%
def cosine_schedule(
    step: int, steps: int, warmup_steps: int, highest: float, final: float
) -> float:
    """The learning rate of one step; the first step that is taken has the number 1.

    0 at step 0, ``highest`` at ``warmup_steps``, in a straight line; then half a wave of a cosine, down to
    ``final`` at ``steps``. It stays there.
    """
    # SOLUTION
    # 1. In the warm-up: a straight line.
    if step < warmup_steps:
        return highest * step / warmup_steps
    # 2. Else: how much of the decay is over, from 0 to 1?
    progress = min(1.0, (step - warmup_steps) / (steps - warmup_steps))
    # 3. A wave that falls from 1 to 0, stretched between the two rates.
    return final + (highest - final) * (1 + math.cos(math.pi * progress)) / 2
    # END SOLUTION


# %% tags=["check"]
cosine_schedule = check("11.4", cosine_schedule)

# %% tags=["expected"]
figure = runs.schedules(
    {
        "falls to a tenth": [cosine_schedule(step, 100, 10, 1.0, 0.1) for step in range(121)],
        "falls to zero": [cosine_schedule(step, 60, 20, 0.6, 0.0) for step in range(81)],
    },
    "Up in a line, down in half a wave",
)

# %% [markdown]
# ## 5 · Clipping
#
# Now and then a batch is strange, and its gradient is large. Here is a model after a short training. One batch is
# ordinary; in the other, the tokens are random, as in a file that was damaged. **Predict:** how much larger is its
# gradient?


# %% tags=["expected", "rounded"]
def gradient_norm(model, ids):
    inputs, targets = shift_targets(ids)
    model.zero_grad()
    cross_entropy(model(inputs), targets).backward()
    return float(torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm())


damaged = torch.randint(V, (8, T + 1), generator=torch.Generator().manual_seed(0)).to(device)
for seed in (0, 1, 2):
    model, _ = first_loop(shift_targets, seed, steps=60)
    ordinary, strange = gradient_norm(model, rows[-8:]), gradient_norm(model, damaged)
    print(f"seed {seed}: ordinary {ordinary:.1f}, damaged {strange:.1f}")
    assert strange > 2 * ordinary

# %% [markdown]
# The direction is what a gradient knows, so keep that and limit the length. All gradients together are one long
# vector. If its norm is larger than `max_norm`, all of them are multiplied by the same number, so that the norm becomes
# `max_norm`.
#
# ### Exercise 11.5 · `clip_gradients` (8 minutes)
#
# The gradients are in `weight.grad`, and may be `None`. Change them in place (`grad.mul_(2)` doubles one). `weights` may
# be a generator, as `model.parameters()` is: it can be read only once.


# %%
def clip_gradients(weights: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor, in place, so that together they have a norm of at most ``max_norm``.

    Returns:
        The norm before. With gradients (3,) and (4,) it is 5.
    """
    # SOLUTION
    # 1. The gradients that are there.
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    # 2. The norm of all numbers together.
    norm = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
    # 3. If it is too large, shorten all by one factor.
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm
    # END SOLUTION


# %% tags=["check"]
clip_gradients = check("11.5", clip_gradients)

# %% tags=["expected"]
before = torch.cat([weight.grad.flatten() for weight in model.parameters()])
norm = clip_gradients(model.parameters(), max_norm=1.0)
after = torch.cat([weight.grad.flatten() for weight in model.parameters()])
cosine = float(F.cosine_similarity(before, after, dim=0))
print(
    f"norm {float(after.norm()):.2f} after clipping, cosine with the direction before: {cosine:.2f}"
)
assert abs(float(after.norm()) - 1) < 1e-3
assert cosine > 0.9999

# %% [markdown]
# ## 6 · A batch in parts
#
# Large batches do not fit into memory. But gradients add up: `backward()` *adds* to `weight.grad`. So a batch can be
# read in parts, and one step taken at the end. The trap is the mean. Here the first part has 320 targets and the
# second, mostly filled up with `IGNORE_INDEX`, has 16. **Predict:** is the gradient of the average of the two mean
# losses about that of the whole batch?

# %% tags=["expected", "rounded"]
inputs, targets = shift_targets(rows[:10])
targets = targets.clone()
targets[5:] = IGNORE_INDEX
targets[5, :16] = rows[5, 1:17]
halves = [(inputs[:5], targets[:5]), (inputs[5:], targets[5:])]
model, _ = first_loop(shift_targets, steps=20)


def gradient_of(*losses):
    model.zero_grad()
    for nats in losses:
        nats.backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters()])


whole = gradient_of(cross_entropy(model(inputs), targets))
averaged = gradient_of(*[cross_entropy(model(x), y) / 2 for x, y in halves])
error = float((averaged - whole).norm() / whole.norm())
print(f"the gradient is off by {100 * error:.0f} % of its length")
assert error > 0.2

# %% [markdown]
# The 16 targets count as much as the 320. Each target should count once.
#
# ### Exercise 11.6 · `accumulate_gradients` (10 minutes)
#
# Give each part's mean loss the right factor before `backward()`. You may use `cross_entropy`. Return the loss of the
# whole batch as a number (`.item()`), or the graph of every step stays in memory.


# %%
def accumulate_gradients(model: nn.Module, parts: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Add to ``weight.grad`` the gradient of the mean loss over all targets of all parts, one part at a time.

    What is in ``weight.grad`` before the call stays in it, as with every ``backward()``.

    Args:
        parts: inputs and targets. Targets that are IGNORE_INDEX do not count.

    Returns:
        That loss.
    """
    # SOLUTION
    # 1. How many targets count, in each part?
    counts = [int((targets != IGNORE_INDEX).sum()) for _, targets in parts]
    # 2. Part by part: its mean loss times its fraction of the targets; gradients; the total.
    total = 0.0
    for (inputs, targets), count in zip(parts, counts, strict=True):
        loss = cross_entropy(model(inputs), targets) * count / sum(counts)
        loss.backward()
        total += loss.item()
    return total
    # END SOLUTION


# %% tags=["check"]
accumulate_gradients = check("11.6", accumulate_gradients)

# %%
model.zero_grad()
accumulate_gradients(model, halves)
accumulated = torch.cat([weight.grad.flatten() for weight in model.parameters()])
assert float((accumulated - whole).norm() / whole.norm()) < 1e-4
print("in two parts, the same gradient as in one")

# %% [markdown]
# ## 7 · The step, and a real run
#
# ### Exercise 11.7 · `train_step` (8 minutes)
#
# Put it together: set the rate, forget the old gradients, compute the new ones, clip, step. PyTorch's optimizers have
# `zero_grad()`, `step()` and `param_groups`, a list of dictionaries of which each has its own `"lr"`.


# %%
def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[tuple[Tensor, Tensor]],
    learning_rate: float,
    max_norm: float,
) -> tuple[float, float]:
    """Take one optimizer step on a batch that comes in parts.

    Returns:
        The loss before the step, and the norm of the gradient before clipping.
    """
    # SOLUTION
    # 1. The learning rate, in every group of parameters.
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    # 2. The gradients of this batch, and of nothing else; clipped.
    optimizer.zero_grad()
    loss = accumulate_gradients(model, parts)
    norm = clip_gradients(model.parameters(), max_norm)
    # 3. The step.
    optimizer.step()
    return loss, norm
    # END SOLUTION


# %% tags=["check"]
train_step = check("11.7", train_step)

# %% [markdown]
# Everything above is now used at once: your targets, loss, optimizer, schedule, clipping and step train a model on 900
# stories, each read once or twice. The matrices decay, the weights of norms do not. **Predict:** does it get below the
# bigram floor?


# %%
def adamw_for(model, decay=0.1):
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    norms = [weight for weight in model.parameters() if weight.ndim < 2]
    return AdamW([{"params": matrices, "weight_decay": decay}, {"params": norms}])


@torch.no_grad()
def validation_loss(model):
    return float(cross_entropy(model(validation_rows[:, :-1]), validation_rows[:, 1:]))


def batch_of(step, seed, size):
    """The rows of one step: another order in every epoch, and a pure function of step and seed."""
    epoch, first = divmod((step - 1) * size, len(rows) - len(rows) % size)
    order = torch.randperm(
        len(rows), generator=torch.Generator().manual_seed(1000 * seed + epoch)
    )
    return [shift_targets(rows[order[first : first + size].to(device)])]


STEPS = 600
writer = new_model(seed=0, width=64)
optimizer = adamw_for(writer)
history = []
for step in range(1, STEPS + 1):
    rate = cosine_schedule(step, STEPS, warmup_steps=50, highest=0.005, final=0.0005)
    loss, norm = train_step(writer, optimizer, batch_of(step, 0, 16), rate, max_norm=1.0)
    history.append({"step": step, "loss_nats": loss})
    if step in (1, 10, 30, 100, 200, 300, 400, 500, STEPS):
        history[-1]["validation_nats"] = validation_loss(writer)

# %% tags=["expected", "rounded"]
reached = history[-1]["validation_nats"]
figure = runs.learning_curve(history, floors, "Past each floor in turn: the model uses context")
print(f"validation: {reached:.1f} nats per token; the bigram floor is {floors['bigram']:.1f}")
assert reached < floors["bigram"] - 0.2

# %% [markdown]
# The loss falls past each floor in turn, as if the model first learned which tokens there are, then which are frequent,
# then which follow which; below the last line it must use more than one token of context. Note the logarithmic axis:
# most is learned early. What does it write? Compare it with the parrot of section 1. (A greedy model of this size soon
# repeats itself; lesson 12 is about that.)

# %% tags=["slow"]
print(write(writer, "Once upon a time", 32))

# %% [markdown]
# ## 8 · Stop, and resume
#
# Real runs take days, and computers stop. **Predict:** which of these has to be saved, so that a run continues *exactly*
# as if it had never stopped: the weights, AdamW's running means, the number of steps, the state of the random numbers?
#
# ### Exercise 11.8 · `save_run` (10 minutes)
#
# All of them. Save a dictionary with the keys `"step"`, `"model"`, `"optimizer"` and `"random"`. A model and an
# optimizer have `state_dict()`; `torch.get_rng_state()` is what the next random numbers will be made of; `torch.save(x,
# path)` writes. One trap is left: a run may be killed *while* it writes, and then its only checkpoint is half a file.
# `os.replace(a, b)` gives the name `b` to the file `a` in one indivisible step.


# %%
def save_run(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write all that a run needs to continue as if it had never stopped.

    A kill at any moment leaves the old file or the new one, and never half a file under this name. Nothing else is
    left in the folder.
    """
    # SOLUTION
    # 1. All that changes while a run goes on.
    everything = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    # 2. Write it under another name, in the same folder; then give it this one.
    unfinished = path.with_suffix(".unfinished")
    torch.save(everything, unfinished)
    os.replace(unfinished, path)
    # END SOLUTION


# %% tags=["check"]
save_run = check("11.8", save_run)

# %% [markdown]
# The way back is `load_run` of the package, four lines. Twenty steps in one go; then ten steps, saved, and ten more in a
# new model with a new optimizer. And as a comparison the mistake that is made most often: the weights alone.


# %% tags=["expected", "rounded"]
def some_steps(model, optimizer, first, last):
    for step in range(first, last + 1):
        train_step(model, optimizer, batch_of(step, 0, 8), learning_rate=0.005, max_norm=1.0)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "run.pt"
    model = new_model(0)
    optimizer = adamw_for(model)
    some_steps(model, optimizer, 1, 10)
    save_run(path, model, optimizer, 10)
    never_stopped = some_steps(model, optimizer, 11, 20)

    resumed = new_model(1)
    its_optimizer = adamw_for(resumed)
    step = load_run(path, resumed, its_optimizer)
    exact = some_steps(resumed, its_optimizer, step + 1, 20)

    weights_only = new_model(1)
    load_run(path, weights_only, adamw_for(weights_only))
    forgetful = some_steps(weights_only, adamw_for(weights_only), 11, 20)

start = torch.cat([weight.detach().flatten() for weight in new_model(0).parameters()])
off = float((forgetful - never_stopped).norm() / (never_stopped - start).norm())
print("resumed, every bit the same:", torch.equal(exact, never_stopped))
print(f"with a new optimizer: off by {100 * off:.0f} % of the way that training has come")
assert torch.equal(exact, never_stopped)
assert off > 0.1

# %% [markdown]
# ## 9 · The learning rate
#
# No number matters more, and none can be derived. So try: a short run for each of six rates, each about three times the
# one before, three seeds. **Predict** the shape of the curve, and what the worst of the high rates has learned.


# %% tags=["expected", "rounded"]
def short_run(
    seed,
    rate=0.01,
    *,
    steps=100,
    warmup=10,
    final=0.1,
    max_norm=1.0,
    decay=0.1,
    model=None,
    optimizer_for=None,
    after_step=None,
):
    """Train a small model; return its validation loss."""
    model = new_model(seed) if model is None else model
    optimizer = optimizer_for(model) if optimizer_for else adamw_for(model, decay)
    for step in range(1, steps + 1):
        now = cosine_schedule(step, steps, warmup, rate, final * rate)
        train_step(model, optimizer, batch_of(step, seed, 8), now, max_norm)
        if after_step:
            after_step(model)
    return validation_loss(model)


SEEDS = (0, 1, 2)
sweep = {
    rate: [short_run(seed, rate) for seed in SEEDS]
    for rate in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
}
figure = runs.rate_sweep(
    sweep, "A U: too low is slow, too high learns no context", (floors["unigram"], "unigram")
)
best = min(sweep, key=lambda rate: sum(sweep[rate]))
print(f"best: {best:g}")
for seed in SEEDS:
    assert min(sweep[3e-3][seed], sweep[1e-2][seed]) < sweep[1e-3][seed] - 0.2
    assert min(sweep[3e-3][seed], sweep[1e-2][seed]) < sweep[1e-1][seed] - 0.3
    assert sweep[1e-3][seed] < sweep[3e-4][seed] - 0.2

# %% [markdown]
# A U, with a wide bottom: a factor of three matters little there. To the left the run is merely slow. To the right it
# ends near the dashed line: it knows how often each token occurs and has learned nothing about context. So when in
# doubt, go down by three.
#
# ## 10 · What is each part worth?
#
# Leave out one thing at a time, all else equal, three seeds. And one thing is exchanged: **Muon** in place of AdamW for
# the matrices inside the blocks. Where AdamW equalizes the sizes of single numbers, Muon equalizes the *directions* of a
# matrix: it takes the update and makes all its singular values about one.
#
# **Predict:** order these seven by how much the loss changes.


# %% tags=["expected", "rounded"]
def muon_for(model):
    hidden = [
        w for name, w in model.named_parameters() if name.startswith("blocks") and w.ndim == 2
    ]
    others = [w for w in model.parameters() if not any(w is each for each in hidden)]
    groups = [{"params": hidden, "use_muon": True, "lr_factor": 2.0}, {"params": others}]
    return Muon(groups, lr=0.01)


def as_pytorch_starts_it(seed):
    torch.manual_seed(seed)
    return PlainTransformer(V, T, 32, num_layers=2, num_heads=4, ffn_dim=85).to(device)


variants = {
    "no\nwarm-up": {"warmup": 0},
    "no rate\ndecay": {"final": 1.0},
    "no\nclipping": {"max_norm": math.inf},
    "no weight\ndecay": {"decay": 0.0},
}
worth = {"all of it": sweep[1e-2]}
worth |= {
    name: [short_run(seed, **changed) for seed in SEEDS] for name, changed in variants.items()
}
worth["PyTorch's\nstart"] = [
    short_run(seed, model=as_pytorch_starts_it(seed)) for seed in SEEDS
]
worth["Muon"] = [short_run(seed, optimizer_for=muon_for) for seed in SEEDS]

figure = losses_by_seed(
    worth,
    "validation loss (nats per token)",
    "In a short run the start and the optimizer matter most",
)
mean = {name: sum(losses) / 3 for name, losses in worth.items()}
for name, nats in mean.items():
    change = nats - mean["all of it"]
    print(f"{' '.join(name.split()):22s} {change:+.1f} nats per token")
for seed in SEEDS:
    assert worth["Muon"][seed] < worth["all of it"][seed] - 0.2
    assert worth["PyTorch's\nstart"][seed] > worth["all of it"][seed] + 0.2

# %% [markdown]
# Be careful with what this shows. The grey lines are the seeds: where they cross, a difference of means says little.
# Warm-up, decay, clipping and weight decay are insurance for long runs, deep models and high rates, where one bad step
# can cost days. In a hundred steps of a tiny model a decay of the rate may even cost: there is so much left to learn that
# a lower rate just learns less. Two differences are larger than all that, for every seed: how the weights start, and
# the optimizer.
#
# ## 11 · Sixteen bits
#
# Half the bits are half the memory, and on most accelerators more than twice the speed. Where do they break? Three
# numbers. **Predict** each of them: 256 + 1 in bfloat16, 1 + 0.001 in bfloat16, and $10^{-8}$ in float16.

# %% tags=["expected"]
lost = {
    "256 + 1 in bfloat16": torch.tensor(256.0, dtype=torch.bfloat16) + 1,
    "1 + 0.001 in bfloat16": torch.tensor(1.0, dtype=torch.bfloat16) + 0.001,
    "1e-8 in float16": torch.tensor(1e-8).half(),
    "1e-8 in float16, scaled by 65536, then back": (torch.tensor(1e-8) * 65536).half().float()
    / 65536,
}
for name, value in lost.items():
    print(f"{name}: {value.item():.5g}")
assert lost["256 + 1 in bfloat16"] == 256
assert lost["1 + 0.001 in bfloat16"] == 1
assert lost["1e-8 in float16"] == 0
assert abs(lost["1e-8 in float16, scaled by 65536, then back"] - 1e-8) < 1e-10

# %% [markdown]
# bfloat16 has the range of float32 and only 8 significant bits: a small step added to a large weight is lost. float16
# has more bits and little range: small gradients become zero, unless the loss is multiplied by a large number first and
# the gradients are divided by it (**loss scaling**).
#
# So products may be computed in 16 bits, and the *weights* must not be kept in them. Here the model that you have
# trained takes ten more steps at a small rate, as at the end of a long run. In one copy the weights are rounded to
# bfloat16 after every step. **Predict:** what percentage of the weights have moved at all?


# %% tags=["expected", "rounded"]
@torch.no_grad()
def keep_in_bfloat16(model):
    for weight in model.parameters():
        weight.copy_(weight.bfloat16())


def percentage_moved(seed, after_step):
    model = copy.deepcopy(writer)
    keep_in_bfloat16(model)
    before = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    optimizer = adamw_for(model, decay=0.0)
    for step in range(1, 11):
        train_step(model, optimizer, batch_of(step, seed, 8), learning_rate=1e-4, max_norm=1.0)
        after_step(model)
    after = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    return 100 * float((after != before).float().mean())


for seed in (0, 1, 2):
    exact, rounded = (
        percentage_moved(seed, each) for each in (lambda model: None, keep_in_bfloat16)
    )
    print(f"moved: {exact:.0f} % in float32, {rounded:.0f} % in bfloat16")
    assert exact > 95
    assert rounded < 80

# %% [markdown]
# Most weights ask for a step that is smaller than half the distance to the next number in bfloat16. Rounding puts them
# back, ten times in a row. So a trainer keeps a **master copy** of the weights, and AdamW's means, in float32, and makes
# 16-bit copies for the products: `torch.autocast` does that. Sums over many numbers, such as the loss and norms, stay in
# 32 bits as well.
#
# ## 12 · The loss-curve clinic
#
# Eight runs, each with one bug, and none of them raised an error. All are the same small model on the same text: a
# character is a token, the first two thirds are stories, the last third sums such as `27+5=32`. Rows end at different
# places, filled up with `IGNORE_INDEX`. The grey line is the validation loss of a healthy run. The **blue** line is the
# loss that the broken code itself computes while it trains. The **orange** line is the loss of its model on held-out rows,
# from everywhere in the text, measured by correct code.

# %% tags=["expected"]
healthy = clinic_run(None, stories)
patients = {letter: patient(letter, stories) for letter in "ABCDEFGH"}
figure = runs.clinic(
    patients, healthy, healthy.vocab_size, "Eight broken runs and no error message"
)
print(f"ln V is {math.log(healthy.vocab_size):.1f}. Before the first step,")
for letter, run in patients.items():
    print(
        f"run {letter}: training {run.training[0]:4.1f}, validation {run.validation[0]:4.1f} nats per token"
    )

# %% [markdown]
# ### Exercise 11.9 · `diagnose` (12 minutes)
#
# The bugs, in the order of the alphabet:
#
# | bug | what was written |
# |---|---|
# | `"dead units"` | a layer with ReLU before the head, in which every unit has been pushed below zero |
# | `"leaking mask"` | the attention mask lets each token see the one after it |
# | `"no shuffle"` | the rows are read in the order of the text |
# | `"rate too high"` | forty times the good learning rate |
# | `"softmax twice"` | probabilities are given to a loss that expects logits |
# | `"untied head"` | the head is a copy with other numbers, which the optimizer does not know |
# | `"wrong mean"` | the sum of the losses is divided by all targets, ignored ones included |
# | `"wrong shift"` | the target of each token is that token |
#
# For each bug first write down what it must do to the *start*, to the *end* and to the *distance* of the two curves.
# Then look.


# %%
def diagnose(run: str) -> str:
    """The bug behind a run of the clinic.

    Args:
        run: its letter, "A" to "H".
    """
    # SOLUTION
    # 1. A diagnosis for each letter.
    diagnoses = {
        "A": "dead units",
        "B": "wrong shift",
        "C": "untied head",
        "D": "wrong mean",
        "E": "no shuffle",
        "F": "softmax twice",
        "G": "leaking mask",
        "H": "rate too high",
    }
    return diagnoses[run]
    # END SOLUTION


# %% tags=["check"]
diagnose = check("11.9", diagnose)

# %% [markdown]
# Keep the method, not the letters. Look at **step 0** first, where nothing has been trained: a start far above $\ln V$
# is in the model's beginning, one below it in the loss. Then at the **distance** of the two curves: they part if training
# uses another loss, other targets or other text than the measurement, and stay together if the model itself is the
# problem. Then at the **end**: too good in both means that the model sees its targets. And at the **shape**: bursts, jumps
# and flat lines each have few causes.
#
# ## 13 · Perplexity, and where a text is cut
#
# **Perplexity** is $e^\text{loss}$: among how many equally likely tokens the model seems to choose. For a text longer
# than the context the number depends on how the text is cut. Cut into separate windows, the first tokens of each window
# have nothing before them. With windows that overlap, each token is counted once, in the window where more comes before
# it. The pretrained model, twelve held-out stories, 256 tokens of context. **Predict:** how much does it matter?

# %% tags=["expected", "rounded"]
pretrained, its_tokenizer = load_pretrained(device=device)
text = torch.tensor(
    [
        i
        for story in held_out[:12]
        for i in (its_tokenizer.end_of_text_id, *its_tokenizer.encode(story))
    ],
    device=device,
)
perplexity = {}
for stride in (256, 128, 32):
    loss = -strided_log_probs(pretrained, text, stride).mean()
    perplexity[stride] = float(loss.exp())
    print(f"a window every {stride:3d} tokens: perplexity {perplexity[stride]:.1f}")
assert max(perplexity[32], perplexity[128]) < 0.96 * perplexity[256]

# %% [markdown]
# The same model, the same text, and a better number for twice the computing. A still smaller stride gains nothing here:
# this model predicts no better from more than half a window, though most of these stories are longer. Whoever compares two perplexities
# needs the same stride, the same context, and the same tokenizer (lesson 10).
#
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("11")

# %%
parts = {
    "PlainTransformer": PlainTransformer,
    "shift_targets": shift_targets,
    "cross_entropy": cross_entropy,
    "adamw_step": adamw_step,
    "cosine_schedule": cosine_schedule,
    "clip_gradients": clip_gradients,
    "accumulate_gradients": accumulate_gradients,
    "train_step": train_step,
    "save_run": save_run,
}
print("yours:", ", ".join(name for name, part in parts.items() if is_own(part)) or "none yet")
print(
    "from the package:",
    ", ".join(name for name, part in parts.items() if not is_own(part)) or "none",
)

# %% [markdown]
# ## Recap
#
# 1. The target of a token is the next one. Shifted wrongly, a model learns to copy, with a beautiful curve.
# 2. The loss is -ln p, averaged over the targets that count. A model that knows nothing pays ln V.
# 3. Read a loss against floors that can be computed: uniform, unigram, bigram.
# 4. AdamW divides the mean gradient by the root of the mean square: a weight moves by about the learning rate at most,
#    however large its gradient is. Its first step is a bet on the sign of one gradient; warm-up makes it small.
# 5. Clipping shortens the whole gradient by one factor and keeps its direction.
# 6. Parts of a batch add up if each target counts once: weight a part's mean by its number of targets.
# 7. Zero, compute, clip, step. A checkpoint holds weights, optimizer, step and random state, and is written whole.
# 8. The learning rate has a U with a wide bottom. A claim needs a difference larger than the spread of the seeds.
# 9. Products may be computed in 16 bits; weights and sums stay in 32.
# 10. Look at step 0, at the distance of training and validation, and distrust what is too good.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn</code></summary>
#
# `backward()` was called on a number that has lost its connection to the weights: after `.item()` and a new tensor, after
# `.detach()`, or inside `torch.no_grad()` (`accumulate_gradients`).
# </details>
#
# <details>
# <summary><code>RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.</code></summary>
#
# A weight of a model is changed in place while gradients are recorded. An optimizer does that under `torch.no_grad()`
# (`adamw_step`, called outside of an optimizer).
# </details>
#
# <details>
# <summary><code>RuntimeError: Trying to backward through the graph a second time</code></summary>
#
# `backward()` frees what it has used. Compute the loss again for each step, and do not add losses of earlier steps to
# it: use `.item()` for the sum (`accumulate_gradients`).
# </details>
#
# <details>
# <summary><code>RuntimeError: index -100 is out of bounds for dimension 1 with size 512</code></summary>
#
# An ignored target was looked up. Replace it by a valid id first, and leave its loss out of the sum (`cross_entropy`).
# </details>
#
# <details>
# <summary><code>AttributeError: 'NoneType' object has no attribute 'square'</code></summary>
#
# A weight without a gradient: nothing has been computed yet, or it takes no part in the loss. Leave it out
# (`clip_gradients`).
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
# - Adam is algorithm 1 of Kingma and Ba 2015 ([arXiv:1412.6980](https://arxiv.org/abs/1412.6980)), its separate decay
#   algorithm 2 of Loshchilov and Hutter 2019 ([arXiv:1711.05101](https://arxiv.org/abs/1711.05101)), the cosine
#   equation 5 of the same authors' [arXiv:1608.03983](https://arxiv.org/abs/1608.03983). Clipping by the norm is from
#   Pascanu et al. 2013 ([arXiv:1211.5063](https://arxiv.org/abs/1211.5063)).
# - A cosine has to know its end. Warm-up, stay, decay ([arXiv:2404.06395](https://arxiv.org/abs/2404.06395), section 4)
#   does not, so a run can be made longer: `wsd_schedule` in `gemini_workshop/training/schedule.py`.
# - [Muon](https://kellerjordan.github.io/posts/muon/) was carried to large models by Liu et al. 2025
#   ([arXiv:2502.16982](https://arxiv.org/abs/2502.16982)); `training/optimizers/muon.py` is what you used.
# - `train_step` in `training/step.py` is yours, for many processes, 16 bits and experts; `training/loop.py` decides when
#   to measure, save and stop; `training/resume.py` writes checkpoints that survive a kill. The lesson's own versions are
#   in `training/plain_loop.py`.
# - `gemini-workshop train` runs that loop on your data, and `gemini-workshop benchmark recipe` repeats section 10 at a
#   larger scale.
#
# ## Stretch · how large a batch?
#
# The gradient of a batch is an estimate. Twice the rows cost twice the time and make it better by a factor of about
# $\sqrt 2$. With `short_run` as a pattern, train with 2, 8 and 32 rows per step on the *same number of rows* in total, each
# at its own best rate. Which batch learns most per row? Which per step?

# %%
# Yours goes here. batch_of(step, seed, size) returns a batch of any size.

# %% [markdown]
# **A second one:** write `wsd_schedule` (up in a line, stay, down in a line over the last fifth) and put it in the place
# of the cosine in section 7.
