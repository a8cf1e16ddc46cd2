# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "12"
#     title: Text generation
#     part: part4_training
#     kind: pair
#     minutes: 105
#     budget_seconds: 60
#     requires: ["02", "06"]
# ---

# %% [markdown]
# # 12 · Text generation
#
# **105 minutes** · builds on 02 and 06
#
# After this lesson you can
#
# - say why the most likely text is not a good text, and show it with two numbers,
# - write every common sampler: temperature, top-k, top-p, min-p, repetition penalty,
# - generate with a cache, and count the work that it saves,
# - make decoding faster with guesses that change nothing about the text, and test that claim.
#
# A model turns a text into logits: one number for every token that may come next. This lesson is about the rest of
# the way. You write nine functions, most of them one to five lines long. Short of time? Sections 1 to 3 and 6 are the
# core. Sections 8 (beams), 10 and 11 can wait: nothing builds on them.

# %%
import math
import textwrap
from collections.abc import Callable, Sequence
from functools import partial

import torch
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.batches.reading import split_documents
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.diversity import distinct_n
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.generation.beam_search import BeamSettings, beam_search
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.constrained import Constraint, token_bytes
from gemini_workshop.generation.decode import generate, generate_batch, generate_text
from gemini_workshop.generation.sampler import Sampler
from gemini_workshop.generation.streaming import text_pieces
from gemini_workshop.models.attention import softmax
from gemini_workshop.models.plain_transformer import parameters_and_flops
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import generation as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import Dropdown, FloatSlider, IntSlider
from jaxtyping import Float, Int
from scipy.stats import chisquare
from torch import Tensor

use_theme()
device = pick_device()
model, tokenizer = load_pretrained(device=device)
end, V = tokenizer.end_of_text_id, tokenizer.vocab_size

# Parts that you wrote in earlier lessons on this computer are used; the package's replace the others.
softmax, parameters_and_flops = own_or(softmax), own_or(parameters_and_flops)
for part in (softmax, parameters_and_flops):
    print(f"{part.__name__:20s} {'yours' if is_own(part) else 'from the package'}")

# %% [markdown]
# ## 1 · The best token, again and again
#
# The obvious way to write with a model: take the most likely token, append it, ask again. Nothing could be more
# faithful to what it has learned. **Predict before you run:** what kind of story comes out?


# %%
def ids_of(text):
    """The tokens of a text, as the beginning of a document: training has the end-of-text token there."""
    return [end, *tokenizer.encode(text)]


def logits_of(texts):
    """The model's logits for texts of one length. They come to the CPU, where a seed means the same everywhere."""
    return model(torch.tensor(texts, device=device)).cpu()


def show(text):
    print("\n".join(textwrap.fill(line, 100) for line in text.split("\n") if line))


def write(prompt, number=75, top_p=None, **settings):
    config = GenerationConfig(max_new_tokens=number, top_p=top_p, **settings)
    return prompt + "".join(generate_text(model, tokenizer, prompt, config))


stuck = write("Lily was sad because", 100, temperature=0.0)
show(stuck)
assert stuck.count("it was too heavy") >= 3

# %% [markdown]
# It is stuck. "She tried to open it, but it was too heavy", over and over. The function that got it stuck is your first
# exercise, because it is good for other things: for a question with one right answer, greedy decoding is what you want.
#
# ### Exercise 12.1 · `greedy` (2 minutes)


# %%
def greedy(logits: Float[Tensor, "*B V"]) -> Int[Tensor, "*B"]:
    """The most likely token of each row. V is the vocabulary, *B any axes in front of it."""
    # SOLUTION
    # 1. The place of the highest logit, for each row.
    return logits.argmax(-1)
    # END SOLUTION


# %% tags=["check"]
greedy = check("12.1", greedy)

# %% [markdown]
# Why does it get stuck? Let us look at the trap from inside. Here is a text in which one sentence is repeated five
# times. How much does the sentence surprise the model each time? (The **surprise** of a token is $-\log p$, in nats: 0
# if the model was certain of it.) **Predict:** does the model grow tired of it?


# %%
@torch.inference_mode()
def surprise_of(prompt_ids, new_ids):
    """The surprise of each new token, given all before it."""
    logits = logits_of([[*prompt_ids, *new_ids]])[0, len(prompt_ids) - 1 : -1]
    return -softmax(logits).log().gather(1, torch.tensor([*new_ids])[:, None])[:, 0]


sentences = [
    " She tried to open it, but it was too heavy.",
    " The dog ran after the ball.",
    " He wanted to play with the big red car.",
]
for sentence in sentences:
    one = tokenizer.encode(sentence)
    nats = surprise_of(ids_of("Once upon a time there was a child."), 5 * one)
    by_time = nats.reshape(5, len(one)).mean(1).tolist()
    print(
        f"{sentence[:30]:30s}…  {'  '.join(f'{mean:.2f}' for mean in by_time)} nats per token"
    )
    assert by_time[4] < by_time[1] < 0.75 * by_time[0]

# %% [markdown]
# On the contrary: the second time surprises it far less than the first, and the fifth less than the second. Each time
# makes the next one more likely. It is a good habit in itself (names come back, refrains
# come back), but whoever always takes the most likely token never leaves such a loop. Something has to be left to
# chance.

# %% [markdown]
# ## 2 · Temperature
#
# So let us **sample**: choose a token at random, each with its own probability. And because "each with its own
# probability" may be too tame or too wild, there is a knob. Divide all logits by a **temperature** $T$ before the
# softmax:
#
# $$p_i = \frac{e^{s_i / T}}{\sum_j e^{s_j / T}}$$
#
# **Predict:** what happens to the probabilities as $T$ becomes very small? Very large?
#
# ### Exercise 12.2 · `apply_temperature` (5 minutes)
#
# The function returns logits, as all functions of sections 2 to 5 do, so that they can be combined in any order; one
# softmax comes at the very end. What matters about logits is only which probabilities they become.


# %%
def apply_temperature(
    logits: Float[Tensor, "*B V"], temperature: float
) -> Float[Tensor, "*B V"]:
    """Below 1 the likely tokens gain probability, above 1 the distribution flattens.

    At 0, the limit, only the most likely token of each row remains; the others get minus infinity.
    """
    # SOLUTION
    # 1. Above zero it is one operation.
    if temperature > 0:
        return logits / temperature
    # 2. At zero: which token of the vocabulary is the greedy one?
    numbers = torch.arange(logits.shape[-1], device=logits.device)
    is_chosen = numbers == greedy(logits).unsqueeze(-1)
    # 3. Cut off the others.
    return logits.masked_fill(~is_chosen, float("-inf"))
    # END SOLUTION


# %% tags=["check"]
apply_temperature = check("12.2", apply_temperature)


# %% tags=["expected"]
@torch.inference_mode()
def next_logits(text):
    return logits_of([ids_of(text)])[0, -1]


def entropy(logits):
    return float(torch.special.entr(softmax(logits.double())).sum())


logits = next_logits("Tom was very")
top = logits.topk(8).indices
names = [tokenizer.decode([int(token)]) for token in top]
tempered = {f"T = {T:g}": softmax(apply_temperature(logits, T)) for T in (0.5, 1.0, 2.0)}
figure = figures.distributions(
    {name: p[top] for name, p in tempered.items()}, names, "Temperature sharpens or flattens"
)

entropies = [entropy(apply_temperature(logits, T)) for T in (0.0, 0.5, 1.0, 2.0)]
print("entropy at T = 0, 0.5, 1, 2:", ", ".join(f"{nats:.1f}" for nats in entropies), "nats")
assert entropies[0] == 0.0
assert entropies == sorted(entropies)
assert all(p.argmax() == top[0] for p in tempered.values()), "the order never changes"

# %% [markdown]
# The order of the tokens never changes, only how much more likely the first is than the second. (The **entropy** is the
# surprise to be expected: 0 where everything is certain.) And what does it do to stories?

# %%
for temperature in (0.5, 1.0, 1.5):
    print(f"--- T = {temperature}")
    show(write("Lily was sad because", 45, temperature=temperature))

# %% [markdown]
# ## 3 · The long tail
#
# At temperature 1 we sample from exactly what the model has learned, and still the text goes off the rails. What is
# wrong? Look at the tokens that are *not* among the hundred most likely. Each is very improbable. But there are
# thousands. **Predict:** in a text of 100 tokens, how many come from out there?
#
# To measure it, the model reads stories that it has not been trained on, in three groups of twelve. (A word about these
# stories: they are the workshop's own, and a generator wrote them, from a grammar made by people. They are plain, but
# no model wrote them, which is what counts here.)

# %%
_, held_out = split_documents(load_documents("stories"), 0.05)
stories = [tokenizer.encode(story) for story in held_out]
stories = [story for story in stories if len(story) >= 100]
groups = [stories[start:36:3] for start in range(3)]  # three groups of twelve


@torch.inference_mode()
def logits_along(group):
    """Logits at every place of the stories, from the 16th token on."""
    return logits_of([[end, *story[:99]] for story in group])[:, 16:].flatten(0, 1)


along = [logits_along(group) for group in groups]
for logits in along:
    tail = softmax(logits).sort(-1, descending=True).values[:, 100:].sum(-1)
    print(f"outside the 100 most likely: {100 * tail.mean():.1f} of 100 tokens", end="")
    print(
        f"; none in 100 tokens: a chance of {100 * float((1 - tail).log().mean().mul(100).exp()):.2f} %"
    )
    assert 0.04 < tail.mean() < 0.1

# %% [markdown]
# Half a dozen in every hundred. Each single one is a token that hardly ever follows here, and once it is written, the
# model has to continue from it. A model spreads a little probability over everything that it could not rule out;
# together this is the **tail**, and the remedy is to cut it off. The question is where.
#
# ### Exercise 12.3 · `top_k_filter` (6 minutes)
#
# Keep the $k$ most likely tokens, and give all others a logit of minus infinity, so that their probability is exactly
# zero. If there are no more than $k$ tokens, all of them stay.


# %%
def top_k_filter(logits: Float[Tensor, "*B V"], k: int) -> Float[Tensor, "*B V"]:
    """Keep the k most likely tokens of each row (all, if there are fewer); the others get minus infinity.

    top_k_filter(tensor([3., 1., 2.]), k=2) is tensor([3., -inf, 2.]).
    """
    # SOLUTION
    # 1. The k highest logits of each row, in order.
    highest = logits.topk(min(k, logits.shape[-1])).values
    # 2. Cut off whatever is lower than the last of them.
    return logits.masked_fill(logits < highest[..., -1:], float("-inf"))
    # END SOLUTION


# %% tags=["check"]
top_k_filter = check("12.3", top_k_filter)

# %% [markdown]
# One $k$ for all places? Here are two places in a text. **Predict:** how many tokens deserve to be kept in each?

# %% tags=["expected"]
places = ["Once upon a", "One day, a little girl named Lily saw a"]
for text in places:
    p = softmax(next_logits(text)).sort(descending=True).values
    print(f"{text!r:45s} the best token has {p[0]:.3f}", end="")
    print(f"; k = 5 keeps {p[:5].sum():.3f}, k = 40 keeps {p[:40].sum():.3f}")
sure, unsure = (softmax(next_logits(text)).sort(descending=True).values for text in places)
assert sure[0] > 0.98
assert unsure[:5].sum() < 0.6
assert unsure[:40].sum() < 0.93

# %% [markdown]
# After "Once upon a" one token is enough, and even $k = 5$ lets in four that are wrong. After "saw a", forty are too
# few. A fixed number is always too many here and too few there.
#
# ### Exercise 12.4 · `top_p_filter` (10 minutes)
#
# So fix the *probability* instead: keep the fewest tokens, most likely first, whose probabilities together reach $p$.
# (This is also called **nucleus sampling**.) The token that crosses $p$ is kept; so at least one always is. The hard
# part is in the bookkeeping: you need the tokens sorted to add them up, and in their own order to return them.


# %%
def top_p_filter(logits: Float[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Keep the fewest tokens of each row, most likely first, whose probabilities reach p; cut off the others.

    With probabilities 0.5, 0.3 and 0.2 and p = 0.6 the first two are kept: 0.5 is not enough, 0.8 is.
    """
    # SOLUTION
    # 1. The order of the tokens of each row, most likely first, and their probabilities in that order.
    order = logits.argsort(-1, descending=True)
    probabilities = softmax(logits).gather(-1, order)
    # 2. What those before each token add up to.
    before = probabilities.cumsum(-1) - probabilities
    # 3. Keep a token if that has not reached p; write the decision back to the token's own place.
    is_kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before < p)
    return logits.masked_fill(~is_kept, float("-inf"))
    # END SOLUTION


# %% tags=["check"]
top_p_filter = check("12.4", top_p_filter)

# %% [markdown]
# ### Exercise 12.5 · `min_p_filter` (4 minutes)
#
# There is a simpler rule with the same intention: keep every token that is at least `min_p` times as likely as the most
# likely one. Where the model is sure, few others come close; where it is not, many do.


# %%
def min_p_filter(logits: Float[Tensor, "*B V"], min_p: float) -> Float[Tensor, "*B V"]:
    """Keep the tokens that are at least min_p times as likely as the most likely one of their row; cut off the others.

    With probabilities 0.5, 0.3 and 0.2 and min_p = 0.5 the first two are kept: 0.25 is the limit.
    """
    # SOLUTION
    # 1. Probabilities, and the limit of each row.
    probabilities = softmax(logits)
    limit = min_p * probabilities.amax(-1, keepdim=True)
    # 2. Cut off what is below it.
    return logits.masked_fill(probabilities < limit, float("-inf"))
    # END SOLUTION


# %% tags=["check"]
min_p_filter = check("12.5", min_p_filter)

# %% [markdown]
# All three side by side, at every place of the stories. **Predict** the shape of each cloud of points before you run.

# %% tags=["expected"]
filters = {
    "top-k, 40": partial(top_k_filter, k=40),
    "top-p, 0.9": partial(top_p_filter, p=0.9),
    "min-p, 0.05": partial(min_p_filter, min_p=0.05),
}


def number_kept(logits, cut):
    return (softmax(cut(logits)) > 0).sum(-1)


for logits in along:
    nats = -(softmax(logits) * torch.log_softmax(logits, -1)).sum(-1)
    for where, places in {"sure": nats < 0.5, "unsure": nats > 4}.items():
        medians = {
            name: int(number_kept(logits[places], cut).median())
            for name, cut in filters.items()
        }
        print(f"{where:7s} {medians}")
        assert medians["top-p, 0.9"] == 1 if where == "sure" else medians["top-p, 0.9"] > 120
        assert (
            medians["min-p, 0.05"] <= 2 if where == "sure" else 10 < medians["min-p, 0.05"] < 60
        )

figure = figures.kept_by_entropy(
    nats[::2],
    {name: number_kept(logits[::2], cut) for name, cut in filters.items()},
    "Top-p and min-p keep more where the model is unsure",
)

# %% [markdown]
# Top-k is a flat line. Top-p and min-p both follow the model, and they differ where it matters: with 0.9, top-p keeps
# hundreds of tokens where the model is unsure, since it takes that many to make up nine tenths. Min-p is stricter
# there: even an unsure model has a best token, and the others are measured by it.

# %% [markdown]
# ## 4 · The explorer
#
# Everything together, in the usual order: temperature, top-k, top-p, min-p.
# On the left the next token's probabilities, before in grey and after in blue; on the right three texts with these
# settings. Some things to try:
#
# - temperature 2 with min-p 0.1, and then without min-p,
# - top-p 0.1 at temperature 1: what does it remind you of?
# - a high temperature and a low top-p: which of them wins? Would it be the same if top-p came first?


# %%
def shaped(logits, temperature=1.0, k=V, p=1.0, min_p=0.0):
    logits = top_k_filter(apply_temperature(logits, temperature), k)
    return min_p_filter(top_p_filter(logits, p), min_p)


def draw_samples(prompt, temperature=0.8, k=V, p=0.95, min_p=0.0):
    logits = next_logits(prompt)[None]
    after = shaped(logits, temperature, k, p, min_p)
    shown = logits[0].topk(12).indices
    sampler = Sampler((lambda logits, past: shaped(logits, temperature, k, p, min_p),))
    texts = []
    for seed in range(3):
        config = GenerationConfig(max_new_tokens=36, seed=seed)
        new = list(generate(model, ids_of(prompt), config, stop_ids={end}, sampler=sampler))
        texts.append(textwrap.fill(prompt + tokenizer.decode(new), 62))
    left = int((softmax(after) > 0).sum())
    return figures.sampling_explorer(
        softmax(logits)[0, shown],
        softmax(after)[0, shown],
        [tokenizer.decode([int(token)]) for token in shown],
        texts,
        f"{left:,} of {V:,} tokens are left",
    )


explore(
    draw_samples,
    prompt=Dropdown(options=["Lily was sad because", "Once upon a time", "The dragon said"]),
    temperature=FloatSlider(value=0.8, min=0.0, max=2.0, step=0.1),
    k=IntSlider(value=V, min=1, max=V),
    p=FloatSlider(value=0.9, min=0.05, max=1.0, step=0.05),
    min_p=FloatSlider(value=0.0, min=0.0, max=0.5, step=0.02),
)

# %% [markdown]
# Temperature and filters do not commute: a high temperature moves probability into the tail, and a top-p that comes
# afterwards keeps more of it. That is why the order belongs to the settings. (And a top-p of 0.1 keeps one token nearly
# everywhere: that is greedy decoding.)

# %%
logits = next_logits("Tom was very")
orders = {
    "temperature first": top_p_filter(apply_temperature(logits, 1.5), 0.9),
    "top-p first": apply_temperature(top_p_filter(logits, 0.9), 1.5),
}
left = {name: int((softmax(result) > 0).sum()) for name, result in orders.items()}
print("tokens left:", left)
assert left["temperature first"] > 2 * left["top-p first"]

# %% [markdown]
# ## 5 · A penalty for repetition
#
# There is a more direct remedy against loops: make what is in the text already less likely.
#
# ### Exercise 12.6 · `apply_repetition_penalty` (7 minutes)
#
# Every token that occurs in its row's text, once or often, gets a lower logit. With a penalty $c > 1$ a positive logit
# is divided by $c$. Careful with negative ones: all of them have to *fall*.


# %%
def apply_repetition_penalty(
    logits: Float[Tensor, "B V"], token_ids: Int[Tensor, "B T"], penalty: float
) -> Float[Tensor, "B V"]:
    """Lower the logits of the tokens in each row's text: divide positive ones by the penalty, multiply the others.

    For logits 3, -1, 2, the text 0 1 and a penalty of 2 the result is 1.5, -2, 2.
    """
    # SOLUTION
    # 1. The logits of the tokens in the text.
    seen = logits.gather(1, token_ids)
    # 2. Lower them.
    lowered = torch.where(seen > 0, seen / penalty, seen * penalty)
    # 3. Write them back, without changing what was given.
    return logits.scatter(1, token_ids, lowered)
    # END SOLUTION


# %% tags=["check"]
apply_repetition_penalty = check("12.6", apply_repetition_penalty)

# %% [markdown]
# Greedy once more, from the prompt that got stuck, with a penalty of 1.3:


# %% tags=["expected"]
def step(logits, past):
    return apply_repetition_penalty(logits, past.token_ids, 1.3)


config = GenerationConfig(max_new_tokens=75)
new = generate(
    model, ids_of("Lily was sad because"), config, sampler=Sampler((step,), is_greedy=True)
)
penalized = "Lily was sad because" + tokenizer.decode(list(new))
show(penalized)
pairs = {"without": distinct_n([stuck], 2), "with a penalty": distinct_n([penalized], 2)}
print("distinct pairs of words:", {name: round(value, 2) for name, value in pairs.items()})
assert pairs["with a penalty"] > pairs["without"] + 0.1

# %% [markdown]
# The loop is gone. (**distinct-n** is the number of different sequences of $n$ words, divided by all of them.) Is the
# penalty a good idea, then? There is a test that does not depend on taste. Real stories repeat themselves: "the", full
# stops, the hero's name. Let the model predict them, with the penalty in place. **Predict:** does the loss fall or
# rise?

# %% tags=["expected"]
penalties, losses = [1.0, 1.1, 1.3, 1.5], []
for group, logits in zip(groups, along, strict=True):
    rows = logits.reshape(12, 84, V)[:, :-1:4]  # every fourth place is enough
    nats = {penalty: [] for penalty in penalties}
    for story, row in zip(group, rows, strict=True):
        for number, at_place in zip(range(17, 100, 4), row, strict=True):
            text, following = torch.tensor([[end, *story[: number - 1]]]), story[number - 1]
            for penalty in penalties:
                lowered = apply_repetition_penalty(at_place[None], text, penalty)
                nats[penalty].append(float(-softmax(lowered)[0, following].log()))
    losses.append({penalty: sum(each) / len(each) for penalty, each in nats.items()})
    print("  ".join(f"penalty {penalty}: {loss:.2f}" for penalty, loss in losses[-1].items()))
    assert losses[-1][1.3] > losses[-1][1.0] + 0.1
    assert losses[-1][1.5] > losses[-1][1.3] + 0.1

# %% [markdown]
# It rises: the penalty makes the model a worse model of stories. It treats a symptom. With sampling it is rarely
# needed, and a strong one forbids what a text needs most, such as full stops.

# %% [markdown]
# ## 6 · The cache
#
# So far the package has done the writing. Written down plainly, it is a loop: read the text, choose a token, append it,
# read again. **Predict:** for 100 new tokens after a prompt of 5, how many tokens go through the model?

# %%
prompt = ids_of("Lily was sad because")
reading_again = [sum(len(prompt) + i for i in range(n)) for n in range(1, 101)]
print(f"a prompt of {len(prompt)}, 100 new tokens: {reading_again[-1]:,} tokens read")
assert reading_again[-1] == 100 * len(prompt) + 99 * 100 // 2

# %% [markdown]
# Thousands, and most of them were read before. In a causal model that is a waste: the keys and values of a token depend
# only on it and what is before it (lesson 02 proved it by experiment), so they never change. Keep them, and each step
# reads a single token: the **KV cache**.
#
# `cache = new_cache(model, 1, max_tokens)` makes one for a text of at most that length. `model(token_ids, cache)` reads
# tokens that come *after* what is in the cache, adds them to it, and returns their logits, of shape (1, T, V). The ids
# have to be where the weights are: `torch.tensor([[5, 7]], device=model.embedding.weight.device)`.
#
# ### Exercise 12.7 · `plain_generate` (10 minutes)
#
# `choose` gets the logits of one place, of shape (1, V), and returns a token, of shape (1,): `greedy`, or anything
# else.


# %%
@torch.inference_mode()
def plain_generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    choose: Callable[[Tensor], Tensor],
    max_new_tokens: int,
    stop_id: int | None = None,
) -> list[int]:
    """The new tokens after a prompt. No token goes through the model twice.

    A new token that equals `stop_id` ends the text, and is not part of it.
    """
    # SOLUTION
    # 1. An empty cache with enough room. What has the model not read yet? Which tokens are new?
    cache = new_cache(model, 1, len(prompt_ids) + max_new_tokens)
    unread, new = list(prompt_ids), []
    while len(new) < max_new_tokens:
        # 2. Read what is unread, and choose a token by the logits after it.
        read = torch.tensor([unread], device=model.embedding.weight.device)
        logits = model(read, cache)[:, -1]
        token = int(choose(logits))
        # 3. Is it the end? If not: it is new, and still to be read.
        if token == stop_id:
            break
        new.append(token)
        unread = [token]
    return new
    # END SOLUTION


# %% tags=["check"]
plain_generate = check("12.7", plain_generate)

# %% [markdown]
# Two claims to test. The text is the same, token for token. And the work is less; we count it by looking over the
# model's shoulder.

# %% tags=["expected"]
read_at_each_pass = []
watch = model.register_forward_pre_hook(
    lambda _, args: read_at_each_pass.append(args[0].shape[1])
)

again, text = [], list(prompt)
with torch.inference_mode():
    for _ in range(100):
        text.append(int(greedy(logits_of([text])[:, -1])))
        again.append(sum(read_at_each_pass))
read_at_each_pass.clear()
cached = plain_generate(model, prompt, greedy, 100)
watch.remove()

once = [sum(read_at_each_pass[: n + 1]) for n in range(100)]
print("the same tokens:", cached == text[len(prompt) :])
print(f"tokens read: {again[-1]:,} without the cache, {once[-1]} with it")
assert cached == text[len(prompt) :]
assert again == reading_again
assert once[-1] <= len(prompt) + 100
figure = figures.tokens_read(
    {"without a cache": again, "with a cache": once},
    "Without a cache the work grows with the square",
)

# %% [markdown]
# With your own `choose`, your loop writes with everything from sections 2 to 5:


# %% tags=["expected"]
def sampling(seed, **settings):
    """A function that samples a token from shaped logits, each time with new random numbers."""
    generator = torch.Generator().manual_seed(seed)

    def choose(logits):
        probabilities = softmax(shaped(logits.cpu(), **settings))
        return probabilities.multinomial(1, generator=generator)[:, 0]

    return choose


for seed in range(2):
    new = plain_generate(model, prompt, sampling(seed, temperature=0.8, p=0.9), 50, stop_id=end)
    show("Lily was sad because" + tokenizer.decode(new))

# %% [markdown]
# ## 7 · Why one token at a time is slow
#
# Reading a prompt is called **prefill**, writing token by token **decode**. Both need the same number of operations per
# token, and still decode is far slower per token. The reason is not arithmetic. Before a processor can multiply by a
# weight, it has to fetch it from memory; and it fetches all weights once for each *pass*, however many tokens are in
# the pass. So what counts is the **arithmetic intensity**: operations per byte fetched.
#
# The operations are what you counted in lesson 06; a weight takes two bytes in 16 bits. An H100, by its data sheet, can
# do $989 \cdot 10^{12}$ such operations per second and fetch $3.35 \cdot 10^{12}$ bytes. **Predict:** how many tokens
# have to be in a pass before it computes all the time, instead of waiting?

# %% tags=["expected"]
balance = 989e12 / 3.35e12
sizes = {  # vocabulary, context, width, blocks, width of the feed-forward
    "as this model": (4096, 256, 192, 6, 512),
    "as Llama 2 7B": (32000, 4096, 4096, 32, 11008),
}
num_tokens = [4**i for i in range(7)]
intensities = {}
for name, size in sizes.items():
    counts = [parameters_and_flops(*size, T) for T in num_tokens]
    intensities[name] = [flops / (2 * parameters) for parameters, flops in counts]
    enough = next(
        T
        for T in range(1, 4096)
        if parameters_and_flops(*size, T)[1] > 2 * balance * counts[0][0]
    )
    print(
        f"{name}: one token {intensities[name][0]:.1f} operations per byte; {enough} tokens reach {balance:.0f}"
    )
    assert 0.9 < intensities[name][0] < 1.1
    assert 200 < enough < 320
figure = figures.intensity(
    num_tokens,
    intensities,
    (balance, "what an H100 can do per byte"),
    "One token per pass leaves a GPU idle",
)

# %% [markdown]
# About one operation per byte for each token in the pass, whatever the size of the model: two operations per weight,
# two bytes per weight. A prompt of a few hundred tokens keeps the computing units busy (it is **compute bound**); a
# single token uses a few thousandths of them (**memory bound**). (We left out the cache, which has to be fetched, too,
# and in long texts is larger than the weights.)
#
# Two remedies follow. Put the texts of many users into one pass: that is what servers do. Or put several tokens of
# *one* text into a pass. But the next tokens are not known yet? Section 9 guesses them.

# %% [markdown]
# ## 8 · The most likely text
#
# First a question that is still open. Greedy decoding takes the most likely *token* at every step. Does that give the
# most likely *text*? A model with three tokens, A, B and C, that begins after C:

# %%
table = {"C": (0.5, 0.4, 0.1), "A": (0.4, 0.35, 0.25), "B": (0.9, 0.06, 0.04)}


def log_probs_of_table(texts):
    return torch.tensor([table["ABC"[text[-1]]] for text in texts]).log()


for first in range(3):
    for second in range(3):
        p = table["C"][first] * table["ABC"[first]][second]
        print(f"{'ABC'[first]}{'ABC'[second]} {p:.3f}", end="   ")
print()
assert table["C"].index(max(table["C"])) == 0, "greedily, A comes first"
assert table["C"][1] * table["B"][0] > 1.5 * table["C"][0] * max(table["A"])

# %% [markdown]
# No. A looks better at first, but BA is the most likely text of two tokens by far. All texts cannot be tried: with 4096
# tokens there are $4096^n$ of length $n$. **Beam search** tries a few: it keeps the best $n$ unfinished texts (the
# **beams**), makes all their continuations, and keeps the best $n$ of *those*.
#
# ### Exercise 12.8 · `plain_beam_search` (12 minutes)
#
# A beam is a pair: the new tokens, and the sum of their log-probabilities. One that ends with the stop token is
# finished: it has no continuations, and stays among the candidates as it is.


# %%
def plain_beam_search(
    log_probs_after: Callable[[list[list[int]]], Float[Tensor, "beams V"]],
    prompt_ids: Sequence[int],
    num_beams: int,
    max_new_tokens: int,
    stop_id: int | None = None,
) -> list[tuple[list[int], float]]:
    """The most likely continuations that a search with so many beams finds: (new tokens, their log-probability).

    Args:
        log_probs_after: from a list of texts, prompts included, to the log-probabilities of what comes after each.

    Returns:
        The beams after `max_new_tokens` steps, best first. A stop token at the end of a text stays there.
    """
    # SOLUTION
    # 1. At the beginning there is one beam, without any tokens.
    beams = [([], 0.0)]
    for _ in range(max_new_tokens):
        # 2. The candidates: finished beams as they are, all continuations of the others.
        candidates = []
        rows = log_probs_after([[*prompt_ids, *text] for text, _ in beams]).tolist()
        for (text, score), row in zip(beams, rows, strict=True):
            if text and text[-1] == stop_id:
                candidates.append((text, score))
            else:
                candidates += [
                    ([*text, token], score + log_p) for token, log_p in enumerate(row)
                ]
        # 3. The best of them are the next beams.
        beams = sorted(candidates, key=lambda beam: -beam[1])[:num_beams]
    return beams
    # END SOLUTION


# %% tags=["check"]
plain_beam_search = check("12.8", plain_beam_search)

# %% tags=["expected"]
for num_beams in (1, 2):
    text, score = plain_beam_search(log_probs_of_table, [2], num_beams, 2)[0]
    print(
        f"the table, {num_beams} beam(s): {''.join('ABC'[token] for token in text)}, {math.exp(score):.2f}"
    )


@torch.inference_mode()
def log_probs_of_model(texts):
    return torch.log_softmax(logits_of(texts)[:, -1], -1)


scores = {}
for num_beams in (1, 4, 8):
    text, scores[num_beams] = plain_beam_search(log_probs_of_model, prompt, num_beams, 12)[0]
    print(f"stories, {num_beams} beam(s): {scores[num_beams]:6.2f}  {tokenizer.decode(text)!r}")
assert scores[1] + 0.1 < scores[4] <= scores[8] + 1e-4
greedily = plain_generate(model, prompt, greedy, 12)
assert plain_beam_search(log_probs_of_model, prompt, 1, 12)[0][0] == greedily, (
    "one beam is greedy"
)

# %% [markdown]
# More beams find more likely texts: the search works. (Not always; a beam that would have won may fall out early.) Now
# the question of this lesson: **is the most likely text the best text?** Let every way of writing continue the same
# stories, and measure two things: how much each text surprises the model, and how varied it is. Beside them, the real
# continuations. **Predict:** how much do real stories surprise the model, compared with what it writes itself?


# %% tags=["expected"]
def continuations(group, seed):
    """40 tokens after the first 16 of each story, by every way of writing."""
    prompts = [[end, *story[:16]] for story in group]

    def sampled(**settings):
        config = GenerationConfig(max_new_tokens=40, seed=seed, **settings)
        return [row.token_ids for row in generate_batch(model, prompts, config)]

    settings = BeamSettings(num_beams=4, max_new_tokens=40, length_penalty=0.0)
    return {
        "stories": [story[16:56] for story in group],
        "beams": [beam_search(model, prompt, settings)[0].token_ids for prompt in prompts],
        "greedy": sampled(temperature=0.0),
        "sampled, T = 0.7": sampled(temperature=0.7, top_p=None),
        "top-p, 0.9": sampled(temperature=1.0, top_p=0.9),
        "sampled, T = 1": sampled(temperature=1.0, top_p=None),
    }


points = {}
for seed, group in enumerate(groups):
    written = continuations(group, 100 * seed)
    for name, texts in written.items():
        nats = [
            surprise_of([end, *s[:16]], text).mean()
            for s, text in zip(group, texts, strict=True)
        ]
        variety = distinct_n([tokenizer.decode(text) for text in texts], 2)
        points.setdefault(name, []).append((float(sum(nats) / 12), variety))

for name, seeds in points.items():
    print(
        f"{name:18s}",
        "  ".join(f"{nats:.1f} nats, distinct-2 {variety:.2f}" for nats, variety in seeds),
    )
figure = figures.dull_and_wild(points, "The most likely texts are the dullest")

low = {name: [min(each) for each in zip(*seeds, strict=True)] for name, seeds in points.items()}
high = {
    name: [max(each) for each in zip(*seeds, strict=True)] for name, seeds in points.items()
}
assert high["beams"][0] < high["greedy"][0] < 0.6 * low["stories"][0]
assert high["beams"][1] < low["stories"][1] - 0.15
nucleus, real = (torch.tensor(points[name]).mean(0) for name in ("top-p, 0.9", "stories"))
assert (nucleus - real).abs()[0] < 0.35
assert (nucleus - real).abs()[1] < 0.15
assert low["sampled, T = 1"][0] > high["stories"][0] + 0.2
assert high["sampled, T = 0.7"][0] < low["stories"][0] - 0.2

# %% [markdown]
# Real stories are *not* what the model finds most likely, by far. Holtzman et al. found the same for human text and a
# large model: who tells something tells what the others could not have predicted. Beams and greedy decoding write texts
# that are too probable, each like the others; sampling at temperature 1, with its tail, writes too improbable ones.
# Top-p is near the stories on both axes, and that is the best argument for it. Token by token it looks like this:

# %% tags=["expected"]
story = groups[0][0]
traces = {
    name: surprise_of([end, *story[:16]], text)
    for name, text in {
        "stories": story[16:56],
        "beams": continuations(groups[0][:1], 0)["beams"][0],
    }.items()
}
figure = figures.surprise(traces, "A real story is unpredictable again and again")
peaks = {name: int((nats > 3).sum()) for name, nats in traces.items()}
print("tokens with a surprise above 3 nats:", peaks)
assert peaks["stories"] > 5 * max(1, peaks["beams"])

# %% [markdown]
# Beam search has its place where there is one right answer, and the input says most of it: translation, speech
# recognition.

# %% [markdown]
# ## 9 · Guesses that change nothing
#
# Back to speed. A pass over five tokens takes hardly longer than a pass over one (section 7). So let something cheap
# guess the next four tokens, a **draft**, and let the model check all of them in *one* pass: its logits at each place
# say what it would have chosen there. That is **speculative decoding**.
#
# How to check? With greedy decoding it is easy: accept drafts as long as they are what the model would have chosen.
# With sampling, there is a trap. **Predict:** suppose we accept a draft with the probability $p$ that the model gives
# it, and sample from the model otherwise. Is the text distributed as if the model had written it?

# %%
p = torch.tensor([0.6, 0.3, 0.1])  # the model
q = torch.tensor([0.1, 0.1, 0.8])  # the draft
accepted = q * p
naive = accepted + (1 - accepted.sum()) * p
print("the model       ", [f"{x:.2f}" for x in p.tolist()])
print("the naive check ", [f"{x:.2f}" for x in naive.tolist()])
assert naive[2] > 1.5 * p[2]

# %% [markdown]
# No: the draft's favorite comes up more than one and a half times as often as it should. The right rule repairs exactly
# that. Let $q$ be the draft's probability of a token, and $p$ the model's:
#
# - Accept the draft with probability $\min(1, p / q)$. It was proposed with probability $q$, so it comes up that way
#   with probability $\min(q, p)$.
# - What is missing is $\max(0, p - q)$, for each token. So after a rejection, sample from *that*, divided by its sum.
#
# Together $\min(q, p) + \max(0, p - q) = p$, for every token, whatever the draft.
#
# ### Exercise 12.9 · `verify_drafts` (12 minutes)
#
# `uniforms[i]` is a random number between 0 and 1 that decides about draft `i`: accept if it is below $p / q$. At the
# first rejection, the drafts after it are void. If all are accepted, the pass has given one more distribution, after
# the last draft, and the next token comes from it.


# %%
def verify_drafts(
    drafts: Int[Tensor, " K"],
    draft_probs: Float[Tensor, "K V"],
    model_probs: Float[Tensor, "K+1 V"],
    uniforms: Float[Tensor, " K"],
) -> tuple[int, Float[Tensor, " V"]]:
    """How many drafts to accept, and the distribution from which the token after them is sampled.

    Args:
        draft_probs: row i is the distribution that draft i was sampled from.
        model_probs: row i is the model's distribution at the same place; the last row is after all drafts.
        uniforms: a random number from 0 to 1 for each draft.
    """
    # SOLUTION
    for i, draft in enumerate(drafts.tolist()):
        # 1. Both probabilities of this draft: is it rejected?
        p, q = model_probs[i, draft], draft_probs[i, draft]
        if uniforms[i] >= p / q:
            # 2. What the model has beyond the draft, scaled to sum to one.
            rest = (model_probs[i] - draft_probs[i]).clamp(min=0)
            return i, rest / rest.sum()
    # 3. All are accepted: the distribution after the last one.
    return len(drafts), model_probs[-1]
    # END SOLUTION


# %% tags=["check"]
verify_drafts = check("12.9", verify_drafts)

# %% [markdown]
# "Exactly the same distribution" is a strong claim, so test it. The draft is about the worst that one can think of: a
# table that knows, for each token, how often others followed it in 300 stories (a **bigram** model). For one place in a
# text, let it guess thousands of times, count which tokens come out, and compare with the model's probabilities by a
# **chi-square test**: it says how likely such counts are if they come from the model. A tiny p-value means that they do
# not.


# %%
def bigram_table(texts, smoothing=5.0):
    counts = torch.zeros(V, V)
    for text in texts:
        ids = torch.tensor(ids_of(text))
        counts.index_put_((ids[:-1], ids[1:]), torch.ones(len(ids) - 1), accumulate=True)
    alone = (counts.sum(0) + 0.1) / (counts.sum(0) + 0.1).sum()
    return (counts + smoothing * alone) / (counts.sum(1, keepdim=True) + smoothing)


training, _ = split_documents(load_documents("stories"), 0.05)
bigrams = bigram_table(training[:300])


def accept_everything(drafts, draft_probs, model_probs, uniforms):
    return drafts.numel(), None


def model_after_rejection(drafts, draft_probs, model_probs, uniforms):
    number, rest = verify_drafts(drafts, draft_probs, model_probs, uniforms)
    return number, rest if number else model_probs[0]


def first_tokens(verify, p, q, seed, number=3000):
    """The first token of many rounds with one draft each."""
    generator = torch.Generator().manual_seed(seed)
    drafts = q.multinomial(number, replacement=True, generator=generator)
    uniforms, found = torch.rand(number, generator=generator), []
    both = torch.stack([p, p])
    for draft, uniform in zip(drafts, uniforms, strict=True):
        accepted, rest = verify(draft[None], q[None], both, uniform[None])
        found.append(int(draft) if accepted else int(rest.multinomial(1, generator=generator)))
    return torch.tensor(found)


p = softmax(next_logits("Tom was very"))
q = bigrams[ids_of("Tom was very")[-1]]
common = p.topk(7).indices


def in_classes(values):
    """The seven most likely tokens, and all others as one."""
    return torch.cat([values[common], values.sum()[None] - values[common].sum()])


rules = {
    "yours": verify_drafts,
    "all drafts accepted": accept_everything,
    "p after a rejection": model_after_rejection,
}
frequencies = {}
for name, verify in rules.items():
    p_values = []
    for seed in range(3):
        counts = torch.bincount(first_tokens(verify, p, q, seed), minlength=V).double()
        expected = 3000 * in_classes(p).double()
        observed = in_classes(counts)
        p_values.append(
            float(chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)
        )
    frequencies[name] = (observed / 3000).tolist()
    print(
        f"{name:20s} {'cannot be told from the model' if min(p_values) > 1e-3 else 'is not the model'}"
    )
    assert min(p_values) > 1e-3 if verify is verify_drafts else max(p_values) < 1e-6
title = "Your rule gives the model's distribution, others do not"
names = [*(tokenizer.decode([int(token)]) for token in common), "others"]
figure = figures.against_the_model(in_classes(p).tolist(), frequencies, names, title)

# %% [markdown]
# Replacing a rejected draft from $p$ itself, the most natural idea, fails
# the test.
#
# And what is it good for? Here is the whole loop, with passes counted. The draft samples from the table; the model
# reads all drafts at once.


# %%
@torch.inference_mode()
def speculate(prompt_ids, number, num_drafts, temperature, seed):
    """New tokens by speculative decoding, how many passes they took, and the fraction of drafts accepted."""
    generator = torch.Generator().manual_seed(seed)

    def probabilities(logits):
        return softmax(apply_temperature(logits, temperature))

    text, passes, accepted, tried = list(prompt_ids), 0, 0, 0
    while len(text) < len(prompt_ids) + number:
        drafts, draft_probs = [], []
        for _ in range(num_drafts):
            draft_probs.append(probabilities(bigrams[(text + drafts)[-1]].log()))
            drafts.append(int(draft_probs[-1].multinomial(1, generator=generator)))
        logits = logits_of([text + drafts])[0, -num_drafts - 1 :]
        uniforms = torch.rand(num_drafts, generator=generator)
        kept, rest = verify_drafts(
            torch.tensor(drafts), torch.stack(draft_probs), probabilities(logits), uniforms
        )
        text += [*drafts[:kept], int(rest.multinomial(1, generator=generator))]
        passes, accepted, tried = passes + 1, accepted + kept, tried + min(kept + 1, num_drafts)
    return text[len(prompt_ids) : len(prompt_ids) + number], passes, accepted / tried


greedily, _, _ = speculate(prompt, 40, num_drafts=4, temperature=0.0, seed=0)
print("greedily, the same tokens:", greedily == plain_generate(model, prompt, greedy, 40))
assert greedily == plain_generate(model, prompt, greedy, 40)

for seed, group in enumerate(groups):
    runs = [
        speculate([end, *story[:16]], 60, num_drafts=4, temperature=1.0, seed=seed)
        for story in group[:3]
    ]
    per_pass = 3 * 60 / sum(passes for _, passes, _ in runs)
    rate = sum(rate for _, _, rate in runs) / 3
    expected = (1 - rate**5) / (1 - rate)
    print(
        f"seed {seed}: {per_pass:.1f} tokens per pass; with {rate:.0%} accepted, {expected:.1f}"
    )
    assert per_pass > 1.15
    assert abs(per_pass - expected) < 0.2

# %% [markdown]
# A table that knows nothing but pairs of tokens saves a good part of the passes. If every draft is accepted with the
# same probability $\alpha$, a pass with $K$ drafts gives $1 + \alpha + \dots + \alpha^K = (1 - \alpha^{K+1}) / (1 -
# \alpha)$ tokens, which is the second number.
#
# A better draft gets more accepted. **Predict:** is it worth it to let the first four of the model's six blocks be the
# draft?


# %% tags=["expected"]
def first_blocks(number):
    """The probabilities that the model would give if it ended after so many blocks."""
    whole = model.blocks
    try:
        model.blocks = whole[:number]
        return [softmax(logits_along(group)) for group in groups]
    finally:
        model.blocks = whole


overlap = {}
model_probs = [softmax(logits) for logits in along]
for number in (2, 4, 5):
    draft_probs = first_blocks(number)
    overlap[number] = [
        float(torch.minimum(p, q).sum(-1).mean())
        for p, q in zip(model_probs, draft_probs, strict=True)
    ]
last_ids = [torch.tensor([[end, *s[:99]] for s in group])[:, 16:].flatten() for group in groups]
overlap[0] = [
    float(torch.minimum(p, bigrams[ids]).sum(-1).mean())
    for p, ids in zip(model_probs, last_ids, strict=True)
]
gains = {}
for number, rates in sorted(overlap.items()):
    rate, cost = (
        sum(rates) / 3,
        1 + 4 * number / 6,
    )  # in passes of the model, the draft's included
    gains[number] = (1 - rate**5) / (1 - rate) / cost
    name = f"{number} of 6 blocks" if number else "bigrams, for free"
    print(f"{name:18s} accepted {rate:.2f}, tokens per unit of work {gains[number]:.2f}")
assert gains[0] > 1.3 > 0.9 > max(gains[2], gains[4], gains[5])
assert min(overlap[4]) > max(overlap[0])

# %% [markdown]
# No. It is accepted more often than the table, and still a loss: four passes through four blocks cost more than they
# save. (The probability that a draft is accepted is the overlap of both distributions, the sum of $\min(p, q)$.) What
# counts is acceptance *and* cost. Real systems use a draft model that is ten or more times smaller, extra heads, or earlier
# parts of the text.

# %% [markdown]
# ## 10 · A text that has to be valid
#
# Sometimes the text goes to a program: a choice from a list, a time, JSON. Asking is not enough. **Predict:** how much
# probability does the model give to the three answers that we want, all together?

# %%
question = "Tom looked at the dark forest. He felt"
choices = [" happy", " afraid", " sleepy"]
with torch.inference_mode():
    nats = {
        choice: float(surprise_of(ids_of(question), tokenizer.encode(choice)).sum())
        for choice in choices
    }
together = sum(math.exp(-each) for each in nats.values())
print(
    f"together {together:.3f}; what it writes:",
    write(question, 12, temperature=1.0)[len(question) :],
)
assert together < 0.2

# %% [markdown]
# The remedy is the same as for the tail: cut off what is not wanted. **Constrained decoding** allows, before each
# token, only those after which the text can still become valid. For a list of choices that is a few lines:

# %%
bytes_of = token_bytes(tokenizer)


def allowed_tokens(written, choices):
    """True for each token after which what was written is still the beginning of a choice."""
    so_far = b"".join(bytes_of[token] for token in written)
    wanted = [choice.encode() for choice in choices]
    fits = [bool(t) and any(each.startswith(so_far + t) for each in wanted) for t in bytes_of]
    if so_far in wanted:
        fits[end] = True  # it may end here
    return torch.tensor(fits)


def choose_from(choices, seed):
    generator, written = torch.Generator().manual_seed(seed), []

    def choose(logits):
        only = logits.cpu().masked_fill(~allowed_tokens(written, choices), float("-inf"))
        written.append(int(softmax(only).multinomial(1, generator=generator)))
        return torch.tensor(written[-1:])

    return choose


print("allowed at first:", int(allowed_tokens([], choices).sum()), "of", V, "tokens")
answers = [
    tokenizer.decode(
        plain_generate(model, ids_of(question), choose_from(choices, seed), 10, end)
    )
    for seed in range(20)
]
print("20 answers:", {choice: answers.count(choice) for choice in choices})
assert set(answers) <= set(choices)
assert max(answers, key=answers.count) == min(nats, key=nats.get)

# %% [markdown]
# Always valid, and still the model's choice. For regular expressions and JSON schemas the same question is asked of a
# small machine that follows the pattern; the package leaves that to the library llguidance, if it is installed:

# %%
try:
    for seed in range(2):
        step = Constraint.from_regex(r" at (\d|1[0-2]):[0-5]\d\.", tokenizer)
        config = GenerationConfig(max_new_tokens=20, temperature=1.0, seed=seed)
        new = generate(
            model, ids_of("The train left"), config, stop_ids={end}, sampler=Sampler((step,))
        )
        print("The train left" + tokenizer.decode(list(new)))
    step = Constraint.from_choices(choices, tokenizer)
    assert torch.equal(step.allowed([], V), allowed_tokens([], choices)), (
        "the same tokens as yours"
    )
except WorkshopError as error:
    print(error)

# %% [markdown]
# A constraint makes a text valid, not true. And it is short-sighted: it forbids a token only when the text could no
# longer become valid, however unlikely the rest may be.

# %% [markdown]
# ## 11 · Streaming
#
# One thing is left: to show the text while it is written. Decode every token as it comes? **Predict** what happens
# here:

# %%
text = "The café was full. 😀"
ids = tokenizer.encode(text)
one_by_one = "".join(tokenizer.decode([token]) for token in ids)
print(one_by_one)
assert "�" in one_by_one

# %% [markdown]
# A token of this vocabulary is a piece of *bytes* (lesson 10), and may end in the middle of a character: "é" has two
# bytes, the emoji four. So hold a token back until its character is complete; `text_pieces` does it, with little more
# than the check whether the text decoded so far ends in "�":

# %%
pieces = list(text_pieces(iter(ids), tokenizer))
print(pieces)
assert "".join(pieces) == text
assert not any("�" in piece for piece in pieces)

# %% [markdown]
# The same care is needed for a **stop string** such as "\n\n": its beginning may be in one token and its end in the
# next, so what might be its beginning is held back, too.
#
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("12")

# %% [markdown]
# ## Recap
#
# 1. A model gives logits. How a token is chosen is a decision of its own, and the text depends on it as much.
# 2. Greedy decoding often loops: each repetition makes the next one more likely, and nothing breaks the loop.
# 3. Temperature divides the logits. It changes how much more likely the first token is, never the order.
# 4. Thousands of improbable tokens together are probable enough to spoil a text. Top-k keeps a number, top-p a
#    probability, min-p whatever comes close to the best; the last two follow the model.
# 5. A repetition penalty breaks loops and makes the model a worse model.
# 6. Keys and values never change, so a cache changes nothing but the work: each token is read once.
# 7. One token per pass is memory bound: weights are fetched for a single use. A prompt is compute bound.
# 8. The most likely text is dull. Real text surprises the model far more, and less than what it samples with its tail.
# 9. Speculative decoding: $\min(p, q) + \max(0, p - q) = p$. A draft can waste time, but it cannot change the text.
# 10. Constrained decoding cuts off every token after which the text could not become valid any more.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: selected index k out of range</code></summary>
#
# `topk` was asked for more entries than there are (`top_k_filter`). Ask for `min(k, logits.shape[-1])`.
# </details>
#
# <details>
# <summary><code>RuntimeError: probability tensor contains either `inf`, `nan` or element < 0</code></summary>
#
# `multinomial` was given something else than probabilities. Mostly every token was cut off, so that the softmax is
# 0 / 0; or the logits were divided by a temperature of zero; or logits were passed instead of probabilities.
# </details>
#
# <details>
# <summary><code>RuntimeError: Index tensor must have the same number of dimensions as input tensor</code></summary>
#
# `gather` and `scatter` take one index for each entry of the result, so the index needs the same axes as the tensor.
# `keepdim=True`, or `unsqueeze(-1)`, puts a lost axis back.
# </details>
#
# <details>
# <summary><code>WorkshopError: The cache has room for 4 tokens and holds 4, so 1 more do not fit.</code></summary>
#
# The cache was made too small, or the prompt was read twice (`plain_generate`). It needs room for the prompt and all
# new tokens.
# </details>
#
# <details>
# <summary>No error, but the text is nonsense with the cache and fine without it</summary>
#
# The model reads something twice, or not at all. Print `cache.num_tokens` before each pass: it has to be the length of
# the text so far, without what is unread.
# </details>
#
# ## From here to Gemini
#
# - Top-k is from Fan et al. 2018 ([arXiv:1805.04833](https://arxiv.org/abs/1805.04833)), top-p from Holtzman et al.
#   2020 ([arXiv:1904.09751](https://arxiv.org/abs/1904.09751)): "The Curious Case of Neural Text Degeneration" is
#   section 8 of this lesson with a large model and human text. Min-p is from Nguyen et al. 2024
#   ([arXiv:2407.01082](https://arxiv.org/abs/2407.01082)). The repetition penalty is from Keskar et al. 2019
#   ([arXiv:1909.05858](https://arxiv.org/abs/1909.05858)); the care for negative logits was added later. Distinct-n is
#   from Li et al. 2016 ([arXiv:1510.03055](https://arxiv.org/abs/1510.03055)).
# - Speculative decoding was found twice: Leviathan et al. 2023 ([arXiv:2211.17192](https://arxiv.org/abs/2211.17192)),
#   whose algorithm 1 is your `verify_drafts`, and Chen et al. 2023
#   ([arXiv:2302.01318](https://arxiv.org/abs/2302.01318)). Drafts from the model's own first blocks work once the model
#   is trained for it: Elhoushi et al. 2024 ([arXiv:2404.16710](https://arxiv.org/abs/2404.16710)).
# - `gemini_workshop/generation/plain.py` has your three decoders. `sampling.py` beside it has your filters, and
#   `decode.py`, `beam_search.py` and `speculative.py` do the same for batches. `gemini-workshop generate` has an option
#   for each of them.
# - How Gemini decodes is not published. Its API has long offered temperature, top-p, top-k and a JSON schema for the
#   answer.
#
# ## Stretch · a better draft for free
#
# A story repeats itself. So guess that the text continues as it did after the *previous occurrence* of its last two
# tokens (`PromptLookup` in `speculative.py` does that). Such a draft has no probabilities: what is $q$? Write it, put
# it into `speculate` in place of the table, and compare tokens per pass, at temperature 0 and at 1, on the prompt that
# gets stuck.


# %%
def look_up(text, number):
    """The tokens that followed the previous occurrence of the last two, at most so many."""
    return []  # yours goes here


print("drafts:", look_up(ids_of("Tom saw a dog. Tom saw"), 4))
