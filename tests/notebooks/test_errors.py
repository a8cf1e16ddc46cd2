"""Every error that a lesson quotes under "I get this error" is what Python and PyTorch say today."""

import math
import re

import pytest
import torch
from torch import nn

from gemini_workshop.authoring.source import Lesson
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.encoding import MARKS, MediaEncoder
from gemini_workshop.data.tasks import find_task
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.exercises.project.own_model import TINY
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.notebooks.lessons import LESSONS, name

QUOTED = re.compile(r"<summary><code>(.*?)</code></summary>")
DRAW = torch.randn


class WithoutInit(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(1, 1)


def a_module_for_a_function():
    sublayer = nn.Linear(2, 2)(torch.ones(2))
    return sublayer(torch.ones(2))


def backward_twice():
    loss = torch.ones(2, requires_grad=True).square().sum()
    loss.backward()
    loss.backward()


def one_token_too_many():
    model = Transformer(tiny.MODEL)
    cache = new_cache(model, 1, max_tokens=4)
    for unread in ([1, 2, 3, 4], [5]):
        model(torch.tensor([unread]), cache)


def five_places_for_four_patches():
    media = Media(torch.zeros(1, 4, 12), torch.zeros(1, 4, 2).long(), torch.zeros(1, 0, 5))
    Transformer(TINY)(torch.tensor([[1, 11, 11, 11, 11, 11, 2]]), media=media)


def videos_in_short_rows():
    tokenizer = BPETokenizer.train(["Which digit is it?"], 270, special_tokens=MARKS)
    marks = tokenizer.special_tokens
    encoder = MediaEncoder(tokenizer, MediaConfig(image_token_id=marks["<|image|>"], audio_token_id=marks["<|audio|>"]))
    stage = Stage(name="all", share=1.0, weights={"films": 1.0})
    TaskRows(encoder, {"films": find_task("films")}, [stage], 48, 1)[0]


PROVOKED = {
    "00": [lambda: model],  # noqa: F821
    "01": [
        lambda: DRAW(4, 3) @ DRAW(8, 3),
        lambda: DRAW(2).sum().backward(),
        lambda: DRAW(2, requires_grad=True).square().backward(),
        lambda: DRAW(3)[::-1],
        lambda: torch.stack([(DRAW(2), DRAW(2))]),
    ],
    "02": [
        lambda: DRAW(3, 2) @ DRAW(3, 2),
        lambda: DRAW(3).masked_fill(torch.ones(3), 0.0),
        lambda: DRAW(2, 4) + DRAW(2, 3),
    ],
    "03": [
        lambda: DRAW(2, 3, 5, 4).transpose(1, 2).view(2, 5, 12),
        lambda: DRAW(2, 7, 12).unflatten(-1, (5, -1)),
        lambda: DRAW(2, 3, 5, 4) @ DRAW(2, 2, 4, 5),
        WithoutInit,
    ],
    "04": [
        lambda: DRAW(5, 8) * DRAW(5, 4),
        lambda: torch.cat(torch.ones(3), torch.ones(3), dim=-1),
        lambda: DRAW(4, 3)[torch.tensor([2]) / 2],
        lambda: DRAW(256, 2)[torch.tensor([300])],
    ],
    "05": [
        lambda: math.erf(DRAW(3)),
        lambda: torch.sqrt(2 / math.pi),
        lambda: "gelu"[:](torch.ones(2)),
        lambda: nn.Linear(4, 8)(DRAW(2, 8)),
    ],
    "06": [
        lambda: DRAW(2, 3, 5) - DRAW(2, 3, 5).mean(dim=-1),
        a_module_for_a_function,
        lambda: nn.Embedding(32, 4)(torch.arange(40)),
        lambda: torch.optim.Adam([*nn.Module().parameters()]),
    ],
    "07": [
        lambda: DRAW(1, 6, 5, 4) @ DRAW(1, 2, 4, 5),
        lambda: DRAW(3, 0).amax(dim=-1),
        lambda: torch.cat([]),
    ],
    "08": [
        lambda: DRAW(3, 2).topk(5),
        lambda: DRAW(3, 4).gather(-1, DRAW(3, 2)),
        lambda: DRAW(5, 3) * DRAW(5),
        lambda: torch.tensor([[0, 1], [1, 2]]).bincount(),
    ],
    "09": [
        lambda: DRAW(10, 10).reshape(16, 4),
        lambda: DRAW(2, 3) @ DRAW(3, 4).double(),
        lambda: DRAW(1, 4, 4).__setitem__(torch.tensor([[True, True, False, False]]), DRAW(3, 4)),
    ],
    "10": [
        lambda: "🙂".encode()[:1].decode(),
        lambda: max({}, key={}.get),
        lambda: {[97, 98]: 1},
        lambda: [256].__iadd__(257),
    ],
    "11": [
        lambda: torch.tensor(2.0).backward(),
        lambda: nn.Parameter(torch.ones(2)).mul_(2),
        backward_twice,
        lambda: torch.zeros(3, 512).gather(1, torch.full((3, 1), -100)),
        lambda: nn.Parameter(torch.ones(2)).grad.square(),
    ],
    "12": [
        lambda: DRAW(4).topk(9),
        lambda: (torch.tensor([1.0, 2.0]) / 0.0).softmax(-1).multinomial(1),
        lambda: DRAW(2, 4).gather(-1, torch.tensor([1, 2])),
        one_token_too_many,
    ],
    "13": [
        five_places_for_four_patches,
        videos_in_short_rows,
        lambda: load_pretrained("mini-gemni"),
    ],
}
"""How each quoted error comes about, in the order of the lesson. That of a cell that was not run needs no proof."""


def prose_of(lesson: Lesson) -> str:
    return "\n".join(cell.text for cell in lesson.cells if cell.kind == "markdown")


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_every_quoted_error_is_provoked_and_reads_as_quoted(lesson):
    quoted = [error for error in QUOTED.findall(prose_of(lesson)) if error != "NameError: name ... is not defined"]
    for error, provoke in zip(quoted, PROVOKED[lesson.id], strict=True):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (the message is compared below)
            provoke()
        assert f"{caught.type.__name__}: {caught.value}".startswith(error)


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if lesson.id != "00"], ids=name)
def test_a_lesson_ends_with_a_recap_of_at_most_ten_lines(lesson):
    recap = re.search(r"^## Recap\n(.*?)^## ", prose_of(lesson), re.MULTILINE | re.DOTALL)
    assert 6 <= len(re.findall(r"^\d+\. ", recap[1], re.MULTILINE)) <= 10
