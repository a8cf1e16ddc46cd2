"""Questions have one right answer and explain every other."""

import importlib
import pkgutil

import pytest

from gemini_workshop import exercises
from gemini_workshop.exercises.quiz import Option, Question, Quiz

MODULES = [importlib.import_module(f"{exercises.__name__}.{m.name}") for m in pkgutil.iter_modules(exercises.__path__)]
QUIZZES = [module.QUIZ for module in MODULES if hasattr(module, "QUIZ")]


@pytest.mark.parametrize("quiz", QUIZZES)
def test_every_quiz_has_three_to_five_questions_and_every_option_its_own_reply(quiz):
    assert 3 <= len(quiz.questions) <= 5
    replies = [option.reply for question in quiz.questions for option in question.options]
    assert all(len(reply) > 20 for reply in replies)
    assert len(set(replies)) == len(replies)


def test_in_no_quiz_the_right_answer_always_stands_at_the_same_place():
    for quiz in QUIZZES:
        places = {[option.is_right for option in question.options].index(True) for question in quiz.questions}
        assert len(places) > 1, str(quiz)


@pytest.mark.parametrize("right", [0, 2])
def test_a_question_without_exactly_one_right_option_is_refused(right):
    options = (Option("a", "r1", is_right=right > 0), Option("b", "r2", is_right=right > 1))
    with pytest.raises(ValueError, match=f"has {right} right options"):
        Question("?", options)


def test_html_needs_no_script_and_escapes_text():
    quiz = Quiz((Question("is 1 < 2?", (Option("`yes`", "so it is", is_right=True), Option("no", "look again"))),))
    html = quiz._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "1 &lt; 2" in html
    assert "<code>yes</code>" in html
    assert str(quiz).endswith("(Right: 1a)")
