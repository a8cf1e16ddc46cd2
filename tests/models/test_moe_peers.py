"""The layer beside transformers' blocks with equal weights, all of them drawn at random: outputs and gradients."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gemini_workshop.config import MoEConfig
from gemini_workshop.models.moe import MixtureOfExperts

D, F, E, A, SHARED = 10, 11, 12, 4, 2
PLAIN = MoEConfig(num_experts=E, experts_per_token=A, expert_dim=F)
SIZES = {"hidden_size": D, "num_experts_per_tok": A, "experts_implementation": "eager"}
GROUPS = {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 1.7}


def mixtral():
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock as Block

    return Block(MixtralConfig(num_local_experts=E, intermediate_size=F, **SIZES)), PLAIN


def qwen3(renormalize: bool):
    from transformers import Qwen3MoeConfig
    from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock as Block

    config = Qwen3MoeConfig(num_experts=E, moe_intermediate_size=F, norm_topk_prob=renormalize, **SIZES)
    return Block(config), replace(PLAIN, renormalize=renormalize)


def olmoe():
    from transformers import OlmoeConfig
    from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock as Block

    config = OlmoeConfig(num_experts=E, intermediate_size=F, norm_topk_prob=False, **SIZES)
    return Block(config), replace(PLAIN, renormalize=False)


def deepseek_v2(method: str):
    from transformers import DeepseekV2Config
    from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Moe as Block

    sizes = {"n_routed_experts": E, "n_shared_experts": SHARED, "moe_intermediate_size": F}
    block = Block(DeepseekV2Config(topk_method=method, num_attention_heads=2, **sizes, **GROUPS, **SIZES))
    groups = {} if method == "greedy" else {"num_groups": 4, "kept_groups": 2}
    return block, replace(PLAIN, renormalize=False, routed_scale=1.7, shared_experts=SHARED, **groups)


def deepseek_v3():
    from transformers import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE as Block

    sizes = {"n_routed_experts": E, "n_shared_experts": SHARED, "moe_intermediate_size": F}
    config = replace(
        PLAIN,
        scoring="sigmoid",
        selection_bias=True,
        num_groups=4,
        kept_groups=2,
        group_score="top2_sum",
        routed_scale=1.7,
        shared_experts=SHARED,
    )
    return Block(DeepseekV3Config(norm_topk_prob=True, **sizes, **GROUPS, **SIZES)), config


def gpt_oss():
    from transformers import GptOssConfig
    from transformers.models.gpt_oss.modeling_gpt_oss import GptOssMLP as Block

    block = Block(GptOssConfig(num_local_experts=E, intermediate_size=F, **SIZES))
    return block, replace(PLAIN, scoring="softmax_of_chosen", router_bias=True, expert_bias=True)


class Gemma4(nn.Module):
    """What a Gemma 4 layer does with its router and experts."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import Gemma4TextConfig
        from transformers.models.gemma4.modeling_gemma4 import Gemma4TextExperts, Gemma4TextRouter

        config = Gemma4TextConfig(
            hidden_size=D, num_experts=E, top_k_experts=A, moe_intermediate_size=F, experts_implementation="eager"
        )
        self.router, self.experts = Gemma4TextRouter(config), Gemma4TextExperts(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(0, -2)
        _, weights, experts = self.router(flat)
        return self.experts(flat, experts, weights).view(x.shape)


def gemma4():
    return Gemma4(), replace(PLAIN, router_norm=True, per_expert_scale=True)


# Our name of each weight, by the end of theirs.
RENAMED = {
    "gate.weight": "router.weight",
    "router.weight": "router.weight",
    "router.proj.weight": "router.weight",
    "router.bias": "router.bias",
    "router.scale": "router.scale",
    "router.per_expert_scale": "router.expert_scale",
    "gate.e_score_correction_bias": "router.selection_bias",
    "experts.gate_up_proj": "experts.gate_up",
    "experts.down_proj": "experts.down",
    "experts.gate_up_proj_bias": "experts.gate_up_bias",
    "experts.down_proj_bias": "experts.down_bias",
    "shared_experts.gate_proj.weight": "shared.gate.weight",
    "shared_experts.up_proj.weight": "shared.up.weight",
    "shared_experts.down_proj.weight": "shared.down.weight",
}


def translated(weights: dict[str, torch.Tensor], is_gpt_oss: bool) -> dict[str, torch.Tensor]:
    """Their weights, or gradients, by our names and in our order."""
    ours = {RENAMED[name]: weight for name, weight in weights.items()}
    if is_gpt_oss:  # stored (in, out), and gate and up in turns
        ours["experts.down"] = ours["experts.down"].mT
        for name in ("experts.gate_up", "experts.gate_up_bias"):
            gate, up = ours[name][..., ::2], ours[name][..., 1::2]
            ours[name] = torch.cat([gate, up], dim=-1)
        ours["experts.gate_up"] = ours["experts.gate_up"].mT
    return ours


def first(output):
    return output[0] if isinstance(output, tuple) else output


PEERS = {
    "mixtral": mixtral,
    "qwen3, renormalized": lambda: qwen3(True),
    "qwen3, not renormalized": lambda: qwen3(False),
    "olmoe": olmoe,
    "deepseek-v2, greedy": lambda: deepseek_v2("greedy"),
    "deepseek-v2, grouped": lambda: deepseek_v2("group_limited_greedy"),
    "deepseek-v3": deepseek_v3,
    "gpt-oss": gpt_oss,
    "gemma 4": gemma4,
}


@pytest.mark.parametrize("peer", PEERS)
def test_outputs_and_gradients_equal_those_of_transformers(peer, generator):
    theirs, config = PEERS[peer]()
    with torch.no_grad():
        for tensor in (*theirs.parameters(), *theirs.buffers()):
            scale = 1.2 * (tensor.shape[-1] ** -0.5 if tensor.ndim > 1 else 1.0)
            tensor.normal_(generator=generator).mul_(scale)
    ours = MixtureOfExperts(D, config, "gelu_tanh" if peer == "gemma 4" else "silu")
    ours.load_state_dict(translated(theirs.state_dict(), peer == "gpt-oss"))
    x = torch.randn(5, 7, D, generator=generator)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()

    output, expected = ours(x_ours), first(theirs(x_theirs))
    assert expected.std() > 0.1
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)

    direction = torch.randn(x.shape, generator=generator)
    output.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(x_ours.grad, x_theirs.grad, rtol=1e-4, atol=1e-5)
    wanted = translated({name: weight.grad for name, weight in theirs.named_parameters()}, peer == "gpt-oss")
    found = {name: weight.grad for name, weight in ours.named_parameters()}
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
