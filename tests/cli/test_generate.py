"""gemini-workshop generate: all ways of asking, with the model that ships."""

import json
import re

import pytest

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.cli.generate import read_bias, unescaped
from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.decode import generate_text

SHORT = ("--max-new-tokens", "12")


@pytest.fixture
def write(run):
    """What the command prints."""

    def write(*arguments, input=None):
        result = run("generate", *arguments, *SHORT, input=input)
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return write


@pytest.fixture
def run(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from gemini_workshop.cli.main import app

    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    return lambda *arguments, input=None: CliRunner().invoke(app, list(map(str, arguments)), input=input)


def text_of(prompt, **settings):
    """What the functions below the command write."""
    model, tokenizer = load_pretrained()
    config = GenerationConfig(max_new_tokens=12, **settings)
    return prompt + "".join(generate_text(model, tokenizer, prompt, config)) + "\n"


def test_each_sample_takes_the_next_seed(write):
    expected = "\n---\n".join(text_of("The dragon", seed=seed) for seed in (4, 5))
    assert write("The dragon", "--samples", "2", "--seed", "4") == expected


def test_without_a_prompt_once_upon_a_time(write):
    assert write() == text_of("Once upon a time")


def test_the_prompt_can_come_from_a_file_or_from_stdin_without_its_last_line_break(write, tmp_path):
    (tmp_path / "prompt.txt").write_text("A red\nball\n", "utf-8")
    expected = text_of("A red\nball")
    assert write("--file", tmp_path / "prompt.txt") == write("-", input="A red\nball\n") == expected


def test_all_options_of_the_sampler_reach_it(write):
    settings = {
        "temperature": 1.3,
        "top_k": 50,
        "top_p": 0.9,
        "min_p": 0.01,
        "typical_p": 0.97,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "no_repeat_ngram": 2,
        "seed": 3,
    }
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    assert write("Tom", *options) == text_of("Tom", **settings)


def test_json_is_the_same_text_with_what_is_known_about_it(write):
    lines = write("The cat", "--json", "--samples", "2", "--logprobs", "2").splitlines()
    for seed, line in enumerate(lines):
        record = json.loads(line)
        assert record["prompt"] + record["text"] + "\n" == text_of("The cat", seed=seed)
        assert (record["seed"], record["num_tokens"]) == (seed, len(record["tokens"]))
        assert record["stopped_by"] == ("limit" if record["num_tokens"] == 12 else "id")
        assert "".join(token["text"] for token in record["tokens"]) == record["text"]
        for token in record["tokens"]:
            best, second = token["top"]
            assert best["logprob"] >= max(second["logprob"], token["logprob"])
    assert len(lines) == 2


def test_a_stop_string_is_not_shown(write):
    whole = write("The cat")
    stop = whole[12:15]
    assert write("The cat", "--stop", stop) == whole[: whole.index(stop, len("The cat"))] + "\n"


def test_a_forbidden_token_does_not_come(write):
    most_likely = json.loads(write("The", "--temperature", "0", "--json", "--logprobs", "1"))["tokens"][0]["text"]
    assert not write("The", "--temperature", "0", "--bias", f"{most_likely}=-inf").startswith(f"The{most_likely} ")


def test_a_regular_expression_holds(write):
    assert re.fullmatch(r"Tom was( [a-z]{3,5}){2}\.\n", write("Tom was", "--regex", r"( [a-z]{3,5}){2}\."))


def test_a_schema_holds(write, tmp_path):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["n"],
    }
    (tmp_path / "s.json").write_text(json.dumps(schema | {"additionalProperties": False}), "utf-8")
    text = json.loads(write("", "--json-schema", tmp_path / "s.json", "--json"))["text"]
    assert set(json.loads(text)) == {"n"}


def test_beams_come_best_first(write):
    found = [json.loads(line) for line in write("One day", "--beams", "3", "--samples", "3", "--json").splitlines()]
    assert [record["score"] for record in found] == sorted((record["score"] for record in found), reverse=True)
    assert len({record["text"] for record in found}) == 3
    assert write("One day", "--beams", "3").splitlines()[0] == ("One day" + found[0]["text"]).splitlines()[0]


def test_groups_of_beams_write_different_texts(write):
    texts = write("One day", "--beams", "4", "--beam-groups", "2", "--diversity-penalty", "5").split("\n---\n")
    assert len({text.strip() for text in texts}) == 2


@pytest.mark.parametrize("draft", ["lookup", "stories-small"])
def test_drafts_do_not_change_a_greedy_text(write, draft):
    assert write("The fox", "--temperature", "0", "--draft", draft) == text_of("The fox", temperature=0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--file", "y"], "PROMPT and --file cannot be combined"),
        (["--draft", "lookup", "--json"], "--draft and --json cannot be combined"),
        (["--draft", "lookup", "--beams", "2"], "--draft and --beams cannot be combined"),
        (["--logprobs", "2"], "--logprobs is printed only as JSON"),
        (["--file", "nowhere.txt"], "nowhere.txt cannot be read: No such file"),
        (["--bias", "cat"], "'cat' is not a bias"),
        (["--bias", "cat=nan"], "'cat=nan' is not a bias"),
        (["--regex", "("], r"The pattern '\(' cannot be used as a constraint"),
        (["--regex", "a", "--json-schema", "b"], "--regex and --json-schema cannot be combined"),
        (["--beams", "3", "--beam-groups", "2"], "num_beams=3 cannot be split into num_groups=2"),
        (["--top-p", "2"], "top_p=2.0 is outside"),
    ],
)
def test_what_cannot_be_done_is_refused(write, arguments, message):
    with pytest.raises(WorkshopError, match=message):
        write(*arguments)


def test_a_file_that_is_no_text_is_refused(write, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(WorkshopError, match="is not text: byte 0 is 0x89"):
        write("--file", tmp_path / "picture.png")


def test_a_draft_with_other_tokens_is_refused(write, monkeypatch):
    from gemini_workshop import checkpoint

    original = checkpoint.load_pretrained
    other = BPETokenizer.train(["some other words than those of the stories"], 260)

    def load(name="stories-small", *rest):
        model, tokenizer = original("stories-small", *rest)
        return model, other if name == "other" else tokenizer

    monkeypatch.setattr(checkpoint, "load_pretrained", load)
    with pytest.raises(WorkshopError, match="other has another tokenizer"):
        write("--draft", "other")


def test_a_bias_counts_for_every_token_of_its_text():
    tokenizer = BPETokenizer(merges={})
    assert read_bias(tokenizer, ["a==2", "\\n=-inf"]) == {97: 2.0, 61: 2.0, 10: float("-inf")}


def test_line_breaks_can_be_typed():
    assert unescaped(r"a\n\tb") == "a\n\tb"


def test_a_faster_copy_writes_the_same_text_and_one_in_8_bits_nearly_the_same(write):
    greedy = ("Once upon a time", "--temperature", "0")
    assert write(*greedy, "--weights", "fp32") == write(*greedy)
    assert write(*greedy, "--weights", "int8").startswith("Once upon a time, there was a")
