"""Lesson 13, the mini-Gemini project: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_13.local_global_attention import LOCAL_GLOBAL_ATTENTION
from gemini_workshop.exercises.lesson_13.mixture_loss import MIXTURE_LOSS
from gemini_workshop.exercises.lesson_13.plain_answer import PLAIN_ANSWER
from gemini_workshop.exercises.lesson_13.question_ids import QUESTION_IDS
from gemini_workshop.exercises.lesson_13.quiz import QUIZ
from gemini_workshop.exercises.lesson_13.score_answers import SCORE_ANSWERS
from gemini_workshop.exercises.lesson_13.sparse_feed_forward import SPARSE_FEED_FORWARD
from gemini_workshop.exercises.lesson_13.sparse_parameters import SPARSE_PARAMETERS

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    QUESTION_IDS,
    SPARSE_PARAMETERS,
    LOCAL_GLOBAL_ATTENTION,
    SPARSE_FEED_FORWARD,
    MIXTURE_LOSS,
    SCORE_ANSWERS,
    PLAIN_ANSWER,
)
