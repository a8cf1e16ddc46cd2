"""Result files: written, read, compared."""

import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop import __version__
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.results import (
    Result,
    differences,
    load_result,
    model_facts,
    results_table,
    text_facts,
)
from gemini_workshop.models.transformer import Transformer
from tests import tiny

RESULT = Result(
    kind="needle",
    model={"name": "one", "parameters": 7, "sha256": "ab"},
    data=text_facts("book", ["a", "b"]),
    settings={"trials": 3, "lengths": [1, 2]},
    scores={"found": 0.5, "chance": 0.1},
    details={"found": [[0.5, 0.5]], "note": "naïve"},
)


def test_a_result_is_read_as_it_was_written(tmp_path):
    RESULT.save(tmp_path / "a.json")
    assert load_result(tmp_path / "a.json") == RESULT
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert list(content)[:2] == ["format", "kind"]
    assert content["package"] == __version__


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "gemini-workshop result 2"}'])
def test_what_is_no_result_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json (is not JSON|has the format)"):
        load_result(tmp_path / "x.json")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        load_result(tmp_path / "nothing.json")


def test_a_result_with_a_part_missing_is_damaged(tmp_path):
    (tmp_path / "x.json").write_text('{"format": "gemini-workshop result 1", "kind": "needle"}')
    with pytest.raises(DataError, match=r"is damaged.*model"):
        load_result(tmp_path / "x.json")


def test_results_differ_in_kind_data_and_settings_and_not_in_the_model():
    other = replace(RESULT, model={"name": "two"}, scores={})
    assert differences(RESULT, other) == []
    assert differences(RESULT, replace(RESULT, kind="choice", settings={})) == ["kind"]
    changed = replace(RESULT, data=text_facts("book", ["ab"]), settings={"trials": 4, "lengths": [1, 2], "seed": 0})
    assert differences(RESULT, changed) == ["data", "settings.seed", "settings.trials"]


def test_the_border_between_documents_counts():
    assert text_facts("x", ["a", "b"])["sha256"] != text_facts("x", ["ab"])["sha256"]


def test_equal_weights_have_equal_sums_and_one_changed_weight_another():
    facts = [model_facts("x", Transformer(tiny.MODEL, torch.Generator().manual_seed(0))) for _ in range(2)]
    assert facts[0] == facts[1]
    model = Transformer(tiny.MODEL, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.embedding.weight[3, 4] += 1e-3
    assert model_facts("x", model)["sha256"] != facts[0]["sha256"]
    assert model_facts("x", model)["parameters"] == model.num_parameters()


def test_a_table_shows_scores_side_by_side_and_what_must_not_be_compared():
    other = replace(RESULT, model={"name": "another"}, scores={"found": 0.75, "more": 1.0}, settings={"trials": 4})
    lines = results_table([RESULT, other]).splitlines()
    assert lines[0].split() == ["one", "another"]
    assert [line.split() for line in lines[1:4]] == [
        ["found", "0.5000", "0.7500"],
        ["chance", "0.1000", "-"],
        ["more", "-", "1.0000"],
    ]
    assert lines[4] == "Not comparable: one and another differ in settings.lengths, settings.trials."
    assert "Not comparable" not in results_table([RESULT, RESULT])
    with pytest.raises(DataError, match="0 results"):
        results_table([])
