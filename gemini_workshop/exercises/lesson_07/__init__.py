"""Lesson 07, efficient attention: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_07.cache_bytes import CACHE_BYTES
from gemini_workshop.exercises.lesson_07.flash_attention import FLASH_ATTENTION
from gemini_workshop.exercises.lesson_07.grouped_query_attention import GROUPED_QUERY_ATTENTION
from gemini_workshop.exercises.lesson_07.latent_projections import LATENT_PROJECTIONS
from gemini_workshop.exercises.lesson_07.online_softmax import ONLINE_SOFTMAX
from gemini_workshop.exercises.lesson_07.quiz import QUIZ
from gemini_workshop.exercises.lesson_07.sliding_window_attention import SLIDING_WINDOW_ATTENTION
from gemini_workshop.exercises.lesson_07.sliding_window_mask import SLIDING_WINDOW_MASK

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    ONLINE_SOFTMAX,
    FLASH_ATTENTION,
    SLIDING_WINDOW_MASK,
    SLIDING_WINDOW_ATTENTION,
    GROUPED_QUERY_ATTENTION,
    LATENT_PROJECTIONS,
    CACHE_BYTES,
)
