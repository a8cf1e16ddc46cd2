"""Mini-Gemini with the learner's own parts in place of the package's, and a report of which parts are theirs.

    model, parts = own_model(config)      a Transformer as any other: it trains, generates and is saved
    print(parts)                          part, exercise, whose it is, and why not the learner's

A function of the learner's is called wherever the decoder calls the package's by that name, while this model runs and
no longer. A class takes the place of each module of that class and owns the same weights, under the same names. What
is faster than the definition (``accelerate``) is left to what is not the learner's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.config import MediaConfig, ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.trust import Foreign
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.project.own_places import in_place, put_modules
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table

PARTS = (
    *("02.1", "02.2", "02.3", "03.1", "03.2", "04.3", "04.4", "05.1", "05.3", "05.4", "06.2", "06.3"),
    *("07.3", "07.5", "08.1", "08.2", "09.3", "09.4"),
)
"""The exercises whose functions and classes the decoder is made of."""

CLOSE = 1e-5  # of the logits, in float64: a norm may be asked to compute in float32
TINY = ModelConfig(
    vocab_size=13,
    context_tokens=24,
    embed_dim=8,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=4,
    ffn_dim=12,
    tied_head=True,
    norm_eps=1e-6,
    norm_placement="sandwich",
    qk_norm="head",
    activation="gelu_tanh",
    rope=RotaryConfig(base=100.0),
    layer_pattern=("local", "global"),
    window_tokens=5,
    moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=6, shared_experts=1, dense_layers=(0,)),
    media=MediaConfig(image_token_id=11, audio_token_id=12, patch_pixels=2, patch_dim=6, frame_dim=5),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPart:
    """A part of the decoder.

    Args:
        why_not: why the package's is used; empty if it is the learner's own.
    """

    name: str
    exercise: str
    why_not: str

    @property
    def is_own(self) -> bool:
        """Whether the learner wrote it."""
        return not self.why_not


@dataclass(frozen=True, slots=True)
class OwnParts:
    """Which parts of a model are the learner's."""

    parts: tuple[OwnPart, ...]

    @property
    def num_own(self) -> int:
        """How many."""
        return sum(part.is_own for part in self.parts)

    def __str__(self) -> str:
        rows = [["part", "exercise", "whose"]]
        rows += [[part.name, part.exercise, part.why_not or "yours"] for part in self.parts]
        return table(rows, f"{self.num_own} of {len(self.parts)} parts are yours\n")


class OwnTransformer(Transformer):
    """The decoder, in which functions of the learner's stand in for the package's while it runs."""

    own: Mapping[Callable[..., Any], Callable[..., Any]]

    def hidden_states(self, *args: Any, **named: Any) -> Tensor:
        """As in the decoder."""
        with in_place(self.own):
            return super().hidden_states(*args, **named)


def own_model(config: ModelConfig, generator: torch.Generator | None = None) -> tuple[Transformer, OwnParts]:
    """A model of the learner's own parts where they are kept and pass their checks, and of the package's elsewhere.

    Args:
        generator: where the initial weights are drawn from: the same ones as in ``Transformer(config, generator)``.
    """
    own, report = {}, []
    for exercise in map(all_exercises().__getitem__, PARTS):
        part, why_not = _kept(exercise)
        if part is not None and not why_not:
            own[exercise.reference] = part
        report.append(OwnPart(name=exercise.title, exercise=exercise.id, why_not=why_not))
    return with_parts(config, own, generator), OwnParts(tuple(report))


def with_parts(
    config: ModelConfig,
    own: Mapping[Callable[..., Any], Callable[..., Any]],
    generator: torch.Generator | None = None,
) -> OwnTransformer:
    """The decoder with these parts, each by the package's that it replaces."""
    with in_place(own):
        model = OwnTransformer(config, generator)
        model.own = own
        put_modules(model, config, own)
    return model


def _kept(exercise: Exercise) -> tuple[Callable[..., Any] | None, str]:
    """The learner's part, or why the package's is used."""
    if exercise.id not in my_gemini.kept():
        return None, "the package's: not passed here yet"
    try:
        own = my_gemini.load(exercise.id, exercise.title)
    except Foreign:
        return None, "the package's: no check on this account wrote the kept file, or it was changed since"
    except Exception as error:  # a file that was edited by hand may fail in any way
        return None, f"the package's: the kept file does not load ({type(error).__name__})"
    if judge(exercise, own).outcome != Outcome.PASSED:
        return None, "the package's: the kept file no longer passes its check"
    try:
        if _computes_the_same(exercise.reference, own):
            return own, ""
    except Exception as error:
        return None, f"the package's: in the model, yours fails ({type(error).__name__}: {str(error)[:60]})"
    return None, "the package's: in the model, yours gives other numbers"


def _computes_the_same(reference: Callable[..., Any], own: Callable[..., Any]) -> bool:
    """Whether a small model of everything that the course has gives the same logits with this part in it."""
    plain = Transformer(TINY, torch.Generator().manual_seed(0)).double()
    other = with_parts(TINY, {reference: own}, torch.Generator().manual_seed(0)).double()
    generator = torch.Generator().manual_seed(1)
    patches, frames = (torch.rand(1, *size, generator=generator, dtype=torch.float64) for size in ((4, 12), (2, 5)))
    media = Media(patches, torch.tensor([[[0, 0], [0, 1], [1, 0], [1, 1]]]), frames)
    ids = torch.tensor([[1, 2, 11, 11, 11, 11, 3, 4, 12, 12, 5, 6, 7, 8]])
    with_media, text = plain(ids, media=media) - other(ids, media=media), plain(ids) - other(ids)
    return bool(max(with_media.abs().max(), text.abs().max()) < CLOSE)
