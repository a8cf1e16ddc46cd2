"""Distillation: a small model learns from all probabilities of a large one, not only from the token that came.

    loss = (1 - share) · cross-entropy + share · t² · KL(teacher ‖ student)        both softened by a temperature t

Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.data.batches.batch import IGNORE_INDEX


def distillation_loss(
    student: Float[Tensor, "*B V"],
    teacher: Float[Tensor, "*B V"],
    targets: Int[Tensor, "*B"],
    temperature: float = 1.0,
    share: float = 0.5,
) -> Float[Tensor, ""]:
    """The mean over all targets that are not to be ignored; zero if there are none.

    Args:
        student, teacher: logits. The teacher's get no gradient.
        temperature: above 1, the small probabilities of the teacher count more. The factor t² keeps the gradient as
            large as it was.
        share: of the loss that is learning from the teacher; the rest is learning from the text.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 1.0]])
        >>> distillation_loss(logits, logits, torch.tensor([1]), share=1.0)
        tensor(0.)
    """
    is_target = targets != IGNORE_INDEX
    student, teacher, targets = student[is_target], teacher[is_target].detach(), targets[is_target]
    own, wanted = ((logits / temperature).log_softmax(dim=-1) for logits in (student, teacher))
    from_teacher = temperature**2 * F.kl_div(own, wanted, reduction="none", log_target=True).sum(dim=-1)
    from_text = F.cross_entropy(student, targets, reduction="none")
    return ((1 - share) * from_text + share * from_teacher).sum() / is_target.sum().clamp(min=1)
