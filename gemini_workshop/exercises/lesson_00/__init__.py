"""Lesson 00, setup: two toy exercises, on which a learner sees every verdict that a check can give."""

from gemini_workshop.exercises.lesson_00.average import AVERAGE
from gemini_workshop.exercises.lesson_00.shares import SHARES

__all__ = ["EXERCISES"]

EXERCISES = (AVERAGE, SHARES)
