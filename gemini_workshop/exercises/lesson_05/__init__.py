"""Lesson 05, feed-forward networks: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_05.feed_forward import FEED_FORWARD
from gemini_workshop.exercises.lesson_05.gate_units import GATE_UNITS
from gemini_workshop.exercises.lesson_05.gated_feed_forward import GATED_FEED_FORWARD
from gemini_workshop.exercises.lesson_05.gated_ffn_dim import GATED_FFN_DIM
from gemini_workshop.exercises.lesson_05.gelu import GELU
from gemini_workshop.exercises.lesson_05.quiz import QUIZ

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (GELU, FEED_FORWARD, GATE_UNITS, GATED_FEED_FORWARD, GATED_FFN_DIM)
