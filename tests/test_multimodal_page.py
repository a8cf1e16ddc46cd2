"""docs/multimodal.md: its program runs, and its numbers are those of the package."""

import re

import pytest
import torch

from gemini_workshop.config import load_config
from gemini_workshop.exercises.project.own_model import PARTS
from gemini_workshop.models.accounting import num_active_parameters
from gemini_workshop.models.transformer import Transformer
from tests.clone import TOP

PAGE = (TOP / "docs" / "multimodal.md").read_text("utf-8")
PROGRAM, OWN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def names():
    torch.manual_seed(0)
    names: dict = {}
    exec(PROGRAM, names)
    return names


def test_the_program_gives_scores_for_every_place(names):
    ids = names["question"].ids
    assert names["logits"].shape == (1, len(ids), 270)


def test_the_counts_below_the_program_are_those_of_its_media(names):
    rows, columns, frames = map(
        int, re.search(r"takes (\d) rows of (\d) patches, the 0.2 s of audio take (\d)", PAGE).groups()
    )
    media = names["question"].media
    assert media.places.amax(dim=(0, 1)).tolist() == [rows - 1, columns - 1]
    assert media.frames.shape[1] == frames


def test_the_size_of_the_preset_is_the_one_on_the_page():
    model = Transformer(load_config("mini-gemini").model)
    assert f"{model.num_parameters() / 1e6:.1f} million parameters" in PAGE
    assert 0.4 < num_active_parameters(model.config) / model.num_parameters() < 0.65


def test_the_report_of_a_model_of_ones_own_parts_is_printed(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    exec(OWN, {})
    assert f"0 of {len(PARTS)} parts are yours" in capsys.readouterr().out
