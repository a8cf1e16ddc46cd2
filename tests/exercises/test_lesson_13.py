"""Right answers to lesson 13, each written in another way, and what the checks say to wrong ones."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import norm

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.models.accounting import num_active_parameters, num_parameters

# --- question_ids ----------------------------------------------------------------------------------------------------


def ids_by_comprehension(parts, encode, marks):
    def piece(part):
        if isinstance(part, tuple):
            kind, n = part
            return [marks[kind + "_start"]] + n * [marks[kind]] + [marks[kind + "_end"]]
        return encode(part)

    return [marks["end_of_text"]] + [i for part in parts for i in piece(part)] + [marks["turn_end"]]


def ids_by_match(parts, encode, marks):
    ids = [marks["end_of_text"]]
    for part in parts:
        match part:
            case str():
                ids.extend(encode(part))
            case (kind, number):
                ids.append(marks[f"{kind}_start"])
                ids.extend(marks[kind] for _ in range(number))
                ids.append(marks[f"{kind}_end"])
    ids.append(marks["turn_end"])
    return ids


def ids_by_sum(parts, encode, marks):
    pieces = [[marks["end_of_text"]]]
    for part in parts:
        if type(part) is str:
            pieces.append(encode(part))
        else:
            names = [f"{part[0]}_start", *[part[0]] * part[1], f"{part[0]}_end"]
            pieces.append([marks[name] for name in names])
    return list(itertools.chain(*pieces, [marks["turn_end"]]))


# --- sparse_parameters -----------------------------------------------------------------------------------------------


def parameters_of_a_model(config):
    return num_parameters(config), num_active_parameters(config)


def parameters_by_matrices(config):
    D = config.embed_dim
    shapes, active = [(config.vocab_size, D), (D,)], 0
    experts = []
    for layer in config.layers:
        H, K, C = config.num_heads, layer.num_kv_heads, layer.head_dim
        shapes += [(D, H * C), (H * C, D), (D, K * C), *([] if layer.values_are_keys else [(D, K * C)])]
        shapes += [(D,)] * 4 + [(C,)] * 2
        if layer.has_experts:
            shapes += [(config.moe.num_experts, D)]
            width = config.moe.expert_dim
            shapes += [(D, width)] * 3 * config.moe.shared_experts
            experts += [(D, width)] * 3 * config.moe.num_experts
            active += 3 * D * width * config.moe.experts_per_token
        else:
            shapes += [(D, layer.ffn_dim)] * 3
    base = sum(math.prod(shape) for shape in shapes)
    return base + sum(math.prod(shape) for shape in experts), base + active


def parameters_in_two_passes(config):
    def count(num_experts):
        total = (config.vocab_size + 1) * config.embed_dim
        for layer in config.layers:
            heads = 2 * config.num_heads + layer.num_kv_heads * (2 - layer.values_are_keys)
            total += heads * layer.head_dim * config.embed_dim + 4 * config.embed_dim + 2 * layer.head_dim
            if not layer.has_experts:
                total += 3 * config.embed_dim * layer.ffn_dim
                continue
            total += config.embed_dim * config.moe.num_experts
            total += 3 * config.embed_dim * config.moe.expert_dim * (num_experts + config.moe.shared_experts)
        return total

    if config.moe is None:
        return count(0), count(0)
    return count(config.moe.num_experts), count(config.moe.experts_per_token)


# --- local_global_attention ------------------------------------------------------------------------------------------


def attention_of_torch(query, key, value, num_heads, num_kv_heads, cos, sin, window_tokens=None):
    def heads(x, n):
        return x.unflatten(-1, (n, -1)).transpose(1, 2)

    def ready(x):
        x = F.rms_norm(x, x.shape[-1:], eps=1e-6)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    q, k, v = ready(heads(query, num_heads)), ready(heads(key, num_kv_heads)), heads(value, num_kv_heads)
    T = query.shape[1]
    far = torch.arange(T)[:, None] - torch.arange(T)
    mask = (far >= 0) & (far < (window_tokens or T))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    return out.transpose(1, 2).flatten(2)


def attention_by_einsum(query, key, value, num_heads, num_kv_heads, cos, sin, window_tokens=None):
    B, T, _ = query.shape
    q = query.reshape(B, T, num_kv_heads, num_heads // num_kv_heads, -1)
    k, v = key.reshape(B, T, num_kv_heads, -1), value.reshape(B, T, num_kv_heads, -1)

    def ready(x, axes):
        x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
        c, s = (each.reshape(T, *[1] * axes, -1) for each in (cos, sin))
        half = x.shape[-1] // 2
        return torch.cat([x[..., :half] * c - x[..., half:] * s, x[..., half:] * c + x[..., :half] * s], -1)

    scores = torch.einsum("btkgc,bskc->bkgts", ready(q, 2), ready(k, 1)) / q.shape[-1] ** 0.5
    mask = torch.ones(T, T).tril().bool()
    if window_tokens is not None:
        mask = mask.triu(1 - window_tokens)
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return torch.einsum("bkgts,bskc->btkgc", weights, v).reshape(B, T, -1)


def attention_by_loops(query, key, value, num_heads, num_kv_heads, cos, sin, window_tokens=None):
    C = query.shape[-1] // num_heads

    def head(x, h):
        x = x[..., h * C : (h + 1) * C]
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        a, b = x[..., : C // 2], x[..., C // 2 :]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    outputs = []
    for h in range(num_heads):
        shared = h * num_kv_heads // num_heads
        q, k, v = head(query, h), head(key, shared), value[..., shared * C : (shared + 1) * C]
        rows = []
        for t in range(query.shape[1]):
            first = 0 if window_tokens is None else max(0, t + 1 - window_tokens)
            weights = (q[:, t : t + 1] @ k[:, first : t + 1].mT / math.sqrt(C)).softmax(-1)
            rows.append(weights @ v[:, first : t + 1])
        outputs.append(torch.cat(rows, 1))
    return torch.cat(outputs, -1)


# --- sparse_feed_forward ---------------------------------------------------------------------------------------------


def sparse_by_experts(x, router, experts, shared, experts_per_token):
    tokens = x.reshape(-1, x.shape[-1])
    top = (tokens @ router.T).topk(experts_per_token, -1)
    weights = top.values.softmax(-1)
    out = shared(tokens)
    for e, expert in enumerate(experts):
        rows, places = (top.indices == e).nonzero(as_tuple=True)
        if len(rows):
            out = out.index_add(0, rows, weights[rows, places, None] * expert(tokens[rows]))
    return out.reshape(x.shape)


def sparse_token_by_token(x, router, experts, shared, experts_per_token):
    rows = []
    for token in x.flatten(0, 1):
        p = (router @ token).softmax(-1)
        best = p.argsort(descending=True)[:experts_per_token]
        out = shared(token[None])[0]
        for e in best.tolist():
            out = out + p[e] / p[best].sum() * experts[e](token[None])[0]
        rows.append(out)
    return torch.stack(rows).view_as(x)


def sparse_with_a_mask(x, router, experts, shared, experts_per_token):
    scores = torch.einsum("btd,ed->bte", x, router)
    limit = scores.topk(experts_per_token, -1).values[..., -1:]
    weights = scores.masked_fill(scores < limit, -math.inf).softmax(-1)
    out = shared(x)
    for e, expert in enumerate(experts):
        chosen = weights[..., e] > 0
        if chosen.any():
            out = out.index_put(torch.where(chosen), weights[chosen][:, e, None] * expert(x[chosen]), accumulate=True)
    return out


# --- mixture_loss ----------------------------------------------------------------------------------------------------


def loss_of_torch(logits, targets, routings, balance_weight, z_weight):
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    for scores, experts in routings:
        E = scores.shape[1]
        load = experts.flatten().bincount(minlength=E) / experts.numel()
        balance = E * (load.to(scores.dtype) * scores.softmax(1).mean(0)).sum()
        total = total + (balance_weight * balance + z_weight * scores.logsumexp(1).pow(2).mean()) / len(routings)
    return total


def loss_by_selection(logits, targets, routings, balance_weight, z_weight):
    counts = targets != -100
    answers = -logits[counts].log_softmax(-1).gather(1, targets[counts][:, None]).mean()
    balances, zs = [], []
    for scores, experts in routings:
        one_hot = F.one_hot(experts, scores.shape[1]).to(scores.dtype).mean((0, 1))
        balances.append(scores.shape[1] * one_hot @ scores.softmax(-1).mean(0))
        zs.append(torch.logsumexp(scores, -1).square().mean())
    return answers + balance_weight * torch.stack(balances).mean() + z_weight * torch.stack(zs).mean()


def loss_by_weights(logits, targets, routings, balance_weight, z_weight):
    weights = (targets >= 0).to(logits.dtype)
    each = F.cross_entropy(logits.movedim(-1, 1), targets.clamp(min=0), reduction="none")
    extra = 0.0
    for scores, experts in routings:
        load = torch.stack([(experts == e).to(scores.dtype).mean() for e in range(scores.shape[1])])
        extra = extra + balance_weight * (load * scores.softmax(-1)).sum(-1).mean() * scores.shape[1]
        extra = extra + z_weight * (scores.logsumexp(-1) ** 2).mean()
    return (each * weights).sum() / weights.sum() + extra / len(routings)


# --- score_answers ---------------------------------------------------------------------------------------------------


def score_by_roots(given, expected):
    """Wilson's ends as the roots of a quadratic equation."""
    n, z = len(expected), NormalDist().inv_cdf(0.975)
    p = sum(map(str.__eq__, map(str.strip, given), expected)) / n
    low, high = sorted(np.roots([1 + z * z / n, -(2 * p + z * z / n), p * p]).real)
    return p, float(low), float(high)


def score_of_scipy(given, expected):
    z, n = norm.ppf(0.975), len(given)
    right = len([1 for a, b in zip(given, expected, strict=True) if a.strip() == b.strip()])
    low, high = (
        (right + z**2 / 2 + sign * z * math.sqrt(right * (n - right) / n + z**2 / 4)) / (n + z**2) for sign in (-1, 1)
    )
    return [right / n, low, high]


def score_with_two_digits(given, expected):
    p = float(np.mean([a.strip() == b for a, b in zip(given, expected, strict=True)]))
    z2, n = 1.959964**2, len(given)
    center, half = p + z2 / 2 / n, math.sqrt(z2 * (p * (1 - p) / n + z2 / 4 / n**2))
    return p, (center - half) / (1 + z2 / n), (center + half) / (1 + z2 / n)


# --- plain_answer ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def answer_in_one_loop(model, question_ids, media, choose, max_new_tokens, stop_ids):
    cache, unread, new = new_cache(model, 1, len(question_ids) + max_new_tokens), list(question_ids), []
    for _ in range(max_new_tokens):
        token = int(choose(model(torch.tensor([unread]), cache, media=media)[:, -1]))
        if token in stop_ids:
            break
        new, unread, media = [*new, token], [token], None
    return new


@torch.inference_mode()
def answer_by_pieces(model, question_ids, media, choose, max_new_tokens, stop_ids):
    def pieces():
        cache = new_cache(model, batch_size=1, max_tokens=500)
        logits = model(torch.tensor(question_ids)[None], cache=cache, media=media)
        while (token := choose(logits[:, -1])).item() not in stop_ids:
            yield token.item()
            logits = model(token.view(1, 1), cache=cache)

    return [token for token, _ in zip(pieces(), range(max_new_tokens), strict=False)]


def answer_by_recursion(model, question_ids, media, choose, max_new_tokens, stop_ids):
    cache = new_cache(model, 1, len(question_ids) + max_new_tokens)

    def more(ids, number, **media):
        if number == 0:
            return []
        token = int(choose(model(torch.tensor([ids]), cache, **media)[0, -1:]))
        return [] if token in stop_ids else [token, *more([token], number - 1)]

    with torch.no_grad():
        return more(list(question_ids), max_new_tokens, media=media)


RIGHT = {
    "13.1": [ids_by_comprehension, ids_by_match, ids_by_sum],
    "13.2": [parameters_by_matrices, parameters_in_two_passes],
    "13.3": [attention_of_torch, attention_by_einsum, attention_by_loops],
    "13.4": [sparse_by_experts, sparse_token_by_token, sparse_with_a_mask],
    "13.5": [loss_of_torch, loss_by_selection, loss_by_weights],
    "13.6": [score_by_roots, score_of_scipy, score_with_two_digits],
    "13.7": [answer_in_one_loop, answer_by_pieces, answer_by_recursion],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_a_model_that_counts_its_own_parameters_has_the_right_numbers():
    exercise = find("13.2")
    for case in exercise.cases(torch.Generator().manual_seed(5)):
        assert exercise.reference(*case) == parameters_of_a_model(*case)


def test_reading_the_question_again_is_said_with_the_number_of_tokens_that_were_read():
    exercise = find("13.7")
    verdict = judge(exercise, exercise.misconceptions["no cache"].wrong)
    assert "after a question of 8 the model read" in verdict.lines[1]
