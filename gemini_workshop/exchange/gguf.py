"""One file for llama.cpp and what is built on it (Ollama, LM Studio): settings, vocabulary and weights."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gemini_workshop.checkpoint import SHIPPED, Checkpoint
from gemini_workshop.config import ModelConfig
from gemini_workshop.data.tokenizers import ImportedTokenizer, Tokenizer, start_ids
from gemini_workshop.data.tokenizers.exchange import CHAT_TEMPLATE, huggingface_content, special_ids
from gemini_workshop.errors import CheckpointError, WorkshopError
from gemini_workshop.exchange.gguf_architectures import ARCHITECTURES, architecture_of, global_period, renamed
from gemini_workshop.exchange.gguf_vocabulary import GgufVocabulary, gguf_vocabulary
from gemini_workshop.files import room_for

FORMATS = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def export_gguf(checkpoint: Checkpoint, path: Path, dtype: torch.dtype = torch.float32) -> str:
    """Write the file.

    Args:
        path: a file that does not exist yet.
        dtype: number format of the matrices; vectors stay in float32, as llama.cpp needs them.

    Returns:
        The architecture of llama.cpp.

    Raises:
        ConfigError: no architecture of llama.cpp computes the model.
        DataError: llama.cpp has no such tokenizer.
        CheckpointError: the file exists already, or is a folder.
    """
    gguf = _library()
    config = checkpoint.config.model
    name = architecture_of(config)
    vocabulary = gguf_vocabulary(huggingface_content(checkpoint.tokenizer), config.vocab_size)
    if path.exists():
        raise CheckpointError(f"{path} exists already. Choose a new file, such as {path.stem}-2.gguf.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    writer = gguf.GGUFWriter(temporary, name)
    try:
        _write_settings(writer, config, name)
        writer.add_name(checkpoint.path.name)
        if checkpoint.path.parent == SHIPPED:
            writer.add_license("apache-2.0")
        _write_vocabulary(writer, vocabulary, checkpoint.tokenizer)
        weights = {name: tensor.float() for name, tensor in checkpoint.weights.items()}
        for their_name, tensor in ARCHITECTURES[name].rewrite(config, renamed(config, weights)).items():
            _write_tensor(writer, their_name, tensor, dtype)
        with room_for(path):
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
        temporary.replace(path)
    finally:
        with suppress(OSError, ValueError):  # a full disk, or closed already
            writer.close()
        temporary.unlink(missing_ok=True)
    return name


def _library() -> Any:
    try:
        import gguf
    except ImportError:
        raise WorkshopError(
            'The package gguf is not installed. Install it: pip install "gemini-from-scratch[gguf]".'
        ) from None
    return gguf


def _write_settings(writer: Any, config: ModelConfig, name: str) -> None:
    """The sizes, and what else the architecture reads."""
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context_tokens)
    writer.add_embedding_length(config.embed_dim)
    writer.add_feed_forward_length(config.ffn_dim)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    (writer.add_layer_norm_eps if config.norm == "layer" else writer.add_layer_norm_rms_eps)(config.norm_eps)
    if config.rope is not None:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope.base)
    if ARCHITECTURES[name].has_windows and (period := global_period(config)) != 1 and config.window_tokens:
        local = config.local_rope or config.rope
        assert local is not None  # the architecture is one that turns
        writer.add_sliding_window(config.window_tokens)
        writer.add_sliding_window_pattern(period)
        writer.add_rope_freq_base_swa(local.base)


def _write_vocabulary(writer: Any, vocabulary: GgufVocabulary, tokenizer: Tokenizer) -> None:
    ids = special_ids(tokenizer)
    writer.add_tokenizer_model("gpt2")  # so is byte-level BPE called there
    writer.add_tokenizer_pre(vocabulary.pattern)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(ids["bos_token_id"])
    writer.add_eos_token_id(ids["eos_token_id"])
    writer.add_pad_token_id(ids["pad_token_id"])
    writer.add_add_bos_token(bool(start_ids(tokenizer)))
    writer.add_add_eos_token(False)
    if not isinstance(tokenizer, ImportedTokenizer):
        writer.add_chat_template(CHAT_TEMPLATE)


def _write_tensor(writer: Any, name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    """Matrices in the number format asked for, vectors in float32."""
    gguf = _library()
    kept = dtype if tensor.ndim > 1 and name != "position_embd.weight" else torch.float32
    kind = gguf.GGMLQuantizationType[FORMATS[kept]]
    values: np.ndarray[Any, Any] = tensor.detach().cpu().contiguous().numpy()
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
