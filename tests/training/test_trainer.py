import math
import signal
import time
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.dataset import TokenWindows
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.attention import PLAIN, AttentionRule
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.backends import fast_causal_attention
from gemini_workshop.training.callbacks import Callback
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.objective import Objective
from gemini_workshop.training.optimizer import make_optimizer
from gemini_workshop.training.precision import attention_on_cpu, matrix_products_in
from gemini_workshop.training.schedule import learning_rate_at
from gemini_workshop.training.trainer import evaluate, fit, train_step

IDS = torch.randint(0, 13, (200,), generator=torch.Generator().manual_seed(5), dtype=torch.int32)


@pytest.fixture
def windows():
    return TokenWindows(IDS, 7)


class Recorder(Callback):
    """What the loop tells."""

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


def run(model, windows, config, recorder, **more):
    optimizer = make_optimizer(model, config)
    return fit(model, optimizer, windows, windows, config, callbacks=[recorder], **more)


def test_at_initialisation_every_token_is_about_equally_likely(model, windows, training):
    assert evaluate(model, windows, training) == pytest.approx(math.log(13), abs=0.02)


def test_a_tiny_model_memorises_one_batch(model, training):
    inputs = torch.tensor([[1, 4, 7, 2, 9, 3, 0], [2, 8, 8, 5, 11, 12, 6], [10, 3, 1, 1, 5, 7, 7]])
    targets = inputs.roll(-1, dims=1)
    training = replace(training, weight_decay=0.0)
    optimizer = make_optimizer(model, training)
    losses = [train_step(Objective(model, training), optimizer, inputs, targets, 0.02).loss_nats for _ in range(80)]
    assert losses[0] > 2.4
    assert losses[-1] < 0.02


def test_gradients_equal_finite_differences(model):
    """In float64, for a weight of every kind, with every weight drawn so that no gradient is zero for a dull reason."""
    generator = torch.Generator().manual_seed(2)
    model = model.double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=generator)
    inputs = torch.randint(0, 13, (3, 7), generator=generator)
    targets = torch.randint(0, 13, (3, 7), generator=generator)

    def loss():
        return cross_entropy(model(inputs), targets)

    loss().backward()
    step = 1e-6
    for name, weight in model.named_parameters():
        place = int(weight.grad.abs().argmax())
        flat = weight.data.view(-1)
        start = flat[place].item()
        with torch.no_grad():
            flat[place] = start + step
            above = loss().item()
            flat[place] = start - step
            below = loss().item()
            flat[place] = start
        difference = (above - below) / (2 * step)
        assert weight.grad.view(-1)[place].item() == pytest.approx(difference, rel=1e-5, abs=1e-9), name


def test_a_gradient_beyond_the_limit_is_scaled_to_it(model, windows, training):
    """Plain descent at rate 1 moves by the gradient itself, so the length of the move is the clipped norm."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    config = replace(training, clip_norm=0.01)
    metrics = train_step(Objective(model, config), optimizer, *windows.batch(0, 3, 0), 1.0)
    after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    assert metrics.gradient_norm > 0.1
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_step_uses_the_learning_rate_it_is_given(model, windows, training):
    optimizer = make_optimizer(model, training)
    train_step(Objective(model, training), optimizer, *windows.batch(0, 3, 0), 0.123)
    assert [group["lr"] for group in optimizer.param_groups] == [0.123, 0.123]


def test_the_first_step_has_the_first_rate_of_the_warm_up_and_the_last_the_final_one(training):
    assert learning_rate_at(1, training) == pytest.approx(training.learning_rate / 2)
    assert learning_rate_at(2, training) == pytest.approx(training.learning_rate)
    assert learning_rate_at(30, training) == pytest.approx(training.learning_rate / 10)


def test_the_validation_loss_is_the_mean_over_all_tokens(model, windows, training):
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=torch.Generator().manual_seed(0))
    losses = []
    for inputs, targets in windows.sequential_batches(1):
        losses += torch.nn.functional.cross_entropy(
            model(inputs).flatten(0, 1), targets.flatten(), reduction="none"
        ).tolist()
    assert len(losses) == len(IDS) - 1
    assert evaluate(model, windows, training) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_a_limited_evaluation_reads_as_many_batches_spread_over_the_text(model, windows, training):
    losses = [
        torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).item()
        for inputs, targets in windows.sequential_batches(training.batch_size, 2)
    ]
    assert len(losses) == 2
    assert evaluate(model, windows, training, max_batches=2) == pytest.approx(sum(losses) / 2)


def test_an_evaluation_changes_nothing(model, windows, training):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    evaluate(model, windows, training)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_training_lowers_the_loss(model, windows, training):
    before = evaluate(model, windows, training)
    run(model, windows, replace(training, steps=60), Recorder())
    assert evaluate(model, windows, training) < before - 0.1


def test_the_loop_measures_on_schedule_and_at_the_end(model, windows, training):
    recorder = Recorder()
    outcome = run(model, windows, replace(training, steps=25, eval_every_steps=10), recorder)
    assert recorder.steps == list(range(1, 26))
    assert recorder.validated == [10, 20, 25]
    assert recorder.calls == [("started", 0, 25), ("ended", 25)]
    assert (outcome.step, outcome.ending) == (25, "finished")


def test_callbacks_change_no_weight(model, config, windows, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, windows, training, Recorder())
    fit(other, make_optimizer(other, training), windows, windows, training)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_ctrl_c_ends_the_run_after_the_step_at_hand(model, windows, training):
    handler = signal.getsignal(signal.SIGINT)
    recorder = Recorder(act_at=4, act=lambda: signal.raise_signal(signal.SIGINT))
    outcome = run(model, windows, training, recorder)
    assert outcome.ending == "interrupted"
    assert recorder.calls[-1] == ("ended", outcome.step)
    assert recorder.steps[-1] == outcome.step == 5
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_stops_at_once(model, windows, training):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(model, windows, training, Recorder(act_at=4, act=twice))


def test_when_the_time_is_up_the_run_is_measured_and_ends(model, windows, training):
    recorder = Recorder(act_at=3, act=lambda: time.sleep(0.3))
    outcome = run(model, windows, replace(training, steps=100_000), recorder, minutes=0.2 / 60)
    assert outcome.ending == "time"
    assert outcome.step < 100_000
    assert recorder.validated == [outcome.step]


def test_a_loss_that_is_no_number_ends_the_run_with_the_rate_to_blame(model, windows, training):
    with torch.no_grad():
        model.norm.weight.fill_(float("nan"))
    recorder = Recorder()
    with pytest.raises(
        TrainingError,
        match=r"Step 1 was not taken\. The loss is nan: learning_rate=0\.01 .* windows 0 to 2 .*"
        r"The weights are spoilt already; go back a checkpoint\..*--set learning_rate=7e-03",
    ):
        run(model, windows, training, recorder)
    assert recorder.calls == [("started", 0, 30)]  # and not ended: nothing is saved


def test_a_poisoned_batch_leaves_the_weights_before_it_and_lets_them_be_saved(model, windows, training, monkeypatch):
    before = [weight.detach().clone() for weight in model.parameters()]
    monkeypatch.setattr(model, "logits", lambda hidden: hidden @ model.embedding.weight.T * float("nan"))
    recorder = Recorder()
    with pytest.raises(TrainingError, match=r"Step 1 was not taken\..*The weights before it are saved\."):
        run(model, windows, training, recorder)
    assert recorder.calls == [("started", 0, 30), ("ended", 0)]
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))


def test_a_run_that_is_done_does_no_step(model, windows, training):
    recorder = Recorder()
    assert run(model, windows, training, recorder, first_step=30).ending == "finished"
    assert recorder.steps == []


def test_in_bf16_products_are_bfloat16_and_attention_where_chunks_suit(model):
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


def test_bf16_trains_to_nearly_the_same_loss(config, model, windows, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, windows, training, Recorder())
    run(other, windows, replace(training, precision="bf16"), Recorder())
    assert evaluate(other, windows, training) == pytest.approx(evaluate(model, windows, training), abs=0.05)


def test_a_compiler_that_is_missing_is_named(model, windows, training, monkeypatch):
    def fail(_network):
        def call(*_):
            raise torch._dynamo.exc.TorchDynamoException("InvalidCxxCompiler: No working C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(TrainingError, match=r"No working C\+\+ compiler found.*train with --set compile=false"):
        run(model, windows, replace(training, compile=True), Recorder())


def test_recomputing_blocks_changes_no_weight(model, config, windows, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, windows, training, Recorder())
    run(other, windows, replace(training, recompute_blocks=True), Recorder())
    assert other.recompute_blocks
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_deterministic_run_equals_another_and_refuses_what_could_differ(model, config, windows, training):
    training = replace(training, deterministic=True, optimizer="muon")
    seen = Recorder(act_at=2, act=lambda: switches.append(torch.are_deterministic_algorithms_enabled()))
    switches = []
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, windows, training, seen)
    run(other, windows, training, Recorder())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert switches == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_other_weights(model, config, windows, training):
    other = type(model)(config, torch.Generator().manual_seed(0))
    run(model, windows, training, Recorder())
    run(other, windows, replace(training, seed=1), Recorder())  # the same beginning, another order of the windows
    assert not torch.equal(model.embedding.weight, other.embedding.weight)


def test_progress_that_ends_is_told(model, windows, training):
    training = replace(training, learning_rate=1e-30, steps=200, eval_every_steps=2, patience_evals=3)
    outcome = run(model, windows, training, Recorder())
    assert (outcome.step, outcome.ending) == (8, "no progress")


def test_a_poisoned_batch_stops_the_run_with_the_step_before_it_saved(model, windows, training):
    """A hook stands for a broken kernel, or an overflow: activations become NaN at step 5."""
    recorder = Recorder(act_at=4, act=lambda: model.norm.register_forward_hook(lambda *_: _[-1] * float("nan")))
    with pytest.raises(TrainingError, match=r"Step 5 was not taken\. The loss is nan.*windows 12 to 14 of the order"):
        run(model, windows, training, recorder)
    assert recorder.calls[-1] == ("ended", 4)
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
