"""Recurrent cells: read a sequence step by step and keep what was read in a state of fixed size.

    plain   state' = tanh(x Wx + state Wh + bias)
    LSTM    cell' = forget * cell + input * candidate,   hidden' = output * tanh(cell')

Taught in lesson 01, not used by the decoder: that looks back by attention, which these had to do without.

Source: Elman 1990, Cognitive Science 14(2); Hochreiter and Schmidhuber 1997, Neural Computation 9(8); forget gates:
Gers et al. 2000, Neural Computation 12(10). Gradients by distance: Bengio et al. 1994, IEEE Transactions on Neural
Networks 5(2); Pascanu et al. 2013, arXiv:1211.5063, section 2.
Differs: one bias where ``torch.nn.RNNCell`` and ``LSTMCell`` add two; weights and gates are in their order.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def rnn_step(
    x: Float[Tensor, "*B D"],
    state: Float[Tensor, "*B R"],
    input_weight: Float[Tensor, "R D"],
    recurrent_weight: Float[Tensor, "R R"],
    bias: Float[Tensor, " R"],
) -> Float[Tensor, "*B R"]:
    """The next state of a plain recurrent cell: what comes in and what was kept, mixed and squashed into (-1, 1)."""
    return torch.tanh(x @ input_weight.T + state @ recurrent_weight.T + bias)


def unroll(step: Callable, inputs: Float[Tensor, "B T D"], state: Any) -> list:
    """The state after each of the T inputs, each made by ``step(x, state)`` from the one before.

    A state may be a tensor, or a pair of tensors as in an LSTM: only ``step`` looks inside.
    """
    states = []
    for x in inputs.unbind(dim=1):
        state = step(x, state)
        states.append(state)
    return states


def gradient_norm_by_distance(run: Callable[[Tensor], Tensor], inputs: Float[Tensor, "B T D"]) -> Float[Tensor, " T"]:
    """How much the last output feels the input 0, 1, 2, ... steps back.

    Element k is the norm, over the channels, of the gradient of the last output's sum with respect to the input k
    steps before the last; the mean of it over the batch.
    """
    inputs = inputs.detach().clone().requires_grad_()
    last_output = run(inputs)[:, -1]
    (gradient,) = torch.autograd.grad(last_output.sum(), inputs)
    return gradient.norm(dim=-1).mean(dim=0).flip(0)


def lstm_step(
    x: Float[Tensor, "*B D"],
    state: tuple[Float[Tensor, "*B R"], Float[Tensor, "*B R"]],
    input_weight: Float[Tensor, "4*R D"],
    recurrent_weight: Float[Tensor, "4*R R"],
    bias: Float[Tensor, " 4*R"],
) -> tuple[Float[Tensor, "*B R"], Float[Tensor, "*B R"]]:
    """The next state of an LSTM: the cell forgets a part and adds a part, the hidden state shows a part of it.

    Args:
        state: hidden state and cell.
        input_weight: the four gates' weights, one below the other: input, forget, candidate, output. So in
            ``recurrent_weight`` and ``bias``.
    """
    hidden, cell = state
    gates = x @ input_weight.T + hidden @ recurrent_weight.T + bias
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    return output_gate.sigmoid() * cell.tanh(), cell
