import sys
from types import SimpleNamespace

import pytest

from gemini_workshop.errors import TrainingError
from gemini_workshop.training.watching import tracking
from gemini_workshop.training.watching.callbacks import StepMetrics
from gemini_workshop.training.watching.tracking import check_trackers, make_tracker

SETTINGS = {"training": {"steps": 9}}


def drive(tracker, first_step=0):
    tracker.started(first_step, 9)
    for step in range(first_step + 1, first_step + 3):
        tracker.stepped(step, StepMetrics(loss_nats=step / 2, gradient_norm=1.5, learning_rate=0.1))
    tracker.ended(first_step + 2)


@pytest.fixture
def wandb(monkeypatch):
    """Weights & Biases as far as it is used: it notes what it is told."""
    told = []

    def init(**options):
        told.append(("init", options))
        return SimpleNamespace(
            log=lambda figures, step: told.append((step, figures)), finish=lambda: told.append(("finish", {}))
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    return told


def test_weights_and_biases_is_told_settings_figures_and_the_end(tmp_path, wandb):
    drive(make_tracker("wandb", tmp_path / "..", SETTINGS, lambda: {"mfu": 0.5}))
    (init, options), first, *_, last = wandb
    assert (init, options["config"], options["resume"]) == ("init", SETTINGS, "allow")
    assert first == (1, {"loss_nats": 0.5, "gradient_norm": 1.5, "learning_rate": 0.1, "mfu": 0.5})
    assert last == ("finish", {})


def test_a_resumed_run_goes_on_with_the_curves_that_it_began(tmp_path, wandb):
    (tmp_path / "other").mkdir()
    for folder, first_step in ((tmp_path, 0), (tmp_path, 2), (tmp_path / "other", 0)):
        drive(make_tracker("wandb", folder, SETTINGS, dict), first_step)
    first, again, other = (options["id"] for word, options in wandb if word == "init")
    assert first == again != other


def test_tensorboard_holds_every_figure_at_its_step(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    drive(make_tracker("tensorboard", tmp_path, SETTINGS, lambda: {"mfu": 0.5}))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss_nats")] == [(1, 0.5), (2, 1.0)]
    assert set(events.Tags()["scalars"]) == {"loss_nats", "gradient_norm", "learning_rate", "mfu"}


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_tracker_that_is_not_installed_is_refused_with_the_way_to_get_it(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrainingError, match=rf"{name} is not installed.*pip install .*\[tracking\].*without --track"):
        check_trackers([name])


def test_an_unknown_tracker_is_answered_with_the_nearest():
    with pytest.raises(TrainingError, match=r"no tracker 'tensorbord'. Did you mean 'tensorboard'\?"):
        check_trackers(["tensorbord"])
