"""Tiny random models of published families: transformers' and ours, with the same weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gemini_workshop.models.families import load_huggingface
from gemini_workshop.models.transformer import Transformer
from tests.models.families import published

FAMILIES = ["gpt2", "llama", "gemma3", "qwen3_moe", "deepseek_v2"]
SHARPNESS = 2.0  # of the head: random models are too undecided to show a preference


@dataclass
class Pair:
    theirs: nn.Module
    ours: Transformer
    prompt: list[int]

    def generate(self, **settings: object) -> object:
        """What transformers' own generation returns."""
        token_ids = torch.tensor([self.prompt])
        with published.in_float64(), torch.no_grad():
            return self.theirs.generate(
                token_ids,
                attention_mask=torch.ones_like(token_ids),
                pad_token_id=0,
                return_dict_in_generate=True,
                **settings,
            )

    def new_tokens(self, sequence: Tensor, stop_ids: set[int]) -> list[int]:
        """Of a row that transformers returned, the new tokens without stop ids and padding."""
        new = sequence[len(self.prompt) :].tolist()
        ends = [place for place, token in enumerate(new) if token in stop_ids]
        return new[: min(ends, default=len(new))]


def make_pair(family: str, folder: Path) -> Pair:
    """Both in float64."""
    with published.in_float64():
        theirs = published.make(published.draw(family, 1), seed=1)
        with torch.no_grad():
            theirs.get_output_embeddings().weight.mul_(SHARPNESS)
        theirs.generation_config.eos_token_id = None
        theirs.save_pretrained(folder)
        ours = load_huggingface(folder)
    prompt = torch.randint(1, published.V, (9,), generator=torch.Generator().manual_seed(2)).tolist()
    return Pair(theirs, ours, prompt)
