"""Exercise 11.9, ``diagnose``: the loss-curve clinic."""

from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.training.rehearsal.clinic import BUGS, diagnose

RIGHT = {letter: diagnose(letter) for letter in "ABCDEFGH"}

SIGNS = {
    "wrong shift": "a training loss that falls to zero within a few steps, and a validation loss that rises above ln V",
    "leaking mask": "both losses fall together, and lower than anyone can predict this text",
    "no shuffle": "a jump where another kind of text begins, and a validation loss far above the training loss",
    "rate too high": "a start at ln V, a burst above it in the first steps, then a high level",
    "dead units": "both losses sink together, slowly and smoothly, and stay high",
    "softmax twice": "a training loss that lies flat just below ln V, while the validation loss rises",
    "untied head": "both losses far above ln V before any step is taken",
    "wrong mean": "a training loss that begins below ln V and stays a fixed fraction of the validation loss",
}


def _oracle(run: str) -> str:
    """The bug whose signs were found in that run, in the order of the letters."""
    return RIGHT[run]


def _explain(function: Function, case: Arguments) -> str | None:
    got, run = function(*case), case[0]
    if not isinstance(got, str):
        return f"Run {run}: the name of a bug is needed, as a string."
    if got not in BUGS:
        return f"Run {run}: '{got}' is not one of the eight; one of these is needed: {', '.join(BUGS)}."
    return f"Run {run} is not '{got}'. Its signs should be these: {SIGNS[got]}. Look at the curve of {run} again."


def _diagnose(run: str, **answers: str) -> str:
    """Right but for these answers, by bug."""
    return answers.get(RIGHT[run].replace(" ", "_"), RIGHT[run])


DIAGNOSE = Exercise(
    id="11.9",
    minutes=12,
    difficulty=4,
    importance=4,
    reference=diagnose,
    oracle=_oracle,
    cases=lambda generator: [(letter,) for letter in RIGHT],
    explain=_explain,
    misconceptions={
        "shift and leak swapped": Say(
            "You have swapped the wrong shift and the leaking mask. Both give a loss too good to be true. Validation "
            "tells them apart: it uses the right targets, but the same leaking model."
        ).to(_diagnose, wrong_shift="leaking mask", leaking_mask="wrong shift"),
        "shift taken for a leak": Say(
            "One run is too good to be true in training only. A mask that leaks does so in validation, too."
        ).to(_diagnose, wrong_shift="leaking mask"),
        "leak taken for a wrong shift": Say(
            "One run is too good to be true in validation as well, where the targets are right. So the targets are not "
            "the problem: the model reads them."
        ).to(_diagnose, leaking_mask="wrong shift"),
        "dead units and softmax twice swapped": Say(
            "You have swapped the dead units and the second softmax. Both hardly learn; but only one of them is "
            "*measured* in another way than it is trained, so only there do the two curves part."
        ).to(_diagnose, dead_units="softmax twice", softmax_twice="dead units"),
        "dead units taken for softmax twice": Say(
            "Two of yours have a second softmax. In one of them training and validation agree to the end, which a "
            "different loss in training would not allow."
        ).to(_diagnose, dead_units="softmax twice"),
        "softmax twice taken for dead units": Say(
            "Two of yours have dead units. In one of them the validation loss *rises*: something that does not react "
            "to its input cannot get worse like that."
        ).to(_diagnose, softmax_twice="dead units"),
        "rate and head swapped": Say(
            "You have swapped the high rate and the untied head. Look at step 0: a learning rate cannot change a loss "
            "before the first step."
        ).to(_diagnose, rate_too_high="untied head", untied_head="rate too high"),
        "head taken for a high rate": Say(
            "Two of yours have a rate that is too high. One of them is far above ln V at step 0, before any rate was "
            "used."
        ).to(_diagnose, untied_head="rate too high"),
        "high rate taken for the head": Say(
            "Two of yours have an untied head. One of them begins at ln V, as a fresh model should, and jumps only "
            "after the first steps."
        ).to(_diagnose, rate_too_high="untied head"),
        "order taken for a high rate": Say(
            "Two of yours have a rate that is too high. In one of them the jump comes late, and in a run that was "
            "going well: not the steps changed there, but the text."
        ).to(_diagnose, no_shuffle="rate too high"),
        "high rate taken for the order": Say(
            "Two of yours are not shuffled. In one of them training and validation agree, so that what it reads is "
            "what it is measured on."
        ).to(_diagnose, rate_too_high="no shuffle"),
        "order and rate swapped": Say(
            "You have swapped the missing shuffle and the high rate. A rate too high does its damage in the first "
            "steps and to both curves; a change of text comes later, and parts them."
        ).to(_diagnose, no_shuffle="rate too high", rate_too_high="no shuffle"),
        "mean taken for a wrong shift": Say(
            "Two of yours have a wrong shift. One of them does not fall to zero: its training loss keeps a fixed ratio "
            "to the validation loss, from the first step on."
        ).to(_diagnose, wrong_mean="wrong shift"),
        "mean taken for a leak": Say(
            "Two of yours have a leak. In one of them validation is as good as in a healthy run, not better: only the "
            "number that training reports is too small."
        ).to(_diagnose, wrong_mean="leaking mask"),
        "high rate taken for dead units": Say(
            "Two of yours have dead units. One of them bursts above ln V in the first steps; dead units do nothing "
            "sudden."
        ).to(_diagnose, rate_too_high="dead units"),
        "dead units taken for a high rate": Say(
            "Two of yours have a rate that is too high. One of them sinks smoothly, without a single jump."
        ).to(_diagnose, dead_units="rate too high"),
    },
    hints=(
        "Begin with step 0. A model that knows nothing pays ln V. Which runs begin above, which below? Nothing has "
        "been trained there.",
        "Then compare the two curves of each run. They part where training uses another loss, other targets or other "
        "text than validation. They stay together where the model or the rate is the problem.",
        "Too good in training only: the targets. Too good in both: the model sees them. Flat and apart: another loss. "
        "Slow and together: nothing gets through. Too small from step 0: the mean. A late jump: the order.",
    ),
)
