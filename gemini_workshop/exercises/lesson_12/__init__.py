"""Lesson 12, text generation: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_12.apply_repetition_penalty import APPLY_REPETITION_PENALTY
from gemini_workshop.exercises.lesson_12.apply_temperature import APPLY_TEMPERATURE
from gemini_workshop.exercises.lesson_12.greedy import GREEDY
from gemini_workshop.exercises.lesson_12.min_p_filter import MIN_P_FILTER
from gemini_workshop.exercises.lesson_12.plain_beam_search import PLAIN_BEAM_SEARCH
from gemini_workshop.exercises.lesson_12.plain_generate import PLAIN_GENERATE
from gemini_workshop.exercises.lesson_12.quiz import QUIZ
from gemini_workshop.exercises.lesson_12.top_k_filter import TOP_K_FILTER
from gemini_workshop.exercises.lesson_12.top_p_filter import TOP_P_FILTER
from gemini_workshop.exercises.lesson_12.verify_drafts import VERIFY_DRAFTS

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    GREEDY,
    APPLY_TEMPERATURE,
    TOP_K_FILTER,
    TOP_P_FILTER,
    MIN_P_FILTER,
    APPLY_REPETITION_PENALTY,
    PLAIN_GENERATE,
    PLAIN_BEAM_SEARCH,
    VERIFY_DRAFTS,
)
