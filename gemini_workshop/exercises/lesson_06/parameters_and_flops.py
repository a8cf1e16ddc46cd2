"""Exercise 06.6, ``parameters_and_flops``: its cases, and what learners get wrong."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.plain_transformer import parameters_and_flops

COST_NAMES = ("vocab_size", "context_tokens", "embed_dim", "num_layers", "ffn_dim", "num_tokens")

COST_WORDS = ("token in the vocabulary", "position", "channel", "block", "unit of the feed-forward", "token to read")


def _oracle(
    vocab_size: int, context_tokens: int, embed_dim: int, num_layers: int, ffn_dim: int, num_tokens: int
) -> tuple[int, int]:
    """Both counts from lists: the shape of everything stored, and of every product that is computed."""
    D, T = embed_dim, num_tokens
    norm, table = (D,), (vocab_size, D)
    matrices = [(D, D)] * 4 + [(D, ffn_dim), (D, ffn_dim), (ffn_dim, D)]
    stored = [table, (context_tokens, D), norm] + [norm, norm, *matrices] * num_layers
    inside = [(T, D, T), (T, T, D)]  # queries with keys, attention weights with values
    products = [(T, D, vocab_size)] + [*[(T, m, n) for m, n in matrices], *inside] * num_layers
    return sum(math.prod(shape) for shape in stored), sum(2 * math.prod(shape) for shape in products)


def _explain(function: Function, case: Arguments) -> str | None:
    """What one more of each thing adds, which points at the term that is wrong."""
    for which, unit in enumerate(("parameters", "FLOPs")):
        if same(function(*case)[which], _oracle(*case)[which]):
            continue
        for i in (3, 0, 1, 4, 5, 2):
            more = (*case[:i], case[i] + 1, *case[i + 1 :])
            added = function(*more)[which] - function(*case)[which]
            needed = _oracle(*more)[which] - _oracle(*case)[which]
            if not same(added, needed):
                given = ", ".join(f"{name}={value}" for name, value in zip(COST_NAMES, case, strict=True))
                return f"One {COST_WORDS[i]} more adds {added:,} {unit}; it should be {needed:,} ({given})."
    return None


STORED = {"vocabulary": 1, "positions": 1, "norms": 2, "last norm": 1, "attention": 4, "feed-forward": 3}
OPERATIONS = {"vocabulary": 2, "attention": 8, "feed-forward": 6, "keys": 4}


def _costs(
    V: int,
    N: int,
    D: int,
    L: int,
    F: int,
    T: int,
    *,
    stored: Mapping[str, int] = MappingProxyType({}),
    operations: Mapping[str, int] = MappingProxyType({}),
) -> tuple[int, int]:
    """Both counts as two bills: how often each size is stored, and how many operations a token pays for it."""
    block = {
        "norms": D,
        "attention": D * D,
        "attention biases": 4 * D,
        "feed-forward": D * F,
        "biases": 5 * D + 2 * F,
        "keys": T * D,
    }
    sizes = {"vocabulary": V * D, "positions": N * D, "last norm": D} | {name: L * size for name, size in block.items()}
    parameters, flops = (
        sum(count * sizes[name] for name, count in bill.items())
        for bill in ({**STORED, **stored}, {**OPERATIONS, **operations})
    )
    return parameters, T * flops


def _attending(*case: int) -> int:
    """The operations of attention's own two products."""
    return _costs(*case)[1] - _costs(*case, operations={"keys": 0})[1]


PARAMETERS_AND_FLOPS = Exercise(
    id="06.6",
    minutes=8,
    difficulty=4,
    importance=3,
    reference=parameters_and_flops,
    oracle=_oracle,
    cases=lambda generator: [(11, 5, 2, 1, 3, 4), (7, 9, 6, 2, 5, 3), (100, 32, 8, 3, 20, 16)],
    battery=Battery(beyond=lambda generator: [(512, 2048, 64, 2, 128, 2048)]),
    explain=_explain,
    misconceptions={
        "tied head counted twice": Say(
            "The head's matrix is counted as separate parameters. It is the embedding table, used a second time: "
            "stored once."
        ).to(_costs, stored={"vocabulary": 2}),
        "two matrices in the feed-forward": Say(
            "Two matrices are counted in the feed-forward. A gated one has three: gate, up and down."
        ).to(_costs, stored={"feed-forward": 2}, operations={"feed-forward": 4}),
        "three matrices in attention": Say(
            "Three matrices are counted in attention: queries, keys, values. What merges the heads again is a fourth."
        ).to(_costs, stored={"attention": 3}, operations={"attention": 6}),
        "positions left out": Say("The table of positions is left out of the parameters.").to(
            _costs, stored={"positions": 0}
        ),
        "norms left out": Say("The weights of the norms are left out: two in each block, and one before the head.").to(
            _costs, stored={"norms": 0, "last norm": 0}
        ),
        "last norm left out": Say("One norm is missing: after the last block, before the head.").to(
            _costs, stored={"last norm": 0}
        ),
        "one norm per block": Say("One norm is counted for each block. There are two: one for each sublayer.").to(
            _costs, stored={"norms": 1}
        ),
        "biases": Say("Biases are counted. None of these matrices has one.").to(_costs, stored={"biases": 1}),
        "biases in attention": Say("Biases are counted in attention. None of its matrices has one.").to(
            _costs, stored={"attention biases": 1}
        ),
        "attention over the whole context": Say(
            "Attention's own products are counted for as many tokens as the context holds. The text that is read has "
            "`num_tokens`: so many queries meet so many keys."
        ).to(lambda *case: (_costs(*case)[0], _costs(*case)[1] - _attending(*case) + _attending(*case[:5], case[1]))),
        "one block only": Say("One block is counted, whatever the number of layers.").to(
            lambda V, N, D, L, F, T: _costs(V, N, D, 1, F, T)
        ),
        "multiplications only": Say(
            "Each term of a product is counted as one operation. It takes two: a multiplication and an addition."
        ).to(_costs, operations={"vocabulary": 1, "attention": 4, "feed-forward": 3, "keys": 2}),
        "multiplications only, in the matrices": Say(
            "In the products with matrices each term is counted as one operation. It takes two: a multiplication and "
            "an addition."
        ).to(_costs, operations={"vocabulary": 1, "attention": 4, "feed-forward": 3}),
        "matrices for one token": Say(
            "The products with matrices are counted for one token. Every token of the text takes them."
        ).to(
            lambda *case: (_costs(*case)[0], _costs(*case, operations={"keys": 0})[1] // case[-1] + _attending(*case))
        ),
        "one key for each query": Say(
            "Attention's own products are counted as if a token saw one token. It sees all T, so they grow with T · T."
        ).to(lambda *case: (_costs(*case)[0], _costs(*case)[1] - _attending(*case) + _attending(*case) // case[-1])),
        "vocabulary left out": Say(
            "The table of the vocabulary is left out of both counts. It is stored once, and as the head it is "
            "multiplied by every token."
        ).to(_costs, stored={"vocabulary": 0}, operations={"vocabulary": 0}),
        "norms of the sandwich": Say(
            "Four norms are counted in each block, as in the sandwich. Here there are two, before the sublayers."
        ).to(_costs, stored={"norms": 4}),
        "norms and positions as products": Say(
            "Norms and positions are counted in the FLOPs. They involve no matrix product."
        ).to(lambda *case: (_costs(*case)[0], 2 * case[-1] * _costs(*case)[0] + _attending(*case))),
        "scores left out": Say(
            "Attention's own products are left out of the FLOPs: every query with every key, and every attention "
            "weight with every value. They have no parameters and still cost time."
        ).to(_costs, operations={"keys": 0}),
        "two operations for every parameter": Say(
            "The FLOPs are two for every parameter and token. That is the rule of thumb. To be exact, norms and "
            "positions are not products, and attention's own two products are missing: they have no parameters."
        ).to(lambda *case: (_costs(*case)[0], 2 * case[-1] * _costs(*case)[0])),
        "only one product of attention": Say(
            "One of attention's two products is missing from the FLOPs, or both are halved. Queries meet keys, and "
            "attention weights meet values: each takes 2 · T · T · D in all heads together, as if every token saw "
            "every other."
        ).to(_costs, operations={"keys": 2}),
        "head free of charge": Say(
            "The head is left out of the FLOPs. Its matrix is stored once, as the embedding; but looking up a row "
            "costs no product, and computing a logit for every token does."
        ).to(_costs, operations={"vocabulary": 0}),
        "embedding counted as a product": Say(
            "The embedding is counted as a product in the FLOPs, in addition to the head. Looking up a row multiplies "
            "nothing."
        ).to(_costs, operations={"vocabulary": 4}),
    },
    hints=(
        "Make a list of the matrices that a token is multiplied by, and their shapes. Both counts begin with that "
        "list: each entry is one parameter, and two operations for each token.",
        "A block: four (D, D) matrices in attention, three (D, F) in the feed-forward. The head: (V, D), the same "
        "table as the embedding. Only parameters: positions, 2 L + 1 norms. Only FLOPs: attention's own two products.",
        "`matrices = num_layers * (4 * D * D + 3 * D * ffn_dim) + vocab_size * D`. FLOPs are "
        "`2 * T * matrices + num_layers * 4 * D * T * T`.",
    ),
)
