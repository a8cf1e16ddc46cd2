"""What a model answers, with a model whose answers are known: it was trained here to name the row of a bright patch."""

import math
from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.media.documents import ImagePart, TextPart
from gemini_workshop.data.media.encoding import AUDIO, IMAGE, MARKS, MediaEncoder
from gemini_workshop.data.tasks.example import Example
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.abilities import Ability, answer, measure_abilities
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.visualization.evaluation import ability_bars
from tests import tiny

TOKENIZER = BPETokenizer.train(["where"], 256 + 1 + len(MARKS), special_tokens=MARKS)
IDS = TOKENIZER.special_tokens
MEDIA = MediaConfig(image_token_id=IDS[IMAGE], audio_token_id=IDS[AUDIO], patch_pixels=2, max_rows=2, patch_dim=16)
MODEL = replace(
    tiny.MODEL,
    vocab_size=TOKENIZER.vocab_size,
    context_tokens=64,
    embed_dim=32,
    head_dim=8,
    ffn_dim=64,
    media=MEDIA,
)
PLACES = Stage(name="places", share=1.0, weights={"place": 1.0})


class Place:
    """Which of four patches has a bright pixel; the last held-out answer is false on purpose."""

    name, about, source = "place", "where is it", "generated"

    def __len__(self):
        return 9

    def example(self, index, split, seed=0):
        place = index % 4
        image = torch.zeros(1, 4, 4)
        image[0, 2 * (place // 2), 2 * (place % 2)] = 1.0
        is_false = split == "heldout" and index == 8
        return Example(
            task=self.name,
            prompt=(ImagePart(image=image), TextPart(text="where?" if index % 3 else "where is it?")),
            answer="nowhere" if is_false else "abcd"[place],
        )


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = Transformer(MODEL, torch.Generator().manual_seed(0))
    rows = TaskRows(MediaEncoder(TOKENIZER, MEDIA), {"place": Place()}, [PLACES], 64, 200)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
    for step in range(220):
        batch: Batch = rows.batch(range(8 * (step % 25), 8 * (step % 25) + 8))
        logits = made(batch.inputs, segment_ids=batch.segment_ids, media=batch.media)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made.eval()


def test_a_model_answers_what_it_has_learned_with_prompts_of_several_lengths(model):
    examples = [Place().example(i, "train") for i in range(8)]
    assert answer(model, TOKENIZER, examples) == list("abcdabcd")
    assert answer(model, TOKENIZER, examples[3:4]) == ["d"]


def test_right_answers_are_counted_and_wrong_ones_shown(model):
    batches = []
    [found] = measure_abilities(model, TOKENIZER, {"place": Place()}, batch_size=4, progress=batches.append)
    assert (found.num_right, found.num_asked) == (8, 9)
    assert found.wrong == (("nowhere", "a"),)
    assert batches == [4, 4, 1]
    [some] = measure_abilities(model, TOKENIZER, {"place": Place()}, limit=3)
    assert (some.num_right, some.num_asked) == (3, 3)
    assert len(ability_bars("model", [found, some]).axes[0].patches) == 2


def test_the_interval_is_wilsons():
    ability = Ability(task="t", num_right=8, num_asked=10)
    z, p, n = 1.959964, 0.8, 10
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert ability.interval == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_a_model_of_text_cannot_be_asked():
    text_model = Transformer(replace(MODEL, media=None))
    with pytest.raises(WorkshopError, match=r"takes text alone.*mini-gemini"):
        answer(text_model, TOKENIZER, [Place().example(0, "train")])
