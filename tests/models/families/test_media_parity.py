"""Models that take images and audio: transformers' and ours agree on the last digits, and wrong details show."""

from dataclasses import replace
from functools import partial

import pytest
import torch
import transformers

from gemini_workshop.config import ModelConfig
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.families import load_huggingface, save_huggingface
from gemini_workshop.models.families.files import bare_name, text_only_name
from gemini_workshop.models.families.registry import find_family
from gemini_workshop.models.families.weights import weight_names
from gemini_workshop.models.multimodal import embedders, tower
from gemini_workshop.models.transformer import Transformer
from tests.models.families import published
from tests.models.families.published_media import (
    AUDIO,
    IMAGE,
    MODELS,
    SEEDS,
    Example,
    MediaPair,
    pair_of,
    run_theirs,
)

EXACT = {"rtol": 0, "atol": 1e-9}
EPS = {"gemma3": (tower, "TOWER_NORM_EPS"), "gemma4_unified": (embedders, "PATCH_NORM_EPS")}


@pytest.fixture(scope="module", params=[f"{name}-{seed}" for name in MODELS for seed in SEEDS])
def pair(request, tmp_path_factory) -> MediaPair:
    name, seed = request.param.rsplit("-", 1)
    return pair_of(name, int(seed), tmp_path_factory.mktemp(request.param))


def run_ours(model: Transformer, pair: MediaPair, **changes):
    return model(pair.example.token_ids, media=pair.example.media._replace(**changes))


# --- Equal ---


@torch.no_grad()
def test_logits_of_texts_with_media_are_equal(pair):
    assert pair.logits.dtype == torch.float64
    assert pair.logits.std() > 0.3
    torch.testing.assert_close(run_ours(pair.ours, pair), pair.logits, **EXACT)


@torch.no_grad()
def test_with_a_cache_they_are_equal_too(pair):
    """All media at once, and then words one by one, past the edge of a window."""
    ids, end = pair.example.token_ids, 28
    assert (ids[:, end:] < IMAGE).all()
    cache = KVCache(pair.ours.config, *ids.shape, dtype=torch.float64)
    logits = [pair.ours(ids[:, :end], cache, media=pair.example.media)]
    logits += [pair.ours(ids[:, t : t + 1], cache) for t in range(end, ids.shape[1])]
    torch.testing.assert_close(torch.cat(logits, dim=1), pair.logits, **EXACT)


def test_gradients_of_all_weights_are_equal(pair):
    factors = torch.randn(pair.logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.enable_grad():
        (run_theirs(pair.theirs, pair.example) * factors).sum().backward()
        (run_ours(pair.ours, pair) * factors).sum().backward()
    theirs = {
        text_only_name(bare_name(name), True, "model"): torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in pair.theirs.named_parameters()
    }
    family, ours = find_family(pair.theirs.config.model_type), dict(pair.ours.named_parameters())
    compared = 0
    for names, ways in weight_names(family, pair.ours.config, set(pair.ours.state_dict())).items():
        for way in (way for way in ways if all(name in theirs for name in way.theirs)):
            expected = way.layout.to_ours([theirs[name] for name in way.theirs])
            for name, gradient in zip(names, expected, strict=True):
                torch.testing.assert_close(
                    ours[name].grad, gradient, rtol=1e-9, atol=1e-9, msg=partial("{}: {}".format, name)
                )
                compared += 1
    buffers = sum(name.endswith(".scale") for name in ours)  # layer_scalar is no parameter on their side
    assert compared == len(ours) - buffers
    pair.theirs.zero_grad()
    pair.ours.zero_grad()


def test_the_way_back_gives_the_same_model(pair, tmp_path):
    with published.in_float64():
        family = save_huggingface(pair.ours, tmp_path / "ours", max_shard_bytes=60_000)
        theirs = transformers.AutoModelForImageTextToText.from_pretrained(
            tmp_path / "ours", dtype=torch.float64, attn_implementation="eager"
        ).eval()
    assert family == pair.theirs.config.model_type
    assert type(theirs) is type(pair.theirs)
    with torch.no_grad():
        torch.testing.assert_close(run_theirs(theirs, pair.example), pair.logits, **EXACT)
        again = load_huggingface(tmp_path / "ours")  # under the names of a model in memory, not of released files
        assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in pair.ours.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("pair", ["gemma4_unified-0"], indirect=True)
def test_a_model_without_audio_takes_images(pair, tmp_path):
    words = pair.example.token_ids.where(pair.example.token_ids != AUDIO, 0)
    arguments = {name: pair.example.arguments[name] for name in ("pixel_values", "image_position_ids")}
    arguments["mm_token_type_ids"] = (words == IMAGE).long()
    with published.in_float64():
        silent = Transformer(other_media(pair.ours.config, audio_token_id=None)).double()
        silent.load_state_dict({name: pair.ours.state_dict()[name] for name in silent.state_dict()})
        save_huggingface(silent, tmp_path / "silent")
        theirs = transformers.AutoModelForImageTextToText.from_pretrained(
            tmp_path / "silent", dtype=torch.float64, attn_implementation="eager"
        ).eval()
    expected = run_theirs(theirs, Example(words, pair.example.media, arguments))
    torch.testing.assert_close(silent(words, media=pair.example.media), expected, **EXACT)


@torch.no_grad()
def test_the_decoder_alone_gives_the_logits_of_text(pair):
    with published.in_float64():
        alone = load_huggingface(pair.folder, text_only=True)
    words = pair.example.token_ids.clamp(max=IMAGE - 1)
    assert alone.config.media is None
    with published.in_float64():
        expected = pair.theirs(words, use_cache=False).logits
    torch.testing.assert_close(alone(words), expected, **EXACT)
    torch.testing.assert_close(pair.ours(words), expected, **EXACT)


# --- The comparison notices ---


def other_media(config: ModelConfig, **changes) -> ModelConfig:
    return replace(config, media=replace(config.media, **changes))


def rebuilt(pair: MediaPair, config: ModelConfig) -> Transformer:
    """Our weights in a model of another configuration."""
    with published.in_float64():
        model = Transformer(config).double()
    model.load_state_dict(pair.ours.state_dict())
    return model


def distance(model: Transformer, pair: MediaPair, **changes) -> float:
    return float((run_ours(model, pair, **changes) - pair.logits).abs().max())


@torch.no_grad()
@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
def test_only_the_right_mask_gives_their_logits(pair, image_attention):
    wrong = rebuilt(pair, other_media(pair.ours.config, image_attention=image_attention))
    is_right = pair.ours.config.media.image_attention == image_attention
    assert (distance(wrong, pair) < 1e-9) == is_right
    assert is_right or distance(wrong, pair) > 1e-3


@torch.no_grad()
def test_rows_and_columns_are_not_the_same(pair):
    assert distance(pair.ours, pair, places=pair.example.media.places.flip(-1)) > 1e-3


@torch.no_grad()
def test_the_order_of_the_pixels_matters(pair):
    assert distance(pair.ours, pair, patches=pair.example.media.patches.roll(1, -1)) > 1e-3


@torch.no_grad()
def test_vectors_of_media_are_not_scaled_as_those_of_words(pair, monkeypatch):
    put = pair.ours.media_embedder.forward

    def scaled(embeddings, token_ids, media):
        is_word = (token_ids < IMAGE).unsqueeze(-1)
        x = put(embeddings, token_ids, media)
        return torch.where(is_word, x, x * pair.ours.config.embedding_scale)

    monkeypatch.setattr(pair.ours.media_embedder, "forward", scaled)
    assert distance(pair.ours, pair) > 1e-3


@torch.no_grad()
def test_another_eps_in_the_layer_norms_shows(pair, monkeypatch):
    module, name = EPS[pair.theirs.config.model_type]
    monkeypatch.setattr(module, name, 10 * getattr(module, name))
    assert distance(rebuilt(pair, pair.ours.config), pair) > 1e-6
