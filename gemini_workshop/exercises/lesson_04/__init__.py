"""Lesson 04, positions: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_04.apply_rotary import ROTARY
from gemini_workshop.exercises.lesson_04.learned_positional_embedding import LEARNED
from gemini_workshop.exercises.lesson_04.quiz import QUIZ
from gemini_workshop.exercises.lesson_04.rotary_frequencies import FREQUENCIES
from gemini_workshop.exercises.lesson_04.sinusoidal_positions import SINUSOIDAL

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (SINUSOIDAL, LEARNED, FREQUENCIES, ROTARY)
