"""Which parameters an optimizer treats alike. The layers tell, not the names of their parameters.

    hidden matrices   between hidden vectors: those of Muon and GaLore
    other matrices    embeddings, the head, routers: with weight decay
    the rest          norms and biases: without

Decay pulls a weight towards zero. For a matrix that is a useful prior; the scale of a norm starts at one, and pulling
it down would only make the layer's output smaller.
"""

from typing import Any

from torch import Tensor, nn

from gemini_workshop.models.transformer import Transformer, hidden_matrices


def parameter_groups(model: Transformer, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices (embeddings among them) with decay, norms and biases without; each parameter in exactly one group."""
    biases = {bias for module in model.modules() for bias in _stacked_biases(module)}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    decayed = [weight for weight in trained if weight.ndim >= 2 and weight not in biases]
    others = [weight for weight in trained if weight.ndim < 2 or weight in biases]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _stacked_biases(module: nn.Module) -> list[Tensor]:
    """In a layer whose matrices are stacked, one for each expert, what has two axes is a stack of biases."""
    own = list(module.parameters(recurse=False))
    return [weight for weight in own if weight.ndim == 2] if any(weight.ndim == 3 for weight in own) else []


def hidden_and_other_groups(model: Transformer, weight_decay: float, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of :func:`parameter_groups`, after one of the hidden matrices alone, which has further options."""
    are_hidden = set(hidden_matrices(model))
    matrices, others = parameter_groups(model, weight_decay)
    hidden = [weight for weight in matrices["params"] if weight in are_hidden]
    matrices["params"] = [weight for weight in matrices["params"] if weight not in are_hidden]
    return [{"params": hidden, "weight_decay": weight_decay, **options}, matrices, others]
