"""A starter must not give its answers away."""

import pytest

from gemini_workshop.authoring.lint import problems
from tests.authoring.lessons import lesson_with

BODY = '''\
# %%
def mean(values, weights):
    """The weighted mean."""
    # SOLUTION
    # 1. Weigh each value.
    products = [value * weight for value, weight in zip(values, weights, strict=True)]
    # 2. Divide the sum by that of the weights.
    return sum(products) / sum(weights)
    # END SOLUTION


# %% tags=["check"]
mean = check("90.1", mean)
'''
FIRST = "    products = [value * weight for value, weight in zip(values, weights, strict=True)]\n"


def found(folder, body):
    return problems([lesson_with(folder, body)], ["90.1"])


def test_a_gap_without_leaks_is_clean(tmp_path):
    assert found(tmp_path, BODY) == []


def test_the_first_line_of_the_answer_above_the_gap_is_found(tmp_path):
    moved = BODY.replace(FIRST, "").replace("    # SOLUTION\n", FIRST + "    # SOLUTION\n")
    [problem] = found(tmp_path, moved)
    assert "the starter computes products" in problem


@pytest.mark.parametrize("before", ["# %%\n" + FIRST.strip() + "\n\n", "# %% [markdown]\n# " + FIRST.strip() + "\n\n"])
def test_a_line_of_the_answer_anywhere_before_the_gap_is_found(tmp_path, before):
    [problem] = found(tmp_path, before + BODY)
    assert "the starter shows a line of the answer: products=" in problem


AFTER = {
    "a line in prose": "# %% [markdown]\n# " + FIRST.strip() + "\n",
    "a line in code": "# %%\nif True:\n" + FIRST,
    "what a line computes": "# %% [markdown]\n# So it is `sum(products)/sum( weights )`.\n",
}


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
def test_a_line_of_the_answer_anywhere_after_the_gap_is_found(tmp_path, after):
    [problem] = found(tmp_path, BODY + "\n" + after)
    assert "the starter shows a line of the answer: " in problem


def test_what_only_the_solution_shows_gives_nothing_away(tmp_path):
    assert found(tmp_path, BODY + '\n# %% tags=["solution-only"]\nif True:\n' + FIRST) == []


VARIANT = """\
# %%
class Norm:
    def forward(self, values):
        # SOLUTION
        return sum(values) / len(values) + self.eps
        # END SOLUTION


# %% tags=["check"]
Norm = check("90.1", Norm)

# %%
class Other(BASE):
    def forward(self, values):
        return sum(values) / len(values) + self.eps
"""


def test_a_variant_of_the_learners_class_may_repeat_it_and_another_class_may_not(tmp_path):
    assert found(tmp_path / "variant", VARIANT.replace("BASE", "Norm")) == []
    [problem] = found(tmp_path / "other", VARIANT.replace("BASE", "object"))
    assert "the starter shows a line of the answer: returnsum" in problem


@pytest.mark.parametrize(
    "step",
    [
        "products = [v * w for v, w in zip(values, weights)]",
        "return sum(products) / sum(weights)",
        "Use zip(values, weights, strict=True).",
    ],
)
def test_a_step_that_is_the_line_to_write_is_found(tmp_path, step):
    [problem] = found(tmp_path, BODY.replace("Weigh each value.", step))
    assert "this step is the line to write" in problem


def test_giving_names_to_the_parts_of_an_argument_gives_nothing_away(tmp_path):
    body = BODY.replace("(values, weights)", "(pair)").replace(
        "    # SOLUTION\n", "    values, weights = pair\n    # SOLUTION\n"
    )
    assert found(tmp_path, body) == []
