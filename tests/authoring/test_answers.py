"""The figure of what a model answers."""

import dataclasses

import matplotlib.pyplot as plt
import torch

from gemini_workshop.authoring import answers
from gemini_workshop.checkpoint import save_model
from gemini_workshop.config import load_config
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart
from gemini_workshop.data.media.reading import read_image
from gemini_workshop.data.tasks import find_task
from gemini_workshop.data.tasks.example import Example
from gemini_workshop.visualization.answers import asked_and_answered
from tests.generation.media import CONFIG, TOKENIZER, tiny_model


def test_the_first_held_out_example_of_each_task_is_asked_and_a_wrong_answer_is_shown_with_the_right_one(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(answers, "SHOWN", ("digits",))
    whole = dataclasses.replace(load_config("tiny"), model=CONFIG)
    save_model(tmp_path / "model", tiny_model().state_dict(), whole, TOKENIZER)
    answers.main([str(tmp_path / "model"), str(tmp_path / "a.png"), "--picture", str(tmp_path / "digit.png")])
    example = find_task("digits").example(0, "heldout")
    assert torch.allclose(read_image(tmp_path / "digit.png").image, example.prompt[0].image)
    assert f"(wrong: {example.answer}) |" in capsys.readouterr().out
    assert (tmp_path / "a.png").stat().st_size > 1000
    plt.close("all")


def test_the_title_counts_what_is_right():
    sound = AudioPart(samples=torch.rand(800) - 0.5, sample_rate=8000)
    example = Example(task="t", prompt=(sound, TextPart(text="what?")), answer="yes")
    figure = asked_and_answered([(example, "yes"), (example, "no")], "model")
    assert figure.get_suptitle() == "model answers 1 of 2 held-out examples, the first of each task"
    assert [cell.get_supxlabel() for cell in figure.subfigs][:2] == ["yes", "no (right: yes)"]
    plt.close("all")


def test_any_answer_of_a_model_can_be_drawn(tmp_path):
    example = Example(task="t", prompt=(TextPart(text="$x$?"), ImagePart(image=torch.rand(1, 8, 8))), answer="yes")
    figure = asked_and_answered([(example, "\x10 $_$ \U0001f600")], "model")
    figure.savefig(tmp_path / "a.png")  # a warning of a missing glyph, or a formula that cannot be read, is an error
    assert figure.subfigs[0].get_supxlabel() == "\\x10 \\$_\\$ \\U0001f600\n(right: yes)"
    plt.close("all")
