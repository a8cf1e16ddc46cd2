"""Where a learner's part has its place in the decoder: names in its modules, and modules in a model."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.attention import (
    AttentionRule,
    causal_attention,
    grouped_query_attention,
    scaled_dot_product_attention,
    softmax,
)
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import Rotation
from gemini_workshop.models.experts import ExpertWeights, sparse_moe_forward
from gemini_workshop.models.feedforward import ACTIVATIONS, GatedFeedForward, gate_halves, gate_units, gelu
from gemini_workshop.models.key_value_store import KeyValueStore
from gemini_workshop.models.masks import causal_mask, multimodal_mask, sliding_window_mask
from gemini_workshop.models.moe import Experts
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.plain_moe import moe_forward, top_k_routing
from gemini_workshop.models.plain_transformer import residual_step
from gemini_workshop.models.routing import Routing, route
from gemini_workshop.models.transformer_block import TransformerBlock

Part = Callable[..., Any]
Own = Mapping[Part, Part]
PACKAGE = "gemini_workshop.models."
ATTENTION = (softmax, scaled_dot_product_attention, grouped_query_attention)
MASKS = (causal_mask, sliding_window_mask, multimodal_mask)
ROUTING = {"scoring": "softmax", "renormalize": True, "num_groups": 1, "kept_groups": 1}


@contextmanager
def in_place(own: Own) -> Iterator[None]:
    """Inside, modules of the decoder that know a function of the package by its name find the learner's there."""
    functions = {reference: _adapted(reference, part) for reference, part in own.items()}
    if top_k_routing in own:
        functions[route] = partial(_route, own[top_k_routing])
    places = [(names, name, value) for names, name, value in _places() if value in functions]
    activations = dict(ACTIVATIONS)
    try:
        for names, name, reference in places:
            names[name] = functions[reference]
        if gelu in own:
            ACTIVATIONS["gelu"], ACTIVATIONS["gelu_tanh"] = own[gelu], partial(own[gelu], approximate="tanh")
        yield
    finally:
        ACTIVATIONS.update(activations)
        for names, name, reference in places:
            names[name] = reference


def put_modules(model: nn.Module, config: ModelConfig, own: Own) -> None:
    """Exchange the modules that are the learner's, or that call functions of theirs, for such as ``accelerate`` keeps.

    Parameters stay the same objects, under the same names.
    """
    for path, module in list(model.named_modules()):
        if type(module) is RMSNorm and RMSNorm in own:
            _replace(model, path, _owning(own[RMSNorm](module.weight.shape[0], module.eps), module))
        elif type(module) is GatedFeedForward and GatedFeedForward in own:
            sizes = module.gate.in_features, module.gate.out_features
            bias = module.gate.bias is not None
            _replace(model, path, _owning(own[GatedFeedForward](*sizes, config.activation, bias), module))
        elif type(module) is GatedFeedForward and own.keys() & {gelu, gate_units}:
            module.activation, module.__class__ = ACTIVATIONS[config.activation], OwnGatedFeedForward
        elif type(module) is Experts and own.keys() & {moe_forward, gelu, gate_units}:
            compute = partial(_compute, own[moe_forward]) if moe_forward in own else sparse_moe_forward
            module.__class__ = type("OwnExperts", (Experts,), {"compute": staticmethod(compute)})
        elif type(module) is TransformerBlock and residual_step in own:
            module.__class__ = type("OwnBlock", (OwnBlock,), {"step": staticmethod(own[residual_step])})
        elif isinstance(module, GroupedQueryAttention) and own.keys() & {*ATTENTION, *MASKS}:
            module.attend = own_attention


class OwnGatedFeedForward(GatedFeedForward):
    """The package's, whose gate is the learner's."""


class OwnBlock(TransformerBlock):
    """The package's, whose additions to the stream are the learner's."""

    step: Part

    def forward(
        self,
        x: Tensor,
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Tensor | None = None,
        image_ids: Tensor | None = None,
        layer_embedding: Tensor | None = None,
    ) -> Tensor:
        """As in the decoder: what each sublayer finds is added to the stream."""

        def attend(normed: Tensor) -> Tensor:
            return self.attention(normed, rotation, store, segment_ids, image_ids)

        norms = (self.attention_norm, self.attention_output_norm, self.attention_stream_norm)
        x = self.step(x, attend, *norms)
        norms = (self.feed_forward_norm, self.feed_forward_output_norm, self.feed_forward_stream_norm)
        x = self.step(x, self.feed_forward, *norms)
        if self.per_layer_gate is not None:
            x = x + self.per_layer_gate(x, layer_embedding)
        return x if self.scale is None else x * self.scale


def own_attention(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    """The definition, whose functions are the learner's."""
    return causal_attention(query, key, value, rule)


def _compute(own: Part, x: Tensor, routing: Routing, experts: ExpertWeights) -> Tensor:
    """The learner's ``moe_forward`` on stacked weights; a choice that found its expert full has weight 0."""
    bias = [None] * len(experts)
    gate_up_bias, down_bias = (bias if b is None else b for b in (experts.gate_up_bias, experts.down_bias))

    def layer(e: int) -> Callable[[Tensor], Tensor]:
        def expert(rows: Tensor) -> Tensor:
            hidden = gate_halves(F.linear(rows, experts.gate_up[e], gate_up_bias[e]), experts.activation)
            return F.linear(hidden, experts.down[e], down_bias[e])

        return expert

    weights = (routing.weights * routing.kept).to(x.dtype)
    return cast("Tensor", own(x, routing.experts, weights, [layer(e) for e in range(len(experts))]))


def _route(own: Part, logits: Tensor, experts_per_token: int, **settings: Any) -> Routing:
    """The learner's ``top_k_routing`` where the router asks for what it does; else the package's."""
    bias = settings.pop("selection_bias", None)
    if any(settings[name] != usual for name, usual in ROUTING.items() if name in settings):
        return route(logits, experts_per_token, selection_bias=bias, **settings)
    experts, weights = own(logits, experts_per_token) if bias is None else own(logits, experts_per_token, bias)
    kept = torch.ones_like(experts, dtype=torch.bool)
    return Routing(logits=logits, probabilities=logits.softmax(-1), experts=experts, weights=weights, kept=kept)


def _adapted(reference: Part, own: Part) -> Part:
    """The learner's function as the decoder calls it: masks are asked for on a device."""
    if reference not in MASKS:
        return own

    def mask(*args: Any, device: torch.device | None = None, **named: Any) -> Tensor:
        first = args[0] if isinstance(args[0], Tensor) else None
        here = [each.cpu() if isinstance(each, Tensor) else each for each in args]
        return cast("Tensor", own(*here, **named)).to(device if first is None else first.device)

    return mask


def _places() -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Every function that a loaded module of the decoder knows by a name."""
    for module in [module for name, module in sys.modules.items() if name.startswith(PACKAGE)]:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType):
                yield vars(module), name, value


def _owning(own: nn.Module, reference: nn.Module) -> nn.Module:
    """A module of the learner's that owns the parameters of another.

    Raises:
        ValueError: it names its parameters otherwise, so weights could not be copied between models that contain it.
    """
    given = dict(reference.named_parameters())
    if (names := {name for name, _ in own.named_parameters()}) != given.keys():
        raise ValueError(f"its parameters are {', '.join(sorted(names))}, not {', '.join(sorted(given))}")
    for path, parameter in given.items():
        owner, _, name = path.rpartition(".")
        setattr(own.get_submodule(owner), name, parameter)
    return own.train(reference.training)


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(model.get_submodule(owner), name, module)
