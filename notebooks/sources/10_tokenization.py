# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "10"
#     title: Tokenization
#     part: part4_training
#     kind: pair
#     minutes: 90
#     budget_seconds: 60
#     requires: ["06"]
# ---

# %% [markdown]
# # 10 · Tokenization
#
# **90 minutes** · builds on 06 for one experiment; otherwise it needs only lesson 00
#
# After this lesson you can
#
# - train a byte-pair encoding, and encode and decode any text with it,
# - say why a tokenizer splits words first, and what special tokens are for,
# - compare language models whose tokenizers differ,
# - recognize the mistakes of a model that its tokenizer causes.
#
# A language model never sees a letter. It sees numbers, and the tokenizer decides what a number stands for. You
# write one in seven small functions. At the end it gives the same ids as a library does, on a manual, on emoji and on
# code. An eighth function makes losses comparable.
#
# **In a hurry?** Sections 2 to 6 are the core. Sections 8, 10 and 11 have no exercise: run them and look at the
# figures.

# %%
import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import regex
import torch
import torch.nn.functional as F
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.code_tokens import compare_splits
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer, SentencePieceTokenizer
from gemini_workshop.data.tokenizers.bpe import Pair
from gemini_workshop.data.tokenizers.counting import count_words
from gemini_workshop.data.tokenizers.merging import tokens_of
from gemini_workshop.data.tokenizers.training import train_bpe_fast
from gemini_workshop.devices import pick_device
from gemini_workshop.exercises import check, hint, own_or, quiz, solution
from gemini_workshop.models.plain_transformer import PlainTransformer, initialize
from gemini_workshop.visualization import tokens as figures
from gemini_workshop.visualization.theme import use_theme
from gemini_workshop.visualization.widgets import explore
from ipywidgets import Layout, Text

use_theme()
device = pick_device()
model, tokenizer = load_pretrained(device=device)

stories = load_documents("stories")
training_stories, other_stories = stories[:900], stories[900:]
# Fifty topics of Python's help(), which are sections of its documentation, and fifty of its modules.
manual = "\n".join(load_documents("python-docs", "small"))
code = load_documents("python-source", "small")

# %% [markdown]
# ## 1 · What should a number stand for?
#
# A character? A word? A byte? Here are all three, made from the same 900 stories, and a sentence with a name, an
# emoji and a rare word in it. **Predict before you run:** which of the three gives the sentence back as it was?

# %%
sentence = "Zoë met 3 wolves 🙂 at twilight."

characters = CharTokenizer.train(training_stories)
by_characters = characters.decode(characters.encode(sentence))

known_words = set(re.findall(r"\w+|\W", " ".join(training_stories)))
words = re.findall(r"\w+|\W", sentence)
by_words = "".join(word if word in known_words else "<unknown>" for word in words)

by_bytes = bytes(list(sentence.encode())).decode()

for name, text in {"characters": by_characters, "words": by_words, "bytes": by_bytes}.items():
    print(f"{name:11s} {text}")
print(f"{len(words)} words, {len(sentence)} characters, {len(sentence.encode())} bytes")
everything = "\n".join(stories)
assert 3.5 < len(everything.encode()) / len(re.findall(r" ?\w+|\W", everything)) < 4.5
assert by_bytes == sentence
assert "�" in by_characters
assert by_words.count("<unknown>") >= 3

# %% [markdown]
# Characters and words know what they met in training, and nothing else. Bytes know everything: UTF-8 writes any
# text with 256 of them, one for each letter of English, two for "ë", four for an emoji. But they are short. A story
# of bytes is about four times as long as one of words, and lesson 02 showed what that costs: 16 times as many
# attention weights.
#
# So we want both: bytes, for whatever may come, and longer pieces for what comes often. **Byte-pair encoding**
# (BPE) gets them with one idea: find the most frequent pair of neighbors, make it a token of its own, and repeat.

# %% [markdown]
# ## 2 · Count, then merge
#
# ### Exercise 10.1 · `count_pairs` (3 minutes)
#
# In "abcab", the pair (a, b) occurs twice, (b, c) and (c, a) once. In "aaa" the pair (a, a) occurs twice: it begins
# at two places.


# %%
def count_pairs(ids: Sequence[int]) -> Counter[Pair]:
    """How often each pair of neighbors occurs, overlaps included; pairs seen first come first.

    count_pairs([97, 98, 97, 98]) is Counter({(97, 98): 2, (98, 97): 1}). A plain dict will do, too.
    """
    # SOLUTION
    # 1. Walk through all neighbors, and count them.
    return Counter(pairwise(ids))
    # END SOLUTION


# %% tags=["check"]
count_pairs = check("10.1", count_pairs)

# %% [markdown]
# On two hundred stories. **Predict:** which pair of neighboring characters is the most frequent in English?

# %% tags=["expected"]
counts = count_pairs(list("\n".join(stories[:200]).encode()))
figure = figures.pair_counts(counts, "English words like to end in “e” and to begin with “t”")

most_frequent = [
    bytes(pair).decode() for pair in sorted(counts, key=lambda pair: -counts[pair])[:10]
]
assert {"he", "e ", " t", "th"} <= set(most_frequent)

# %% [markdown]
# ### Exercise 10.2 · `merge_pair` (6 minutes)
#
# Go through the list from left to right, and replace each occurrence of the pair by the new id. A token can take
# part in one merge only: "aaa" becomes the new token and one "a".


# %%
def merge_pair(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of the pair, from left to right, by the new id.

    merge_pair([97, 97, 97, 98], (97, 97), 256) is [256, 97, 98]. The argument stays as it is.
    """
    merged: list[int] = []
    # SOLUTION
    i = 0
    # 1. As long as there is a token to look at:
    while i < len(ids):
        # 2. Where it begins the pair, take the new id and pass over both.
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            i += 2
        # 3. Otherwise take it as it is.
        else:
            merged.append(ids[i])
            i += 1
    return merged
    # END SOLUTION


# %% tags=["check"]
merge_pair = check("10.2", merge_pair)

# %% [markdown]
# **By hand, once.** The whole training of a byte-pair encoding on one text of 23 characters, three merges. Write down
# the counts before the second merge, then run the cell.

# %% tags=["expected"]
text = "low lower lowest slowly"
ids, names = list(text.encode()), {i: chr(i) for i in range(256)}
for new_id in (256, 257, 258):
    [(pair, times)] = Counter(count_pairs(ids)).most_common(1)
    names[new_id] = names[pair[0]] + names[pair[1]]
    ids = merge_pair(ids, pair, new_id)
    print(f"{new_id} = {names[new_id]!r}, seen {times} times: ", end="")
    print(f"{len(ids)} tokens: {'|'.join(names[i] for i in ids)}")

assert [names[i] for i in (256, 257, 258)] == ["lo", "low", " low"]
assert len(ids) == 13

# %% [markdown]
# Letters became "lo", then "low", then " low". Nobody told the program what a word is.
#
# ## 3 · Words first
#
# Why not do just that to a whole text? Here are 1,243 merges of 900 stories. **Predict:** what will the longest
# tokens be?

# %% tags=["expected"]
across_words = BPETokenizer.train(training_stories, 1500, pattern="whole")
learned = [token.decode(errors="replace") for token in across_words.tokens[256:]]
longest = sorted(learned, key=len)[-6:]
print("the longest:", longest)
spanning = [token for token in learned if re.search(r"\S\s+\S|\w\W*\s$|\w[.,!?]", token)]
print(
    f"{len(spanning) / len(learned):.0%} hold more than a word, or a word and its punctuation"
)
print("tokens with “said” in them:", [token for token in learned if "said" in token])

assert len(spanning) > len(learned) / 2
assert max(map(len, learned)) >= 20

# %% [markdown]
# Whole phrases. They compress these stories well, and nothing else: half of the vocabulary is spent on pieces of this
# text. And what a model learns about “said” it has to learn again for each phrase with “said” in it.
#
# So most tokenizers cut the text into words *before* they count, and no token may span two of them. This is
# called **pre-tokenization**. The rules of GPT-2, in their order; the first that fits at a place wins:
#
# | | a word is | examples |
# |---|---|---|
# | 1 | a contraction in lower case: `'s` `'t` `'re` `'ve` `'m` `'ll` `'d` | `'ll` |
# | 2 | a run of letters of any script, with one space before it if there is one | `␣dog`, `Zoë` |
# | 3 | a run of digits, with one space before it if there is one | `␣42` |
# | 4 | a run of anything else but blanks, with one space before it if there is one | `...`, `␣(` |
# | 5 | a run of blanks that is not followed by something else | see below |
# | 6 | a run of blanks | `⏎` |
#
# Rule 5 leaves the last of several blanks to the word behind them, which wants its space: "a", two spaces, "b"
# becomes `a`, `␣`, `␣b`. Nothing is thrown away: joined, the words are the text.
#
# ### Exercise 10.3 · `pre_tokenize` (10 minutes)
#
# One regular expression, with `|` between its parts. The library `regex` knows `\p{L}` for a letter of any script
# and `\p{N}` for a digit; `\s` is a blank and `\S` anything else; `(?!...)` looks ahead without taking anything,
# and fits where `...` does not follow. `regex.findall(pattern, text)` lists all matches. If you group, group with
# `(?:...)`: with `(...)` `findall` returns the groups instead of the matches.


# %%
def pre_tokenize(text: str) -> list[str]:
    """Cut the text into words within which pairs are merged; joined, they are the text again.

    pre_tokenize("It's 12  o'clock!") is ['It', "'s", ' 12', ' ', ' o', "'", 'clock', '!']
    """
    # SOLUTION
    # 1. A pattern for each of the first four rules.
    contractions = r"'(?:s|t|re|ve|m|ll|d)"
    letters, digits, signs = r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+"
    # 2. The two rules about blanks.
    blanks = r"\s+(?!\S)|\s+"
    # 3. All matches of any of them, in this order.
    return regex.findall("|".join([contractions, letters, digits, signs, blanks]), text)
    # END SOLUTION


# %% tags=["check"]
pre_tokenize = check("10.3", pre_tokenize)

# %%
for sample in ("Tom's dog barked.", "total = 0\n        count(42)", "Der Zoo hat 3 Bären…"):
    print(pre_tokenize(sample))
for text in (manual, "\n".join(code), *stories):
    assert "".join(pre_tokenize(text)) == text

# %% [markdown]
# ## 4 · Training
#
# ### Exercise 10.4 · `train_bpe` (12 minutes)
#
# You have all the parts. Count the pairs in every word, add up, choose the most frequent pair, merge it in every
# word, and do it again. The ids of the new tokens follow those of the bytes: 256, 257, and so on.
#
# One rule makes the result the same everywhere: of pairs that are equally frequent, the one that is seen first in the
# text wins. Python's `max` and `Counter` help with that, if you let them.


# %%
def train_bpe(words: Sequence[Sequence[int]], num_merges: int) -> dict[Pair, int]:
    """Learn which pairs to merge, by counting all pairs again before each merge.

    train_bpe([b"low", b" lower", b" low"], num_merges=2) is {(108, 111): 256, (256, 119): 257}

    Args:
        words: the bytes of each word of the text, in its order; pairs do not span words.

    Returns:
        The id of each merged pair, in the order learned.
    """
    # SOLUTION
    words = [list(word) for word in words]
    merges: dict[Pair, int] = {}
    for new_id in range(256, 256 + num_merges):
        # 1. Count the pairs of all words.
        counts: Counter[Pair] = Counter()
        for word in words:
            counts.update(count_pairs(word))
        # 2. Choose the most frequent one, and remember its id.
        pair = max(counts, key=counts.get)
        merges[pair] = new_id
        # 3. Merge it in every word.
        words = [merge_pair(word, pair, new_id) for word in words]
    return merges
    # END SOLUTION


# %% tags=["check"]
train_bpe = check("10.4", train_bpe)

# %% [markdown]
# Thirty stories, sixty merges, with your own code:

# %% tags=["expected"]
few_words = [word.encode() for word in pre_tokenize("\n".join(stories[:30]))]
first_merges = train_bpe(few_words, 60)
print([token.decode() for token in tokens_of(first_merges)[256:]])

assert list(first_merges) == list(train_bpe_fast(Counter(few_words), 60))

# %% [markdown]
# The assertion compares with the package's trainer: the same merges in the same order. Yours counts the whole text
# again before every merge. The package's counts each *distinct* word once, and after a merge it corrects the counts
# of the pairs that changed (`gemini_workshop/data/tokenizers/training.py` draws how). That takes a fraction of a second for
# what follows: 1,791 merges of 900 stories.

# %%
merges = train_bpe_fast(count_words(training_stories), 1791)
tokens = tokens_of(merges)
assert len(tokens) == 256 + 1791


def cut(text, num_merges):
    """The tokens of a text, with the first so many merges."""
    few = dict(list(merges.items())[:num_merges])
    encoder = BPETokenizer(few, special_tokens={"<|endoftext|>": 256 + num_merges})
    return [encoder.tokens[i] for i in encoder.encode(text)]


# %% tags=["expected"]
opening = "Long ago, a little fox wanted to know why the moon follows everybody home."
figure = figures.tokenized(
    {f"{n} merges": cut(opening, n) for n in (0, 20, 200, 1791)},
    "The more merges, the fewer tokens",
)
lengths = [len(cut(opening, n)) for n in (0, 20, 200, 1791)]
assert lengths == sorted(lengths, reverse=True)
assert lengths[0] > 3 * lengths[-1]

# %% [markdown]
# ␣ is a space. Frequent words become one token, together with their space. Rare ones remain in pieces. This is what
# makes the vocabulary *open*: there is always a way to write a word.
#
# ## 5 · And back
#
# ### Exercise 10.5 · `decode` (8 minutes)
#
# Ids to text. First find out which bytes each id stands for: ids below 256 are bytes, and a merged pair is the
# bytes of its left half, followed by those of its right half. Then join the bytes of all tokens and read them as
# UTF-8. A language model may stop in the middle of a character; such bytes become "�" (`errors="replace"`).


# %%
def decode(ids: Sequence[int], merges: Mapping[Pair, int]) -> str:
    """The text of the ids; incomplete characters become "�".

    decode([115, 257], {(108, 111): 256, (256, 119): 257}) is "slow"

    Args:
        merges: the id of each merged pair, in the order learned.
    """
    # SOLUTION
    # 1. The bytes of each id: of the first 256, and of each merge.
    tokens = {i: bytes([i]) for i in range(256)}
    for (left, right), new_id in merges.items():
        tokens[new_id] = tokens[left] + tokens[right]
    # 2. Join them, then read them as UTF-8.
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")
    # END SOLUTION


# %% tags=["check"]
decode = check("10.5", decode)

# %% [markdown]
# A model writes one token after the other. **Predict:** what does a reader see while the model writes an emoji,
# which is four bytes and so four tokens for this tokenizer?

# %%
written = list("Yes! 🙂".encode())
for end in range(4, len(written) + 1):
    print(repr(decode(written[:end], merges)))
assert decode(written, merges) == "Yes! 🙂"
assert decode(written[:-1], merges).endswith("�")

# %% [markdown]
# That is why a program that shows text while it is written waits until a character is complete (lesson 12 does it).
# And it is why the bytes have to be joined before they are decoded: no single one of those tokens is text.

# %% [markdown]
# ## 6 · Encoding: the same cuts as in training
#
# One word can be cut in many ways. How many for " happy", with the tokens of the pretrained model?


# %%
def all_cuts(word, known):
    """Every way to write the bytes of a word in known tokens."""
    if not word:
        return [[]]
    return [
        [word[:end], *rest]
        for end in range(1, len(word) + 1)
        if word[:end] in known
        for rest in all_cuts(word[end:], known)
    ]


ways = all_cuts(b" happy", set(tokenizer.tokens))
print(f"{len(ways)} ways, such as")
for way in sorted(ways, key=len)[:: len(ways) // 4]:
    print("   ", [token.decode() for token in way])
assert len(ways) > 10

# %% [markdown]
# All of them decode to " happy". **Predict:** does it matter to the model which one it reads? Think of an answer
# for a few words that are cut in an unusual way, and for a text in single bytes. Guessing among the 256 bytes
# blindly would cost eight bits per byte.


# %% tags=["expected", "rounded"]
def bits(prompt, ids):
    """How many bits the pretrained model needs to predict the ids after the prompt (ids, too)."""
    both = torch.tensor([[tokenizer.end_of_text_id, *prompt, *ids]], device=device)
    with torch.no_grad():
        log_probabilities = model(both[:, :-1])[0, -len(ids) :].log_softmax(-1)
    return -float(log_probabilities.gather(1, both[0, -len(ids) :, None]).sum()) / math.log(2)


def cut_with_dropout(text, fraction, generator):
    """Encode, but overlook this fraction of the possible merges each time."""
    ids = []
    for word in pre_tokenize(text):
        word = list(word.encode())
        while found := [
            pair
            for pair in pairwise(word)
            if pair in tokenizer.merges and generator.random() >= fraction
        ]:
            pair = min(found, key=tokenizer.merges.get)
            word = merge_pair(word, pair, tokenizer.merges[pair])
        ids += word
    return ids


openings = [story[:220] for story in other_stories[:8]]
num_bytes = sum(len(opening.encode()) for opening in openings)
generator = random.Random(0)
cuts = {
    "as in training": [tokenizer.encode(opening) for opening in openings],
    "one merge in ten overlooked": [cut_with_dropout(o, 0.1, generator) for o in openings],
    "single bytes": [list(opening.encode()) for opening in openings],
}
cost = {name: sum(bits([], ids) for ids in lists) / num_bytes for name, lists in cuts.items()}
figure = figures.costs(
    cost,
    "bits per byte",
    "The same text, cut otherwise, is another text to the model",
    (8.0, "blind guess"),
)
for opening, lists in zip(openings, zip(*cuts.values(), strict=True), strict=True):
    assert {tokenizer.decode(ids) for ids in lists} == {opening}
assert cost["one merge in ten overlooked"] > 2 * cost["as in training"]
assert cost["single bytes"] > 8

# %% [markdown]
# The model learned one way to cut each word, and it knows no other. In single bytes its own language is worse than
# noise to it. (A guess costs each byte eight bits; the model is confident and wrong.) So encoding has to make
# exactly the cuts of training, and there is one way to be sure: repeat the merges of training in their order.
#
# ### Exercise 10.6 · `apply_merges` (10 minutes)
#
# Of all the pairs of neighbors in the word, take the one that was *learned earliest* (its id is the smallest), and
# merge it. Repeat until no pair is known. With the merges (b, c), (a, b), (a, bc), learned in this order, what
# becomes of "abc"?


# %%
def apply_merges(ids: Sequence[int], merges: Mapping[Pair, int]) -> list[int]:
    """Encode the bytes of one word: of the pairs present, merge the one learned earliest; repeat.

    apply_merges(b"abc", {(98, 99): 256, (97, 98): 257, (97, 256): 258}) is [258]
    """
    # SOLUTION
    ids = list(ids)
    # 1. As long as there are neighbors:
    while len(ids) > 1:
        # 2. Find the pair with the smallest id; unknown pairs come last.
        pair = min(pairwise(ids), key=lambda pair: merges.get(pair, math.inf))
        # 3. Stop if not even that one is known; merge it otherwise.
        if pair not in merges:
            break
        ids = merge_pair(ids, pair, merges[pair])
    return ids
    # END SOLUTION


# %% tags=["check"]
apply_merges = check("10.6", apply_merges)

# %% [markdown]
# Your function, with the merges of the pretrained model, on whole stories:

# %%
for story in other_stories[:5]:
    mine = [
        i for word in pre_tokenize(story) for i in apply_merges(word.encode(), tokenizer.merges)
    ]
    assert mine == tokenizer.encode(story)
print("the ids that the pretrained model was trained with")

# %% [markdown]
# It is tempting to take the longest token that fits, from the left. For most words that gives the same tokens. Not
# for these:


# %% tags=["expected"]
def longest_first(word):
    """From the left, always the longest known token."""
    found = []
    while word:
        end = max(end for end in range(1, len(word) + 1) if word[:end] in tokenizer.ranks)
        found.append(tokenizer.ranks[word[:end]])
        word = word[end:]
    return found


distinct = count_words(stories)
different = [
    word for word in distinct if longest_first(word) != apply_merges(word, tokenizer.merges)
]
print(f"{len(different)} of {len(distinct)} words, such as")
for word in different[:4]:
    both = longest_first(word), apply_merges(word, tokenizer.merges)
    print(
        *(" | ".join(tokenizer.tokens[i].decode() for i in ids) for ids in both),
        sep="   not as   ",
    )
assert 0 < len(different) < len(distinct) / 10

# %% [markdown]
# ## 7 · Tokens that no text contains
#
# Training text is one long stream of documents. Where one ends, there is a token that is not made of bytes: the end
# of text, whose id follows those of the merges. It is called a **special token**. In the text that the pretrained model
# was trained on, what comes after it has nothing to do with what came before.
#
# **Predict:** somebody types the characters `<|endoftext|>` into a story. What happens if the tokenizer takes them
# for the token?

# %% tags=["expected"]
rest = "One day,"
print("bits to predict the hero's name after the text")
for name in ("Tom", "Lily", "Ben", "Sam", "Anna", "Max"):
    story = f"Once upon a time, there was a little child named {name}. {name} loved to play outside. "
    typed = story + "<|endoftext|>" + rest
    texts = {
        "without": tokenizer.encode(story + rest),
        "as characters": tokenizer.encode(typed),
        "as the token": tokenizer.encode(typed, allowed_special="all"),
        "with no story before": tokenizer.encode(rest),
    }
    cost = {how: bits(ids, tokenizer.encode(" " + name)) for how, ids in texts.items()}
    print(f"{name:5s}", ", ".join(f"{how} {value:.0f}" for how, value in cost.items()))
    assert cost["as the token"] > cost["without"] + 1
    assert cost["as the token"] > cost["as characters"] + 1
    assert cost["as the token"] < cost["with no story before"] - 1

# %% [markdown]
# As the token, it makes the name more of a surprise: the model takes the story for finished, and half forgets its hero.
# (Not wholly: with no story before, the name costs more still.) In a chat, the text before might be the instructions of
# whoever runs the service. So a name in a text is text, unless
# the *program* says that it is more. Your `encode` gets the special tokens that it may recognize as an argument; for what
# a user has typed, the caller passes none.
#
# ### Exercise 10.7 · `encode` (12 minutes)
#
# Everything together: cut the text at the special tokens; each of them gives its id. Cut what lies between into
# words, and each word into tokens. Names such as `<|end|>` contain characters that mean something in a regular
# expression; `re.escape` makes them harmless. And `re.split` keeps what it splits by if the pattern is in
# parentheses: `re.split("(b)", "abc")` is `["a", "b", "c"]`.


# %%
def encode(
    text: str, merges: Mapping[Pair, int], special_tokens: Mapping[str, int]
) -> list[int]:
    """The ids of a text.

    encode("no<|end|>no", {(110, 111): 256}, {"<|end|>": 257}) is [256, 257, 256]

    Args:
        special_tokens: the ids of those to be recognized in the text, by their names; nothing else is special.
    """
    # SOLUTION
    # 1. Cut at the names of the special tokens, if there are any, and keep them.
    names = "|".join(re.escape(name) for name in special_tokens)
    parts = re.split(f"({names})", text) if names else [text]
    ids: list[int] = []
    for part in parts:
        # 2. A special token is one id.
        if part in special_tokens:
            ids.append(special_tokens[part])
        # 3. Anything else is words, and each word is bytes to be merged.
        else:
            for word in pre_tokenize(part):
                ids += apply_merges(word.encode(), merges)
    return ids
    # END SOLUTION


# %% tags=["check"]
encode = check("10.7", encode)

# %% [markdown]
# Your tokenizer is complete. The last test is the hardest: the same ids as a library's, on Python's manual, on
# Python's source, on emoji and on other scripts. The library is tiktoken, which OpenAI's models use. It gets your
# merges and the pattern, and does everything else by itself. (Where it is not installed, `pip install tiktoken`,
# the package's own tokenizer takes its place. Its ids equal tiktoken's: the package's tests compare them.)

# %%
special = {"<|endoftext|>": 256 + len(merges)}
try:
    import tiktoken

    library = tiktoken.Encoding(
        "mine",
        pat_str=r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        mergeable_ranks={token: i for i, token in enumerate(tokens)},
        special_tokens=special,
    )
except ImportError:
    library = BPETokenizer(merges, special_tokens=special)

texts = {
    "a manual": manual[:50_000],
    "code": "\n".join(code)[:50_000],
    "stories": "<|endoftext|>".join(other_stories[:20]),
    "emoji": "🙂👩‍👩‍👧‍👦🏳️‍🌈 ok 👍🏽!" * 20,
    "other scripts": "Привет, мир! 你好,世界。 नमस्ते दुनिया। こんにちは、世界。 مرحبا بالعالم "
    * 5,
}
for name, text in texts.items():
    mine = encode(text, merges, special)
    assert mine == list(library.encode(text, allowed_special="all"))
    assert mine.count(special["<|endoftext|>"]) == text.count("<|endoftext|>")
    plain = encode(text, merges, {})
    assert decode(plain, merges) == text
    print(f"{name:14s} the same ids, and back to the same text")

# %% [markdown]
# ## 8 · How much does a token hold?
#
# A token costs the same, however long it is: the same time, the same place in the context. So count bytes per
# token. **Predict:** the vocabulary is learned from stories. When it grows, for which of these texts does a token
# hold more: other stories, the manual of Python, code, Russian, Chinese?

# %% tags=["expected"]
translations = {
    "English": "Once there was a girl. She had a red ball and a small dog. One day the dog took the ball.",
    "Russian": "Жила-была девочка. У неё был красный мяч и маленькая собака. Однажды собака взяла мяч.",
    "Chinese": "从前有一个小女孩。她有一个红色的球和一只小狗。有一天,小狗把球拿走了。",
}
measured = {
    "stories": "\n".join(other_stories),
    "manual": manual[:60_000],
    "code": "\n".join(code)[:60_000],
    "Russian, Chinese": translations["Russian"] + translations["Chinese"],
}
sizes = [256, 320, 512, 1024, 2047]
held = {name: [] for name in measured}
for size in sizes:
    few = dict(list(merges.items())[: size - 256])
    encoder = BPETokenizer(few, special_tokens={"<|endoftext|>": size})
    for name, text in measured.items():
        held[name].append(len(text.encode()) / len(encoder.encode(text)))
figure = figures.compression(sizes, held, "A vocabulary helps the text it was learned from")

assert held["stories"][-1] > 3.5
assert held["code"][-1] < held["manual"][-1] < 0.6 * held["stories"][-1]
assert held["Russian, Chinese"] == [1.0] * 5

# %% [markdown]
# Other stories: nearly four bytes. In the manual a token holds about half as much, in code still less, and in Russian and
# Chinese a single byte, because no pair of their bytes was ever merged. Bytes keep the promise that every text can be written, and no
# other. What it means for people who do not write English, in tokens for the same sentence:

# %%
for language, text in translations.items():
    num_tokens = len(encode(text, merges, {}))
    print(f"{language}: {len(text)} characters, {num_tokens} tokens")
english, russian, chinese = (len(encode(text, merges, {})) for text in translations.values())
assert russian > 5 * english
assert chinese > 3 * english

# %% [markdown]
# The same story costs several times as much, in time and money, and fills the context several times as fast. Real
# vocabularies are trained on many languages, and still differ: by up to 15 times between languages, as Petrov et al.
# 2023 measured ([arXiv:2305.15425](https://arxiv.org/abs/2305.15425)).
#
# Type your own text, in your language. Four vocabularies cut it side by side: bytes, 256 merges of stories, 1,791
# merges of stories, and 1,791 merges of Python's source.

# %%
code_tokenizer = BPETokenizer.train(code[:25], 2048)


def draw_text(text):
    cuts = {
        "bytes": cut(text, 0),
        "stories, 256": cut(text, 256),
        "stories, 1,791": cut(text, 1791),
        "code, 1,791": [code_tokenizer.tokens[i] for i in code_tokenizer.encode(text)],
    }
    return figures.tokenized(cuts, "One text, four vocabularies")


explore(
    draw_text,
    text=Text(
        value="The fox didn't return 42 für Zoë 🙂",
        layout=Layout(width="90%"),
        continuous_update=False,
    ),
)

# %% [markdown]
# ## 9 · Which tokenizer is best?
#
# The one whose model predicts best. So train one small model with each of five tokenizers: the same layers, the
# same number of steps on the same number of tokens. The loss is what lesson 06 measured: nats per token.
# **Predict:** with which tokenizer is the loss lowest?


# %%
class Bytes:
    """The tokenizer without a merge."""

    vocab_size = 256

    def encode(self, text):
        return list(text.encode())


PlainTransformer = own_or(
    PlainTransformer,
    vocab_size=5,
    context_tokens=4,
    embed_dim=8,
    num_layers=1,
    num_heads=2,
    ffn_dim=3,
)
five = {"bytes": Bytes()} | {
    f"{size:,} tokens": BPETokenizer.train(training_stories, size)
    for size in (320, 512, 1024, 2048)
}
held_out = "\n".join(other_stories)[:12_000]


def train_and_measure(tokenizer, seed, steps=60, window=64):
    """A small model after some steps: loss per token on stories that it has not read, tokens and bytes of these."""
    ids = torch.tensor(tokenizer.encode("\n".join(training_stories)))
    small = PlainTransformer(
        tokenizer.vocab_size, window, 64, num_layers=2, num_heads=4, ffn_dim=171
    )
    generator = torch.Generator().manual_seed(seed)
    initialize(small, generator)
    optimizer = torch.optim.AdamW(small.parameters(), lr=2e-3, weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 20) * (1 - step / steps)
        starts = torch.randint(len(ids) - window - 1, (16,), generator=generator)
        rows = ids[starts[:, None] + torch.arange(window + 1)]
        loss = F.cross_entropy(small(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held = torch.tensor(tokenizer.encode(held_out))
    num_rows = (len(held) - 1) // window
    inputs, targets = held[: num_rows * window], held[1 : num_rows * window + 1]
    with torch.no_grad():
        scores = small(inputs.view(num_rows, window)).flatten(0, 1)
    num_bytes = round(len(held_out.encode()) * len(targets) / len(held))
    return float(F.cross_entropy(scores, targets)), len(targets), num_bytes


results = {name: train_and_measure(each, seed=0) for name, each in five.items()}
per_token = {name: loss for name, (loss, _, _) in results.items()}
for name, loss in per_token.items():
    print(f"{name:13s} {loss:.1f} nats per token")
assert list(per_token)[0] == min(per_token, key=per_token.get)

# %% [markdown]
# Bytes, by far. Should we have stayed there? Think of what is predicted. After "Once upon a ti" the next byte is
# easy: the whole word was guessed when its first letter was, and the rest is nearly free. A token holds several
# such guesses, so its loss is higher. Losses per token count different things, and must not be compared.
#
# ### Exercise 10.8 · `bits_per_byte` (4 minutes)
#
# What can be compared is the loss of the *whole text*, in any unit that does not depend on the tokenizer. The usual
# one is **bits per byte**: the loss of all tokens together, in bits, divided by the bytes of the text. One bit is
# $\ln 2$ nats.


# %%
def bits_per_byte(loss_nats: float, num_tokens: int, num_bytes: int) -> float:
    """A loss that does not depend on the tokenizer: bits for each byte of the text.

    bits_per_byte(math.log(2), num_tokens=10, num_bytes=40) is 0.25

    Args:
        loss_nats: the mean loss of a token, in nats.
    """
    # SOLUTION
    # 1. The bits of one token, of all tokens, and per byte.
    return loss_nats / math.log(2) * num_tokens / num_bytes
    # END SOLUTION


# %% tags=["check"]
bits_per_byte = check("10.8", bits_per_byte)

# %% tags=["expected", "rounded"]
per_byte = {name: bits_per_byte(*result) for name, result in results.items()}
figure = figures.two_rankings(
    per_token, per_byte, "Per token and per byte, the order is reversed"
)

order = list(results)
for fewer, more in pairwise(order):
    assert per_byte[more] < per_byte[fewer] - 0.15
for fewer, more in pairwise(order[:4]):
    assert per_token[more] > per_token[fewer] + 0.3
assert per_token[order[-1]] > per_token[order[2]] + 0.3

# %% [markdown]
# The order is reversed. With a larger vocabulary, the same number of steps covers more text, and each window sees
# further. That is part of the gain, and a fair one: a step costs little more. What grows is the table of embeddings:
# 256 rows against 2,048. Larger is not always better, since a token that is seldom seen learns little. Today's models
# have vocabularies of 100,000 to 260,000 tokens.
#
# ## 10 · SentencePiece
#
# Gemma and many other models use another library: **SentencePiece**. Three things differ. Its pieces are made of
# *characters*; a character without a piece falls back to its bytes (**byte fallback**). It does not need words: a
# space is a character like others, written `▁`. And it has a second algorithm, **unigram**, which works the other
# way round: it begins with far too many pieces, each with a probability, and drops those that the likelihood of the
# text misses least. A text is cut where the product of the probabilities is largest.

# %% tags=["expected"]
pieces = {
    "SentencePiece BPE": SentencePieceTokenizer.train(training_stories, 1024),
    "SentencePiece unigram": SentencePieceTokenizer.train(
        training_stories, 1024, model="unigram"
    ),
}
sample = "The bears walked unhappily, wondering 🙂"
rows = {"bytes and merges": cut(sample, 1024 - 257)}
text = "\n".join(other_stories)
lengths = {"bytes and merges": len(text.encode()) / len(cut(text, 1024 - 257))}
for name, each in pieces.items():
    ids = each.encode(sample)
    texts_of_pieces = [each.decode([i]) for i in ids]
    left = iter("🙂".encode())  # the bytes that stand for themselves
    rows[name] = [bytes([next(left)]) if "�" in p else p.encode() for p in texts_of_pieces]
    lengths[name] = len(text.encode()) / len(each.encode(text))
    assert each.decode(ids) == sample
    assert "".join(texts_of_pieces).count("�") == 4, "four bytes for the emoji"
figure = figures.tokenized(rows, "Three ways to learn about 1,000 tokens")

print(
    "bytes per token on other stories:",
    ", ".join(f"{name} {held:.1f}" for name, held in lengths.items()),
)
assert max(lengths.values()) < 1.15 * min(lengths.values())

# %% [markdown]
# They cut differently and compress these stories about equally well. The emoji falls back to four bytes everywhere. What is
# special about unigram is that it knows the probability of every cut. So cuts can be *sampled* while a model
# trains, and the model learns that a word may be cut in several ways (Kudo 2018). For BPE the same is done by
# overlooking merges at random, as in section 6 (BPE-dropout, Provilkov et al. 2020).

# %% [markdown]
# ## 11 · Where tokenizers hurt
#
# Some mistakes of language models begin in the tokenizer. Here are five, measured on ours.
#
# ### Numbers
#
# **Predict:** which of the numbers from 0 to 999 does the pretrained model's tokenizer treat differently from the
# others?

# %% tags=["expected"]
for number in (127, 227, 327, 427):
    print(number, [tokenizer.tokens[i].decode() for i in tokenizer.encode(f" {number}")])
shorter = [n for n in range(1000) if len(tokenizer.encode(f" {n}")) == len(str(n))]
print(f"{len(shorter)} numbers have one token less; all begin with a 3:", end=" ")
print(all(str(n)[0] == "3" for n in shorter))
assert len(shorter) == 111
assert all(str(n)[0] == "3" for n in shorter)

# %% [markdown]
# In the text from which this vocabulary was learned, a space and a 3 were frequent enough to be merged, and no
# other pair with a digit was. In a larger vocabulary hundreds of numbers are single tokens, and others are not;
# then "1000" may be one token and "1001" two, and a column of digits means something else in each. That makes
# arithmetic hard to learn. Llama 2 and Gemma therefore split all numbers into single digits, GPT-4 into groups of
# three.
#
# ### A trailing space
#
# A prompt may end in a space, by accident. **Predict:** does the next word become a little harder to guess?

# %% tags=["expected"]
without, with_space = [], []
for story in other_stories[:40]:
    words = pre_tokenize(story)
    place = next(k for k in range(30, len(words)) if re.fullmatch(" [a-z]+", words[k]))
    prompt, word = "".join(words[:place]), words[place]
    without.append(bits(tokenizer.encode(prompt), tokenizer.encode(word)))
    with_space.append(bits(tokenizer.encode(prompt + " "), tokenizer.encode(word[1:])))
figure = figures.space_costs(
    without, with_space, "On average a trailing space costs more than a dozen bits"
)

assert all(after > before for before, after in zip(without, with_space, strict=True))
assert sum(with_space) / 40 > sum(without) / 40 + 12

# %% [markdown]
# At every one of forty places, and by more than a factor of $2^{12}$ in probability on average. In training the
# space was part of the next word's token. A space by itself came only before something unusual, and a word without
# its space came only after something else than a space. The model has hardly ever seen what the prompt demands.
#
# ### Rare words
#
# Rare words are cut into more tokens. Are they harder to predict for their length, too? Here each word of some
# stories, by its number of tokens:

# %% tags=["expected", "rounded"]
totals = {n: [0.0, 0] for n in (1, 2, 3)}
for story in other_stories[:30]:
    words = pre_tokenize(story)[:150]
    lists = [tokenizer.encode(word) for word in words]
    ids = torch.tensor(
        [[tokenizer.end_of_text_id, *(i for each in lists for i in each)]], device=device
    )
    with torch.no_grad():
        surprise = -model(ids[:, :-1])[0].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    parts = (surprise / math.log(2)).split([len(each) for each in lists])
    for word, each, part in zip(words, lists, parts, strict=True):
        total = totals[min(len(each), 3)]
        total[0] += float(part.sum())
        total[1] += len(word.encode())
cost = {
    f"{n} token{'s' * (n > 1)}{' or more' * (n == 3)}": total / size
    for n, (total, size) in totals.items()
}
figure = figures.costs(
    cost, "bits per byte of the word", "Words in several tokens cost more, letter for letter"
)
one, *several = cost.values()
assert min(several) > 1.2 * one

# %% [markdown]
# ### White space in code
#
# Indentation is blanks, and code is full of it. Three tokenizers with equally many merges learn from the same
# modules and are measured on others. They differ in what they do with blanks: each one alone; GPT-2's pattern,
# where a run may become a token; GPT-4's, where line ends join the signs before them.

# %% tags=["expected", "slow"]
code_costs = compare_splits(code[:15], code[15:25], num_merges=400)
figure = figures.costs(
    {
        {"blind": "each blank alone", "gpt2": "GPT-2's pattern", "cl100k": "GPT-4's pattern"}[
            name
        ]: each.tokens_per_line
        for name, each in code_costs.items()
    },
    "tokens per line of code",
    "Blanks that cannot be merged are expensive",
)
assert code_costs["blind"].tokens_per_line > 1.3 * code_costs["gpt2"].tokens_per_line
assert code_costs["blind"].blank_fraction > 0.3

# %% [markdown]
# ### Tokens that were never seen
#
# The vocabulary is learned first, the model afterwards, and some tokens never occur in what the model reads. Look
# at the embeddings of the pretrained model: each token's norm, over how often it occurs in our stories.
# **Predict:** will you see which tokens were never trained?

# %% tags=["expected"]
embeddings = model.embedding.weight.detach().float().cpu()
norms = embeddings.norm(dim=1)
ids = torch.tensor([i for story in stories for i in tokenizer.encode(story)])
occurrences = torch.bincount(ids, minlength=tokenizer.vocab_size)
named = {
    tokenizer.ranks[b" remem"]: "“ remem”, the beginning of “ remember”",
    0xFF: "a byte that UTF-8 never uses",
    tokenizer.ranks[b" remember"]: "“ remember”",
    tokenizer.ranks[b" the"]: "“ the”",
}
figure = figures.embedding_norms(
    norms.tolist(), occurrences.tolist(), named, "Tokens without training are easy to see"
)

untrained = (norms > 2.0).nonzero().flatten()
never_in_utf8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
print(f"{len(untrained)} tokens have a norm above 2")
print("some of them:", [tokenizer.decode([int(i)]) for i in untrained if i >= 256][5:14])
assert never_in_utf8 <= set(untrained.tolist())
assert int(occurrences[untrained].max()) == 0

# %% [markdown]
# (Below them, at zero, are words of the other texts that the model has read. Ours are a small part.) Some of the
# tokens at the top are bytes that no text contains. Others are stepping stones: " remem" was merged on the way to "
# remember", and wherever it occurs in a text, the next merge takes it away. It has an id and a row in the table,
# and no experience. Such tokens are called **glitch tokens** (the most famous is " SolidGoldMagikarp", a user's
# name in the text from which GPT-2's vocabulary was learned). What are they to the model?

# %% tags=["expected", "rounded"]
directions = F.normalize(embeddings[untrained], dim=1)
similarity = directions @ directions.T
similarity.fill_diagonal_(1.0)
print(f"smallest cosine between any two of them: {float(similarity.min()):.2f}")


@torch.no_grad()
def next_scores(i):
    """The model's scores for the next token after a sentence that ends in token i."""
    ids = [tokenizer.end_of_text_id, *tokenizer.encode("Tom did not want to"), int(i)]
    return model(torch.tensor([ids], device=device))[0, -1].softmax(-1).cpu()


def moved(i, j):
    """How much probability moves if one token takes the place of the other."""
    return 0.5 * float((next_scores(i) - next_scores(j)).abs().sum())


remem, other = tokenizer.ranks[b" remem"], 0xFF
remember, want = tokenizer.ranks[b" remember"], tokenizer.ranks[b" play"]
print(
    f"“ remem” in place of an impossible byte: {moved(remem, other):.0%} of the probability moves"
)
print(f"“ play” in place of “ remember”: {moved(want, remember):.0%}")
moves = torch.tensor([moved(i, other) for i in untrained[::4]])
print(
    f"any of them in place of that byte: {moves.median():.0%} in the median, {moves.max():.0%} at most"
)
assert float(similarity.min()) > 0.9
assert moved(remem, other) < 0.1 < moved(want, remember)
assert moves.median() < 0.1 < moves.max()

# %% [markdown]
# Nearly the same thing: a few hundred different tokens have almost the same vector, and the model can hardly tell most of
# them apart. A likely reason: the head has the same table, and there they were never the right answer, so training pushed them
# all in one direction. This is how such tokens are found in models of any size, without their training data: Land
# and Bartolo 2024 looked at many models and found some in each family
# ([arXiv:2405.05417](https://arxiv.org/abs/2405.05417)).

# %% [markdown]
# ## Checkpoint
#
# Click an answer to see why it is right or wrong.

# %%
quiz("10")

# %% [markdown]
# ## Recap
#
# 1. Bytes can write any text, words are short: byte-pair encoding starts with the former and learns the latter.
# 2. Training: count all pairs of neighbors, merge the most frequent one, repeat. Ties go to the pair seen first.
# 3. The text is cut into words before, so that no token spans two of them. A word brings the space before it.
# 4. Encoding repeats the merges of training in their order. Another cut of the same text is another text to the model.
# 5. Decoding joins bytes, then reads UTF-8. A token need not be a whole character.
# 6. Special tokens are not made of bytes. They are recognized only where the program allows it.
# 7. A vocabulary compresses texts like those it was learned from. For other scripts it can be useless.
# 8. Losses per token cannot be compared between tokenizers; bits per byte can.
# 9. SentencePiece works on characters, falls back to bytes, and has unigram as a second algorithm.
# 10. Digits, a trailing space, tokens never seen: look at the tokens before you blame the model.
#
# ## I get this error
#
# <details>
# <summary><code>UnicodeDecodeError: 'utf-8' codec can't decode byte 0xf0 in position 0: unexpected end of data</code></summary>
#
# The bytes end in the middle of a character, and `.decode()` is strict. `errors="replace"` shows "�" instead
# (`decode`).
# </details>
#
# <details>
# <summary><code>ValueError: max()</code></summary>
#
# The message continues in words that depend on Python's version: there is nothing to choose from. No pair is left, since
# every word has become one token, or there was no text (`train_bpe`). The same of `min()` means a word of one byte, which
# has no pair (`apply_merges`).
# </details>
#
# <details>
# <summary><code>TypeError: unhashable type: 'list'</code></summary>
#
# A list cannot be the key of a dictionary. A pair has to be a tuple: `tuple(ids[i : i + 2])` (`count_pairs`).
# </details>
#
# <details>
# <summary><code>TypeError: 'int' object is not iterable</code></summary>
#
# `ids += special_tokens[part]` adds a *list*; one id is added by `ids.append(...)` (`encode`).
# </details>
#
# ## From here to Gemini
#
# - Byte-pair encoding is a method of data compression; Sennrich et al. 2016
#   ([arXiv:1508.07909](https://arxiv.org/abs/1508.07909)) brought it to language, on characters. GPT-2 took bytes and
#   added the pattern that you wrote (Radford et al. 2019, section 2.2).
# - Gemma's tokenizer is a SentencePiece model that splits digits, keeps all blanks and falls back to bytes; Gemma 3 has
#   262 thousand tokens, for many languages ([arXiv:2503.19786](https://arxiv.org/abs/2503.19786)). Gemini's vocabulary
#   is not published.
# - SentencePiece: Kudo and Richardson 2018 ([arXiv:1808.06226](https://arxiv.org/abs/1808.06226)); unigram: Kudo 2018
#   ([arXiv:1804.10959](https://arxiv.org/abs/1804.10959)); BPE-dropout: Provilkov et al. 2020
#   ([arXiv:1910.13267](https://arxiv.org/abs/1910.13267)).
# - Your functions are `gemini_workshop/data/tokenizers/bpe.py`. The fast ones beside it give the same ids:
#   `training.py` learns, `merging.py` encodes, and `docs/tokenizers.md` explains how.
# - Tokens of images and sounds come in lesson 09. There are models without a tokenizer: the Byte Latent Transformer
#   groups bytes while it reads (Pagnoni et al. 2024, [arXiv:2412.09871](https://arxiv.org/abs/2412.09871)).
#
# ## Stretch · another way to choose
#
# WordPiece, the tokenizer of BERT, does not merge the most frequent pair. It merges the one that is most frequent
# *relative to its halves*: count(ab) / (count(a) · count(b)). Copy your `train_bpe`, change how the pair is chosen,
# train on the thirty stories, and look at the first tokens. Which pairs does it like, and why are they rarer than
# you might wish? (`docs/tokenizers.md` has more.)


# %%
def show_merges(merges):
    """The tokens of merges in the order learned."""
    print([token.decode(errors="replace") for token in tokens_of(merges)[256:]])


show_merges(train_bpe(few_words[:2000], 8))  # yours goes here, in place of train_bpe
