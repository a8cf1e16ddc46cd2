"""Conversations: written as published models write them, and only the model's own words are predicted."""

import json

import numpy as np
import pytest

from gemini_workshop.config import load_config
from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.data.conversations.folder import Conversations, write_conversations
from gemini_workshop.data.conversations.reading import read_conversations
from gemini_workshop.data.conversations.rows import ConversationRows, ConversationSource
from gemini_workshop.data.conversations.templates import CHATML, GEMMA, Message, template_of
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError

MARKS = (*GEMMA.marks, *CHATML.marks)
TOKENIZER = BPETokenizer.train(["user model assistant hello there"], 256 + 5 + 6, special_tokens=MARKS)
IDS = TOKENIZER.special_tokens
HELLO = (Message("user", "Hello <end_of_turn> there"), Message("assistant", " Hi! "))
LONGER = (Message("system", "Be kind."), *HELLO, Message("user", "Bye"), Message("assistant", "See\nyou"))
GEMMAS = (  # after the published tokenizer_config.json of Gemma 3: text alone
    "{%- if messages[0]['role'] == 'system' -%}{%- set before = messages[0]['content'] + '\n\n' -%}"
    "{%- set turns = messages[1:] -%}{%- else -%}{%- set before = '' -%}{%- set turns = messages -%}{%- endif -%}"
    "{%- for turn in turns -%}{%- set role = 'model' if turn['role'] == 'assistant' else turn['role'] -%}"
    "{{ '<start_of_turn>' + role + '\n' + (before if loop.first else '') }}{{ turn['content'] | trim }}"
    "{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
CHATMLS = (
    "{% for turn in messages %}{{ '<|im_start|>' + turn['role'] + '\n' + turn['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize(("template", "published"), [(GEMMA, GEMMAS), (CHATML, CHATMLS)], ids=["gemma", "chatml"])
@pytest.mark.parametrize("messages", [HELLO, LONGER], ids=["two turns", "with a system message"])
@pytest.mark.parametrize("prompt", [False, True])
def test_a_conversation_is_written_as_transformers_writes_it(template, published, messages, prompt):
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    turns = [{"role": each.role, "content": each.content} for each in messages]
    [expected], _ = utils.render_jinja_template(
        [turns], chat_template=published, add_generation_prompt=prompt, return_assistant_tokens_mask=False
    )
    assert template.render(messages, add_generation_prompt=prompt) == expected


@pytest.mark.parametrize("template", [GEMMA, CHATML], ids=["gemma", "chatml"])
def test_the_tokens_are_those_of_the_text_but_what_is_typed_is_never_a_mark(template):
    harmless = [Message(each.role, each.content.replace("<end_of_turn>", "!")) for each in LONGER]
    text = template.render(harmless, add_generation_prompt=True)
    ids, _ = template.encode(harmless, TOKENIZER, add_generation_prompt=True)
    assert ids == [TOKENIZER.end_of_text_id, *TOKENIZER.encode(text, allowed_special=template.marks)]
    typed, _ = template.encode(LONGER, TOKENIZER)
    assert typed.count(IDS[template.end]) == len(template._turns(LONGER))
    assert "<end_of_turn> there" in TOKENIZER.decode(typed)


def test_the_models_words_and_the_end_of_its_turns_are_predicted_and_nothing_else():
    rows = ConversationRows([LONGER], TOKENIZER, GEMMA, 128)
    row = rows[0]
    assert TOKENIZER.decode(row.targets[row.targets != IGNORE_INDEX]) == "Hi!<end_of_turn>See\nyou<end_of_turn>"
    predicted = np.flatnonzero(row.targets != IGNORE_INDEX)
    assert row.targets[predicted].tolist() == row.inputs[predicted + 1].tolist()


def test_several_conversations_share_a_row_and_are_kept_apart():
    rows = ConversationRows([HELLO] * 5, TOKENIZER, GEMMA, 100)
    length = len(GEMMA.encode(HELLO, TOKENIZER).ids) - 1
    assert len(rows) == -(-5 // (100 // length))
    row = rows[0]
    starts = np.flatnonzero(row.inputs == TOKENIZER.end_of_text_id)
    assert row.segment_ids[starts].tolist() == list(range(1, len(starts) + 1))
    batch = rows.batch([0, len(rows) - 1])
    assert batch.inputs.shape == (2, 100)
    assert (batch.targets[batch.segment_ids == 0] == IGNORE_INDEX).all()


def test_one_that_is_too_long_is_cut_and_one_without_an_answer_left_out():
    wordy = (Message("user", "Hello"), Message("assistant", "very " * 90))
    silent = (Message("user", "very " * 90), Message("assistant", "Hi"))
    rows = ConversationRows([wordy, silent, HELLO], TOKENIZER, GEMMA, 64)
    assert rows.num_left_out == 1
    assert max(len(rows[i].inputs) for i in range(len(rows))) == 64
    with pytest.raises(DataError, match="None of the 1 conversations has an answer within context_tokens=64"):
        ConversationRows([silent], TOKENIZER, GEMMA, 64)


def test_each_row_is_read_once_before_any_is_read_again():
    talks = [(Message("user", f"Hello {i}"), Message("assistant", "very " * 12)) for i in range(7)]
    rows = ConversationRows(talks, TOKENIZER, GEMMA, 64)
    source = ConversationSource(train_rows=rows, validation_rows=rows, batch_size=2, seed=3)
    read = [row.tolist() for step in range(7) for row in source.batch(step).inputs]
    every = sorted(row.inputs.tolist() for row in rows)
    assert [sorted(read[i : i + 7]) for i in (0, 7)] == [every, every]
    assert sum(len(batch.inputs) for batch in source.validation()) == 7


@pytest.mark.parametrize(("roles", "message"), [
    ((), "The roles are none"), (("assistant",), "The roles are assistant"),
    (("user", "user"), "The roles are user, user"), (("user", "system"), "The roles are user, system"),
])  # fmt: skip
def test_what_is_no_conversation_is_refused(roles, message):
    with pytest.raises(DataError, match=message):
        GEMMA.render([Message(role, "x") for role in roles])


def test_a_tokenizer_without_the_marks_is_refused_and_has_no_template():
    plain = BPETokenizer.train(["user"], 260)
    with pytest.raises(DataError, match="has no token <start_of_turn>"):
        GEMMA.encode(HELLO, plain)
    assert template_of(plain) is None
    assert template_of(plain.with_special_tokens(CHATML.marks)) is CHATML


FORMS = {
    "chat": {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]},
    "alpaca": {"instruction": "Say hello.", "input": "In French.", "output": "Salut"},
    "without input": {"instruction": "Say hello.", "input": "", "output": "Hi"},
    "prompt": {"prompt": "Hello", "response": "Hi"},
}


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_every_published_form_is_read(tmp_path, suffix):
    path = tmp_path / f"talks{suffix}"
    values = list(FORMS.values())
    path.write_text(json.dumps(values) if suffix == ".json" else "\n".join(map(json.dumps, values)))
    found = [[message.content for message in each] for each in read_conversations(path)]
    assert found == [["Hello", "Hi"], ["Say hello.\n\nIn French.", "Salut"], ["Say hello.", "Hi"], ["Hello", "Hi"]]


@pytest.mark.parametrize(("value", "message"), [
    ([1], "line 1, is not a conversation: it is not a JSON object"),
    ({}, "it has nothing, and needs messages"), ({"text": "a"}, "it has text, and needs messages"),
    ({"messages": "hi"}, "messages='hi' is not a list"), ({"messages": ["hi"]}, "'hi' is not a message"),
    ({"messages": [{"role": "bot", "content": "a"}]}, "role='bot' is none of system, user, assistant"),
    ({"messages": [{"role": "user", "content": 7}]}, "content=7 is not a text"),
    ({"messages": [{"role": "user", "content": "a"}]}, "the user has the last word"),
    ({"messages": []}, "The roles are none"), ({"prompt": "a"}, "response=None is not a text"),
    ({"instruction": "a", "output": None}, "output=None is not a text"),
])  # fmt: skip
def test_what_is_no_conversation_is_refused_by_its_line(tmp_path, value, message):
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        read_conversations(path)


def test_a_file_without_any_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no conversation"):
        read_conversations(tmp_path / "a.jsonl")


def talks(num):
    return [(Message("user", f"Hello {i}"), Message("assistant", "Hi")) for i in range(num)]


def test_a_folder_holds_both_splits_and_no_question_is_in_both(tmp_path):
    written = write_conversations(tmp_path, [*talks(60), *talks(60)], TOKENIZER, "gemma", 0.2)
    assert Conversations.open(tmp_path).train == written.train
    train, validation = ({each[0].content for each in split} for split in (written.train, written.validation))
    assert train & validation == set()
    assert len(written.train) + len(written.validation) == 120
    assert template_of(written.tokenizer) is GEMMA


def test_what_cannot_be_written_or_trained_on_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no template 'gema'"):
        write_conversations(tmp_path, talks(9), TOKENIZER, "gema", 0.2)
    with pytest.raises(DataError, match="none is left for validation"):
        write_conversations(tmp_path, talks(1), TOKENIZER, "gemma", 0.0001)
    written = write_conversations(tmp_path, talks(60), TOKENIZER, "gemma", 0.2)
    with pytest.raises(DataError, match="has vocab_size=267, but the model has vocab_size="):
        written.source(load_config("tiny"))
