"""Exercise 09.3, ``interleave``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.models.multimodal.stream import interleave


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    one = _places(".##.")
    several = _places("#..##.", "...###", ".#....")
    return [
        (torch.tensor([[[1.0, 2.0], [3, 4], [5, 6], [7, 8]]]), torch.tensor([[10.0, 20.0], [30, 40]]), one),
        (draw(2, 5, 3), draw(4, 3), _places("#.#..", "..#.#")),
        (draw(3, 6, 4), draw(7, 4), several),
        (draw(2, 3, 5), draw(0, 5), _places("...", "...")),
    ]


def _places(*rows: str) -> Tensor:
    """A place for each #."""
    return torch.tensor([[sign == "#" for sign in row] for row in rows])


def _oracle(embeddings: Tensor, vectors: Tensor, is_place: Tensor) -> Tensor:
    coming = iter(vectors)
    rows = [
        torch.stack([next(coming) if place else x for x, place in zip(row, places, strict=True)])
        for row, places in zip(embeddings, is_place.tolist(), strict=True)
    ]
    return torch.stack(rows)


def _explain(function: Function, case: Arguments) -> str | None:
    _, _, is_place = case
    got, expected = function(*case), _oracle(*case)
    for b, t in torch.cartesian_prod(*map(torch.arange, is_place.shape)).tolist():
        if not torch.allclose(got[b, t], expected[b, t], rtol=1e-4, atol=1e-5):
            what = (
                f"vector {int(is_place.flatten()[: b * is_place.shape[1] + t].sum())}" if is_place[b, t] else "its text"
            )
            drawn = "".join("#" if place else "." for place in is_place[b].tolist())
            return (
                f"Row {b} has the places `{drawn}`: token {t} became {vector(got[b, t])}; {vector(expected[b, t])}, "
                f"{what}, is needed."
            )
    return None


def _in_order(is_place: Tensor) -> Tensor:
    """For each token, how many places come before it in all the rows."""
    return is_place.flatten().cumsum(0).view(is_place.shape) - is_place.long()


def _replaced(embeddings: Tensor, found: Tensor) -> Tensor:
    return found


def _put(
    embeddings: Tensor,
    vectors: Tensor,
    is_place: Tensor,
    *,
    number: Callable[[Tensor], Tensor] = _in_order,
    where: Callable[[Tensor], Tensor] = lambda is_place: is_place,
    made: Callable[[Tensor], Tensor] = lambda vectors: vectors,
    put: Callable[[Tensor, Tensor], Tensor] = _replaced,
) -> Tensor:
    """Right but for the steps: which vector comes to which token, where, made into what, and how it is put there."""
    if len(vectors) == 0:
        return embeddings.clone()
    found = made(vectors)[number(is_place) % len(vectors)]
    return torch.where(where(is_place).unsqueeze(-1), put(embeddings, found), embeddings)


def _columns(is_place: Tensor) -> Tensor:
    return _in_order(is_place.T).T


def _front(is_place: Tensor) -> Tensor:
    return torch.arange(is_place.shape[1]) < is_place.sum(1, keepdim=True)


def _number_from_the_front(is_place: Tensor) -> Tensor:
    return _in_order(_front(is_place))


INTERLEAVE = Exercise(
    id="09.3",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=interleave,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "first vector everywhere": Say(
            "The first vector stands in every place. Each place gets the next one, in reading order."
        ).to(_put, number=lambda is_place: torch.zeros(is_place.shape, dtype=torch.long)),
        "column by column": Say(
            "The vectors are dealt out column by column: the first place of every row, then the second. Reading order "
            "is row by row: all the places of a text, then the next text."
        ).to(_put, number=_columns),
        "each row from the first": Say(
            "Every row begins with the first vector again. The vectors of all rows come one after the other; row 1 "
            "continues where row 0 has stopped."
        ).to(_put, number=lambda is_place: is_place.long().cumsum(1) - is_place.long()),
        "numbered by token": Say(
            "A place gets the vector that has the number of its token. Count the places before it, not the tokens."
        ).to(_put, number=lambda is_place: torch.arange(is_place.shape[1]).expand(is_place.shape)),
        "one position late": Say("Every vector stands one token too late.").to(
            _put,
            number=lambda is_place: _in_order(is_place).roll(1, 1),
            where=lambda is_place: is_place.roll(1, 1),
        ),
        "reversed": Say("The last vector comes first. The order is that of the text.").to(
            _put, made=lambda vectors: vectors.flip(0)
        ),
        "added": Say(
            "The vector is added to the embedding of the placeholder. It takes its place: the placeholder has no "
            "meaning of its own."
        ).to(_put, put=lambda embeddings, found: embeddings + found),
        "mixed half and half": Say(
            "A place holds the mean of the placeholder and the vector. The vector takes its place."
        ).to(_put, put=lambda embeddings, found: (embeddings + found) / 2),
        "at the front": Say(
            "The vectors stand at the beginning of each row. They belong into the places where `is_place` is True."
        ).to(_put, where=_front, number=_number_from_the_front),
        "into the text": Say(
            "The vectors stand where the text is, and the placeholders have stayed. True means a place."
        ).to(_put, where=torch.logical_not, number=lambda is_place: _in_order(~is_place)),
        "scaled": Say(
            "The vectors are multiplied by √D. That is done to embeddings of text when they are looked up; what an "
            "encoder gives is put in as it is."
        ).to(_put, made=lambda vectors: vectors * vectors.shape[-1] ** 0.5),
        "mean of the vectors": Say(
            "The mean of all vectors stands in every place. Each place has a vector of its own."
        ).to(_put, made=lambda vectors: vectors.mean(0, keepdim=True).expand_as(vectors)),
        "zeros": Say("The places hold zeros. They are emptied, and then nothing is put there.").to(
            _put, made=torch.zeros_like
        ),
        "first row only": Say("Only the places of the first row are filled.").to(
            _put, where=lambda is_place: is_place & (torch.arange(len(is_place)) == 0).unsqueeze(-1)
        ),
        "nothing put in": Say(
            "The text came back as it was. Does what you wrote change a copy, which is not returned?"
        ).to(_put, where=torch.zeros_like),
        "other tokens lost": Say("Only the vectors are left; the text between them is zero.").to(
            lambda embeddings, vectors, is_place: _put(embeddings, vectors, is_place) * is_place.unsqueeze(-1)
        ),
    },
    hints=(
        "Indexing with a mask of booleans reads row by row, and so does writing. Which tokens does "
        "`embeddings[is_place]` give, and in which order?",
        "Make a copy first: the embeddings that were given must stay as they are, since they may be needed again. Then "
        "assign to the places of the copy.",
        "`stream = embeddings.clone()`, then `stream[is_place] = vectors`. (`masked_scatter` does both at once.)",
    ),
)
