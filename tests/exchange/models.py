"""Small models of random weights, one for each architecture of llama.cpp, and a tokenizer for them."""

from dataclasses import replace
from pathlib import Path

import torch

from gemini_workshop.checkpoint import Checkpoint, load_checkpoint, save_model
from gemini_workshop.config import ModelConfig, RotaryConfig, load_config
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.models.conftest import randomize

STORY = "the little dog ran to the old tree and the little cat sat there, 12345 times. It's naïve!\n\n"
TOKENIZER = BPETokenizer.train([STORY] * 3, 300, pattern="cl100k")
SIZES = {"vocab_size": TOKENIZER.vocab_size, "context_tokens": 64, "activation": "silu", "qk_norm": "none"}
LLAMA = replace(tiny.MODEL, **SIZES, head_dim=6, num_heads=6, embed_dim=12, rope=RotaryConfig(base=50.0))
WINDOWS = {"layer_pattern": ("local", "local", "global"), "window_tokens": 4, "num_layers": 4}
SANDWICH = replace(LLAMA, norm_placement="sandwich", qk_norm="head", local_rope=RotaryConfig(base=9.0), **WINDOWS)
GPT2 = {"positions": "learned", "rope": None, "norm": "layer", "gated": False, "num_kv_heads": 6, "head_dim": 2}
BIASES = dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True)
MODELS = {
    "gpt2": replace(LLAMA, **GPT2, **BIASES, activation="gelu_tanh"),
    "llama": replace(LLAMA, tied_head=False),
    "qwen3": replace(LLAMA, qk_norm="head"),
    "gemma3": replace(SANDWICH, norm="rms_offset", activation="gelu_tanh", embedding_scale=12**0.5),
    "plamo3": replace(SANDWICH, embedding_scale=2.5, layer_pattern=("local",)),
}


def saved(config: ModelConfig, folder: Path, tokenizer: BPETokenizer = TOKENIZER) -> Checkpoint:
    """A checkpoint of such a model, as a run leaves it."""
    model = Transformer(config)
    randomize(model, torch.Generator().manual_seed(0))
    save_model(folder, model.state_dict(), replace(load_config("tiny"), model=config), tokenizer)
    return load_checkpoint(folder)
