"""Exercise 07.7, ``cache_bytes``: its cases, and what learners get wrong."""

from collections.abc import Callable, Sequence

import torch

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.accounting import cache_bytes

Windows = Sequence[int | None]


def _cases(generator: torch.Generator) -> list[Arguments]:
    heads, channels = (int(n) for n in torch.randint(3, 12, (2,), generator=generator))
    return [
        (5, [None], 3, 7, 4),
        (5, [None, None, None], 3, 7, 2),
        (10, [4], 3, 7, 2),
        (11, [4, None, 4, 4], 3, 5, 2),
        (3, [4, None, 8], 5, 11, 4),
        (20, [6, 6, 6, 6, 6, None, 6], heads, channels, 2),
    ]


def _oracle(num_tokens: int, windows: Windows, num_kv_heads: int, head_dim: int, bytes_per_number: int) -> int:
    """Counted, not multiplied: the bytes of tensors of the right shape, one layer after the other."""
    total = 0
    for window in windows:
        kept = [t for t in range(num_tokens) if window is None or t >= num_tokens - window]
        keys = torch.empty(num_kv_heads, len(kept), head_dim, dtype=torch.int8)
        total += (keys.nbytes + keys.nbytes) * bytes_per_number
    return total


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    if same(got, needed):
        return None
    tokens, windows, heads, channels, size = case
    return (
        f"{tokens} tokens, windows {windows}, {heads} key/value heads of {channels} channels, {size} bytes per number: "
        f"it gave {got:,} bytes; {needed:,} are needed."
    )


def _count(
    num_tokens: int,
    windows: Windows,
    num_kv_heads: int,
    head_dim: int,
    bytes_per_number: int,
    *,
    kept: Callable[[int, int | None], float] = lambda T, W: T if W is None else min(W, T),
    layers: Callable[[Windows], Windows] = lambda windows: windows,
    per_token: Callable[[int, int], float] = lambda K, C: 2 * K * C,
    size: Callable[[int], float] = lambda size: size,
) -> int | float:
    """The bytes with a place to go wrong in each factor: the misconceptions below fill them in."""
    tokens = sum(kept(num_tokens, window) for window in layers(windows))
    return tokens * per_token(num_kv_heads, head_dim) * size(bytes_per_number)


CACHE_BYTES = Exercise(
    id="07.7",
    minutes=6,
    difficulty=2,
    importance=4,
    reference=cache_bytes,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "keys only": Say("This is half of it: a cache keeps keys *and* values.").to(
            _count, per_token=lambda K, C: K * C
        ),
        "queries too": Say(
            "Three vectors are counted per head: queries, too. Nobody ever looks at an old query, so it is not kept."
        ).to(_count, per_token=lambda K, C: 3 * K * C),
        "window ignored": Say(
            "Every layer is counted as if it kept all tokens. A layer with a window keeps no more than its window."
        ).to(_count, kept=lambda T, W: T),
        "window always full": Say(
            "A layer with a window is counted with a full window, even if the text is shorter. It keeps what there is."
        ).to(_count, kept=lambda T, W: T if W is None else W),
        "global layers left out": Say("Layers without a window are left out. They keep every token.").to(
            _count, kept=lambda T, W: 0 if W is None else min(W, T)
        ),
        "local layers left out": Say("Layers with a window are left out. They keep the newest tokens.").to(
            _count, kept=lambda T, W: T if W is None else 0
        ),
        "window without the token itself": Say(
            "A layer with a window keeps one token less here. The window counts the token itself, and it is kept, too."
        ).to(_count, kept=lambda T, W: T if W is None else min(W - 1, T)),
        "one layer": Say("Only the first layer is counted. Each layer has keys and values of its own.").to(
            _count, layers=lambda windows: windows[:1]
        ),
        "first window for all": Say(
            "All layers are counted like the first one. Each has its own entry in `windows`."
        ).to(_count, layers=lambda windows: [windows[0]] * len(windows)),
        "heads left out": Say(
            "One key/value head is counted. Each of the `num_kv_heads` has keys and values of its own."
        ).to(_count, per_token=lambda K, C: 2 * C),
        "channels left out": Say("One number is counted per head and token. A key has `head_dim` numbers.").to(
            _count, per_token=lambda K, C: 2 * K
        ),
        "numbers, not bytes": Say("This counts numbers. Each of them takes `bytes_per_number` bytes.").to(
            _count, size=lambda size: 1
        ),
        "bits": Say("This counts bits, eight for each byte.").to(_count, size=lambda size: 8 * size),
        "two bytes always": Say("Two bytes are counted for each number, whatever `bytes_per_number` says.").to(
            _count, size=lambda size: 2
        ),
        "every token with every other": Say(
            "The bytes grow with the square of the text. A cache keeps one key and one value per token; the square is "
            "that of the scores, which nobody keeps."
        ).to(_count, kept=lambda T, W: T * T if W is None else min(W, T) ** 2),
        "kilobytes": Say("This is in kilobytes. Bytes are asked for.").to(_count, size=lambda size: size / 1024),
    },
    hints=(
        "Start with one token in one layer: how many heads, how many vectors per head, how many numbers each? Then "
        "count the tokens that each layer keeps.",
        "A layer without a window keeps `num_tokens`, one with a window the smaller of the two. Add these up over the "
        "layers; everything else is a factor.",
        "`kept = sum(num_tokens if w is None else min(w, num_tokens) for w in windows)`, and the answer is 2 times "
        "kept times heads times channels times bytes.",
    ),
)
