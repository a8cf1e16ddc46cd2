"""A folder with all that transformers asks for: weights, configuration, tokenizer, generation settings, chat, card."""

from pathlib import Path

import torch

from gemini_workshop.checkpoint import Checkpoint, restore_weights
from gemini_workshop.data.tokenizers.exchange import special_ids, write_huggingface_tokenizer
from gemini_workshop.exchange.card import model_card
from gemini_workshop.files import whole_folder
from gemini_workshop.models.families import save_huggingface
from gemini_workshop.models.families.files import write_json
from gemini_workshop.models.families.weights import check_empty
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import without_halves


def export_huggingface(
    checkpoint: Checkpoint, folder: Path, dtype: torch.dtype = torch.float32, family: str | None = None
) -> str:
    """Write the folder; a model there gets equal text for equal prompts, the end-of-text token first.

    Args:
        folder: new or empty.
        family: model_type to write it as; the first that can express the model, if left out.

    Returns:
        The family.

    Raises:
        ConfigError: the family cannot express the model.
        CheckpointError: the folder is not empty.
        DataError: the tokenizer cannot be written as tokenizer.json.
    """
    model = Transformer(checkpoint.config.model)
    restore_weights(model, checkpoint)
    ids = special_ids(checkpoint.tokenizer)
    check_empty(folder)
    card = model_card(checkpoint, without_halves(folder.name), model.num_parameters())
    with whole_folder(folder) as writing:
        family = save_huggingface(model.to(dtype), writing, family, extra_values=ids)
        write_huggingface_tokenizer(checkpoint.tokenizer, writing, checkpoint.config.model.context_tokens)
        write_json(writing / "generation_config.json", ids | {"do_sample": False})  # the same text everywhere
        (writing / "README.md").write_text(card, "utf-8", newline="\n")
    return family
