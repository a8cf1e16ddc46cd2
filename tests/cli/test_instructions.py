"""The card of a model that was taught to chat, and the command that measures it."""

import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.authoring import chat_card
from gemini_workshop.authoring.instructions import heldout_instructions
from gemini_workshop.checkpoint import find_checkpoint, load_pretrained, save_model
from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.conversations.folder import write_conversations
from gemini_workshop.data.conversations.templates import GEMMA, Message
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.evaluation import instructions
from gemini_workshop.models.transformer import Transformer
from tests import tiny

TOKENIZER = BPETokenizer.train(["hello there"], 262 + 2, special_tokens=GEMMA.marks)
TALKS = [(Message("user", f"Hello {i}"), Message("assistant", "Hi")) for i in range(40)]


@pytest.fixture
def model(tmp_path):
    config = replace(load_config("tiny"), model=replace(tiny.MODEL, vocab_size=264, context_tokens=32))
    weights = Transformer(config.model, torch.Generator().manual_seed(0)).state_dict()
    save_model(tmp_path / "model", weights, config, TOKENIZER)
    return tmp_path / "model"


@pytest.fixture
def knows(monkeypatch):
    """Let the models answer all right but questions about stories."""
    known = {each.prompt: each.answer for each in heldout_instructions(8) if each.kind != "question"}

    def answer(model, tokenizer, messages, template, config):
        assert template is GEMMA
        return known.get(messages[-1].content, "")

    monkeypatch.setattr(instructions, "answer_to", answer)


def test_the_card_says_how_many_instructions_are_obeyed(model, tmp_path, monkeypatch, knows):
    monkeypatch.setattr(chat_card, "NUM_ASKED", 8)
    talks = write_conversations(tmp_path / "talks", TALKS, TOKENIZER, "gemma", 0.2)
    source = {"from": str(model), "from_sha256": "0" * 64}
    card = chat_card.chat_card(find_checkpoint(model), model, talks, source, "gemini-workshop finetune sft")
    assert "| all | 62.5% | **62.5%** | 8 |" in card
    assert f"learned from {len(talks.train)} instructions".lower() in card.lower()
    first = heldout_instructions(1)[0]
    assert f"> **{first.prompt}".split("\n")[0] in card
    assert card.count("(obeyed)") == card.count("(not obeyed)") == 2


def test_the_command_counts_and_shows_what_was_answered(run, model, knows):
    result = run("evaluate", "instructions", str(model), "--count", "8", "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["scores"]["all"] == 0.625
    assert [right for _, _, right in content["details"]["answers"]] == [
        each.kind != "question" for each in heldout_instructions(8)
    ]
    assert "5 of 8" in run("evaluate", "instructions", str(model), "--count", "8").stdout


def test_a_model_answers_up_to_the_end_of_its_turn(model, monkeypatch):
    """What it reads is the template's prompt; without a template, the text alone."""
    seen = []

    def generate(_, ids, config, stop_ids):
        seen.append((TOKENIZER.decode(ids), stop_ids))
        return iter(TOKENIZER.encode(" Hi "))

    monkeypatch.setattr(instructions, "generate", generate)
    trained, hello = load_pretrained(model)[0], [Message("user", "Hello")]
    for template in (GEMMA, None):
        assert instructions.answer_to(trained, TOKENIZER, hello, template, GenerationConfig()) == "Hi"
    (prompt, ends), (text, text_ends) = seen
    assert prompt == "<|endoftext|><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n"
    assert ends == {TOKENIZER.end_of_text_id, TOKENIZER.special_tokens["<end_of_turn>"]}
    assert (text, text_ends) == ("<|endoftext|>Hello\n\n", {TOKENIZER.end_of_text_id})
