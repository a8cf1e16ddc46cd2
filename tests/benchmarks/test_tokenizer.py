import pytest
from typer.testing import CliRunner

from gemini_workshop.benchmarks import tokenizer as module
from gemini_workshop.benchmarks.tokenizer import load_peers, read_text, report, vocabularies
from gemini_workshop.cli.main import app
from gemini_workshop.data.corpora import find_here
from gemini_workshop.errors import WorkshopError


@pytest.fixture
def offline(monkeypatch) -> str:
    """No mirror, no downloads, a short text and few merges."""
    monkeypatch.setattr(
        module, "find_here", lambda corpus, size: find_here(corpus, size) if corpus.is_embedded else None
    )
    text = read_text()[1][:5_000]
    monkeypatch.setattr(module, "read_text", lambda: ("stories", text))
    monkeypatch.setattr(module, "MANY_MERGES", 100)
    monkeypatch.setattr(module, "SOME_MERGES", 3)
    monkeypatch.setattr(module, "FEW_MERGES", 2)
    return text


def test_without_any_download_the_tables_are_of_a_vocabulary_learned_from_the_embedded_text(offline):
    lines = report(rounds=1).splitlines()
    assert lines[0] == f"Text: corpus stories, {len(offline.encode()):,} bytes, one document."
    assert "Vocabulary learned here, 100 merges" in lines
    assert [line.split("  ")[0] for line in lines if ":" in line][1:] == [
        "train 100 merges: tokenizers",
        "train 2 merges: naive",
        "encode: tiktoken, list, cold",
        "encode: tiktoken, list, warm",
        "encode: tiktoken, array, warm",
        "encode: tokenizers, cold",
        "encode: tokenizers, warm",
        "decode: tiktoken",
        "decode: tokenizers",
    ]


def test_a_thorough_run_trains_the_naive_form_for_more_merges(offline):
    comparisons = module.training(offline, load_peers(), 1, True)
    assert [comparison.setting for comparison in comparisons][:2] == [
        "train 100 merges: tokenizers",
        "train 3 merges: naive",
    ]


def test_contestants_that_differ_are_not_compared(offline, monkeypatch):
    peers = load_peers()
    (tokenizer,) = vocabularies(offline).values()
    theirs = module.encoders("own", tokenizer, peers)
    monkeypatch.setattr(module, "_train_naively", lambda text, num_merges: {(97, 98): 256})
    with pytest.raises(WorkshopError, match="naive gives other merges than expected"):
        module.training(offline, peers, 1, False)
    with pytest.raises(WorkshopError, match="tiktoken, list gives other ids than expected"):
        module.encoding("own", type(tokenizer)({}), theirs, offline, 1)
    theirs.tiktoken = module.encoders("own", type(tokenizer)({}), peers).tiktoken
    theirs.tiktoken.decode = lambda ids: "else"
    with pytest.raises(WorkshopError, match="tiktoken gives other text than expected"):
        module.decoding(tokenizer, theirs, offline, 1)


def test_a_peer_that_is_missing_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if name == "tiktoken" else object())
    with pytest.raises(WorkshopError, match=r"against tiktoken, not installed here. pip install tiktoken$"):
        load_peers()


def test_the_command_prints_the_tables(monkeypatch):
    monkeypatch.setattr(module, "report", lambda rounds, thorough: f"{rounds} {thorough}")
    result = CliRunner().invoke(app, ["benchmark", "tokenizer", "--rounds", "3", "--thorough"])
    assert (result.exit_code, result.output) == (0, "3 True\n")
