"""Models side by side: bits per byte do not depend on the tokenizer."""

import math

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer
from gemini_workshop.evaluation import profiles
from gemini_workshop.evaluation.profiles import profile, profiles_table, score_documents
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.training import stories

DOCUMENTS = ["The cat saw 3 birds. naïve", "The dog saw 12 hens and the cat."]


@pytest.mark.parametrize(
    "tokenizer", [CharTokenizer.train(DOCUMENTS, 60), BPETokenizer.train(DOCUMENTS, 280)], ids=["characters", "pairs"]
)
def test_a_bit_a_byte_is_a_bit_a_byte_for_every_tokenizer(monkeypatch, tokenizer):
    """A stand-in for a model that pays one bit for each byte of a document, whatever its tokens are."""
    sizes = iter([len(text.encode()) for text in DOCUMENTS])

    def log_probs(model, token_ids):
        assert token_ids[0] == tokenizer.end_of_text_id
        count = len(token_ids) - 1
        return torch.full((count,), -math.log(2) * next(sizes) / count)

    monkeypatch.setattr(profiles, "strided_log_probs", log_probs)
    nats, bits = score_documents(Transformer(tiny.MODEL), tokenizer, DOCUMENTS)
    assert bits == pytest.approx(1.0)
    num_tokens = sum(len(tokenizer.encode(text)) for text in DOCUMENTS)
    assert nats == pytest.approx(math.log(2) * sum(len(text.encode()) for text in DOCUMENTS) / num_tokens)


@pytest.fixture(scope="module")
def profiled():
    tokenizer = BPETokenizer.train(stories.documents(), stories.CONFIG.model.vocab_size)
    model = Transformer(stories.CONFIG.model, torch.Generator().manual_seed(0)).eval()
    generation = GenerationConfig(max_new_tokens=12, temperature=1.0)
    return profile("few", model, tokenizer, DOCUMENTS, ["The cat", "A dog"], generation, samples_per_prompt=2)


def test_a_profile_holds_one_sample_a_prompt_and_seed(profiled):
    assert [sample[:5] for sample in profiled.samples] == ["The c", "The c", "A dog", "A dog"]
    assert profiled.samples[0] != profiled.samples[1]
    assert profiled.written_tokens_per_second > 0


def test_a_model_that_knows_nothing_pays_for_every_token_alike(profiled):
    """Weights that write to the stream begin at zero, so the first prediction is near even."""
    assert profiled.nats_per_token == pytest.approx(math.log(270), rel=0.05)


def test_the_table_has_a_row_and_a_sample_for_each(profiled):
    text = profiles_table([profiled, profiled])
    assert text.count("\n--- few\nThe cat") == 2
    assert "bits/byte" in text.splitlines()[0]
    assert f"{profiled.bits_per_byte:.4f}" in text
