import math

import pytest
import torch

from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.scores import Evaluation, Score, evaluate_on_shards, table
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import token_losses
from tests.training import stories

CONTEXT = stories.CONFIG.model.context_tokens
TOKENIZER = BPETokenizer.train(stories.documents(), stories.CONFIG.model.vocab_size)


@pytest.fixture(scope="module")
def model():
    model = Transformer(stories.CONFIG.model)
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=generator)
    return model


def measured(model, folder, documents=None, **options):
    shards = write_shards(documents or stories.documents()[:9], TOKENIZER, folder)
    more = {"checkpoint": "runs/x", "text": "few", **options}
    return shards, evaluate_on_shards(model, shards, stories.CONFIG.training, **more)


def nats(evaluation):
    return {score.name: score.nats_per_token for score in evaluation.scores}


@pytest.mark.parametrize("stride", [1, 3])
def test_each_token_counts_once_with_what_its_first_window_shows_of_the_text(model, tmp_path, stride):
    """The slow way: one window after another, each token by the first window that has it as a target."""
    shards, evaluation = measured(model, tmp_path, stride_tokens=stride, batch_size=4)
    ids = torch.from_numpy(shards.tokens(0, shards.num_tokens))
    last = len(ids) - 1 - CONTEXT
    losses = {}
    for start in sorted({*range(0, last, stride), last}):
        targets = ids[start + 1 : start + CONTEXT + 1]
        each = token_losses(model(ids[None, start : start + CONTEXT])[0], targets)
        for place, loss in enumerate(each.tolist(), start=start + 1):
            losses.setdefault(place, loss)
    assert len(losses) == evaluation.num_tokens == len(ids) - 1
    mean = sum(losses.values()) / len(losses)
    assert nats(evaluation)[f"model, stride {stride}"] == pytest.approx(mean, rel=1e-5)


def test_perplexity_and_bits_per_byte_follow_from_the_loss(model, tmp_path):
    shards, evaluation = measured(model, tmp_path)
    assert evaluation.num_bytes == sum(len(document.encode()) for document in stories.documents()[:9])
    for score in evaluation.scores:
        assert score.perplexity == pytest.approx(math.exp(score.nats_per_token))
        bits = score.nats_per_token / math.log(2) * (shards.num_tokens - 1)
        assert score.bits_per_byte == pytest.approx(bits / evaluation.num_bytes)


def test_the_floors_stand_above_the_model_from_the_highest_down(model, tmp_path):
    _, evaluation = measured(model, tmp_path)
    names = [score.name for score in evaluation.scores]
    assert names == ["uniform", "unigram", "bigram", "model, end to end", f"model, stride {CONTEXT // 2}"]
    assert nats(evaluation)["uniform"] == pytest.approx(math.log(270))


def test_a_text_shorter_than_the_context_is_one_window(model, tmp_path):
    _, evaluation = measured(model, tmp_path, ["Oh no"])
    assert evaluation.num_tokens == evaluation.context_tokens < CONTEXT


def test_a_stride_beyond_the_context_is_refused(model, tmp_path):
    with pytest.raises(DataError, match=rf"stride=99 is outside 1 to context_tokens={CONTEXT}"):
        measured(model, tmp_path, stride_tokens=99)


def test_measuring_leaves_the_model_as_it_was(model, tmp_path):
    model.train()
    measured(model, tmp_path)
    assert model.training


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        (1.0, "The model is 1.00 bits per token below the bigram floor"),
        (3.0, "The model is 0.00 bits per token below the uniform floor"),
        (9.0, "The model is worse than finding every token equally likely"),
    ],
)
def test_the_table_ends_with_the_lowest_floor_that_was_passed(nats, words):
    values = {"uniform": 3.0 + 1e-9, "unigram": 2.0, "bigram": 1 + math.log(2), "end to end": 1.0, "stride": nats}
    scores = tuple(Score(name=n, nats_per_token=v, perplexity=1.0, bits_per_byte=1.0) for n, v in values.items())
    sizes = {"num_tokens": 5, "num_bytes": 9, "context_tokens": 4, "stride_tokens": 2}
    text = table(Evaluation(checkpoint="runs/x", text="few", **sizes, scores=scores))
    assert text.splitlines()[-1].startswith(words)
    assert "nats per token    perplexity   bits per byte" in text
