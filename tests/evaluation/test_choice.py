"""Multiple choice by likelihood, on models whose probabilities are known."""

import json
import math

import pytest
import torch

from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation import choice
from gemini_workshop.evaluation.choice import (
    NORMALIZATIONS,
    ChoiceQuestion,
    answer_questions,
    choice_score,
    ending_questions,
    load_questions,
    score_choices,
)
from gemini_workshop.models.transformer import Transformer
from tests import tiny

MODEL = Transformer(tiny.MODEL)  # never asked
TOKENIZER = CharTokenizer.train(["abcdeé ."], 20)


@pytest.fixture
def told(monkeypatch):
    """Let every choice cost what its letters cost, more cheaply after a context that holds them."""

    def told(costs, discount=0.0):
        def log_probs(model, context, continuations):
            seen = set(TOKENIZER.decode(context[1:]))
            texts = [TOKENIZER.decode(ids) for ids in continuations]
            return [torch.tensor([-(costs[c] - discount * (c in seen)) for c in text]) for text in texts]

        monkeypatch.setattr(choice, "continuation_log_probs", log_probs)
        return None

    return told


def test_each_normalization_by_hand(told):
    told({"a": 1.0, "b": 2.0, "é": 3.0}, discount=0.5)
    scores = score_choices(MODEL, TOKENIZER, ChoiceQuestion(context="b", choices=("aab", "é"), answer=0))
    assert scores["none"] == [-3.5, -3.0]
    assert scores["token"] == [-3.5 / 3, -3.0]
    assert scores["byte"] == [-3.5 / 3, -1.5]  # é has two bytes
    assert scores["unconditional"] == [0.5, 0.0]


def test_normalizations_disagree_where_they_should(told):
    """The long choice loses by its sum and wins by its mean; the surprising one wins by what the context adds."""
    told({"a": 1.0, "b": 0.9, "c": 5.0}, discount=0.5)
    question = ChoiceQuestion(context="c", choices=("a", "bb", "c"), answer=2)
    result = answer_questions(MODEL, TOKENIZER, [question])
    assert result.picks == {"none": (0,), "token": (1,), "byte": (1,), "unconditional": (2,)}
    assert result.accuracy == {"none": 0.0, "token": 0.0, "byte": 0.0, "unconditional": 1.0}
    assert set(result.accuracy) == set(NORMALIZATIONS)


def test_chance_counts_the_choices_of_each_question(told):
    told(dict.fromkeys("abcde", 1.0))
    questions = [ChoiceQuestion(context="a", choices=tuple("abcde"[:n]), answer=0) for n in (2, 4)]
    result = answer_questions(MODEL, TOKENIZER, questions)
    assert (result.chance, result.num_questions) == (0.375, 2)


def test_a_score_of_one_token_of_one_byte_is_its_log_probability():
    for name in ("none", "token", "byte"):
        assert choice_score(name, math.log(0.5), 1, 1, 0.0) == math.log(0.5)


@pytest.mark.parametrize(("choices", "answer"), [(("a",), 0), (("a", "b"), 2), (("a", "b"), -1), (("a", ""), 0)])
def test_a_question_that_cannot_be_asked_is_refused(choices, answer):
    with pytest.raises(DataError, match=rf"answer={answer} of {len(choices)} choices"):
        ChoiceQuestion(context="x", choices=choices, answer=answer)


def test_no_questions_are_refused():
    with pytest.raises(DataError, match="There are 0 questions"):
        answer_questions(MODEL, TOKENIZER, [])


def test_questions_are_read_from_lines(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"context": "Two and two make", "choices": [" four.", " five."], "answer": 1}) + "\n")
    assert load_questions(path) == [ChoiceQuestion(context="Two and two make", choices=(" four.", " five."), answer=1)]
    for line, what in (("[]", "a question"), ("{}", "a question"), ("no", "JSON")):
        path.write_text(f'{{"context": "a", "choices": ["b", "c"], "answer": 0}}\n{line}\n')
        with pytest.raises(DataError, match=rf"questions\.jsonl, line 2, is not {what}"):
            load_questions(path)


def test_endings_are_the_last_sentences_of_documents():
    documents = [f"The cat saw {i} birds! It {verb}." for i, verb in enumerate(["ran", "sat", "ate", "hid"])]
    questions = ending_questions([*documents, "One sentence only."], num_choices=3)
    assert [question.context for question in questions] == [f"The cat saw {i} birds!" for i in range(4)]
    for question, document in zip(questions, documents, strict=True):
        assert len(set(question.choices)) == 3
        assert question.context + question.choices[question.answer] == document
    assert len({question.answer for question in ending_questions(documents * 5, num_choices=3)}) == 3
    assert questions == ending_questions([*documents, "One sentence only."], num_choices=3)
    with pytest.raises(DataError, match="4 documents of two sentences or more are too few for 5 choices"):
        ending_questions(documents, num_choices=5)
