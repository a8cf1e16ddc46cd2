"""What one call leaves behind for the next is told, in functions and in classes."""

import pytest
import torch

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome

MultiHeadAttention = find("03.3").reference


class RemembersItsContext(MultiHeadAttention):
    def forward(self, x, context=None, mask=None):
        if context is not None:
            self.context = context
        return super().forward(x, vars(self).get("context"), mask)


class RemembersItsFirstMask(MultiHeadAttention):
    def forward(self, x, context=None, mask=None):
        if mask is not None and "first" not in vars(self):
            self.first = mask
        return super().forward(x, context, None if mask is None else self.first)


class RemembersByShape(MultiHeadAttention):
    known = {}  # noqa: RUF012

    def forward(self, x, context=None, mask=None):
        key = (x.shape, None if context is None else context.shape, mask is None)
        if key not in self.known:
            self.known[key] = super().forward(x, context, mask)
        return self.known[key]


class RemembersItsBatch(find("05.4").reference):
    def forward(self, x):
        if "rows" not in vars(self):
            self.rows = len(x)
        return super().forward(x.reshape(self.rows, *x.shape[1:]))


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("03.3", RemembersItsContext),
        ("03.3", RemembersItsFirstMask),
        ("03.3", RemembersByShape),
        ("05.4", RemembersItsBatch),
    ],
)
def test_a_module_that_remembers_an_earlier_call_is_told(exercise, answer):
    verdict = judge(find(exercise), answer)
    assert verdict.outcome == Outcome.WRONG, str(verdict)
    assert "`self`" in verdict.lines[0] or "remembered from an earlier call" in verdict.lines[0]


def remembering_by_shape(reference):
    known = {}

    def answer(x):
        if x.shape not in known:
            known[x.shape] = x.detach()
        return reference(known[x.shape] + x - x.detach())

    return answer


def test_a_function_that_remembers_numbers_by_their_shape_is_told():
    verdict = judge(find("03.2"), remembering_by_shape(find("03.2").reference))
    assert verdict.outcome == Outcome.WRONG
    assert "remembered from an earlier call" in verdict.lines[0]


def test_a_module_may_keep_what_depends_on_nothing_but_its_sizes():
    class KeepsAMask(MultiHeadAttention):
        def forward(self, x, context=None, mask=None):
            self.ones = torch.ones(x.shape[1], dtype=torch.bool)
            return super().forward(x, context, mask)

    assert judge(find("03.3"), KeepsAMask).outcome == Outcome.PASSED
