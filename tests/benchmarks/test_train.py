import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from gemini_workshop.benchmarks.nanogpt import NanoGPT
from gemini_workshop.benchmarks.train import QUICK, gpt2_config
from gemini_workshop.cli.main import app
from gemini_workshop.models.transformer import Transformer

# Where each of our weights lies in the peer. Its queries, keys and values are one matrix.
SAME = ("embedding", "position_embedding", "norm")
PARTS = {"attention_norm": "attention_norm", "attention.output": "output", "feed_forward_norm": "feed_forward_norm"} | {
    "feed_forward.up": "up",
    "feed_forward.down": "down",
}


def peer_like(ours: Transformer) -> NanoGPT:
    size = QUICK
    peer = NanoGPT(
        vocab_size=size.vocab_size,
        context_tokens=size.context_tokens,
        embed_dim=size.embed_dim,
        num_layers=size.num_layers,
        num_heads=size.num_heads,
    ).double()
    weights = {f"{name}.weight": ours.get_submodule(name).weight for name in SAME}
    for i, block in enumerate(ours.blocks):
        weights |= {f"blocks.{i}.{theirs}.weight": block.get_submodule(name).weight for name, theirs in PARTS.items()}
        heads = [block.attention.query, block.attention.key, block.attention.value]
        weights[f"blocks.{i}.query_key_value.weight"] = torch.cat([layer.weight for layer in heads])
    peer.load_state_dict(weights)
    return peer


def test_the_peer_computes_what_our_gpt2_computes():
    ours = Transformer(gpt2_config(QUICK), torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for weight in ours.parameters():
            if weight.ndim >= 2:
                weight.normal_(std=0.5)
    token_ids = torch.randint(QUICK.vocab_size, (3, 8))
    torch.testing.assert_close(ours(token_ids), peer_like(ours)(token_ids))
    assert F.cross_entropy(ours(token_ids).flatten(0, 1), token_ids.flatten()) > 1


def test_the_quick_benchmark_prints_a_line_for_each_precision():
    result = CliRunner().invoke(app, ["benchmark", "train", "--quick"])
    assert result.exit_code == 0, result.output
    first, second = [line.split("  ")[0] for line in result.stdout.strip().splitlines()[2:]]
    assert first == "fp32, eager"
    assert second in ("fp32, eager", "bf16, eager")
