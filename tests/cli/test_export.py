"""gemini-workshop export: from a checkpoint to what transformers loads."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging
from typer.testing import CliRunner

from gemini_workshop.checkpoint import load_pretrained, save_model
from gemini_workshop.cli.main import app
from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import CheckpointError, ConfigError, WorkshopError
from gemini_workshop.generation.chat import Conversation, Turn
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.models.transformer import Transformer
from tests import tiny

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


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of one export, and what was said, for the tests that only read them."""
    folder = tmp_path_factory.mktemp("export") / "exported"
    result = CliRunner().invoke(app, ["export", "stories-small", str(folder)], prog_name="gemini-workshop")
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture(scope="module")
def model(exported):
    """The exported model, in transformers."""
    return AutoModelForCausalLM.from_pretrained(exported[0], attn_implementation="eager")


@pytest.fixture(scope="module")
def tokenizer(exported):
    """The exported tokenizer, in transformers."""
    return AutoTokenizer.from_pretrained(exported[0])


@pytest.fixture(scope="module")
def shipped():
    """Our model and tokenizer."""
    return load_pretrained("stories-small")


def test_transformers_reads_the_same_model(shipped, model):
    ours, tokenizer = shipped
    token_ids = torch.tensor([tokenizer.encode(TEXT)])
    with torch.no_grad():
        torch.testing.assert_close(model(token_ids).logits, ours(token_ids), rtol=0, atol=1e-4)  # logits up to 20
    assert model.config.model_type == "gemma3_text"
    assert model.config.hidden_activation == "gelu_pytorch_tanh"


def test_transformers_reads_the_same_tokenizer(exported, shipped, tokenizer):
    _, ours = shipped
    assert tokenizer(TEXT).input_ids == [ours.end_of_text_id, *ours.encode(TEXT)]
    assert tokenizer(TEXT, add_special_tokens=False).input_ids == ours.encode(TEXT)
    assert tokenizer.decode(ours.encode(TEXT)) == TEXT
    files = [json.loads((exported[0] / name).read_text("utf-8")) for name in ("config.json", "generation_config.json")]
    expected = {"bos": ours.end_of_text_id, "eos": ours.end_of_text_id, "pad": ours.special_tokens["<|padding|>"]}
    for name, token_id in expected.items():
        assert getattr(tokenizer, f"{name}_token_id") == token_id
        assert [values[f"{name}_token_id"] for values in files] == [token_id, token_id]


def test_what_the_tokenizer_gives_is_what_generate_takes(tokenizer):
    assert tokenizer("Mia").keys() == {"input_ids", "attention_mask"}
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]  # generate of transformers 4 refuses others


def test_generation_there_gives_the_same_text(shipped, model):
    ours, tokenizer = shipped
    token_ids = torch.tensor([tokenizer.encode("The dragon")])
    written = model.generate(token_ids, max_new_tokens=8)
    for _ in range(8):
        token_ids = torch.cat([token_ids, ours(token_ids)[:, -1:].argmax(dim=-1)], dim=1)
    assert written.tolist() == token_ids.tolist()


def test_the_number_format_can_be_chosen(export):
    folder, output = export("--dtype", "bfloat16")
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in theirs.parameters()} == {torch.bfloat16}
    assert "in bfloat16, as gemma3_text" in output


def test_the_output_ends_with_python_that_runs(exported, shipped):
    folder, output = exported
    code = output.partition(":\n\n")[2]
    assert f'from_pretrained("{folder.as_posix()}")' in code
    names: dict = {}
    *lines, last = (line.strip() for line in code.splitlines())
    exec("\n".join([*lines, f"found = {last[:-1]}, do_sample=False, max_new_tokens=12)"]), names)
    assert names["model"].config.model_type == "gemma3_text"
    assert len(names["tokenizer"]) == names["model"].config.vocab_size
    assert names["found"][0]["generated_text"] == "Once upon a time" + most_likely(shipped, "Once upon a time", 12)


def most_likely(shipped, prompt, new_tokens):
    """The most likely continuation by our own command."""
    config = GenerationConfig(max_new_tokens=new_tokens, temperature=0)
    return "".join(generate_text(*shipped, prompt, config))


def test_a_batch_with_padding_continues_as_each_text_alone(shipped, model, tokenizer):
    prompts = ["Once upon a time", "The little dog was sad because Spot", "Mia"]
    written = model.generate(**tokenizer(prompts, return_tensors="pt", padding=True), max_new_tokens=8)
    for prompt, text in zip(prompts, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
        assert text == prompt + most_likely(shipped, prompt, 8)


def test_the_loss_of_a_text_is_the_same_there(shipped, model, tokenizer):
    ours, _ = shipped
    batch = tokenizer("Once upon a time, there was a little girl named Lily.", return_tensors="pt")
    with torch.no_grad():
        theirs = model(**batch, labels=batch["input_ids"]).loss
        logits = ours(batch["input_ids"])[0, :-1]
    torch.testing.assert_close(theirs, F.cross_entropy(logits, batch["input_ids"][0, 1:]), rtol=0, atol=1e-5)


def test_a_chat_is_the_text_that_our_own_chat_reads(shipped, tokenizer):
    _, ours = shipped
    roles = {"system": "A lost dog.", "user": "Once upon a time", "assistant": " Rex ran."}
    messages = [{"role": role, "content": text} for role, text in roles.items()]
    turns = [Turn("user", roles["user"]), Turn("model", roles["assistant"])]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|endoftext|>" + Conversation(system=roles["system"], turns=turns).text()
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    assert ids == [ours.end_of_text_id, *ours.encode(text.removeprefix("<|endoftext|>"))]


def test_the_card_of_the_shipped_model_names_its_licence_and_its_data(exported):
    card = (exported[0] / "README.md").read_text("utf-8")
    _, header, text = card.split("---\n", 2)
    kind = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    assert yaml.safe_load(header) == {"license": "apache-2.0"} | kind
    assert text.startswith("\n# stories-small\n\nA decoder of 3,150,912 parameters")
    assert text.index("## Use") < text.index("under the Apache License 2.0") < text.index("CDLA-Sharing-1.0")
    assert 'pipeline("text-generation", "exported")' in text


def test_the_card_of_a_run_names_what_it_was_trained_on(run, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "step-000007"
    tokenizer = BPETokenizer({})
    config = replace(load_config("tiny"), model=replace(tiny.MODEL, vocab_size=tokenizer.vocab_size))
    save_model(checkpoint, Transformer(config.model).state_dict(), config, tokenizer)
    state = {"step": 7, "metrics": {"validation_nats": 5.25}}
    (checkpoint / "state.json").write_text(json.dumps(state), "utf-8")
    (tmp_path / "run" / "run.json").write_text(json.dumps({"corpus": "stories+my.txt+stories"}), "utf-8")
    result = run("export", str(tmp_path / "run"), str(tmp_path / "exported"))
    assert result.exit_code == 0, result.output
    card = (tmp_path / "exported" / "README.md").read_text("utf-8")
    assert "license: other" in card
    assert "name one before you pass the model on. Trained on stories: CC BY 4.0; my.txt." in card
    assert "for 7 steps. Its loss on the validation text is 5.250 nats per token." in card


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
    assert len(examples) == 4
    assert set(examples) <= lines
