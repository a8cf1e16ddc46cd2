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
# - a check tells you *what* is wrong, and how to get help from it,
# - the way ahead: which lesson builds which part of the final model.
#
# Run the cells from top to bottom with Shift + Enter. **In a hurry?** Sections 1 and 3 are what later lessons rely on.

# %%
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.devices import pick_device
from gemini_workshop.diagnostics import diagnose
from gemini_workshop.exercises import check, hint, solution
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.visualization.course import road_map
from gemini_workshop.visualization.theme import use_theme

use_theme()
device = pick_device()

# %% [markdown]
# ## 1 · Is this machine ready?
#
# One line per question. If a line says `fail`, the two lines below it say what was found and how to fix it. For the same
# report with all versions, run `gemini-workshop doctor` in a terminal.

# %%
findings = [finding for finding in diagnose() if finding.verdict != "note"]
for finding in findings:
    print(f"{finding.verdict:5s} {finding.name}")
    if finding.verdict == "fail":
        print(f"      found: {finding.found}\n      fix:   {finding.fix}")

assert all(finding.verdict == "ok" for finding in findings), (
    "See the fixes above, then restart the kernel."
)

# %% [markdown]
# ## 2 · First sentences
#
# A small language model comes with the workshop. It has read nothing but stories for children, and it has little
# more than three million numbers to remember them by. The large models that you may have talked to have many thousand
# times as many. You build nearly all parts of ours in lessons 02 to 07. A language model does one thing: from the text so
# far it computes a probability for every possible next piece of text (a **token**, a word or a part of one). One of them
# is chosen and appended, and it starts again.

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
# It knows how a sentence goes and how a story begins, and easily loses the thread. Give it another beginning, another
# `seed` or another `temperature` (`0` always takes the most likely token, `1.5` is wild) and run the cell again.
# Lesson 12 explains what these numbers do.

# %% [markdown]
# ## 3 · How a check talks
#
# From lesson 01 on you write functions, and each comes with a check. Here are four attempts at a toy exercise, the
# average of some numbers, so that you have seen what a check can say.
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
# behaves like a mistake that it knows, it says so in words. Either way it shows the first example that fails, and the
# small ones are tried first:


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
# There is a fifth answer, for a function that is not your own: give a check the workshop's function, and it says
# "not yours yet".
#
# `check` returns your function if it passed and the reference if it did not. So a notebook always runs to its end,
# and after a passed exercise it runs on *your* code. Functions that pass are saved: lesson 13 will assemble a model
# from your own code.
#
# ## 4 · Your turn
#
# Turn counts into shares of the total: in `[1, 1, 2]` the last is half of everything. (In lesson 02 this is the last step
# when a model divides its attention among words.) Replace the last line of the function, then run both cells.


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
# ## 5 · The way ahead
#
# This is the model that you are going to build, from the text at the bottom to the next token at the top, and the lesson
# that builds each part.

# %%
figure = road_map()

# %% [markdown]
# Read it in the order of the lessons. **01** shows what holds back the networks that read texts before transformers.
# **02** and **03** build attention, the part in which tokens look at each other; **04** tells it where they are. **05**
# builds the layer in which each token is worked on by itself, and **06** stacks it all into a model that predicts the
# next token. **07** to **09** make it cheaper, larger and able to see and hear; **10** to **12** turn text into tokens,
# train the model and let it write. In **13** you put your own functions together. Lesson 14 is still being
# written; all others exist.
#
# Below the heading of every exercise are two numbers. **Difficulty** goes from 1, a line without a trap, to 5.
# **Importance** goes from 1, practice that may be skipped, to 5, a part of the final model: if time is short, do those.
# Every lesson ends with a recap of about ten lines and with error messages that you may meet.
#
# ## 6 · Where you stand
#
# Your attempts are recorded in one small file on this computer and sent nowhere. In a terminal,
# `gemini-workshop progress` shows what has passed and what comes next.
#
# From lesson 01 on there are two notebooks: the **starter** with gaps for you, and the **solution**, the same notebook
# filled in. Try before you read it, even if it goes wrong; the checks are made for wrong attempts.
#
# When you come back another day, the names of the cells above are gone, and you read `NameError: name ... is not
# defined`. Choose *Run > Run All Above Selected Cell* in the menu, and continue where you were.
#
# ## Recap
#
# 1. `gemini-workshop doctor` says what is missing on this machine, and how to fix it.
# 2. A language model gives every possible next token a probability, over and over.
# 3. `check` answers: not started, error in your code, wrong answer, passed; or that the code is not yours yet.
# 4. A wrong answer comes with the first example that fails, and with a name for the mistake if it is a known one.
# 5. `hint` has three hints; `solution` opens after an attempt.
# 6. It does not matter how you write a function, only what it computes.
# 7. What passes is saved, and lesson 13 will build a model from it.
#
# ## I get this error
#
# <details>
# <summary><code>NameError: name 'model' is not defined</code></summary>
#
# A cell above has not been run since the kernel was started: run all cells above.
# </details>
#
# Next: `part1_evolution/01_rnn_limitations_starter.ipynb`.
