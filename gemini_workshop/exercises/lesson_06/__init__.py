"""Lesson 06, the transformer block and a whole model: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_06.layer_norm import LAYER_NORM
from gemini_workshop.exercises.lesson_06.parameters_and_flops import PARAMETERS_AND_FLOPS
from gemini_workshop.exercises.lesson_06.plain_block import PLAIN_BLOCK
from gemini_workshop.exercises.lesson_06.plain_transformer import PLAIN_TRANSFORMER
from gemini_workshop.exercises.lesson_06.quiz import QUIZ
from gemini_workshop.exercises.lesson_06.residual_step import RESIDUAL_STEP
from gemini_workshop.exercises.lesson_06.rms_norm import RMS_NORM

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (LAYER_NORM, RMS_NORM, RESIDUAL_STEP, PLAIN_BLOCK, PLAIN_TRANSFORMER, PARAMETERS_AND_FLOPS)
