"""Which of a learner's parameters is which of the reference's: by name, by a similar name, by shape, by its use."""

from collections.abc import Iterator
from itertools import islice, permutations, product
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.attempt import UnfitAnswer

Pairs = dict[str, nn.Parameter]
MOST_PAIRINGS = 24
FILLERS = ("proj", "projection", "linear", "layer", "matrix", "weights", "w", "fc", "lin", "to")


def pairing(module: nn.Module, weights: dict[str, Any]) -> Pairs:
    """The most likely pairing of a module's parameters with those of the reference, by the reference's names.

    Raises:
        UnfitAnswer: the module has not the parameters that are needed; says which.
    """
    return next(pairings(module, weights))


def pairings(module: nn.Module, weights: dict[str, Any]) -> Iterator[Pairs]:
    """Every pairing that the names allow: one, if they are the reference's or like them; else all that fit by shape.

    Raises:
        UnfitAnswer: the module has not the parameters that are needed; says which.
    """
    own = dict(module.named_parameters())
    if own.keys() == weights.keys() or sorted(_shapes(own)) != sorted(_shapes(weights)):
        if problem := _parameter_problem(module, own, weights):
            raise UnfitAnswer(problem)
        yield {name: own[name] for name in weights}
    elif alike := _by_similar_names(own, weights):
        yield alike
    else:
        yield from islice(_by_shape(own, weights), MOST_PAIRINGS)


def give_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into the parameters of a module that they belong to, however these are named.

    Raises:
        UnfitAnswer: as :func:`pairings`.
    """
    fill(pairing(module, weights), weights)


def fill(pairs: Pairs, weights: dict[str, Tensor]) -> None:
    """Copy weights into the parameters that they are paired with."""
    with torch.no_grad():
        for name, parameter in pairs.items():
            parameter.copy_(weights[name])


def _shapes(tensors: dict[str, Any]) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in tensors.values()]


def _by_similar_names(own: dict[str, Any], weights: dict[str, Any]) -> Pairs | None:
    """A pairing in which every name begins like the other: "q_proj.weight" and "query.weight"."""
    pairs: Pairs = {}
    for name, weight in weights.items():
        alike = [mine for mine in own if _is_alike(mine, name) and own[mine].shape == weight.shape]
        if len(alike) != 1:
            return None
        pairs[name] = own[alike[0]]
    return pairs if len({id(parameter) for parameter in pairs.values()}) == len(weights) else None


def _is_alike(mine: str, name: str) -> bool:
    (*path, kind), (*wanted, its_kind) = mine.split("."), name.split(".")
    if kind != its_kind or len(path) != len(wanted):
        return False
    return all(
        _stem(a) and (b.startswith(_stem(a)) or _stem(a).startswith(b)) for a, b in zip(path, wanted, strict=True)
    )


def _stem(name: str) -> str:
    """What is left of a name without words that say nothing: "q" of "w_q" and of "q_proj"."""
    words = [word for word in name.lower().split("_") if word and word not in FILLERS]
    stem = "_".join(words)
    return stem[1:] if len(stem) == 2 and stem[0] == "w" else stem


def _by_shape(own: dict[str, Any], weights: dict[str, Any]) -> Iterator[Pairs]:
    """All pairings of equal shapes, the order in which they were made first."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, weight in weights.items():
        groups.setdefault(tuple(weight.shape), []).append(name)
    mine = {shape: [p for p in own.values() if tuple(p.shape) == shape] for shape in groups}
    orders = (islice(permutations(mine[shape]), MOST_PAIRINGS) for shape in groups)  # product keeps all it is given
    for chosen in product(*orders):
        names = (name for group in groups.values() for name in group)
        pairs = dict(zip(names, (p for group in chosen for p in group), strict=True))
        yield {name: pairs[name] for name in weights}


def _parameter_problem(module: nn.Module, own: dict[str, Any], weights: dict[str, Any]) -> str | None:
    lines = [
        f"`{name}` has shape {tuple(own[name].shape)}; {tuple(weight.shape)} is needed."
        for name, weight in weights.items()
        if name in own and own[name].shape != weight.shape
    ]
    missing = [name for name in weights if name not in own]
    lines += [f"It has no parameter `{name}`; one of shape {tuple(weights[name].shape)} is needed." for name in missing]
    lines += [
        f"It has a parameter `{name}` of shape {tuple(parameter.shape)}; none is needed there."
        for name, parameter in own.items()
        if name not in weights
    ]
    reasons = filter(None, [*(_where_it_is(module, name) for name in missing), _extra_bias(own, weights)])
    return " ".join([*lines[:2], *list(dict.fromkeys(reasons))[:1]]) if lines else None


def _where_it_is(module: nn.Module, name: str) -> str | None:
    """What stands in the place of a parameter that is missing."""
    if name in dict(module.named_buffers()):
        return "What has its name is a buffer: `state_dict` saves it, but no optimizer changes it. Use `nn.Parameter`."
    if name in dict(module.named_parameters(remove_duplicate=False)):
        return "What has its name is the same object as another parameter: each needs a matrix of its own."
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if isinstance(value, Tensor):
        return "What has its name is a plain tensor: no optimizer finds it, and `state_dict` does not save it."
    if any(_holds_modules(each) for own, each in vars(module).items() if not own.startswith("_")):
        return "PyTorch does not look into Python's lists and dicts: put modules into an `nn.ModuleList`."
    return None


def _holds_modules(value: Any) -> bool:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(isinstance(each, nn.Module) for each in values)


def _extra_bias(own: dict[str, Any], weights: dict[str, Any]) -> str | None:
    extra = [name for name in own if name not in weights and name.endswith(".bias")]
    return "`nn.Linear` has a bias unless it is told `bias=False`." if extra else None
