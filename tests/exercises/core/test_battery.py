"""What is asked of an answer whose values are right, one way to fail after the other."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery, Call
from gemini_workshop.exercises.core.battery.gradients import asked
from gemini_workshop.exercises.core.battery.other_device import OTHER, OtherDevice, is_there, put_there
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.verdict import Outcome


def scaled(x: Tensor, by: Tensor, offset: float = 0.0) -> Tensor:
    """The numbers times others, plus one number."""
    return x * by + offset


def exercise(**fields) -> Exercise:
    return Exercise(
        id="99.1",
        minutes=1,
        difficulty=1,
        importance=1,
        reference=scaled,
        oracle=lambda x, by, offset=0.0: x.double() * by.double() + offset,
        cases=lambda generator: [
            (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])),
            (torch.randn(2, 3, generator=generator), torch.randn(3, generator=generator), 0.5),
        ],
        hints=("one", "two", "three"),
        **fields,
    )


def said_to(answer, **fields) -> str:
    verdict = judge(exercise(**fields), answer)
    assert verdict.outcome == Outcome.WRONG, str(verdict)
    return " ".join(verdict.lines)


def by_numbers(x, by, offset=0.0):
    return torch.tensor([[a * b for a, b in zip(row, by.tolist(), strict=True)] for row in x.tolist()]) + offset


def by_numpy(x, by, offset=0.0):
    return torch.from_numpy(x.numpy() * by.numpy() + np.float32(offset))


@torch.no_grad()
def without_gradient(x, by, offset=0.0):
    return x * by + offset


CUT = {
    "torch.no_grad()": without_gradient,
    ".detach()": lambda x, by, offset=0.0: (x * by).detach() + offset,
    ".data": lambda x, by, offset=0.0: x * by.data + offset,
    "NumPy": lambda x, by, offset=0.0: torch.from_numpy((x * by + offset).detach().numpy()),
}


@pytest.mark.parametrize(("what", "answer"), CUT.items(), ids=CUT)
def test_what_cuts_the_gradient_is_named(what, answer):
    said = said_to(answer)
    assert "no gradient reaches" in said
    assert what in said


@pytest.mark.parametrize(
    "answer", [by_numpy, lambda x, by, offset=0.0: by_numbers(x.reshape(-1, len(by)), by, offset).view(x.shape)]
)
def test_leaving_pytorch_is_right_only_where_nothing_is_trained(answer):
    said_to(answer)
    assert judge(exercise(battery=Battery(untrained="a test")), answer).outcome == Outcome.PASSED


def test_a_cut_inside_pytorch_is_told_even_where_nothing_is_trained():
    assert ".detach()" in said_to(CUT[".detach()"], battery=Battery(untrained="a test"))


@pytest.mark.parametrize(("what", "answer"), CUT.items(), ids=CUT)
def test_what_nobody_would_ever_train_may_cut_the_gradient(what, answer):
    assert judge(exercise(battery=Battery(gradients=False)), answer).outcome == Outcome.PASSED


def test_a_wrong_gradient_is_told_although_there_is_one():
    said = said_to(lambda x, by, offset=0.0: x * by.detach() + 0 * by + offset)
    assert "no gradient reaches `by`" in said


def test_by_a_constant_nobody_differentiates():
    answer = lambda x, by, offset=0.0: x * by.detach() + offset  # noqa: E731
    assert judge(exercise(battery=Battery(constants=("by",))), answer).outcome == Outcome.PASSED


def test_a_state_in_a_default_argument_is_told_from_chance():
    def with_a_list(x, by, offset=0.0, seen=[]):  # noqa: B006
        seen.append(len(seen))
        return x * by + offset + 0.1 * seen[-1]

    assert "something is kept from call to call" in said_to(with_a_list)
    assert "random" in said_to(lambda x, by, offset=0.0: x * by + offset + 0.1 * torch.rand(x.shape))


def test_a_cache_of_the_first_call_is_noticed_by_another_order_of_calls():
    known = {}

    def cached(x, by, offset=0.0):
        return known.setdefault(x.ndim, x * by + offset) if x.ndim == 1 else x * by + offset

    assert "other numbers in tensors of the same shapes" in said_to(cached, battery=Battery(untrained="a test"))


def test_numbers_far_from_0_are_not_taken_for_sizes():
    def overflows(x, by, offset=0.0):
        return x * by * (by.exp() / by.exp()) + offset

    beyond = lambda generator: [(torch.ones(2, 3), torch.full((3,), 200.0))]  # noqa: E731
    said = said_to(overflows, battery=Battery(beyond=beyond))
    assert "far from 0" in said
    assert "Is a size" not in said


def test_each_part_of_a_result_has_the_dtype_of_the_input():
    pair = lambda x, by, offset=0.0: (x + offset, x * by)  # noqa: E731
    short = lambda x, by, offset=0.0: (x + offset, (x * by).float())  # noqa: E731
    fields = {"reference": pair, "oracle": pair, "battery": Battery(dtypes=(torch.float64,))}
    assert judge(replace(exercise(), **fields), pair).outcome == Outcome.PASSED
    assert "In float64 it returns float32" in " ".join(judge(replace(exercise(), **fields), short).lines)


def test_sizes_beyond_the_examples_are_tried():
    def small(x, by, offset=0.0):
        table = torch.zeros(8)
        table[: len(by)] = by
        return x * table[: len(by)] + offset

    beyond = lambda generator: [(torch.randn(3, 70, generator=generator), torch.randn(70, generator=generator))]  # noqa: E731
    said = said_to(small, battery=Battery(beyond=beyond))
    assert "with x (3, 70), by (70,) it fails" in said
    assert "written into the code" in said


def test_names_and_places_of_arguments_are_those_that_cells_use():
    assert "Cells below pass `offset=` by name" in said_to(lambda x, by, shift=0.0: x * by + shift)
    assert "Cells below pass `by=` by name" in said_to(
        lambda x, factor, offset=0.0: x * factor + offset, battery=Battery(by_name=("by",))
    )
    assert "this takes them as (by, x, offset)" in said_to(lambda by, x, offset=0.0: x * by + offset)


def halved(x: Tensor, dtype: torch.dtype = torch.float32, device: torch.device | None = None) -> Tensor:
    """A half for each number."""
    return torch.full(x.shape, 0.5, dtype=dtype, device=device)


KINDS = [
    ("`dtype=`", lambda x, dtype=None, device=None: torch.full(x.shape, 0.5, device=device)),
    ("`device=`", lambda x, dtype=torch.float32, device=None: torch.full(x.shape, 0.5, dtype=dtype)),
    (
        "same device",
        lambda x, dtype=torch.float32, device=None: (
            0.5 * torch.ones(2, dtype=dtype) + torch.zeros(2, dtype=dtype, device=device)
        ),
    ),
]


@pytest.mark.parametrize(("needs", "answer"), KINDS, ids=[needs for needs, _ in KINDS])
def test_dtype_and_device_are_those_that_were_asked_for(needs, answer):
    x = torch.ones(2)
    told = Exercise(
        id="99.1",
        minutes=1,
        difficulty=1,
        importance=1,
        reference=halved,
        oracle=lambda x: torch.full(x.shape, 0.5),
        cases=lambda _: [(x,)],
        hints=("one", "two", "three"),
        battery=Battery(kinds=lambda: [Call(x, dtype=torch.float16), Call(x, device=OTHER)]),
    )
    assert judge(told, halved).outcome == Outcome.PASSED
    assert needs in judge(told, answer).lines[0]


def test_the_other_device_has_numbers_and_does_not_mix():
    there = put_there(torch.tensor([1.0, 2.0]))
    with OtherDevice():
        assert there.device == OTHER
        assert is_there(there * 2 + torch.tensor(1.0))
        assert is_there(torch.zeros(2, device=there.device).masked_fill(there > 1, 3.0))
        assert is_there(torch.ones(2).to(OTHER))
        assert not is_there(there.cpu())
        assert [float(each.detach()) for each in there] == [1.0, 2.0]
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(2)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()


class Scale(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.up = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B H"]:
        return self.up(x * self.weight)


SCALE = ModuleExercise(
    id="99.2",
    minutes=1,
    difficulty=1,
    importance=1,
    reference=Scale,
    oracle=lambda build, x: (x * (w := drawn_weights(Scale, build))["weight"]) @ w["up.weight"].T,
    cases=lambda generator: [(Build(dim=3, hidden=4), torch.randn(2, 3, generator=generator))],
    hints=("one", "two", "three"),
    battery=Battery(reads=("up.weight",), dtypes=(torch.bfloat16, torch.float64)),
)


def begins(change) -> type[nn.Module]:
    def build(self, dim, hidden):
        Scale.__init__(self, dim, hidden)
        change(self)

    return type("Scale", (Scale,), {"__init__": build})


def _seed(self):
    torch.manual_seed(0)
    self.up.reset_parameters()


def _rename(self):
    self.q = self.up
    del self.up


def _adds_what_came_before(self, x):
    before = vars(self).get("before", 0)
    self.before = x.mean()
    return self.up(x * self.weight) + before


BEGINNINGS = {
    "starts with 0 everywhere": begins(lambda self: nn.init.zeros_(self.up.weight)),
    "All rows of `up.weight` start with the same": begins(
        lambda self: self.up.weight.data.copy_(self.up.weight[0].clone())
    ),
    "Row 1 of `up.weight` starts with zeros": begins(lambda self: self.up.weight.data[1].zero_()),
    "`weight` should start at 1 throughout": begins(lambda self: nn.init.zeros_(self.weight)),
    "seeds PyTorch's global generator": begins(_seed),
    "has requires_grad=False": begins(lambda self: self.up.requires_grad_(False)),
    "Cells below read `up.weight`": type(
        "Scale", (begins(_rename),), {"forward": lambda self, x: self.q(x * self.weight)}
    ),
    "In bfloat16 it returns float32": type(
        "Scale", (Scale,), {"forward": lambda self, x: (x.float() * self.weight) @ self.up.weight.float().T}
    ),
    "After `.eval()` the module gives another answer": type(
        "Scale", (Scale,), {"forward": lambda self, x: self.up(x * self.weight) if self.training else x}
    ),
    "gives another answer at its second call": type("Scale", (Scale,), {"forward": _adds_what_came_before}),
}


@pytest.mark.parametrize(("said", "answer"), BEGINNINGS.items(), ids=BEGINNINGS)
def test_how_a_module_begins_and_goes_on_is_looked_at(said, answer):
    verdict = judge(SCALE, answer)
    assert verdict.outcome == Outcome.WRONG, str(verdict)
    assert said in " ".join(verdict.lines)


def test_the_right_module_passes_with_other_random_numbers_too():
    assert judge(SCALE, Scale).outcome == Outcome.PASSED
    smaller = begins(lambda self: nn.init.normal_(self.up.weight, std=0.02))
    assert judge(SCALE, smaller).outcome == Outcome.PASSED


def _detached(result):
    if isinstance(result, Tensor):
        return result.detach()
    return type(result)(map(_detached, result)) if isinstance(result, tuple | list) else result


def _hidden_from_autograd(reference):
    if isinstance(reference, type):
        forward = reference.forward
        return type(
            reference.__name__, (reference,), {"forward": lambda self, *a, **k: _detached(forward(self, *a, **k))}
        )

    def hidden(*args, **named):
        return _detached(reference(*args, **named))

    hidden.__signature__ = inspect.signature(reference)
    return hidden


def has_gradients(each):
    cases = each.cases(torch.Generator().manual_seed(0))
    return any(asked(each, case) for case in cases)


@pytest.mark.parametrize("each", [*filter(has_gradients, all_exercises().values())], ids=lambda each: each.id)
def test_in_every_exercise_an_answer_that_is_hidden_from_autograd_is_told(each):
    verdict = judge(each, _hidden_from_autograd(each.reference), limit_seconds=60.0)
    assert verdict.outcome == Outcome.WRONG
    assert "gradient" in " ".join(verdict.lines)


def test_a_count_is_a_whole_number():
    count = all_exercises()["03.4"]
    verdict = judge(count, lambda D, H, C: 8 * D * H * C / 2)
    assert "a float; a whole number (int) is needed. `/` always gives a fraction" in verdict.lines[0]
    assert judge(count, lambda D, H, C: np.int64(4 * D * H * C)).outcome == Outcome.PASSED


def mixed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention, with weights of nearly 0 and 1 where the inputs are large."""
    return (query @ key.mT).softmax(-1) @ value


def mixed_by_logsumexp(query, key, value):
    scores = query @ key.mT
    return (scores - scores.logsumexp(-1, keepdim=True)).exp() @ value


def saturated(seed, scale):
    def cases(_):
        generator = torch.Generator().manual_seed(seed)
        query, key, value = (torch.randn(shape, generator=generator) for shape in ((5, 4), (6, 4), (6, 3)))
        return [(scale * query, scale * key, 3 * value)]

    oracle = lambda q, k, v: (q.double() @ k.double().mT).softmax(-1) @ v.double()  # noqa: E731
    return replace(exercise(), reference=mixed, oracle=oracle, cases=cases)


@pytest.mark.parametrize(("seed", "scale"), [(2, 4.0), (0, 5.0), (1, 6.0)])
def test_rounding_in_the_gradient_of_a_saturated_softmax_is_no_mistake(seed, scale):
    asks = saturated(seed, scale)
    assert judge(asks, mixed_by_logsumexp).outcome == Outcome.PASSED
    hidden = judge(asks, lambda query, key, value: mixed(query.detach(), key, value))
    assert "no gradient reaches `query`" in hidden.lines[0]
