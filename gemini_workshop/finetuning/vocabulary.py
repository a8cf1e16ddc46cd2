"""New special tokens for a trained model: the marks of a chat template, of thoughts, of calls of tools."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gemini_workshop.checkpoint import Checkpoint
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError

TABLES = ("embedding.weight", "head.weight", "per_layer_embedding.embedding.weight")


def with_tokens(checkpoint: Checkpoint, names: Sequence[str]) -> Checkpoint:
    """The model with a row for each new token. Tokens that it has already are left as they are.

    A new row is the mean of all others, so that the token begins as likely as an average one: with zeros it would
    have the logit 0, which in a trained model is far above that of most tokens.

    Source: Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models".

    Raises:
        DataError: the tokenizer is not one whose vocabulary can grow.
    """
    tokenizer = checkpoint.tokenizer
    new = [name for name in names if name not in tokenizer.special_tokens]
    if not new:
        return checkpoint
    if not isinstance(tokenizer, BPETokenizer):
        raise DataError(
            f"The vocabulary of a {type(tokenizer).__name__} cannot grow, and it lacks {', '.join(new)}. "
            "Choose a model with a byte-level tokenizer."
        )
    size = tokenizer.vocab_size
    grown = tokenizer.with_special_tokens(new)
    weights = {
        name: _with_rows(tensor, grown.vocab_size) if name in TABLES and len(tensor) == size else tensor
        for name, tensor in checkpoint.weights.items()
    }
    config = replace(checkpoint.config, model=replace(checkpoint.config.model, vocab_size=grown.vocab_size))
    return replace(checkpoint, tokenizer=grown, weights=weights, config=config)


def _with_rows(table: Tensor, num_rows: int) -> Tensor:
    mean = table.float().mean(dim=0, keepdim=True).to(table.dtype)
    return torch.cat([table, mean.expand(num_rows - len(table), -1)])
