# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "13"
#     title: The mini-Gemini project
#     part: part5_integration
#     kind: pair
#     minutes: 240
#     budget_seconds: 180
#     budget_megabytes: 3000
#     requires: ["06", "08", "09", "12"]
# ---

# %% [markdown]
# # 13 · The mini-Gemini project
#
# **Half a day** · builds on 06, 08, 09 and 12, and uses whatever else you have finished
#
# At the end of this project you have
#
# - a sparse, local and global, natively multimodal model that is made of your own parts where you have written them,
# - the proof that it computes what the package's model computes, and a report of which parts are yours,
# - a training run over images, audio, videos and stories at once,
# - a measurement in points, on data that no training has seen, for your model and for one that was trained for longer.
#
# The project has seven **milestones**: tokenizer, config, decoder, media, training, evaluation, generation. Each ends at
# a **gate**, a cell that looks at what you have built and says in words what is missing. You write seven functions.
#
# | you have | do |
# |---|---|
# | one hour | milestones 1, 5 and 7 with their exercises; run the rest and read it |
# | two hours | all seven exercises; run what is between them |
# | four hours | everything, then choose your own configuration, train it for ten times as many steps, and take up a challenge |

# %%
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist, mean

import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import (
    MediaConfig,
    ModelConfig,
    MoEConfig,
    RotaryConfig,
    TrainingConfig,
    load_config,
)
from gemini_workshop.data.media.dial_tones import SAMPLE_RATE, dial
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart
from gemini_workshop.data.media.encoding import MARKS, Encoded, MediaEncoder
from gemini_workshop.data.tasks import Example, find_task
from gemini_workshop.data.tasks.cards import show
from gemini_workshop.data.tasks.rows import TaskRows, document_of
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tasks.stories import Needle, Stories
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.abilities import answer, measure_abilities
from gemini_workshop.evaluation.floors import bits_per_byte
from gemini_workshop.evaluation.needle import NeedleResult
from gemini_workshop.evaluation.rubric import rubric_table, total_points
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.exercises.project import gates
from gemini_workshop.exercises.project.own_model import own_model
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.sampling import greedy
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.accounting import num_active_parameters, num_parameters
from gemini_workshop.models.attention import grouped_query_attention, softmax
from gemini_workshop.models.embeddings import (
    apply_rotary,
    rotary_cos_sin,
    rotary_frequencies,
)
from gemini_workshop.models.masks import causal_mask, sliding_window_mask
from gemini_workshop.models.moe import expert_loads, recorded_routing
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.normalization import unit_rms
from gemini_workshop.models.plain_moe import moe_forward, top_k_routing
from gemini_workshop.models.routing import expert_load, load_balancing_loss, router_z_loss
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.optimizers.build import make_optimizer
from gemini_workshop.training.plain_loop import clip_gradients
from gemini_workshop.training.schedule import cosine_schedule
from gemini_workshop.visualization.attention import influence
from gemini_workshop.visualization.evaluation import ability_bars, needle_heat_map
from gemini_workshop.visualization.media import image_grid, video_strip
from gemini_workshop.visualization.project import milestones, task_curves, where_parameters_are
from gemini_workshop.visualization.theme import use_theme
from jaxtyping import Float, Int
from torch import Tensor

use_theme()
reached = {}  # the gates of the milestones, as far as you have come


def through(gate):
    """Print what a gate says, and remember it."""
    reached[gate.name] = gate
    print(gate)


# Parts of the functions below that you wrote in earlier lessons on this computer; the package's replace the others.
split_heads, merge_heads = own_or(split_heads), own_or(merge_heads)
causal_mask, sliding_window_mask = own_or(causal_mask), own_or(sliding_window_mask)
grouped_query_attention, apply_rotary = own_or(grouped_query_attention), own_or(apply_rotary)
top_k_routing, moe_forward = own_or(top_k_routing), own_or(moe_forward)
cross_entropy, clip_gradients = own_or(cross_entropy), own_or(clip_gradients)
expert_load, load_balancing_loss = own_or(expert_load), own_or(load_balancing_loss)
router_z_loss, cosine_schedule = own_or(router_z_loss), own_or(cosine_schedule)
bits_per_byte, greedy = own_or(bits_per_byte), own_or(greedy)

# %% [markdown]
# ## Milestone 1 · The tokenizer
#
# The model learns from four **tasks**. Each gives as many examples as you like, and holds some back that are never in
# training: other images, other numbers, other stories.

# %%
TASKS = {
    "digits": find_task("digits"),
    "dial-tones": find_task("dial-tones"),
    "films": find_task("films"),
    "stories": Stories(corpora=("stories",)),
}
for name, task in TASKS.items():
    print(f"--- {name}: {len(task)} held-out examples")
    print(show(task.example(1, "heldout"))[:110])

digits = [TASKS["digits"].example(i, "heldout") for i in range(8)]
figure = image_grid(
    torch.stack([example.prompt[0].image for example in digits]),
    [example.answer for example in digits],
    title="Images that are held out, and the answers that are expected",
)

# %% [markdown]
# Everything is text with media in between, and the answer is text. So one vocabulary is learned from the texts of all
# tasks (lesson 10), and seven **special tokens** are added to it, the **marks**: where an image begins and ends, a place
# for each of its patches, the same for audio, and the end of a turn.

# %%
texts = []
for task in TASKS.values():
    for i in range(200):
        example = task.example(i, "train")
        texts += [part.text for part in example.prompt if isinstance(part, TextPart)]
        texts.append(example.answer)

VOCAB_SIZE = 512
tokenizer = BPETokenizer.train(texts, VOCAB_SIZE, special_tokens=MARKS)
mark_ids = {name.strip("<|>"): number for name, number in tokenizer.special_tokens.items()}
mark_ids["end_of_text"] = tokenizer.end_of_text_id
print(
    {
        name: mark_ids[name]
        for name in ("end_of_text", "image_start", "image", "image_end", "turn_end")
    }
)

# %% [markdown]
# How do the marks get into a text? The obvious way: write `<|image|>` wherever a patch belongs, and let the tokenizer
# turn each such piece into its mark. **Predict before you run:** somebody asks about an image, and has seen that
# spelling somewhere.


# %%
def naive_ids(text):
    """Every mark that is spelled out in the text becomes its id."""
    for mark in MARKS:
        text = text.replace(mark, f"\0{mark}\0")
    pieces = [piece for piece in text.split("\0") if piece]
    return [
        i
        for piece in pieces
        for i in ([mark_ids[piece.strip("<|>")]] if piece in MARKS else tokenizer.encode(piece))
    ]


typed = "<|image_start|>" + 4 * "<|image|>" + "<|image_end|>" + "What does <|image|> mean?"
num_places = naive_ids(typed).count(mark_ids["image"])
print(f"an image of 4 patches, {num_places} places for patches")
assert num_places == 5
assert mark_ids["image"] not in tokenizer.encode("What does <|image|> mean?")

# %% [markdown]
# A fifth place, for which there is no patch: the program stops, or worse, a text has put words into the mouth of the
# system. So marks are never spelled. `tokenizer.encode` makes ordinary letters of that text, and the program that builds
# a question puts in the ids itself:
#
# ```text
# end_of_text   image_start image image image image image_end   Which digit is this?   turn_end
# ```
#
# ### Exercise 13.1 · `question_ids` (8 minutes)
#
# The parts come in reading order. A text is encoded by itself; a medium is given as its kind, "image" or "audio", and
# the number of its places.


# %%
def question_ids(
    parts: Sequence[str | tuple[str, int]],
    encode: Callable[[str], list[int]],
    marks: Mapping[str, int],
) -> list[int]:
    """The token ids of a question, with the places that it holds for its images and audio.

    Args:
        parts: in reading order: a text, or a medium ("image" or "audio") with the number of its places.
        encode: from a text to its tokens.
        marks: ids of "end_of_text", "turn_end", and of "image_start", "image", "image_end", the same for "audio".
    """
    # SOLUTION
    # 1. A question begins where the text before it ends.
    ids = [marks["end_of_text"]]
    # 2. Part by part: the tokens of a text, or the start of a medium, its places and its end.
    for part in parts:
        if isinstance(part, str):
            ids += encode(part)
        else:
            kind, places = part
            ids += [marks[f"{kind}_start"], *[marks[kind]] * places, marks[f"{kind}_end"]]
    # 3. The answer follows.
    return [*ids, marks["turn_end"]]
    # END SOLUTION


# %% tags=["check"]
question_ids = check("13.1", question_ids)

# %% [markdown]
# The first held-out digit as a question. An image of 16 x 16 pixels, in patches of 8 x 8, takes four places. The
# package's encoder, which reads files as well, gives the same ids.

# %% tags=["expected"]
names = {number: name for name, number in mark_ids.items()}
media_config = MediaConfig(
    image_token_id=mark_ids["image"], audio_token_id=mark_ids["audio"], patch_dim=64
)
encoder = MediaEncoder(tokenizer, media_config)
ids = question_ids([("image", 4), digits[0].prompt[1].text], tokenizer.encode, mark_ids)
print(" ".join(names.get(i, repr(tokenizer.decode([i]))) for i in ids))
assert ids == encoder.question(digits[0].prompt).ids

# %% [markdown]
# **The gate.** Texts have to come back as they were, no text may make a mark, and the vocabulary has to be worth its
# place: few tokens per byte.

# %%
held_out = [TASKS["stories"].example(i, "heldout").answer for i in range(20)]
through(gates.tokenizer_gate(tokenizer, held_out))

# %% [markdown]
# ## Milestone 2 · The configuration
#
# The model that ships with the course, `mini-gemini`, has eight experts in each sparse layer, and a token goes to two
# of them, and to one that every token meets. **Predict:** of all its parameters, what fraction does a single token meet?
#
# ### Exercise 13.2 · `sparse_parameters` (15 minutes)
#
# Count them, layer by layer. `config.layers` has an entry for each, because layers differ:
#
# | of a layer | |
# |---|---|
# | queries, output | each `embed_dim` times the width of all query heads, `config.num_heads * layer.head_dim` |
# | keys, values | each `embed_dim` times `layer.num_kv_heads * layer.head_dim`; if `layer.values_are_keys`, no values |
# | norms | four of `embed_dim` (sandwich), and one of `layer.head_dim` each for queries and keys |
# | feed-forward | three matrices of `embed_dim` times `layer.ffn_dim`; or, if `layer.has_experts`, |
# | experts | a router with a row per expert, and `config.moe.num_experts + config.moe.shared_experts` feed-forwards of width `config.moe.expert_dim` |
#
# In addition there is the embedding, which is the head too, and one last norm.


# %%
def sparse_parameters(config: ModelConfig) -> tuple[int, int]:
    """Parameters of a text decoder with sandwich norms, QK-norm, gated feed-forwards, experts and a tied head.

    Returns:
        All of them, and those that one token meets: without the experts that it is not sent to.
    """
    # SOLUTION
    # 1. The embedding and the last norm.
    V, D = config.vocab_size, config.embed_dim
    total, idle = V * D + D, 0
    for layer in config.layers:
        # 2. Attention and norms.
        query, key = config.num_heads * layer.head_dim, layer.num_kv_heads * layer.head_dim
        total += 2 * D * query + D * key * (1 if layer.values_are_keys else 2)
        total += 4 * D + 2 * layer.head_dim
        # 3. The feed-forward, or router and experts; those that a token is not sent to are idle.
        if layer.has_experts:
            moe, expert = config.moe, 3 * D * config.moe.expert_dim
            total += (moe.num_experts + moe.shared_experts) * expert + moe.num_experts * D
            idle += (moe.num_experts - moe.experts_per_token) * expert
        else:
            total += 3 * D * layer.ffn_dim
    return total, total - idle
    # END SOLUTION


# %% tags=["check"]
sparse_parameters = check("13.2", sparse_parameters)

# %% tags=["expected"]
large = load_config("mini-gemini").model
total, active = sparse_parameters(large)
print(
    f"mini-gemini: {total:,} parameters of text, a token meets {active:,}: {active / total:.0%}"
)
print(f"with the projections of media: {num_parameters(large):,}")
assert 0.4 < active / total < 0.6
figure = where_parameters_are(large, "Most parameters are in experts, most of those idle")

# %% [markdown]
# About half. The other half waits in memory for the tokens that need it.
#
# Now choose a configuration of your own. The budget of the notebook's run is what a minute of one core can train; on
# your own machine, and with more time, raise it. These numbers are a suggestion: three local layers and a global one,
# the first of them dense.

# %%
MAX_PARAMETERS, MAX_ACTIVE = 500_000, 260_000

config = ModelConfig(
    vocab_size=VOCAB_SIZE,
    context_tokens=2048,
    embed_dim=64,
    num_layers=4,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    ffn_dim=160,
    activation="gelu_tanh",
    rope=RotaryConfig(base=1_000_000.0),
    local_rope=RotaryConfig(base=10_000.0),
    embedding_scale=8.0,
    layer_pattern=("local", "local", "local", "global"),
    window_tokens=64,
    norm_eps=1e-6,
    norm_placement="sandwich",
    qk_norm="head",
    tied_head=True,
    moe=MoEConfig(
        num_experts=8, experts_per_token=2, expert_dim=48, shared_experts=1, dense_layers=(0,)
    ),
    media=media_config,
)
print(f"{num_parameters(config):,} parameters, {num_active_parameters(config):,} per token")
through(gates.config_gate(config, MAX_PARAMETERS, MAX_ACTIVE))

# %% [markdown]
# What would the gate have said to another choice? **Predict** what becomes of the parameters that a token meets if there
# are twice as many experts.

# %%
twice = replace(config, moe=replace(config.moe, num_experts=16))
extra = num_active_parameters(twice) - num_active_parameters(config)
print(gates.config_gate(twice, MAX_PARAMETERS, MAX_ACTIVE))
print(f"a token would meet {extra:,} more: the longer routers of 3 layers")
assert extra == 3 * 8 * config.embed_dim

# %% [markdown]
# ## Milestone 3 · The decoder
#
# A layer of attention is made of what lessons 02 to 07 built, with one new step. In training, queries and keys can grow
# without any bound. **Predict:** what happens to the largest attention weight of a query if queries and keys become
# four times as large? Sixteen times?

# %%
drawn = torch.Generator().manual_seed(0)
query, key = (torch.randn(200, 64, 16, generator=drawn) for _ in range(2))
for size in (1, 4, 16):
    plain = softmax((size * query) @ (size * key).mT / 4).amax(-1).mean()
    normed = softmax(unit_rms(size * query, 1e-6) @ unit_rms(size * key, 1e-6).mT / 4).amax(-1)
    print(
        f"{size:2d} times as large: largest weight {plain:.2f}, after a norm {normed.mean():.2f}"
    )
    assert size == 1 or plain > 0.8
    assert normed.mean() < 0.3

# %% [markdown]
# The softmax gets stuck on a single key, and its gradient vanishes (lesson 02). **QK-norm** divides every query and every
# key by its root mean square first, head by head, so that size no longer matters.
#
# ### Exercise 13.3 · `local_global_attention` (12 minutes)
#
# Everything between the projections, in this order: cut into heads, norm of queries and keys (`unit_rms(x, 1e-6)`),
# positions (`apply_rotary`), the mask of a local or a global layer, grouped attention, heads side by side again. All of
# these functions are above, yours where you have written them.


# %%
def local_global_attention(
    query: Float[Tensor, "B T HC"],
    key: Float[Tensor, "B T KC"],
    value: Float[Tensor, "B T KC"],
    num_heads: int,
    num_kv_heads: int,
    cos: Float[Tensor, "T pairs"],
    sin: Float[Tensor, "T pairs"],
    window_tokens: int | None = None,
) -> Float[Tensor, "B T HC"]:
    """One attention layer between its projections.

    Args:
        cos: of the angles of each position; ``sin`` likewise.
        window_tokens: keys that a query of a local layer sees, its own included; None in a global layer.
    """
    # SOLUTION
    # 1. Heads.
    q, k = split_heads(query, num_heads), split_heads(key, num_kv_heads)
    v = split_heads(value, num_kv_heads)
    # 2. Norm, then positions, of queries and keys.
    q, k = (apply_rotary(unit_rms(x, 1e-6), cos, sin) for x in (q, k))
    # 3. Who sees whom.
    T = query.shape[1]
    mask = causal_mask(T, T)
    if window_tokens is not None:
        mask = sliding_window_mask(T, T, window_tokens)
    # 4. Attention, and the heads side by side.
    return merge_heads(grouped_query_attention(q, k, v, mask))
    # END SOLUTION


# %% tags=["check"]
local_global_attention = check("13.3", local_global_attention)

# %% [markdown]
# Put it into layers of the model that you have configured, in place of what the package computes there, and compare. Then
# exchange one token, and see whose output moves. **Predict** the picture for a window of 3.

# %% tags=["expected"]
package_model = Transformer(config, torch.Generator().manual_seed(0))
x = torch.randn(2, 24, config.embed_dim, generator=drawn)


def attended(number, x, window_tokens):
    """The output of an attention layer of the model, by your function."""
    layer, rope = package_model.blocks[number].attention, config.layers[number].rope
    angles = rotary_cos_sin(torch.arange(x.shape[1]), rotary_frequencies(16, rope.base))
    return layer.output(local_global_attention(*layer.project(x), 4, 2, *angles, window_tokens))


with torch.no_grad():
    for number, window in ((0, 64), (3, None)):
        rotation = package_model.rotary[package_model.rotary_of[number]](torch.arange(24))
        theirs = package_model.blocks[number].attention(x, rotation)
        assert torch.allclose(attended(number, x, window), theirs, atol=1e-5)
    few = x[:, :8]
    before, moved = attended(0, few, 3), []
    for t in range(8):
        other = few.clone()
        other[:, t] += 1
        moved.append((attended(0, other, 3) - before).abs().amax((0, 2)) > 1e-6)
print("a local and a global layer: equal to the package's")
moved = torch.stack(moved, dim=1)
figure = influence(moved, "A token moves itself and two more")
assert moved.sum(0)[:6].eq(3).all()
assert not moved.triu(1).any()

# %% [markdown]
# A band. Each further local layer carries a token two places further; a single global layer carries it everywhere.
# So a few global layers among many local ones are enough.
#
# ### Exercise 13.4 · `sparse_feed_forward` (8 minutes)
#
# The other half of a block: your `top_k_routing` and `moe_forward` of lesson 08, and the shared expert.


# %%
def sparse_feed_forward(
    x: Float[Tensor, "B T D"],
    router: Float[Tensor, "E D"],
    experts: Sequence[Callable[[Tensor], Tensor]],
    shared: Callable[[Tensor], Tensor],
    experts_per_token: int,
) -> Float[Tensor, "B T D"]:
    """What each token's chosen experts make of it, by the router's weights, and the shared expert of every token.

    Args:
        router: a row for each expert; its product with a token is the expert's score.
        experts: each turns rows of D numbers into as many.
        shared: the expert that no router chooses.
    """
    # SOLUTION
    # 1. Tokens as rows, scored by the router.
    tokens = x.flatten(0, 1)
    chosen, weights = top_k_routing(tokens @ router.T, experts_per_token)
    # 2. The chosen experts, in the shape of x again, and the shared one.
    return moe_forward(tokens, chosen, weights, experts).view(x.shape) + shared(x)
    # END SOLUTION


# %% tags=["check"]
sparse_feed_forward = check("13.4", sparse_feed_forward)

# %% tags=["expected"]
sparse = package_model.blocks[1].feed_forward


def expert_of(e):
    """Expert e of the layer, as a function."""

    def compute(rows):
        gate, up = (rows @ sparse.experts.gate_up[e].T).chunk(2, dim=-1)
        return (F.gelu(gate, approximate="tanh") * up) @ sparse.experts.down[e].T

    return compute


with torch.no_grad():
    mine = sparse_feed_forward(
        x, sparse.router.weight, [expert_of(e) for e in range(8)], sparse.shared, 2
    )
    assert torch.allclose(mine, sparse(x), atol=1e-5)
print("a sparse layer: equal to the package's")

# %% [markdown]
# ### The model of your own parts
#
# Now the whole decoder. `own_model` builds it with every part that you have written in lessons 02 to 09, wherever that
# part passes its check today; the package's are used for the others. It reports which is which, and why.

# %%
model, parts = own_model(config, torch.Generator().manual_seed(0))
print(parts)

# %% [markdown]
# Does the model of your parts learn the same? The same weights, the same batch, three steps of training, in 64-bit
# numbers, where rounding hides nothing. **Predict:** by how much may the losses differ?


# %%
def steps_of(model, number=3):
    """The losses of a few steps on random tokens."""
    model = model.double()
    ids = torch.randint(0, 500, (2, 33), generator=torch.Generator().manual_seed(1))
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(number):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


mine, theirs = (
    steps_of(each)
    for each in (
        own_model(config, torch.Generator().manual_seed(0))[0],
        Transformer(config, torch.Generator().manual_seed(0)),
    )
)
print("losses with your parts:      ", " ".join(f"{loss:.4f}" for loss in mine))
print("losses with the package's:   ", " ".join(f"{loss:.4f}" for loss in theirs))
assert max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) < 1e-4
assert mine[2] < mine[0]

# %% [markdown]
# The same digits. Your parts and the package's are two ways to write one model. So weights can move from one to the
# other, and what has a faster way (`accelerate`, lesson 07) gets it; your own parts stay as you wrote them.

# %%
faster = accelerate(model)
print(
    f"{sum(faster.swapped.values())} modules now compute faster, {len(faster.left_alone)} stay"
)
through(gates.decoder_gate(model, Transformer(config)))

# %% [markdown]
# ## Milestone 4 · The media front ends
#
# Patches and frames enter the stream as lesson 09 had it: a projection each, vectors put into their places, and a mask in
# which an image sees itself both ways. Videos are images with their times as text in between. A question about a video:

# %%
films = (TASKS["films"].example(i, "heldout") for i in range(100))
film = next(each for each in films if each.answer == "moves to the left")
video = film.prompt[0]
question = encoder.question(film.prompt)
print(film.prompt[1].text, "->", film.answer)
figure = video_strip(
    video.frames, video.frames_per_second, "No single frame shows which way it moves"
)
places = question.ids.count(mark_ids["image"])
print(f"{len(question.ids)} tokens, {places} of them places of patches")
assert places == len(question.media.patches[0])

# %% [markdown]
# No single frame shows a direction. What the model needs is which frame came after which, and it has that twice: by
# the order of the tokens, and by the times.
#
# **The gate** asks the model about an image and a sound, then about another image, and about another sound. **Predict:**
# the question is *image, text, audio, text*. Which scores may move when the sound is exchanged?

# %%
image = ImagePart(image=digits[0].prompt[0].image)
sound = AudioPart(samples=dial("4", drawn), sample_rate=SAMPLE_RATE)
both = encoder.question([image, TextPart(text="and"), sound, TextPart(text="What is this?")])
through(gates.media_gate(model, both))

# %% [markdown]
# Only those from the sound on. To see the gate shut, leave the media out: then nothing but placeholders is in their
# places.

# %%
print(gates.media_gate(model, Encoded(both.ids, encoder.nothing)))

# %% [markdown]
# ## Milestone 5 · Training
#
# Rows of training hold several examples side by side. **Predict:** of all tokens of a batch of questions about images,
# videos and sounds, what fraction is an answer?

# %%
WEIGHTS = {"digits": 0.3, "dial-tones": 0.3, "films": 0.25, "stories": 0.15}


def rows_of(weights, number, split="train", row_tokens=192):
    """Rows of examples, drawn from the tasks by their weights."""
    stage = Stage(name="all", share=1.0, weights=weights)
    return TaskRows(encoder, TASKS, [stage], row_tokens, number, split)


questions = rows_of({"digits": 0.4, "dial-tones": 0.3, "films": 0.3}, 16).batch(range(16))
targets = questions.targets[questions.segment_ids > 0]
fraction = (targets >= 0).double().mean()
print(f"{fraction:.0%} of the tokens are predicted")
assert 0.02 < fraction < 0.25

# %% [markdown]
# Few. Questions, patches and frames are given, and the target of each such place is -100, which counts for nothing. A
# loss that counted them would teach the model to write questions and placeholders, and hardly anything else.
#
# ### Exercise 13.5 · `mixture_loss` (10 minutes)
#
# The loss of a sparse model has three parts: `cross_entropy` over the targets that count, and for each layer of experts
# the `load_balancing_loss` and the `router_z_loss` of lesson 08, each with its weight. Those of the layers are averaged.


# %%
def mixture_loss(
    logits: Float[Tensor, "B T V"],
    targets: Int[Tensor, "B T"],
    routings: Sequence[tuple[Float[Tensor, "N E"], Int[Tensor, "N A"]]],
    balance_weight: float,
    z_weight: float,
) -> Float[Tensor, ""]:
    """The loss of the answers, and what keeps the routers in order.

    Args:
        targets: IGNORE_INDEX, -100, where nothing is to be predicted: questions, images, audio, padding.
        routings: of each layer with experts, the router's scores of all tokens, and the experts that they chose.
        balance_weight: of the load-balancing loss, the mean over the layers.
        z_weight: of the router's z-loss, the mean over the layers.
    """
    # SOLUTION
    # 1. Layer by layer: how even the load is, and how large the scores are.
    extra = []
    for scores, experts in routings:
        load = expert_load(experts, scores.shape[-1])
        balance = load_balancing_loss(scores.softmax(-1), load)
        extra.append(balance_weight * balance + z_weight * router_z_loss(scores))
    # 2. Their mean beside the loss of the answers.
    return cross_entropy(logits, targets) + torch.stack(extra).mean()
    # END SOLUTION


# %% tags=["check"]
mixture_loss = check("13.5", mixture_loss)

# %% [markdown]
# The run: a few dozen steps on all four tasks at once. One optimizer, Muon for the matrices (the package's choice for
# this model), a warm-up, a cosine. Every few steps the loss of each task is measured on held-out examples. **Predict**
# which task is learned first, and which last.

# %%
STEPS, ROWS, HIGHEST = 80, 6, 0.02
heldout = {name: rows_of({name: 1.0}, 4, "heldout").batch(range(4)) for name in TASKS}


def logits_of(model, batch):
    return model(batch.inputs, segment_ids=batch.segment_ids, media=batch.media)


@torch.no_grad()
def heldout_losses(model):
    return {
        name: cross_entropy(logits_of(model, batch), batch.targets).item()
        for name, batch in heldout.items()
    }


def train(model, steps=STEPS, measure_every=20):
    """Train in place: the loss of each step, the held-out losses of each task, the loads of the experts."""
    rows = rows_of(WEIGHTS, steps * ROWS)
    muon = TrainingConfig(
        optimizer="muon", learning_rate=1.0, steps=steps, batch_size=ROWS, warmup_steps=0
    )
    optimizer = make_optimizer(model, muon)
    relative = [group["lr"] for group in optimizer.param_groups]
    losses, by_task, loads = [], [heldout_losses(model)], []
    for step in range(steps):
        rate = cosine_schedule(step + 1, steps, 10, HIGHEST, 0.0)
        for group, factor in zip(optimizer.param_groups, relative, strict=True):
            group["lr"] = rate * factor
        batch = rows.batch(range(step * ROWS, (step + 1) * ROWS))
        with recorded_routing(model) as routings:
            logits = logits_of(model, batch)
        pairs = [(routing.logits, routing.experts) for routing in routings]
        loss = mixture_loss(logits, batch.targets, pairs, 0.01, 0.001)
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(list(model.parameters()), 1.0)
        optimizer.step()
        losses.append(loss.item())
        loads.append(expert_loads(routings))
        if (step + 1) % measure_every == 0:
            by_task.append(heldout_losses(model))
    return losses, by_task, torch.stack(loads)


# %%
losses, by_task, loads = train(model)

# %% tags=["expected", "rounded"]
curves = {name: [each[name] for each in by_task] for name in TASKS}
figure = task_curves(curves, STEPS, "All four tasks are learned at once")
for name, curve in curves.items():
    print(f"{name:12s} from {curve[0]:.1f} to {curve[-1]:.1f} nats per token")
    assert curve[-1] < 0.8 * curve[0]
    assert curve[-1] <= curves["stories"][-1]

# %% [markdown]
# Questions with few possible answers get cheap soon: that they are answered by *some* digit is quickly learned. That
# is not yet reading. Stories, where any word may follow, take longest.

# %% tags=["expected"]
through(gates.training_gate(losses, VOCAB_SIZE))

# %% [markdown]
# ## Milestone 6 · Evaluation
#
# A loss does not say whether an answer is right. So the model answers, and a program compares. **Predict:** a model
# answers all of 40 questions correctly. What is its accuracy?
#
# It is not known; 40 more questions would tell more. **Wilson's interval** says where it lies, with a probability of 95 %
# that it does. With $p$ the fraction of right answers, $n$ questions and $z = 1.96$:
#
# $$\frac{p + \frac{z^2}{2n}}{1 + \frac{z^2}{n}} \;\pm\; \frac{z}{1 + \frac{z^2}{n}}\sqrt{\frac{p(1-p)}{n} + \frac{z^2}{4n^2}}$$
#
# ### Exercise 13.6 · `score_answers` (10 minutes)
#
# An answer is right if it is the expected one, word for word; white space around it does not count. `NormalDist().inv_cdf`
# gives more digits of $z$: above it lies half of what 95 % leave over.


# %%
def score_answers(given: Sequence[str], expected: Sequence[str]) -> tuple[float, float, float]:
    """The fraction of right answers, and the interval in which it would lie on ever more questions, with 95 %."""
    # SOLUTION
    # 1. How many are right?
    n = len(expected)
    p = sum(one.strip() == other for one, other in zip(given, expected, strict=True)) / n
    # 2. Middle and half of the width of Wilson's interval.
    z = NormalDist().inv_cdf(0.975)
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return p, center - half, center + half
    # END SOLUTION


# %% tags=["check"]
score_answers = check("13.6", score_answers)

# %% tags=["expected"]
for right, number in ((40, 40), (4, 4), (20, 40)):
    given = ["yes"] * right + ["no"] * (number - right)
    p, low, high = score_answers(given, ["yes"] * number)
    print(f"{right} of {number} right: {p:.0%}, between {low:.0%} and {high:.0%}")
assert score_answers(["yes"] * 40, ["yes"] * 40)[1] > 0.9
assert score_answers(["yes"] * 4, ["yes"] * 4)[1] < 0.6

# %% [markdown]
# Four of four proves little.
#
# ### From here on: the model that was trained for longer
#
# Your run took a minute. `mini-gemini`, which comes with the course, is a model of the same kind, more than ten times as
# large, that was trained for far longer and on more tasks. What follows measures both.

# %%
pretrained, its_tokenizer = load_pretrained("mini-gemini")
models = {"your run": (model.eval(), tokenizer), "mini-gemini": (pretrained, its_tokenizer)}
assert num_parameters(pretrained.config) > 10 * num_parameters(config)
ASKED = {"digits": 100, "dial-tones": 60, "films": 60}
CHANCE = {"digits": 0.1, "dial-tones": 0.001, "films": 0.1}


def abilities_of(name):
    return [
        measure_abilities(*models[name], {task: TASKS[task]}, limit)[0]
        for task, limit in ASKED.items()
    ]


abilities = {"your run": abilities_of("your run")}

# %%
abilities["mini-gemini"] = abilities_of("mini-gemini")

# %% tags=["expected", "rounded"]
for name, found in abilities.items():
    for ability in found:
        low, high = ability.interval
        print(
            f"{name:12s} {ability.task:12s} {ability.accuracy:.1f} right, from {low:.1f} to {high:.1f}"
        )
figure = ability_bars("mini-gemini", abilities["mini-gemini"])
figure.axes[0].set_title("mini-gemini reads most digits that it is shown")
for mine, its in zip(abilities["your run"], abilities["mini-gemini"], strict=True):
    assert its.accuracy >= mine.accuracy
    assert its.interval[0] > mine.interval[1] or its.task == "films"
assert abilities["mini-gemini"][0].accuracy > 0.6

# %% [markdown]
# A few dozen steps teach the form of an answer. To read takes thousands.
#
# But does it look? The control of lesson 09: give each question the image of another. **Predict** the accuracy.

# %% tags=["expected", "rounded"]
asked = [TASKS["digits"].example(i, "heldout") for i in range(0, 240, 4)]
swapped = [
    Example(task=a.task, prompt=(b.prompt[0], *a.prompt[1:]), answer=a.answer)
    for a, b in zip(asked, asked[1:] + asked[:1], strict=True)
]
expected = [example.answer for example in asked]
for name, examples in {"its own image": asked, "another image": swapped}.items():
    p, low, high = score_answers(answer(pretrained, its_tokenizer, examples), expected)
    print(f"{name}: {p:.1f} right")
    assert low > 0.5 if name == "its own image" else high < 0.4

# %% [markdown]
# With another image the answers are wrong: it reads what it is shown.
#
# ### A needle in a haystack
#
# Somewhere in stories there is one sentence: *The secret number of the grey owl is 47.* At the end, the number is asked
# for. A local layer sees no further than its window, and several in a row see a few windows; across a long text only a
# global layer can look. **Predict:** does it matter how long the text is, or where the sentence is hidden?

# %%
LENGTHS, DEPTHS, REPEATS = (40, 160, 640), (0.0, 0.5, 1.0), 6
needle = Needle(LENGTHS, DEPTHS, REPEATS, corpora=("stories",))


def needle_grid(model, tokenizer):
    """How often the number was found: a row for each depth, a column for each length; and the lengths in tokens."""
    found, tokens = {}, {}
    for first in range(0, len(needle), REPEATS):
        examples = [needle.example(first + i, "heldout") for i in range(REPEATS)]
        length, depth = needle.cell(first)
        given = answer(model, tokenizer, examples, max_new_tokens=6)
        found[depth, length] = score_answers(given, [each.answer for each in examples])[0]
        tokens[length] = len(tokenizer.encode(examples[0].prompt[0].text))
    grid = tuple(tuple(found[depth, length] for length in LENGTHS) for depth in DEPTHS)
    return NeedleResult(
        lengths=tuple(tokens[length] for length in LENGTHS),
        depths=DEPTHS,
        found=grid,
        trials=REPEATS,
        chance=1 / 90,
    )


needles = {"your run": needle_grid(*models["your run"])}

# %%
needles["mini-gemini"] = needle_grid(*models["mini-gemini"])

# %% tags=["expected"]
grid = needles["mini-gemini"]
found_often = grid.mean > 0.5
title = f"The needle is found {'more' if found_often else 'less'} often than not"
figure = needle_heat_map(grid, title)
print("your run finds it more often than chance would:", needles["your run"].mean > 0.1)
assert grid.mean > needles["your run"].mean
assert grid.lengths[-1] > 2 * 256

# %% [markdown]
# Read the map by its columns: the longest texts are more than twice as long as the rows of training, 256 tokens.
#
# ### Balance, and stories
#
# Two measurements remain: how evenly the experts are used, and what a byte of a story costs. **Predict:** after training
# with the losses of the routers, how much busier than the mean is the busiest expert?


# %%
@torch.no_grad()
def busiest(model, tokenizer):
    """The busiest expert of any layer, as a multiple of the mean, on held-out examples of all tasks."""
    encoder = MediaEncoder(tokenizer, model.config.media)
    stage = Stage(name="all", share=1.0, weights=WEIGHTS)
    batch = TaskRows(encoder, TASKS, [stage], 192, 24, "heldout").batch(range(24))
    with recorded_routing(model) as routings:
        logits_of(model, batch)
    loads = expert_loads(routings)
    return float((loads.amax(-1) / loads.mean(-1)).max())


@torch.no_grad()
def story_bits(model, tokenizer, number=20):
    """Bits per byte of held-out stories."""
    encoder = MediaEncoder(tokenizer, model.config.media)
    nats, num_tokens, num_bytes = 0.0, 0, 0
    for i in range(number):
        story = TASKS["stories"].example(i, "heldout")
        ids = torch.tensor([document_of(story, encoder).ids[:1024]])
        loss = cross_entropy(model(ids[:, :-1]), ids[:, 1:]).item()
        nats, num_tokens = nats + loss * (ids.shape[1] - 1), num_tokens + ids.shape[1] - 1
        num_bytes += len(story.answer.encode())
    return bits_per_byte(nats / num_tokens, num_tokens, num_bytes)


values = {
    name: {"stories": story_bits(*each), "expert balance": busiest(*each)}
    for name, each in models.items()
}

# %% tags=["expected", "rounded"]
for name, each in values.items():
    print(
        f"{name}: stories {each['stories']:.1f} bits per byte, busiest expert {each['expert balance']:.1f} times the mean"
    )
    assert each["expert balance"] < 4
assert values["mini-gemini"]["stories"] < values["your run"]["stories"]

# %%
through(gates.evaluation_gate(abilities["mini-gemini"], CHANCE))

# %% [markdown]
# ## Milestone 7 · Generation
#
# Lesson 12 wrote with a cache: what was read once is never read again. With media there is one more thing to get right.
# **Predict:** in which passes of a generation does the model need the image?
#
# ### Exercise 13.7 · `plain_answer` (12 minutes)
#
# The first pass reads the question with its media, into the cache (`new_cache(model, 1, room)`, with room for all tokens).
# Every other pass reads one new token. Any of `stop_ids` ends the answer.


# %%
@torch.inference_mode()
def plain_answer(
    model: Transformer,
    question_ids: Sequence[int],
    media: Media,
    choose: Callable[[Tensor], Tensor],
    max_new_tokens: int,
    stop_ids: Collection[int],
) -> list[int]:
    """The new tokens after a question with media. No token, no image and no sound goes through the model twice.

    Args:
        media: what stands in the places that the question holds.
        choose: from logits of shape (1, V) to one token of shape (1,), such as ``greedy``.
        stop_ids: tokens that end the answer, and are not part of it.
    """
    # SOLUTION
    # 1. Read the question with its media.
    cache = new_cache(model, 1, len(question_ids) + max_new_tokens)
    logits = model(torch.tensor([list(question_ids)]), cache, media=media)[:, -1]
    new = []
    while len(new) < max_new_tokens:
        # 2. Choose; a stop token ends the answer.
        token = int(choose(logits))
        if token in stop_ids:
            break
        new.append(token)
        # 3. Read the new token, if another one is wanted.
        if len(new) < max_new_tokens:
            logits = model(torch.tensor([[token]]), cache)[:, -1]
    return new
    # END SOLUTION


# %% tags=["check"]
plain_answer = check("13.7", plain_answer)

# %% [markdown]
# Ask about an image, a recording and a video. The model answers with the cache, and once more without it.

# %%
its_encoder = MediaEncoder(its_tokenizer, pretrained.config.media)
its_stops = {its_tokenizer.end_of_text_id}
asked = [TASKS[task].example(7, "heldout") for task in ("digits", "dial-tones", "films")]
figure = image_grid(
    torch.stack(
        [
            F.interpolate(part[None], size=(24, 24))[0]
            for part in (asked[0].prompt[0].image, *asked[2].prompt[0].frames)
        ]
    ),
    ["the image", *[f"frame {t}" for t in range(8)]],
    columns=9,
    title="What it is shown",
)
cached, uncached = [], []


def again_and_again(model, question, number, stops):
    """The same without a cache: everything is read again for each token."""
    text = list(question.ids)
    with torch.inference_mode():
        for _ in range(number):
            token = int(greedy(model(torch.tensor([text]), media=question.media)[:, -1]))
            if token in stops:
                break
            text.append(token)
    return text[len(question.ids) :]


for example in asked:
    question = its_encoder.question(example.prompt)
    cached.append(plain_answer(pretrained, question.ids, question.media, greedy, 24, its_stops))
    uncached.append(again_and_again(pretrained, question, 24, its_stops))
    print(show(example).split("\n")[1], "->", its_tokenizer.decode(cached[-1]).strip())
    print("   expected:", example.answer)

# %% [markdown]
# Then a story, and the price of the cache's absence. **Predict:** a text of 200 tokens is continued by 24 more. How
# many times as many tokens does the model read without a cache?

# %%
story = its_tokenizer.encode(TASKS["stories"].example(3, "heldout").answer)[:200]
begun = its_encoder.encode([])._replace(ids=[its_tokenizer.end_of_text_id, *story])
start = time.perf_counter()
cached.append(plain_answer(pretrained, begun.ids, begun.media, greedy, 24, ()))
with_cache = time.perf_counter() - start
start = time.perf_counter()
uncached.append(again_and_again(pretrained, begun, 24, ()))
without_cache = time.perf_counter() - start
print("…", its_tokenizer.decode(story[-20:]), "|", its_tokenizer.decode(cached[-1]))
read = len(begun.ids) + 23, sum(len(begun.ids) + t for t in range(24))
print(f"tokens read: {read[0]} with a cache, {read[1]} without")
assert read[1] > 20 * read[0]

# %%
through(gates.generation_gate(cached, uncached))
figure = milestones(list(reached.values()), "Seven gates")

# %% [markdown]
# ## The rubric
#
# A hundred points for six measurements, all on held-out data: from no point for a model that guesses up to the goal of
# each line. The throughput is that of *your* generation loop, as a multiple of the one without a cache; beyond the goal
# it earns no more. **Predict:** in which lines has your run of a minute points already?

# %% tags=["expected", "rounded"]
for name, each in values.items():
    by_task = {ability.task: ability.accuracy for ability in abilities[name]}
    each["images"], each["audio"] = by_task["digits"], by_task["dial-tones"]
    each["needle"] = needles[name].mean
    each["throughput"] = without_cache / with_cache
    print(f"{name}: {rubric_table(each)}\n")
points = {name: total_points(each) for name, each in values.items()}
assert points["mini-gemini"] > points["your run"] + 20
assert without_cache > 2 * with_cache

# %% [markdown]
# ## Challenges
#
# Each has a target, and something beyond it. The targets are estimates: write down what you find, and with how many
# seeds. Measure with the cells above.
#
# | challenge | target | beyond |
# |---|---|---|
# | **A minute is not enough.** Train your configuration for 2,000 steps (`train(model, steps=2000)`, then the cells of milestone 6) | 50 points | 70 points |
# | **Half the size.** The same points with half of the parameters | 45 points | as many as the whole |
# | **No global layer.** `layer_pattern=("local",)`: which line of the rubric falls, and which stays? | the needle falls at long texts only | say from which length, before you measure |
# | **Collapse.** `balance_weight=0` and `z_weight=0`, three seeds | the busiest expert more than double the mean | a layer with a dead expert |
# | **A task of your own.** A class with `example` and `__len__` (`data/tasks/films.py` is short) beside the four | better than chance with its whole interval | without loss for the others |
# | **Another voice.** Say a digit into a file, and `gemini-workshop generate --checkpoint mini-gemini --audio FILE` | it answers with a digit | with the right one, three times of three |
# | **The whole recipe.** `gemini-workshop train --preset mini-gemini --corpus tasks`, hours | within 5 points of the shipped model | more than it has |

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("13")

# %% [markdown]
# ## Recap
#
# 1. Marks are ids that no text can produce. The program that builds a question puts them in.
# 2. Experts are paid for twice: in memory for all of them, in time for those that a token meets.
# 3. QK-norm keeps the softmax from getting stuck, however large queries and keys become.
# 4. Local layers are a band, and a few global ones see the rest: across a long text, only they find a needle.
# 5. Two ways to write a part are one model if weights and results are the same, and that can be asserted.
# 6. Nothing is predicted at questions, patches and frames. One mean over all targets that count.
# 7. Routers are judged layer by layer, and their losses averaged.
# 8. A fraction of right answers comes with its interval; and swap the images before you believe it.
# 9. Media are read once, with the question. After that, one token per pass.
#
# ## I get this error
#
# <details>
# <summary><code>WorkshopError: A text holds places for 5 patches, but only 4 are given.</code></summary>
#
# There are more placeholders than patches, or fewer. Build questions with `question_ids` or `MediaEncoder`, and never
# from text with marks in it.
# </details>
#
# <details>
# <summary><code>DataError: Examples of films do not fit into rows of 48 tokens.</code></summary>
#
# A row has to hold at least one example: a video takes a hundred tokens and more. Raise `row_tokens`.
# </details>
#
# <details>
# <summary><code>CheckpointError: There is no checkpoint 'mini-gemni'.</code></summary>
#
# A checkpoint has the name of a folder in `gemini_workshop/checkpoints`; a run of your own has a path.
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
# - Sparse experts, native media and long context are what is published about Gemini 1.5
#   ([arXiv:2403.05530](https://arxiv.org/abs/2403.05530)); that report measures the needle up to millions of tokens. How
#   its layers look is not published.
# - Local and global layers in turn, sandwich norms and QK-norm are Gemma 3's
#   ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)): five local layers for a global one, windows of 1024 tokens.
# - Shared experts are DeepSeekMoE's ([arXiv:2401.06066](https://arxiv.org/abs/2401.06066)), QK-norm is from Henry et al.
#   2020 ([arXiv:2010.04245](https://arxiv.org/abs/2010.04245)).
# - Your functions are in `gemini_workshop/models/plain_sparse.py`, `data/media/plain_encoding.py`,
#   `training/plain_mixture.py`, `evaluation/abilities.py` and `generation/plain.py`. The model that runs is
#   `models/transformer.py`, and `exercises/project/own_model.py` puts your parts into it.
