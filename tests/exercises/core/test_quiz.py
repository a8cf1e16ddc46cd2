"""Questions have one right answer and explain every other."""

import pytest

from gemini_workshop.exercises.core.catalogue import lessons
from gemini_workshop.exercises.core.quiz import Option, Question, Quiz, quiz_from
from gemini_workshop.exercises.core.verdict import with_code

QUIZZES = [lesson.QUIZ for lesson in lessons().values() if hasattr(lesson, "QUIZ")]


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


def test_words_between_stars_are_emphasized_and_products_and_shapes_are_not():
    shown = with_code("scale *each part* before `x * y * z`; (*B, T) is a * b")
    assert shown == "scale <em>each part</em> before <code>x * y * z</code>; (*B, T) is a * b"


TEXT = """
What is one
and one?

- Three.
  Count again.
+ Two.
  As everyone
  can see.

Is it?
+ Yes.
  It is.
"""


def test_a_quiz_is_read_from_its_text_with_lines_joined():
    first, second = quiz_from(TEXT.replace("one?\n\n", "one?\n")).questions
    assert first.text == "What is one and one?"
    assert first.options == (Option("Three.", "Count again."), Option("Two.", "As everyone can see.", is_right=True))
    assert second == Question("Is it?", (Option("Yes.", "It is.", is_right=True),))


def test_a_question_apart_from_its_options_is_refused():
    with pytest.raises(ValueError, match=r"'What is one and one\?' has 0 right options; exactly one is needed"):
        quiz_from(TEXT)


def test_an_option_without_a_reply_is_refused():
    with pytest.raises(ValueError, match=r"The option 'Yes\.' has no reply\. Write one on the lines below it"):
        quiz_from("Is it?\n+ Yes.\n- No.\n  It is not.")
