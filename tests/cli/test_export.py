"""gemini-workshop export: from a checkpoint to what transformers loads."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import CheckpointError, ConfigError, WorkshopError
from gemini_workshop.generation.decode import generate_text

logging.disable_progress_bar()
TEXT = "Once upon a time, Mia's 12 dogs said: “naïve 🙂”\n\n  The end."


@pytest.fixture
def export(run, tmp_path):
    """Export the shipped model; return where to and what was said."""

    def export(*options: str):
        result = run("export", "stories-small", str(tmp_path / "exported"), *options)
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return tmp_path / "exported", result.output

    return export


def test_transformers_reads_the_same_model(export):
    folder, _ = export()
    ours, tokenizer = load_pretrained("stories-small")
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    token_ids = torch.tensor([tokenizer.encode(TEXT)])
    with torch.no_grad():
        torch.testing.assert_close(theirs(token_ids).logits, ours(token_ids), rtol=0, atol=1e-4)  # logits up to 20
    assert theirs.config.model_type == "gemma3_text"
    assert theirs.config.hidden_activation == "gelu_pytorch_tanh"


def test_transformers_reads_the_same_tokenizer(export):
    folder, _ = export()
    _, ours = load_pretrained("stories-small")
    theirs = AutoTokenizer.from_pretrained(folder)
    assert theirs(TEXT).input_ids == [ours.end_of_text_id, *ours.encode(TEXT)]
    assert theirs(TEXT, add_special_tokens=False).input_ids == ours.encode(TEXT)
    assert theirs.decode(ours.encode(TEXT)) == TEXT
    config = json.loads((folder / "config.json").read_text("utf-8"))
    expected = {"bos": ours.end_of_text_id, "eos": ours.end_of_text_id, "pad": ours.special_tokens["<|padding|>"]}
    for name, token_id in expected.items():
        assert getattr(theirs, f"{name}_token_id") == config[f"{name}_token_id"] == token_id


def test_generation_there_gives_the_same_text(export):
    folder, _ = export()
    ours, tokenizer = load_pretrained("stories-small")
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    token_ids = torch.tensor([tokenizer.encode("The dragon")])
    written = theirs.generate(token_ids, max_new_tokens=8, do_sample=False)
    for _ in range(8):
        token_ids = torch.cat([token_ids, ours(token_ids)[:, -1:].argmax(dim=-1)], dim=1)
    assert written.tolist() == token_ids.tolist()


def test_the_number_format_can_be_chosen(export):
    folder, output = export("--dtype", "bfloat16")
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in theirs.parameters()} == {torch.bfloat16}
    assert "in bfloat16, as gemma3_text" in output


def test_the_output_ends_with_python_that_runs(export):
    folder, output = export()
    code = output.partition(":\n\n")[2]
    assert f'from_pretrained("{folder.as_posix()}")' in code
    names: dict = {}
    *lines, last = (line.strip() for line in code.splitlines())
    exec("\n".join([*lines, f"found = {last[:-1]}, do_sample=False, max_new_tokens=12)"]), names)
    assert names["model"].config.model_type == "gemma3_text"
    assert len(names["tokenizer"]) == names["model"].config.vocab_size
    assert names["found"][0]["generated_text"] == "Once upon a time" + ours("Once upon a time", 12)


def ours(prompt, new_tokens):
    """The most likely continuation by our own command."""
    model, tokenizer = load_pretrained("stories-small")
    return "".join(generate_text(model, tokenizer, prompt, GenerationConfig(max_new_tokens=new_tokens, temperature=0)))


def test_a_batch_with_padding_continues_as_each_text_alone(export):
    folder, _ = export()
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    prompts = ["Once upon a time", "The little dog was sad because Spot", "Mia"]
    written = model.generate(**tokenizer(prompts, return_tensors="pt", padding=True), do_sample=False, max_new_tokens=8)
    for prompt, text in zip(prompts, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
        assert text == prompt + ours(prompt, 8)


def test_a_family_that_cannot_express_the_model_is_told_why(export):
    with pytest.raises(ConfigError, match=r"llama cannot express .*qk_norm=head.*\. Choose another family"):
        export("--family", "llama")


def test_a_folder_with_something_in_it_is_left_alone(export, tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="exported is not empty"):
        export()


def test_help_shows_examples_that_can_be_copied(run):
    from gemini_workshop.cli.export import export

    lines = {line.strip() for line in run("export", "--help").output.splitlines()}
    examples = [line.strip() for line in export.__doc__.splitlines() if line.strip().startswith("gemini-workshop ")]
    assert len(examples) == 2
    assert set(examples) <= lines
