"""Lesson 10, tokenization: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_10.apply_merges import APPLY_MERGES
from gemini_workshop.exercises.lesson_10.bits_per_byte import BITS_PER_BYTE
from gemini_workshop.exercises.lesson_10.count_pairs import COUNT_PAIRS
from gemini_workshop.exercises.lesson_10.decode import DECODE
from gemini_workshop.exercises.lesson_10.encode import ENCODE
from gemini_workshop.exercises.lesson_10.merge_pair import MERGE_PAIR
from gemini_workshop.exercises.lesson_10.pre_tokenize import PRE_TOKENIZE
from gemini_workshop.exercises.lesson_10.quiz import QUIZ
from gemini_workshop.exercises.lesson_10.train_bpe import TRAIN_BPE

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (COUNT_PAIRS, MERGE_PAIR, PRE_TOKENIZE, TRAIN_BPE, DECODE, APPLY_MERGES, ENCODE, BITS_PER_BYTE)
