"""Muon: a step of the same size in every direction that a matrix can turn.

    momentum = b * momentum + (1 - b) * gradient          update = (1 - b) * gradient + b * momentum  (Nesterov)
    weight   = weight - rate * sqrt(max(1, out / in)) * orthogonalized(update)

The gradient of a matrix is mostly a few strong directions. AdamW equalizes single numbers; Muon equalizes
directions: in ``update = U S V'`` it replaces every singular value in S by about one. Only matrices between
hidden vectors have such directions. Embeddings, the head, routers, norms and biases are left to AdamW.

Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; at scale: Liu et al. 2025, arXiv:2502.16982.
Differs: matrices of the same shape are orthogonalized together, in one batched product.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adamw import adamw

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.optimizers.adamw import FUSED_DEVICES
from gemini_workshop.training.optimizers.groups import hidden_and_other_groups

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7
NEWTON_SCHULZ_STEPS = 5


def newton_schulz(matrices: Float[Tensor, "B N M"], steps: int = NEWTON_SCHULZ_STEPS) -> Float[Tensor, "B N M"]:
    """Bring the singular values of each matrix between 0.7 and 1.2 and leave its directions as they are.

    A polynomial in X X' changes the singular values of X and nothing else. This one takes s to
    3.4445 s - 4.7750 s^3 + 2.0315 s^5, which lifts small values steeply; five rounds suffice from about 0.01 on.
    """
    a, b, c = COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPS)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # a x + (b G + c G G) x
    return x.mT.contiguous() if is_tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the groups with ``use_muon``, AdamW for the others.

    A schedule sets each group's ``lr`` to the same number; Muon's groups multiply it by their ``lr_factor``.
    A parameter of three axes is a stack of matrices, as the weights of experts are.

    Args:
        groups: parameter groups as for any optimizer, Muon's with ``use_muon`` and, if need be, ``lr_factor``.
        momentum: weight of the past in Muon's running mean of the gradient.
        betas: weights of the past in AdamW's running means of the gradient and of its square.
        product_dtype: what Newton-Schulz is computed in: it is stable in bfloat16, which many devices multiply faster.
            By default the weights' own.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        product_dtype: torch.dtype | None = None,
    ) -> None:
        self.product_dtype = product_dtype
        ours = {"use_muon": False, "lr_factor": 1.0, "momentum": momentum}
        defaults = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps, **ours}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if group["use_muon"]:
                self._muon(group, weights)
            elif weights:
                self._adamw(group, weights)
        return loss

    def _muon(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        same_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for weight in weights:
            same_shape[weight.shape[-2:]].append(weight)
        rate = group["lr"] * group["lr_factor"]
        for (out_dim, in_dim), alike in same_shape.items():
            updates = [self._nesterov(weight, group["momentum"]).view(-1, out_dim, in_dim) for weight in alike]
            stacked = torch.cat(updates)
            even = newton_schulz(stacked.to(self.product_dtype or stacked.dtype)).to(stacked.dtype)
            for weight, own in zip(alike, even.split([len(update) for update in updates]), strict=True):
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(own.view_as(weight), alpha=-rate * math.sqrt(max(1, out_dim / in_dim)))

    def _nesterov(self, weight: Tensor, momentum: float) -> Tensor:
        """The momentum after this gradient, looked at one step ahead."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        memory: Tensor = state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(memory, momentum)

    def _adamw(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        is_fused = weights[0].device.type in FUSED_DEVICES
        for weight in weights:
            if not self.state[weight]:
                step = torch.zeros((), device=weight.device if is_fused else "cpu")
                empty = {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
                self.state[weight].update(step=step, **empty)
        states = [self.state[weight] for weight in weights]
        adamw(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=is_fused,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def muon_optimizer(model: Transformer, config: TrainingConfig) -> Muon:
    """Muon as the configuration says; Newton-Schulz is computed in the precision of the other matrix products."""
    factor = config.muon_learning_rate / config.learning_rate
    is_16_bit = config.precision in ("bf16", "fp16")
    return Muon(
        hidden_and_other_groups(model, config.weight_decay, {"use_muon": True, "lr_factor": factor}),
        lr=config.learning_rate,
        momentum=config.momentum,
        betas=(config.beta1, config.beta2),
        product_dtype=torch.bfloat16 if is_16_bit else None,
    )
