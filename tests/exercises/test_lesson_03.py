"""Right answers in many styles pass the checks of lesson 03, and what it says of the shipped model holds."""

import math

import einops
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.evaluation.interpretability.heads import attention_maps, induction_scores, previous_token_scores
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.models.attention import scaled_dot_product_attention

# --- split_heads and merge_heads -------------------------------------------------------------------------------------


def split_by_view(x, num_heads):
    B, T, D = x.shape
    return x.view(B, T, num_heads, D // num_heads).transpose(1, 2)


def split_by_permute(x, num_heads):
    return x.reshape(*x.shape[:2], num_heads, -1).permute(0, 2, 1, 3).contiguous()


def split_by_chunks(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1), dim=1)


def split_by_einops(x, num_heads):
    return einops.rearrange(x, "b t (h c) -> b h t c", h=num_heads)


def split_by_loops(x, num_heads):
    B, T, D = x.shape
    width = D // num_heads
    heads = torch.zeros(B, num_heads, T, width)
    for h in range(num_heads):
        for t in range(T):
            heads[:, h, t] = x[:, t, h * width : (h + 1) * width]
    return heads


def merge_by_reshape(x):
    B, H, T, C = x.shape
    return x.transpose(1, 2).reshape(B, T, H * C)


def merge_by_contiguous_view(x):
    B, H, T, C = x.shape
    return x.permute(0, 2, 1, 3).contiguous().view(B, T, H * C)


def merge_by_concatenation(x):
    return torch.cat(list(x.unbind(1)), dim=-1)


def merge_by_einops(x):
    return einops.rearrange(x, "b h t c -> b t (h c)")


# --- MultiHeadAttention ----------------------------------------------------------------------------------------------


class Fused(nn.Module):
    """PyTorch's kernel inside."""

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(embed_dim, embed_dim, bias=False)
        self.key = nn.Linear(embed_dim, embed_dim, bias=False)
        self.value = nn.Linear(embed_dim, embed_dim, bias=False)
        self.output = nn.Linear(embed_dim, embed_dim, bias=False)

    def forward(self, x, context=None, mask=None):
        y = x if context is None else context
        heads = [split_by_view(w(z), self.num_heads) for w, z in ((self.query, x), (self.key, y), (self.value, y))]
        return self.output(merge_by_reshape(F.scaled_dot_product_attention(*heads, attn_mask=mask)))


class HeadByHead(nn.Module):
    """A loop over heads; nothing is ever split into an axis of its own."""

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, embed_dim // num_heads
        for name in ("query", "key", "value", "output"):
            setattr(self, name, nn.Linear(embed_dim, embed_dim, bias=False))

    def forward(self, x, context=None, mask=None):
        if context is None:
            context = x
        q, k, v = self.query(x), self.key(context), self.value(context)
        found = []
        for h in range(self.num_heads):
            piece = slice(h * self.head_dim, (h + 1) * self.head_dim)
            scores = q[..., piece] @ k[..., piece].mT / math.sqrt(self.head_dim)
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            found.append(scores.softmax(-1) @ v[..., piece])
        return self.output(torch.cat(found, dim=-1))


class ByEinsum(nn.Module):
    """The matrices' numbers, without calling the layers."""

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        layers = (nn.Linear(embed_dim, embed_dim, bias=False) for _ in range(4))
        self.query, self.key, self.value, self.output = layers

    def forward(self, x, context=None, mask=None):
        context = x if context is None else context
        q = torch.einsum("btd,hcd->bhtc", x, self.query.weight.unflatten(0, (self.num_heads, -1)))
        k = torch.einsum("bsd,hcd->bhsc", context, self.key.weight.unflatten(0, (self.num_heads, -1)))
        v = torch.einsum("bsd,hcd->bhsc", context, self.value.weight.unflatten(0, (self.num_heads, -1)))
        scores = torch.einsum("bhtc,bhsc->bhts", q, k) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = torch.where(mask, scores, -1e9)
        found = torch.einsum("bhts,bhsc->bhtc", scores.softmax(-1), v)
        return torch.einsum("bhtc,dhc->btd", found, self.output.weight.unflatten(1, (self.num_heads, -1)))


class SumOverHeads(HeadByHead):
    """Each head through its own columns of the output matrix, added up."""

    def forward(self, x, context=None, mask=None):
        context = x if context is None else context
        heads = [split_by_chunks(w, self.num_heads) for w in (self.query(x), self.key(context), self.value(context))]
        found = F.scaled_dot_product_attention(*heads, attn_mask=mask)
        columns = self.output.weight.split(self.head_dim, dim=1)
        return sum(found[:, h] @ columns[h].T for h in range(self.num_heads))


# --- attention_parameters --------------------------------------------------------------------------------------------


def count_four_equal_products(embed_dim, num_heads, head_dim):
    return 4 * embed_dim * num_heads * head_dim


def count_layers(embed_dim, num_heads, head_dim):
    inner = num_heads * head_dim
    layers = [nn.Linear(embed_dim, inner, bias=False) for _ in range(3)] + [nn.Linear(inner, embed_dim, bias=False)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def count_head_by_head(embed_dim, num_heads, head_dim):
    total = 0
    for _ in range(num_heads):
        total += 3 * embed_dim * head_dim  # query, key, value
        total += head_dim * embed_dim  # its part of the output
    return total


RIGHT = {
    "03.1": [split_by_view, split_by_permute, split_by_chunks, split_by_einops, split_by_loops],
    "03.2": [merge_by_reshape, merge_by_contiguous_view, merge_by_concatenation, merge_by_einops],
    "03.3": [Fused, HeadByHead, ByEinsum, SumOverHeads],
    "03.4": [count_four_equal_products, count_layers, count_head_by_head],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, answers in RIGHT.items() for f in answers])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_the_counterexample_for_a_wrong_cut_names_tokens_heads_and_numbers():
    verdict = judge(find("03.1"), lambda x, num_heads: x.view(x.shape[0], num_heads, x.shape[1], -1))
    assert verdict.mistake == "view without transpose"
    assert verdict.lines[1] == (
        "Token 0 is (0, 1, 2, 3, 4, 5, 6, 7). Of it, head 1 should be given (4, 5, 6, 7); it is given (14, 15, 16, 17)."
    )


def test_the_counterexample_for_a_wrong_merge_shows_what_the_heads_had_found():
    verdict = judge(find("03.2"), lambda x: x.reshape(x.shape[0], x.shape[2], -1))
    assert verdict.mistake == "reshaped without transposing back"
    assert verdict.lines[1].startswith("The heads found (0, 1, 2, 3) and (4, 5, 6, 7) for token 0. It should be (0, 1,")


def test_a_leak_of_the_future_is_caught_by_changing_a_hidden_token():
    broken = find("03.3").invariants[0].broken
    attempt = find("03.3").as_function

    class Unmasked(HeadByHead):
        def forward(self, x, context=None, mask=None):
            return super().forward(x, context)

    assert broken(attempt(HeadByHead)) is None
    assert "token 3 was changed and the output" in broken(attempt(Unmasked))


def test_a_crash_inside_the_functions_of_the_package_is_told_at_the_learners_own_line():
    class ContextIgnored(HeadByHead):
        def forward(self, x, context=None, mask=None):
            heads = [split_by_view(w(x), self.num_heads) for w in (self.query, self.key, self.value)]
            return merge_by_reshape(scaled_dot_product_attention(*heads, mask))

    verdict = judge(find("03.3"), ContextIgnored)
    assert "`return merge_by_reshape(scaled_dot_product_attention(*heads, mask))`" in verdict.lines[0]
    assert verdict.lines[2].startswith("There: mask (5, 7)")


# --- What the lesson says of the shipped model -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained():
    return load_pretrained()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_induction_head_is_served_by_heads_below_that_look_one_step_back(pretrained, seed):
    model, tokenizer = pretrained
    period, num_heads = 24, model.config.num_heads
    ids = torch.tensor([i for story in load_documents("stories")[:40] for i in tokenizer.encode(story)])
    drawn = ids[torch.randint(len(ids), (8, period), generator=torch.Generator().manual_seed(seed))]
    twice, stories = drawn.repeat(1, 2), ids[: 8 * 64].view(8, 64)

    def induction(*averaging):
        maps = [attention_maps(model, text, averaging) for text in twice]
        return torch.stack([induction_scores(m, period) for m in maps]).mean(0)

    previous = torch.stack([previous_token_scores(attention_maps(model, text)) for text in stories]).mean(0)
    scores = induction()
    even = float((1 / torch.arange(period + 1.0, 2 * period + 1)).mean())
    head = divmod(int(scores.argmax()), num_heads)
    assert previous.max() > 0.3
    assert scores[head] > 2 * even
    assert int(previous.argmax()) // num_heads < head[0]

    below = [divmod(int(i), num_heads) for i in previous[: head[0]].flatten().argsort(descending=True)]
    assert induction(*below[:3])[head] < 0.8 * scores[head]
    assert induction(*below[-3:])[head] > 0.9 * scores[head]
