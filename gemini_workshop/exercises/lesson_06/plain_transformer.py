"""Exercise 06.5, ``PlainTransformer``: its cases, and what learners get wrong."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Function, Invariant, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.lesson_06.tools import block_by_hand
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.plain_transformer import PlainBlock, PlainTransformer


def _cases(generator: torch.Generator) -> list[Arguments]:
    def ids(vocab_size: int, *shape: int) -> Tensor:
        return torch.randint(vocab_size, shape, generator=generator)

    size: dict[str, Any] = {"context_tokens": 10, "embed_dim": 4, "num_heads": 2, "ffn_dim": 5}
    return [
        (Build(vocab_size=3, num_layers=1, **size), torch.tensor([[2]])),
        (Build(vocab_size=3, num_layers=1, **size), torch.tensor([[2, 0, 1, 1]])),
        (Build(vocab_size=9, num_layers=3, **size), ids(9, 2, 7)),
        (Build(vocab_size=9, num_layers=2, **size, placement="post"), ids(9, 2, 5)),
        (Build(vocab_size=9, num_layers=2, **size, placement="sandwich", eps=0.1), ids(9, 2, 5)),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    size: dict[str, Any] = {"context_tokens": 140, "embed_dim": 4, "num_heads": 2, "ffn_dim": 5}
    build = Build(vocab_size=70, num_layers=4, **size)
    return [(build, torch.randint(70, (3, 130), generator=generator))]


def _oracle(build: Build, token_ids: Tensor) -> Tensor:
    """The whole model from the formulas and PyTorch's own functions, in float64."""
    w = {name: weight.double() for name, weight in drawn_weights(PlainTransformer, build).items()}
    T = token_ids.shape[1]
    x, eps = w["embedding.weight"][token_ids] + w["position_embedding.weight"][:T], build.arguments.get("eps", 1e-6)
    for i in range(build["num_layers"]):
        x = block_by_hand(w, f"blocks.{i}.", build["num_heads"], x, torch.ones(T, T, dtype=torch.bool).tril(), eps)
    if "norm.weight" in w:
        x = F.rms_norm(x, x.shape[-1:], w["norm.weight"], eps)
    return F.linear(x, w["embedding.weight"])


def _explain(function: Function, case: Arguments) -> str | None:
    build, token_ids = case
    got, expected = function(*case), _oracle(*case)
    if got.shape != expected.shape or same(got, expected):
        return None
    b, t, v = worst_index(got, expected)
    blocks = f"{build['num_layers']} block{'s' * (build['num_layers'] > 1)}"
    return (
        f"After the ids {token_ids[b, : t + 1].tolist()}, id {v} gets the score {number(got[b, t, v])}; "
        f"{number(expected[b, t, v])} is needed ({blocks}, norms: {build.arguments.get('placement', 'pre')})."
    )


def _reads_the_future(function: Function) -> str | None:
    build, token_ids = _cases(torch.Generator().manual_seed(1))[2]
    changed = token_ids.clone()
    changed[:, 4] = (changed[:, 4] + 1) % build["vocab_size"]
    moved = (function(build, changed) - function(build, token_ids)).abs().amax((0, 2))
    early = [t for t in range(4) if moved[t] > 1e-5]
    if early:
        return (
            f"Token 4 was changed, and the scores at token {early[0]} moved by {number(moved[early[0]])}: the model "
            "reads its own future. What did lesson 02 put between them?"
        )
    return None


class _Model(PlainTransformer):
    """A whole model with its stages as methods, which the misconceptions replace."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrange(kwargs)

    def arrange(self, arguments: dict[str, Any]) -> None:
        """What else there is to do at first."""

    def embed(self, token_ids: Tensor) -> Tensor:
        return self.embedding(token_ids) + self.positions(token_ids.shape[1])

    def positions(self, T: int) -> Tensor:
        return self.position_embedding.weight[:T]

    def mask(self, T: int) -> Tensor | None:
        return causal_mask(T, T)

    def score(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embedding.weight)

    def through(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.score(self.through(self.embed(token_ids), self.mask(token_ids.shape[1])))


def _forgetting(*names: str) -> Function:
    """An `arrange` that does not hand these arguments on to its blocks."""

    def arrange(self: _Model, arguments: dict[str, Any]) -> None:
        wanted = ("embed_dim", "num_heads", "ffn_dim", "placement", "eps")
        handed_on = {name: arguments[name] for name in wanted if name in arguments and name not in names}
        self.blocks = nn.ModuleList(PlainBlock(**handed_on) for _ in self.blocks)

    return arrange


def _normed_through(self: _Model, x: Tensor, mask: Tensor | None) -> Tensor:
    for block in self.blocks:
        x = self.norm(block(x, mask))
    return x


def _new_head(*, bias: bool) -> Function:
    """An `arrange` that adds a head with a matrix of its own."""

    def arrange(self: _Model, arguments: dict[str, Any]) -> None:
        self.head = nn.Linear(arguments["embed_dim"], arguments["vocab_size"], bias=bias)

    return arrange


def _plain_list(self: Any, arguments: dict[str, Any]) -> None:
    blocks = list(self.blocks)
    del self.blocks
    self.blocks = blocks


PLAIN_TRANSFORMER = ModuleExercise(
    id="06.5",
    minutes=10,
    difficulty=4,
    importance=5,
    reference=PlainTransformer,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="no future", broken=_reads_the_future),),
    battery=Battery(reads=("blocks",), beyond=_beyond),
    misconceptions={
        "no mask": Say(
            "The blocks get no causal mask, so the model reads its own future: excellent in training, useless for "
            "generating text."
        ).to(_Model, mask=lambda self, T: None),
        "no positions": Say(
            "The positions are missing. To this model a sentence is a bag of words with a first one: nothing says how "
            "far apart two tokens are."
        ).to(_Model, embed=lambda self, ids: self.embedding(ids)),
        "positions from one": Say(
            "Positions are counted from 1. The first token is at position 0; counted from 1, the last one is outside "
            "the table."
        ).to(_Model, positions=lambda self, T: self.position_embedding(torch.arange(T) + 1)),
        "positions looked up by token": Say(
            "The position table is indexed by token ids. A position is where a token is, 0, 1, 2, …, and not which "
            "token it is."
        ).to(_Model, embed=lambda self, ids: self.embedding(ids) + self.position_embedding(ids)),
        "embedding scaled": Say(
            "The embedding is multiplied by √embed_dim. The first transformer and Gemma do that; this model does not."
        ).to(_Model, embed=lambda self, ids: self.embedding(ids) * 2 + self.positions(ids.shape[1])),
        "final norm left out": Say(
            "The last norm is missing. Every sublayer read a normalized stream; the head should, too, or the size of "
            "the logits depends on the number of blocks."
        ).to(_Model, score=lambda self, x: F.linear(x, self.embedding.weight)),
        "softmax at the end": Say(
            "The model returns probabilities. Logits are needed: the loss applies the softmax itself, and twice is "
            "wrong."
        ).to(_Model, score=lambda self, x: _Model.score(self, x).softmax(-1)),
        "log-softmax at the end": Say(
            "The model returns log-probabilities. Logits are needed: the loss does the rest itself."
        ).to(_Model, score=lambda self, x: _Model.score(self, x).log_softmax(-1)),
        "no head": Say(
            "The model returns the normalized stream, embed_dim numbers for each token. One logit for every token of "
            "the vocabulary is needed: how similar are stream and embedding?"
        ).to(_Model, score=lambda self, x: self.norm(x)),
        "first block only": Say(
            "Only the first block is used. Each block must read what the one before it returned."
        ).to(_Model, through=lambda self, x, mask: self.blocks[0](x, mask)),
        "each block reads the embedding": Say(
            "Each block reads the embedding, so only the last one counts. Each must read what the one before it "
            "returned."
        ).to(_Model, through=lambda self, x, mask: self.blocks[-1](x, mask)),
        "one block repeated": Say(
            "There is one block only. Make a new one for each layer: `[block] * n` makes n names for one object."
        ).to(_Model, arrange=lambda self, arguments: self.blocks.__delitem__(slice(1, None))),
        "blocks in a plain list": Say(
            "The blocks are in a Python list, where PyTorch does not see them: the model has no parameters for them, "
            "and no optimizer would ever train them. PyTorch does see an `nn.ModuleList`."
        ).to(_Model, arrange=_plain_list),
        "placement lost": Say(
            "`placement` does not reach the blocks, which then always put their norms before the sublayers. Pass it "
            "on, and `eps` with it."
        ).to(_Model, arrange=_forgetting("placement", "eps")),
        "eps lost": Say(
            "`eps` does not reach the blocks, whose norms then add 1e-6 whatever was asked for. Pass it on."
        ).to(_Model, arrange=_forgetting("eps")),
        "blocks not used": Say("No block affects the logits: what they return is not what the last norm reads.").to(
            _Model, through=lambda self, x, mask: x
        ),
        "normalized after each block": Say(
            "The last norm is applied after every block. It belongs after the last one; between the blocks the stream "
            "is not normalized."
        ).to(_Model, through=_normed_through),
        "head of its own, with a bias": Say(
            "The head has its own matrix, and a bias. A tied head is the embedding table itself, used once more, and "
            "has no bias."
        ).to(_Model, arrange=_new_head(bias=True), score=lambda self, x: self.head(self.norm(x))),
        "head of its own": Say(
            "The head has its own matrix. A tied head is the embedding table itself, used once more: vocab_size times "
            "embed_dim fewer numbers."
        ).to(_Model, arrange=_new_head(bias=False), score=lambda self, x: self.head(self.norm(x))),
    },
    hints=(
        "In `__init__` only the blocks are missing: one new `PlainBlock` for each layer, in a container that PyTorch "
        "knows. `forward` has four steps: embed, mask, blocks, logits.",
        "`nn.ModuleList(PlainBlock(...) for _ in range(num_layers))`. Positions are "
        "`torch.arange(T, device=token_ids.device)`, and their vectors are added to those of the tokens.",
        "The logit of a token is the product of the normalized stream with that token's embedding: `self.norm(x) @ "
        "self.embedding.weight.T`.",
    ),
)
