"""Exercise 13.2, ``sparse_parameters``: its cases, and what learners get wrong."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from gemini_workshop.config import LayerConfig, ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.accounting import num_active_parameters, num_parameters
from gemini_workshop.models.plain_sparse import sparse_parameters

Count = Callable[[ModelConfig, LayerConfig], int]


def _config(generator: torch.Generator, num_layers: int, **changes: Any) -> ModelConfig:
    width, kv = (int(torch.randint(2, 5, (1,), generator=generator)) for _ in range(2))
    config = ModelConfig(
        vocab_size=int(torch.randint(40, 90, (1,), generator=generator)),
        context_tokens=64,
        embed_dim=5 * width,
        num_layers=num_layers,
        num_heads=2 * kv,
        num_kv_heads=kv,
        head_dim=6,
        ffn_dim=17,
        activation="gelu_tanh",
        rope=RotaryConfig(base=10000.0),
        norm_eps=1e-6,
        norm_placement="sandwich",
        qk_norm="head",
        tied_head=True,
        layer_pattern=("local", "local", "global"),
        window_tokens=8,
        moe=MoEConfig(num_experts=7, experts_per_token=2, expert_dim=9, shared_experts=1, dense_layers=(0,)),
    )
    return replace(config, **changes)


def _cases(generator: torch.Generator) -> list[Arguments]:
    mixed = MoEConfig(num_experts=6, experts_per_token=3, expert_dim=4, shared_experts=2, dense_layers=(0, 3))
    all_sparse = MoEConfig(num_experts=5, experts_per_token=1, expert_dim=8, shared_experts=0)
    special = {"global_head_dim": 12, "global_kv_heads": 1, "global_values_are_keys": True}
    return [
        (_config(generator, 1, moe=None),),
        (_config(generator, 3, moe=None),),
        (_config(generator, 2, moe=all_sparse),),
        (_config(generator, 4),),
        (_config(generator, 3, **special),),
        (_config(generator, 6, moe=mixed, **special),),
    ]


@cache
def _oracle(config: ModelConfig) -> tuple[int, int]:
    """The model itself, without memory: what its parameters add up to."""
    return num_parameters(config), num_active_parameters(config)


def _explain(function: Function, case: Arguments) -> str | None:
    got, (total, active) = function(*case), _oracle(*case)
    if not (isinstance(got, tuple | list) and len(got) == 2):
        return "Two numbers are needed: all parameters, and those that one token meets."
    c = case[0]
    experts = "no experts" if c.moe is None else f"{c.moe.num_experts} experts of width {c.moe.expert_dim}"
    word, mine, needed = ("", got[0], total) if got[0] != total else (" that one token meets", got[1], active)
    return (
        f"{c.num_layers} layers, embed_dim={c.embed_dim}, vocab_size={c.vocab_size}, {experts}: the parameters{word} "
        f"came out as {mine:,}; {needed:,} is needed."
    )


def _table(config: ModelConfig) -> int:
    return config.vocab_size * config.embed_dim


def _query(config: ModelConfig, layer: LayerConfig) -> int:
    return config.embed_dim * config.num_heads * layer.head_dim


def _keys(config: ModelConfig, layer: LayerConfig) -> int:
    return config.embed_dim * layer.num_kv_heads * layer.head_dim * (1 if layer.values_are_keys else 2)


def _router(config: ModelConfig, layer: LayerConfig) -> int:
    return config.moe.num_experts * config.embed_dim if config.moe and layer.has_experts else 0


def _dense(config: ModelConfig, layer: LayerConfig) -> int:
    return 0 if layer.has_experts else 3 * config.embed_dim * layer.ffn_dim


def _expert(config: ModelConfig) -> int:
    return 3 * config.embed_dim * config.moe.expert_dim if config.moe else 0


def _num_idle(moe: MoEConfig) -> int:
    return moe.num_experts - moe.experts_per_token


def _count(
    config: ModelConfig,
    *,
    layers: Callable[[ModelConfig], tuple[LayerConfig, ...]] = lambda config: config.layers,
    table: Callable[[ModelConfig], int] = _table,
    last_norm: Callable[[ModelConfig], int] = lambda config: config.embed_dim,
    query: Count = _query,
    output: Count = _query,
    keys: Count = _keys,
    norms: Count = lambda config, layer: 4 * config.embed_dim,
    head_norms: Count = lambda config, layer: 2 * layer.head_dim,
    router: Count = _router,
    dense: Count = _dense,
    expert: Callable[[ModelConfig], int] = _expert,
    num_experts: Callable[[MoEConfig], int] = lambda moe: moe.num_experts + moe.shared_experts,
    num_idle: Callable[[MoEConfig], int] = _num_idle,
    result: Callable[[int, int], Any] = lambda total, idle: (total, total - idle),
) -> Any:
    """Right but for the steps: one for each group of matrices."""
    total, idle = table(config) + last_norm(config), 0
    for layer in layers(config):
        for part in (query, output, keys, norms, head_norms, router, dense):
            total += part(config, layer)
        if config.moe is not None and layer.has_experts:
            total += num_experts(config.moe) * expert(config)
            idle += num_idle(config.moe) * expert(config)
    return result(total, idle)


SPARSE_PARAMETERS = Exercise(
    id="13.2",
    minutes=15,
    difficulty=3,
    importance=4,
    reference=sparse_parameters,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(gradients=False),
    misconceptions={
        "all experts are met": Say(
            "Every token meets all experts here. It meets the ones that it is sent to; the others are idle."
        ).to(_count, num_idle=lambda moe: 0),
        "chosen experts idle": Say(
            "The experts that a token is sent to are taken for the idle ones. Idle are all others."
        ).to(_count, num_idle=lambda moe: moe.experts_per_token),
        "shared expert idle": Say(
            "The shared expert counts as idle. No router chooses it, and every token meets it."
        ).to(_count, num_idle=lambda moe: moe.num_experts + moe.shared_experts - moe.experts_per_token),
        "shared expert forgotten": Say("The shared expert is not counted. It is one more expert of the same width.").to(
            _count, num_experts=lambda moe: moe.num_experts
        ),
        "router forgotten": Say(
            "The routers are not counted. Each has a row of embed_dim numbers for every expert that it can choose."
        ).to(_count, router=lambda config, layer: 0),
        "router scores the shared expert": Say(
            "The router has a row for the shared expert. Nobody chooses that one: only the others have a row."
        ).to(
            _count,
            router=lambda config, layer: (
                (config.moe.num_experts + config.moe.shared_experts) * config.embed_dim if layer.has_experts else 0
            ),
        ),
        "experts beside the dense layer": Say(
            "A layer with experts has a dense feed-forward, too. The experts stand in its place: `layer.has_experts` "
            "says which of the two there is."
        ).to(_count, dense=lambda config, layer: 3 * config.embed_dim * layer.ffn_dim),
        "two matrices in a feed-forward": Say(
            "A dense feed-forward has two matrices here. A gated one has three: gate, up and down."
        ).to(_count, dense=lambda config, layer: _dense(config, layer) // 3 * 2),
        "two matrices in an expert": Say(
            "An expert has two matrices here. It is a small gated feed-forward: gate, up and down."
        ).to(_count, expert=lambda config: _expert(config) // 3 * 2),
        "two matrices everywhere": Say(
            "Feed-forwards have two matrices here, dense ones and experts. Gated ones have three: gate, up and down."
        ).to(
            _count,
            dense=lambda config, layer: _dense(config, layer) // 3 * 2,
            expert=lambda config: _expert(config) // 3 * 2,
        ),
        "experts as wide as dense layers": Say(
            "An expert is as wide as the dense feed-forward. Its own width is `config.moe.expert_dim`."
        ).to(_count, expert=lambda config: 3 * config.embed_dim * config.ffn_dim if config.moe else 0),
        "head counted again": Say(
            "The table of the vocabulary is counted twice. The head is tied: it is the embedding itself."
        ).to(_count, table=lambda config: 2 * _table(config)),
        "embedding forgotten": Say("The embedding is not counted: a row of embed_dim numbers for each token.").to(
            _count, table=lambda config: 0
        ),
        "last norm forgotten": Say("The norm after the last block is not counted: embed_dim numbers.").to(
            _count, last_norm=lambda config: 0
        ),
        "two norms per block": Say(
            "A block has two norms here. With sandwich norms each sublayer has one before and one after it: four."
        ).to(_count, norms=lambda config, layer: 2 * config.embed_dim),
        "norms of queries and keys forgotten": Say(
            "The norms of queries and keys are not counted: each has a scale of head_dim numbers, shared by all heads."
        ).to(_count, head_norms=lambda config, layer: 0),
        "norms for each head": Say(
            "The norms of queries and keys are counted for each head. All heads share one scale of head_dim numbers."
        ).to(_count, head_norms=lambda config, layer: (config.num_heads + layer.num_kv_heads) * layer.head_dim),
        "no norms at all": Say("The norms are not counted: four in a block, two in its attention, one at the end.").to(
            _count,
            norms=lambda config, layer: 0,
            head_norms=lambda config, layer: 0,
            last_norm=lambda config: 0,
        ),
        "output forgotten": Say("The matrix that leads from the heads back to the stream is not counted.").to(
            _count, output=lambda config, layer: 0
        ),
        "output of width embed_dim": Say(
            "The output matrix is counted as embed_dim by embed_dim. It reads all heads side by side: num_heads * "
            "head_dim numbers, which need not be embed_dim."
        ).to(_count, output=lambda config, layer: config.embed_dim**2),
        "as many key heads as query heads": Say(
            "Keys and values are as wide as queries. They have heads of their own: `layer.num_kv_heads`."
        ).to(
            _count,
            keys=lambda config, layer: (1 if layer.values_are_keys else 2) * _query(config, layer),
        ),
        "values always counted": Say(
            "In some global layers the values *are* the keys: no matrix for them. `layer.values_are_keys` says it."
        ).to(_count, keys=lambda config, layer: 2 * config.embed_dim * layer.num_kv_heads * layer.head_dim),
        "first layer for all": Say(
            "All layers are counted as the first one. They differ: local or global, dense or with experts."
        ).to(_count, layers=lambda config: config.layers[:1] * config.num_layers),
        "idle instead of met": Say("The second number counts what a token does *not* meet. Take it from the total.").to(
            _count, result=lambda total, idle: (total, idle)
        ),
        "the wrong way round": Say(
            "The two numbers are in the wrong order: first all, then those that a token meets."
        ).to(_count, result=lambda total, idle: (total - idle, total)),
    },
    hints=(
        "Count layer by layer: `for layer in config.layers`. What matrices does attention have, and how wide are the "
        "heads of *this* layer? What is in the place of a dense feed-forward?",
        "Queries and output: embed_dim * num_heads * head_dim each. Keys, and values if they are not the keys: "
        "embed_dim * num_kv_heads * head_dim. A gated feed-forward: three matrices. A router: a row for each expert.",
        "Per layer `2*D*H*C + D*K*C*(1 or 2) + 4*D + 2*C`, then `3*D*ffn_dim`, or for experts `(experts + "
        "shared)*3*D*expert_dim + experts*D`. At last the table and one norm. Idle per sparse layer: `(experts - "
        "experts_per_token)*3*D*expert_dim`.",
    ),
)
