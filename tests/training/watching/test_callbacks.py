import io
from contextlib import redirect_stderr

from gemini_workshop.training.step import StepMetrics
from gemini_workshop.training.watching.callbacks import (
    History,
    LossCurve,
    ProgressBar,
    Samples,
    read_history,
)


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


def test_a_resumed_history_forgets_what_is_done_again(tmp_path):
    path = tmp_path / "history.jsonl"
    drive(History(path), 9)
    drive(History(path), 8, first_step=5)
    assert [entry["step"] for entry in read_history(path)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_fresh_run_starts_a_fresh_history(tmp_path):
    path = tmp_path / "history.jsonl"
    drive(History(path), 9)
    drive(History(path), 2)
    assert [entry["step"] for entry in read_history(path)] == [1, 2]


def test_the_curve_is_drawn_at_each_measurement_from_the_whole_history(tmp_path):
    drawn = []
    history, curve = History(tmp_path / "h"), LossCurve(tmp_path / "h", drawn.append)
    history.started(0, 3)
    for step, nats in ((1, None), (2, 4.0), (3, None)):
        history.stepped(step, metrics(validation_nats=nats))
        curve.stepped(step, metrics(validation_nats=nats))
    assert [[entry["step"] for entry in entries] for entries in drawn] == [[1, 2]]


def test_samples_are_written_kept_and_shown_at_each_measurement(tmp_path):
    shown = []
    drive(Samples(lambda: "Once upon", tmp_path / "samples.txt", shown.append), 4, validated=[2, 4])
    assert shown[0] == "step 2, validation 4.500 nats per token:\nOnce upon\n"
    assert (tmp_path / "samples.txt").read_text("utf-8") == "".join(sample + "\n" for sample in shown)


def test_the_bar_shows_loss_validation_and_speed():
    with redirect_stderr(io.StringIO()) as stream:
        drive(ProgressBar(tokens_per_step=64), 5, validated=[3])
    text = stream.getvalue()
    assert "5/5" in text
    for words in ("loss=", "tokens/s=", "validation=3.000"):
        assert words in text


def test_a_process_that_is_not_the_first_computes_the_sample_and_keeps_it_to_itself(tmp_path):
    calls = []
    samples = Samples(lambda: calls.append("written"), tmp_path / "samples.txt", calls.append, is_first=False)
    drive(samples, 2, validated=[2])
    assert calls == ["written"]
    assert not (tmp_path / "samples.txt").exists()
