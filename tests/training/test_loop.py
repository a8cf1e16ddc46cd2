import signal
import time
from dataclasses import replace

import pytest
import torch

from gemini_workshop.errors import TrainingError
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.models.attention import PLAIN, AttentionRule
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.training import loop
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.loop import fit
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.precision import attention_on_cpu, matrix_products_in
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.watching.callbacks import Callback
from tests.training.sources import windows


class Recorder(Callback):
    """What the loop reports."""

    def __init__(self, act_at=None, act=None):
        self.steps, self.validated, self.calls = [], [], []
        self.act_at, self.act = act_at, act

    def started(self, first_step, steps):
        self.calls.append(("started", first_step, steps))

    def stepped(self, step, metrics):
        self.steps.append(step)
        if metrics.validation_nats is not None:
            self.validated.append(step)
        if step == self.act_at:
            self.act()

    def ended(self, step):
        self.calls.append(("ended", step))


class Saved:
    """The steps at which the loop saves, with the measurements and the weights at each."""

    def __init__(self, state):
        self.state, self.steps, self.metrics, self.weights = state, [], [], []

    def __call__(self, metrics):
        self.steps.append(self.state.step)
        self.metrics.append(metrics)
        self.weights.append([weight.detach().clone() for weight in self.state.model.parameters()])


def begin(model, config, step=0):
    state = TrainingState.begin(NextTokenPrediction(model, config))
    state.step = step
    return state


def run(model, config, recorder, **more):
    return fit(begin(model, config), windows(seed=config.seed), [recorder], **more)


def nats(model, config):
    return evaluate(NextTokenPrediction(model, config), windows().validation())


def test_training_lowers_the_loss(model, training):
    before = nats(model, training)
    run(model, replace(training, steps=60), Recorder())
    assert nats(model, training) < before - 0.1


def test_the_loop_measures_on_schedule_and_at_the_end(model, training):
    recorder = Recorder()
    outcome = run(model, replace(training, steps=25, eval_every_steps=10), recorder)
    assert recorder.steps == list(range(1, 26))
    assert recorder.validated == [10, 20, 25]
    assert recorder.calls == [("started", 0, 25), ("ended", 25)]
    assert (outcome.step, outcome.ending) == (25, "finished")


def test_callbacks_change_no_weight(model, config, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, training, Recorder())
    fit(begin(other, training), windows())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_ctrl_c_ends_the_run_after_the_current_step(model, training):
    handler = signal.getsignal(signal.SIGINT)
    recorder = Recorder(act_at=4, act=lambda: signal.raise_signal(signal.SIGINT))
    outcome = run(model, training, recorder)
    assert outcome.ending == "interrupted"
    assert recorder.calls[-1] == ("ended", outcome.step)
    assert recorder.steps[-1] == outcome.step == 5
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_stops_at_once(model, training):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(model, training, Recorder(act_at=4, act=twice))


def test_when_the_time_is_up_the_run_is_measured_and_ends(model, training):
    recorder = Recorder(act_at=3, act=lambda: time.sleep(0.3))
    outcome = run(model, replace(training, steps=100_000), recorder, minutes=0.2 / 60)
    assert outcome.ending == "time"
    assert outcome.step < 100_000
    assert recorder.validated == [outcome.step]


def test_in_bf16_products_are_bfloat16_and_attention_where_chunks_suit(model):
    accelerate(model)
    seen = {}

    def watch(_layer, _inputs, output):
        seen["product"] = output.dtype

    layer = next(module for module in model.modules() if isinstance(module, GroupedQueryAttention))
    layer.query.register_forward_hook(watch)
    with matrix_products_in("bf16", model):
        assert layer.attend is attention_on_cpu
        logits = model(torch.tensor([[1, 2, 3]]))
    assert seen["product"] == logits.dtype == torch.bfloat16
    assert layer.attend is fast_causal_attention
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    query = torch.randn(1, 6, 3, 4, dtype=torch.bfloat16)
    key = query[:, :2]
    assert attention_on_cpu(query, key, key, PLAIN).dtype == torch.bfloat16
    assert attention_on_cpu(query, key, key, AttentionRule(softcap=5.0)).dtype == torch.float32


def test_bf16_trains_to_nearly_the_same_loss(config, model, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, training, Recorder())
    run(other, replace(training, precision="bf16"), Recorder())
    assert nats(other, training) == pytest.approx(nats(model, training), abs=0.05)


def test_a_compiler_that_is_missing_is_named(model, training, monkeypatch):
    def fail(_network):
        def call(*_):
            raise torch._dynamo.exc.TorchDynamoException("InvalidCxxCompiler: No working C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(TrainingError, match=r"No working C\+\+ compiler found.*train with --set compile=false"):
        run(model, replace(training, compile=True), Recorder())


def test_recomputing_blocks_changes_no_weight(model, config, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, training, Recorder())
    run(other, replace(training, recompute_blocks=True), Recorder())
    assert other.recompute_blocks
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_deterministic_run_equals_another_and_refuses_what_could_differ(model, config, training):
    training = replace(training, deterministic=True, optimizer="muon")
    seen = Recorder(act_at=2, act=lambda: switches.append(torch.are_deterministic_algorithms_enabled()))
    switches = []
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, training, seen)
    run(other, training, Recorder())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert switches == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_other_weights(model, config, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, training, Recorder())
    run(other, replace(training, seed=1), Recorder())  # the same initial weights, another order of the windows
    assert not torch.equal(model.embedding.weight, other.embedding.weight)


def test_a_run_without_progress_ends(model, training):
    training = replace(training, learning_rate=1e-30, steps=200, eval_every_steps=2, patience_evals=3)
    outcome = run(model, training, Recorder())
    assert (outcome.step, outcome.ending) == (8, "no progress")


def test_a_run_that_is_done_does_no_step_and_is_not_saved_again(model, training):
    recorder, state = Recorder(), begin(model, training, step=30)
    saved = Saved(state)
    assert fit(state, windows(), [recorder], save=saved).ending == "finished"
    assert recorder.steps == saved.steps == []


def test_a_run_is_saved_on_schedule_and_at_the_end_with_the_newest_measurements(model, training):
    config = replace(training, steps=10, checkpoint_every_steps=4, eval_every_steps=4, learning_rate=0.1)
    state = begin(model, config)
    saved, recorder = Saved(state), Recorder()
    fit(state, windows(), [recorder], save=saved)
    assert saved.steps == [4, 8, 10]
    assert [metrics["validation_step"] for metrics in saved.metrics] == [4, 8, 10]
    assert saved.metrics[0].keys() == {"loss_nats", "validation_nats", "validation_step"}


def test_the_best_measurement_so_far_is_saved_and_a_worse_one_is_not(model, training, monkeypatch):
    measured = iter([5.0, 4.0, 4.5, 4.0, 3.0])
    monkeypatch.setattr(loop, "evaluate", lambda *_, **__: next(measured))
    state = begin(model, replace(training, steps=5, eval_every_steps=1, checkpoint_every_steps=100))
    saved = Saved(state)
    fit(state, windows(), save=saved)
    assert saved.steps == [1, 2, 5]


def test_the_best_measurement_before_a_run_was_resumed_counts(model, training, monkeypatch):
    monkeypatch.setattr(loop, "evaluate", lambda *_, **__: 4.0)
    state = begin(model, replace(training, steps=5, eval_every_steps=2, checkpoint_every_steps=100), step=1)
    state.patience.best = 3.0
    saved = Saved(state)
    fit(state, windows(), save=saved)
    assert saved.steps == [5]


def test_weights_that_are_not_finite_are_not_saved(model, training):
    with torch.no_grad():
        model.norm.weight.fill_(float("nan"))
    state, recorder = begin(model, training, step=3), Recorder()
    saved = Saved(state)
    with pytest.raises(
        TrainingError,
        match=r"Step 4 was not taken\. The loss is nan: learning_rate=0\.01.* source\.batch\(3\) returns the batch.*"
        r"The weights are already NaN; resume from the previous checkpoint\..*--set learning_rate=7e-03",
    ):
        fit(state, windows(), [recorder], save=saved)
    assert recorder.calls == [("started", 3, 30), ("ended", 3)]
    assert saved.steps == []


def test_bad_data_stops_the_run_with_the_step_before_it_saved(model, training):
    """A hook stands for a broken kernel, or an overflow: activations become NaN at step 5."""
    state = begin(model, training)
    saved = Saved(state)
    break_it = lambda: model.norm.register_forward_hook(lambda *_: _[-1] * float("nan"))  # noqa: E731
    recorder = Recorder(act_at=4, act=break_it)
    message = r"Step 5 was not taken\. The loss is nan.*source\.batch\(4\) .*The weights before it are saved\."
    with pytest.raises(TrainingError, match=message):
        fit(state, windows(), [recorder], save=saved)
    assert recorder.calls[-1] == ("ended", 4)
    assert saved.steps == [4]
    assert saved.metrics[0].keys() == {"loss_nats"}
    assert all(bool(weight.isfinite().all()) for weight in saved.weights[0])


def test_a_first_step_that_fails_leaves_nothing_to_save(model, training):
    before = [weight.detach().clone() for weight in model.parameters()]
    model.norm.register_forward_hook(lambda *_: _[-1] * float("nan"))
    state = begin(model, training)
    saved = Saved(state)
    with pytest.raises(TrainingError, match=r"Step 1 was not taken\..*No step was taken yet, so nothing was saved\."):
        fit(state, windows(), save=saved)
    assert saved.steps == []
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))


def test_a_crash_closes_what_the_callbacks_opened(model, training):
    def crash():
        raise RuntimeError("crash")

    recorder = Recorder(act_at=4, act=crash)
    with pytest.raises(RuntimeError, match="crash"):
        run(model, training, recorder)
    assert recorder.calls[-1] == ("ended", 4)
