"""How a wrong list, such as ids of a text, follows from the right one: cut short, turned round, with some left out."""

from typing import Any

Pair = tuple[list[Any], list[Any]]


def sequence_relation(wrong: list[tuple[Any, Any, Any]]) -> str | None:
    """A sentence that holds of every wrong list; None if there is none, or if a result is not a list."""
    pairs = [(got, needed) for _, got, needed in wrong]
    if line := _rounded(pairs):
        return line
    if not pairs or not all(isinstance(got, list) and isinstance(needed, list) for got, needed in pairs):
        return None
    return next((words for words, holds in RELATIONS.items() if all(holds(*pair) for pair in pairs)), None)


def _rounded(pairs: list[tuple[Any, Any]]) -> str | None:
    """A sentence if fractions, alone or several together, are what is needed but for the digits that were cut off."""
    rows = [(_fractions(got), _fractions(needed)) for got, needed in pairs]
    if not rows or not all(got and len(got) == len(needed) for got, needed in rows):
        return None
    for digits in range(4):
        if all(got == [round(each, digits) for each in needed] for got, needed in rows):
            return f"The results are rounded to {digits} decimals. What is computed on with needs all of them."
    return None


def _fractions(result: Any) -> list[float]:
    entries = result if isinstance(result, list | tuple) else [result]
    return list(entries) if all(isinstance(each, float) for each in entries) else []


def _is_beginning(got: list[Any], needed: list[Any]) -> bool:
    return 0 < len(got) < len(needed) and needed[: len(got)] == got


def _is_end(got: list[Any], needed: list[Any]) -> bool:
    return 0 < len(got) < len(needed) and needed[-len(got) :] == got


def _is_reversed(got: list[Any], needed: list[Any]) -> bool:
    return got == needed[::-1]


def _is_in_other_order(got: list[Any], needed: list[Any]) -> bool:
    return len(got) == len(needed) and all(got.count(each) == needed.count(each) for each in needed)


def _has_gaps(got: list[Any], needed: list[Any]) -> bool:
    rest = iter(needed)
    return len(got) < len(needed) and all(each in rest for each in got)


def _has_more(got: list[Any], needed: list[Any]) -> bool:
    return len(needed) > 0 and _has_gaps(needed, got)


RELATIONS = {
    "It is the beginning of what is needed, and stops too early. Is `return` inside the loop, or is its end wrong?": (
        _is_beginning
    ),
    "It is the end of what is needed: the beginning is missing. Where does the loop start?": _is_end,
    "It is what is needed in reverse.": _is_reversed,
    "It has the right entries in another order.": _is_in_other_order,
    "Some of the needed entries are left out; the others are right. Which ones does the code pass over?": _has_gaps,
    "All needed entries are there, and others between them. What should have been replaced or left out?": _has_more,
}
