"""The table of all that is measured of a multimodal model."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.media.documents import TextPart
from gemini_workshop.data.tasks import task_names
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.evaluation import report
from gemini_workshop.evaluation.abilities import Ability
from gemini_workshop.evaluation.goals import RIGHT_ANSWERS, Goal
from gemini_workshop.evaluation.profiles import score_documents
from gemini_workshop.evaluation.report import Examiner, Line, at_longest, busiest_expert, needle_result, needle_task
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.transformer import Transformer
from tests.models.variants import VARIANTS
from tests.tiny import MODEL

BYTES = BPETokenizer.train(["a"], 257)  # each byte is a token


class Tales:
    """Two stories and no question."""

    name, about, source = "stories", "tales", "generated"

    def __len__(self):
        return 2

    def example(self, index, split, seed=0):
        return type("Tale", (), {"answer": ("once upon a time", "the end")[index], "prompt": ()})()


def test_goals_are_of_tasks_that_there_are_and_no_aim_is_below_its_must():
    assert set(RIGHT_ANSWERS) <= set(task_names())
    assert all(goal.aim > goal.must for goal in RIGHT_ANSWERS.values())
    assert RIGHT_ANSWERS["needle"] == Goal(must=0.95, aim=0.99)


@pytest.mark.parametrize(("value", "reached"), [(0.875, "aim"), (0.8, "must"), (0.75, "must"), (0.7, "neither")])
def test_a_value_reaches_the_must_and_the_aim(value, reached):
    assert Goal(must=0.75, aim=0.875).reached(value) == reached
    assert Goal(must=0.25, aim=0.125).reached(1 - value) == reached


def test_a_line_has_its_number_its_interval_and_its_goal():
    ability = Ability(task="mnist", num_right=197, num_asked=200)
    lines = [report.ability_line(ability), Line(name="load", value=1.25, form="{:.2f}", goal=Goal(must=1.5, aim=1.2))]
    head, mnist, load = report.report_table("model", lines).splitlines()[-3:]
    assert head.split() == ["measured", "95", "%", "between", "must", "aim", "reached", "asked"]
    assert mnist.split() == ["mnist", "98.5%", "95.7%", "and", "99.5%", "98%", "99.2%", "must", "200"]
    assert load.split() == ["load", "1.25", "-", "1.5", "1.2", "must", "-"]


def test_needles_are_hidden_in_texts_of_up_to_four_times_the_training_rows():
    task = needle_task(200, 800, BYTES, limit=1000)
    assert task.lengths == (200, 400, 800)  # half of 200 has no room for a needle
    for index in range(0, len(task), 40):
        [part] = task.example(index, "heldout").prompt
        assert isinstance(part, TextPart)
        assert len(part.text) + len(" 12") <= task.cell(index)[0]
    longest = max(len(task.example(i, "heldout").prompt[0].text) for i in range(len(task) - 25, len(task)))
    assert longest > 600
    assert len(needle_task(200, 800, BYTES, limit=1)) == 3 * len(task.depths)


def test_the_grid_has_depths_as_rows_and_the_line_is_of_the_longest_texts():
    task = needle_task(200, 400, BYTES, limit=20)
    outcomes = [task.cell(i) in ((200, 0.5), (400, 1.0), (400, 0.0)) for i in range(len(task))]
    grid = needle_result(task, outcomes)
    assert (grid.lengths, grid.depths) == ((200, 400), (0.0, 0.25, 0.5, 0.75, 1.0))
    assert grid.found == ((0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0))
    found = at_longest(task, Ability(task="needle", num_right=3, num_asked=len(task), outcomes=tuple(outcomes)))
    assert found.accuracy == 2 / 5


def test_the_busiest_expert_is_that_of_the_worst_layer_and_padding_does_not_count():
    config = VARIANTS["mixtral"]
    assert config.moe is not None
    model = Transformer(config, torch.Generator().manual_seed(0)).eval()
    even = config.moe.num_experts / config.moe.experts_per_token
    ids = torch.randint(config.vocab_size, (3, 8), generator=torch.Generator().manual_seed(1))
    segments = torch.tensor([[1] * 8, [1] * 5 + [0] * 3, [1] * 2 + [0] * 6])
    load = busiest_expert(model, [Batch(ids, ids, segments)])
    assert load is not None
    assert 1 <= load < even
    other = torch.where(segments == 0, 0, ids)
    assert busiest_expert(model, [Batch(other, other, segments)]) == load
    halves = [Batch(ids[:1], ids[:1], segments[:1]), Batch(ids[1:], ids[1:], segments[1:])]
    assert busiest_expert(model, halves) == pytest.approx(load)
    last = [module for module in model.modules() if isinstance(module, MixtureOfExperts)][-1]
    with torch.no_grad():  # all logits zero: every token goes to the same experts
        last.router.weight.zero_()
    assert busiest_expert(model, halves) == pytest.approx(even)
    assert busiest_expert(Transformer(MODEL), halves) is None


def test_stories_are_measured_beside_those_of_another_model():
    config = replace(MODEL, vocab_size=BYTES.vocab_size)
    one, other = (Transformer(config, torch.Generator().manual_seed(seed)).eval() for seed in (0, 1))
    with torch.no_grad():
        other.embedding.weight.mul_(3)
    done = []
    examiner = Examiner(model=one, tokenizer=BYTES, row_tokens=8, limit=5, progress=done.append)
    assert examiner.number({"stories": Tales()}, 2) == 4
    lines = examiner.stories(Tales(), {"other": (other, BYTES)})
    bits = [score_documents(model, BYTES, ["once upon a time", "the end"])[1] for model in (one, other)]
    assert [line.name for line in lines] == ["stories, bits per byte", "of other", "more than other"]
    assert [line.value for line in lines] == pytest.approx([*bits, bits[0] / bits[1] - 1])
    assert done == [1] * 4
