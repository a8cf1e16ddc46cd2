"""A model of the learner's own parts is the package's model, and what is faster is left to the others."""

import json
import subprocess
import sys

import pytest
import torch

from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.project import own_model as project
from gemini_workshop.exercises.project.own_model import PARTS, TINY, own_model, with_parts
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models import attention, attention_layers, feedforward
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Transformer
from tests.clone import TOP
from tests.exercises.core.test_kept_parts import Notebook, answers

IN_A_FRESH_PROCESS = """
import functools, json, sys
import torch
import torch.nn.functional as F
from gemini_workshop.exercises.project.own_model import TINY, own_model
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Transformer

own, parts = own_model(TINY, torch.Generator().manual_seed(0))
reference = Transformer(TINY, torch.Generator().manual_seed(0))
calls = {}

def counted(function):
    @functools.wraps(function)
    def call(*args, **named):
        calls[function.__name__] = calls.get(function.__name__, 0) + 1
        return function(*args, **named)
    return call

own.own = {theirs: mine if isinstance(mine, type) else counted(mine) for theirs, mine in own.own.items()}
classes = {type(module).__name__: type(module).__module__ for module in own.modules()}
kept = accelerate(own)
generator = torch.Generator().manual_seed(1)
media = Media(torch.rand(2, 4, 12, generator=generator, dtype=torch.float64),
              torch.tensor([[[0, 0], [0, 1], [1, 0], [1, 1]]] * 2),
              torch.rand(2, 2, 5, generator=generator, dtype=torch.float64))
ids = torch.tensor([[1, 2, 11, 11, 11, 11, 3, 4, 12, 12, 5, 6, 7, 8], [3, 12, 12, 1, 11, 11, 11, 11, 4, 5, 6, 1, 2, 9]])
differences = []
models = own.double(), reference.double()
names = [[name for name, _ in model.named_parameters()] for model in models]
optimizers = [torch.optim.AdamW(model.parameters(), lr=0.01) for model in models]
for seen in (media, None, media):
    found = []
    for model, optimizer in zip(models, optimizers):
        logits = model(ids, media=seen)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append((logits.detach(), [weight.detach().clone() for weight in model.parameters()]))
    (mine, my_weights), (theirs, weights) = found
    differences.append(float((mine - theirs).abs().max()))
    differences += [float((a - b).abs().max()) for a, b in zip(my_weights, weights)]
print(json.dumps({"own": [part.name for part in parts.parts if part.is_own], "num_own": parts.num_own,
                  "same names": names[0] == names[1], "difference": max(differences), "calls": calls,
                  "classes": classes, "left alone": kept.left_alone}))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    yield tmp_path
    sys.modules.pop("cells", None)


def keep(exercise_id, source):
    exercise = find(exercise_id)
    my_gemini.keep(exercise_id, exercise.title, source)


def test_all_answers_of_the_course_build_the_model_and_it_trains_as_the_reference_does(home):
    notebook = Notebook(home)
    for path in sorted((TOP / "notebooks" / "sources").glob("0[2-9]_*.py")):
        imports, written = answers(path.read_text("utf-8"))
        notebook.run(imports)
        for exercise_id, name, cell in written:
            notebook.run(cell.replace("x.float()", "x.to(torch.promote_types(x.dtype, torch.float32))"))
            if exercise_id in PARTS:
                notebook.check(exercise_id, name)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS], capture_output=True, text=True, cwd=home, check=True
    )
    found = json.loads(done.stdout)
    names = [find(each).title for each in PARTS]
    assert found["own"] == names
    assert found["num_own"] == len(PARTS)
    assert found["same names"]
    assert found["difference"] < 1e-10
    functions = {name for name in names if name[0].islower()}
    in_modules = {"residual_step", "moe_forward", "gelu", "gate_units", "rotary_frequencies"}
    inside_others = {"softmax", "scaled_dot_product_attention"}
    assert functions - in_modules - inside_others <= found["calls"].keys()
    assert found["classes"]["RMSNorm"].startswith("my_gemini.")
    assert found["classes"]["GatedFeedForward"].startswith("my_gemini.")
    assert {"OwnExperts", "OwnBlock"} <= found["classes"].keys()
    left_alone = set(found["left alone"].values())
    assert {"is a OwnExperts", "is own_attention"} <= left_alone


def test_nothing_is_own_at_first_and_the_report_says_why(home):
    model, parts = own_model(TINY, torch.Generator().manual_seed(0))
    assert type(model).__mro__[1] is Transformer
    assert parts.num_own == 0
    assert str(parts).startswith(f"0 of {len(PARTS)} parts are yours")
    assert {part.why_not for part in parts.parts} == {"the package's: not passed here yet"}
    assert accelerate(model).left_alone == {}


def test_a_kept_file_that_no_longer_passes_or_loads_is_replaced_and_the_report_says_so(home):
    keep("03.1", "def split_heads(x, num_heads):\n    return x\n")
    keep("03.2", "from nowhere import merge_heads\n")
    keep("02.1", "def softmax(scores, dim=-1):\n    return scores.softmax(dim)\n")
    found = {part.exercise: part.why_not for part in own_model(TINY)[1].parts}
    assert found["02.1"] == ""
    assert "no longer passes its check" in found["03.1"]
    assert "does not load (ModuleNotFoundError)" in found["03.2"]


class OtherNames(torch.nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(dim))


def test_a_class_whose_parameters_are_named_otherwise_is_refused_since_weights_could_not_be_copied():
    with pytest.raises(ValueError, match="its parameters are scale, not weight"):
        with_parts(TINY, {RMSNorm: OtherNames})


def test_a_part_that_passes_and_computes_something_else_in_the_model_is_found():
    reference = attention_layers.split_heads
    assert project._computes_the_same(reference, lambda x, num_heads: reference(x, num_heads) + 0)
    assert not project._computes_the_same(reference, lambda x, num_heads: reference(x, num_heads).roll(1, dims=2))


def test_the_package_is_as_it_was_while_no_own_model_runs():
    def mine(scores, dim=-1):
        assert attention.softmax is mine
        return scores.softmax(dim)

    before, activations = attention.softmax, dict(feedforward.ACTIVATIONS)
    model = with_parts(TINY, {attention.softmax: mine, feedforward.gelu: torch.nn.functional.gelu})
    model(torch.tensor([[1, 2, 3]]))
    assert attention.softmax is before
    assert activations == feedforward.ACTIVATIONS

    def fails(scores, dim=-1):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        with_parts(TINY, {attention.softmax: fails})(torch.tensor([[1, 2, 3]]))
    assert attention.softmax is before


def test_an_own_model_generates_with_a_cache_as_the_reference_does():
    from gemini_workshop.generation.plain import plain_answer
    from gemini_workshop.generation.sampling import greedy

    generator = torch.Generator().manual_seed(3)
    media = Media(
        torch.rand(1, 4, 12, generator=generator), torch.zeros(1, 4, 2).long(), torch.rand(1, 2, 5, generator=generator)
    )
    question = [1, 11, 11, 11, 11, 4, 12, 12, 5]
    reference = Transformer(TINY, torch.Generator().manual_seed(0))
    own = {find(each).reference: find(each).reference for each in PARTS if find(each).title[0].islower()}
    model = with_parts(TINY, own, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for each in (*reference.parameters(), *model.parameters()):
            each.copy_(torch.randn(each.shape, generator=torch.Generator().manual_seed(each.numel())))
    one, other = (plain_answer(each.eval(), question, media, greedy, 9, ()) for each in (reference, model))
    assert one == other
    assert len(one) == 9
