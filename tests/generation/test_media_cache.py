"""What is generated after media, token for token, with caches as without any."""

import dataclasses

import pytest
import torch

from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.generation.decode import generate
from gemini_workshop.models.transformer import Transformer
from tests.generation.media import MEDIA, TOKENIZER

NUMBER = 40


def small(image_attention):
    """mini-gemini, narrow: local and global layers, shared values, experts; its window is shorter than the text."""
    config = load_config("mini-gemini").model
    config = dataclasses.replace(
        config,
        vocab_size=TOKENIZER.vocab_size,
        context_tokens=128,
        embed_dim=32,
        head_dim=8,
        global_head_dim=16,
        ffn_dim=48,
        window_tokens=16,
        tied_head=False,  # a tied one at random repeats the last token
        moe=dataclasses.replace(config.moe, expert_dim=16),
        media=dataclasses.replace(MEDIA, image_attention=image_attention),
    )
    model = Transformer(config, torch.Generator().manual_seed(0)).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.4 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return model


def question(seed):
    generator = torch.Generator().manual_seed(seed)
    image, sound = torch.rand(3, 12, 8, generator=generator), torch.rand(1600, generator=generator) - 0.5
    parts = [ImagePart(image=image), TextPart(text="and"), AudioPart(samples=sound, sample_rate=8000)]
    return MediaEncoder(TOKENIZER, MEDIA).question([*parts, ImagePart(image=image.flip(1)), TextPart(text="?")])


@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
def test_greedy_tokens_after_media_are_those_of_reading_everything_again_each_time(image_attention):
    model, asked = small(image_attention), question(0)
    media = asked.media._replace(patches=asked.media.patches.double(), frames=asked.media.frames.double())
    config = GenerationConfig(max_new_tokens=NUMBER, temperature=0.0)
    written = list(generate(model, asked.ids, config, media=media))
    ids = list(asked.ids)
    with torch.inference_mode():
        for _ in range(NUMBER):
            ids.append(int(model(torch.tensor([ids]), media=media)[0, -1].argmax()))
    assert written == ids[len(asked.ids) :]
    assert len(set(written)) > 3
    other = question(1).media
    other = other._replace(patches=other.patches.double(), frames=other.frames.double())
    assert list(generate(model, asked.ids, config, media=other)) != written  # the media decide what is said
