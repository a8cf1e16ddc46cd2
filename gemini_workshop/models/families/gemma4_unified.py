"""Gemma 4 12B, "unified": no encoders. Patches of images and frames of raw audio are projected into the stream.

Patches of an image see each other in local layers alone, as far as the window reaches.

Source: the configuration, modeling and image processing files of Gemma 4 Unified in transformers 5.24.0.
"""

from dataclasses import replace

import torch

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError
from gemini_workshop.models.families.conversions import need_values
from gemini_workshop.models.families.engine import Conversion, Values
from gemini_workshop.models.families.gemma import GEMMA2_WEIGHTS, UNUSED
from gemini_workshop.models.families.gemma4 import GEMMA4, LAYER_SCALE, OPTIONAL_EXPERTS, PER_LAYER_EMBEDDING
from gemini_workshop.models.families.names import QK_NORMS, Layout, WeightName, renamed, weight_and_bias

# --- config.json ---

VISION_DEFAULTS: Values = {"patch_size": 16, "pooling_kernel_size": 3, "mm_embed_dim": 3840, "mm_posemb_size": 1120}
AUDIO_DEFAULTS: Values = {"audio_embed_dim": 640}


def _read_images(values: Values) -> Values:
    if values["vision_config"] is None:
        raise ConfigError(
            "config.json has vision_config=None; this decoder takes images, with or without audio, or text alone. "
            "Load the decoder alone: load_huggingface(folder, text_only=True)."
        )
    vision = VISION_DEFAULTS | values["vision_config"]
    need_values("vision_config", {"rms_norm_eps": 1e-6} | vision, {"rms_norm_eps": values["rms_norm_eps"]})
    sees_ahead = values.get("use_bidirectional_attention", "vision") == "vision"
    return {
        "media.patch_pixels": vision["patch_size"] * vision["pooling_kernel_size"],
        "media.patch_dim": vision["mm_embed_dim"],
        "media.max_rows": vision["mm_posemb_size"],
        "media.image_attention": "local" if sees_ahead else "causal",
    }


def _write_images(config: ModelConfig) -> Values:
    media = config.media
    assert media is not None  # its keys are asked for first
    merged = 3 if media.patch_pixels % 3 == 0 else 1  # the order of the pixels in a patch does not depend on it
    vision = {
        "model_type": "gemma4_unified_vision",
        "patch_size": media.patch_pixels // merged,
        "pooling_kernel_size": merged,
        "mm_embed_dim": media.patch_dim,
        "output_proj_dims": media.patch_dim,
        "mm_posemb_size": media.max_rows,
        "rms_norm_eps": config.norm_eps,
    }
    sees_ahead = media.image_attention != "causal"
    return {"vision_config": vision, "use_bidirectional_attention": "vision" if sees_ahead else None}


def _read_audio(values: Values) -> Values:
    if values["audio_config"] is None:
        return {"media.audio_token_id": None}
    audio = AUDIO_DEFAULTS | values["audio_config"]
    need_values("audio_config", {"rms_norm_eps": 1e-6} | audio, {"rms_norm_eps": values["rms_norm_eps"]})
    return {"media.audio_token_id": values["audio_token_id"], "media.frame_dim": audio["audio_embed_dim"]}


def _write_audio(config: ModelConfig) -> Values:
    media = config.media
    assert media is not None
    audio = {
        "model_type": "gemma4_unified_audio",
        "audio_embed_dim": media.frame_dim,
        "rms_norm_eps": config.norm_eps,
    }
    has_audio = media.audio_token_id is not None
    return {"audio_config": audio if has_audio else None, "audio_token_id": media.audio_token_id}


# What transformers looks up in a place for media, before it puts a vector there; and no place for video.
IDS = Conversion(lambda _: {}, lambda _: {"pad_token_id": 0, "video_token_id": None})

# --- Weights ---

# One table of columns (x) and rows (y).
PLACES = Layout(lambda theirs: list(theirs[0].unbind(dim=1)), lambda ours: [torch.stack(ours, dim=1)])
IMAGE, AUDIO = "media_embedder.image", "media_embedder.audio"
PARTS = {"pixel_norm": "patch_ln1", "patch": "patch_dense", "patch_norm": "patch_ln2", "place_norm": "pos_norm"}


def _image_weights(theirs: str, projection: str) -> list[WeightName]:
    return [
        *renamed(weight_and_bias(PARTS, IMAGE, theirs)),
        WeightName((f"{IMAGE}.column.weight", f"{IMAGE}.row.weight"), (f"{theirs}.pos_embedding",), PLACES),
        *renamed({f"{IMAGE}.output.weight": f"{projection}.embedding_projection.weight"}),
    ]


# --- The families ---

GEMMA4_UNIFIED_TEXT = replace(
    GEMMA4,
    model_type="gemma4_unified_text",
    architecture="Gemma4UnifiedForCausalLM",
    sizes={},
    conversions=[each for each in GEMMA4.conversions if each not in (PER_LAYER_EMBEDDING, OPTIONAL_EXPERTS)],
    defaults=GEMMA4.defaults
    | {
        "vocab_size": 262_144,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 30,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 262_144,
        "sliding_window": 1024,
    },
    weights=GEMMA2_WEIGHTS + QK_NORMS + LAYER_SCALE,
    multimodal_type="gemma4_unified",
)
GEMMA4_UNIFIED = replace(
    GEMMA4_UNIFIED_TEXT,
    model_type="gemma4_unified",
    architecture="Gemma4UnifiedForConditionalGeneration",
    keys=GEMMA4_UNIFIED_TEXT.keys | {"media.image_token_id": "image_token_id"},
    conversions=[
        *GEMMA4_UNIFIED_TEXT.conversions,
        Conversion(_read_images, _write_images),
        Conversion(_read_audio, _write_audio),
        IDS,
    ],
    defaults=GEMMA4_UNIFIED_TEXT.defaults
    | {"vision_config": None, "audio_config": None, "image_token_id": 258_880, "audio_token_id": 258_881},
    # Released files have other names.
    weights=[
        *GEMMA4_UNIFIED_TEXT.weights,
        *_image_weights("embed_vision", "embed_vision.multimodal_embedder"),
        *_image_weights("vision_embedder", "embed_vision"),
        *renamed({f"{AUDIO}.output.weight": "embed_audio.embedding_projection.weight"}),
    ],
    unused=UNUSED[:1],
    multimodal_type=None,
    outer_keys=("vision_config", "audio_config", "image_token_id", "audio_token_id", "video_token_id"),
)
