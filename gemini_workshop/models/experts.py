"""Many small feed-forward layers, of which each token passes a few.

    output = sum over the token's experts of weight * ((activation(x gate) * (x up)) down)

Shapes: N tokens of D numbers; E experts with F hidden units each; A experts chosen per token. ``routing`` holds for
each token the numbers of its experts, their weights, and whether they had room for it (``kept``), all N x A.

Source: Shazeer et al. 2017, arXiv:1701.06538, section 2; Fedus et al. 2021, arXiv:2101.03961, section 2.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.feedforward import gate_halves
from gemini_workshop.models.routing import Routing


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertWeights:
    """The weights of all experts of a layer, stacked, and the activation of their gates.

    Args:
        gate_up: for each expert, the F rows that make the gate, then the F rows that make what it gates: FF = 2 F.
        gate_up_bias: there if ``down_bias`` is.
    """

    gate_up: Float[Tensor, "E FF D"]
    down: Float[Tensor, "E D F"]
    activation: str
    gate_up_bias: Float[Tensor, "E FF"] | None = None
    down_bias: Float[Tensor, "E D"] | None = None

    def __len__(self) -> int:
        """How many experts there are."""
        return len(self.down)

    def to(self, dtype: torch.dtype) -> "ExpertWeights":
        """The same in another dtype."""
        gate_up_bias, down_bias = (b if b is None else b.to(dtype) for b in (self.gate_up_bias, self.down_bias))
        return ExpertWeights(
            gate_up=self.gate_up.to(dtype),
            down=self.down.to(dtype),
            activation=self.activation,
            gate_up_bias=gate_up_bias,
            down_bias=down_bias,
        )


def dense_moe_forward(x: Float[Tensor, "N D"], routing: Routing, experts: ExpertWeights) -> Float[Tensor, "N D"]:
    """The definition: all experts see all tokens, and those that a token did not choose have weight 0."""
    weights = torch.zeros_like(routing.probabilities).scatter(-1, routing.experts, routing.weights * routing.kept)
    projected = torch.einsum("nd,efd->nef", x, experts.gate_up)
    projected = projected if experts.gate_up_bias is None else projected + experts.gate_up_bias
    output = torch.einsum("nef,edf->ned", gate_halves(projected, experts.activation), experts.down)
    output = output if experts.down_bias is None else output + experts.down_bias
    return torch.einsum("ned,ne->nd", output, weights.to(x.dtype))


def sparse_moe_forward(x: Float[Tensor, "N D"], routing: Routing, experts: ExpertWeights) -> Float[Tensor, "N D"]:
    """:func:`dense_moe_forward` without what is multiplied by 0: each expert sees the tokens that chose it.

    A choice that was not kept, because the expert was full, adds nothing.
    """
    output = torch.zeros_like(x)
    for e in range(len(experts)):
        tokens, choices = torch.where((routing.experts == e) & routing.kept)
        bias = None if experts.gate_up_bias is None else experts.gate_up_bias[e]
        hidden = gate_halves(F.linear(x[tokens], experts.gate_up[e], bias), experts.activation)
        answers = F.linear(hidden, experts.down[e], None if experts.down_bias is None else experts.down_bias[e])
        weights = routing.weights[tokens, choices].unsqueeze(-1).to(x.dtype)
        output = output.index_add(0, tokens, answers * weights)
    return output
