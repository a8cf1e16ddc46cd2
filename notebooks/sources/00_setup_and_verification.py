# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   workshop:
#     lesson: "00"
#     title: Setup and verification
#     part: ""
#     kind: single
#     minutes: 15
#     budget_seconds: 60
#     requires: []
# ---

# %% [markdown]
# # 00 · Setup and verification
#
# **15 minutes** · needs nothing
#
# After this lesson you know that
#
# - this computer can run every lesson,
# - a language model of the kind you are going to build already runs on it,
# - a check tells you *what* is wrong, and how to get help from it.
#
# Run the cells from top to bottom with Shift + Enter.

# %%
from gemini_workshop.config import GenerationConfig
from gemini_workshop.devices import pick_device
from gemini_workshop.diagnostics import diagnose
from gemini_workshop.exercises.core import check, hint, solution
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.training.checkpointing import load_pretrained

device = pick_device()

# %% [markdown]
# ## 1 · Is this machine ready?
#
# One line a question. Should one say `fail`, the line below it is the command that mends it. The same report with all
# versions: `gemini-workshop doctor` in a terminal.

# %%
findings = [finding for finding in diagnose() if finding.verdict != "note"]
for finding in findings:
    print(f"{finding.verdict:5s} {finding.name}")
    if finding.verdict == "fail":
        print(f"      found: {finding.found}\n      cure:  {finding.cure}")

assert all(finding.verdict == "ok" for finding in findings), (
    "See the cures above, then restart the kernel."
)

# %% [markdown]
# ## 2 · First sentences
#
# A small language model came with the workshop. It has read nothing but short stories for children, and has hardly
# more than three million numbers to remember them by; the large models that you may have talked to have many thousand
# times as many. Its architecture is the one that you build in lessons 02 to 06.

# %%
model, tokenizer = load_pretrained(device=device)
print(
    f"{model.num_parameters():,} parameters, {model.config.num_layers} layers, {tokenizer.vocab_size} tokens\n"
)
assert 3_000_000 < model.num_parameters() < 3_300_000

settings = GenerationConfig(max_new_tokens=120, temperature=0.7, seed=4)
prompt = "Once upon a time"
print(prompt, end="")
for piece in generate_text(model, tokenizer, prompt, settings):
    print(piece, end="", flush=True)

# %% [markdown]
# It knows how a sentence goes and how a story begins, and soon forgets what it was about. Give it another
# beginning, another `seed` or another `temperature` (0 always takes the likeliest word, 1.5 is wild) and run the cell
# again. Lesson 12 is about what these numbers do.

# %% [markdown]
# ## 3 · How a check talks
#
# From lesson 01 on you write functions, and below each stands a check. Here are four attempts at a toy exercise, the
# average of some numbers, so that you have seen all that a check can say.
#
# **Nothing written yet.** Exercises come with their first line, a docstring and a gap:


# %%
def average(values: list[float]) -> float:
    """The sum of the values divided by how many there are."""
    # TODO
    raise NotImplementedError("00.1 average: your turn")


# %% tags=["check"]
first_attempt = check("00.1", average)

# %% [markdown]
# **A wrong answer.** The check compares your function with an independent way to the right result. If your function
# behaves like a mistake that it knows, it says so in words, and shows the smallest example either way:


# %%
def average(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


# %% tags=["check"]
second_attempt = check("00.1", average)

# %% [markdown]
# **An error in your code.** You see your own line and the error, not forty lines of other people's code:


# %%
def average(values: list[float]) -> float:
    return sum(values) / values.length


# %% tags=["check"]
third_attempt = check("00.1", average)

# %% [markdown]
# **Passed.** It does not matter how you write it, only what it computes:


# %%
def average(values: list[float]) -> float:
    mean = 0.0
    for i, value in enumerate(values, start=1):
        mean += (value - mean) / i  # the running mean: no sum is ever held
    return mean


# %% tags=["check"]
average = check("00.1", average)

# %% [markdown]
# `check` gives back your function if it passed and the reference if it did not. So a notebook always runs to its end,
# and after a passed exercise it runs on *your* code. What passes is kept, too: lesson 13 puts your own functions
# together to a model.
#
# ## 4 · Your turn
#
# Turn counts into shares: of `[1, 1, 2]` the last is half of everything. (You will need just this in lesson 02, where
# a model shares out its attention.) Replace the last line of the function, then run both cells.


# %%
def shares(counts: list[float]) -> list[float]:
    """Each count's part of the total; the parts add up to one.

    shares([1, 1, 2]) is [0.25, 0.25, 0.5].
    """
    # TODO (about 2 lines)
    # 1. Add up the counts.
    # 2. Divide each count by that total.
    raise NotImplementedError("00.2 shares: your turn")


# %% tags=["check"]
shares = check("00.2", shares)

# %% [markdown]
# Stuck? The next cell gives the first of three hints; run it again for the second.

# %%
hint("00.2")

# %% [markdown]
# Once you have made an attempt, `solution("00.2")` shows an answer. Before that it asks you to try:

# %%
solution("00.2")

# %% [markdown]
# ## 5 · Where you stand
#
# Your attempts are noted in one small file on this computer and sent nowhere. In a terminal, `gemini-workshop progress`
# shows what has passed and what comes next.
#
# Every lesson has two notebooks: the **starter** with gaps for you, and the **solution**, the same notebook filled in.
# You learn more from a wrong attempt than from reading the solution; the checks are made for wrong attempts.
#
# On to `part2_fundamentals/02_attention_mechanism_starter.ipynb`.
