"""The published models as configurations, compared with what their authors state."""

from pathlib import Path

import pytest

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models import families
from gemini_workshop.models.accounting import num_active_parameters, num_parameters
from gemini_workshop.models.families import family_of, model_types, published_config, published_names

# Of the whole model, as the released weights have it.
EXACT = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "gemma-3-270m": 268_098_176,
    "gemma-3-1b": 999_885_952,
    "mixtral-8x7b": 46_702_792_704,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "olmoe-1b-7b": 6_919_161_856,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v2": 235_741_434_880,
}
# Without the embeddings, from the tables of arXiv:2403.08295 and arXiv:2408.00118.
WITHOUT_EMBEDDING = {
    "gemma-2b": 1_981_884_416,
    "gemma-7b": 7_751_248_896,
    "gemma-2-2b": 2_024_517_888,
    "gemma-2-9b": 8_324_201_984,
    "gemma-2-27b": 26_047_480_320,
}
# In billions, as model cards round them: of the language model, without the towers for images and audio.
BILLIONS = {
    "gemma-3-4b": 3.9,
    "gemma-3-12b": 11.8,
    "gemma-3-27b": 27.0,
    "gemma-4-e4b": 7.5,
    "gemma-4-26b-a4b": 25.2,
    "gemma-4-31b": 30.7,
    "deepseek-v3": 671.0,
}
ACTIVE_BILLIONS = {"gemma-4-26b-a4b": 3.8, "mixtral-8x7b": 12.9, "olmoe-1b-7b": 1.3}
MODEL_TYPES = {
    "gpt2": "gpt2",
    "llama": "llama",
    "gemma-2-": "gemma2",
    "gemma-3-": "gemma3_text",
    "gemma-4-": "gemma4_text",
    "gemma": "gemma",
    "mixtral": "mixtral",
    "qwen3-30b-a3b": "qwen3_moe",
    "qwen3": "qwen3",
    "olmoe": "olmoe",
    "gpt-oss": "gpt_oss",
    "deepseek-v2": "deepseek_v2",
    "deepseek-v3": "deepseek_v3",
}


@pytest.mark.parametrize("name", EXACT)
def test_the_number_of_parameters_is_the_published_one(name):
    assert num_parameters(published_config(name)) == EXACT[name]


@pytest.mark.parametrize("name", WITHOUT_EMBEDDING)
def test_the_number_of_parameters_without_embeddings_is_the_published_one(name):
    config = published_config(name)
    assert num_parameters(config) - config.vocab_size * config.embed_dim == WITHOUT_EMBEDDING[name]


@pytest.mark.parametrize("name", BILLIONS)
def test_the_number_of_parameters_rounds_to_the_published_one(name):
    assert round(num_parameters(published_config(name)) / 1e9, 1) == BILLIONS[name]


@pytest.mark.parametrize("name", ACTIVE_BILLIONS)
def test_the_number_of_active_parameters_is_the_published_one(name):
    assert round(num_active_parameters(published_config(name)) / 1e9, 1) == ACTIVE_BILLIONS[name]


def test_what_a_small_gemma_4_looks_up_is_most_of_it():
    """E2B: 2.3 billion "effective" parameters, the rest are embeddings for each layer (its model card)."""
    config = published_config("gemma-4-e2b")
    looked_up = config.vocab_size * config.num_layers * (config.per_layer_embed_dim or 0)
    assert round((num_parameters(config) - looked_up) / 1e9, 1) == 2.3


@pytest.mark.parametrize("name", published_names())
def test_every_published_model_can_be_expressed_by_its_family(name):
    stem = next(stem for stem in MODEL_TYPES if name.startswith(stem))
    assert family_of(published_config(name)) == MODEL_TYPES[stem]


def test_an_unknown_model_gets_the_nearest_name():
    with pytest.raises(WorkshopError, match=r"no published model called 'gemma-3-2b'. Did you mean 'gemma-3-27b'\?"):
        published_config("gemma-3-2b")


def test_what_is_true_of_one_family_is_in_its_own_file():
    """What reads, writes and downloads finds every fact about a family in its declaration."""
    for engine in ("engine", "names", "conversions", "rope", "files", "weights", "norms", "hub"):
        source = (Path(families.__file__).parent / f"{engine}.py").read_text("utf-8")
        assert [name for name in model_types() if f'"{name}"' in source] == [], engine
