import math

import pytest
import torch
from torch import nn

from gemini_workshop.models.recurrent import gradient_norm_by_distance, lstm_step, rnn_step, unroll

B, T, D, R = 3, 5, 4, 6


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def weights_of(cell):
    return cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh


def rnn_weights(draw, scale=1.0):
    return draw(R, D), scale * torch.linalg.qr(draw(R, R))[0], torch.zeros(R, dtype=torch.float64)


# --- One step --------------------------------------------------------------------------------------------------------


def test_the_plain_cell_equals_pytorchs(draw):
    cell, x, state = nn.RNNCell(D, R, dtype=torch.float64), draw(B, D), draw(B, R)
    torch.testing.assert_close(rnn_step(x, state, *weights_of(cell)), cell(x, state))


def test_the_lstm_equals_pytorchs_in_both_parts_of_its_state(draw):
    cell, x, state = nn.LSTMCell(D, R, dtype=torch.float64), draw(B, D), (draw(B, R), draw(B, R))
    for ours, theirs in zip(lstm_step(x, state, *weights_of(cell)), cell(x, state), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_cell_takes_any_axes_in_front(draw):
    weights, x, state = rnn_weights(draw), draw(2, B, D), draw(2, B, R)
    torch.testing.assert_close(rnn_step(x, state, *weights)[1], rnn_step(x[1], state[1], *weights))
    torch.testing.assert_close(rnn_step(x[1, 2], state[1, 2], *weights), rnn_step(x, state, *weights)[1, 2])


def test_an_lstm_with_open_forget_gate_and_closed_input_gate_keeps_its_cell_for_ever(draw):
    cell = draw(B, R)
    gates = torch.tensor([-100.0, 100.0, 0.0, 0.0], dtype=torch.float64).repeat_interleave(R)
    state = (draw(B, R), cell)
    for _ in range(100):
        state = lstm_step(draw(B, D), state, torch.zeros(4 * R, D).double(), torch.zeros(4 * R, R).double(), gates)
    torch.testing.assert_close(state[1], cell)


# --- Many steps ------------------------------------------------------------------------------------------------------


def test_unrolled_cells_equal_pytorchs_layers(draw):
    inputs, zeros = draw(B, T, D), torch.zeros(B, R, dtype=torch.float64)
    rnn, lstm = (kind(D, R, batch_first=True, dtype=torch.float64) for kind in (nn.RNN, nn.LSTM))

    def weights(layer):
        return layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0 + layer.bias_hh_l0

    states = unroll(lambda x, state: rnn_step(x, state, *weights(rnn)), inputs, zeros)
    torch.testing.assert_close(torch.stack(states, dim=1), rnn(inputs)[0])
    pairs = unroll(lambda x, state: lstm_step(x, state, *weights(lstm)), inputs, (zeros, zeros))
    torch.testing.assert_close(torch.stack([hidden for hidden, _ in pairs], dim=1), lstm(inputs)[0])
    torch.testing.assert_close(pairs[-1][1], lstm(inputs)[1][1][0])


def test_a_state_can_be_anything_that_the_step_understands(draw):
    assert unroll(lambda x, count: count + x.shape[0], draw(B, T, D), 0) == [3, 6, 9, 12, 15]


def test_no_input_leaves_no_state(draw):
    assert unroll(lambda x, state: state, draw(B, 0, D), 0) == []


# --- Gradients by distance -------------------------------------------------------------------------------------------


def rnn(draw, scale, weights=None):
    weights = weights or rnn_weights(draw, scale)

    def run(inputs):
        start = torch.zeros(len(inputs), R, dtype=torch.float64)
        return torch.stack(unroll(lambda x, state: rnn_step(x, state, *weights), inputs, start), dim=1)

    return run


def test_the_norms_are_those_of_the_jacobian_by_finite_differences(draw):
    run, inputs, h = rnn(draw, 1.1), draw(B, T, D), 1e-6
    expected = torch.zeros(T, dtype=torch.float64)
    for distance in range(T):
        slopes = []
        for d in range(D):
            nudge = torch.zeros_like(inputs)
            nudge[:, T - 1 - distance, d] = h
            slopes.append((run(inputs + nudge)[:, -1].sum(-1) - run(inputs - nudge)[:, -1].sum(-1)) / (2 * h))
        expected[distance] = torch.stack(slopes).norm(dim=0).mean()
    torch.testing.assert_close(gradient_norm_by_distance(run, inputs), expected, rtol=1e-6, atol=1e-9)


def test_a_running_sum_with_a_factor_fades_by_that_factor_a_step():
    def run(inputs):
        return torch.stack(unroll(lambda x, state: 0.5 * state + x, inputs, torch.zeros(1, 4)), dim=1)

    norms = gradient_norm_by_distance(run, torch.zeros(1, 3, 4))
    assert norms.tolist() == [2.0, 1.0, 0.5]  # the norm of (1, 1, 1, 1) is 2


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.3])
def test_gradients_never_exceed_the_largest_singular_value_to_the_power_of_the_distance(draw, scale):
    weights = rnn_weights(draw, scale)
    norms = gradient_norm_by_distance(rnn(draw, scale, weights), draw(B, 30, D))
    bound = math.sqrt(R) * torch.linalg.svdvals(weights[0])[0] * scale ** torch.arange(30)
    assert (norms <= bound).all()


def test_without_recurrent_weights_an_lstms_gradient_fades_by_its_forget_gate(draw):
    bias = torch.zeros(4 * R, dtype=torch.float64)
    bias[R : 2 * R] = 3.0
    weights = (draw(4 * R, D) * (torch.arange(4 * R) // R == 2)[:, None], torch.zeros(4 * R, R).double(), bias)

    def run(inputs):
        zeros = torch.zeros(len(inputs), R, dtype=torch.float64)
        pairs = unroll(lambda x, state: lstm_step(x, state, *weights), inputs, (zeros, zeros))
        return torch.stack([hidden for hidden, _ in pairs], dim=1)

    norms = gradient_norm_by_distance(run, torch.zeros(B, 20, D).double())
    forget = torch.tensor(3.0, dtype=torch.float64).sigmoid()
    torch.testing.assert_close(norms[1:] / norms[:-1], forget.expand(19))


def test_the_inputs_are_left_as_they_were(draw):
    inputs = draw(B, T, D)
    gradient_norm_by_distance(rnn(draw, 1.0), inputs)
    assert not inputs.requires_grad
    assert inputs.grad is None
