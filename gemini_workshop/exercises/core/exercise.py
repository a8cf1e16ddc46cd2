"""What an exercise is: a function to write, its oracle and cases, and what learners get wrong."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.battery.tracing import Traced, in_kind, traced_arguments

Arguments = tuple[Any, ...]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Misconception:
    """A wrong implementation, which makes one mistake and no other, and the sentence that its author should read."""

    says: str
    wrong: Function
    template: Function | None = None
    steps: Mapping[str, Any] = field(default_factory=dict)

    def and_also(self, other: "Misconception") -> "Misconception | None":
        """Both mistakes at once, if both are steps of one template and none is a step of both."""
        if self.template is None or self.template is not other.template or self.steps.keys() & other.steps.keys():
            return None
        both = Say(f"{self.says} {other.says}").to(self.template, **self.steps, **other.steps)
        return None if self.says == other.says else both


@dataclass(frozen=True)
class Say:
    """What to say to someone: it names the idea that was missed and does not give the line away."""

    sentence: str

    def to(self, wrong: Function, **steps: Any) -> Misconception:
        """To whom: the author of this wrong code, or of a template in which these steps are replaced.

        Args:
            wrong: a function or class that is wrong, or right but for the steps.
            steps: arguments by name of a function, methods of a class.
        """
        made = type(wrong.__name__, (wrong,), steps) if isinstance(wrong, type) else partial(wrong, **steps)
        return Misconception(self.sentence, made, wrong if steps else None, steps)


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """A property that every right answer has.

    Args:
        broken: calls the function and returns a sentence if the property does not hold.
    """

    name: str
    broken: Callable[[Callable[..., Any]], str | None]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One function to write, and all that is needed to judge it.

    Args:
        id: lesson and number, "02.1".
        minutes: what a learner needs, roughly.
        difficulty: from 1, a line without a trap, to 5.
        importance: from 1, practice that may be skipped, to 5, a part of the final model.
        reference: the package's own function; its name is the exercise's title.
        oracle: an independent way to the right values.
        cases: arguments to try, smallest first, drawn from the generator; no two axes of equal size.
        invariants: what holds for every right answer, checked before the values.
        misconceptions: known wrong answers, most frequent first; by a short name, for tests and statistics.
        hints: three, from a nudge to nearly the line.
        explain: from the function and a failing case to a sentence in the lesson's own terms; None where it has none.
        plain: the right code step by step, where the reference hides its steps in other functions; what is right but
            for one step is looked for among its changes.
        parts: smaller exercises whose functions or classes the reference uses: their mistakes are recognized in it.
        battery: what is asked of an answer whose values are right, where it differs from what is asked of all.
        shown: what ``solution`` prints; the reference where empty.
        imports: modules that take seconds to import, and that a check needs: imported once, before its process begins.
    """

    id: str
    minutes: int
    difficulty: int
    importance: int
    reference: Callable[..., Any]
    oracle: Callable[..., Any]
    cases: Callable[[torch.Generator], list[Arguments]]
    hints: tuple[str, str, str]
    invariants: tuple[Invariant, ...] = ()
    misconceptions: Mapping[str, Misconception] = field(default_factory=dict)
    explain: Callable[[Callable[..., Any], Arguments], str | None] | None = None
    plain: Function | None = None
    parts: tuple["Exercise", ...] = ()
    battery: Battery = field(default_factory=Battery)
    shown: tuple[Callable[..., Any], ...] = field(default=())
    imports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("difficulty", "importance"):
            if not 1 <= (level := getattr(self, name)) <= 5:
                raise ValueError(f"Exercise {self.id}: {name}={level} must be a number from 1 to 5.")

    @property
    def levels(self) -> str:
        """Difficulty and importance in words, as the notebook shows them."""
        return f"Difficulty {self.difficulty} of 5 · importance {self.importance} of 5"

    @property
    def title(self) -> str:
        """The name of the function to write."""
        return self.reference.__name__

    @property
    def lesson(self) -> str:
        """The lesson's two digits."""
        return self.id.split(".")[0]

    # What differs where a class is to be written: see gemini_workshop.exercises.core.modules.

    def as_function(self, answer: Any) -> Callable[..., Any]:
        """The function of a case's arguments by which an answer is judged."""
        return answer

    def wrong_kind(self, answer: Any) -> str | None:
        """A sentence if the answer is of a kind that cannot be judged."""
        if callable(answer):
            return None
        return f"`{self.title}` is of type {type(answer).__name__}, and no function. Was the cell above run?"

    def signature_problem(self, answer: Any, case: Arguments) -> str | None:
        """A sentence if the answer cannot be called with the arguments of a case."""
        try:
            signature = inspect.signature(answer)
        except (TypeError, ValueError):  # built-in functions have none to show
            return None
        try:
            signature.bind(*case)
        except TypeError:
            names = ", ".join(self.parameter_names()[: len(case)])
            return f"It takes {signature}, but it is called with ({names}). Keep the first line as it was given."
        return None

    def parameter_names(self) -> list[str]:
        """What the arguments of a case are called."""
        return list(inspect.signature(self.reference).parameters)

    def signatures(self, answer: Any) -> list[tuple[Function, Function]]:
        """What is called, in the answer and in the reference."""
        return [(answer, self.reference)]

    def in_dtype(self, answer: Any, case: Arguments, dtype: torch.dtype) -> Callable[[], Any]:
        """A call in which all floating-point numbers are of another kind."""
        function = self.as_function(answer)
        return lambda: function(*in_kind(case, dtype))

    def traced(self, answer: Any, case: Arguments) -> Traced:
        """A call of the answer with this case whose gradients can be asked for."""
        arguments, leaves = traced_arguments(case, self.parameter_names())
        function = self.as_function(answer)
        return Traced(lambda: function(*arguments), leaves)

    def result_axes(self) -> str:
        """The axis letters of the result, from the reference's jaxtyping annotation."""
        return getattr(inspect.signature(self.reference).return_annotation, "dim_str", "")
