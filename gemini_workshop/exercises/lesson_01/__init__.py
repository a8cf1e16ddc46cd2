"""Lesson 01, recurrent networks: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_01.gradient_norm_by_distance import GRADIENT
from gemini_workshop.exercises.lesson_01.lstm_step import LSTM_STEP
from gemini_workshop.exercises.lesson_01.quiz import QUIZ
from gemini_workshop.exercises.lesson_01.rnn_step import RNN_STEP
from gemini_workshop.exercises.lesson_01.unroll import UNROLL

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (RNN_STEP, UNROLL, GRADIENT, LSTM_STEP)
