"""Lesson 02, attention: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_02.additive_mask import ADDITIVE_MASK
from gemini_workshop.exercises.lesson_02.causal_mask import CAUSAL_MASK
from gemini_workshop.exercises.lesson_02.quiz import QUIZ
from gemini_workshop.exercises.lesson_02.scaled_dot_product_attention import ATTENTION
from gemini_workshop.exercises.lesson_02.softmax import SOFTMAX

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (SOFTMAX, ATTENTION, CAUSAL_MASK, ADDITIVE_MASK)
