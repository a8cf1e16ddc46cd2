"""Exercise 09.4, ``multimodal_mask``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_02.causal_mask import CAUSAL_MASK
from gemini_workshop.models.masks import multimodal_mask

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]


def _cases(generator: torch.Generator) -> list[Arguments]:
    drawn = torch.randint(3, (2, 9), generator=generator).sort(dim=1).values
    return [
        (torch.tensor([[0, 1, 1, 0]]), 4),
        (torch.tensor([[0, 0, 1, 1, 1, 0, 2, 2]]), 8),
        (torch.tensor([[1, 1, 2, 2, 2], [0, 1, 1, 1, 0]]), 5),
        (torch.tensor([[0, 1, 1, 1, 0, 2, 2], [1, 1, 0, 0, 0, 2, 2]]), 3),
        (torch.tensor([[0, 1, 1, 0, 0, 2]]), 1),
        (torch.cat([drawn, drawn.flip(1)], dim=1), 11),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    far = torch.tensor([[1, 1, 0, 257, 257, 256, 256, 0, 3, 3]])
    return [(torch.tensor([0, 1, 0, 2, 3]).repeat_interleave(60).expand(2, -1), 250), (far, 10)]


def _oracle(image_ids: Tensor, num_queries: int) -> Tensor:
    rows = image_ids.tolist()
    first = image_ids.shape[1] - num_queries
    return torch.tensor(
        [[[s <= t or 0 < ids[s] == ids[t] for s in range(len(ids))] for t in range(first, len(ids))] for ids in rows]
    )


def _explain(function: Function, case: Arguments) -> str | None:
    ids, num_queries = case
    got, expected = function(*case), _oracle(*case)
    if got.shape != expected.shape:
        return f"It returned shape {tuple(got.shape)}; {tuple(expected.shape)} = (B, T, S) is needed."
    for b, (rows, needed_rows) in enumerate(zip(got, expected, strict=True)):
        for t, (row, needed) in enumerate(zip(rows, needed_rows, strict=True)):
            if not torch.equal(row, needed):
                place = ids.shape[1] - num_queries + t
                return (
                    f"Images {ids[b].tolist()}: token {place}, of image {int(ids[b, place])}, sees `{_drawn(row)}`; "
                    f"`{_drawn(needed)}` is needed (# may attend, . may not; image 0 is text)."
                )
    return None


def _drawn(row: Tensor) -> str:
    return "".join("#" if may else "." for may in row.tolist())


def _is_same(asking: Tensor, ids: Tensor, _: Tensor) -> Tensor:
    return (asking == ids) & (asking > 0)


def _either(causal: Tensor, same: Tensor, _: Tensor) -> Tensor:
    return causal | same


def _both(
    image_ids: Tensor,
    num_queries: int,
    *,
    first: Callable[[int, int], int] = lambda S, T: S - T,
    causal: Callable[[Tensor, Tensor], Tensor] = lambda t, s: s <= t,
    same: Rule = _is_same,
    join: Rule = _either,
) -> Tensor:
    """Right but for the steps: where the queries begin, what causal means, what an image is, and how both are joined.

    A rule is given queries and keys of each kind, and the causal mask.
    """
    S = image_ids.shape[1]
    begin = first(S, num_queries)
    queries, keys = torch.arange(begin, begin + num_queries)[:, None], torch.arange(S)
    seen = causal(queries, keys).expand(len(image_ids), -1, -1)
    asking, ids = image_ids[:, begin : begin + num_queries, None], image_ids[:, None, :]
    return join(seen, same(asking, ids, seen), (asking > 0).expand(seen.shape))


def _merged(image_ids: Tensor, num_queries: int) -> Tensor:
    """Images that touch each other count as one."""
    is_image = (image_ids > 0).long()
    begins = (is_image.diff(dim=1, prepend=torch.zeros_like(is_image[:, :1])) > 0).cumsum(1)
    return _both(begins * is_image, num_queries)


MULTIMODAL_MASK = Exercise(
    id="09.4",
    minutes=10,
    difficulty=3,
    importance=5,
    reference=multimodal_mask,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(beyond=_beyond),
    misconceptions={
        "text counted as an image": Say(
            "Text sees text that comes after it. All text has the image number 0, and 0 equals 0: it is compared as if "
            "it were one large image. That leaks the future; text has to be left out of the comparison."
        ).to(_both, same=lambda asking, ids, _: asking == ids),
        "all images one": Say(
            "The patches of one image see those of a later image. It is not enough that both are patches: they have to "
            "be of the same image."
        ).to(_both, same=lambda asking, ids, _: (asking > 0) & (ids > 0)),
        "neighbors merged": Say("Two images with no text between them count as one. Their numbers differ.").to(_merged),
        "both instead of either": Say(
            "A patch has to be of the same image *and* come earlier. One of the two is enough: causal, or the same "
            "image."
        ).to(_both, join=lambda causal, same, _: causal & same),
        "both for patches": Say(
            "Patches see only what is of the same image and comes earlier. One of the two is enough: causal, or the "
            "same image."
        ).to(_both, join=lambda causal, same, is_image: torch.where(is_image, causal & same, causal)),
        "causal only": Say(
            "This is the causal mask. The patches of an image were there at the same moment: each sees the whole image."
        ).to(_both, join=lambda causal, same, _: causal),
        "patches see their image only": Say(
            "A patch sees its own image and nothing else. The text before the image is visible, too."
        ).to(_both, join=lambda causal, same, is_image: torch.where(is_image, same, causal)),
        "same image only": Say("Only patches of one image see each other; text sees nothing, not even itself.").to(
            _both, join=lambda causal, same, _: same
        ),
        "images visible from everywhere": Say(
            "Text sees an image that comes after it. Only the patches of the image itself look ahead in it."
        ).to(_both, same=lambda asking, ids, seen: (ids > 0).expand(seen.shape)),
        "patches see everything": Say(
            "Patches see the text that comes after their image. They look ahead in their own image only."
        ).to(_both, same=lambda asking, ids, seen: (asking > 0).expand(seen.shape)),
        "everything visible": Say("Every token sees every other, also those that it has to predict.").to(
            _both, same=lambda asking, ids, seen: torch.ones_like(seen)
        ),
        "the wrong way round": Say(
            "Text sees in both directions, and patches see only what came before. It is the other way round: text is "
            "causal."
        ).to(_both, same=lambda asking, ids, _: (asking == ids) & (asking == 0)),
        "True means hidden": Say(
            "True marks where attention is forbidden. In this course, as in PyTorch, True means may attend."
        ).to(_both, join=lambda causal, same, _: ~(causal | same)),
        "hides itself": Say("A token of text does not see itself. Causal means its own key and the ones before it.").to(
            _both, causal=lambda t, s: s < t
        ),
        "looks only ahead": Say("Text sees what comes after it, and not what came before: the other triangle.").to(
            _both, causal=lambda t, s: s >= t
        ),
        "queries taken for the first tokens": Say(
            "With more keys than queries, the queries are taken for the first tokens. They are the last ones: what "
            "came before them is in the cache."
        ).to(_both, first=lambda S, T: 0),
        "staircase from the first key": Say(
            "With more keys than queries, the staircase begins at the first key. The queries are the last tokens: the "
            "first of them sees all that is in the cache."
        ).to(_both, causal=lambda t, s: s <= t - t[0]),
        "first row for all": Say("All rows have the mask of the first. Each text has its images in other places.").to(
            lambda image_ids, num_queries: _both(image_ids[:1].expand(image_ids.shape), num_queries)
        ),
    },
    parts=(CAUSAL_MASK,),
    hints=(
        "Two reasons for which a query may look at a key: it came before, or both are patches of one image. Which "
        "number must not count as an image?",
        "The numbers of the queries are the last `num_queries` columns. With an axis of size 1 in the right place, one "
        "`==` compares every query with every key. How do you join two masks of which one is enough?",
        "`asking = image_ids[:, -num_queries:, None]`; `same = (asking == image_ids[:, None, :]) & (asking > 0)`; then "
        "`causal_mask(num_queries, ...) | same`.",
    ),
)
