"""Right answers to lesson 05 in many styles pass, and its experiments hold for other seeds."""

import ast
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

from gemini_workshop.authoring.source import read_lesson
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_05.gate_units import GATE_UNITS
from gemini_workshop.exercises.lesson_05.gated_ffn_dim import GATED_FFN_DIM
from gemini_workshop.exercises.lesson_05.gelu import GELU
from gemini_workshop.models.feedforward import ACTIVATIONS, gate_units, gated_ffn_dim
from gemini_workshop.paths import notebooks_folder

# --- gelu ------------------------------------------------------------------------------------------------------------


def gelu_of_torch(x, approximate="none"):
    return F.gelu(x, approximate=approximate)


def gelu_by_the_normal_distribution(x, approximate="none"):
    if approximate == "tanh":
        return x / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * x * (1 + 0.044715 * x**2)))
    return x * Normal(0.0, 1.0).cdf(x)


def gelu_by_erfc_and_sigmoid(x, approximate="none"):
    """0.5 (1 + tanh(z)) is sigmoid(2 z)."""
    if approximate == "none":
        return x * torch.erfc(-x / math.sqrt(2)) / 2
    return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))


def gelu_by_loops(x, approximate="none"):
    out = torch.empty_like(x)
    for i, v in enumerate(x.flatten().tolist()):
        inside = math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))
        out.view(-1)[i] = 0.5 * v * (1 + (inside if approximate == "tanh" else math.erf(v / 2**0.5)))
    return out


def gelu_of_numpy(x, approximate="none"):
    v = x.numpy().astype(np.float64)
    inner = (
        np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))
        if approximate == "tanh"
        else np.vectorize(math.erf)(v / np.sqrt(2))
    )
    return torch.from_numpy(0.5 * v * (1 + inner))


# --- FeedForward -----------------------------------------------------------------------------------------------------


class SequentialFeedForward(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(embed_dim, ffn_dim, bias), nn.Linear(ffn_dim, embed_dim, bias))
        self.act = ACTIVATIONS[activation]

    def forward(self, x):
        return self.layers[1](self.act(self.layers[0](x)))


class FeedForwardOfParameters(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.up = nn.Parameter(torch.randn(ffn_dim, embed_dim) / embed_dim**0.5)
        self.up_bias = nn.Parameter(torch.zeros(ffn_dim)) if bias else None
        self.down = nn.Parameter(torch.randn(embed_dim, ffn_dim) / ffn_dim**0.5)
        self.down_bias = nn.Parameter(torch.zeros(embed_dim)) if bias else None
        self.activation = activation

    def forward(self, x):
        hidden = ACTIVATIONS[self.activation](F.linear(x, self.up, self.up_bias))
        return F.linear(hidden, self.down, self.down_bias)


class FeedForwardMadeOutOfOrder(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.bend = ACTIVATIONS[activation]

    def forward(self, x):
        x = self.up(x)
        x = self.bend(x)
        return self.down(x)


class FeedForwardNeuronByNeuron(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.up, self.down = nn.Linear(embed_dim, ffn_dim, bias=bias), nn.Linear(ffn_dim, embed_dim, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        strengths = self.activation(self.up(x))
        total = sum(strengths[..., i : i + 1] * self.down.weight[:, i] for i in range(strengths.shape[-1]))
        return total if self.down.bias is None else total + self.down.bias


# --- gate_units ------------------------------------------------------------------------------------------------------


def gate_units_the_other_way_round(gate, up, activation):
    return torch.mul(up, activation(gate))


def gate_units_by_einsum(gate, up, activation):
    return torch.einsum("...f,...f->...f", activation(gate), up)


def gate_units_by_loops(gate, up, activation):
    opened = activation(gate).flatten()
    return torch.stack([g * u for g, u in zip(opened, up.flatten(), strict=True)]).view(up.shape)


# --- GatedFeedForward ------------------------------------------------------------------------------------------------


class GatedFeedForwardInOneLine(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.gate = nn.Linear(embed_dim, ffn_dim, bias)
        self.up = nn.Linear(embed_dim, ffn_dim, bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias)
        self.act = ACTIVATIONS[activation]

    def forward(self, x):
        return self.down(self.up(x) * self.act(self.gate(x)))


class GatedFeedForwardWithNumbers(nn.Module):
    """Llama's own names, in the order of the equation."""

    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.w1 = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.w3 = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.w2 = nn.Linear(ffn_dim, embed_dim, bias=bias)
        self.activation = activation

    def forward(self, x):
        return self.w2(gate_units(self.w1(x), self.w3(x), ACTIVATIONS[self.activation]))


class GatedFeedForwardMadeOutOfOrder(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up, self.gate = (nn.Linear(embed_dim, ffn_dim, bias=bias) for _ in range(2))
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)

    def forward(self, x):
        passed = self.up(x)
        opened = self.activation(self.gate(x))
        return F.linear(opened * passed, self.down.weight, self.down.bias)


# --- gated_ffn_dim ---------------------------------------------------------------------------------------------------


def width_in_two_steps(ffn_dim, multiple_of=1):
    exact = ffn_dim * 2 / 3
    return int(round(exact / multiple_of) * multiple_of)


def width_by_whole_numbers(ffn_dim, multiple_of=1):
    return (4 * ffn_dim + 3 * multiple_of) // (6 * multiple_of) * multiple_of


def width_by_counting(ffn_dim, multiple_of=1):
    below = multiple_of * (2 * ffn_dim // (3 * multiple_of))
    above = below + multiple_of
    return below if 2 * ffn_dim - 3 * below < 3 * above - 2 * ffn_dim else above


def width_by_fractions(ffn_dim, multiple_of=1):
    return round(Fraction(2 * ffn_dim, 3 * multiple_of)) * multiple_of


def width_of_numpy(ffn_dim, multiple_of=1):
    return np.int64(np.rint(2 * ffn_dim / 3 / multiple_of) * multiple_of)


RIGHT = {
    "05.1": [
        gelu_of_torch,
        gelu_by_the_normal_distribution,
        gelu_by_erfc_and_sigmoid,
        gelu_by_loops,
        gelu_of_numpy,
    ],
    "05.2": [
        SequentialFeedForward,
        FeedForwardOfParameters,
        FeedForwardMadeOutOfOrder,
        FeedForwardNeuronByNeuron,
    ],
    "05.3": [gate_units_the_other_way_round, gate_units_by_einsum, gate_units_by_loops],
    "05.4": [GatedFeedForwardInOneLine, GatedFeedForwardWithNumbers, GatedFeedForwardMadeOutOfOrder],
    "05.5": [width_in_two_steps, width_by_whole_numbers, width_by_counting, width_by_fractions, width_of_numpy],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, answers in RIGHT.items() for f in answers])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What is said to wrong ones --------------------------------------------------------------------------------------


def test_a_gelu_that_is_none_of_the_known_ones_is_told_that_mirror_images_do_not_add_up():
    verdict = judge(GELU, lambda x, approximate="none": F.gelu(x, approximate=approximate) + 0.1 * x.sin())
    assert verdict.mistake is None
    assert verdict.lines[0].startswith('With approximate="none", gelu(2) - gelu(-2) is 2.182. It should be 2')


def gelu_of_forms(exact, tanh):
    return lambda x, approximate="none": tanh(x) if approximate == "tanh" else exact(x)


def exact_gelu(x, half=0.5):
    return half * x * (1 + torch.erf(x / 2**0.5))


def tanh_gelu(x, half=0.5):
    return half * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))


def gelu_with_the_sum_cubed(x):
    return 0.5 * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.044715) ** 3))


class FeedForwardThatForgetsToTellDown(nn.Module):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim)

    def forward(self, x):
        return self.down(self.activation(self.up(x)))


class FeedForwardWithoutBiasOnTheWayDown(FeedForwardThatForgetsToTellDown):
    def __init__(self, embed_dim, ffn_dim, activation, bias=False):
        super().__init__(embed_dim, ffn_dim, activation, bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=False)


def gate_of_relu(gate, up, activation):
    return gate.clamp(min=0) * up


def gate_of_silu(gate, up, activation):
    return up * gate * torch.sigmoid(gate)


WRONG = [
    ("05.1", "half forgotten in the tanh form", gelu_of_forms(exact_gelu, lambda x: tanh_gelu(x, half=1))),
    (
        "05.1",
        "half forgotten in each form",
        gelu_of_forms(lambda x: exact_gelu(x, half=1), lambda x: tanh_gelu(x, half=1)),
    ),
    ("05.1", "sum cubed", gelu_of_forms(exact_gelu, gelu_with_the_sum_cubed)),
    ("05.1", "forms swapped", gelu_of_forms(exact=tanh_gelu, tanh=exact_gelu)),
    ("05.2", "bias passed to up only", FeedForwardThatForgetsToTellDown),
    ("05.2", "bias on the way up only", FeedForwardWithoutBiasOnTheWayDown),
    ("05.3", "always ReLU", gate_of_relu),
    ("05.3", "always SiLU", gate_of_silu),
    ("05.5", "four thirds", lambda ffn_dim, multiple_of=1: round(ffn_dim * 4 / 3 / multiple_of) * multiple_of),
    ("05.5", "three halves", lambda ffn_dim, multiple_of=1: multiple_of * round(ffn_dim * 3 / 2 / multiple_of)),
    ("05.5", "three halves, multiple ignored", lambda ffn_dim, multiple_of=1: int(1.5 * ffn_dim)),
]


@pytest.mark.parametrize(("exercise_id", "name", "answer"), WRONG, ids=[f"{key} {name}" for key, name, _ in WRONG])
def test_wrong_answers_are_called_by_their_name_however_they_are_written(exercise_id, name, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.mistake == name, str(verdict)


def test_a_function_among_the_arguments_is_called_by_its_name():
    verdict = judge(GATE_UNITS, lambda gate, up, activation: activation(gate) @ up)
    assert verdict.lines[1] == "Given: gate = [-1, 2, 0.5] · up = [5, -3, 0.25] · activation = relu."


def test_a_width_that_is_no_whole_number_is_refused_although_its_value_is_right():
    verdict = judge(GATED_FFN_DIM, lambda ffn_dim, multiple_of=1: float(gated_ffn_dim(ffn_dim, multiple_of)))
    assert verdict.outcome == Outcome.WRONG
    assert verdict.lines[0].startswith("It returned 8, a float; a whole number (int) is needed.")


def test_the_fourth_decimal_is_looked_at():
    """The two forms of GELU are so close that a loose check takes one for the other."""
    for approximate, other in (("none", "tanh"), ("tanh", "none")):
        verdict = judge(
            GELU,
            lambda x, form="none", asked=approximate, given=other: F.gelu(
                x, approximate=given if form == asked else form
            ),
        )
        assert verdict.mistake in {"always exact", "always tanh"}


# --- The experiments of the lesson hold for other seeds --------------------------------------------------------------


@pytest.fixture(scope="module")
def cells():
    lesson = read_lesson(notebooks_folder() / "sources" / "05_feedforward_network.py")
    return [cell.text for cell in lesson.cells if cell.kind == "code" and not cell.checks]


def run(cells, names, line):
    """Execute the cell that holds this line."""
    (text,) = (text for text in cells if f"\n{line}" in f"\n{text}")
    exec(text, names)


@pytest.fixture
def names(cells):
    imports = [node for node in ast.parse(cells[0]).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {"rng": torch.Generator().manual_seed(5)}
    exec(compile(ast.Module(imports, []), "imports", "exec"), names)
    return names


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_only_a_bend_solves_either_or(cells, names, seed):
    run(cells, names, "def train_stack")
    assert names["train_stack"](nn.Identity, seed)[1] == pytest.approx(1.0, abs=1e-3)
    assert names["train_stack"](nn.ReLU, seed)[1] < 0.01


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_relu_stands_still_where_gelu_learns(cells, names, seed):
    run(cells, names, "def train_from_below")
    relu, gelu = (names["train_from_below"](activation, seed) for activation in (F.relu, F.gelu))
    assert relu[0] == relu[-1]
    assert gelu[-1] < 0.01


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_cell_on_products_holds_for_other_seeds(cells, names, seed):
    names["rng"].manual_seed(seed)
    (text,) = (text for text in cells if "three_times_three =" in text)
    exec(text.replace("torch.manual_seed(0)", f"torch.manual_seed({seed})"), names)


@torch.no_grad()
def next_token_loss(model, token_ids):
    return float(F.cross_entropy(model(token_ids)[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten()))


def test_another_race_has_the_same_order(cells, names):
    documents = names["load_documents"]("stories")
    names["training_stories"], names["held_out"] = names["split_documents"](documents, 0.05)
    names |= {"gated_ffn_dim": gated_ffn_dim, "next_token_loss": next_token_loss}
    run(cells, names, "KINDS = ")
    losses = {kind: names["race"](kind, seed=3) for kind in names["KINDS"]}
    assert losses["ReLU"] > losses["GELU"] > max(losses["SwiGLU"], losses["GeGLU"])
