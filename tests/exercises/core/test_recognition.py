"""Mistakes are recognized by what they do: alone, two at once, in a part, nearly right, and where they show."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gemini_workshop.exercises.core import probes, recognition
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Exercise, Say
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.messages import explained
from gemini_workshop.exercises.core.relations import place, relation


def mix(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The squashed sum."""
    return torch.tanh(x @ weight.T + bias)


def _mix(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    turn: Callable[[Tensor], Tensor] = lambda weight: weight.T,
    squash: Callable[[Tensor], Tensor] = torch.tanh,
) -> Tensor:
    return squash(x @ turn(weight) + bias)


def _cases(generator):
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return [(draw(2, 3), draw(3, 3), draw(3)), (draw(4, 5), draw(5, 5), draw(5)), (draw(6, 5), draw(5, 5), draw(5))]


def exercise(**changes) -> Exercise:
    fields = {
        "id": "99.1",
        "minutes": 1,
        "difficulty": 1,
        "importance": 1,
        "reference": mix,
        "oracle": lambda x, weight, bias: torch.tanh(x.double() @ weight.double().T + bias),
        "cases": _cases,
        "hints": ("one", "two", "three"),
        "misconceptions": {
            "not transposed": Say("The weight is not transposed.").to(_mix, turn=lambda weight: weight),
            "sigmoid": Say("It is a sigmoid.").to(_mix, squash=torch.sigmoid),
        },
    }
    return Exercise(**(fields | changes))


def says(answer, **changes) -> str:
    return judge(exercise(**changes), answer).lines[0]


def test_two_mistakes_at_once_are_both_told():
    both = says(lambda x, weight, bias: torch.sigmoid(x @ weight + bias))
    assert both == "The weight is not transposed. It is a sigmoid."


def test_a_mistake_is_named_in_spite_of_a_small_difference_that_does_not_matter():
    assert says(lambda x, weight, bias: torch.tanh(x @ weight + bias) + 1e-3) == "The weight is not transposed."


def test_a_mistake_is_not_named_where_only_some_cases_look_like_it():
    def sometimes(x, weight, bias):
        return torch.tanh(x @ weight + bias) if len(x) == 4 else torch.tanh(x @ weight.T + bias).square()

    assert judge(exercise(), sometimes).mistake is None


NEARLY = {
    "`bias` were left out of the sum": lambda x, weight, bias: torch.tanh(x @ weight.T),
    "`bias` had the opposite sign": lambda x, weight, bias: torch.tanh(x @ weight.T - bias),
    "`relu` were used where `tanh` is needed": lambda x, weight, bias: torch.relu(x @ weight.T + bias),
    "`tanh` were left out": lambda x, weight, bias: x @ weight.T + bias,
    "`tanh` were applied to the result": lambda x, weight, bias: torch.tanh(torch.tanh(x @ weight.T + bias)),
}


@pytest.mark.parametrize(("words", "answer"), NEARLY.items(), ids=NEARLY)
def test_what_is_right_but_for_one_step_is_told_that_step(words, answer):
    assert says(answer).startswith("It behaves as if")
    assert words in says(answer)


def test_a_mistake_of_a_smaller_exercise_is_told_inside_a_larger_one():
    whole = {"reference": _twice, "oracle": lambda *case: 2 * exercise().oracle(*case), "misconceptions": {}}
    assert says(lambda x, weight, bias: 2 * torch.sigmoid(x @ weight.T + bias), **whole, parts=(exercise(),)) == (
        "It is a sigmoid."
    )


def _twice(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return 2 * mix(x, weight, bias)


NEEDED = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)) + 3
RELATIONS = {
    "the opposite sign": -NEEDED,
    "times 2.": 2 * NEEDED,
    "Every number is 1.5 too small": NEEDED - 1.5,
    "the square of what is needed": NEEDED.square(),
    "one over what is needed": 1 / NEEDED,
    "rounded to 1 decimals": NEEDED.round(decimals=1),
    "axes 0 and 1 are exchanged": NEEDED.T,
    "in wrong places": NEEDED.T.reshape(3, 4),
    "run backwards along axis 1": NEEDED.flip(1),
    "one place too late along axis 0": NEEDED.roll(1, 0),
    "The first entry of axis 0 is right and is repeated": NEEDED[:1].expand(3, 4),
    "the mean of what is needed over the last axis": NEEDED.mean(1),
    "Only the last entry of axis 0": NEEDED[-1],
    "Every entry of the result is 0": NEEDED * 0,
    "The results are right up to 3, and what should be larger is cut off": NEEDED.clamp(max=3.0),
    "The results are right down to 3, and what should be smaller is cut off": NEEDED.clamp(min=3.0),
}


@pytest.mark.parametrize(("words", "got"), RELATIONS.items(), ids=RELATIONS)
def test_how_a_result_follows_from_the_needed_one_is_said(words, got):
    case = (torch.ones(3, 5), torch.ones(4, 5), torch.ones(7))
    assert words in str(relation(exercise(reference=_named), [(case, got, NEEDED)]))


def _named(x, weight, bias):
    """The sizes of its arguments have names."""


_named.__annotations__ = {"x": type("Dims", (), {"dim_str": "T D"})}


def test_a_factor_is_said_to_be_made_of_a_size_only_if_it_is_in_every_case():
    cases = [((torch.ones(2, size),), NEEDED / size**0.5, NEEDED) for size in (5, 7)]
    assert "which is 1 / √(D = 5)" in str(relation(exercise(reference=_named), cases))
    cases = [((torch.ones(2, size),), NEEDED / 5**0.5, NEEDED) for size in (5, 7)]
    assert relation(exercise(reference=_named), cases) == "Every number is what is needed times 0.4472."


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ("the first 2 of 3 entries are right", torch.cat([NEEDED[:2], NEEDED[2:] * 0])),
        ("Along axis 0 all entries of the result are the same", NEEDED.sum(0, keepdim=True).expand(3, 4)),
    ],
)
def test_where_a_result_is_right_is_said(words, got):
    assert words in str(place([((), got, NEEDED)]))


def test_of_a_mask_made_of_whole_numbers_only_the_type_is_wrong():
    mask = torch.eye(3, dtype=torch.bool)
    assert relation(exercise(), [((), mask.long(), mask)]) == "The numbers are right; only their type is not."


def test_a_question_ends_without_a_full_stop():
    assert str(relation(exercise(), [((), NEEDED.square(), NEEDED)])).endswith("or a square too many?")


def test_results_that_are_wrong_in_their_last_digits_are_not_taken_for_anything_else():
    rounded = NEEDED.abs() * (1 + 5e-4 * torch.randn(NEEDED.shape, generator=torch.Generator().manual_seed(1)))
    cases = [((), rounded, NEEDED.abs())]
    assert relation(exercise(reference=_named), cases) is None
    assert "right to about three digits" in str(place(cases))
    noisy = lambda x, weight, bias: torch.tanh(x @ weight.T + bias) * 1.0005  # noqa: E731
    assert "behaves as if" not in says(noisy)


def test_the_needed_numbers_on_axes_of_other_sizes_are_no_exchange_of_axes():
    got = NEEDED.reshape(2, 6).flip(0)
    assert "axes of other sizes" in str(relation(exercise(reference=_named), [((), got, NEEDED)]))


def test_a_relation_between_shapes_has_to_hold_in_every_case():
    first = lambda x, weight, bias: torch.tanh(x @ weight.T + bias)[:1].reshape(-1)  # noqa: E731
    cases = lambda generator: [  # noqa: E731
        (torch.randn(size, 5, generator=generator), torch.randn(5, 5, generator=generator), torch.zeros(5))
        for size in (1, 4)
    ]
    said = " ".join(judge(exercise(cases=cases, misconceptions={}), first).lines)
    assert "only the shape is another" not in said


def test_a_mistake_is_not_recognized_in_a_result_of_another_shape():
    cut = {"the input": Say("It returns the input.").to(lambda x, weight, bias: x)}
    assert says(lambda x, weight, bias: x, misconceptions=cut) == "It returns the input."
    assert says(lambda x, weight, bias: x[None], misconceptions=cut).startswith("It returned shape")


def test_chance_is_no_relation():
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    assert relation(exercise(), [((NEEDED,), noise, NEEDED)]) is None
    assert relation(exercise(), [((torch.ones(1),), torch.ones(1), 2 * torch.ones(1))]) is None


def _error(work) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (any error is to be explained)
        work()
    return caught.value


x, w = torch.ones(2, 3), torch.ones(5, 3)
ERRORS = {
    "The second one turned round, 3 x 5, would fit": lambda: x @ w,
    "sizes at axis 1 are 3 and 4": lambda: x + torch.ones(2, 4),
    "The one of size 0 is empty": lambda: x + x[:, 3:],
    "6 numbers do not fill the shape (4, 2)": lambda: x.view(4, 2),
    "`view` refuses": lambda: x.T.view(6),
    "Something is None where `.shape`": lambda: None.shape,
    "A tensor is called like a function": lambda: x(x),
    "`<lambda>` is called without 'y'": lambda: (lambda y: y)(),
    "does not have 2 parts": lambda: (lambda: [a for a, b in [(1, 2, 3)]])(),
    "there is no axis 2": lambda: x.sum(2),
    "There is no entry 9 along axis 0": lambda: x[9],
    "need one True or False and got a tensor of many": lambda: bool(x),
    "`(a == b) & (c > 0)`": lambda: x.long() == x.long() & x.long() > 0,
    "`~mask` turns a mask": lambda: ~x,
    "arithmetic needs numbers": lambda: x & x,
    "Whole numbers are needed here, and fractions came": lambda: torch.bincount(w[0]),
    "NumPy knows no gradients": lambda: x.clone().requires_grad_().numpy(),
    "changed in place": lambda: x.clone().requires_grad_().add_(1),
    "`//` divides whole numbers": lambda: range(4 / 2),
    "a width that you did not expect": lambda: torch.ones(8, 3) @ torch.ones(6, 6),
    "The tensor has one axis": lambda: torch.ones(3).sum(1),
    "Only a tensor has `.detach`": lambda: (x, w).detach(),
    "Did you mean `unflatten`?": lambda: x.unflaten(-1, (3, 1)),
    "Did you mean `Linear`?": lambda: torch.nn.linear(2, 3),
    "make a tensor, with `torch.arange`": lambda: range(3) / 2,
    "One side of the operation is None": lambda: ~None,
    "A method is named and not called": lambda: torch.zeros(x.size),
    "That asks for 4,000 GB": lambda: torch.zeros(10**6, 10**6),
    "`permute` names every axis": lambda: x.permute(0, 2, 1),
    "Along which axis were these pieces cut": lambda: torch.stack(torch.ones(3, 2).chunk(2)),
    "-1 may stand for one size": lambda: x.view(-1, -1),
    "take one list of tensors": lambda: torch.cat(x, x),
    "`...` stands for any number of axes": lambda: torch.einsum("abc->a", x),
    "two underscores on each side": lambda: torch.nn.Module(width=1),
}


@pytest.mark.parametrize(("words", "work"), ERRORS.items(), ids=ERRORS)
def test_errors_are_explained_in_the_words_of_a_lesson(words, work):
    assert words in str(explained(_error(work), {}))


def test_sizes_are_called_by_their_letters_and_misspelt_names_are_corrected():
    assert "(Here 3 is D.)" in str(explained(_error(lambda: x @ w), {3: "D"}))

    def misspelt():
        weights = 1
        return weighst + weights  # noqa: F821

    assert explained(_error(misspelt), {}) == "There is no `weighst` here. Did you mean `weights`?"


def test_a_result_of_another_shape_is_not_near_to_a_mistake_because_its_numbers_are():
    right = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    mistake = 50 * right.T
    other = mistake + 0.3 * right.T.roll(1, 0)  # within a fiftieth of the way from the mistake to what is needed
    named = {"large": [mistake]}
    assert recognition._where_it_shows(named, [mistake * 1.0001], [right]) == ["large"]
    assert recognition._where_it_shows(named, [other], [right]) == []


def test_a_factor_that_differs_from_case_to_case_is_said_for_the_case_that_is_shown():
    small, large = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0, -3.0, 5.0])
    cases = [((small,), 0.5 * small, small), ((large,), -2 * large, large)]
    said = relation(exercise(), cases)
    assert "here 0.5" in said
    assert relation(exercise(), [((small,), small + 1, small), cases[1]]) is None


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ([1, 2], "the beginning of what is needed"),
        ([3, 4], "the beginning is missing"),
        ([4, 3, 2, 1], "in reverse"),
        ([1, 3, 2, 4], "in another order"),
        ([1, 4], "left out"),
        ([1, 7, 2, 3, 4], "others between them"),
        ([9, 9, 9, 9], None),
    ],
)
def test_how_a_list_is_wrong_is_said(got, words):
    said = relation(exercise(), [((), got, [1, 2, 3, 4])])
    assert (words in said) if words else said is None


def test_a_number_that_makes_no_difference_is_named_and_an_even_size_is_not():
    verdict = judge(find("04.3"), lambda head_dim, base: torch.exp(-torch.arange(0, head_dim, 2) / head_dim))
    assert "Whatever `base` is" in verdict.lines[0]
    verdict = judge(find("04.3"), lambda head_dim, base: torch.linspace(1, 1 / base, head_dim // 2))
    assert "Whatever" not in " ".join(verdict.lines)


def test_a_tuple_is_no_list_and_one_number_has_no_axis():
    verdict = judge(find("10.2"), lambda ids, pair, new_id: tuple(find("10.2").reference(ids, pair, new_id)))
    assert "a tuple; a list is needed" in verdict.lines[0]
    verdict = judge(find("11.2"), lambda logits, targets, ignore_index=-100: find("11.2").oracle(logits, targets)[None])
    assert "(), one number, is needed" in verdict.lines[0]


def test_a_mask_on_another_device_than_asked_for_is_told():
    verdict = judge(find("07.3"), lambda T, S, W, *, device=None: find("07.3").reference(T, S, W))
    assert "on another device" in " ".join(verdict.lines)


def test_given_tensors_with_names_are_told_by_their_shapes():
    exercise = find("13.7")
    case = exercise.cases(torch.Generator().manual_seed(0))[0]
    assert "media = Media(patches (1, " in probes._given(exercise, case)
    assert "tensor(" not in probes._given(exercise, case)


def test_no_number_is_minus_zero():
    assert [number(each) for each in (-0.0, torch.tensor(-0.0), -0.5, 0, True)] == ["0", "0", "-0.5", "0", "True"]
