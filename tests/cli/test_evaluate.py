"""The commands evaluate, from a checkpoint to a table, a file and a picture."""

import json
import os
import re
from types import SimpleNamespace

import pytest

from gemini_workshop.cli.evaluate.programs import kind_of, missing_protection
from gemini_workshop.cli.main import app
from gemini_workshop.data import corpora
from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import CheckpointError, ConfigError, DataError, WorkshopError
from gemini_workshop.evaluation import passk
from gemini_workshop.evaluation.results import load_result
from gemini_workshop.evaluation.sandbox.running import SandboxError
from tests.evaluation.sandbox.isolation import why_not_isolated
from tests.training import stories

testing = pytest.importorskip("typer.testing")


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter(stories.documents()))

    def command(*arguments):
        result = testing.CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    run = stories.start(tmp_path_factory.mktemp("run"))
    run.state.step = 1
    run.save({})
    return run


def test_a_run_is_measured_on_the_documents_that_it_did_not_learn_from(command, checkpoint):
    output = command(checkpoint.folder, "--corpus", "few", "--stride", 3)
    predicted = checkpoint.text.validation.num_tokens - 1
    assert f"{predicted:,} tokens predicted, {checkpoint.text.validation.num_bytes:,} bytes" in output
    for name in ("uniform", "unigram", "bigram", "model, end to end", "model, stride 3"):
        assert f"\n{name} " in output


def test_splits_add_up(command, checkpoint):
    counts = {
        split: json.loads(command(checkpoint.folder, "--corpus", "few", "--split", split, "--json"))["details"][
            "num_bytes"
        ]
        for split in ("train", "validation", "all")
    }
    assert counts["train"] + counts["validation"] == counts["all"]


def test_a_folder_of_shards_is_read_as_it_is_if_its_tokenizer_is_the_model_s(command, checkpoint, tmp_path):
    write_shards(stories.documents(), checkpoint.text.tokenizer, tmp_path / "shards")
    result = json.loads(command(checkpoint.folder, "--corpus", tmp_path / "shards", "--json"))
    assert [score["name"] for score in result["details"]["scores"]][:3] == ["uniform", "unigram", "bigram"]
    write_shards(stories.documents(), BPETokenizer.train(stories.documents(), 260), tmp_path / "others")
    with pytest.raises(DataError, match=r"tokenizer with vocab_size=260 .*not of this one with vocab_size=270"):
        command(checkpoint.folder, "--corpus", tmp_path / "others")


def test_an_empty_split_is_refused(command, checkpoint, monkeypatch):
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter([]))
    with pytest.raises(DataError, match="validation split of few has no documents"):
        command(checkpoint.folder, "--corpus", "few")


def test_an_unknown_checkpoint_is_refused(command):
    with pytest.raises(CheckpointError, match="no checkpoint 'stories-smal'"):
        command("stories-smal")


# --- The other measurements ---


def test_a_checkpoint_alone_means_perplexity(command, checkpoint):
    options = (checkpoint.folder, "--corpus", "few")
    assert command(*options) == command("perplexity", *options) == command("--corpus", "few", checkpoint.folder)


def test_help_names_every_measurement(command):
    text = command("--help")
    for name in ("perplexity", "needle", "choice", "code", "compare", "speed", "results"):
        assert f"\n  {name} " in text
        assert f" evaluate {name} [OPTIONS]" in command(name, "--help")


def measured(command, tmp_path, *arguments):
    """Run a measurement with a file and a picture; return what it printed and the file."""
    picture = tmp_path / "picture.png"
    output = command(*arguments, "--result", tmp_path / "result.json", "--picture", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    return output, load_result(tmp_path / "result.json")


def test_needles_are_looked_for_by_a_model_or_its_stand_ins(command, checkpoint, tmp_path):
    (tmp_path / "book.txt").write_text("The cat saw 3 birds. " * 200)
    grid = ("--book", tmp_path / "book.txt", "--lengths", "90,120", "--depths", 3, "--trials", 2)
    output, result = measured(command, tmp_path, "needle", checkpoint.folder, *grid)
    assert "depth / tokens   90  120" in output
    assert result.settings["depths"] == [0.0, 0.5, 1.0]
    assert "100% found in all" in command("needle", checkpoint.folder, *grid, "--retriever", "oracle")
    assert "blind: needles found, of 2 per cell" in command("needle", checkpoint.folder, *grid, "--retriever", "blind")


@pytest.mark.parametrize("lengths", ["a,b", "0,5", "5,", "-1"])
def test_numbers_that_are_none_are_refused(command, checkpoint, lengths):
    with pytest.raises(ConfigError, match=f"'{lengths}' is not a list of positive whole numbers"):
        command("needle", checkpoint.folder, "--lengths", lengths)


def test_questions_come_from_a_file_or_from_the_endings_of_a_corpus(command, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "questions.jsonl").write_text('{"context": "The cat saw", "choices": [" 3", " birds"], "answer": 0}\n')
    output, result = measured(
        command, tmp_path, "choice", checkpoint.folder, "--questions", tmp_path / "questions.jsonl"
    )
    assert "1 questions" in output
    assert result.scores["chance"] == 0.5
    texts = [f"The cat saw {i} birds. Go." for i in range(90)]
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter(texts))
    assert "3 questions, endings of few" in command("choice", checkpoint.folder, "--corpus", "few", "--limit", 3)


PROBLEM = passk.Problem(
    name="x",
    prompt="def f(x):\n",
    is_continued=True,
    stops=(),
    reference="    return x\n",
    preamble="",
    tests="assert f(3) == 3",
    names=("f",),
)


@pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
def test_programs_are_written_and_judged(command, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(passk, "load_problems", lambda *_: [PROBLEM])
    output, result = measured(
        command, tmp_path, "code", checkpoint.folder, "--samples", 2, "--k", "1,2", "--max-new-tokens", 3
    )
    assert "1 problems of humaneval, 2 programs each" in output
    assert result.scores == {"pass@1": 0.0, "pass@2": 0.0}
    assert result.details["passed"] == {"x": 0}
    assert "pass@1  100.0%" in command("code", "--reference")


@pytest.mark.parametrize(
    ("is_isolated", "is_filtered", "warning"),
    [
        (True, True, ""),
        (True, False, r"No filter of system calls.*\[sandbox\]"),
        (False, False, "are not isolated here"),
    ],
    ids=["all", "no filter", "no jail"],
)
def test_the_user_hears_which_protection_is_missing(is_isolated, is_filtered, warning):
    said = missing_protection(SimpleNamespace(is_isolated=is_isolated, is_filtered=is_filtered))
    assert re.fullmatch(f".*{warning}.*" if warning else "", said)


def test_what_cannot_be_estimated_or_isolated_is_refused_before_anything_is_written(command, checkpoint, monkeypatch):
    with pytest.raises(DataError, match=r"k=9 programs cannot be drawn from n=5"):
        command("code", checkpoint.folder, "--k", "9")
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(SandboxError, match=r"win32 has no namespaces"):
        command("code", checkpoint.folder, "--unsafe")


def test_a_reason_is_counted_without_its_particulars():
    assert kind_of("the program raised NameError: name 'x' is not defined") == "the program raised NameError"


def test_models_stand_side_by_side(command, checkpoint, tmp_path):
    (step,) = (checkpoint.folder / "checkpoints").iterdir()
    arguments = (checkpoint.folder, step, "--corpus", "few", "--samples", 2, "--max-new-tokens", 4)
    output, result = measured(command, tmp_path, "compare", *arguments)
    assert "bits/byte" in output
    one, other = result.scores.values()
    assert one == other
    with pytest.raises(ConfigError, match="One checkpoint, stories-small, cannot be compared"):
        command("compare", "stories-small", "--corpus", "few")


def test_speed_says_where_its_joules_come_from(command, checkpoint, tmp_path):
    options = ("--prompt-tokens", 3, "--new-tokens", 3, "--rounds", 1, "--result", tmp_path / "speed.json")
    output = command("speed", checkpoint.folder, *options, "--tdp-watts", 28)
    assert "tokens/s" in output
    assert "estimated from a stated TDP: 28 W" in output or "measured by RAPL" in output
    assert load_result(tmp_path / "speed.json").scores["written_tokens_per_second"] > 0


def test_stories_are_continued_from_their_first_sentence_and_measured_beside_the_originals(
    command, checkpoint, tmp_path
):
    arguments = (checkpoint.folder, "--corpus", "few", "--count", 3, "--new-tokens", 5)
    output = command("stories", *arguments, "--result", tmp_path / "stories.json")
    result = load_result(tmp_path / "stories.json")
    assert re.search(r"3 stories by .*names kept .*quotes closed .*sentences repeated", output)
    assert "the stories of few" in output
    assert result.scores["sentences_repeated"] == 0
    assert result.details["originals"]["words"] == 5  # The cat saw 7 birds.
    assert len(result.details["stories"]) == 3
    for story in result.details["stories"]:
        assert re.match(r"The (cat|dog|hen) saw \d+ birds\.", story)


def test_results_are_shown_side_by_side_with_why_they_differ(command, checkpoint, tmp_path):
    for stride in (3, 4):
        command(checkpoint.folder, "--corpus", "few", "--stride", stride, "--result", tmp_path / f"{stride}.json")
    output = command("results", tmp_path / "3.json", tmp_path / "4.json")
    assert "bits per byte" in output
    assert "differ in settings.stride_tokens." in output
