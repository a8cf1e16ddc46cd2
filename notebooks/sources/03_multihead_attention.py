# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "03"
#     title: Multi-head attention
#     part: part2_fundamentals
#     kind: pair
#     minutes: 75
#     budget_seconds: 60
#     requires: ["02"]
# ---

# %% [markdown]
# # 03 · Multi-head attention
#
# **75 minutes** · builds on 02
#
# After this lesson you can
#
# - say what one head makes hard, however wide it is, and show it,
# - split channels into heads and merge them again without mixing up tokens,
# - write multi-head attention, for a text that looks at itself and for one that looks at another,
# - count its parameters,
# - find out what a head of a trained model does, by measuring.
#
# You write three functions and a class. Each comes with a check; `hint("03.1")` helps, `solution("03.1")` shows an
# answer once you have tried.
#
# **In a hurry?** Sections 1 to 4 are the core; lesson 06 needs what you write there. Section 5 trains models to show why
# heads pay off, section 6 looks for heads in a real model: read them for their figures. How `Reader` and `train` are
# written is not needed anywhere else.

# %%
import math

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.devices import pick_device
from gemini_workshop.evaluation.interpretability.heads import (
    attention_maps,
    head_costs,
    induction_scores,
    previous_token_scores,
)
from gemini_workshop.exercises import check, hint, quiz, solution
from gemini_workshop.models.attention import attention_weights, scaled_dot_product_attention
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization import heads as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import IntSlider
from jaxtyping import Bool, Float
from torch import Tensor, nn

use_theme()
device = pick_device()
rng = torch.Generator().manual_seed(3)
torch.manual_seed(3)  # nn.Linear draws from torch's own generator
model, tokenizer = load_pretrained(device=device)

# %% [markdown]
# ## 1 · Two questions at once
#
# Three children, three ages. A key says who, a value says how old. In lesson 02 a query found one value. Here it asks
# for two: it is the sum of Lily's key and Tom's, so that both match. *How old is Lily, and how old is Tom?*
#
# **Predict before you run:** what comes out for Lily 4, Tom 8? And for Lily 8, Tom 4?

# %%
keys = torch.eye(3)  # Lily, Tom, Mia
query = 20 * (keys[0] + keys[1])[None]  # sharp enough to leave Mia out

for ages in ([4.0, 8.0, 5.0], [8.0, 4.0, 5.0]):
    values = torch.tensor(ages)[:, None]
    answer = scaled_dot_product_attention(query, keys, values).item()
    print(f"Lily {ages[0]:.0f}, Tom {ages[1]:.0f}: the answer is {answer:.2f}")
    assert abs(answer - 6) < 0.01

# %% [markdown]
# Six, both times: half of one and half of the other. With equal weights two different worlds give the same answer. So
# tilt the query a little towards Tom. **Predict:** do the two worlds still look the same?

# %%
tilted = 20 * (keys[0] + 1.01 * keys[1])[None]
for ages in ([4.0, 8.0, 5.0], [8.0, 4.0, 5.0]):
    answer = scaled_dot_product_attention(tilted, keys, torch.tensor(ages)[:, None]).item()
    print(f"Lily {ages[0]:.0f}, Tom {ages[1]:.0f}: the answer is {answer:.2f}")
    assert 0.05 < abs(answer - 6) < 0.5

# %% [markdown]
# Now they differ a little. Nothing is lost for good, but the two ages are *mixed*, in one number, and whatever comes
# next has to unmix them. More channels alone do not help: a query has *one* set of attention weights, and every channel
# of the values is averaged with it. Section 5 measures how hard the unmixing is.
#
# Two questions ask for two sets of weights. So: two queries, each with keys and values of its own. And so that this
# costs nothing, split the channels that are there: the first half asks for Lily, the second half for Tom. Each piece,
# with the attention that happens in it, is called a **head**.

# %% [markdown]
# ## 2 · Splitting channels into heads
#
# ### Exercise 03.1 · `split_heads` (8 minutes)
#
# Queries come as a tensor of shape (B, T, H · C): B texts, T tokens, and for each token one row of channels. Split the
# row into H pieces of C neighbouring channels. Head 0 gets the first piece of *every* token, head 1 the second:
#
# ```
# one text, tokens 0 and 1, four channels        head 0        head 1
#     0   1   2   3                               0   1         2   3
#    10  11  12  13                              10  11        12  13
# ```
#
# Attention works on the last two axes, and they have to be (tokens, channels). So the heads come before the tokens,
# next to the texts of the batch, which attention keeps apart anyway: (B, H, T, C).


# %%
def split_heads(x: Float[Tensor, "B T HC"], num_heads: int) -> Float[Tensor, "B H T C"]:
    """Split every token's channels into equal pieces, one for each head; head h gets the h-th piece."""
    # SOLUTION
    # 1. Split the last axis into two: which head, and which channel of that head.
    pieces = x.unflatten(-1, (num_heads, -1))
    # 2. Move the heads before the tokens.
    return pieces.transpose(1, 2)
    # END SOLUTION


# %% tags=["check"]
split_heads = check("03.1", split_heads)

# %% [markdown]
# There is a shorter way that gives the right shape: `x.view(B, H, T, C)`. Here it is next to yours. Each number
# names its token and its channel, 12 for token 1, channel 2, and each token has its own color. A head should see
# every token.

# %% tags=["expected"]
numbered = 10.0 * torch.arange(4)[:, None] + torch.arange(6)  # 4 tokens, 6 channels
right = split_heads(numbered[None], num_heads=2)[0]
by_view = numbered.view(2, 4, 3)
figure = figures.split_into_heads(numbered, {"split_heads": right, "view alone": by_view})

assert right.shape == by_view.shape
assert all(set((head // 10).flatten().tolist()) == {0, 1, 2, 3} for head in right)
assert set((by_view[0] // 10).flatten().tolist()) == {0, 1}

# %% [markdown]
# `view` does not move numbers, it only counts them differently. In the lower row head 0 is made of tokens 0 and 1 and
# never meets the others, and what it takes for four tokens are halves of two. Nothing complains: the shape is right.
#
# **Predict:** with heads split by `view` and a causal mask, does the future stay hidden? Below, the last of four tokens
# is changed, and we look at the outputs of the first three.


# %%
def first_outputs_that_move(split, merge):
    x = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[0, -1] += 1.0
    outputs = []
    for text in (x, changed):
        heads = split(text)
        outputs.append(
            merge(scaled_dot_product_attention(heads, heads, heads, causal_mask(4, 4)))
        )
    return [t for t in range(3) if (outputs[0] != outputs[1])[0, t].any()]


split_correctly = first_outputs_that_move(
    split=lambda x: split_heads(x, 2), merge=lambda h: h.transpose(1, 2).flatten(2)
)
split_by_view = first_outputs_that_move(
    split=lambda x: x.view(1, 2, 4, 3), merge=lambda h: h.transpose(1, 2).flatten(2)
)
print("token 3 changed; outputs of earlier tokens that moved")
print("   heads split by split_heads:", split_correctly)
print("   heads split by view:       ", split_by_view)
assert split_correctly == []
assert split_by_view == [2]

# %% [markdown]
# Output 2 now depends on token 3. In training such a model peeks at what it should predict; when it generates, there is
# nothing to peek at. The shape was never wrong.
#
# ### Exercise 03.2 · `merge_heads` (5 minutes)
#
# After attention, every token has found something in each head. Put the pieces side by side again, in the order of
# the heads. **Predict:** why is `x.view(B, T, H * C)` alone not enough?


# %%
def merge_heads(x: Float[Tensor, "B H T C"]) -> Float[Tensor, "B T HC"]:
    """Put what the heads found side by side again: undo `split_heads`."""
    # SOLUTION
    # 1. Move the heads back to the channels.
    pieces = x.transpose(1, 2)
    # 2. Merge the last two axes into one.
    return pieces.flatten(2)
    # END SOLUTION


# %% tags=["check"]
merge_heads = check("03.2", merge_heads)

# %% [markdown]
# The heads of the numbered text from above, merged by your function and by `view` alone:

# %% tags=["expected"]
heads = split_heads(numbered[None], num_heads=2)
print("token 0, merge_heads:", merge_heads(heads)[0, 0].tolist())
print("token 0, view alone: ", heads.contiguous().view(1, 4, 6)[0, 0].tolist())
assert torch.equal(merge_heads(heads)[0], numbered)
assert heads.contiguous().view(1, 4, 6)[0, 0, 3] == 10

# %% [markdown]
# By `view`, token 0 gets what head 0 found for tokens 0 *and* 1, and nothing of head 1: again it is the right shape.
#
# Now the two questions of section 1 again. The six channels of each vector are split into two heads of three: in the
# first piece the query asks for Lily, in the second for Tom.

# %%
keys_twice = torch.cat([keys, keys], dim=-1)[None]  # (1, 3, 6)
query_twice = 20 * torch.cat([keys[0], keys[1]])[None, None]  # (1, 1, 6): Lily first, then Tom

for ages in ([4.0, 8.0, 5.0], [8.0, 4.0, 5.0]):
    values_twice = torch.tensor(ages)[None, :, None].expand(
        1, 3, 2
    )  # one channel for each head
    found = scaled_dot_product_attention(
        split_heads(query_twice, 2), split_heads(keys_twice, 2), split_heads(values_twice, 2)
    )
    first, second = merge_heads(found)[0, 0].tolist()
    print(
        f"Lily {ages[0]:.0f}, Tom {ages[1]:.0f}: the answers are {first:.2f} and {second:.2f}"
    )
    assert abs(first - ages[0]) < 0.01
    assert abs(second - ages[1]) < 0.01

# %% [markdown]
# ## 3 · A layer that learns what to ask
#
# By hand we chose what each head asks. In a model three matrices choose: one makes the queries of all heads at once,
# one the keys, one the values. A fourth, the **output** matrix, combines what the heads found:
#
# $$\text{head}_h = \text{attention}(x\,Q_h,\; y\,K_h,\; y\,V_h) \qquad
#   \text{MultiHead}(x, y) = [\text{head}_1 \dots \text{head}_H]\; O$$
#
# $Q_h$, $K_h$, $V_h$ are the columns that make head $h$'s piece. $x$ is what asks and $y$ what is looked at. In
# **self-attention** both are the same text. In **cross-attention** they are different: a question and a text, a caption
# and an image.
#
# The whole layer, from the bottom to the top, with the shape of what flows along each arrow. B texts, T tokens that ask,
# S tokens that are looked at, D channels of a token; H heads of C channels, side by side HC.

# %%
figure = figures.layer_shapes("Split, attend in every head at once, merge")

# %% [markdown]
# ### Exercise 03.3 · `MultiHeadAttention` (15 minutes)
#
# Two gaps. `__init__` makes the four matrices; `nn.Linear(m, n, bias=False)` is a matrix from m to n numbers, and all
# heads together are as wide as a token. `forward` uses your two functions and `scaled_dot_product_attention`, which
# takes heads and texts alike as axes in front.


# %%
class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each with queries, keys and values of its own.

    Its parameters are the matrices `query`, `key`, `value` and `output`, without biases; cells below read them by
    these names.
    """

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        # SOLUTION
        # 1. Four matrices, each from the width of a token to that of all heads together or back.
        self.query = nn.Linear(embed_dim, embed_dim, bias=False)
        self.key = nn.Linear(embed_dim, embed_dim, bias=False)
        self.value = nn.Linear(embed_dim, embed_dim, bias=False)
        self.output = nn.Linear(embed_dim, embed_dim, bias=False)
        # END SOLUTION

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        context: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "*#B T S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token of `x` gather from the context.

        Args:
            context: what is looked at; `x` itself, if left out.
            mask: True where token t may look at context token s; everywhere, if left out.
        """
        # SOLUTION
        # 1. Without a context, x looks at itself.
        context = x if context is None else context
        # 2. Queries, keys and values, each split into heads. Which of them come from x?
        query = split_heads(self.query(x), self.num_heads)
        key = split_heads(self.key(context), self.num_heads)
        value = split_heads(self.value(context), self.num_heads)
        # 3. Attend, in all heads at once.
        found = scaled_dot_product_attention(query, key, value, mask)
        # 4. Put the heads side by side and let the output matrix combine them.
        return self.output(merge_heads(found))
        # END SOLUTION


# %% tags=["check"]
MultiHeadAttention = check("03.3", MultiHeadAttention)

# %% [markdown]
# PyTorch has this layer too. It keeps three matrices in one, and in its mask True means *hidden*; with the same
# numbers in the matrices it has to give the same output.

# %%
mine = MultiHeadAttention(embed_dim=12, num_heads=3)
theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
with torch.no_grad():
    theirs.in_proj_weight.copy_(
        torch.cat([mine.query.weight, mine.key.weight, mine.value.weight])
    )
    theirs.out_proj.weight.copy_(mine.output.weight)

x, mask = torch.randn(2, 5, 12, generator=rng), causal_mask(5, 5)
expected, _ = theirs(x, x, x, attn_mask=~mask)
assert torch.allclose(mine(x, mask=mask), expected, atol=1e-5)
print("yours and PyTorch's: equal")

# %% [markdown]
# ### One text looks at another
#
# A question and a text, as the pretrained model's own embeddings: nothing is learned about the task, and a head
# compares raw pieces of vectors. Your `split_heads` splits the width of an embedding into eight heads. **Predict:**
# what shape does one head's map have, and where does " red" look?


# %% tags=["expected"]
def embedded(text):
    ids = torch.tensor(tokenizer.encode(text), device=device)
    vectors = model.embedding.weight[ids].detach().cpu()
    vectors = 1.5 * vectors / vectors.std(dim=-1, keepdim=True)  # 1.5: a little sharper
    return vectors[None], [tokenizer.decode([int(i)]) for i in ids]


question, asking = embedded("Who has the red ball?")
text, looked_at = embedded("Tom has a blue hat. Lily has a red ball.")
weights = attention_weights(split_heads(question, 8), split_heads(text, 8))[0]
figure = figures.attention_lines(weights[0], asking, looked_at, "Head 0 of 8, nothing learned")

assert weights.shape == (8, len(asking), len(looked_at))
red = weights[:, asking.index(" red")].argmax(-1)
assert (red == looked_at.index(" red")).sum() >= 6
print(f"the map of one head: {len(asking)} rows, {len(looked_at)} columns")
print(f'" red" finds " red" in {int((red == looked_at.index(" red")).sum())} of 8 heads')

# %% [markdown]
# One row for each token that asks, one column for each that is looked at: the map need not be square, and no mask is
# needed, because a question may read the whole text. Even an eighth of the channels is enough to tell one word from
# another. What the pieces cannot do yet is find an *answer*: for that, queries have to ask for something other than
# the token itself. That is what the matrices learn in section 5.

# %% [markdown]
# ## 4 · What it costs
#
# **Predict:** a layer with one head of 512 channels, and one with eight heads of 64. How many times more parameters does
# the second have?
#
# ### Exercise 03.4 · `attention_parameters` (5 minutes)
#
# Count the numbers in the four matrices, without biases. Most models make all heads together as wide as a token, and
# not all do: here `head_dim` is given.


# %%
def attention_parameters(embed_dim: int, num_heads: int, head_dim: int) -> int:
    """Numbers in the four matrices of multi-head attention without biases."""
    # SOLUTION
    # 1. How wide are all heads together?
    all_heads = num_heads * head_dim
    # 2. Three matrices lead there, one leads back.
    return 3 * embed_dim * all_heads + all_heads * embed_dim
    # END SOLUTION


# %% tags=["check"]
attention_parameters = check("03.4", attention_parameters)

# %%
for num_heads in (1, 2, 8, 64):
    count = attention_parameters(512, num_heads, head_dim=512 // num_heads)
    print(f"{num_heads:2d} heads of {512 // num_heads:3d} channels: {count:,} parameters")
    layer = MultiHeadAttention(512, num_heads)
    assert count == sum(p.numel() for p in layer.parameters()) == 4 * 512**2

# %% [markdown]
# The same, four times the width squared: the number of heads cancels. It cancels in the multiplications too. A score
# is a sum over one head's channels, so eight heads make eight times as many scores, each from an eighth of the
# channels. Heads are a way to *divide* what is there. So the only question is whether dividing pays off.

# %% [markdown]
# ## 5 · One head against eight
#
# A task that needs two look-ups. A text gives six children one color each; a question names two of them:
#
# > Tom green · Mia red · Lily blue · Ben red · Sam white · Zoe green   —   **Lily? Sam?** → blue, white
#
# The question is *one* token, the sum of "first: Lily" and "second: Sam". It looks at the text by cross-attention, and
# one last matrix reads both answers from what comes back. There are twelve names and eight colors, so a guess is right
# once in eight times.
#
# What follows is a little apparatus: texts, a model, a training loop. Skim it; the result is in the figure.
#
# Three models, each trained with three different seeds: one head of 32 channels; eight heads of 4 channels, with
# exactly as many parameters; and one head of 128 channels, with sixteen times as many in its attention. **Predict**
# for each: of the two questions, how often is the one right that it answers better, and how often the other?

# %%
NUM_NAMES, NUM_COLORS, NUM_CHILDREN = 12, 8, 6


def make_texts(count, generator):
    """Names, their colors, which two of the children are asked for, and the right answers."""
    names = torch.rand(count, NUM_NAMES, generator=generator).argsort(-1)[:, :NUM_CHILDREN]
    colors = torch.randint(NUM_COLORS, (count, NUM_CHILDREN), generator=generator)
    asked = torch.rand(count, NUM_CHILDREN, generator=generator).argsort(-1)[:, :2]
    return names, colors, asked, colors.gather(1, asked)


class Reader(nn.Module):
    """Looks two things up; a matrix reads the answers or, with `hidden` units, two matrices and a ReLU."""

    def __init__(self, embed_dim, num_heads, hidden=0):
        super().__init__()
        self.name, self.first, self.second = (
            nn.Embedding(NUM_NAMES, embed_dim) for _ in range(3)
        )
        self.color = nn.Embedding(NUM_COLORS, embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads)
        self.answers = nn.Linear(hidden or embed_dim, 2 * NUM_COLORS)
        self.before = nn.Sequential(nn.Linear(embed_dim, hidden), nn.ReLU()) if hidden else None

    def question_and_text(self, names, colors, asked):
        asked_names = names.gather(1, asked)
        question = self.first(asked_names[:, 0]) + self.second(asked_names[:, 1])
        return question[:, None], self.name(names) + self.color(colors)

    def forward(self, names, colors, asked):
        question, text = self.question_and_text(names, colors, asked)
        found = self.attention(question, context=text)  # one token asks, six are looked at
        found = found[:, 0] if self.before is None else self.before(found[:, 0])
        return self.answers(found).unflatten(-1, (2, NUM_COLORS))


def train(embed_dim, num_heads, seed, hidden=0, steps=250):
    """The trained model, how often both answers were right at each step, and each of them after.

    The answers come back with the better one first.
    """
    torch.manual_seed(seed)
    texts = torch.Generator().manual_seed(seed)
    reader = Reader(embed_dim, num_heads, hidden)
    optimizer = torch.optim.AdamW(
        reader.parameters(), lr=0.32 / max(embed_dim, 32), weight_decay=0.0
    )
    curve = []
    for _ in range(steps):
        *text, right = make_texts(64, texts)
        scores = reader(*text)
        loss = F.cross_entropy(scores.flatten(0, 1), right.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float((scores.argmax(-1) == right).all(-1).float().mean()))
    *text, right = make_texts(2000, torch.Generator().manual_seed(999))
    with torch.no_grad():
        each = (reader(*text).argmax(-1) == right).float().mean(0)
    return reader, curve, sorted(each.tolist(), reverse=True)


# %% [markdown]
# Nine training runs; together they take some seconds.

# %% tags=["expected", "rounded"]
kinds = {"1 head, 32 wide": (32, 1), "1 head, 128 wide": (128, 1), "8 heads, 32 wide": (32, 8)}
trained = {
    kind: [train(width, num_heads, seed) for seed in (0, 1, 2)]
    for kind, (width, num_heads) in kinds.items()
}
curves = {kind: [curve for _, curve, _ in runs] for kind, runs in trained.items()}
answers = {kind: [each for _, _, each in runs] for kind, runs in trained.items()}
for kind, seeds in answers.items():
    pairs = ", ".join(f"{better:.1f} and {other:.1f}" for better, other in seeds)
    print(f"{kind:18s} right answers, better and other question, by seed: {pairs}")
figure = figures.two_look_ups(curves, answers)

for kind in ("1 head, 32 wide", "1 head, 128 wide"):
    assert all(better > 0.8 and other < 0.35 for better, other in answers[kind])
assert all(min(each) > 0.95 for each in answers["8 heads, 32 wide"])
assert attention_parameters(32, 1, 32) == attention_parameters(32, 8, 4)
assert attention_parameters(128, 1, 128) == 16 * attention_parameters(32, 8, 4)

# %% [markdown]
# One head answers *one* question, and the other little better than by guessing. Sixteen times the parameters do not
# change that. Eight heads, with as many parameters as the first model, answer both.
#
# Is it impossible for one head, then? No: *this reader* is one matrix, and no matrix can unmix. In a transformer, what
# attention found goes through a feed-forward layer (lesson 05), which is not linear. **Predict:** with one such layer
# between the head and the answers, how well does one head of 32 channels do?

# %% tags=["expected", "rounded"]
with_layer = [train(32, 1, seed, hidden=128) for seed in range(5)]
better, unmixed = max((each for _, _, each in with_layer), key=min)
print(f"1 head and a layer, the best of five runs: {better:.1f} and {unmixed:.1f}")
assert unmixed > max(other for _, other in answers["1 head, 32 wide"]) + 0.3
assert unmixed < min(min(each) for each in answers["8 heads, 32 wide"])

# %% [markdown]
# It can be done: in the mixture both answers are there, and a layer that bends can pull them apart again. It pays for
# that with parameters of its own, in this short training it does not get as far as the eight heads, and it need not work
# in every run. Where the head settles on one child alone before the layer has learned to unmix, there is nothing left to
# unmix (the cell after the next figure checks that). So the honest claim is: **one head hands on one mixture per token;
# several heads hand on several, and nothing has to be unmixed.**
#
# Here is where each head of one of the eight-headed models looks, for one text. The two children that are asked for
# are highlighted. (A head that looks elsewhere is not broken: nobody told it to be useful.)


# %% tags=["expected"]
@torch.no_grad()
def weights_of(reader, names, colors, asked):
    """Where the heads of a reader look: texts, heads, children."""
    layer = reader.attention
    question, text = reader.question_and_text(names, colors, asked)
    query = split_heads(layer.query(question), layer.num_heads)
    key = split_heads(layer.key(text), layer.num_heads)
    return attention_weights(query, key)[:, :, 0]


NAMES = ["Tom", "Mia", "Lily", "Ben", "Sam", "Zoe", "Max", "Eva", "Leo", "Amy", "Tim", "Ann"]
COLORS = ["red", "green", "blue", "white", "black", "brown", "pink", "grey"]
one_text = make_texts(1, torch.Generator().manual_seed(5))[:3]
names, colors, asked = (part[0].tolist() for part in one_text)

weights = weights_of(trained["8 heads, 32 wide"][0][0], *one_text)[0]
labels = [f"{NAMES[n]} {COLORS[c]}" for n, c in zip(names, colors, strict=True)]
title = f"Asked for {NAMES[names[asked[0]]]} first and {NAMES[names[asked[1]]]} second"
figure = figures.weights_by_head(weights, labels, asked, title)

# %% [markdown]
# That is a single example. Over a thousand texts, and for all nine models: how much weight does each head give to the
# child asked for first, and how much to the second?

# %%
*texts, _ = make_texts(1000, torch.Generator().manual_seed(6))
wanted = texts[2][:, None, :]  # which two children are asked for


def given_to_first_and_second(reader):
    """Mean weight that each head gives to the two children asked for: heads, 2."""
    weights = weights_of(reader, *texts)
    return weights.gather(2, wanted.expand(-1, weights.shape[1], -1)).mean(0)


for kind, runs in trained.items():
    given = [given_to_first_and_second(reader) for reader, _, _ in runs]
    if kind.startswith("1 head"):
        favors_one = [bool(weights.max() > 1.5 * weights.min()) for weights in given]
        print(f"{kind}: favors one of the two children in {sum(favors_one)} of 3 runs")
        assert all(favors_one)
    else:
        two_heads = [
            bool(weights[:, 0].argmax() != weights[:, 1].argmax()) for weights in given
        ]
        print(f"{kind}: a different head for each child in {sum(two_heads)} of 3 runs")
        assert all(two_heads)
        assert all(weights.amax(0).min() > 0.6 for weights in given)

for reader, _, (_, other) in with_layer:  # the single heads that are read by a layer
    less = float(given_to_first_and_second(reader).min())
    if less < 0.05:
        assert other < 0.35, "not even a layer can read a child that is hardly looked at"
    if less > 0.15:
        assert other > 0.4

# %% [markdown]
# The single heads chose to favor somebody: in each of the six runs one of the two children gets clearly more weight than
# the other, on average the one named first or the one named second. Which one differs from seed to seed. Among eight
# heads one looks at the first child and *another* at the second, in every run. Nobody assigned them.
#
# If eight heads are better than one here, are more always better? The width stays at 32. **Predict:** how often is the
# worse question answered by 2 heads of 16 channels, and by 32 heads of one channel?

# %% tags=["expected", "rounded"]
worse_answer = {1: min(answers["1 head, 32 wide"][0]), 8: min(answers["8 heads, 32 wide"][0])}
worse_answer |= {num_heads: min(train(32, num_heads, seed=0)[2]) for num_heads in (2, 16, 32)}
for num_heads, right in sorted(worse_answer.items()):
    print(f"{num_heads:2d} heads: {right:.2f}")
figure = figures.too_many_heads(dict(sorted(worse_answer.items())))

assert worse_answer[2] > 0.95
assert worse_answer[32] < worse_answer[8] - 0.1

# Whatever a head of one channel asks, of these six keys it can only point at the smallest or the largest:
six_keys = torch.randn(6, 1, generator=rng)
points_at = attention_weights(torch.randn(1000, 1, generator=rng), six_keys).argmax(-1)
assert set(points_at.tolist()) == {int(six_keys.argmin()), int(six_keys.argmax())}

# %% [markdown]
# Two heads are enough for two questions, and 32 are too many. A head of one channel compares two numbers by multiplying
# them. For such a head all children lie on one line, and the largest weight always goes to one of the two ends: it
# cannot point at anyone in the middle. There must be enough heads to ask, and each must be wide enough to tell keys
# apart.

# %% [markdown]
# ## 6 · What heads of a language model do
#
# Back to the pretrained model, which was never trained to look anything up. Look at the sentence through each of its
# heads. The sliders open on one that is easy to describe; find another.

# %%
sentence = "Lily gave Tom her red ball because he was sad. Tom gave Lily a hug."
ids = torch.tensor(tokenizer.encode(sentence), device=device)
tokens = [tokenizer.decode([int(i)]) for i in ids]
maps = attention_maps(model, ids)  # layers, heads, queries, keys
num_layers, num_heads = maps.shape[:2]
opens_on = divmod(int(previous_token_scores(maps).argmax()), num_heads)


def draw_head(layer, head):
    score = previous_token_scores(maps[layer, head])
    title = f"Layer {layer}, head {head}: {score:.2f} to the token before"
    return figures.attention_lines(maps[layer, head], tokens, tokens, title)


explore(
    draw_head,
    layer=IntSlider(value=opens_on[0], max=num_layers - 1),
    head=IntSlider(value=opens_on[1], max=num_heads - 1),
)

# %% [markdown]
# A description made from one sentence is a guess. Two kinds of head can be identified by a number.
#
# A **previous-token head** looks one step back, whatever is there. Its score is the attention weight that it gives to
# the token before, averaged over many tokens.
#
# An **induction head** does something cleverer. When a token has occurred before, it looks at *what came next the last
# time*: in "Lily laughed ... Lily" the second "Lily" looks at "laughed". To score it, take words in random order and
# read them twice. No grammar and no story helps then, and the right place to look is known.
#
# **Predict:** the model has learned from stories. Does it predict random words better when it reads them for the
# second time? By how many nats per token? And if the second half holds *other* random words, or the same ones in another
# order? (A **nat** is the unit of the loss: a loss of $n$ nats means that the right token was given a probability of
# $e^{-n}$.)

# %% tags=["expected"]
stories = load_documents("stories")[:40]
all_ids = torch.tensor([i for story in stories for i in tokenizer.encode(story)])
period = 24
random_words = all_ids[torch.randint(len(all_ids), (16, period), generator=rng)].to(device)
twice = random_words.repeat(1, 2)  # each row: 24 random words, and the same again


def loss_of_second_reading(scores, token_ids):
    return F.cross_entropy(
        scores[:, period:-1].flatten(0, 1), token_ids[:, period + 1 :].flatten()
    )


with torch.no_grad():
    scores = model(twice)
first = F.cross_entropy(
    scores[:, : period - 1].flatten(0, 1), twice[:, 1:period].flatten()
).item()
second = loss_of_second_reading(scores, twice).item()
all_alike = math.log(model.config.vocab_size)
print(f"first reading {first:.1f} nats per token, second reading {second:.1f}")

other_rng = torch.Generator().manual_seed(4)
four_times = random_words.cpu().repeat(4, 1)
other_words = all_ids[torch.randint(len(all_ids), four_times.shape, generator=other_rng)]
shuffled = four_times.gather(1, torch.rand(four_times.shape, generator=other_rng).argsort(1))
controls = {}
for name, half in {"other words": other_words, "the same words, shuffled": shuffled}.items():
    text = torch.cat([four_times, half], dim=1).to(device)
    with torch.no_grad():
        controls[name] = loss_of_second_reading(model(text), text).item()
    print(f"instead of the second reading, {name}: {controls[name]:.1f}")
print(f"if all {model.config.vocab_size:,} tokens were equally likely: {all_alike:.1f}")
assert second < controls["the same words, shuffled"] - 0.1 < controls["other words"]
assert abs(controls["other words"] - first) < 0.6
assert first > second > all_alike

# %% [markdown]
# It does, and not because it has warmed up: other words are about as hard as the first ones. And the order matters: the
# same words in another order are harder. (In the first reading it does worse than by guessing: it expects a story, and is
# sure of words that do not come. So it does in the second: compare it with the last line.)
#
# Something in the model looks back. Which heads? And are they the same as those that look one step back?

# %% tags=["expected"]
batch = [torch.tensor(tokenizer.encode(story)[:64], device=device) for story in stories[:12]]


def both_scores(any_model):
    """Layers by heads: previous-token score on stories, induction score on repeated random words."""
    previous = torch.stack([previous_token_scores(attention_maps(any_model, t)) for t in batch])
    induction = torch.stack(
        [induction_scores(attention_maps(any_model, t), period) for t in twice]
    )
    return previous.mean(0), induction.mean(0)


previous, induction = both_scores(model)
looks_back = divmod(int(previous.argmax()), num_heads)
looks_up = divmod(int(induction.argmax()), num_heads)
figure = figures.head_scores({"to the token before": previous, "to what came next": induction})

# What a head scores that gives the same weight to all it may see, and what an untrained model does:
even = (1 / torch.arange(period + 1.0, 2 * period + 1)).mean()
untrained = Transformer(model.config, torch.Generator().manual_seed(0)).to(device)
untrained_previous, untrained_induction = both_scores(untrained)
print(f"the best previous-token head gives {previous.max():.0%} to the token before,")
print(f"in an untrained model {untrained_previous.max():.0%}")
print(f"the best induction head gives {induction.max():.0%} to what came next,")
print(f"in an untrained model {untrained_induction.max():.0%}; equal weights: {even:.0%}")
assert previous.max() > 0.3
assert induction.max() > 1.5 * even
assert untrained_previous.max() < 0.15
assert untrained_induction.max() < 1.35 * even
assert looks_back[0] < looks_up[0]

# %% [markdown]
# Both kinds are there, nobody asked for them, and an untrained model of the same shape has neither. Ours is a small
# model, and its induction head a weak one: how much of its attention goes to the right place is printed above. The two
# are different heads, and the one that looks one step back is in a *lower* layer. Olsson et al. (below) explain why: to
# find "what came next the last time", a token can carry a note of what came before it; a previous-token head writes that
# note, and the induction head, further up, searches for it.
#
# So far this is a hypothesis. It makes a prediction that can fail: the induction head depends on heads *below* it that
# look one step back. Replace each head below in turn by plain averaging, and see how much of the induction score is
# left. **Predict:** what should the figure look like if the hypothesis is right?


# %% tags=["expected"]
def induction_without(*heads):
    """What is left of the best induction head's score when these heads average."""
    maps = [attention_maps(model, text, averaging=heads)[looks_up] for text in twice[:8]]
    return float(induction_scores(torch.stack(maps), period).mean())


whole = induction_without()
below = [(layer, head) for layer in range(looks_up[0]) for head in range(num_heads)]
left = torch.tensor([induction_without(head) / whole for head in below])
steps_back = torch.tensor([float(previous[head]) for head in below])
figure = figures.served_by(steps_back, left)

by_score = steps_back.argsort(descending=True).tolist()
without_three = induction_without(*(below[i] for i in by_score[:3])) / whole
without_others = induction_without(*(below[i] for i in by_score[-3:])) / whole
print("left of the induction score")
print(f"   without the three heads that look back most:  {without_three:.0%}")
print(f"   without the three heads that look back least: {without_others:.0%}")

# Is it only that these three are heads which the model needs for everything? Take the next most needed ones instead:
on_stories = head_costs(
    model,
    torch.stack(batch),
    lambda logits, t: F.cross_entropy(logits[:, :-1].flatten(0, 1), t[:, 1:].flatten()),
)
needed = [head for head in below if head not in [below[i] for i in by_score[:3]]]
needed = sorted(needed, key=lambda head: float(on_stories[head]), reverse=True)[:3]
without_needed = induction_without(*needed) / whole
print(f"   without the three others that the stories need most: {without_needed:.0%}")
assert without_three < min(without_needed, without_others) - 0.1
assert torch.corrcoef(torch.stack([steps_back, left]))[0, 1] < -0.4
assert left.argmin() in by_score[:3]

# %% [markdown]
# The hypothesis passes its test: taking away the heads that look back most costs the induction head more than taking away
# those that look back least, or others that matter to the model. The points show that it is not the whole story. Does
# *every* head at the right matter to it? A head there that does not matter to it serves something else, or nothing. Heads
# of different layers work together, and no single map would have shown it.
#
# And does the model *need* what the induction head finds? Lesson 02 had the measure: replace a head by averaging, and
# see what it costs. Here on the second reading only.

# %% tags=["expected"]
costs = head_costs(model, twice, loss_of_second_reading)
print(
    f"without the induction head: {costs[looks_up]:+.2f} nats per token in the second reading"
)
print(f"without the median head:    {costs.median():+.2f}")
assert costs[looks_up] > costs.median() + 0.05

# %% [markdown]
# It costs more than the median head does, on a text where the only order is that of the first reading.

# %% [markdown]
# ## Checkpoint

# %%
quiz("03")

# %% [markdown]
# ## Recap
#
# 1. One head gives each token one set of attention weights, and hands on one mixture of values.
# 2. Unmixing is possible for what is not linear, and hard; several heads make it unnecessary.
# 3. Heads are made by splitting the channels that are there, not by adding any.
# 4. Split: the last axis into (heads, channels), then the heads move before the tokens. Merging undoes both.
# 5. `view` alone gives the right shape and the wrong numbers, and the causal mask no longer protects the future.
# 6. Queries come from what asks, keys and values from what is looked at: the same text, or another one.
# 7. The output matrix lets every head write to every channel.
# 8. Parameters: four times the width squared, whatever the number of heads.
# 9. Too many heads are too narrow to tell keys apart.
# 10. What a head does is found by a score over many tokens, and by taking heads away; not by one pretty map.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: view size is not compatible with input tensor's size and stride</code></summary>
#
# After `transpose` the numbers lie in memory in another order than their axes say, and `view` does not move numbers.
# `reshape` and `flatten` do, where it is needed. First make sure that the axes are in the order that you mean.
# </details>
#
# <details>
# <summary><code>RuntimeError: unflatten: Provided sizes [5, -1] don't multiply up to the size of dim 2 (12) in the input tensor</code></summary>
#
# 12 channels cannot be split into 5 heads. The width has to be a multiple of the number of heads.
# </details>
#
# <details>
# <summary><code>RuntimeError: The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1</code></summary>
#
# Queries were split into 3 heads and keys into 2, or the heads stand at another place in one of them. Print the shapes:
# both should read (B, H, tokens, C).
# </details>
#
# <details>
# <summary><code>AttributeError: cannot assign module before Module.__init__() call</code></summary>
#
# A class of your own has to call `super().__init__()` before it gets its first layer: only then is there a place to put
# it.
# </details>
#
# ## From here to Gemini
#
# - Section 3.2.2 of Vaswani et al. 2017 ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)) is your class, with
#   eight heads of 64 channels; its table 3, rows A, varies the number of heads at equal cost as section 5 does.
# - At generation, the keys and values of all earlier tokens have to be kept and read again for every new one. So heads
#   came to *share* them: all of them in multi-query attention (Shazeer 2019,
#   [arXiv:1911.02150](https://arxiv.org/abs/1911.02150)), a few at a time in grouped-query attention (Ainslie et al.
#   2023, [arXiv:2305.13245](https://arxiv.org/abs/2305.13245)), which Gemma 3 uses and lesson 07 builds. The pretrained
#   model does it too: `GroupedQueryAttention` in `gemini_workshop/models/attention_layers.py`, which uses your two
#   functions.
# - `CrossAttention` in the same file is your class with a context. In lesson 09 text looks at images with it.
# - Induction heads: Olsson et al. 2022 ([arXiv:2209.11895](https://arxiv.org/abs/2209.11895)), who measure when in
#   training they appear. How many heads a trained model can do without: Michel et al. 2019
#   ([arXiv:1905.10650](https://arxiv.org/abs/1905.10650)).
# - Nothing in your layer knows how far apart two tokens are, and yet a head looks one step back. How can it? That is
#   lesson 04.
#
# ## Stretch · a layer is a sum over its heads
#
# The output matrix has a block of columns for each head. So the layer's output is a sum: what head 0 writes, plus what
# head 1 writes, and so on. Write `what_head_writes`; the test is ready. Then: which heads of a trained `Reader` can be
# left out, and how many at once, before an answer is lost?


# %%
def what_head_writes(layer, x, context, head):
    return (
        layer(x, context) / layer.num_heads
    )  # yours goes here: what this head alone adds to the output


layer = MultiHeadAttention(embed_dim=12, num_heads=3)
x, context = torch.randn(2, 5, 12, generator=rng), torch.randn(2, 7, 12, generator=rng)
parts = [what_head_writes(layer, x, context, head) for head in range(3)]
assert torch.allclose(sum(parts), layer(x, context), atol=1e-5)
with torch.no_grad():  # without its columns of the output matrix, a head writes nothing
    layer.output.weight[:, 8:] = 0.0
print("head 2 writes nothing:", bool(what_head_writes(layer, x, context, 2).abs().max() < 1e-6))
