"""A model that gets new tokens says what it said before."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.checkpoint import find_checkpoint, load_pretrained, save_model
from gemini_workshop.config import load_config
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.finetuning.vocabulary import with_tokens
from gemini_workshop.models.transformer import Transformer
from tests import tiny

TOKENIZER = BPETokenizer.train(["hello there"], 262)
IDS = torch.tensor([[261, 104, 105, 99]])


@pytest.mark.parametrize("tied_head", [True, False])
def test_the_old_logits_stay_and_the_new_are_the_mean_of_the_old(tmp_path, tied_head):
    config = replace(load_config("tiny"), model=replace(tiny.MODEL, vocab_size=262, tied_head=tied_head))
    save_model(tmp_path / "model", Transformer(config.model).state_dict(), config, TOKENIZER)
    grown = with_tokens(find_checkpoint(tmp_path / "model"), ["<a>", "<b>", "<|endoftext|>"])
    assert grown.tokenizer.special_tokens == {"<|endoftext|>": 261, "<a>": 262, "<b>": 263}
    assert grown.config.model.vocab_size == grown.tokenizer.vocab_size == 264
    save_model(tmp_path / "grown", grown.weights, grown.config, grown.tokenizer)
    before, after = (load_pretrained(tmp_path / name)[0](IDS) for name in ("model", "grown"))
    torch.testing.assert_close(after[..., :262], before)
    torch.testing.assert_close(after[..., 262], before.mean(dim=-1))
    assert with_tokens(grown, ["<a>"]) is grown


def test_a_vocabulary_that_cannot_grow_is_refused(tmp_path):
    characters = CharTokenizer.train(["hello"], 6)
    config = replace(load_config("tiny"), model=replace(tiny.MODEL, vocab_size=characters.vocab_size))
    save_model(tmp_path / "model", Transformer(config.model).state_dict(), config, characters)
    with pytest.raises(DataError, match="The vocabulary of a CharTokenizer cannot grow, and it lacks <a>"):
        with_tokens(find_checkpoint(tmp_path / "model"), ["<a>"])


def test_a_token_that_is_there_cannot_be_added_again():
    with pytest.raises(DataError, match=r"The vocabulary has <\|endoftext\|> already"):
        TOKENIZER.with_special_tokens(["<|endoftext|>"])
