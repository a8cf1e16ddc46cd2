"""Lesson 03, multi-head attention: its exercises, what is asked of an answer, and what learners get wrong."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.comparison import number, same
from gemini_workshop.exercises.core import Exercise, Invariant, Misconception
from gemini_workshop.exercises.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.multi_head_attention import (
    MultiHeadAttention,
    attention_parameters,
    merge_heads,
    split_heads,
)

Function = Callable[..., Any]

# --- 03.1 split_heads ------------------------------------------------------------------------------------------------


def _numbered(num_tokens: int, num_channels: int) -> Tensor:
    """One text in which channel c of token t holds 10 t + c."""
    return (10.0 * torch.arange(num_tokens)[:, None] + torch.arange(num_channels))[None]


def _split_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    return [
        (_numbered(3, 8), 2),
        (torch.randn(2, 5, 12, generator=generator), 3),
        (torch.randn(4, 1, 6, generator=generator), 3),
        (torch.randn(2, 3, 5, generator=generator), 1),
    ]


def _split_oracle(x: Tensor, num_heads: int) -> Tensor:
    width = x.shape[-1] // num_heads
    return torch.stack([x[:, :, h * width : (h + 1) * width] for h in range(num_heads)], dim=1)


def _explain_split(function: Function, case: tuple[Any, ...]) -> str | None:
    x, num_heads = case
    if not torch.equal(x, _numbered(*x.shape[1:])):
        return None
    got, expected = function(*case), _split_oracle(*case)
    h, t = next(
        (h, t) for t in range(x.shape[1]) for h in range(num_heads) if not same(got[0, h, t], expected[0, h, t])
    )
    return (
        f"Token {t} is {_row(x[0, t])}. Of it, head {h} should be given {_row(expected[0, h, t])}; "
        f"it is given {_row(got[0, h, t])}."
    )


def _row(values: Tensor) -> str:
    return f"({', '.join(number(value) for value in values)})"


SPLIT_HEADS = Exercise(
    id="03.1",
    minutes=8,
    reference=split_heads,
    oracle=_split_oracle,
    cases=_split_cases,
    explain=_explain_split,
    misconceptions=(
        Misconception(
            name="view without transpose",
            says="The shape is right and the numbers are in the wrong places: a head is given all of a few tokens "
            "instead of a piece of every token. `view` and `reshape` never move a number, they only count it "
            "differently. First cut the channels, then exchange two axes.",
            wrong=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1),
        ),
        Misconception(
            name="channels dealt out in turn",
            says="The channels are dealt out like cards: head 0 is given every second or third one. Each head gets "
            "neighbours: the first head the first piece, the next head the next.",
            wrong=lambda x, H: x.reshape(*x.shape[:2], -1, H).permute(0, 3, 1, 2),
        ),
        Misconception(
            name="tokens still before heads",
            says="The channels are cut rightly, but tokens still come before heads. Attention works on the last two "
            "axes, so those must be tokens and channels; here it would compare the heads of one token.",
            wrong=lambda x, H: x.reshape(*x.shape[:2], H, -1),
        ),
        Misconception(
            name="heads before texts",
            says="The pieces are right, but the axis of the heads comes first. The texts of the batch stay in front: "
            "batch, heads, tokens, channels.",
            wrong=lambda x, H: x.reshape(*x.shape[:2], H, -1).permute(2, 0, 1, 3),
        ),
        Misconception(
            name="channels before tokens",
            says="Tokens and channels have changed places. The order is batch, heads, tokens, channels.",
            wrong=lambda x, H: x.reshape(*x.shape[:2], H, -1).permute(0, 2, 3, 1),
        ),
        Misconception(
            name="num_heads taken for the width of a head",
            says="`num_heads` was used as the width of a piece. It is the number of pieces; their width follows.",
            wrong=lambda x, H: x.reshape(*x.shape[:2], -1, H).transpose(1, 2),
        ),
        Misconception(
            name="every head gets everything",
            says="Every head is given all channels. Heads divide the channels among them: each works in a piece of "
            "its own, which is why eight of them cost no more than one.",
            wrong=lambda x, H: x.unsqueeze(1).expand(-1, H, -1, -1),
        ),
        Misconception(
            name="heads folded into the batch",
            says="Heads and texts share one axis. That works too, and some libraries do it; here the heads have an "
            "axis of their own, so that nobody has to remember which comes first.",
            wrong=lambda x, H: _split_oracle(x, H).flatten(0, 1),
        ),
    ),
    hints=(
        "Two steps: make the axis of channels into two (head, channel within the head), then bring the heads "
        "forward. The first only counts the numbers differently; the second has to change their order.",
        "After the first step the shape is (B, T, H, C), since the channels were last. Attention wants (B, H, T, C).",
        "`x.view(B, T, num_heads, HC // num_heads)` cuts; `.transpose(1, 2)` exchanges tokens and heads.",
    ),
)

# --- 03.2 merge_heads ------------------------------------------------------------------------------------------------


def _merge_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    return [
        (_split_oracle(_numbered(3, 8), 2),),
        (torch.randn(2, 3, 5, 4, generator=generator),),
        (torch.randn(4, 3, 1, 2, generator=generator),),
    ]


def _merge_oracle(x: Tensor) -> Tensor:
    return torch.cat([x[:, h] for h in range(x.shape[1])], dim=-1)


def _explain_merge(function: Function, case: tuple[Any, ...]) -> str | None:
    (x,) = case
    got, expected = function(x), _merge_oracle(x)
    if len(x) != 1:
        return None
    t = next(t for t in range(x.shape[2]) if not same(got[0, t], expected[0, t]))
    found = " and ".join(_row(x[0, h, t]) for h in range(x.shape[1]))
    return f"The heads found {found} for token {t}. It should be {_row(expected[0, t])}; it is {_row(got[0, t])}."


MERGE_HEADS = Exercise(
    id="03.2",
    minutes=5,
    reference=merge_heads,
    oracle=_merge_oracle,
    cases=_merge_cases,
    explain=_explain_merge,
    misconceptions=(
        Misconception(
            name="reshaped without transposing back",
            says="The shape is right and the numbers are not: a token gets what one head found for several tokens. "
            "Heads and channels have to be neighbours before they can become one axis.",
            wrong=lambda x: x.reshape(x.shape[0], x.shape[2], -1),
        ),
        Misconception(
            name="heads interleaved",
            says="The pieces are shuffled together channel by channel. They belong one after another: all that head "
            "0 found, then all that head 1 found.",
            wrong=lambda x: x.permute(0, 2, 3, 1).flatten(2),
        ),
        Misconception(
            name="heads averaged",
            says="The heads are averaged, and with that it is lost who found what. They are laid side by side; how to "
            "mix them is learned, by the matrix that comes after.",
            wrong=lambda x: x.mean(1),
        ),
        Misconception(
            name="heads added up",
            says="The heads are added up, and with that it is lost who found what. They are laid side by side; how to "
            "mix them is learned, by the matrix that comes after.",
            wrong=lambda x: x.sum(1),
        ),
        Misconception(
            name="heads laid end to end",
            says="The heads follow one another along the tokens, as if the text had become longer. They belong side "
            "by side, along the channels.",
            wrong=lambda x: x.flatten(1, 2),
        ),
        Misconception(
            name="not merged",
            says="Tokens and heads have changed places, as they must, but head and channel are still two axes.",
            wrong=lambda x: x.transpose(1, 2),
        ),
        Misconception(
            name="tokens and channels made one axis",
            says="Tokens and channels became one axis. It is heads and channels that have to, and for that they must "
            "be neighbours.",
            wrong=lambda x: x.flatten(2),
        ),
        Misconception(
            name="heads in reverse",
            says="The pieces are right and stand in reverse: the first head's piece comes first.",
            wrong=lambda x: x.flip(1).transpose(1, 2).flatten(2),
        ),
    ),
    hints=(
        "It is `split_heads` backwards, so the two moves come in the opposite order.",
        "Bring the axes into the order (B, T, H, C) first; then the last two can become one.",
        "`x.transpose(1, 2)` and then `.flatten(2)`, or `.reshape(B, T, H * C)`. (`view` refuses here, because the "
        "numbers no longer lie in memory in this order.)",
    ),
)

# --- 03.3 MultiHeadAttention -----------------------------------------------------------------------------------------


def _layer_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    visible = torch.rand(5, 7, generator=generator) < 0.5
    visible[:, 2] = True
    build = Build(embed_dim=12, num_heads=3)
    return [
        (Build(embed_dim=4, num_heads=1), draw(1, 3, 4)),
        (Build(embed_dim=6, num_heads=2), draw(1, 4, 6)),
        (build, draw(2, 5, 12), draw(2, 5, 12)),
        (build, draw(2, 5, 12), draw(2, 7, 12)),
        (build, draw(2, 5, 12), None, torch.ones(5, 5, dtype=torch.bool).tril()),
        (build, draw(2, 5, 12), draw(2, 7, 12), visible),
    ]


def _layer_oracle(build: Build, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """PyTorch's own layer, which keeps three matrices in one and calls a hidden key True."""
    weights = drawn_weights(MultiHeadAttention, build)
    layer = nn.MultiheadAttention(build["embed_dim"], build["num_heads"], bias=False, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([weights[f"{name}.weight"] for name in ("query", "key", "value")]))
        layer.out_proj.weight.copy_(weights["output.weight"])
        context = x if context is None else context
        return layer(x, context, context, attn_mask=None if mask is None else ~mask, need_weights=False)[0]


def _hidden_tokens_matter(function: Function) -> str | None:
    generator = torch.Generator().manual_seed(1)
    build, x = Build(embed_dim=6, num_heads=2), torch.randn(1, 4, 6, generator=generator)
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    changed = x.clone()
    changed[0, -1] += 5.0
    change = function(build, changed, None, causal) - function(build, x, None, causal)
    moved = change.detach()[0, :-1].abs().amax(-1)
    if (worst := float(moved.max())) < 1e-5:
        return None
    return (
        f"The mask hides token 3 from the tokens before it. Yet token 3 was changed and the output of token "
        f"{int(moved.argmax())} moved by {number(worst)}; it should be 0."
    )


Heads = Callable[[Tensor, int], Tensor]


def _mistaken(
    split: Heads = split_heads,
    merge: Callable[[Tensor], Tensor] = merge_heads,
    attend: Function = scaled_dot_product_attention,
    sources: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]] = lambda x, context: (x, context, context),
    project: Function = lambda layer, found: layer.output(found),
) -> type[nn.Module]:
    """The layer with one step replaced."""

    class Mistaken(MultiHeadAttention):
        def forward(self, x: Any, context: Any = None, mask: Any = None) -> Any:
            asking, offering, giving = sources(x, x if context is None else context)
            query = split(self.query(asking), self.num_heads)
            key = split(self.key(offering), self.num_heads)
            value = split(self.value(giving), self.num_heads)
            return project(self, merge(attend(query, key, value, mask)))

    return Mistaken


def _built(make: Callable[[int, int], dict[str, nn.Module]]) -> type[nn.Module]:
    """The layer with other matrices."""

    class Mistaken(MultiHeadAttention):
        def __init__(self, embed_dim: int, num_heads: int) -> None:
            nn.Module.__init__(self)
            self.num_heads = num_heads
            for name, module in make(embed_dim, num_heads).items():
                self.add_module(name, module)

    return Mistaken


def _linear(names: str, width: int, out: int, bias: bool = False) -> dict[str, nn.Module]:
    return {name: nn.Linear(width, out, bias=bias) for name in names.split()}


def _upside_down(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return scaled_dot_product_attention(query, key, value, None if mask is None else ~mask)


def _always_causal(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    causal = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    return scaled_dot_product_attention(query, key, value, causal if mask is None else mask & causal)


MULTI_HEAD_ATTENTION = ModuleExercise(
    id="03.3",
    minutes=15,
    reference=MultiHeadAttention,
    oracle=_layer_oracle,
    cases=_layer_cases,
    invariants=(Invariant(name="hidden tokens do not matter", broken=_hidden_tokens_matter),),
    misconceptions=(
        Misconception(
            name="no output matrix",
            says="The output matrix is never used. Without it, what head 0 finds stays in the first piece of channels "
            "for good; the matrix lets every head write to every channel.",
            wrong=_mistaken(project=lambda layer, found: found),  # noqa: ARG005
        ),
        Misconception(
            name="output matrix not built",
            says="The output matrix is missing. Without it, what head 0 finds stays in the first piece of channels "
            "for good; the matrix lets every head write to every channel.",
            wrong=_built(lambda width, _: _linear("query key value", width, width)),
        ),
        Misconception(
            name="never split",
            says="It computes what one head of the full width would: there is one set of shares for all channels. "
            "Where are queries, keys and values cut into heads?",
            wrong=_mistaken(split=lambda x, H: x, merge=lambda x: x),  # noqa: ARG005
        ),
        Misconception(
            name="split by view alone",
            says="The heads are cut by `view` or `reshape` alone, so that a head holds a few tokens instead of a "
            "piece of every token. Use your `split_heads`.",
            wrong=_mistaken(split=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1)),
        ),
        Misconception(
            name="merged by view alone",
            says="The heads are joined by `reshape` alone, so that a token gets what one head found for several "
            "tokens. Use your `merge_heads`.",
            wrong=_mistaken(merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1)),
        ),
        Misconception(
            name="never merged",
            says="The heads are never laid side by side again: what they found still has an axis of its own for them. "
            "Where is `merge_heads`?",
            wrong=_mistaken(merge=lambda x: x),
        ),
        Misconception(
            name="heads attend to each other",
            says="The tokens are never compared: attention runs between the heads of one token. It works on the last "
            "two axes, which have to be tokens and channels.",
            wrong=_mistaken(split=lambda x, H: x.reshape(*x.shape[:2], H, -1), merge=lambda x: x.flatten(2)),
        ),
        Misconception(
            name="scaled by the whole width",
            says="The scores are divided by the root of the whole width. A head's score is a sum over the channels of "
            "that head only.",
            wrong=_mistaken(
                attend=lambda q, k, v, mask: scaled_dot_product_attention(q / math.sqrt(q.shape[1]), k, v, mask)
            ),
        ),
        Misconception(
            name="context ignored",
            says="The context changes nothing: keys and values come from x. In cross-attention x only asks.",
            wrong=_mistaken(sources=lambda x, context: (x, x, x)),  # noqa: ARG005
        ),
        Misconception(
            name="the context asks",
            says="Queries come from the context, keys and values from x: the wrong one asks. There is one answer for "
            "each token of x.",
            wrong=_mistaken(sources=lambda x, context: (context, x, x)),
        ),
        Misconception(
            name="everything from the context",
            says="Queries, keys and values all come from the context, so the context looks at itself. It is x that "
            "asks: there is one answer for each of its tokens.",
            wrong=_mistaken(sources=lambda x, context: (context, context, context)),  # noqa: ARG005
        ),
        Misconception(
            name="values from x",
            says="Keys come from the context, but values from x. What is looked at and what is fetched have to be the "
            "same tokens.",
            wrong=_mistaken(sources=lambda x, context: (x, context, x)),
        ),
        Misconception(
            name="keys from x",
            says="Values come from the context, but keys from x. What is looked at and what is fetched have to be the "
            "same tokens.",
            wrong=_mistaken(sources=lambda x, context: (x, x, context)),
        ),
        Misconception(
            name="keys and values exchanged",
            says="Keys and values have changed places: queries are compared with the values, and the keys are mixed.",
            wrong=_mistaken(attend=lambda q, k, v, mask: scaled_dot_product_attention(q, v, k, mask)),
        ),
        Misconception(
            name="keys for values",
            says="The value matrix is never used: what comes back is a mixture of the keys.",
            wrong=_mistaken(attend=lambda q, k, v, mask: scaled_dot_product_attention(q, k, k, mask)),  # noqa: ARG005
        ),
        Misconception(
            name="queries and keys exchanged",
            says="Queries and keys have changed places: each token asks with what it should be found by.",
            wrong=_mistaken(
                sources=lambda x, context: (x, context, context),
                attend=lambda q, k, v, mask: scaled_dot_product_attention(k, q, v, mask),
            ),
        ),
        Misconception(
            name="mask ignored",
            says="The mask changes nothing. Is it handed on to the attention?",
            wrong=_mistaken(attend=lambda q, k, v, mask: scaled_dot_product_attention(q, k, v)),  # noqa: ARG005
        ),
        Misconception(
            name="mask upside down",
            says="The mask works the wrong way round: True means may attend. (PyTorch's own MultiheadAttention means "
            "the opposite, which is how this mistake travels.)",
            wrong=_mistaken(attend=_upside_down),
        ),
        Misconception(
            name="always causal",
            says="The future is hidden even where no mask asks for it. The mask is the caller's business: a question "
            "may read the whole of a text.",
            wrong=_mistaken(attend=_always_causal),
        ),
        Misconception(
            name="biases kept",
            says="The matrices have biases. The ones here have none: pass `bias=False`.",
            wrong=_built(lambda width, _: _linear("query key value output", width, width, bias=True)),
        ),
        Misconception(
            name="one matrix under several names",
            says="Each of the four matrices has to be made by an `nn.Linear` of its own: `a = b = nn.Linear(...)` and "
            "`[nn.Linear(...)] * 4` make one matrix with several names.",
            wrong=_built(
                lambda width, _: dict.fromkeys(["query", "key", "value", "output"], nn.Linear(width, width, bias=False))
            ),
        ),
        Misconception(
            name="every head as wide as the token",
            says="The matrices make vectors of full width for every head. All heads together are as wide as one "
            "token; each gets its piece.",
            wrong=_built(
                lambda width, H: (
                    _linear("query key value", width, H * width) | {"output": nn.Linear(H * width, width, bias=False)}
                )
            ),
        ),
        Misconception(
            name="matrices of one head's width",
            says="The matrices make a vector for one head only. One product can make those of all heads, side by "
            "side; `split_heads` then cuts it.",
            wrong=_built(
                lambda width, H: (
                    _linear("query key value", width, width // H) | {"output": nn.Linear(width, width, bias=False)}
                )
            ),
        ),
    ),
    hints=(
        "In `forward`, six steps and one line each: choose what is looked at; queries, keys and values, each cut into "
        "heads; attend; merge and mix.",
        "`nn.Linear(embed_dim, embed_dim, bias=False)` makes the queries of all heads in one product. Keys and values "
        "come from the context, or from x where there is none.",
        "`query = split_heads(self.query(x), self.num_heads)`, and so for key and value. At the end "
        "`self.output(merge_heads(found))`.",
    ),
)

# --- 03.4 attention_parameters ---------------------------------------------------------------------------------------


def _count_oracle(embed_dim: int, num_heads: int, head_dim: int) -> int:
    """Count them head by head, on matrices without memory."""
    shapes = [(head_dim, embed_dim)] * 3 + [(embed_dim, head_dim)]  # query, key, value; the output's columns
    return num_heads * sum(torch.empty(shape, device="meta").numel() for shape in shapes)


ATTENTION_PARAMETERS = Exercise(
    id="03.4",
    minutes=5,
    reference=attention_parameters,
    oracle=_count_oracle,
    cases=lambda generator: [(4, 2, 2), (6, 2, 5), (512, 8, 64), (1152, 4, 256)],  # noqa: ARG005
    misconceptions=(
        Misconception(
            name="output forgotten",
            says="Three matrices are counted. The fourth, the output, brings what all heads found back to the width "
            "of a token.",
            wrong=lambda D, H, C: 3 * D * H * C,
        ),
        Misconception(
            name="each head as wide as the token",
            says="It counts every head as wide as a token. A head has `head_dim` channels.",
            wrong=lambda D, H, C: 4 * D * D * H,  # noqa: ARG005
        ),
        Misconception(
            name="heads together taken for as wide as the token",
            says="It takes all heads together for as wide as a token. That is usual, and not necessary: `head_dim` is "
            "a choice of its own.",
            wrong=lambda D, H, C: 4 * D * D,  # noqa: ARG005
        ),
        Misconception(
            name="one head counted",
            says="It counts one head only. Each of them has queries, keys and values of its own.",
            wrong=lambda D, H, C: 4 * D * C,  # noqa: ARG005
        ),
        Misconception(
            name="output of one head's width",
            says="The output matrix is counted for one head. It reads what all heads found, side by side.",
            wrong=lambda D, H, C: 3 * D * H * C + C * D,
        ),
        Misconception(
            name="output between heads",
            says="The output matrix is counted from all heads to all heads. It leads back to the width of a token.",
            wrong=lambda D, H, C: 3 * D * H * C + (H * C) ** 2,
        ),
        Misconception(
            name="output from token to token",
            says="The output matrix is counted from the width of a token to the same width. It reads what all heads "
            "found, side by side.",
            wrong=lambda D, H, C: 3 * D * H * C + D * D,
        ),
        Misconception(
            name="biases counted",
            says="Biases are counted. The matrices here have none.",
            wrong=lambda D, H, C: 4 * D * H * C + 3 * H * C + D,
        ),
        Misconception(
            name="one matrix for queries, keys and values",
            says="Queries, keys and values are counted as one matrix. There is one for each of the three.",
            wrong=lambda D, H, C: 2 * D * H * C,
        ),
    ),
    hints=(
        "How many matrices are there? For each: how many numbers go in, and how many come out?",
        "Three of them go from the width of a token to the width of all heads together, and one goes back.",
        "All heads together are `num_heads * head_dim` wide. A matrix from m to n numbers holds m times n.",
    ),
)

EXERCISES = (SPLIT_HEADS, MERGE_HEADS, MULTI_HEAD_ATTENTION, ATTENTION_PARAMETERS)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "One head and eight heads have the same total width and the same number of parameters. What can eight do "
            "that one cannot?",
            (
                Option(
                    "Compare vectors more exactly.",
                    "Less exactly, if anything: each of the eight compares with an eighth of the channels.",
                ),
                Option(
                    "Compute faster.",
                    "They need as many multiplications as one. What grows is the number of shares: eight times as "
                    "many maps have to be made.",
                ),
                Option(
                    "Fetch several things for one token without mixing them.",
                    "A head gives each token one set of shares, and so one mixture. Eight heads give it eight.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "Why does `x.view(B, H, T, C)` not cut a tensor of shape (B, T, H · C) into heads?",
            (
                Option(
                    "`view` raises an error there.",
                    "If only it did. The count of numbers fits, so `view` is content.",
                ),
                Option(
                    "It keeps the order of the numbers and counts them differently, so a head gets a few whole tokens.",
                    "The shape is right, nothing complains, and a causal mask no longer keeps the future out.",
                    is_right=True,
                ),
                Option(
                    "It does, and the matrices learn to live with another order of channels.",
                    "An order of channels could be learned. But here whole tokens end up in different heads, and no "
                    "matrix that works on one token at a time can undo that.",
                ),
            ),
        ),
        Question(
            "A question of 5 tokens looks into a text of 90 tokens by cross-attention. What shape has the map of one "
            "head?",
            (
                Option(
                    "5 rows, 90 columns.",
                    "One row for each token that asks; its shares over the text sum to one.",
                    is_right=True,
                ),
                Option(
                    "90 rows, 5 columns.",
                    "Then the text would ask. The queries come from x, here the question.",
                ),
                Option(
                    "95 rows, 95 columns.",
                    "That would be self-attention over both, laid end to end. It is done too, and lets the text look "
                    "at itself as well.",
                ),
            ),
        ),
        Question(
            "What is lost if the output matrix is left out?",
            (
                Option(
                    "The heads can no longer see each other's maps.",
                    "They never could: nothing passes between heads before the output.",
                ),
                Option(
                    "Nothing: the value matrix can do it.",
                    "For one head that is true, since two matrices in a row are one. With several heads the value "
                    "matrix of head 0 still ends in piece 0.",
                ),
                Option(
                    "Each head can write only to its own piece of the channels.",
                    "The matrix has columns for every head; with it, any head can write to any channel, and two "
                    "heads can add to the same one.",
                    is_right=True,
                ),
            ),
        ),
    )
)
