"""Right answers in many styles pass the checks of lesson 01."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_01.gradient_norm_by_distance import GRADIENT
from gemini_workshop.exercises.lesson_01.lstm_step import LSTM_STEP
from gemini_workshop.exercises.lesson_01.unroll import UNROLL

# --- rnn_step --------------------------------------------------------------------------------------------------------


def rnn_by_linear(x, state, input_weight, recurrent_weight, bias):
    return torch.tanh(F.linear(x, input_weight, bias) + F.linear(state, recurrent_weight))


def rnn_by_one_matrix(x, state, input_weight, recurrent_weight, bias):
    both = torch.cat([x, state], dim=-1)
    return (both @ torch.cat([input_weight, recurrent_weight], dim=1).T + bias).tanh()


def rnn_by_einsum(x, state, input_weight, recurrent_weight, bias):
    total = torch.einsum("...d,rd->...r", x, input_weight) + torch.einsum("...s,rs->...r", state, recurrent_weight)
    return torch.tanh(total + bias)


def rnn_by_columns(x, state, input_weight, recurrent_weight, bias):
    total = (input_weight @ x[..., None] + recurrent_weight @ state[..., None]).squeeze(-1) + bias
    return 2 * torch.sigmoid(2 * total) - 1


# --- unroll ----------------------------------------------------------------------------------------------------------


def unroll_by_index(step, inputs, state):
    states = [state]
    for t in range(inputs.shape[1]):
        states.append(step(inputs[:, t], states[t]))
    return states[1:]


def unroll_by_accumulate(step, inputs, state):
    steps = itertools.accumulate(inputs.unbind(1), lambda state, x: step(x, state), initial=state)
    return list(steps)[1:]


def unroll_time_first(step, inputs, state):
    states = []
    for x in inputs.transpose(0, 1):
        states += [state := step(x, state)]
    return states


def unroll_recursively(step, inputs, state):
    if inputs.shape[1] == 0:
        return []
    state = step(inputs[:, 0], state)
    return [state, *unroll_recursively(step, inputs[:, 1:], state)]


def unroll_to_a_tuple(step, inputs, state):
    return tuple(unroll_by_index(step, inputs, state))


# --- gradient_norm_by_distance ---------------------------------------------------------------------------------------


def gradient_by_backward(run, inputs):
    x = inputs.clone().requires_grad_()
    run(x)[:, -1].sum().backward()
    return x.grad.norm(dim=2).mean(dim=0).flip(0)


def gradient_by_squares(run, inputs):
    copy = torch.tensor(inputs.numpy(), requires_grad=True)
    gradient = torch.autograd.grad(run(copy)[:, -1, :].sum(), copy)[0]
    return torch.flip(gradient.square().sum(-1).sqrt().mean(0), dims=(0,))


def gradient_sequence_by_sequence(run, inputs):
    total = torch.zeros(inputs.shape[1])
    for sequence in inputs.split(1):
        x = sequence.detach().clone().requires_grad_()
        run(x)[0, -1].sum().backward()
        for distance in range(x.shape[1]):
            total[distance] += x.grad[0, -1 - distance].norm() / len(inputs)
    return total


def gradient_by_jacobian(run, inputs):
    jacobian = torch.autograd.functional.jacobian(lambda x: run(x)[:, -1].sum(-1), inputs)
    own = torch.stack([jacobian[b, b] for b in range(len(inputs))])
    return torch.linalg.vector_norm(own, dim=-1).mean(0)[torch.arange(inputs.shape[1] - 1, -1, -1)]


# --- lstm_step -------------------------------------------------------------------------------------------------------


def lstm_by_linear(x, state, input_weight, recurrent_weight, bias):
    h, c = state
    i, f, g, o = torch.split(F.linear(x, input_weight, bias) + F.linear(h, recurrent_weight), h.shape[-1], dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm_gate_by_gate(x, state, input_weight, recurrent_weight, bias):
    hidden, cell = state
    total = [
        x @ W.T + hidden @ U.T + b
        for W, U, b in zip(input_weight.chunk(4), recurrent_weight.chunk(4), bias.chunk(4), strict=True)
    ]
    i, f, o = (1 / (1 + torch.exp(-total[n])) for n in (0, 1, 3))
    new = f * cell + i * total[2].tanh()
    return o * new.tanh(), new


def lstm_by_slices(x, state, input_weight, recurrent_weight, bias):
    R = state[0].shape[-1]
    gates = torch.cat([x, state[0]], -1) @ torch.cat([input_weight, recurrent_weight], 1).T + bias
    cell = gates[..., R : 2 * R].sigmoid() * state[1]
    cell += gates[..., :R].sigmoid() * gates[..., 2 * R : 3 * R].tanh()
    return [gates[..., 3 * R :].sigmoid() * cell.tanh(), cell]


def lstm_of_torch(x, state, input_weight, recurrent_weight, bias):
    flat = [part.reshape(-1, part.shape[-1]) for part in (x, *state)]
    hidden, cell = torch.lstm_cell(flat[0], flat[1:], input_weight, recurrent_weight, bias, torch.zeros_like(bias))
    return hidden.reshape(state[0].shape), cell.reshape(state[1].shape)


RIGHT = {
    "01.1": [rnn_by_linear, rnn_by_one_matrix, rnn_by_einsum, rnn_by_columns],
    "01.2": [unroll_by_index, unroll_by_accumulate, unroll_time_first, unroll_recursively, unroll_to_a_tuple],
    "01.3": [
        gradient_by_backward,
        gradient_by_squares,
        gradient_sequence_by_sequence,
        gradient_by_jacobian,
    ],
    "01.4": [lstm_by_linear, lstm_gate_by_gate, lstm_by_slices, lstm_of_torch],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What a verdict says ---------------------------------------------------------------------------------------------


def test_a_step_is_shown_by_its_text_and_not_by_its_address():
    verdict = judge(UNROLL, lambda step, inputs, state: [step(x, state) for x in inputs.unbind(1)])
    assert "`lambda x, state: state / 2 + x`, the state after input 1 is (6, 20); it should" in str(verdict)
    assert "0x" not in str(judge(UNROLL, lambda step, inputs, state: [state]))


def test_a_state_that_is_detached_on_its_way_is_noticed_by_its_gradient():
    def detached(step, inputs, state):
        states = []
        for x in inputs.unbind(1):
            state = step(x, state)
            states.append(state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return states

    verdict = judge(UNROLL, detached)
    assert verdict.outcome == Outcome.WRONG
    assert "detaches" in verdict.lines[0]


def test_wrong_states_are_not_taken_for_a_gradient_that_stops():
    def shortcut(step, inputs, state):
        states = []
        for x in inputs.unbind(1):
            new = step(x, state)
            state = tuple(map(torch.add, new, state)) if isinstance(state, tuple) else new + state
            states.append(state)
        return states

    assert "the state after input 0 is (13, 10); it should be (5, 10)" in judge(UNROLL, shortcut).lines[0]


def test_gradients_that_pile_up_from_call_to_call_are_noticed():
    def piling_up(run, inputs):
        inputs.requires_grad_()
        run(inputs)[:, -1].sum().backward()
        return inputs.grad.norm(dim=-1).mean(0).flip(0)

    verdict = judge(GRADIENT, piling_up)
    assert verdict.outcome == Outcome.WRONG
    assert "it answers 2 and then 4" in verdict.lines[0]


def test_a_caller_whose_tensor_begins_to_collect_gradients_is_noticed():
    def on_the_tensor_itself(run, inputs):
        inputs.requires_grad_()
        return torch.autograd.grad(run(inputs)[:, -1].sum(), inputs)[0].norm(dim=-1).mean(0).flip(0)

    verdict = judge(GRADIENT, on_the_tensor_itself)
    assert verdict.outcome == Outcome.WRONG
    assert "collects gradients from now on" in verdict.lines[0]


def test_an_lstm_whose_cell_is_right_is_told_so():
    mistake = LSTM_STEP.misconceptions["cell shown as it is"]
    assert judge(LSTM_STEP, mistake.wrong).lines[1].endswith("The cell is right.")


def rnn_of_numpy(x, state, input_weight, recurrent_weight, bias):
    total = x.numpy() @ input_weight.numpy().T + state.numpy() @ recurrent_weight.numpy().T + bias.numpy()
    return torch.from_numpy(np.tanh(total))


def test_a_step_in_numpy_is_told_that_it_cannot_be_trained():
    verdict = judge(find("01.1"), rnn_of_numpy)
    assert verdict.outcome == Outcome.WRONG
    assert "cannot be trained" in verdict.lines[0]
    assert "NumPy" in verdict.lines[0]


def test_a_cell_of_the_wrong_shape_is_described_by_its_shape():
    verdict = judge(LSTM_STEP, lambda x, state, *weights: (state[0], state[1][..., :1]))
    assert verdict.lines[0] == "As entry 1 it returned shape (1,); (3,) is needed."


def test_what_is_never_used_is_told_and_a_counterexample_follows():
    verdict = judge(LSTM_STEP, lambda x, state, *weights: (state[1], state[0]))
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake is None
    assert verdict.lines[0].startswith("Whatever `x` is, the result is the same.")
    assert "is needed" in verdict.lines[1]
