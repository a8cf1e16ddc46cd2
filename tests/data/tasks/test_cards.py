"""The table of tasks and the examples as text, and the command that prints them."""

import pytest
import torch
from typer.testing import CliRunner

from gemini_workshop.cli.main import app
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart, VideoPart
from gemini_workshop.data.tasks import Example, find_task, task_names
from gemini_workshop.data.tasks.cards import mean_media_tokens, media_tokens, show, tasks_table

PARTS = {
    "text": (TextPart(text="Hear."), 0, "Hear."),
    "image": (ImagePart(image=torch.zeros(3, 28, 17)), 12, "[image 17x28]"),
    "audio": (AudioPart(samples=torch.zeros(4000), sample_rate=8000), 13, "[audio 0.50 s]"),
    "video": (VideoPart(frames=torch.zeros(5, 1, 24, 16), frames_per_second=4.0), 30, "[video 5 frames of 16x24]"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_a_part_has_tokens_and_a_mark(kind):
    part, num_tokens, mark = PARTS[kind]
    assert media_tokens(part) == num_tokens
    assert show(Example(task="any", prompt=(part,), answer="yes")) == f"{mark}\n-> yes"


def test_an_example_is_shown_in_reading_order():
    prompt = (PARTS["text"][0], PARTS["image"][0])
    assert show(Example(task="any", prompt=prompt, answer="no")) == "Hear.\n[image 17x28]\n-> no"


def test_the_table_has_number_tokens_and_papers():
    films, sums = find_task("films"), find_task("arithmetic")
    assert mean_media_tokens(films) == 8 * 9
    lines = tasks_table([films, sums]).splitlines()
    assert lines[0].split() == ["name", "held", "out", "tokens", "about"]
    assert lines[1].split(maxsplit=3) == ["films", "500", "72", films.about]
    assert lines[2].strip() == "digits: CC BY 4.0"
    assert lines[4].strip() == "generated"


def test_the_command_lists_every_task():
    result = CliRunner().invoke(app, ["data", "tasks"])
    assert result.exit_code == 0
    shown, _, absent = result.output.partition("not on this machine: ")
    names = [line.split()[0] for line in shown.splitlines()[1:] if line[:1].strip()]
    assert sorted([*names, *absent.replace(",", " ").split()]) == sorted(task_names())


def test_the_command_shows_examples():
    words = ["data", "tasks", "films", "-n", "2", "--split", "heldout"]
    result = CliRunner().invoke(app, words)
    examples = [find_task("films").example(i, "heldout") for i in range(2)]
    assert result.output == "\n\n".join(map(show, examples)) + "\n"
    assert result.output.count("[video 8 frames of 24x24]") == 2


def test_the_command_shows_training_examples_of_a_seed():
    result = CliRunner().invoke(app, ["data", "tasks", "arithmetic", "--seed", "3"])
    assert result.output == show(find_task("arithmetic").example(0, "train", seed=3)) + "\n"


def test_the_command_refuses_an_unknown_task():
    result = CliRunner().invoke(app, ["data", "tasks", "film"])
    assert result.exit_code != 0
    assert "films" in str(result.exception)
