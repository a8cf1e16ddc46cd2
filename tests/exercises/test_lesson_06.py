"""Right answers to lesson 06, each written in another way, and what the checks say to wrong ones."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import MultiHeadAttention
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.plain_transformer import (
    PlainBlock,
    PlainTransformer,
    initialize,
    parameters_and_flops,
    residual_step,
)

# --- layer_norm ------------------------------------------------------------------------------------------------------


def layer_norm_of_torch(x, weight, bias, eps):
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def layer_norm_by_var(x, weight, bias, eps):
    return (x - x.mean(-1, True)) / (x.var(-1, correction=0, keepdim=True) + eps) ** 0.5 * weight + bias


def layer_norm_by_two_means(x, weight, bias, eps):
    mean = x.double().mean(-1, keepdim=True)
    variance = (x.double() ** 2).mean(-1, keepdim=True) - mean**2
    return ((x - mean) * torch.rsqrt(variance.clamp(min=0) + eps)).to(x.dtype) * weight + bias


def layer_norm_row_by_row(x, weight, bias, eps):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        rows.append(torch.stack([(value - mean) / math.sqrt(variance + eps) for value in row]) * weight + bias)
    return torch.stack(rows).reshape(x.shape)


def layer_norm_of_numpy(x, weight, bias, eps):
    a = x.numpy()
    normed = (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + eps)
    return torch.from_numpy(normed * weight.numpy() + bias.numpy())


# --- RMSNorm ---------------------------------------------------------------------------------------------------------


class RMSOfTorch(nn.RMSNorm):
    def __init__(self, dim, eps):
        super().__init__(dim, eps=eps)


class RMSByPower(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        y = x.float()
        return (y / (y.pow(2).mean(-1, keepdim=True) + self.eps) ** 0.5).type_as(x) * self.gain


class RMSByLength(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim).fill_(1))
        self.eps = eps
        self.dim = dim

    def forward(self, x):
        length = torch.linalg.vector_norm(x.float(), dim=-1, keepdim=True)
        return self.weight * (x.float() / torch.sqrt(length**2 / self.dim + self.eps)).type_as(x)


class RMSInDouble(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        y = x.double()
        return (
            self.weight * y * torch.rsqrt(torch.einsum("...d,...d->...", y, y)[..., None] / x.shape[-1] + self.eps)
        ).to(x.dtype)


# --- residual_step ---------------------------------------------------------------------------------------------------


def same(x):
    return x


def step_in_parts(x, sublayer, norm=same, output_norm=same, stream_norm=same):
    y = norm(x)
    y = sublayer(y)
    y = output_norm(y)
    y = y + x
    return stream_norm(y)


def step_by_add(x, sublayer, norm=same, output_norm=same, stream_norm=same):
    return stream_norm(torch.add(output_norm(sublayer(norm(x.clone()))), x))


def step_on_a_copy_in_place(x, sublayer, norm=same, output_norm=same, stream_norm=same):
    stream = x.clone()
    stream += output_norm(sublayer(norm(x)))
    return stream_norm(stream)


# --- PlainBlock ------------------------------------------------------------------------------------------------------


class BlockByHand(PlainBlock):
    def forward(self, x, mask=None):
        found = self.attention(self.attention_norm(x), None, mask)
        x = self.attention_stream_norm(x + self.attention_output_norm(found))
        found = self.feed_forward(self.feed_forward_norm(x))
        return self.feed_forward_stream_norm(x + self.feed_forward_output_norm(found))


class BlockByPlacement(nn.Module):
    """Other names, other order of thought: one branch for each placement."""

    def __init__(self, embed_dim, num_heads, ffn_dim, placement="pre", eps=1e-6):
        super().__init__()
        self.placement = placement
        n = RMSNorm(embed_dim, eps)
        if placement != "post":
            self.n1 = n
        self.attend = MultiHeadAttention(embed_dim, num_heads)
        if placement != "pre":
            self.n2 = RMSNorm(embed_dim, eps)
        if placement != "post":
            self.n3 = RMSNorm(embed_dim, eps)
        self.think = GatedFeedForward(embed_dim, ffn_dim, "silu")
        if placement != "pre":
            self.n4 = RMSNorm(embed_dim, eps)

    def forward(self, x, mask=None):
        if self.placement == "post":
            h = self.n2(x + self.attend(x, mask=mask))
            return self.n4(h + self.think(h))
        if self.placement == "pre":
            h = x + self.attend(self.n1(x), mask=mask)
            return h + self.think(self.n3(h))
        h = x + self.n2(self.attend(self.n1(x), mask=mask))
        return h + self.n4(self.think(self.n3(h)))


class BlockByALoop(PlainBlock):
    def forward(self, x, mask=None):
        for name in ("attention", "feed_forward"):
            layer = getattr(self, name)
            norms = [getattr(self, f"{name}_{which}") for which in ("norm", "output_norm", "stream_norm")]
            call = (lambda y, layer=layer: layer(y, mask=mask)) if name == "attention" else layer
            x = residual_step(x, call, *norms)
        return x


# --- PlainTransformer ------------------------------------------------------------------------------------------------


class ModelBySlices(PlainTransformer):
    def forward(self, token_ids):
        B, T = token_ids.shape
        x = self.embedding.weight[token_ids] + self.position_embedding.weight[None, :T].expand(B, -1, -1)
        for i in range(len(self.blocks)):
            x = self.blocks[i](x, torch.ones(T, T).tril().bool())
        return F.linear(self.norm(x), self.embedding.weight)


class ModelWithOtherNames(nn.Module):
    def __init__(
        self, vocab_size, context_tokens, embed_dim, num_layers, num_heads, ffn_dim, placement="pre", eps=1e-6
    ):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, embed_dim)
        self.wpe = nn.Embedding(context_tokens, embed_dim)
        self.blocks = nn.ModuleList()
        for _ in range(num_layers):
            self.blocks.append(BlockByPlacement(embed_dim, num_heads, ffn_dim, placement, eps))
        self.ln_f = RMSNorm(embed_dim, eps) if placement != "post" else None

    def forward(self, token_ids):
        T = token_ids.shape[-1]
        x = self.wte(token_ids) + self.wpe(torch.arange(T))
        for block in self.blocks:
            x = block(x, mask=causal_mask(T, T))
        x = x if self.ln_f is None else self.ln_f(x)
        return torch.einsum("btd,vd->btv", x, self.wte.weight)


class ModelWithATiedHead(PlainTransformer):
    """A head of its own whose weight is the table: shared, so it is no further parameter."""

    def __init__(self, vocab_size, context_tokens, embed_dim, *args, **kwargs):
        super().__init__(vocab_size, context_tokens, embed_dim, *args, **kwargs)
        self.head = nn.Linear(embed_dim, vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, token_ids):
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(token_ids.shape[1])[None])
        mask = causal_mask(token_ids.shape[1], token_ids.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


# --- parameters_and_flops --------------------------------------------------------------------------------------------


def costs_by_shapes(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens):
    V, N, D, L, H, T = vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens
    block = [(D, D)] * 4 + [(D, H)] * 2 + [(H, D)]
    parameters = V * D + N * D + D + L * (sum(a * b for a, b in block) + 2 * D)
    per_block = sum(2 * T * a * b for a, b in block) + 2 * T * T * D + 2 * T * D * T
    return parameters, L * per_block + 2 * T * D * V


def costs_by_counting_a_model(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens):
    model = PlainTransformer(vocab_size, context_tokens, embed_dim, num_layers, 1, ffn_dim)
    stored = sum(weight.numel() for weight in model.parameters())
    matrices = sum(weight.numel() for name, weight in model.named_parameters() if weight.ndim == 2)
    matrices -= context_tokens * embed_dim
    return stored, 2 * num_tokens * (matrices + 2 * num_layers * num_tokens * embed_dim)


def costs_in_floats(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens):
    a = 12 * embed_dim**2 * (4 + 3 * ffn_dim / embed_dim) / 12
    parameters = num_layers * (a + 2 * embed_dim) + embed_dim * (vocab_size + context_tokens + 1)
    flops = 2.0 * num_tokens * (num_layers * (a + 2 * num_tokens * embed_dim) + vocab_size * embed_dim)
    return [round(parameters), round(flops)]


RIGHT = {
    "06.1": [
        layer_norm_of_torch,
        layer_norm_by_var,
        layer_norm_by_two_means,
        layer_norm_row_by_row,
        layer_norm_of_numpy,
    ],
    "06.2": [RMSOfTorch, RMSByPower, RMSByLength, RMSInDouble],
    "06.3": [step_in_parts, step_by_add, step_on_a_copy_in_place],
    "06.4": [BlockByHand, BlockByPlacement, BlockByALoop],
    "06.5": [ModelBySlices, ModelWithOtherNames, ModelWithATiedHead],
    "06.6": [costs_by_shapes, costs_by_counting_a_model, costs_in_floats],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What wrong answers are told -------------------------------------------------------------------------------------


def test_leaving_eps_out_is_shown_on_the_vector_that_needs_it():
    def no_eps(x, weight, bias, eps):
        centred = x - x.mean(-1, keepdim=True)
        return centred / centred.square().mean(-1, keepdim=True).sqrt() * weight + bias

    verdict = judge(find("06.1"), no_eps)
    assert verdict.mistake == "eps left out"
    assert "(7, 7, 7, 7) became (nan, nan, nan, nan)" in verdict.lines[1]


def test_squares_that_do_not_fit_into_16_bits_are_found():
    class Narrow(nn.Module):
        def __init__(self, dim, eps):
            super().__init__()
            self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

        def forward(self, x):
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight

    verdict = judge(find("06.2"), Narrow)
    assert verdict.outcome == Outcome.WRONG
    assert "300 squared does not fit in 16 bits" in verdict.lines[0]


def test_a_norm_that_is_wrong_at_any_size_is_not_blamed_on_16_bits():
    class SmallerByHalf(nn.Module):
        def __init__(self, dim, eps):
            super().__init__()
            self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

        def forward(self, x):
            return 0.5 * x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps) * self.weight

    factor, example, *_ = judge(find("06.2"), SmallerByHalf).lines
    assert factor == "Every number is what is needed times 0.5."
    assert example.startswith("(3, 4) became (0.4243, 0.5657)")


def test_a_wrong_step_is_shown_in_numbers_that_can_be_followed_in_the_head():
    verdict = judge(find("06.3"), lambda x, f, norm=same, out=same, stream=same: stream(norm(x) + out(f(norm(x)))))
    assert verdict.mistake == "stream taken after the norm"
    assert verdict.lines[1] == "With x = 3, sublayer = add_10, norm = double it gave 22; 19 is needed."


def test_changing_the_stream_in_place_is_noticed():
    def in_place(x, sublayer, norm=same, output_norm=same, stream_norm=same):
        x += output_norm(sublayer(norm(x)))
        return stream_norm(x)

    assert "changes its argument `x`" in judge(find("06.3"), in_place).lines[0]


def test_a_mask_in_the_place_of_the_context_is_not_silently_taken():
    class Positional(PlainBlock):
        def forward(self, x, mask=None):
            x = x + self.attention(self.attention_norm(x), mask)
            return x + self.feed_forward(self.feed_forward_norm(x))

    assert judge(find("06.4"), Positional).outcome in (Outcome.WRONG, Outcome.ERROR)


def test_one_block_for_all_layers_is_not_told_of_a_list_that_was_not_written():
    class OneBlock(PlainTransformer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.blocks = nn.ModuleList([self.blocks[0]])

    assert judge(find("06.5"), OneBlock).lines[0].startswith("There is one block only.")


def test_an_eps_that_does_not_reach_the_blocks_is_noticed():
    class OwnEps(PlainTransformer):
        def __init__(self, *args, eps=1e-6, **kwargs):
            super().__init__(*args, **kwargs)
            if isinstance(self.norm, RMSNorm):
                self.norm.eps = eps

    assert judge(find("06.5"), OwnEps).mistake == "eps lost"


def test_a_model_that_reads_the_future_is_told_which_score_moved():
    broken = find("06.5").invariants[0].broken
    exercise = find("06.5")
    assert broken(exercise.as_function(PlainTransformer)) is None
    leaky = exercise.misconceptions["no mask"].wrong
    assert broken(exercise.as_function(leaky)).startswith("Token 4 was changed, and the scores at token 0 moved by")


def test_a_wrong_count_is_told_what_one_more_of_something_adds():
    def wider(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens):
        return parameters_and_flops(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim + 5, num_tokens)

    lines = judge(find("06.6"), wider).lines
    assert re.match(r"One block more adds \d+ parameters; it should be 38", lines[0]), lines
    assert "num_layers=1" in lines[0]


def test_a_width_that_makes_no_difference_is_named():
    def always_four_times(vocab_size, context_tokens, embed_dim, num_layers, ffn_dim, num_tokens):
        return parameters_and_flops(vocab_size, context_tokens, embed_dim, num_layers, 4 * embed_dim, num_tokens)

    assert judge(find("06.6"), always_four_times).lines[0].startswith("Whatever `ffn_dim` is, the result is the same.")


# --- The experiments of the lesson hold for other seeds --------------------------------------------------------------


def a_batch(seed, vocab_size=300):
    """Four texts of 33 ids, each with a beginning of its own, some ids much more frequent than others."""
    generator = torch.Generator().manual_seed(seed)
    rarity = torch.arange(1, vocab_size + 1).float().reciprocal()
    ids = torch.multinomial(rarity.expand(4, -1), 33, replacement=True, generator=generator)
    ids[:, 0] = torch.arange(4)
    return ids[:, :-1], ids[:, 1:]


def loss_of(model, batch):
    return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def new_model(seed, silent, **sizes):
    model = PlainTransformer(300, 32, 64, num_heads=4, ffn_dim=171, **sizes)
    initialize(model, torch.Generator().manual_seed(seed), silent)
    return model


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_batch_is_learned_by_heart(seed):
    model, batch = new_model(seed, silent=True, num_layers=3), a_batch(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(80):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
    assert loss_of(model, batch) < 0.05


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_only_post_norm_multiplies_the_gradient_from_block_to_block(seed):
    ratio = {}
    for placement in ("post", "pre"):
        model = new_model(seed, silent=False, num_layers=48, placement=placement)
        loss_of(model, a_batch(seed)).backward()
        first, last = (
            torch.stack([w.grad.norm() for w in block.parameters()]).norm().item()
            for block in (model.blocks[0], model.blocks[-1])
        )
        ratio[placement] = first / last
    assert ratio["post"] > 40
    assert ratio["pre"] < 30
