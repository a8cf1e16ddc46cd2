import dataclasses
import json

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.conversations.templates import GEMMA, Message
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.generation.chat import ChatPartner, Conversation, Turn, until_stop
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.sampler import Bias, Sampler
from gemini_workshop.models.transformer import Transformer

LETTERS = CharTokenizer(list("abcdefghij\n"))  # 13 with the unknown one and the end of text
GREEDY = GenerationConfig(temperature=0.0, max_new_tokens=4)
NO_BREAK = Sampler((Bias({10: -1e9, 11: -1e9, 12: -1e9}),), is_greedy=True)  # nor an end


@pytest.fixture
def config(config):
    return dataclasses.replace(config, context_tokens=60)


@pytest.fixture
def partner(model: Transformer):
    return ChatPartner(model, LETTERS)


def talk(format, *turns, system=""):
    roles = ("user", "model")
    return Conversation(format, system, [Turn(roles[i % 2], text) for i, text in enumerate(turns)])


def test_a_story_is_one_text_of_paragraphs_in_which_the_model_goes_on_where_the_user_ends():
    assert talk("story", "Once", " upon a time.", "A fox").text() == "Once upon a time.\n\nA fox"
    assert talk("story", "Once", system="Of foxes.").text() == "Of foxes.\n\nOnce"


def test_a_dialogue_names_who_speaks():
    text = "Be kind.\n\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"
    assert talk("dialogue", "Hi", " Hello", "Bye", system="Be kind.").text() == text


def test_braces_of_a_turn_are_text():
    assert talk("dialogue", "a {} b {x}", "{}").text() == "User: a {} b {x}\nAssistant:{}\nAssistant:"


def test_a_reply_is_what_the_model_writes_after_the_whole_text(partner):
    conversation = talk("story", "ab", "c", "de")
    ids = [LETTERS.end_of_text_id, *LETTERS.encode("abc\n\nde")]
    expected = LETTERS.decode(list(generate(partner.model, ids, GREEDY, sampler=NO_BREAK)))
    assert "".join(partner.reply(conversation, GREEDY, sampler=NO_BREAK)) == expected
    assert conversation.turns[-1] == Turn("model", expected)
    assert not partner.has_ended


def test_a_second_reply_reads_only_what_is_new(partner):
    conversation = talk("story", "abcdefgh")
    list(partner.reply(conversation, GREEDY, sampler=NO_BREAK))
    before = partner.reader.num_read
    conversation.turns.append(Turn("user", "ij"))
    text = conversation.text()
    reply = "".join(partner.reply(conversation, GREEDY, sampler=NO_BREAK))
    assert partner.reader.num_read - before == 1 + len("\n\nij") + 3  # the last token of a reply is never read
    fresh = ChatPartner(partner.model, LETTERS)
    conversation.turns.pop()
    assert conversation.text() == text
    assert "".join(fresh.reply(conversation, GREEDY, sampler=NO_BREAK)) == reply


TEMPLATED = BPETokenizer.train(["user model hello"], 259, special_tokens=GEMMA.marks)


@pytest.fixture
def taught(config):
    """A model whose tokenizer knows the marks of a chat template."""
    torch.manual_seed(0)
    return ChatPartner(Transformer(dataclasses.replace(config, vocab_size=259, context_tokens=90)), TEMPLATED)


def test_a_model_that_was_taught_a_template_reads_the_turns_between_its_marks(taught):
    conversation = talk("template", "Hi", " yes ", "Who?", system="Be kind.")
    messages = [
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "yes"),
        Message("user", "Who?"),
    ]
    ids = GEMMA.encode(messages, TEMPLATED, add_generation_prompt=True).ids
    no_marks = Bias(dict.fromkeys([TEMPLATED.end_of_text_id, *TEMPLATED.special_tokens.values()], -1e9))
    letters = Sampler((no_marks,), is_greedy=True)
    expected = TEMPLATED.decode(list(generate(taught.model, ids, GREEDY, sampler=letters)))
    assert "".join(taught.reply(conversation, GREEDY, sampler=letters)) == expected
    assert conversation.turns[-1] == Turn("model", expected)


def test_the_end_of_a_turn_ends_a_reply_and_not_the_conversation(taught):
    end = Sampler((Bias({TEMPLATED.special_tokens[GEMMA.end]: 1e9}),), is_greedy=True)
    assert list(taught.reply(talk("template", "Hi"), GREEDY, sampler=end)) == []
    assert not taught.has_ended


def test_a_model_that_was_taught_no_template_says_so_and_no_turn_is_added(partner):
    conversation = talk("template", "ab")
    with pytest.raises(DataError, match="marks of no chat template"):
        list(partner.reply(conversation, GREEDY))
    assert conversation == talk("template", "ab")


def test_a_reply_ends_with_its_paragraph_and_the_end_of_the_text_is_told(partner):
    end = Sampler((Bias({LETTERS.end_of_text_id: 1e9}),), is_greedy=True)
    conversation = talk("story", "ab")
    assert list(partner.reply(conversation, GREEDY, sampler=end)) == []
    assert partner.has_ended


def test_an_interrupted_reply_keeps_what_was_said_and_the_next_one_is_right(partner, monkeypatch):
    forward, calls = Transformer.forward, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 2:
            args[1][0].append(*(x[:, :, :1] for x in args[1][0].stored()))  # one layer has read the token
            raise KeyboardInterrupt
        return forward(self, *args)

    conversation = talk("story", "ab")
    monkeypatch.setattr(Transformer, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(partner.reply(conversation, GREEDY, sampler=NO_BREAK))
    monkeypatch.setattr(Transformer, "forward", forward)
    said = conversation.turns[-1].text
    assert len(said) == 2
    conversation.turns.append(Turn("user", "c"))
    ids = [LETTERS.end_of_text_id, *LETTERS.encode(f"ab{said}\n\nc")]
    expected = LETTERS.decode(list(generate(partner.model, ids, GREEDY, sampler=NO_BREAK)))
    assert "".join(partner.reply(conversation, GREEDY, sampler=NO_BREAK)) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["\n\n", " The", " end.\n", "More"], "\n\n The end."),
        (["\n The end", ".\nMore"], "\n The end."),
        ([" ", " a"], "  a"),
        ([], ""),
    ],
)
def test_a_line_break_ends_a_reply_unless_it_stands_at_its_beginning(pieces, expected):
    assert "".join(until_stop(iter(pieces), ("\n",))) == expected


def test_a_conversation_comes_back_as_it_was_saved(tmp_path):
    conversation = talk("dialogue", "Zoë 好 {}", "\n yes", system="S")
    conversation.save(tmp_path / "chat.json")
    assert Conversation.load(tmp_path / "chat.json") == conversation


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[]", "is not a conversation"),
        (
            json.dumps({"format": "poem", "system": "", "turns": []}),
            "It needs a format \\(story, dialogue, question, template\\)",
        ),
        (json.dumps({"format": "story", "system": "", "turns": [{"role": "cat", "text": ""}]}), "user or model"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused(tmp_path, content, message):
    file = tmp_path / "chat.json"
    if content is not None:
        file.write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        Conversation.load(file)


def test_undo_takes_back_a_reply_and_its_turn():
    conversation = talk("story", "a", "b", "c", "d")
    assert conversation.undo() == Turn("user", "c")
    assert conversation == talk("story", "a", "b")
    assert (conversation.undo(), conversation.undo()) == (Turn("user", "a"), None)
