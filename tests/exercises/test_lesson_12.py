"""Right answers in many styles pass the checks of lesson 12."""

import heapq
import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_12.plain_generate import PLAIN_GENERATE
from gemini_workshop.exercises.lesson_12.verify_drafts import VERIFY_DRAFTS
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.reader import Reader, decode_one, prefill

INF = float("inf")

# --- greedy ----------------------------------------------------------------------------------------------------------


def greedy_by_argmax(logits):
    return logits.argmax(-1)


def greedy_by_max(logits):
    _, token = torch.max(logits, dim=-1)
    return token


def greedy_by_topk(logits):
    return logits.topk(1, dim=-1).indices.squeeze(-1)


def greedy_by_sorting(logits):
    return logits.argsort(dim=-1, descending=True)[..., 0]


def greedy_of_probabilities(logits):
    return torch.softmax(logits, dim=-1).argmax(dim=-1)


def greedy_of_numpy(logits):
    return torch.as_tensor(np.argmax(logits.numpy(), axis=-1))


def greedy_row_by_row(logits):
    if logits.ndim == 1:
        return torch.tensor(max(range(len(logits)), key=lambda i: logits[i]))
    return torch.stack([greedy_row_by_row(row) for row in logits])


# --- apply_temperature -----------------------------------------------------------------------------------------------


def temperature_of_a_small_number(logits, temperature):
    return logits / max(temperature, 1e-6)


def temperature_by_where(logits, temperature):
    if temperature == 0:
        return torch.where(logits == logits.max(-1, keepdim=True).values, 0.0, -INF)
    return logits / temperature


def temperature_by_scatter(logits, temperature):
    if temperature > 0:
        return logits * (1 / temperature)
    return torch.full_like(logits, -INF).scatter(-1, logits.argmax(-1, keepdim=True), 0.0)


def temperature_by_one_hot(logits, temperature):
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.size(-1)).float().log()
    return logits / temperature


def temperature_of_log_probabilities(logits, temperature):
    log_probs = logits.log_softmax(-1)
    return 1e9 * (log_probs - log_probs.amax(-1, keepdim=True)) if temperature == 0 else log_probs / temperature


def temperature_in_place_on_a_copy(logits, temperature):
    new = logits.clone()
    if temperature == 0:
        new[new < new.amax(-1, keepdim=True)] = -1e9
    else:
        new /= temperature
    return new


# --- top_k_filter ----------------------------------------------------------------------------------------------------


def top_k_by_threshold(logits, k):
    highest = logits.topk(min(k, logits.shape[-1])).values
    return logits.masked_fill(logits < highest[..., -1:], -INF)


def top_k_by_scatter(logits, k):
    values, places = logits.topk(min(k, logits.size(-1)), dim=-1)
    return torch.full_like(logits, -INF).scatter(-1, places, values)


def top_k_by_ranks(logits, k):
    ranks = logits.argsort(-1, descending=True).argsort(-1)
    return torch.where(ranks < k, logits, -INF)


def top_k_by_sorting(logits, k):
    ordered = logits.sort(-1).values
    return torch.where(logits >= ordered[..., max(0, logits.shape[-1] - k), None], logits, torch.tensor(-INF))


def top_k_by_kthvalue(logits, k):
    V = logits.shape[-1]
    if k >= V:
        return logits
    return logits.masked_fill(logits < logits.kthvalue(V - k + 1, keepdim=True).values, -INF)


def top_k_by_loops(logits, k):
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    kept = [set(sorted(range(len(row)), key=row.__getitem__)[::-1][:k]) for row in rows]
    new = [[x if i in keep else -INF for i, x in enumerate(row)] for row, keep in zip(rows, kept, strict=True)]
    return torch.tensor(new).reshape(logits.shape)


def top_k_of_numpy(logits, k):
    values = logits.numpy().copy()
    order = np.argsort(-values, axis=-1)
    np.put_along_axis(values, order[..., k:], -np.inf, axis=-1)
    return torch.from_numpy(values)


# --- top_p_filter ----------------------------------------------------------------------------------------------------


def top_p_by_scatter(logits, p):
    order = logits.argsort(-1, descending=True)
    probs = logits.softmax(-1).gather(-1, order)
    is_kept = probs.cumsum(-1) - probs < p
    return logits.masked_fill(~torch.empty_like(is_kept).scatter(-1, order, is_kept), -INF)


def top_p_by_the_inverse_order(logits, p):
    sorted_logits, order = torch.sort(logits, descending=True)
    cumulative = sorted_logits.softmax(-1).cumsum(-1)
    remove = cumulative >= p
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    return sorted_logits.masked_fill(remove, -INF).gather(-1, order.argsort(-1))


def top_p_by_a_threshold(logits, p):
    probs = logits.softmax(-1)
    ordered = probs.sort(-1, descending=True).values
    number = (ordered.cumsum(-1) - ordered < p).sum(-1, keepdim=True)
    return torch.where(probs >= ordered.gather(-1, number - 1), logits, -INF)


def top_p_from_the_tail(logits, p):
    probs, order = logits.double().softmax(-1).sort(-1)
    remove = probs.cumsum(-1) <= 1 - p
    remove[..., -1] = False
    return logits.masked_fill(torch.zeros_like(remove).scatter_(-1, order, remove), -INF)


def top_p_by_comparing_all_pairs(logits, p):
    probs = logits.softmax(-1)
    above = (probs.unsqueeze(-1) * (probs.unsqueeze(-1) > probs.unsqueeze(-2))).sum(-2)
    return torch.where(above < p - 1e-6, logits, -INF)


def top_p_by_loops(logits, p):
    if logits.ndim > 1:
        return torch.stack([top_p_by_loops(row, p) for row in logits])
    probs, new, total = logits.softmax(-1).tolist(), torch.full_like(logits, -INF), 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        new[i] = logits[i]
        total += probs[i]
        if total >= p:
            break
    return new


def top_p_of_numpy(logits, p):
    values = logits.numpy()
    probs = np.exp(values - values.max(-1, keepdims=True))
    probs /= probs.sum(-1, keepdims=True)
    order = np.argsort(-probs, axis=-1)
    ordered = np.take_along_axis(probs, order, -1)
    keep = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(keep, order, np.cumsum(ordered, -1) - ordered < p, -1)
    return torch.from_numpy(np.where(keep, values, -np.inf))


# --- min_p_filter ----------------------------------------------------------------------------------------------------


def min_p_by_probabilities(logits, min_p):
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < min_p * probs.amax(-1, keepdim=True), -INF)


def min_p_by_logarithm(logits, min_p):
    if min_p == 0:
        return logits
    return torch.where(logits < logits.amax(-1, keepdim=True) + math.log(min_p), -INF, logits)


def min_p_by_ratio(logits, min_p):
    ratio = (logits - logits.max(-1, keepdim=True).values).exp()
    return torch.where(ratio >= min_p, logits, -1e9)


def min_p_of_log_softmax(logits, min_p):
    log_probs = F.log_softmax(logits, dim=-1)
    best = log_probs.max(dim=-1, keepdim=True)[0]
    return log_probs.masked_fill(log_probs.exp() < best.exp() * min_p, -INF)


def min_p_by_loops(logits, min_p):
    if logits.ndim > 1:
        return torch.stack([min_p_by_loops(row, min_p) for row in logits])
    best = max(logits.tolist())
    return torch.tensor([x if math.exp(x - best) >= min_p else -INF for x in logits.tolist()])


def min_p_of_numpy(logits, min_p):
    values = logits.numpy()
    return torch.from_numpy(np.where(np.exp(values - values.max(-1, keepdims=True)) < min_p, -np.inf, values))


# --- apply_repetition_penalty ----------------------------------------------------------------------------------------


def penalty_by_gather(logits, token_ids, penalty):
    seen = logits.gather(1, token_ids)
    return logits.scatter(1, token_ids, torch.where(seen > 0, seen / penalty, seen * penalty))


def penalty_by_mask(logits, token_ids, penalty):
    seen = F.one_hot(token_ids, logits.shape[1]).any(1)
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def penalty_by_loops(logits, token_ids, penalty):
    new = logits.clone()
    for b in range(len(token_ids)):
        for token in token_ids[b].unique():
            new[b, token] = new[b, token] / penalty if new[b, token] > 0 else new[b, token] * penalty
    return new


def penalty_by_factor(logits, token_ids, penalty):
    factor = torch.ones_like(logits).scatter(1, token_ids, penalty)
    return logits * factor ** -logits.sign()


def penalty_by_two_parts(logits, token_ids, penalty):
    seen = torch.zeros_like(logits).scatter_(1, token_ids, 1.0).bool()
    lowered = logits.clamp(min=0) / penalty + logits.clamp(max=0) * penalty
    return logits.masked_scatter(seen, lowered[seen])


def penalty_by_sets(logits, token_ids, penalty):
    rows = []
    for row, text in zip(logits.tolist(), token_ids.tolist(), strict=True):
        worse = [min(x / penalty, x * penalty) for x in row]
        rows.append([worse[i] if i in set(text) else x for i, x in enumerate(row)])
    return torch.tensor(rows)


def penalty_of_numpy(logits, token_ids, penalty):
    new = logits.numpy().copy()
    for row, text in zip(new, token_ids.numpy(), strict=True):
        seen = np.unique(text)
        row[seen] = np.where(row[seen] > 0, row[seen] / penalty, row[seen] * penalty)
    return torch.from_numpy(new)


# --- plain_generate --------------------------------------------------------------------------------------------------


@torch.no_grad()
def generate_prompt_first(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    cache = new_cache(model, 1, len(prompt_ids) + max_new_tokens)
    logits = model(torch.tensor([prompt_ids]), cache)[0, -1:]
    new = []
    for _ in range(max_new_tokens):
        token = choose(logits).item()
        if stop_id is not None and token == stop_id:
            return new
        new += [token]
        logits = model(torch.tensor([[token]]), cache)[:, 0]
    return new


def generate_by_prefill_and_decode_one(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    cache, new = new_cache(model, max_tokens=200), []
    logits = prefill(model, torch.tensor([prompt_ids]), cache)
    while True:
        token = choose(logits)
        if int(token) == stop_id:
            break
        new.append(int(token))
        if len(new) == max_new_tokens:
            break
        logits = decode_one(model, token, cache)
    return new


def generate_with_a_growing_cache(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    cache, text = new_cache(model, kind="growing"), list(prompt_ids)
    while len(text) < len(prompt_ids) + max_new_tokens:
        with torch.no_grad():
            logits = model(torch.tensor(text[cache.num_tokens :]).unsqueeze(0), cache=cache)
        token = choose(logits[:, -1, :]).tolist()[0]
        if token == stop_id:
            break
        text.append(token)
    return text[len(prompt_ids) :]


def generate_the_prompt_token_by_token(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    cache = new_cache(model, 1, 100)
    with torch.inference_mode():
        for token in prompt_ids:
            logits = model(torch.tensor([[token]]), cache)[:, -1]
        new = []
        while len(new) < max_new_tokens and (token := int(choose(logits))) != stop_id:
            new.append(token)
            logits = model(torch.tensor([[token]]), cache)[:, -1]
    return new


def generate_by_recursion(model, prompt_ids, choose, max_new_tokens, stop_id=None, cache=None):
    if max_new_tokens == 0:
        return []
    cache = cache or new_cache(model, 1, 64)
    with torch.no_grad():
        token = int(choose(model(torch.tensor([prompt_ids]), cache)[:, -1]))
    if token == stop_id:
        return []
    return [token, *generate_by_recursion(model, [token], choose, max_new_tokens - 1, stop_id, cache)]


def generate_with_tensors(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    cache = new_cache(model, 1, len(prompt_ids) + max_new_tokens)
    unread, new = torch.tensor(prompt_ids)[None], torch.empty(1, 0, dtype=torch.long)
    with torch.no_grad():
        for _ in range(max_new_tokens):
            unread = choose(model(unread, cache)[:, -1]).unsqueeze(0)
            new = torch.cat([new, unread], dim=1)
    tokens = new[0].tolist()
    return tokens[: tokens.index(stop_id)] if stop_id in tokens else tokens


def generate_with_a_reader(model, prompt_ids, choose, max_new_tokens, stop_id=None):
    reader, new = Reader(model), []
    logits = reader.read([prompt_ids])
    for _ in range(max_new_tokens):
        token = choose(logits)
        if int(token) == stop_id:
            break
        new.append(int(token))
        logits = reader.read_next(token)
    return new


# --- plain_beam_search -----------------------------------------------------------------------------------------------


def beams_with_all_rows_at_once(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
    beams = [([], 0.0)]
    for _ in range(max_new_tokens):
        rows = log_probs_after([list(prompt_ids) + text for text, _ in beams])
        candidates = [beam for beam in beams if beam[0][-1:] == [stop_id]]
        for (text, score), row in zip(beams, rows, strict=True):
            if text[-1:] != [stop_id]:
                values, tokens = row.topk(min(num_beams, len(row)))
                candidates += [([*text, int(t)], score + float(v)) for v, t in zip(values, tokens, strict=True)]
        candidates.sort(key=lambda candidate: candidate[1], reverse=True)
        beams = candidates[:num_beams]
    return beams


def beams_by_flat_topk(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
    texts, scores = [[]], torch.zeros(1)
    for _ in range(max_new_tokens):
        rows = log_probs_after([[*prompt_ids, *text] for text in texts])
        V = rows.shape[1]
        for i, text in enumerate(texts):
            if text and text[-1] == stop_id:
                rows[i] = -INF
                rows[i, stop_id] = 0.0
        scores, places = (scores[:, None] + rows).flatten().topk(min(num_beams, len(texts) * V))
        texts = [
            texts[place // V] if texts[place // V][-1:] == [stop_id] else [*texts[place // V], place % V]
            for place in places.tolist()
        ]
    return list(zip(texts, scores.tolist(), strict=True))


def beams_with_a_heap(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
    beams = [(0.0, ())]
    for _ in range(max_new_tokens):
        candidates = []
        for score, text in beams:
            if text and text[-1] == stop_id:
                candidates.append((score, text))
                continue
            row = log_probs_after([[*prompt_ids, *text]])[0]
            candidates.extend((score + log_prob.item(), (*text, token)) for token, log_prob in enumerate(row))
        beams = heapq.nlargest(num_beams, candidates)
    return [(list(text), score) for score, text in beams]


def beams_with_whole_texts(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
    start = len(prompt_ids)
    beams = {tuple(prompt_ids): 0.0}
    for _ in range(max_new_tokens):
        candidates = {}
        for text, score in beams.items():
            if len(text) > start and text[-1] == stop_id:
                candidates[text] = score
            else:
                for token, log_prob in enumerate(log_probs_after([list(text)]).squeeze(0).tolist()):
                    candidates[(*text, token)] = score + log_prob
        beams = dict(sorted(candidates.items(), key=lambda item: item[1])[::-1][:num_beams])
    return [(list(text[start:]), score) for text, score in beams.items()]


def beams_by_recursion(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None, beams=(([], 0.0),)):
    if max_new_tokens == 0:
        return list(beams)
    found = []
    for text, score in beams:
        if stop_id is not None and stop_id in text:
            found.append((text, score))
        else:
            log_probs = log_probs_after([list(prompt_ids) + text])[0]
            found += [([*text, token], score + float(log_probs[token])) for token in range(len(log_probs))]
    found = sorted(found, key=lambda pair: pair[1], reverse=True)[:num_beams]
    return beams_by_recursion(log_probs_after, prompt_ids, num_beams, max_new_tokens - 1, stop_id, found)


def beams_with_finished_ones_aside(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
    open_beams, finished = [([], 0.0)], []
    for _ in range(max_new_tokens):
        candidates = list(finished)
        for text, score in open_beams:
            row = log_probs_after([[*prompt_ids, *text]])[0].numpy()
            candidates += [([*text, token], score + float(row[token])) for token in range(row.size)]
        best = sorted(candidates, key=lambda pair: -pair[1])[:num_beams]
        finished = [pair for pair in best if pair[0][-1] == stop_id]
        open_beams = [pair for pair in best if pair[0][-1] != stop_id]
    return sorted(finished + open_beams, key=lambda pair: -pair[1])


# --- verify_drafts ---------------------------------------------------------------------------------------------------


def verify_by_ratio(drafts, draft_probs, model_probs, uniforms):
    for i in range(len(drafts)):
        ratio = model_probs[i, drafts[i]] / draft_probs[i, drafts[i]]
        if uniforms[i] >= min(1.0, ratio):
            rest = torch.clamp(model_probs[i] - draft_probs[i], min=0)
            return i, rest / rest.sum()
    return len(drafts), model_probs[len(drafts)]


def verify_at_once(drafts, draft_probs, model_probs, uniforms):
    K = len(drafts)
    p, q = (probs[:K].gather(1, drafts[:, None])[:, 0] for probs in (model_probs, draft_probs))
    number = int((uniforms < p / q).int().cumprod(0).sum())
    padded = F.pad(draft_probs, (0, 0, 0, 1))
    rest = (model_probs[number] - padded[number]).relu()
    return number, rest / rest.sum()


def verify_with_a_while_loop(drafts, draft_probs, model_probs, uniforms):
    i = 0
    while i < len(drafts):
        token = int(drafts[i])
        if uniforms[i] > model_probs[i][token] / draft_probs[i][token]:
            break
        i += 1
    if i == len(drafts):
        return i, model_probs[i]
    rest = torch.maximum(model_probs[i] - draft_probs[i], torch.tensor(0.0))
    return i, F.normalize(rest, p=1, dim=0)


def verify_in_plain_numbers(drafts, draft_probs, model_probs, uniforms):
    tokens, q, p, u = drafts.tolist(), draft_probs.tolist(), model_probs.tolist(), uniforms.tolist()
    for i, token in enumerate(tokens):
        if u[i] * q[i][token] > p[i][token]:
            rest = [max(a - b, 0.0) for a, b in zip(p[i], q[i], strict=True)]
            return i, torch.tensor([each / sum(rest) for each in rest])
    return len(tokens), torch.tensor(p[-1])


def verify_of_numpy(drafts, draft_probs, model_probs, uniforms):
    d, q, p, u = (each.numpy() for each in (drafts, draft_probs, model_probs, uniforms))
    places = np.arange(len(d))
    rejected = np.flatnonzero(u >= p[places, d] / q[places, d])
    if rejected.size == 0:
        return len(d), torch.from_numpy(p[-1])
    rest = np.clip(p[rejected[0]] - q[rejected[0]], 0, None)
    return int(rejected[0]), torch.from_numpy(rest / rest.sum())


def verify_by_the_overlap(drafts, draft_probs, model_probs, uniforms):
    for i, token in enumerate(drafts):
        overlap = torch.minimum(model_probs[i], draft_probs[i])
        if uniforms[i] >= overlap[token] / draft_probs[i, token]:
            return i, (model_probs[i] - overlap) / (1 - overlap.sum())
    return len(drafts), model_probs[-1]


def verify_in_logarithms(drafts, draft_probs, model_probs, uniforms):
    number = 0
    for token, q, p, u in zip(drafts, draft_probs, model_probs, uniforms, strict=False):
        if u.log() < p[token].log() - q[token].log():
            number += 1
        else:
            rest = torch.where(p > q, p - q, torch.zeros_like(p))
            return number, rest.div(rest.sum())
    return number, model_probs[number]


RIGHT = {
    "12.1": [
        greedy_by_argmax,
        greedy_by_max,
        greedy_by_topk,
        greedy_by_sorting,
        greedy_of_probabilities,
        greedy_of_numpy,
        greedy_row_by_row,
        partial(torch.argmax, dim=-1),
    ],
    "12.2": [
        temperature_of_a_small_number,
        temperature_by_where,
        temperature_by_scatter,
        temperature_by_one_hot,
        temperature_of_log_probabilities,
        temperature_in_place_on_a_copy,
    ],
    "12.3": [
        top_k_by_threshold,
        top_k_by_scatter,
        top_k_by_ranks,
        top_k_by_sorting,
        top_k_by_kthvalue,
        top_k_by_loops,
        top_k_of_numpy,
    ],
    "12.4": [
        top_p_by_scatter,
        top_p_by_the_inverse_order,
        top_p_by_a_threshold,
        top_p_from_the_tail,
        top_p_by_comparing_all_pairs,
        top_p_by_loops,
        top_p_of_numpy,
    ],
    "12.5": [
        min_p_by_probabilities,
        min_p_by_logarithm,
        min_p_by_ratio,
        min_p_of_log_softmax,
        min_p_by_loops,
        min_p_of_numpy,
    ],
    "12.6": [
        penalty_by_gather,
        penalty_by_mask,
        penalty_by_loops,
        penalty_by_factor,
        penalty_by_two_parts,
        penalty_by_sets,
        penalty_of_numpy,
    ],
    "12.7": [
        generate_prompt_first,
        generate_by_prefill_and_decode_one,
        generate_with_a_growing_cache,
        generate_the_prompt_token_by_token,
        generate_by_recursion,
        generate_with_tensors,
        generate_with_a_reader,
    ],
    "12.8": [
        beams_with_all_rows_at_once,
        beams_by_flat_topk,
        beams_with_a_heap,
        beams_with_whole_texts,
        beams_by_recursion,
        beams_with_finished_ones_aside,
    ],
    "12.9": [
        verify_by_ratio,
        verify_at_once,
        verify_with_a_while_loop,
        verify_in_plain_numbers,
        verify_of_numpy,
        verify_by_the_overlap,
        verify_in_logarithms,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_reading_the_text_again_is_said_with_the_number_of_tokens_that_were_read():
    mistake = PLAIN_GENERATE.misconceptions["no cache"]
    verdict = judge(PLAIN_GENERATE, mistake.wrong)
    assert "after a prompt of 5 the model read 26; 9 are needed at most" in verdict.lines[1]


def test_a_rule_of_acceptance_that_no_name_fits_is_caught_by_the_distribution_that_it_gives():
    broken = VERIFY_DRAFTS.invariants[0].broken
    assert broken(verify_by_ratio) is None

    def too_often(drafts, draft_probs, model_probs, uniforms):
        return verify_by_ratio(drafts, draft_probs, model_probs, uniforms * 0.8)

    assert "it should be the model's (0.3, 0.5, 0.2)" in broken(too_often)
    verdict = judge(VERIFY_DRAFTS, too_often)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake is None
    assert "Over all random numbers" in verdict.lines[0]


def test_what_changes_no_probability_is_right_and_probabilities_for_logits_are_not():
    top_p = find("12.4")
    assert judge(top_p, lambda logits, p: top_p_by_scatter(logits, p).log_softmax(-1)).outcome == Outcome.PASSED
    assert judge(top_p, lambda logits, p: top_p_by_scatter(logits, p).softmax(-1)).outcome == Outcome.WRONG


def test_the_model_that_is_to_be_stopped_by_token_0_says_it():
    *_, (tiny, prompt, choose, number, stop) = PLAIN_GENERATE.cases(torch.Generator().manual_seed(0))
    assert stop == 0
    assert PLAIN_GENERATE.oracle(tiny, prompt, choose, number).index(0) in (1, 2, 3)


def test_a_prompt_that_ends_with_the_stop_token_finishes_no_text():
    def whole_texts(log_probs_after, prompt_ids, num_beams, max_new_tokens, stop_id=None):
        beams = [(list(prompt_ids), 0.0)]
        for _ in range(max_new_tokens):
            found = [beam for beam in beams if beam[0][-1] == stop_id]
            for text, score in beams:
                if text[-1] != stop_id:
                    row = log_probs_after([text])[0].tolist()
                    found += [([*text, token], score + new) for token, new in enumerate(row)]
            beams = sorted(found, key=lambda beam: -beam[1])[:num_beams]
        return [(text[len(prompt_ids) :], score) for text, score in beams]

    assert judge(find("12.8"), whole_texts).mistake == "finished by the prompt"


def test_drafts_counted_after_a_rejection_are_recognized():
    def counted(drafts, draft_probs, model_probs, uniforms):
        ok = uniforms < (model_probs[:-1] / draft_probs).gather(1, drafts[:, None])[:, 0]
        number = int(ok.sum())
        if number == len(drafts):
            return number, model_probs[-1]
        rest = (model_probs[number] - draft_probs[number]).clamp(min=0)
        return number, rest / rest.sum()

    assert judge(find("12.9"), counted).mistake == "all drafts judged, then counted"


def test_a_token_at_the_limit_that_is_cut_off_is_recognized():
    def above(logits, min_p):
        p = logits.softmax(-1)
        return logits.masked_fill(p <= min_p * p.amax(-1, keepdim=True), -INF)

    assert judge(find("12.5"), above).mistake == "a token at the limit is cut off"
