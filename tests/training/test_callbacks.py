import io
from contextlib import redirect_stderr

import pytest

from gemini_workshop.training.callbacks import (
    History,
    LossCurve,
    ProgressBar,
    Samples,
    SaveCheckpoints,
    StepMetrics,
    draw_loss_curve,
    finding,
    read_history,
)

FLOORS = {"uniform": 6.9, "unigram": 5.5, "bigram": 3.25}


def metrics(loss_nats=2.0, validation_nats=None):
    return StepMetrics(loss_nats=loss_nats, gradient_norm=1.5, learning_rate=0.1, validation_nats=validation_nats)


def drive(callback, steps, validated=(), first_step=0):
    callback.started(first_step, steps)
    for step in range(first_step + 1, steps + 1):
        callback.stepped(step, metrics(loss_nats=10 / step, validation_nats=9 / step if step in validated else None))
    callback.ended(steps)


def test_a_history_holds_what_was_measured(tmp_path):
    path = tmp_path / "history.jsonl"
    drive(History(path), 3, validated=[2])
    assert read_history(path)[0] == {"step": 1, "loss_nats": 10.0, "gradient_norm": 1.5, "learning_rate": 0.1}
    assert [entry.get("validation_nats") for entry in read_history(path)] == [None, 4.5, None]


def test_a_history_that_goes_on_forgets_what_is_done_again(tmp_path):
    path = tmp_path / "history.jsonl"
    drive(History(path), 9)
    drive(History(path), 8, first_step=5)
    assert [entry["step"] for entry in read_history(path)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_fresh_run_starts_a_fresh_history(tmp_path):
    path = tmp_path / "history.jsonl"
    drive(History(path), 9)
    drive(History(path), 2)
    assert [entry["step"] for entry in read_history(path)] == [1, 2]


def test_checkpoints_come_on_schedule_and_at_the_end_with_the_newest_numbers():
    saved = []
    drive(SaveCheckpoints(lambda step, found: saved.append((step, found)), 4), 10, validated=[4])
    assert [step for step, _ in saved] == [4, 8, 10]
    assert saved[0][1] == {"loss_nats": 2.5, "validation_nats": 2.25, "validation_step": 4}
    assert saved[2][1] == {"loss_nats": 1.0, "validation_nats": 2.25, "validation_step": 4}


def test_the_best_measurement_so_far_is_saved_and_a_worse_one_is_not():
    saved = []
    callback = SaveCheckpoints(lambda step, _: saved.append(step), 100)
    callback.started(0, 10)
    for step, nats in enumerate([5.0, 4.0, 4.5, 4.0, 3.0], start=1):
        callback.stepped(step, metrics(validation_nats=nats))
    assert saved == [1, 2, 5]


def test_the_last_step_is_saved_once():
    saved = []
    drive(SaveCheckpoints(lambda step, _: saved.append(step), 5), 10)
    assert saved == [5, 10]


def test_a_run_that_was_done_when_it_was_resumed_is_not_saved_again():
    saved = []
    drive(SaveCheckpoints(lambda step, _: saved.append(step), 5), 10, first_step=10)
    assert saved == []


def test_the_curve_is_drawn_at_each_measurement(tmp_path):
    history, curve = History(tmp_path / "h"), LossCurve(tmp_path / "h", tmp_path / "loss.png", FLOORS)
    history.started(0, 2)
    for step, nats in ((1, None), (2, 4.0)):
        history.stepped(step, metrics(validation_nats=nats))
        curve.stepped(step, metrics(validation_nats=nats))
        assert (tmp_path / "loss.png").exists() == (step == 2)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_names_axes_units_floors_and_finding(tmp_path):
    """In SVG with text kept as text, so that the words can be read back."""
    import matplotlib

    entries = [{"step": 1, "loss_nats": 7.0}, {"step": 2, "loss_nats": 2.5, "validation_nats": 2.75}]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw_loss_curve(entries, tmp_path / "loss.svg", FLOORS)
    text = (tmp_path / "loss.svg").read_text("utf-8")
    for words in (
        "optimizer step (log scale)",
        "loss (nats per token)",
        "uniform 6.90",
        "unigram 5.50",
        "bigram 3.25",
        "training",
        "validation 2.75",
        "The model is 0.50 nats a token below the bigram floor",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        (8.0, "The validation loss is 8.00 nats a token"),
        (6.0, "The model is 0.90 nats a token below the uniform floor"),
        (3.0, "The model is 0.25 nats a token below the bigram floor"),
    ],
)
def test_the_finding_is_the_lowest_floor_passed(nats, words):
    assert finding(nats, FLOORS) == words


def test_samples_are_written_kept_and_shown_at_each_measurement(tmp_path):
    shown = []
    drive(Samples(lambda: "Once upon", tmp_path / "samples.txt", shown.append), 4, validated=[2, 4])
    assert shown[0] == "step 2, validation 4.500 nats a token:\nOnce upon\n"
    assert (tmp_path / "samples.txt").read_text("utf-8") == "".join(sample + "\n" for sample in shown)


def test_the_bar_shows_loss_validation_and_speed():
    with redirect_stderr(io.StringIO()) as stream:
        drive(ProgressBar(tokens_per_step=64), 5, validated=[3])
    text = stream.getvalue()
    assert "5/5" in text
    for words in ("loss=", "tokens/s=", "validation=3.000"):
        assert words in text
