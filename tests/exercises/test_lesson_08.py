"""Right answers in many styles pass the checks of lesson 08."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome

# --- top_k_routing ---------------------------------------------------------------------------------------------------


def routing_by_a_softmax_of_the_chosen(logits, experts_per_token, selection_bias=None):
    ranks = logits.softmax(-1) + (0.0 if selection_bias is None else selection_bias)
    experts = torch.topk(ranks, experts_per_token, dim=-1)[1]
    return experts, torch.softmax(torch.gather(logits, -1, experts), dim=-1)


def routing_by_sorting(logits, experts_per_token, selection_bias=None):
    p = torch.exp(logits - torch.logsumexp(logits, dim=1, keepdim=True))
    ranks = p.clone()
    if selection_bias is not None:
        ranks += selection_bias
    experts = ranks.argsort(dim=1, descending=True)[:, :experts_per_token]
    chosen = torch.take_along_dim(p, experts, dim=1)
    return experts, chosen / chosen.sum(1)[:, None]


def routing_by_loops(logits, experts_per_token, selection_bias=None):
    experts, weights = [], []
    for row in logits:
        p = [v.exp() for v in row]
        ranks = [float(v / sum(p) + (0 if selection_bias is None else selection_bias[e])) for e, v in enumerate(p)]
        best = []
        for _ in range(experts_per_token):
            best.append(max((e for e in range(len(p)) if e not in best), key=ranks.__getitem__))
        experts.append(best)
        weights.append(torch.stack([p[e] / sum(p[i] for i in best) for e in best]))
    return torch.tensor(experts), torch.stack(weights)


def routing_by_masking(logits, experts_per_token, selection_bias=None):
    p = F.softmax(logits, dim=-1)
    ranks = p if selection_bias is None else p + selection_bias[None]
    found = []
    for _ in range(experts_per_token):
        found.append(ranks.argmax(-1))
        ranks = ranks.scatter(-1, found[-1][:, None], -torch.inf)
    experts = torch.stack(found, dim=-1)
    weights = p[torch.arange(len(p))[:, None], experts]
    return experts, weights / weights.sum(-1, keepdim=True)


def routing_of_numpy(logits, experts_per_token, selection_bias=None):
    e = np.exp(logits.numpy())
    p = e / e.sum(-1, keepdims=True)
    ranks = p if selection_bias is None else p + selection_bias.numpy()
    experts = np.argsort(-ranks, axis=-1)[:, :experts_per_token]
    w = np.take_along_axis(p, experts, -1)
    return [torch.from_numpy(experts), torch.from_numpy(w / w.sum(-1, keepdims=True))]


def routing_by_one_hot(logits, experts_per_token, selection_bias=None):
    p = logits.softmax(-1)
    bias = torch.zeros(p.shape[-1]) if selection_bias is None else selection_bias
    _, experts = (p + bias).sort(dim=-1, descending=True)
    experts = experts[:, :experts_per_token]
    weights = torch.einsum("ne,nae->na", p, F.one_hot(experts, p.shape[-1]).to(p.dtype))
    return experts, F.normalize(weights, p=1, dim=-1)


def routing_by_a_masked_softmax(logits, experts_per_token, selection_bias=None):
    ranks = F.softmax(logits, -1)
    ranks = ranks if selection_bias is None else ranks.add(selection_bias)
    experts = ranks.topk(experts_per_token)[1]
    hidden = torch.ones_like(logits, dtype=torch.bool).scatter(1, experts, False)
    return experts, logits.masked_fill(hidden, -torch.inf).softmax(-1).gather(1, experts)


# --- moe_forward -----------------------------------------------------------------------------------------------------


def forward_by_where(x, experts, weights, layers):
    output = torch.zeros_like(x)
    for e, layer in enumerate(layers):
        tokens, places = torch.where(experts == e)
        output.index_add_(0, tokens, layer(x[tokens]) * weights[tokens, places, None])
    return output


def forward_token_by_token(x, experts, weights, layers):
    rows = []
    for n in range(x.shape[0]):
        row = torch.zeros(x.shape[1])
        for a in range(experts.shape[1]):
            row = row + weights[n, a] * layers[experts[n, a]](x[n])
        rows.append(row)
    return torch.stack(rows)


def forward_by_masks(x, experts, weights, layers):
    output = x * 0
    for e in range(len(layers)):
        is_chosen = experts == e
        mine = is_chosen.any(-1)
        if mine.any():
            output[mine] += (weights * is_chosen).sum(-1)[mine].unsqueeze(1) * layers[e](x[mine])
    return output


def forward_by_sorting_and_scattering_back(x, experts, weights, layers):
    A = experts.shape[1]
    repeated = x.repeat_interleave(A, dim=0)
    ids, order = experts.reshape(-1).sort()
    blocks, start = [], 0
    for e in range(len(layers)):
        size = int((ids == e).sum())
        blocks.append(layers[e](repeated[order[start : start + size]]))
        start += size
    answers = torch.empty_like(repeated)
    answers[order] = torch.cat(blocks)
    return (answers.view(len(x), A, -1) * weights[..., None]).sum(dim=1)


def forward_place_by_place(x, experts, weights, layers):
    total = 0
    for a in range(experts.shape[1]):
        answers = torch.zeros_like(x)
        for e in experts[:, a].unique().tolist():
            answers[experts[:, a] == e] = layers[e](x[experts[:, a] == e])
        total = total + weights[:, a : a + 1] * answers
    return total


def forward_by_a_dictionary(x, experts, weights, layers):
    lines = {}
    for n, row in enumerate(experts.tolist()):
        for a, e in enumerate(row):
            lines.setdefault(e, []).append((n, a))
    output = torch.zeros(x.shape)
    for e, choices in lines.items():
        answers = layers[e](torch.stack([x[n] for n, _ in choices]))
        for (n, a), answer in zip(choices, answers, strict=True):
            output[n] += weights[n, a] * answer
    return output


def forward_by_a_matrix_of_weights(x, experts, weights, layers):
    all_weights = torch.zeros(len(x), len(layers)).scatter(1, experts, weights)
    chosen = torch.zeros(len(x), len(layers), dtype=torch.bool).scatter(1, experts, True)
    output = torch.zeros_like(x)
    for e, layer in enumerate(layers):
        rows = chosen[:, e].nonzero().squeeze(1)
        output = output.index_add(0, rows, all_weights[rows, e].unsqueeze(1) * layer(x.index_select(0, rows)))
    return output


# --- loads and losses ------------------------------------------------------------------------------------------------


def load_by_comparison(experts, num_experts):
    return (experts.flatten()[:, None] == torch.arange(num_experts)).float().mean(0)


def load_by_one_hot(experts, num_experts):
    return F.one_hot(experts, num_experts).double().mean(dim=(0, 1))


def load_by_counter(experts, num_experts):
    counts = Counter(experts.flatten().tolist())
    return torch.tensor([counts[e] for e in range(num_experts)]) / experts.numel()


def load_by_loops(experts, num_experts):
    load = torch.zeros(num_experts)
    for row in experts:
        for e in row:
            load[e] += 1 / experts.numel()
    return load


def load_by_histogram(experts, num_experts):
    return torch.histc(experts.float(), bins=num_experts, min=0, max=num_experts - 1) / experts.numel()


def load_by_scatter(experts, num_experts):
    flat = experts.reshape(-1)
    return torch.zeros(num_experts).scatter_add(0, flat, torch.full(flat.shape, 1.0)) / len(flat)


def load_of_numpy(experts, num_experts):
    return torch.from_numpy(np.bincount(experts.numpy().ravel(), minlength=num_experts) / experts.numel())


def balance_by_a_product(probabilities, load):
    return len(load) * (load @ probabilities.mean(0))


def balance_by_einsum(probabilities, load):
    return torch.einsum("ne,e->", probabilities, load) * probabilities.size(1) / probabilities.size(0)


def balance_by_loops(probabilities, load):
    total = 0.0
    for e in range(probabilities.shape[1]):
        total = total + load[e] * probabilities[:, e].mean()
    return probabilities.shape[1] * total


def balance_token_by_token(probabilities, load):
    return torch.stack([(row * load).sum() for row in probabilities]).mean() * load.numel()


def balance_by_dot(probabilities, load):
    return torch.dot(load, torch.mean(probabilities, dim=-2)).mul(load.shape[-1])


def balance_compared_with_even(probabilities, load):
    return (load / (1 / len(load)) * probabilities).sum(-1).mean()


def balance_with_a_detached_load(probabilities, load):
    return len(load) * (probabilities.mean(0) * load.detach()).sum()


def z_by_logsumexp(logits):
    return torch.mean(torch.logsumexp(logits, 1) ** 2)


def z_by_hand(logits):
    m = logits.max(dim=-1, keepdim=True).values
    z = m[:, 0] + (logits - m).exp().sum(-1).log()
    return (z * z).mean()


def z_by_loops(logits):
    return sum(torch.logsumexp(row, 0).pow(2) for row in logits) / len(logits)


def z_by_log_softmax(logits):
    return (logits - logits.log_softmax(-1))[:, 0].square().mean()


def z_in_float64(logits):
    return logits.double().exp().sum(-1).log().square().mean()


def z_by_mse(logits):
    z = logits.logsumexp(dim=-1)
    return F.mse_loss(z, torch.zeros_like(z))


def z_of_numpy(logits):
    z = np.logaddexp.reduce(logits.numpy(), axis=-1)
    return torch.tensor(np.mean(z**2))


# --- bias and capacity -----------------------------------------------------------------------------------------------


def bias_by_sign(bias, load, rate):
    return bias - rate * torch.sign(load - load.mean())


def bias_by_where(bias, load, rate):
    mean = load.sum() / len(load)
    return torch.where(load > mean, bias - rate, torch.where(load < mean, bias + rate, bias))


def bias_by_booleans(bias, load, rate):
    return bias + rate * (load < load.mean()).float() - rate * (load > load.mean()).float()


def bias_by_loops(bias, load, rate):
    new = bias.clone()
    for e in range(len(bias)):
        if load[e] > load.mean():
            new[e] -= rate
        elif load[e] < load.mean():
            new[e] += rate
    return new


def bias_of_numpy(bias, load, rate):
    return torch.from_numpy(bias.numpy() + rate * np.sign(load.numpy().mean() - load.numpy()))


def bias_by_add(bias, load, rate):
    return bias.add(torch.sign(torch.mean(load) - load), alpha=rate)


def bias_compared_with_one_over_experts(bias, load, rate):
    return bias + rate * (1 / len(load) - load).sign()


def capacity_by_negative_division(num_tokens, num_experts, experts_per_token, capacity_factor):
    return int(-(-num_tokens * experts_per_token * capacity_factor // num_experts))


def capacity_by_fractions(num_tokens, num_experts, experts_per_token, capacity_factor):
    return math.ceil(Fraction(capacity_factor) * num_tokens * experts_per_token / num_experts)


def capacity_by_numpy(num_tokens, num_experts, experts_per_token, capacity_factor):
    return int(np.ceil(capacity_factor * num_tokens * experts_per_token / num_experts))


def capacity_by_torch(num_tokens, num_experts, experts_per_token, capacity_factor):
    return int(torch.tensor(capacity_factor * num_tokens * experts_per_token / num_experts).ceil())


def capacity_by_if(num_tokens, num_experts, experts_per_token, capacity_factor):
    exact = num_tokens / num_experts * experts_per_token * capacity_factor
    return int(exact) if exact == int(exact) else int(exact) + 1


def capacity_by_divmod(num_tokens, num_experts, experts_per_token, capacity_factor):
    whole, rest = divmod(num_tokens * experts_per_token * capacity_factor, num_experts)
    return int(whole) + (rest > 0)


def within_by_loops(experts, capacity):
    taken = [0] * (int(experts.max()) + 1)
    kept = torch.zeros(experts.shape, dtype=torch.bool)
    for a in range(experts.shape[1]):
        for n in range(experts.shape[0]):
            if taken[experts[n, a]] < capacity:
                kept[n, a] = True
                taken[experts[n, a]] += 1
    return kept


def within_by_cumsum(experts, capacity):
    queue = experts.T.flatten()
    arrived = F.one_hot(queue).cumsum(0).gather(1, queue[:, None])[:, 0]
    return (arrived <= capacity).view(experts.shape[1], -1).T


def within_by_comparison(experts, capacity):
    queue = experts.T.reshape(-1)
    before = (queue[:, None] == queue[None]).tril(-1).sum(1)
    return (before < capacity).reshape(experts.T.shape).T


def within_expert_by_expert(experts, capacity):
    queue = experts.t().contiguous().view(-1)
    kept = torch.zeros(len(queue), dtype=torch.bool)
    for e in queue.unique():
        kept[(queue == e).nonzero()[:capacity]] = True
    return kept.view(experts.shape[1], experts.shape[0]).t()


def within_by_counter(experts, capacity):
    seen, kept = Counter(), {}
    for a, column in enumerate(experts.T.tolist()):
        for n, e in enumerate(column):
            kept[n, a] = seen[e] < capacity
            seen[e] += 1
    return torch.tensor([[kept[n, a] for a in range(experts.shape[1])] for n in range(len(experts))])


def within_of_numpy(experts, capacity):
    queue = experts.numpy().T.ravel()
    order = np.argsort(queue, kind="stable")
    starts = np.searchsorted(queue[order], queue[order])
    kept = np.empty(len(queue), dtype=bool)
    kept[order] = np.arange(len(queue)) - starts < capacity
    return torch.from_numpy(kept.reshape(experts.T.shape).T.copy())


RIGHT = {
    "08.1": [
        routing_by_a_softmax_of_the_chosen,
        routing_by_sorting,
        routing_by_loops,
        routing_by_masking,
        routing_by_one_hot,
        routing_by_a_masked_softmax,
    ],
    "08.2": [
        forward_by_where,
        forward_token_by_token,
        forward_by_masks,
        forward_by_sorting_and_scattering_back,
        forward_place_by_place,
        forward_by_a_dictionary,
        forward_by_a_matrix_of_weights,
    ],
    "08.3": [
        load_by_comparison,
        load_by_one_hot,
        load_by_counter,
        load_by_loops,
        load_by_histogram,
        load_by_scatter,
        load_of_numpy,
    ],
    "08.4": [
        balance_by_a_product,
        balance_by_einsum,
        balance_by_loops,
        balance_token_by_token,
        balance_by_dot,
        balance_compared_with_even,
        balance_with_a_detached_load,
    ],
    "08.5": [z_by_logsumexp, z_by_hand, z_by_loops, z_by_log_softmax, z_in_float64, z_by_mse],
    "08.6": [
        bias_by_sign,
        bias_by_where,
        bias_by_booleans,
        bias_by_loops,
        bias_of_numpy,
        bias_by_add,
        bias_compared_with_one_over_experts,
    ],
    "08.7": [
        capacity_by_negative_division,
        capacity_by_fractions,
        capacity_by_numpy,
        capacity_by_torch,
        capacity_by_if,
        capacity_by_divmod,
    ],
    "08.8": [
        within_by_loops,
        within_by_cumsum,
        within_by_comparison,
        within_expert_by_expert,
        within_by_counter,
        within_of_numpy,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_right_values_from_all_experts_for_all_tokens_are_refused_in_words():
    def dense(x, experts, weights, layers):
        all_weights = torch.zeros(len(x), len(layers)).scatter(1, experts, weights)
        return sum(all_weights[:, e, None] * layer(x) for e, layer in enumerate(layers))

    verdict = judge(find("08.2"), dense)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.lines[0].startswith("Expert 0 was given 4 rows")


def test_a_loss_without_a_gradient_is_refused_in_words():
    verdict = judge(find("08.4"), lambda probabilities, load: balance_by_a_product(probabilities.detach(), load))
    assert verdict.outcome == Outcome.WRONG
    assert "No gradient would reach the router" in verdict.lines[0]


@pytest.mark.parametrize(("exercise_id", "answer"), [("08.1", routing_of_numpy), ("08.5", z_of_numpy)])
def test_right_numbers_that_the_lesson_could_not_train_with_are_refused_in_words(exercise_id, answer):
    def hidden(logits, *args):
        return answer(logits.detach(), *args)

    verdict = judge(find(exercise_id), hidden)
    assert verdict.outcome == Outcome.WRONG
    assert "No gradient would reach the router" in verdict.lines[0]


def test_a_wrong_choice_is_shown_with_the_probabilities_of_the_token():
    verdict = judge(find("08.1"), find("08.1").misconceptions["least probable experts"].wrong)
    assert verdict.lines[1] == (
        "Token 0 goes to experts [0, 2]; [1, 3] are needed. Its probabilities are (0.1, 0.4, 0.2, 0.3)."
    )
