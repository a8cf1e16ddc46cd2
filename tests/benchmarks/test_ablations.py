import random

import pytest
import torch
from typer.testing import CliRunner

from gemini_workshop.benchmarks import ablations
from gemini_workshop.benchmarks.ablations import fraction_right
from gemini_workshop.benchmarks.late_fusion import LateFusion
from gemini_workshop.benchmarks.variants import DROPPED, VARIANTS, dense, small_config
from gemini_workshop.cli.main import app
from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.models.accounting import num_active_parameters
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

CONFIG = small_config(steps=2).model
IMAGE, AUDIO = CONFIG.media.image_token_id, CONFIG.media.audio_token_id
IDS = torch.tensor([[1, IMAGE, IMAGE, 2, AUDIO, 3, 4, 1, IMAGE, 5]])
SEGMENTS = torch.tensor([[1] * 7 + [2] * 3])


def media(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Media(
        patches=torch.rand(1, 3, 48, generator=draw, dtype=torch.float64),
        places=torch.tensor([[[0, 0], [0, 1], [0, 0]]]),
        frames=torch.rand(1, 1, CONFIG.media.frame_dim, generator=draw, dtype=torch.float64),
    )


@pytest.fixture(scope="module")
def late():
    model = LateFusion(CONFIG, torch.Generator().manual_seed(0)).double().eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():  # nothing is silent
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=draw, dtype=weight.dtype))
    return model


def changed(model, other):
    """Which tokens' scores depend on the difference."""
    with torch.no_grad():
        scores = [model(IDS, segment_ids=SEGMENTS, media=each) for each in (media(), other)]
    return ((scores[0] - scores[1]).abs().amax(dim=-1)[0] > 1e-9).tolist()


def test_text_looks_at_the_media_before_it_in_its_own_document(late):
    other = media()
    other.patches[0, 1] = other.patches[0, 1].flip(-1)
    assert changed(late, other) == [False] * 2 + [True] * 5 + [False] * 3
    other = media()
    other.frames[0, 0] = other.frames[0, 0].flip(-1)
    assert changed(late, other) == [False] * 4 + [True] * 3 + [False] * 3
    other = media()
    other.patches[0, 2] = other.patches[0, 2].flip(-1)
    assert changed(late, other) == [False] * 8 + [True] * 2


def test_with_shut_gates_nothing_is_seen(late):
    model = LateFusion(CONFIG, torch.Generator().manual_seed(0)).double().eval()
    model.load_state_dict(late.state_dict())
    for block in model.blocks:
        torch.nn.init.zeros_(block.gate)
    assert not any(changed(model, media(seed=5)))


def test_experts_and_the_dense_layer_compute_as_much():
    experts, flat = (Transformer(config) for config in (CONFIG, dense(CONFIG)))
    moe = CONFIG.moe
    routers = moe.num_experts * CONFIG.embed_dim
    active = [
        num_active_parameters(CONFIG) - (CONFIG.num_layers - len(moe.dense_layers)) * routers,
        num_active_parameters(dense(CONFIG)),
    ]
    assert active[0] == active[1]
    assert experts.num_parameters() > 1.5 * flat.num_parameters()


def test_an_answer_counts_only_as_a_whole():
    targets = torch.tensor([[IGNORE_INDEX, 5, 6, IGNORE_INDEX, 7, IGNORE_INDEX], [8, 9, IGNORE_INDEX, 4, 4, 4]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0], [1, 1, 2, 2, 2, 2]])
    batch = Batch(torch.zeros_like(targets), targets, segments)
    assert fraction_right(targets, batch) == 1
    half = targets.clone()
    half[0, 2] = half[1, 5] = 0
    assert fraction_right(half, batch) == 0.5
    unasked = targets.clone()
    unasked[targets == IGNORE_INDEX] = 3
    assert fraction_right(unasked, batch) == 1


def test_what_is_dropped_is_empty_and_the_rest_stays():
    images, audio = (variant.drop(media()) for variant in DROPPED)
    assert not images.patches.any()
    assert torch.equal(images.frames, media().frames)
    assert not audio.frames.any()
    assert torch.equal(audio.patches, media().patches)


def test_the_quick_benchmark_prints_a_line_for_each_variant(monkeypatch):
    monkeypatch.setattr(ablations, "learn_tokenizer", _bytes)
    result = CliRunner().invoke(app, ["benchmark", "ablations", "--quick"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.strip().splitlines()[-len(VARIANTS) - len(DROPPED) :]
    names = [VARIANTS[0].name, *(each.name for each in DROPPED), *(each.name for each in VARIANTS[1:])]
    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in lines] == [name.strip() for name in names]


def _bytes(vocab_size, chosen):
    from gemini_workshop.data.media.encoding import MARKS
    from gemini_workshop.data.tokenizers import BPETokenizer

    words = " ".join("".join(random.Random(i).choices("abcdefgh", k=6)) for i in range(3000))
    return BPETokenizer.train([words], vocab_size, special_tokens=MARKS)
