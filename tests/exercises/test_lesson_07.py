"""Right answers to lesson 07, each written in another way, and what the checks say to wrong ones."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.flash_attention import online_softmax
from gemini_workshop.models.masks import causal_mask, sliding_window_mask

# --- online_softmax --------------------------------------------------------------------------------------------------


def online_by_maximum_of_values(largest, total, mixed, scores, value):
    new = torch.max(largest, scores.max(-1, keepdim=True).values)
    factor = torch.exp(largest - new)
    e = torch.exp(scores - new)
    return new, factor * total + e.sum(-1, keepdim=True), factor * mixed + torch.matmul(e, value)


def online_by_concatenation(largest, total, mixed, scores, value):
    new = torch.cat([largest, scores], dim=-1).amax(-1, keepdim=True)
    e = torch.cat([largest, scores], dim=-1).sub(new).exp()
    old, fresh = e[..., :1], e[..., 1:]
    return new, old * total + fresh.sum(-1, keepdim=True), old * mixed + fresh @ value


def online_key_by_key(largest, total, mixed, scores, value):
    for s in range(scores.shape[-1]):
        score, row = scores[..., s : s + 1], value[..., s : s + 1, :]
        new = torch.maximum(largest, score)
        total = total * (largest - new).exp() + (score - new).exp()
        mixed = mixed * (largest - new).exp() + (score - new).exp() * row
        largest = new
    return largest, total, mixed


def online_with_one_product(largest, total, mixed, scores, value):
    """The total is the mixture of values that are all one."""
    new = torch.maximum(largest, scores.amax(-1, True))
    ones = torch.cat([value, torch.ones_like(value[..., :1])], dim=-1)
    both = torch.cat([mixed, total], dim=-1) * (largest - new).exp() + (scores - new).exp() @ ones
    return new, both[..., -1:], both[..., :-1]


def online_from_the_tile_by_itself(largest, total, mixed, scores, value):
    top = scores.amax(-1, keepdim=True)
    e = torch.where(scores == -math.inf, 0.0, (scores - torch.where(top == -math.inf, 0.0, top)).exp())
    new = torch.maximum(largest, top)
    old, fresh = (largest - new).exp(), (top - new).exp()
    return new, total * old + e.sum(-1, keepdim=True) * fresh, mixed * old + e @ value * fresh


def online_as_a_list(largest, total, mixed, scores, value):
    new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    e = (scores - new).exp()
    total = torch.addcmul(e.sum(dim=-1, keepdim=True), total, (largest - new).exp())
    return [new, total, torch.einsum("...ts,...sc->...tc", e, value) + mixed * (largest - new).exp()]


# --- flash_attention -------------------------------------------------------------------------------------------------


def flash_by_splits(query, key, value, tile_tokens):
    C, earlier, outputs, first = query.shape[-1], key.shape[-2] - query.shape[-2], [], 0
    for tile in query.split(tile_tokens, dim=-2):
        n = tile.shape[-2]
        place = (earlier + first + torch.arange(n))[:, None]
        sums = None
        for i, (k, v) in enumerate(zip(key.split(tile_tokens, -2), value.split(tile_tokens, -2), strict=True)):
            s = i * tile_tokens + torch.arange(k.shape[-2])
            scores = torch.where(s <= place, tile @ k.transpose(-2, -1) / math.sqrt(C), -math.inf)
            if sums is None:
                zero = torch.zeros(*tile.shape[:-1], 1)
                sums = torch.full_like(zero, -math.inf), zero, zero * v[..., :1, :]
            sums = online_softmax(*sums, scores, v)
        outputs.append(sums[2] / sums[1])
        first += n
    return torch.cat(outputs, -2)


def flash_by_logsumexp(query, key, value, tile_tokens):
    """Each tile by itself, and the outputs put together by their log sums."""
    earlier, rows = key.shape[-2] - query.shape[-2], []
    for first in range(0, query.shape[-2], tile_tokens):
        tile = query[..., first : first + tile_tokens, :]
        place = torch.arange(earlier + first, earlier + first + tile.shape[-2])[:, None]
        logs, outputs = [], []
        for start in range(0, key.shape[-2], tile_tokens):
            keys = torch.arange(start, min(start + tile_tokens, key.shape[-2]))
            scores = tile @ key[..., keys, :].mT * query.shape[-1] ** -0.5
            scores = scores.masked_fill(keys > place, -1e9)
            logs.append(scores.logsumexp(-1, keepdim=True))
            outputs.append(scores.softmax(-1) @ value[..., keys, :])
        weights = torch.stack(logs).softmax(0)
        rows.append((weights * torch.stack(outputs)).sum(0))
    return torch.cat(rows, dim=-2)


def flash_row_by_row(query, key, value, tile_tokens):
    earlier, rows = key.shape[-2] - query.shape[-2], []
    for t in range(query.shape[-2]):
        end = earlier + t + 1
        q = query[..., t : t + 1, :] / query.shape[-1] ** 0.5
        largest = torch.full_like(q[..., :1], -math.inf)
        total, mixed = torch.zeros_like(largest), 0 * value[..., :1, :]
        for start in range(0, end, tile_tokens):
            keys = slice(start, min(start + tile_tokens, end))
            largest, total, mixed = online_softmax(largest, total, mixed, q @ key[..., keys, :].mT, value[..., keys, :])
        rows.append(mixed / total)
    return torch.cat(rows, dim=-2)


def flash_into_an_empty_tensor(query, key, value, tile_tokens):
    T, S = query.shape[-2], key.shape[-2]
    output = query.new_zeros(*query.shape[:-1], value.shape[-1])
    for first in range(0, T, tile_tokens):
        stop = min(first + tile_tokens, T)
        tile = query[..., first:stop, :]
        mask = causal_mask(stop - first, S - T + stop)
        largest = tile.new_full((*tile.shape[:-1], 1), -math.inf)
        total, mixed = tile.new_zeros(largest.shape), tile.new_zeros(*tile.shape[:-1], value.shape[-1])
        for start in range(0, S - T + stop, tile_tokens):
            end = min(start + tile_tokens, S - T + stop)
            scores = tile @ key[..., start:end, :].mT / math.sqrt(tile.shape[-1])
            scores = scores.masked_fill(~mask[:, start:end], -math.inf)
            largest, total, mixed = online_softmax(largest, total, mixed, scores, value[..., start:end, :])
        output[..., first:stop, :] = mixed / total
    return output


def flash_by_pytorch_for_each_tile_of_queries(query, key, value, tile_tokens):
    earlier, outputs = key.shape[-2] - query.shape[-2], []
    for first in range(0, query.shape[-2], tile_tokens):
        tile = query[..., first : first + tile_tokens, :]
        seen = earlier + first + tile.shape[-2]
        outputs.append(
            F.scaled_dot_product_attention(
                tile, key[..., :seen, :], value[..., :seen, :], causal_mask(tile.shape[-2], seen)
            )
        )
    return torch.cat(outputs, dim=-2)


def flash_with_keys_outside(query, key, value, tile_tokens):
    """The tiles of keys are the outer loop, as in the first paper."""
    T, S = query.shape[-2], key.shape[-2]
    largest = torch.full_like(query[..., :1], -math.inf)
    total, mixed = torch.zeros_like(largest), torch.zeros(*query.shape[:-1], value.shape[-1])
    for start, first in itertools.product(range(0, S, tile_tokens), range(0, T, tile_tokens)):
        queries = torch.arange(first, min(first + tile_tokens, T))
        keys = torch.arange(start, min(start + tile_tokens, S))
        scores = query[..., queries, :] @ key[..., keys, :].mT / query.shape[-1] ** 0.5
        scores = scores.masked_fill(keys > queries[:, None] + S - T, -math.inf)
        if start > S - T + int(queries[-1]):
            continue
        new = online_softmax(
            largest[..., queries, :], total[..., queries, :], mixed[..., queries, :], scores, value[..., keys, :]
        )
        largest, total, mixed = (
            x.index_copy(-2, queries, y) for x, y in zip((largest, total, mixed), new, strict=True)
        )
    return mixed / total


# --- sliding_window_mask ---------------------------------------------------------------------------------------------


def window_by_distance(num_queries, num_keys, window_tokens, *, device=None):
    keys = torch.arange(num_keys, device=device)
    distance = keys[num_keys - num_queries :, None] - keys
    return (distance >= 0) & (distance < window_tokens)


def window_by_loops(num_queries, num_keys, window_tokens, *, device=None):
    mask = torch.zeros(num_queries, num_keys, dtype=torch.bool, device=device)
    for t in range(num_queries):
        place = num_keys - num_queries + t
        mask[t, max(0, place - window_tokens + 1) : place + 1] = True
    return mask


def window_by_two_triangles(num_queries, num_keys, window_tokens, *, device=None):
    ones = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    shift = num_keys - num_queries
    return ones.tril(shift) & ~ones.tril(shift - window_tokens)


def window_by_a_difference(num_queries, num_keys, window_tokens, *, device=None):
    ones, shift = torch.ones(num_queries, num_keys, device=device), num_keys - num_queries
    return (ones.tril(shift) - ones.tril(shift - window_tokens)).bool()


def window_by_the_square(num_queries, num_keys, window_tokens, *, device=None):
    square = torch.ones(num_keys, num_keys, device=device).tril().triu(1 - window_tokens)
    return square[num_keys - num_queries :] == 1


def window_by_diagonals(num_queries, num_keys, window_tokens, *, device=None):
    mask = torch.zeros(num_queries, num_keys, dtype=torch.bool, device=device)
    for back in range(min(window_tokens, num_keys)):
        mask |= torch.eye(num_keys, dtype=torch.bool, device=device).roll(-back, 1).tril()[num_keys - num_queries :]
    return mask


def window_from_the_causal_mask(num_queries, num_keys, window_tokens, *, device=None):
    causal = causal_mask(num_queries, num_keys, device=device)
    seen = causal.int().cumsum(-1)
    return causal & (seen > seen[:, -1:] - window_tokens)


# --- sliding_window_attention ----------------------------------------------------------------------------------------


def banded_row_by_row(query, key, value, window_tokens, chunk_tokens=64):
    earlier, rows = key.shape[-2] - query.shape[-2], []
    for t in range(query.shape[-2]):
        keys = slice(max(0, earlier + t - window_tokens + 1), earlier + t + 1)
        rows.append(scaled_dot_product_attention(query[..., t : t + 1, :], key[..., keys, :], value[..., keys, :]))
    return torch.cat(rows, dim=-2)


def banded_by_splits(query, key, value, window_tokens, chunk_tokens=64):
    stop, outputs = key.shape[-2] - query.shape[-2], []
    for chunk in query.split(chunk_tokens, dim=-2):
        start, stop = stop, stop + chunk.shape[-2]
        first = max(start - window_tokens + 1, 0)
        mask = sliding_window_mask(chunk.shape[-2], stop - first, window_tokens)
        outputs.append(F.scaled_dot_product_attention(chunk, key[..., first:stop, :], value[..., first:stop, :], mask))
    return torch.cat(outputs, dim=-2)


def banded_with_padding(query, key, value, window_tokens, chunk_tokens=64):
    """Room for a whole window before the first key, so that every slice is equally long; what is padding is hidden."""
    T, earlier, outputs = query.shape[-2], key.shape[-2] - query.shape[-2], []
    pad = window_tokens - 1
    key, value = F.pad(key, (0, 0, pad, 0)), F.pad(value, (0, 0, pad, 0))
    for start in range(0, T, chunk_tokens):
        n = min(chunk_tokens, T - start)
        keys = torch.arange(earlier + start, earlier + start + n + pad)
        places = torch.arange(earlier + start, earlier + start + n)[:, None] + pad
        sees = (keys <= places) & (keys > places - window_tokens) & (keys >= pad)
        scores = query[..., start : start + n, :] @ key[..., keys, :].mT / query.shape[-1] ** 0.5
        outputs.append(scores.masked_fill(~sees, -math.inf).softmax(-1) @ value[..., keys, :])
    return torch.cat(outputs, -2)


def banded_by_shifts(query, key, value, window_tokens, chunk_tokens=64):
    """One diagonal after the other: the key that lies so many tokens back."""
    (T, C), S = query.shape[-2:], key.shape[-2]
    scores, values = [], []
    for back in range(min(window_tokens, S)):
        places = torch.arange(S - T, S) - back
        score = (query * key[..., places.clamp(min=0), :]).sum(-1) / math.sqrt(C)
        scores.append(score.masked_fill(places < 0, -math.inf))
        values.append(value[..., places.clamp(min=0), :])
    weights = torch.stack(scores, dim=-1).softmax(-1)
    return sum(weights[..., i : i + 1] * v for i, v in enumerate(values))


def banded_by_online_softmax(query, key, value, window_tokens, chunk_tokens=64):
    earlier, outputs = key.shape[-2] - query.shape[-2], []
    for start in range(0, query.shape[-2], chunk_tokens):
        tile = query[..., start : start + chunk_tokens, :]
        stop = earlier + start + tile.shape[-2]
        first = max(0, earlier + start - window_tokens + 1)
        scores = tile @ key[..., first:stop, :].mT * query.shape[-1] ** -0.5
        scores = scores.masked_fill(~sliding_window_mask(tile.shape[-2], stop - first, window_tokens), -math.inf)
        nothing = torch.full_like(tile[..., :1], -math.inf)
        zeros = torch.zeros_like(nothing)
        _, total, mixed = online_softmax(nothing, zeros, zeros * value[..., :1, :], scores, value[..., first:stop, :])
        outputs.append(mixed / total)
    return torch.cat(outputs, dim=-2)


def banded_into_a_list_of_places(query, key, value, window_tokens, chunk_tokens=64):
    T, S, outputs = query.size(-2), key.size(-2), []
    for places in torch.arange(S - T, S).split(chunk_tokens):
        keys = torch.arange(max(0, int(places[0]) - window_tokens + 1), int(places[-1]) + 1)
        distance = places[:, None] - keys
        visible = (distance >= 0) & (distance < window_tokens)
        chosen = query[..., places - (S - T), :]
        outputs.append(scaled_dot_product_attention(chosen, key[..., keys, :], value[..., keys, :], visible))
    return torch.cat(outputs, dim=-2)


# --- grouped_query_attention -----------------------------------------------------------------------------------------


def grouped_by_repeating(query, key, value, mask=None):
    times = query.shape[1] // key.shape[1]
    return scaled_dot_product_attention(
        query, key.repeat_interleave(times, 1), value.repeat_interleave(times, dim=1), mask
    )


def grouped_of_torch(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)


def grouped_head_by_head(query, key, value, mask=None):
    times = query.shape[1] // key.shape[1]
    heads = [
        scaled_dot_product_attention(query[:, h], key[:, h // times], value[:, h // times], mask)
        for h in range(query.shape[1])
    ]
    return torch.stack(heads, dim=1)


def grouped_group_by_group(query, key, value, mask=None):
    groups = zip(query.chunk(key.shape[1], 1), key.split(1, 1), value.split(1, 1), strict=True)
    return torch.cat([scaled_dot_product_attention(q, k, v, mask) for q, k, v in groups], 1)


def grouped_by_einsum(query, key, value, mask=None):
    q = rearrange(query, "b (k g) t c -> b k g t c", k=key.shape[1])
    scores = einsum(q, key, "b k g t c, b k s c -> b k g t s") / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return rearrange(einsum(scores.softmax(-1), value, "b k g t s, b k s c -> b k g t c"), "b k g t c -> b (k g) t c")


def grouped_by_expanding(query, key, value, mask=None):
    (_, H, _, _), K = query.shape, key.shape[1]
    key, value = (x.unsqueeze(2).expand(-1, -1, H // K, -1, -1).reshape(-1, H, *x.shape[2:]) for x in (key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def grouped_by_taller_queries(query, key, value, mask=None):
    """The queries of a group one below the other, as if they were more tokens."""
    (B, H, T, C), K = query.shape, key.shape[1]
    tall = query.reshape(B, K, H // K * T, C)
    mask = None if mask is None else mask.repeat(H // K, 1)
    return scaled_dot_product_attention(tall, key, value, mask).reshape(B, H, T, -1)


def grouped_by_einops_repeat(query, key, value, mask=None):
    g = query.shape[1] // key.shape[1]
    key, value = (repeat(x, "b k s c -> b (k g) s c", g=g) for x in (key, value))
    return scaled_dot_product_attention(query, key, value, mask)


# --- latent_projections ----------------------------------------------------------------------------------------------


def latent_by_broadcasting(x, down, key_up, value_up):
    latents = x @ down.T
    return latents, latents[:, None] @ key_up.mT, latents[:, None] @ value_up.transpose(1, 2)


def latent_by_einsum(x, down, key_up, value_up):
    latents = torch.einsum("bsd,rd->bsr", x, down)
    return latents, *(torch.einsum("bsr,hcr->bhsc", latents, up) for up in (key_up, value_up))


def latent_by_linear(x, down, key_up, value_up):
    latents = F.linear(x, down)
    keys, values = (
        F.linear(latents, up.flatten(0, 1)).unflatten(-1, (len(up), -1)).transpose(1, 2) for up in (key_up, value_up)
    )
    return latents, keys, values


def latent_head_by_head(x, down, key_up, value_up):
    latents = x.matmul(down.t())
    keys = torch.stack([latents @ up.T for up in key_up], dim=1)
    values = torch.stack([latents @ up.T for up in value_up], dim=1)
    return [latents, keys, values]


def latent_with_matrices_folded(x, down, key_up, value_up):
    """Keys straight from the tokens: the product of the two matrices."""
    return x @ down.T, x[:, None] @ (key_up @ down).mT, x[:, None] @ (value_up @ down).mT


def latent_of_both_at_once(x, down, key_up, value_up):
    latents = x @ down.T
    both = latents.unsqueeze(1) @ torch.cat([key_up, value_up], dim=1).mT
    return latents, *both.split([key_up.shape[1], value_up.shape[1]], dim=-1)


def latent_by_rearranging(x, down, key_up, value_up):
    latents = F.linear(x, down)
    unpack = [
        rearrange(latents @ rearrange(up, "h c r -> r (h c)"), "b s (h c) -> b h s c", h=len(up))
        for up in (key_up, value_up)
    ]
    return latents, unpack[0], unpack[1]


# --- cache_bytes -----------------------------------------------------------------------------------------------------


def bytes_by_a_loop(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    total = 0
    for window in windows:
        kept = num_tokens
        if window is not None and window < num_tokens:
            kept = window
        total += 2 * kept * num_kv_heads * head_dim * bytes_per_number
    return total


def bytes_by_or(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    return sum(2 * min(w or num_tokens, num_tokens) * num_kv_heads * head_dim for w in windows) * bytes_per_number


def bytes_with_infinity(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    kept = [min(num_tokens, math.inf if window is None else window) for window in windows]
    return math.prod([2, sum(kept), num_kv_heads, head_dim, bytes_per_number])


def bytes_per_token_first(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    per_token = bytes_per_number * num_kv_heads * head_dim * 2
    return sum(per_token * len(range(num_tokens)[-window:] if window else range(num_tokens)) for window in windows)


def bytes_of_real_tensors(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    dtype = {2: torch.float16, 4: torch.float32}[bytes_per_number]
    return sum(
        2 * torch.empty(num_kv_heads, min(num_tokens, w or num_tokens), head_dim, dtype=dtype).nbytes for w in windows
    )


def bytes_in_floats(num_tokens, windows, num_kv_heads, head_dim, bytes_per_number):
    full = sum(1.0 for w in windows if w is None or w >= num_tokens)
    part = sum(float(w) for w in windows if w is not None and w < num_tokens)
    return int((full * num_tokens + part) * 2.0 * num_kv_heads * head_dim * bytes_per_number)


RIGHT = {
    "07.1": [
        online_by_maximum_of_values,
        online_by_concatenation,
        online_key_by_key,
        online_with_one_product,
        online_from_the_tile_by_itself,
        online_as_a_list,
    ],
    "07.2": [
        flash_by_splits,
        flash_by_logsumexp,
        flash_row_by_row,
        flash_into_an_empty_tensor,
        flash_by_pytorch_for_each_tile_of_queries,
        flash_with_keys_outside,
    ],
    "07.3": [
        window_by_distance,
        window_by_loops,
        window_by_two_triangles,
        window_by_a_difference,
        window_by_the_square,
        window_by_diagonals,
        window_from_the_causal_mask,
    ],
    "07.4": [
        banded_row_by_row,
        banded_by_splits,
        banded_with_padding,
        banded_by_shifts,
        banded_by_online_softmax,
        banded_into_a_list_of_places,
    ],
    "07.5": [
        grouped_by_repeating,
        grouped_of_torch,
        grouped_head_by_head,
        grouped_group_by_group,
        grouped_by_einsum,
        grouped_by_expanding,
        grouped_by_taller_queries,
        grouped_by_einops_repeat,
    ],
    "07.6": [
        latent_by_broadcasting,
        latent_by_einsum,
        latent_by_linear,
        latent_head_by_head,
        latent_with_matrices_folded,
        latent_of_both_at_once,
        latent_by_rearranging,
    ],
    "07.7": [
        bytes_by_a_loop,
        bytes_by_or,
        bytes_with_infinity,
        bytes_per_token_first,
        bytes_of_real_tensors,
        bytes_in_floats,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What wrong answers are told -------------------------------------------------------------------------------------


def test_sums_that_do_not_shrink_are_shown_on_numbers_for_the_head():
    verdict = judge(find("07.1"), find("07.1").misconceptions["old sums not shrunk"].wrong)
    assert "Before: largest (1), total (2), mixed (6). New scores (2.386, 1)" in verdict.lines[1]
    assert "`total` became (3.25); (1.75) is needed" in verdict.lines[1]


def test_holding_the_whole_matrix_is_refused_although_the_output_is_right():
    def at_once(query, key, value, tile_tokens):
        mask = causal_mask(query.shape[-2], key.shape[-2])
        return scaled_dot_product_attention(query, key, value, mask)

    verdict = judge(find("07.2"), at_once)
    assert verdict.outcome == Outcome.WRONG
    assert "makes a tensor of 1,760 numbers" in verdict.lines[0]


def test_a_wrong_tile_is_shown_as_the_attention_weight_that_it_spoils():
    lines = judge(find("07.2"), find("07.2").misconceptions["future visible"].wrong).lines
    assert "it should be 1 (counting from 0; tiles of 2)" in lines[1]


def test_a_window_is_drawn():
    lines = judge(find("07.3"), find("07.3").misconceptions["window one too wide"].wrong).lines
    assert lines[1].startswith("Row 1 of sliding_window_mask(3, 3, 1) is `##.`, but `.#.` is needed")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_band_that_costs_the_square_is_refused_although_the_output_is_right(chunked):
    def masked(query, key, value, window_tokens, chunk_tokens):
        earlier, outputs = key.shape[-2] - query.shape[-2], []
        size = chunk_tokens if chunked else query.shape[-2]
        for start in range(0, query.shape[-2], size):
            chunk = query[..., start : start + size, :]
            stop = earlier + start + chunk.shape[-2]
            mask = sliding_window_mask(chunk.shape[-2], stop, window_tokens)
            outputs.append(scaled_dot_product_attention(chunk, key[..., :stop, :], value[..., :stop, :], mask))
        return torch.cat(outputs, dim=-2)

    verdict = judge(find("07.4"), masked)
    assert verdict.outcome == Outcome.WRONG
    assert "times as many. The window does not grow, so twice should be enough" in verdict.lines[0]


def test_tiled_heads_are_told_which_head_they_should_use():
    lines = judge(find("07.5"), find("07.5").misconceptions["heads tiled"].wrong).lines
    assert lines[1].startswith("With 4 query heads and 2 key/value heads, head ")
    assert "attends with key/value head" in lines[1]


def test_latents_in_the_place_of_keys_are_told_the_shape():
    lines = judge(find("07.6"), find("07.6").misconceptions["latents for each head"].wrong).lines
    assert "shape (1, 1, 2, 3); (1, 2, 3) is needed." in lines[1]


def test_heads_after_the_tokens_are_not_taken_for_a_reshape():
    def heads_last(x, down, key_up, value_up):
        latents = x @ down.T
        return latents, *(torch.einsum("bsr,hcr->bshc", latents, up) for up in (key_up, value_up))

    assert judge(find("07.6"), heads_last).mistake == "heads after the tokens"


def test_bytes_are_shown_with_the_layers_that_they_were_asked_for():
    lines = judge(find("07.7"), find("07.7").misconceptions["window ignored"].wrong).lines
    assert lines[1] == (
        "10 tokens, windows [4], 3 key/value heads of 7 channels, 2 bytes per number: it gave 840 bytes; "
        "336 are needed."
    )
