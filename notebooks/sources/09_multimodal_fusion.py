# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "09"
#     title: Multimodal fusion
#     part: part3_innovations
#     kind: pair
#     minutes: 75
#     budget_seconds: 60
#     requires: ["02", "06"]
# ---

# %% [markdown]
# # 09 · Multimodal fusion
#
# **75 minutes** · builds on 02 and 06
#
# After this lesson you can
#
# - turn an image and a recording into tokens, and say what is lost on the way,
# - put them into the middle of a text, and write the mask that lets an image see itself and no word see the future,
# - train a small model that reads an image, hears a tone and adds up what it has read and heard,
# - compare fusion in one stream (native) with fusion from outside (late), and read an attention map over an image,
# - recognize a mask that leaks: by a loss that is too good.
#
# You write six functions, none longer than ten lines. In a hurry? Sections 1 to 5 are the core.

# %%
import math

import torch
import torch.nn.functional as F
from gemini_workshop.data.media.dial_tones import dial
from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.media.spectrogram import (
    EIGHT_KILOHERTZ,
    MelConfig,
    hann_window,
    mel_filters,
)
from gemini_workshop.exercises import check, hint, is_own, own_or, quiz, solution
from gemini_workshop.models.attention import attention_weights, grouped_query_attention
from gemini_workshop.models.attention_layers import CrossAttention
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.multimodal.patches import stack_frames, unpatchify
from gemini_workshop.models.plain_transformer import PlainBlock, initialize
from gemini_workshop.visualization import multimodal as figures
from gemini_workshop.visualization.attention import influence
from gemini_workshop.visualization.feedforward import learning_curves, losses_by_seed
from gemini_workshop.visualization.media import image_grid, mel_spectrogram
from gemini_workshop.visualization.theme import use_theme
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

use_theme()
# Parts that you wrote in earlier lessons on this computer are used; the package's replace the others.
causal_mask = own_or(causal_mask)
grouped_query_attention = own_or(grouped_query_attention)
split_heads, merge_heads = own_or(split_heads), own_or(merge_heads)
PlainBlock = own_or(PlainBlock, embed_dim=8, num_heads=2, ffn_dim=3)
for part in (causal_mask, grouped_query_attention, split_heads, merge_heads, PlainBlock):
    print(f"{part.__name__:24s} {'yours' if is_own(part) else 'from the package'}")

digits = load_images("digits")
print(len(digits), "images of", "x".join(map(str, digits.images.shape[2:])), "pixels")

# %% [markdown]
# ## 1 · An image as tokens
#
# A transformer reads a sequence of vectors. An image is a tensor of shape (channels, height, width). What should a
# token be? A single pixel knows too little, and a photo has millions of them. So we cut squares: **patches**. A patch
# of $p \times p$ pixels becomes one vector of $p^2$ numbers for each channel.
#
# An image of 8 x 8 pixels has 64 numbers, and 16 patches of 4 numbers each have 64, too. So there is a very short way:
# `image.reshape(16, 4)`. **Predict before you run:** which pixels are in its first "patch"? Number the pixels of a small
# image and look.

# %%
small = torch.arange(1.0, 17.0).view(1, 4, 4)
print(small[0].int())
first = small.reshape(4, 4)[0].int().tolist()
print("first piece of a reshape:", first)
assert first == [1, 2, 3, 4]

# %% [markdown]
# A strip of the first row, not a square: `reshape` reads on in memory order, and memory runs along the rows. No error
# says so; a model would even train on strips, only worse. The square at the top left is 1, 2, 5, 6.
#
# ### Exercise 09.1 · `patchify` (8 minutes)
#
# Cut images into squares. The patches come row by row, like the words of a page; so do the pixels inside a patch, and
# the channels of a pixel are side by side. There may be any number of axes in front (a batch, or none).


# %%
def patchify(
    images: Float[Tensor, "*I channels height width"], patch_pixels: int
) -> Float[Tensor, "*I N P"]:
    """Cut images into squares, row by row; each becomes a vector of its pixels.

    An image of 4 x 4 pixels, cut into squares of 2 x 2:

        0 0 1 1
        0 0 1 1        patches 0, 1, 2, 3, of 4 pixels each
        2 2 3 3
        2 2 3 3

    Args:
        patch_pixels: the side of a patch; height and width are multiples of it.
    """
    # SOLUTION
    p = patch_pixels
    *front, channels, height, width = images.shape
    # 1. Split the height into rows of patches and pixels, and the width likewise.
    x = images.reshape(*front, channels, height // p, p, width // p, p)
    # 2. Order the axes: rows, columns, pixels down, pixels across, channels.
    x = x.movedim(-2, -3).movedim(-5, -1)
    # 3. Join rows and columns, and join what is inside a patch.
    return x.flatten(-3).flatten(-3, -2)
    # END SOLUTION


# %% tags=["check"]
patchify = check("09.1", patchify)

# %% [markdown]
# The small image again, and then a real digit, cut in both ways. **Predict:** in which of the two can you still read
# the digit?

# %% tags=["expected"]
print(patchify(small, 2).int().tolist())
assert patchify(small, 2)[0].tolist() == [1, 2, 5, 6]

three = digits.images[int((digits.labels == 3).nonzero()[0])]
ways = {"reshape": three.reshape(16, 4), "patchify": patchify(three, 2)}
figure = figures.cuts(ways, 2, "Squares keep neighbors together, strips do not")
back = unpatchify(ways["patchify"], num_rows=4, patch_pixels=2)
assert torch.equal(back, three), "nothing is lost: the patches hold the whole image"

# %% [markdown]
# What does a smaller patch cost? Attention compares every token with every other. **Predict** for a photo of 896 x 896
# pixels: halve the side of its patches. How many times as many tokens, and as many scores?

# %% tags=["expected"]
for side in (28, 14):
    tokens = (896 // side) ** 2
    print(f"patches of {side}: {tokens:5,} tokens, {tokens**2:11,} scores in each head")
assert (896 // 14) ** 2 == 4 * (896 // 28) ** 2
assert (896 // 14) ** 4 == 16 * (896 // 28) ** 4

# %% [markdown]
# Four times the tokens, sixteen times the scores. Gemma 3 cuts 896 x 896 pixels into patches of 14, lets an encoder of
# its own (a **vision tower**) look at all of them, and then averages 4 x 4 of them into one token: 256 per image.
#
# ## 2 · A tone as tokens
#
# A recording is a long row of numbers: 8,000 a second here. Our recordings are the keys of a telephone. Each key sounds
# two sines at once, in noise, and no two recordings of a key are equal: the waves begin at other points of their period.
#
# **Predict:** take a new recording and look for the most similar one among 50 others, by cosine, sample by sample. How
# often is it the same key? There are ten.

# %%
tone_of = torch.Generator().manual_seed(1)
keys = torch.arange(500) % 10
recordings = torch.stack([dial(str(int(key)), tone_of)[:960] for key in keys])


def nearest_is_right(vectors):
    """How often the most similar of the first 50 recordings is of the same key, for the last 200."""
    unit = F.normalize(vectors, dim=-1)
    nearest = (unit[300:] @ unit[:50].T).argmax(-1)
    return float((keys[nearest] == keys[300:]).double().mean())


samples_right = nearest_is_right(recordings)
print(f"by samples: {samples_right:.0%} right")
figure = figures.waves(
    {"key 4": recordings[4, :160], "key 4 again": recordings[14, :160]},
    8000,
    "Two recordings of one key differ sample by sample",
)
assert keys[4] == keys[14] == 4
assert samples_right < 0.8

# %% [markdown]
# Better than chance, and far from good, although you hear at once that it is the same key. An ear does not hear
# samples: it hears *how strong each frequency is*. That is what a **log-mel spectrogram** writes down:
#
# 1. cut **frames**, short pieces that overlap; 2. fade each in and out (**window**); 3. a Fourier transform (FFT) says
# how strong each frequency is; 4. gather the frequencies into **mel bands**, narrow below and wide above, as an ear
# does; 5. take the logarithm, since an ear hears ratios.
#
# ### Exercise 09.2 · `log_mel_frames` (12 minutes)
#
# `hann_window(n)` gives the fade, `mel_filters(config)` a matrix with a column for each band; both are in float64:
# `.to(x)` gives them the kind of x. The frames come every `hop_samples`, only whole ones count, and the FFT gets them
# filled up with zeros to `fft_samples`. The magnitudes are raised to `config.power`, and `config.floor` is added
# before the logarithm. (Why? What is the logarithm of silence?)


# %%
def log_mel_frames(
    samples: Float[Tensor, " samples"], config: MelConfig
) -> Float[Tensor, "frames bands"]:
    """The logarithm of how strong each mel band is in each frame.

    Args:
        config: `window_samples`, `hop_samples`, `fft_samples`, `power` and `floor` are needed.
    """
    # SOLUTION
    # 1. Frames: a row for each.
    frames = samples.unfold(0, config.window_samples, config.hop_samples)
    # 2. Fade them in and out.
    frames = frames * hann_window(config.window_samples).to(frames)
    # 3. How strong is each frequency?
    magnitudes = torch.fft.rfft(frames, n=config.fft_samples).abs()
    # 4. Gather the frequencies into bands.
    bands = magnitudes**config.power @ mel_filters(config).to(frames)
    # 5. The logarithm; silence stays finite.
    return (bands + config.floor).log()
    # END SOLUTION


# %% tags=["check"]
log_mel_frames = check("09.2", log_mel_frames)

# %% [markdown]
# Four keys, one after the other. Each key has a row and a column frequency. **Predict:** how many bands light up for a
# key?

# %% tags=["expected"]
number = dial("1590", torch.Generator().manual_seed(0))
figure = mel_spectrogram(
    log_mel_frames(number, EIGHT_KILOHERTZ), 0.01, "Each key lights up two groups of bands"
)
spectra = [log_mel_frames(recording, EIGHT_KILOHERTZ) for recording in recordings]
bands_right = nearest_is_right(torch.stack([s.float().flatten() for s in spectra]))
print(f"by samples: {samples_right:.0%} right, by bands: {bands_right:.0%}")
assert bands_right > 0.97

# %% [markdown]
# The same search, the same cosine: only the description has changed. For the model, four neighboring frames are laid side
# by side, so that a token covers 40 milliseconds: the images and tones are now two tensors of tokens. Gemma 4 hears the
# same kind of frames, 128 bands wide, and Whisper 80 or 128.

# %% tags=["expected"]
patches = patchify(digits.images, 2)
frames = torch.stack([stack_frames((s.float() + 2) / 3, 4) for s in spectra])
NUM_PATCHES, NUM_FRAMES = patches.shape[1], frames.shape[1]
print(f"an image: {NUM_PATCHES} tokens of {patches.shape[2]} numbers")
print(f"a tone:   {NUM_FRAMES} tokens of {frames.shape[2]} numbers")
assert (NUM_PATCHES, NUM_FRAMES) == (16, 3)

# %% [markdown]
# ## 3 · One stream
#
# Words are looked up in a table and become vectors of D numbers. A patch becomes one by a matrix: a **projection**. From
# then on, all are alike, and one sequence can hold them. In the text, **placeholders** hold the places: `#` for a patch
# and `~` for a frame.

# %%
figure = figures.one_stream()

# %% [markdown]
# Our task needs both media and a thought: *the image shows 3, someone dials 4, that makes 7*.


# %%
WORDS = [*map(str, range(19)), *["<image>", "#", "<tone>", "~", "shows", "dials", "makes", "."]]
ID = {word: i for i, word in enumerate(WORDS)}
PROMPT = f"<image> {'# ' * NUM_PATCHES}<tone> {'~ ' * NUM_FRAMES}shows".split()
START = len(PROMPT)  # the answer begins here


def sentence(digit, key):
    """The prompt with the answer that is right for this image and this tone."""
    return [*PROMPT, *f"{digit} dials {key} makes {digit + key} .".split()]


tokens = sentence(3, 4)
print(" ".join(tokens))
assert len(tokens) == START + 6

# %% [markdown]
# The table has a row for `#`, the same for all sixteen places. **Predict:** what would the model see of the image if
# nobody replaced it?
#
# ### Exercise 09.3 · `interleave` (8 minutes)
#
# Put the vectors into their places. A batch has many rows, and all their vectors come in one long list, in reading
# order: those of row 0, then those of row 1, and so on. The embeddings that you are given must stay as they are.


# %%
def interleave(
    embeddings: Float[Tensor, "B T D"],
    vectors: Float[Tensor, "N D"],
    is_place: Bool[Tensor, "B T"],
) -> Float[Tensor, "B T D"]:
    """Put vectors into the places that are held for them, in reading order.

    Args:
        is_place: True where a vector belongs; as many as there are vectors.
    """
    # SOLUTION
    # 1. A copy: the argument stays as it is.
    stream = embeddings.clone()
    # 2. Fill its places; they are counted row by row.
    stream[is_place] = vectors
    return stream
    # END SOLUTION


# %% tags=["check"]
interleave = check("09.3", interleave)

# %% [markdown]
# Two texts, five tokens each, with three vectors in all. **Predict** which row 300 lands in before you run.

# %% tags=["expected"]
words = torch.tensor([[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10]]).unsqueeze(-1)
places = torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 1, 0]]).bool()
stream = interleave(words, torch.tensor([[100.0], [200.0], [300.0]]), places)
print(stream.squeeze(-1).int())
assert stream[1, 3] == 300

# %% [markdown]
# ## 4 · Who sees whom
#
# The decoder is causal: a token sees itself and what came before. **Predict:** with that mask, what does the patch at the
# top left, the first of the image, know about the rest of it?

# %%
causal_seen = causal_mask(len(tokens), len(tokens))
is_patch = torch.tensor([word == "#" for word in tokens])
seen = causal_seen[is_patch][:, is_patch].sum(-1)
print("patches that each patch sees:", seen.tolist())
assert seen[0] == 1
assert seen[-1] == NUM_PATCHES

# %% [markdown]
# Nothing but itself; only the last patch sees the image. But the image was there as a whole before the first word of
# the answer: no patch lies in another's future, and nobody has to predict one. So an image may see itself *both
# ways*. Text may not: there the next token is what we ask for.
#
# ### Exercise 09.4 · `multimodal_mask` (10 minutes)
#
# `image_ids` says for each token which image it belongs to, counted from 1; text and tones have 0. With a cache there are
# fewer queries than keys, and as in `causal_mask` the queries are the last tokens. Two conditions, of which one is
# enough. Which number must not count as an image?


# %%
def multimodal_mask(image_ids: Int[Tensor, "B S"], num_queries: int) -> Bool[Tensor, "B T S"]:
    """Causal, save that every patch of an image sees the whole image.

        image 0 1 1 0 2 2
    text 0    # . . . . .
    image 1   # # # . . .
    image 1   # # # . . .
    text 0    # # # # . .
    image 2   # # # # # #
    image 2   # # # # # #
    """
    # SOLUTION
    num_keys = image_ids.shape[1]
    # 1. The images of the queries, which are the last tokens, beside those of the keys.
    asking, asked = image_ids[:, num_keys - num_queries :, None], image_ids[:, None, :]
    # 2. The same image: text does not count.
    same_image = (asking == asked) & (asking > 0)
    # 3. One of the two is enough.
    return causal_mask(num_queries, num_keys) | same_image
    # END SOLUTION


# %% tags=["check"]
multimodal_mask = check("09.4", multimodal_mask)

# %% [markdown]
# The mask of our sentence, drawn: a block for the image, a staircase for all that follows.

# %% tags=["expected"]
image_ids = is_patch.long()[None]
mask = multimodal_mask(image_ids, len(tokens))[0]
figure = figures.mask(mask, image_ids[0], tokens, "A block for the image, a staircase for text")
assert mask[is_patch][:, is_patch].all()
assert not mask[START:, START:].triu(1).any(), "no word of the answer sees a later one"

# %% [markdown]
# ## 5 · A model that reads and hears
#
# All parts are there. A projection for patches, one for frames, your `interleave`, your mask, and two blocks of lesson
# 06. That is the whole model; nothing in it knows what an image is.

# %%
WIDTH, HEADS, STEPS, ROWS = 32, 4, 250, 48
NUM_TOKENS = len(tokens)


class Native(nn.Module):
    """One decoder over one stream of words, patches and frames."""

    def __init__(self, ffn_dim=64):
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), WIDTH)
        self.position_embedding = nn.Embedding(NUM_TOKENS, WIDTH)
        self.patch = nn.Linear(patches.shape[2], WIDTH, bias=False)
        self.frame = nn.Linear(frames.shape[2], WIDTH, bias=False)
        self.blocks = nn.ModuleList(PlainBlock(WIDTH, HEADS, ffn_dim) for _ in range(2))

    def mask(self, ids):
        return multimodal_mask((ids[:1] == ID["#"]).long(), ids.shape[1])[0]

    def stream(self, ids, patches, frames):
        x = self.embedding(ids)
        x = interleave(x, self.patch(patches).flatten(0, 1), ids == ID["#"])
        x = interleave(x, self.frame(frames).flatten(0, 1), ids == ID["~"])
        return x + self.position_embedding.weight[: ids.shape[1]]

    def forward(self, ids, patches, frames):
        x, mask = self.stream(ids, patches, frames), self.mask(ids)
        for block in self.blocks:
            x = block(x, mask)
        return F.rms_norm(x, (WIDTH,)) @ self.embedding.weight.T


order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
train_images, test_images = order[:1400], order[1400:]
answers = torch.tensor(
    [[[ID[w] for w in sentence(d, k)] for k in range(10)] for d in range(10)]
)


def batch(generator, images, tones, count):
    """Sentences with random images and tones of these: ids, patches, frames."""
    i = images[torch.randint(len(images), (count,), generator=generator)]
    k = tones[torch.randint(len(tones), (count,), generator=generator)]
    return answers[digits.labels[i], keys[k]], patches[i], frames[k]


train_tones, test_tones = torch.arange(400), torch.arange(400, 500)
test = batch(torch.Generator().manual_seed(99), test_images, test_tones, 600)
print(f"{len(train_images)} images and {len(train_tones)} tones to learn from")
print(f"{len(test_images)} images and {len(test_tones)} tones held out")
figure = image_grid(
    unpatchify(test[1][:8], 4, 2),
    [" ".join(WORDS[i] for i in row[START:]) for row in test[0][:8]],
    title="Held-out images, and what the model should write for them and a tone",
)

# %% [markdown]
# Only the answer is asked for: the loss is taken on the six tokens behind `shows`. Predicting a place of an image would
# make no sense, since no word is right there. A trained model then *writes*: it is given the prompt, and each
# token that it chooses is what it reads next. We count the three numbers of the sentence.


# %%
def train(model, seed, steps=STEPS, gate=0.0):
    """Train on sentences; the loss of each step. (The gate is for section 7.)"""
    generator = torch.Generator().manual_seed(seed)
    initialize(model, generator)
    for name, weight in model.named_parameters():
        if name.endswith("outside.0.gate") or name.endswith("outside.1.gate"):
            nn.init.constant_(weight, gate)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.006, betas=(0.9, 0.95), weight_decay=0.0
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 20) * (1 - step / steps)
    )
    losses = []
    for _ in range(steps):
        ids, *media = batch(generator, train_images, train_tones, ROWS)
        scores = model(ids[:, :-1], *media)[:, -6:]
        loss = F.cross_entropy(scores.flatten(0, 1), ids[:, -6:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def written(model, ids, *media):
    """What the model writes behind the prompt, and how often image, key and sum are right."""
    text = ids[:, :START]
    for _ in range(6):
        scores = model(text, *media)[:, -1]
        text = torch.cat([text, scores.argmax(-1, keepdim=True)], dim=1)
    right = (text == ids).double().mean(0)
    return {"image": right[START], "key": right[START + 2], "sum": right[START + 4]}


def mean(values):
    return sum(values) / len(values)


def in_words(right):
    return ", ".join(f"{name} {float(value):.1f}" for name, value in right.items())


natives, native_losses = [], []
for seed in range(3):
    natives.append(Native())
    native_losses.append(train(natives[-1], seed))
native_right = [written(model, *test) for model in natives]

# %% [markdown]
# **Predict** for held-out images and tones: which is easier, the image or the key? Can the sum be right more often than
# the image?

# %% tags=["expected", "rounded"]
for seed, right in enumerate(native_right):
    print(f"seed {seed}: {in_words(right)}")
    assert right["image"] > 0.65
    assert right["key"] > 0.95
    assert 0.5 < right["sum"] < right["image"] + 0.05

# %% [markdown]
# The tone is easy: ten keys, and each sounds nearly alike. The handwriting is harder: 8 x 8 pixels, 1,400 examples, and a
# few seconds. The sum is hardly ever better than what was read: the model adds the two numbers that it has *written*. If it
# misreads the image, it adds the wrong number.
#
# Does it really look? A control: give each sentence the image of another one; then the tone of another one. **Predict** all
# three numbers in both cases.

# %% tags=["expected", "rounded"]
ids, test_patches, test_frames = test
for name, media in {
    "other images": (test_patches.roll(1, 0), test_frames),
    "other tones": (test_patches, test_frames.roll(1, 0)),
}.items():
    for model in natives:
        right = written(model, ids, *media)
        lost, kept = ("image", "key") if name == "other images" else ("key", "image")
        assert right[lost] < 0.25
        assert right[kept] > 0.65
        assert right["sum"] < 0.25
    print(f"{name}: {in_words(right)}")

# %% [markdown]
# Each number hangs on its own medium and on nothing else: with the wrong image, the image's number is right as often as
# chance would have it, and the key is still heard.

# %% [markdown]
# ## 6 · What it looks at
#
# `shows` is the token that has to name the digit. Which patches does it attend to? In the second block every patch has
# already gathered from the others, so that a weight there no longer says which *pixels* were read. We look at the first
# block, and take the mean of its heads.


# %%
@torch.no_grad()
def answer_attention(model, ids, *media):
    """The weights of the first block from the last token of the prompt to the patches, mean of the heads."""
    read = model.blocks[0].attention_norm(model.stream(ids, *media))
    attention = model.blocks[0].attention
    query, key = (split_heads(part(read), HEADS) for part in (attention.query, attention.key))
    weights = attention_weights(query, key, model.mask(ids))
    return weights[:, :, -1, 1 : 1 + NUM_PATCHES].mean(1)


prompts = ids[:, :START]
all_weights = [answer_attention(model, prompts, test_patches, test_frames) for model in natives]
chosen = [int((ids[:, START] == digit).nonzero()[0]) for digit in range(6)]
figure = figures.looked_at(
    unpatchify(test_patches[chosen], 4, 2),
    torch.stack(all_weights).mean(0)[chosen].view(-1, 4, 4),
    [f"a {digit}" for digit in range(6)],
    "Some patches are attended to far more than others",
)
for weights in all_weights:
    assert weights.amax(-1).mean() > 2 * weights.mean()

# %% [markdown]
# A map like this invites a story: these are the strokes by which it knows a digit. Is the story true? An experiment can
# say. Paint four of the sixteen patches black and let the model read again: the four with the largest weights, the four
# with the smallest, or four at random. And, without asking the attention at all, the four with the most ink.
#
# **Predict:** order the four by what they cost.


# %%
def blackened(patches, ranks):
    """The patches with the four highest ranks in each image painted black."""
    places = ranks.topk(4, dim=-1).indices
    is_black = torch.zeros(ranks.shape, dtype=torch.bool).scatter(1, places, True)
    return patches * ~is_black.unsqueeze(-1)


@torch.no_grad()
def images_right(model, patches):
    """How often the first word behind the prompt is right."""
    first = model(prompts, patches, test_frames)[:, -1].argmax(-1)
    return float((first == ids[:, START]).double().mean())


ink = test_patches.sum(-1)
chance = torch.rand(ink.shape, generator=torch.Generator().manual_seed(0))
still_right = {
    "none": [],
    "most attended": [],
    "random": [],
    "least attended": [],
    "most ink": [],
}
for model, weights in zip(natives, all_weights, strict=True):
    still_right["none"].append(images_right(model, test_patches))
    for name, ranks in zip(still_right, (None, weights, chance, -weights, ink), strict=True):
        if ranks is not None:
            still_right[name].append(images_right(model, blackened(test_patches, ranks)))

# %% tags=["expected", "rounded"]
for name, values in still_right.items():
    print(f"painted black: {name:14s} {mean(values):.1f} of the images are read")
figure = losses_by_seed(
    still_right, "images read correctly", "What is attended to most is not what matters most"
)
pairs_of_seeds = zip(still_right["most attended"], still_right["random"], strict=True)
assert all(attended > at_random for attended, at_random in pairs_of_seeds)
assert mean(still_right["most attended"]) > mean(still_right["random"]) + 0.08
assert mean(still_right["most attended"]) > mean(still_right["most ink"]) + 0.2
correlation = torch.stack(
    [torch.corrcoef(torch.stack([w.flatten(), ink.flatten()]))[0, 1] for w in all_weights]
)
assert (correlation < 0).all()
print("weights are larger where there is less ink:", bool((correlation < 0).all()))

# %% [markdown]
# The attended patches are worth *less* than random ones, in all three models: `shows` attends to patches with little
# ink. What counts is the ink, and painting it black hurts most. There is no contradiction. A weight says from where a
# vector was gathered, and not what is in it, nor how large it is; and the patches have told each other what they hold
# before the second block. So: draw the map, tell no story, and paint something black.
#
# ## 7 · From outside: late fusion
#
# There is an older way. Take a text model, leave its sequence a text, and let its tokens look at the image *from outside*,
# by cross-attention (lesson 03): queries from the text, keys and values from patches and frames. So Flamingo was made
# in 2022, from a text model that was already trained.
#
# A new layer in a trained model starts with random weights, and disturbs everything that comes after it. Unless it begins
# shut: Flamingo multiplies what the layer finds by $\tanh(g)$, with a learned number $g$ that starts at 0.
#
# ### Exercise 09.5 · `gated_cross_attention` (6 minutes)
#
# Attention as in lesson 07, and a gate. Is there a causal mask? **By hand:** which factor belongs to a gate of 0? Of 100?


# %%
def gated_cross_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    gate: Float[Tensor, " 1"],
    mask: Bool[Tensor, "T S"] | None = None,
) -> Float[Tensor, "B H T Cv"]:
    """What the queries of a text find in something else, times tanh(gate).

    Args:
        mask: True where token t may look at context vector s; everywhere, if left out.
    """
    # SOLUTION
    # 1. Attention over the context.
    found = grouped_query_attention(query, key, value, mask)
    # 2. As far as the gate is open.
    return torch.tanh(gate) * found
    # END SOLUTION


# %% tags=["check"]
gated_cross_attention = check("09.5", gated_cross_attention)

# %% [markdown]
# A layer around it, as in the package, where it is called `CrossAttention`; given the same weights, the two agree.


# %%
class LookOutside(nn.Module):
    """Text looks at media, through a gate, and adds what it finds to its stream."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
        )
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x, context):
        query = split_heads(self.query(F.rms_norm(x, (WIDTH,))), HEADS)
        key, value = (split_heads(part(context), HEADS) for part in (self.key, self.value))
        return x + self.output(merge_heads(gated_cross_attention(query, key, value, self.gate)))


layer = LookOutside()
ours = CrossAttention(WIDTH, WIDTH, HEADS, HEADS, WIDTH // HEADS, gated=True)
draw = torch.Generator().manual_seed(0)
x, context = torch.randn(2, 5, WIDTH, generator=draw), torch.randn(2, 9, WIDTH, generator=draw)
assert torch.equal(layer(x, context), x), "shut: the text passes unchanged"
nn.init.constant_(layer.gate, 0.5)
ours.load_state_dict(layer.state_dict())
same = torch.allclose(layer(x, context), x + ours(F.rms_norm(x, (WIDTH,)), context), atol=1e-5)
print("the same as the package's layer:", same)
assert same

# %% [markdown]
# A gate of 0 multiplies everything by 0. **Predict:** which parameters of the layer get a gradient in the first step?

# %% tags=["expected"]
nn.init.zeros_(layer.gate)
layer.zero_grad()
layer(x, context).square().sum().backward()
for name, weight in layer.named_parameters():
    has_gradient = bool((weight.grad.abs() > 1e-7).any())
    print(f"{name:15s} gradient: {has_gradient}")
    assert has_gradient == (name == "gate")

# %% [markdown]
# Only the gate: the slope of $\tanh$ at 0 is 1, and it is multiplied by what was found. From the second step on, when
# the gate is a little open, the matrices learn, too.
#
# Now the race: the same task, the same steps and examples, and as many parameters. The cross-attention has to be paid
# for, so the late model gets narrower feed-forward layers.


# %%
class Late(nn.Module):
    """A decoder of text whose blocks look at patches and frames from outside."""

    def __init__(self, ffn_dim=21):
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), WIDTH)
        self.position_embedding = nn.Embedding(NUM_TOKENS, WIDTH)
        self.patch = nn.Linear(patches.shape[2], WIDTH, bias=False)
        self.frame = nn.Linear(frames.shape[2], WIDTH, bias=False)
        self.blocks = nn.ModuleList(PlainBlock(WIDTH, HEADS, ffn_dim) for _ in range(2))
        self.outside = nn.ModuleList(LookOutside() for _ in range(2))

    def forward(self, ids, patches, frames):
        media = torch.cat([self.patch(patches), self.frame(frames)], dim=1)
        place = self.position_embedding.weight
        context = F.rms_norm(media + place[: media.shape[1]], (WIDTH,))
        text = ids[:, START - 1 :]  # from "shows" on: what stood for the media is not needed
        x = self.embedding(text) + place[START - 1 : ids.shape[1]]
        mask = causal_mask(text.shape[1], text.shape[1])
        for look, block in zip(self.outside, self.blocks, strict=True):
            x = block(look(x, context), mask)
        return F.rms_norm(x, (WIDTH,)) @ self.embedding.weight.T


def size(model):
    return sum(weight.numel() for weight in model.parameters())


print(f"native {size(Native()):,} parameters, late {size(Late()):,}")
assert abs(size(Native()) / size(Late()) - 1) < 0.03
lates, late_losses = [], []
for seed in range(3):
    lates.append(Late())
    late_losses.append(train(lates[-1], seed))
late_right = [written(model, *test) for model in lates]

# %% tags=["expected", "rounded"]
for seed, right in enumerate(late_right):
    print(f"late, seed {seed}: image {float(right['image']):.1f}")
print(f"mean of the seeds: native {mean([r['image'] for r in native_right]):.1f}", end="")
print(f", late {mean([r['image'] for r in late_right]):.1f}")
assert mean([r["image"] for r in native_right]) > mean([r["image"] for r in late_right]) + 0.04

# %% [markdown]
# Late fusion has lost, though its three seeds lie far apart. **But what have we compared?** There are two differences
# between these models: where the media come in, and that one of them starts with its gates shut. For a text model that
# is trained already, a shut gate is a protection. Ours is not trained; it has nothing to protect. **Predict:** the same
# race with gates that start open, at 1.

# %% tags=["expected", "rounded"]
opened, open_losses = [], []
for seed in range(3):
    opened.append(Late())
    open_losses.append(train(opened[-1], seed, gate=1.0))
open_right = [written(model, *test) for model in opened]
images = {
    "native": [float(right["image"]) for right in native_right],
    "late, gates at 0": [float(right["image"]) for right in late_right],
    "late, gates at 1": [float(right["image"]) for right in open_right],
}
figure = losses_by_seed(
    images, "images read correctly", "It was the gate, not the fusion, that cost most"
)
early = {
    "native": native_losses,
    "late, gates at 0": late_losses,
    "late, gates at 1": open_losses,
}
early = {name: [mean(losses[50:150]) for losses in runs] for name, runs in early.items()}
for name, values in images.items():
    print(
        f"{name:16s} images {mean(values):.1f}, loss in steps 50 to 150 {mean(early[name]):.1f}"
    )
for shut, is_open in zip(early["late, gates at 0"], early["late, gates at 1"], strict=True):
    assert shut > is_open + 0.04
assert mean(images["late, gates at 1"]) > mean(images["late, gates at 0"]) + 0.04
assert abs(mean(images["late, gates at 1"]) - mean(images["native"])) < 0.12

# %% [markdown]
# With open gates late fusion learns faster in every seed, and reads about as many images as native fusion: most of the
# difference was the gate. On a task as small as this one, nothing more can be said about which is better. What differs
# for certain is the bill, and what can be asked:
#
# | | native | late |
# |---|---|---|
# | the sequence | text and media: an image makes it longer | text only |
# | layers | those of the decoder, nothing else | a cross-attention for each block that looks |
# | a trained text model | has to learn the new tokens | stays as it is while the gates are shut |
# | media see the text before them | yes, in every block | no |
#
# ## 8 · A mask that leaks
#
# Suppose the last condition of your mask had been forgotten: *the same image number* is enough. All text has the number
# 0, and 0 equals 0. **Predict:** what happens to the training loss? And to what the model writes?


# %%
class Leaky(Native):
    """The native model with a mask in which text counts as an image."""

    def mask(self, ids):
        image_ids = (ids[:1] == ID["#"]).long()
        return super().mask(ids) | (image_ids == image_ids.T)


leaky, leaky_losses = [], []
for seed in range(3):
    leaky.append(Leaky())
    leaky_losses.append(train(leaky[-1], seed))
leaky_right = [written(model, *test) for model in leaky]

# %% tags=["expected", "rounded"]
figure = learning_curves(
    {"right mask": native_losses[0], "leaking mask": leaky_losses[0]},
    "loss (nats per token)",
    "With a leak, the loss falls far too well",
)
for seed, right in enumerate(leaky_right):
    last = mean(leaky_losses[seed][-10:])
    print(f"leaking, seed {seed}: loss {last:.1f}; it writes: {in_words(right)}")
    assert last < 0.5 * mean(native_losses[seed][-10:])
    assert right["image"] < 0.4
    assert right["sum"] < 0.2

# %% [markdown]
# The loss is splendid, and the writing worthless. In training, the word to be predicted stands one place further, in full
# view, and to copy it is easier than to read handwriting. When it writes, that place is empty.
#
# A loss does not show a leak; a change does. Exchange one token of the answer, and see which scores move. **Predict**
# the picture for the leaking mask.


# %%
@torch.no_grad()
def moved(model):
    """Which scores of the answer (rows) move when one of its tokens (columns) is exchanged."""
    sentences, *media = (each[:1] for each in test)
    before, columns = model(sentences, *media)[0, START:], []
    for t in range(START, NUM_TOKENS):
        changed = sentences.clone()
        changed[0, t] = (changed[0, t] + 1) % len(WORDS)
        after = model(changed, *media)[0, START:]
        columns.append((after - before).abs().amax(-1) > 1e-5)
    return torch.stack(columns, dim=1)


# %% tags=["expected"]
figure = influence(moved(leaky[0]), "Earlier scores move: the mask leaks")
is_earlier = torch.ones(6, 6).triu(1).bool()
assert moved(leaky[0])[is_earlier].all()
for model in natives:
    assert not moved(model)[is_earlier].any()

# %% [markdown]
# Above the diagonal nothing may move: there, a later token changes an earlier score. The right mask moves nothing there;
# the leaking one moves all of it. Test every mask like this, before you train.
#
# ## 9 · Learn without a decoder
#
# There is a way to learn what images show that needs no text to be written: **contrastive** learning. Two small encoders,
# one for images and one for tones, should give similar vectors to an image and a tone that belong together. (In SigLIP and
# CLIP it is an image and its caption. Vision towers are trained like this before a language model ever sees them.)
#
# The first idea: pull each pair together. **Predict** what two encoders learn that are asked for nothing but similarity.


# %%
class Encoder(nn.Module):
    """A medium as one vector."""

    def __init__(self, inputs, generator):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 32), nn.GELU(), nn.Linear(32, 16))
        for layer in (self.layers[0], self.layers[2]):
            nn.init.normal_(layer.weight, 0.0, layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.layers(x.flatten(1))


def pairs(generator, images, tones):
    """An image of each digit, and a tone of each key."""
    numbers = torch.arange(10)[:, None]
    i = torch.where(digits.labels[images] == numbers, 1.0, 0.0).multinomial(
        1, generator=generator
    )
    k = torch.where(keys[tones] == numbers, 1.0, 0.0).multinomial(1, generator=generator)
    return patches[images[i[:, 0]]], frames[tones[k[:, 0]]]


def train_pair(seed, loss_of, steps=400):
    """Train two encoders; the loss may have a scale and a bias, which are learned, too."""
    generator = torch.Generator().manual_seed(seed)
    see, hear = Encoder(64, generator), Encoder(NUM_FRAMES * frames.shape[2], generator)
    log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
    bias = nn.Parameter(torch.tensor(-10.0))
    parameters = [*see.parameters(), *hear.parameters(), log_scale, bias]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    for _ in range(steps):
        images, tones = pairs(generator, train_images, train_tones)
        loss = loss_of(see(images), hear(tones), log_scale.exp(), bias)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return see, hear


@torch.no_grad()
def found(see, hear, rounds=40):
    """How often an image's own tone is the most similar of ten; the mean cosine with the other nine."""
    generator, right, others = torch.Generator().manual_seed(7), [], []
    for _ in range(rounds):
        images, tones = pairs(generator, test_images, test_tones)
        cosines = F.normalize(see(images), dim=-1) @ F.normalize(hear(tones), dim=-1).T
        right.append((cosines.argmax(-1) == torch.arange(10)).double().mean())
        others.append((cosines.sum() - cosines.trace()) / 90)
    return float(torch.stack(right).mean()), float(torch.stack(others).mean())


def pull_only(images, tones, scale, bias):
    return (1 - F.cosine_similarity(images, tones)).mean() + 0 * (scale + bias)


pulled = [found(*train_pair(seed, pull_only)) for seed in range(3)]

# %% tags=["expected", "rounded"]
for right, others in pulled:
    print(f"pulled only: own tone found {right:.1f}, cosine with other tones {others:.1f}")
    assert right < 0.45
    assert others > 0.95

# %% [markdown]
# Everything is similar to everything: the cosine with the *other* nine tones is 1, too. The loss is as small as it can be
# and nothing is told apart: the cheapest way to agree is to say the same about everything.
#
# ### Exercise 09.6 · `sigmoid_contrastive_loss` (10 minutes)
#
# So the other pairs have to be pushed apart. SigLIP asks a yes-or-no question of *every* pair of the batch: do these two
# belong together? On the diagonal of the table the answer is yes, elsewhere no. The logit is the cosine, times a learned
# scale, plus a learned bias. The losses of all pairs are added up and divided by the number of images.
#
# **By hand:** two images, two captions; cosines of 1 on the diagonal and 0 elsewhere; scale 1, bias 0. The diagonal costs
# $\ln(1 + e^{-1})$ twice, the rest $\ln 2$ twice.


# %%
def sigmoid_contrastive_loss(
    images: Float[Tensor, "B E"],
    captions: Float[Tensor, "B E"],
    scale: Tensor | float,
    bias: Tensor | float,
) -> Float[Tensor, ""]:
    """Ask of each image and each caption whether they belong together.

    Args:
        images: one vector per image, of any length.
        captions: of the same images, in the same order.
        scale: how sharply the cosines are told apart.
        bias: most pairs do not belong together.
    """
    # SOLUTION
    # 1. Cosines of all pairs: products of vectors of length 1.
    cosines = F.normalize(images, dim=-1) @ F.normalize(captions, dim=-1).T
    # 2. Yes on the diagonal (1), no elsewhere (-1).
    belongs = 2 * torch.eye(len(images)).to(cosines) - 1
    # 3. The loss of every answer, and their sum per image.
    return -F.logsigmoid(belongs * (scale * cosines + bias)).sum() / len(images)
    # END SOLUTION


# %% tags=["check"]
sigmoid_contrastive_loss = check("09.6", sigmoid_contrastive_loss)

# %% tags=["expected"]
loss = sigmoid_contrastive_loss(torch.eye(2), torch.eye(2), 1.0, 0.0)
by_hand = math.log(1 + math.exp(-1)) + math.log(2)
print(f"two pairs: {loss:.3f}, by hand {by_hand:.3f}")
assert math.isclose(loss, by_hand, abs_tol=1e-5)

# %% [markdown]
# The same encoders, the same steps, the other loss.

# %% tags=["expected", "rounded"]
pushed = [found(*train_pair(seed, sigmoid_contrastive_loss)) for seed in range(3)]
for right, others in pushed:
    print(
        f"pulled and pushed: own tone found {right:.1f}, cosine with other tones {others:.1f}"
    )
    assert right > 0.55
    assert others < 0.5

# %% [markdown]
# Now most images find their own tone among ten, and no encoder has ever been told what a digit is: only which tone it came
# with. In larger batches there is a trap that we have avoided: with two threes in a batch, the tone of one would be
# pushed away from the image of the other. Ours hold each digit once.

# %%
parts = (
    patchify,
    log_mel_frames,
    interleave,
    multimodal_mask,
    gated_cross_attention,
    sigmoid_contrastive_loss,
)
print("yours:", ", ".join(part.__name__ for part in parts if is_own(part)) or "none yet")

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("09")

# %% [markdown]
# ## Recap
#
# 1. A patch is a square of pixels as one vector. A reshape cuts strips, and no error says so.
# 2. Half the side of a patch: four times the tokens, sixteen times the scores.
# 3. A log-mel spectrogram says how strong each band is, frame by frame; its floor keeps silence finite.
# 4. Native fusion: one matrix per medium, then everything is a token in one stream.
# 5. Vectors take the places of placeholders in reading order, row by row. Nothing is predicted at a place.
# 6. An image sees itself both ways; text is causal. Text must not count as an image.
# 7. Late fusion: text looks from outside. A gate at 0 protects a trained model, and holds back one that is not.
# 8. An attention map says from where, not what. Paint something black before you tell a story.
# 9. A loss that is too good is a leak until shown otherwise: exchange a later token, and look at earlier scores.
# 10. Contrastive learning needs pushing as well as pulling, or all vectors become the same.
#
# ## I get this error
#
# <details>
# <summary><code>RuntimeError: shape '[16, 4]' is invalid for input of size 100</code></summary>
#
# An image of 10 x 10 pixels does not have 16 patches of 4 pixels. The sides have to be multiples of the patch's: pad
# the image first (`patchify`).
# </details>
#
# <details>
# <summary><code>RuntimeError: expected m1 and m2 to have the same dtype, but got: float != double</code></summary>
#
# `mel_filters` gives float64. Turn it into the kind of what it is multiplied with: `.to(frames)` (`log_mel_frames`).
# </details>
#
# <details>
# <summary><code>RuntimeError: shape mismatch: value tensor of shape [3, 4] cannot be broadcast</code></summary>
#
# There are three vectors for two places. Does every patch and every frame have its placeholder? (`interleave`)
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
# - Patches as tokens are the Vision Transformer ([arXiv:2010.11929](https://arxiv.org/abs/2010.11929)). SigLIP
#   ([arXiv:2303.15343](https://arxiv.org/abs/2303.15343)) trains such an encoder by your loss; CLIP
#   ([arXiv:2103.00020](https://arxiv.org/abs/2103.00020)) by a softmax.
# - Late fusion with gates is Flamingo ([arXiv:2204.14198](https://arxiv.org/abs/2204.14198)). Gemini was native from the
#   start ([arXiv:2312.11805](https://arxiv.org/abs/2312.11805)): text, images, audio and video in one sequence.
# - Gemma 3 ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)) has SigLIP as its tower, 256 tokens per image, and your
#   mask. The next generation has one model without a tower: patches are projected straight into the stream, as ours are.
#   Its small models are causal everywhere, images too.
# - That attention is not an explanation by itself has been argued at length: Jain and Wallace 2019
#   ([arXiv:1902.10186](https://arxiv.org/abs/1902.10186)).
# - Your functions are in `gemini_workshop/models/multimodal` (`patches.py`, `stream.py`, `fusion.py`, `contrastive.py`),
#   `models/masks.py` and `data/media/spectrogram.py`. There, `stream.py` fills places of images and audio in any decoder of
#   the course, `tower.py` is a vision tower, and `embedders.py` does without one.
#
# ## Stretch · does the image have to see itself?
#
# Give `Native` a plain causal mask and train it again, three seeds. Is it worse? (Look at the spread before you answer.)
# Then move the image *behind* the question: what does the mask forbid now?

# %%
# Yours goes here:
# class Causal(Native):
#     def mask(self, ids):
#         return causal_mask(ids.shape[1], ids.shape[1])
