"""The Python of docs/generation.md runs, one block after the other."""

import dataclasses
import re
import shlex

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gemini_workshop.checkpoint import load_pretrained, save_model, shipped_names
from gemini_workshop.cli.main import app
from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.media import images, reading, wav
from gemini_workshop.data.media.documents import MultimodalDocument, TextPart, write_multimodal_documents
from tests.clone import TOP
from tests.generation.media import CONFIG, TOKENIZER, tiny_model

PAGE = (TOP / "docs" / "generation.md").read_text("utf-8")
BEFORE, MEDIA, AFTER = re.split(r"^(## Pictures and sounds\n.*?)(?=^## )", PAGE, flags=re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_python_runs_and_the_rule_holds(capsys):
    namespace: dict[str, object] = {}
    blocks = CODE.findall(BEFORE + AFTER)
    for block in blocks:
        exec(block, namespace)
    assert len(blocks) == 3
    assert re.search(r" [0-9]{1,3}\n$", capsys.readouterr().out)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a tiny multimodal model as runs/NAME, and the files that the page names."""
    monkeypatch.chdir(tmp_path)
    whole = dataclasses.replace(load_config("tiny"), model=CONFIG)
    save_model(tmp_path / "runs" / "NAME", tiny_model().state_dict(), whole, TOKENIZER)
    shots = [Image.new("RGB", (4, 4), name) for name in ("red", "blue")]
    for shot, name in zip(shots, ("a.png", "b.png"), strict=True):
        shot.save(name)
    shots[0].save("film.gif", save_all=True, append_images=shots[1:], duration=250)
    (tmp_path / "c.wav").write_bytes(wav.encode_wav(torch.zeros(800), 8000))
    document = MultimodalDocument(id="1", parts=(TextPart(text="look"), reading.read_image("a.png")))
    write_multimodal_documents(tmp_path, [document])


@pytest.mark.usefixtures("files")
def test_every_command_about_media_prints_an_answer_alone():
    [block] = re.findall(r"^```\n(.*?)^```$", MEDIA, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) == 4
    for program, *words in commands:
        result = CliRunner().invoke(app, [*words, "--max-new-tokens", "5"])
        assert (program, result.exception) == ("gemini-workshop", None)
        assert words[1] not in result.output


@pytest.mark.usefixtures("files")
def test_the_python_about_media_runs(capsys):
    [block] = CODE.findall(MEDIA)
    small = tiny_model(dataclasses.replace(CONFIG, context_tokens=200))
    namespace = {"torch": torch, "config": GenerationConfig(max_new_tokens=5)}
    exec(block.replace('load_pretrained("runs/NAME")', "given"), namespace | {"given": (small, TOKENIZER)})
    assert capsys.readouterr().out


def test_the_limits_of_media_are_those_of_the_readers():
    limits = [
        images.MAX_PIXELS,
        wav.MIN_RATE,
        wav.MAX_RATE,
        wav.MAX_SECONDS,
        reading.MAX_FRAMES,
        reading.MAX_FRAME_PIXELS,
    ]
    for limit in (*limits, reading.MAX_BYTES):
        assert f" {limit:,} " in MEDIA
    formats = re.search(r"\| image \| (.*?) \|", MEDIA)
    assert formats is not None
    assert formats[1].upper().split(", ") == list(images.IMAGE_FORMATS)


def test_the_multimodal_checkpoints_that_ship_are_those_of_the_page():
    shipped = [name for name in shipped_names() if load_pretrained(name)[0].config.media is not None]
    assert [f"`{name}`" for name in shipped] == re.findall(r"(`[\w-]+`)\s+ships with the package", MEDIA)


def test_the_table_of_options_is_that_of_the_configuration():
    page = (TOP / "docs" / "generation.md").read_text("utf-8")
    for field in dataclasses.fields(GenerationConfig):
        assert f"| `--{field.name.replace('_', '-')}` | {field.metadata['help']} |\n" in page
