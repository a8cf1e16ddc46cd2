"""The smallest model in which no two axes have the same size, so that a swapped axis cannot pass unseen."""

from gemini_workshop.config import ModelConfig, RotaryConfig

MODEL = ModelConfig(
    vocab_size=13,
    context_tokens=7,
    embed_dim=10,
    num_layers=2,
    num_heads=6,
    num_kv_heads=2,
    head_dim=4,
    ffn_dim=11,
    activation="gelu_tanh",
    rope=RotaryConfig(base=100.0),
    norm_eps=1e-6,
    qk_norm="head",
    tied_head=True,
)
