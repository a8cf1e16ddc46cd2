"""Lesson 11, the training loop: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_11.accumulate_gradients import ACCUMULATE_GRADIENTS
from gemini_workshop.exercises.lesson_11.adamw_step import ADAMW_STEP
from gemini_workshop.exercises.lesson_11.clip_gradients import CLIP_GRADIENTS
from gemini_workshop.exercises.lesson_11.cosine_schedule import COSINE_SCHEDULE
from gemini_workshop.exercises.lesson_11.cross_entropy import CROSS_ENTROPY
from gemini_workshop.exercises.lesson_11.diagnose import DIAGNOSE
from gemini_workshop.exercises.lesson_11.quiz import QUIZ
from gemini_workshop.exercises.lesson_11.save_run import SAVE_RUN
from gemini_workshop.exercises.lesson_11.shift_targets import SHIFT_TARGETS
from gemini_workshop.exercises.lesson_11.train_step import TRAIN_STEP

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    SHIFT_TARGETS,
    CROSS_ENTROPY,
    ADAMW_STEP,
    COSINE_SCHEDULE,
    CLIP_GRADIENTS,
    ACCUMULATE_GRADIENTS,
    TRAIN_STEP,
    SAVE_RUN,
    DIAGNOSE,
)
