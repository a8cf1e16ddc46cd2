"""Lesson 03, multi-head attention: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_03.attention_parameters import ATTENTION_PARAMETERS
from gemini_workshop.exercises.lesson_03.merge_heads import MERGE_HEADS
from gemini_workshop.exercises.lesson_03.multi_head_attention import MULTI_HEAD_ATTENTION
from gemini_workshop.exercises.lesson_03.quiz import QUIZ
from gemini_workshop.exercises.lesson_03.split_heads import SPLIT_HEADS

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (SPLIT_HEADS, MERGE_HEADS, MULTI_HEAD_ATTENTION, ATTENTION_PARAMETERS)
