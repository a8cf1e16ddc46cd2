"""Lesson 08, mixture of experts: its exercises and its quiz."""

from gemini_workshop.exercises.lesson_08.balanced_bias import BALANCED_BIAS
from gemini_workshop.exercises.lesson_08.expert_capacity import EXPERT_CAPACITY
from gemini_workshop.exercises.lesson_08.expert_load import EXPERT_LOAD
from gemini_workshop.exercises.lesson_08.load_balancing_loss import LOAD_BALANCING_LOSS
from gemini_workshop.exercises.lesson_08.moe_forward import MOE_FORWARD
from gemini_workshop.exercises.lesson_08.quiz import QUIZ
from gemini_workshop.exercises.lesson_08.router_z_loss import ROUTER_Z_LOSS
from gemini_workshop.exercises.lesson_08.top_k_routing import TOP_K_ROUTING
from gemini_workshop.exercises.lesson_08.within_capacity import WITHIN_CAPACITY

__all__ = ["EXERCISES", "QUIZ"]

EXERCISES = (
    TOP_K_ROUTING,
    MOE_FORWARD,
    EXPERT_LOAD,
    LOAD_BALANCING_LOSS,
    ROUTER_Z_LOSS,
    BALANCED_BIAS,
    EXPERT_CAPACITY,
    WITHIN_CAPACITY,
)
