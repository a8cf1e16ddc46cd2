"""A gate says what is wrong, with the numbers, and opens when it is right."""

import math
from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import MoEConfig
from gemini_workshop.data.media.encoding import MARKS, Encoded
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.evaluation.abilities import Ability
from gemini_workshop.exercises.project import gates
from gemini_workshop.exercises.project.own_model import TINY, with_parts
from gemini_workshop.models import attention
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

TEXTS = ["The dog ran to the tree.", "The cat ran to the dog."]


def model(seed=0, config=TINY):
    return Transformer(config, torch.Generator().manual_seed(seed)).eval()


def moving(seed=0):
    """A model whose blocks are not silent."""
    found = model(seed)
    with torch.no_grad():
        for weight in found.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    return found


def test_a_gate_is_numbered_and_what_is_wrong_stands_below():
    assert str(gates.Gate("media")) == "✓ milestone 4 · media"
    assert str(gates.Gate("config", "Too large.")) == "✗ milestone 2 · config\n  Too large."


def test_a_tokenizer_needs_its_marks_and_merges():
    good = BPETokenizer.train(TEXTS * 5, 280, special_tokens=MARKS)
    assert gates.tokenizer_gate(good, TEXTS).is_open
    bytes_only = BPETokenizer.train(["a"], 257 + len(MARKS), special_tokens=MARKS)
    assert "1.00 tokens per byte" in gates.tokenizer_gate(bytes_only, TEXTS).problem
    assert "no <|turn_end|>" in gates.tokenizer_gate(BPETokenizer.train(TEXTS, 260), TEXTS).problem


def test_a_tokenizer_that_loses_letters_or_spells_marks_is_told_so():
    good = BPETokenizer.train(TEXTS * 5, 280, special_tokens=MARKS)

    class Lossy:
        def __getattr__(self, name):
            return getattr(good, name)

        def encode(self, text):
            return good.encode(text.lower())

    class Spelled(Lossy):
        def encode(self, text):
            return [good.special_tokens["<|image|>"]] if "<|image|>" in text else good.encode(text)

    assert "comes back as 'the dog" in gates.tokenizer_gate(Lossy(), TEXTS).problem
    assert "makes a mark" in gates.tokenizer_gate(Spelled(), TEXTS).problem


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"moe": None}, "No layer is sparse"),
        ({"moe": replace(TINY.moe, experts_per_token=4)}, "No layer is sparse"),
        ({"layer_pattern": ("local",)}, "All layers are local"),
        ({"layer_pattern": ("global",)}, "All layers are global"),
        ({"media": None}, "text alone"),
    ],
)
def test_a_config_has_to_be_sparse_local_and_global_and_multimodal(changes, said):
    assert gates.config_gate(TINY, 10_000, 10_000).is_open
    assert said in gates.config_gate(replace(TINY, **changes), 10_000, 10_000).problem


def test_a_config_has_a_budget_for_all_parameters_and_for_those_that_a_token_meets():
    many = replace(TINY, moe=MoEConfig(num_experts=40, experts_per_token=2, expert_dim=6))
    assert "the budget is 4,000" in gates.config_gate(many, 4_000, 4_000).problem
    greedy = replace(TINY, moe=MoEConfig(num_experts=4, experts_per_token=3, expert_dim=60))
    assert "A token meets" in gates.config_gate(greedy, 100_000, 4_000).problem


def test_a_decoder_has_to_compute_the_same_and_hide_the_future():
    config = replace(TINY, vocab_size=40, media=None)
    plain = model(config=config)
    assert gates.decoder_gate(plain, model(1, config)).is_open
    wrong = with_parts(config, {attention.softmax: lambda scores, dim=-1: (2 * scores).softmax(dim)})
    with torch.no_grad():
        for weight in wrong.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    assert "differ from the package's" in gates.decoder_gate(wrong, model(1, config)).problem


def test_media_have_to_be_read_and_change_nothing_before_them():
    generator = torch.Generator().manual_seed(2)
    places = torch.tensor([[[0, 0], [0, 1], [1, 0], [1, 1]]])
    media = Media(torch.rand(1, 4, 12, generator=generator), places, torch.rand(1, 2, 5, generator=generator))
    question = Encoded([1, 2, 11, 11, 11, 11, 3, 12, 12, 4, 5], media)
    assert gates.media_gate(moving(), question).is_open
    nothing = Media(torch.rand(1, 0, 12), places[:, :0], torch.rand(1, 0, 5))
    assert "no image or no audio" in gates.media_gate(moving(), Encoded([1, 2], nothing)).problem
    silent = moving()
    with torch.no_grad():
        silent.media_embedder.image.output.weight.zero_()
    assert "Another image changes nothing" in gates.media_gate(silent, question).problem


def test_a_media_leak_is_found():
    generator = torch.Generator().manual_seed(2)
    places = torch.tensor([[[0, 0], [0, 1], [1, 0], [1, 1]]])
    media = Media(torch.rand(1, 4, 12, generator=generator), places, torch.rand(1, 2, 5, generator=generator))
    leaking = moving()
    question = Encoded([1, 2, 11, 11, 11, 11, 3, 12, 12, 4, 5], media)
    with leaking.attention_by(lambda q, k, v, rule: attention.grouped_query_attention(q, k, v)):
        assert "comes before it: a leak" in gates.media_gate(leaking, question).problem


def test_training_has_to_end_well_below_a_guess():
    assert gates.training_gate([6.0, 5.0, 3.0], 500).is_open
    assert "ends at 6.10" in gates.training_gate([6.2, 6.0], 500).problem
    assert "The loss of step 1 is nan" in gates.training_gate([6.2, float("nan"), 3.0], 500).problem
    assert "The loss of step 0 is inf" in gates.training_gate([math.inf, 5.0, 3.0], 500).problem


def test_an_accuracy_counts_with_its_interval():
    sure = Ability(task="digits", num_right=30, num_asked=100)
    lucky = Ability(task="digits", num_right=1, num_asked=4)
    assert gates.evaluation_gate([sure], {"digits": 0.1}).is_open
    assert "chance is 10%" in gates.evaluation_gate([lucky], {"digits": 0.1}).problem


def test_a_cache_may_change_nothing_and_an_answer_is_not_empty():
    assert gates.generation_gate([[1, 2]], [[1, 2]]).is_open
    assert "is empty" in gates.generation_gate([[]], [[1]]).problem
    assert "at token 1" in gates.generation_gate([[1, 2]], [[1, 3]]).problem


def test_what_fails_inside_a_gate_is_its_answer():
    assert "It fails with" in gates.decoder_gate(None, None).problem
