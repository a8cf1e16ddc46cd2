"""The smallest model that reads images and audio, and its tokenizer."""

import dataclasses

import torch

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.encoding import AUDIO, IMAGE, MARKS
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.models.transformer import Transformer
from tests.tiny import MODEL

TOKENIZER = BPETokenizer.train(["which digit is it?"], 257 + len(MARKS), special_tokens=MARKS)
MEDIA = MediaConfig(
    image_token_id=TOKENIZER.special_tokens[IMAGE],
    audio_token_id=TOKENIZER.special_tokens[AUDIO],
    patch_pixels=4,
    max_rows=3,
)
CONFIG = dataclasses.replace(MODEL, vocab_size=TOKENIZER.vocab_size, context_tokens=96, media=MEDIA)


def tiny_model(config=CONFIG):
    """Random weights, far enough from zero for media to change what is said."""
    model = Transformer(config, torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5, generator=torch.Generator().manual_seed(weight.numel()))
    return model
