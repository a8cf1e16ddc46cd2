"""Exercise 03.4, ``attention_parameters``: its cases, and what learners get wrong."""

import torch

from gemini_workshop.exercises.core.exercise import Exercise, Say
from gemini_workshop.models.multi_head_attention import attention_parameters


def _oracle(embed_dim: int, num_heads: int, head_dim: int) -> int:
    """Count them head by head, on matrices without memory."""
    shapes = [(head_dim, embed_dim)] * 3 + [(embed_dim, head_dim)]  # query, key, value; the output's columns
    return num_heads * sum(torch.empty(shape, device="meta").numel() for shape in shapes)


ATTENTION_PARAMETERS = Exercise(
    id="03.4",
    minutes=5,
    difficulty=2,
    importance=3,
    reference=attention_parameters,
    oracle=_oracle,
    cases=lambda generator: [(4, 2, 2), (6, 2, 5), (512, 8, 64), (1152, 4, 256)],
    misconceptions={
        "output forgotten": Say(
            "Three matrices are counted. The fourth, the output, brings what all heads found back to the width of a "
            "token."
        ).to(lambda D, H, C: 3 * D * H * C),
        "each head as wide as the token": Say(
            "It counts every head as being as wide as a token. A head has `head_dim` channels."
        ).to(lambda D, H, C: 4 * D * D * H),
        "heads together taken for as wide as the token": Say(
            "It takes all heads together to be as wide as a token. That is common but not required: `head_dim` is a "
            "separate choice."
        ).to(lambda D, H, C: 4 * D * D),
        "one head counted": Say("It counts one head only. Each head has its own queries, keys and values.").to(
            lambda D, H, C: 4 * D * C
        ),
        "output of one head's width": Say(
            "The output matrix is counted for one head. It reads what all heads found, side by side."
        ).to(lambda D, H, C: 3 * D * H * C + C * D),
        "output between heads": Say(
            "The output matrix is counted from all heads to all heads. It leads back to the width of a token."
        ).to(lambda D, H, C: 3 * D * H * C + (H * C) ** 2),
        "output from token to token": Say(
            "The output matrix is counted from the width of a token to the same width. It reads what all heads found, "
            "side by side."
        ).to(lambda D, H, C: 3 * D * H * C + D * D),
        "biases counted": Say("Biases are counted, but these matrices have none.").to(
            lambda D, H, C: 4 * D * H * C + 3 * H * C + D
        ),
        "one matrix for queries, keys and values": Say(
            "Queries, keys and values are counted as one matrix. There is one for each of the three."
        ).to(lambda D, H, C: 2 * D * H * C),
    },
    hints=(
        "How many matrices are there? For each: how many numbers go in, and how many come out?",
        "Three of them go from the width of a token to the width of all heads together, and one goes back.",
        "All heads together are `num_heads * head_dim` wide. A matrix from m to n numbers holds m times n.",
    ),
)
