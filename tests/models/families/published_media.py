"""Tiny multimodal models by transformers, and texts with images and audio as both sides take them."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from gemini_workshop.models.families import load_huggingface
from gemini_workshop.models.multimodal.patches import patch_places, patchify
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer
from tests.models.families import published

IMAGE, AUDIO = 97, 98
T = 34
SEEDS = [0, 1, 2]


@dataclass
class Example:
    """A batch of texts with media: for us, and for transformers."""

    token_ids: Tensor
    media: Media
    arguments: dict[str, Tensor]


@dataclass
class MediaPair:
    """Both in float64, with the same weights."""

    folder: Path
    theirs: nn.Module
    ours: Transformer
    example: Example

    @functools.cached_property
    def logits(self) -> Tensor:
        """What transformers says of the example."""
        return run_theirs(self.theirs, self.example)


def run_theirs(model: nn.Module, example: Example) -> Tensor:
    """Logits of transformers, with the masks that its ``generate`` would build."""
    arguments, ids = dict(example.arguments), example.token_ids
    with published.in_float64():
        if model.config.model_type == "gemma4_unified":  # a plain forward builds other masks than generate
            embeddings = torch.zeros(*ids.shape, 1)
            mask = (model.config, embeddings, torch.ones_like(ids), None, torch.arange(ids.shape[1])[None])
            arguments["attention_mask"] = model.create_masks_for_generate(
                *mask, mm_token_type_ids=arguments.pop("mm_token_type_ids")
            )
        return model(ids, use_cache=False, **arguments).logits


# --- Models ---


def gemma3(draw: published.Draw) -> Any:
    """Images of 4 x 4 patches in squares of 2 x 2, or of 6 x 6 patches in squares of 2 x 2 or 3 x 3."""
    rows, side = draw.choice([(4, 2), (6, 3), (6, 2)])
    heads = draw.choice([1, 3, 2])
    patch = draw.choice([2, 3])
    text = published.gemma3(draw)
    text.final_logit_softcapping = None  # with images transformers passes over it
    vision = {
        "hidden_size": heads * draw.choice([8, 5]),
        "intermediate_size": 22,
        "num_hidden_layers": draw.choice([1, 6]),  # fewer than in the decoder, and more
        "num_attention_heads": heads,
        "image_size": rows * patch,
        "patch_size": patch,
        "vision_use_head": draw.choice([True, False]),
    }
    whole = {"image_token_index": IMAGE, "mm_tokens_per_image": side**2}
    tied = text.tie_word_embeddings
    return transformers.Gemma3Config(text_config=text, vision_config=vision, **whole, tie_word_embeddings=tied)


def gemma4_unified(draw: published.Draw) -> Any:
    text = published.gemma4_unified(draw)
    text.pad_token_id = 0
    vision = {
        "patch_size": draw.choice([2, 1]),
        "pooling_kernel_size": draw.choice([2, 3]),
        "mm_embed_dim": 18,
        "output_proj_dims": 18,
        "mm_posemb_size": 7,
        "rms_norm_eps": text.rms_norm_eps,
    }
    audio = {"audio_embed_dim": 10, "rms_norm_eps": text.rms_norm_eps}
    return transformers.Gemma4UnifiedConfig(
        text_config=text,
        vision_config=vision,
        audio_config=audio,
        image_token_id=IMAGE,
        audio_token_id=AUDIO,
        tie_word_embeddings=text.tie_word_embeddings,
    )


# --- Texts ---


def texts(rows: list[list[tuple[int, int]]], generator: torch.Generator) -> Tensor:
    """Random words, and in each row as many places of an id as asked for, a few words before each run of them."""
    ids = torch.randint(IMAGE, (len(rows), T), generator=generator)
    for row, runs in zip(ids, rows, strict=True):
        start = 0
        for token_id, count in runs:
            start += int(torch.randint(1, 4, (1,), generator=generator))
            row[start : start + count] = token_id
            start += count
        assert start < T  # words come last
    return ids


def gemma3_example(config: Any, generator: torch.Generator) -> Example:
    """One image in the first row, two in the second."""
    vision, count = config.vision_config, config.mm_tokens_per_image
    size, rows = vision.image_size, vision.image_size // vision.patch_size
    ids = texts([[(IMAGE, count)], [(IMAGE, count)] * 2], generator)
    images = torch.randn(3, 3, size, size, generator=generator, dtype=torch.float64)
    patches = patchify(images, vision.patch_size)
    filler = torch.full_like(patches[0], 99.0)  # is never read
    places = patch_places(rows, rows).repeat(2, 1)
    media = Media(
        torch.stack([torch.cat([patches[0], filler]), torch.cat([patches[1], patches[2]])]),
        torch.stack([places, places]),
        torch.zeros(2, 0, 1, dtype=torch.float64),
    )
    return Example(ids, media, {"pixel_values": images, "token_type_ids": (ids == IMAGE).long()})


SHAPES = [(2, 3), (4, 1), (2, 4)]  # rows and columns of patches: one image in the first row, two in the second
FRAMES = [4, 3]


def gemma4_unified_example(config: Any, generator: torch.Generator) -> Example:
    """Images of three sizes, and a recording in each row, one of them before the images."""
    pixels, most = config.vision_config.model_patch_size, max(rows * columns for rows, columns in SHAPES)
    sizes = [rows * columns for rows, columns in SHAPES]
    ids = texts([[(IMAGE, sizes[0]), (AUDIO, 4)], [(AUDIO, 3), (IMAGE, sizes[1]), (IMAGE, sizes[2])]], generator)
    images = [
        torch.rand(3, rows * pixels, columns * pixels, generator=generator, dtype=torch.float64)
        for rows, columns in SHAPES
    ]
    patches = [patchify(image, pixels) for image in images]
    places = [patch_places(*shape) for shape in SHAPES]
    frames = torch.randn(2, 4, config.audio_config.audio_embed_dim, generator=generator, dtype=torch.float64)
    padded = torch.nn.utils.rnn.pad_sequence
    media = Media(
        padded([patches[0], torch.cat(patches[1:])], batch_first=True, padding_value=99.0),
        padded([places[0], torch.cat(places[1:])], batch_first=True),
        frames,
    )
    swapped = padded([place.flip(1) for place in places], batch_first=True, padding_value=-1)
    assert swapped.shape[1] == most
    arguments = {
        "pixel_values": padded(patches, batch_first=True),
        "image_position_ids": swapped,  # (x, y)
        "input_features": frames,
        "input_features_mask": torch.arange(4) < torch.tensor(FRAMES)[:, None],
        "mm_token_type_ids": (ids == IMAGE).long() + 3 * (ids == AUDIO),
    }
    return Example(ids, media, arguments)


MODELS = {"gemma3": (gemma3, gemma3_example), "gemma4_unified": (gemma4_unified, gemma4_unified_example)}


def make(name: str, number: int) -> tuple[nn.Module, Example]:
    """A model with random weights, and an example for it."""
    draw, example = MODELS[name]
    config = draw(published.Draw(name, number))
    with published.in_float64():
        theirs = transformers.AutoModelForImageTextToText.from_config(config, attn_implementation="eager")
        theirs = published.randomized(theirs, number)
    return theirs, example(config, torch.Generator().manual_seed(number))


def pair_of(name: str, number: int, folder: Path) -> MediaPair:
    """Theirs, and ours read from what they saved."""
    theirs, example = make(name, number)
    with published.in_float64():
        theirs.save_pretrained(folder)
        ours = load_huggingface(folder)
    return MediaPair(folder, theirs, ours, example)
