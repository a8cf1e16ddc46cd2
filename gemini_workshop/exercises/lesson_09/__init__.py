"""Lesson 09, multimodal fusion: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_09.gated_cross_attention import GATED_CROSS_ATTENTION
from gemini_workshop.exercises.lesson_09.interleave import INTERLEAVE
from gemini_workshop.exercises.lesson_09.log_mel_frames import LOG_MEL_FRAMES
from gemini_workshop.exercises.lesson_09.multimodal_mask import MULTIMODAL_MASK
from gemini_workshop.exercises.lesson_09.patchify import PATCHIFY
from gemini_workshop.exercises.lesson_09.quiz import QUIZ
from gemini_workshop.exercises.lesson_09.sigmoid_contrastive_loss import SIGMOID_CONTRASTIVE_LOSS

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    PATCHIFY,
    LOG_MEL_FRAMES,
    INTERLEAVE,
    MULTIMODAL_MASK,
    GATED_CROSS_ATTENTION,
    SIGMOID_CONTRASTIVE_LOSS,
)
