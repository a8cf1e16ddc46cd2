"""Gemma 3 with images: a vision transformer (SigLIP) and a projector into the stream of the decoder.

All patches of an image see each other in all layers, in local ones as far as the window reaches.

Source: Gemma Team 2025, arXiv:2503.19786, section 2; the configuration and modeling files of Gemma 3 and SigLIP in
transformers 5.24.0.
"""

import math
from dataclasses import replace

from einops import rearrange

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.families.conversions import need_values
from gemini_workshop.models.families.engine import Conversion, Values
from gemini_workshop.models.families.gemma import GEMMA3, UNUSED
from gemini_workshop.models.families.names import TRANSPOSED, Layout, WeightName, renamed, weight_and_bias
from gemini_workshop.models.multimodal.tower import TOWER_NORM_EPS

# --- config.json ---

TOWER_KEYS = {
    "num_layers": "num_hidden_layers",
    "embed_dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
}
NEEDED = {
    "model_type": "siglip_vision_model",
    "num_channels": 3,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": TOWER_NORM_EPS,
}
TOWER_DEFAULTS = {
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "image_size": 224,
    "patch_size": 16,
}


def _read_tower(values: Values) -> Values:
    vision = TOWER_DEFAULTS | (values["vision_config"] or {})
    need_values("vision_config", vision, NEEDED)
    rows = vision["image_size"] // vision["patch_size"]
    tower = {name: vision[key] for name, key in TOWER_KEYS.items()}
    tower["pool_patches"] = rows // math.isqrt(values["mm_tokens_per_image"])
    return {"media.patch_pixels": vision["patch_size"], "media.max_rows": rows, "media.tower": tower}


def _write_tower(config: ModelConfig) -> Values:
    media = config.media
    assert media is not None  # its keys are asked for first
    tower = {key: getattr(media.tower, name) for name, key in TOWER_KEYS.items()} if media.tower else {}
    images = {"patch_size": media.patch_pixels, "image_size": media.max_rows * media.patch_pixels}
    return {
        "vision_config": NEEDED | TOWER_DEFAULTS | tower | images | {"vision_use_head": False},
        "mm_tokens_per_image": (media.max_rows // (media.tower.pool_patches if media.tower else 1)) ** 2,
    }


# --- Weights ---

# The kernels of a convolution, the channels outermost, to one row per output, the channels innermost.
CONVOLUTION = Layout(
    lambda theirs: [rearrange(theirs[0], "e c y x -> e (y x c)")],
    lambda ours: [rearrange(ours[0], "e (y x c) -> e c y x", c=3, y=math.isqrt(ours[0].shape[1] // 3))],
)
LINEAR = {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj"}
LINEAR |= {"output": "self_attn.out_proj", "up": "mlp.fc1", "down": "mlp.fc2"}
NORMS = {"attention_norm": "layer_norm1", "feed_forward_norm": "layer_norm2"}
TOWER, PROJECTOR = "media_embedder.image", "multi_modal_projector"


def _tower_weights(theirs: str) -> list[WeightName]:
    embeddings = f"{theirs}.embeddings"
    return [
        *renamed({f"{TOWER}.patch.weight": f"{embeddings}.patch_embedding.weight"}, CONVOLUTION),
        *renamed(
            {
                f"{TOWER}.patch.bias": f"{embeddings}.patch_embedding.bias",
                f"{TOWER}.place.weight": f"{embeddings}.position_embedding.weight",
            }
            | weight_and_bias({"norm": "post_layernorm"}, TOWER, theirs)
            | weight_and_bias(LINEAR | NORMS, f"{TOWER}.blocks.{{i}}", f"{theirs}.encoder.layers.{{i}}")
        ),
    ]


PROJECTOR_WEIGHTS = [
    *renamed({f"{TOWER}.output_norm.weight": f"{PROJECTOR}.mm_soft_emb_norm.weight"}),
    *renamed({f"{TOWER}.output.weight": f"{PROJECTOR}.mm_input_projection_weight"}, TRANSPOSED),
]

# --- The family ---

GEMMA3_IMAGES = replace(
    GEMMA3,
    model_type="gemma3",
    architecture="Gemma3ForConditionalGeneration",
    sizes={},
    keys={name: key for name, key in GEMMA3.keys.items() if name != "final_softcap"}
    | {"media.image_token_id": "image_token_index"},
    conversions=[*GEMMA3.conversions, Conversion(_read_tower, _write_tower)],
    constants=GEMMA3.constants | {"media.image_attention": "all"},
    required={"final_logit_softcapping": None},  # with images transformers passes over it
    defaults=GEMMA3.defaults | {"vision_config": None, "mm_tokens_per_image": 256, "image_token_index": 262_144},
    aliases=GEMMA3.aliases | {"image_token_id": "image_token_index"},
    # Released files have one more name in their prefix.
    weights=[
        *GEMMA3.weights,
        *_tower_weights("vision_tower"),
        *_tower_weights("vision_tower.vision_model"),
        *PROJECTOR_WEIGHTS,
    ],
    unused=(*UNUSED[:1], r"^vision_tower\.(vision_model\.)?head\."),
    multimodal_type=None,
    outer_keys=("vision_config", "image_token_index", "mm_tokens_per_image"),
)
