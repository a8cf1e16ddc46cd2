"""Fresh cases: an answer that looks up the known ones is found, and right answers are not."""

import pytest
import torch

from gemini_workshop.exercises.core.catalogue import all_exercises, find
from gemini_workshop.grading.fresh import candidates, drawn_cases, is_same, usable

FINITE = {"11.9": "its answer is a table of eight letters"}
SEED = 20


@pytest.mark.parametrize("exercise", all_exercises().values(), ids=lambda each: each.id)
def test_there_is_a_case_that_no_table_of_the_known_ones_holds(exercise):
    known, cases = drawn_cases(exercise, 0), candidates(exercise, SEED)
    unseen = [i for i in usable(exercise, SEED) if not any(is_same(cases[i], other) for other in known)]
    assert bool(unseen) is (exercise.id not in FINITE)


def test_cases_are_derived_only_where_another_seed_draws_nothing_new():
    attention, mask = find("02.2"), find("02.3")
    assert usable(attention, SEED) == list(range(len(drawn_cases(attention, SEED))))
    assert len(usable(mask, SEED)) > len(drawn_cases(mask, SEED))


def test_a_seed_gives_the_same_cases_again():
    exercise = find("02.4")
    one, other = candidates(exercise, SEED), candidates(exercise, SEED)
    assert all(torch.equal(a, b) for (a, *_), (b, *_) in zip(one, other, strict=True))
