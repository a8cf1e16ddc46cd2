"""Results as small files that can be compared: what was measured, on which text, with which settings, by which version.

    {
      "format": "gemini-workshop result 1",
      "package": "0.1.0",
      "kind": "needle",
      "model": {"name": ..., "parameters": ..., "sha256": ...},
      "data": {"name": ..., "sha256": ...},
      "settings": {...},
      "scores": {"found": 0.31, ...},
      "details": {...}
    }

Two results may be compared if kind, data and settings are equal. A file holds no date and no machine, so equal
measurements are equal files.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gemini_workshop import __version__
from gemini_workshop.errors import DataError
from gemini_workshop.files import write_result
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import read_json, shortened
from gemini_workshop.tables import table

FORMAT = "gemini-workshop result 1"
FIELD_TYPES = {"kind": str, "package": str} | dict.fromkeys(("model", "data", "settings", "scores", "details"), dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One measurement of one model, or of several if that is what its kind compares.

    Args:
        scores: the numbers that matter, by name.
        details: all else: grids, samples, single outcomes.
    """

    kind: str
    model: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]
    scores: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    package: str = __version__

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file."""
        write_result(path, self.to_json().encode("utf-8", "replace"))


def load_result(path: str | Path) -> Result:
    """Read a file that ``save`` wrote.

    Raises:
        DataError: it is none, or of another version.
    """
    content = read_json(path, "a file that `evaluate --result` wrote")
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != FORMAT:
        raise DataError(f"{path} has the format {found!r}, not {FORMAT!r}. Was it written by `evaluate --result`?")
    try:
        result = Result(**content)
    except TypeError as error:
        raise DataError(f"{path} is damaged: {error}. Measure again.") from None
    for name, kind in FIELD_TYPES.items():
        if not isinstance(value := getattr(result, name), kind):
            raise DataError(f"{path} is damaged: {name}={shortened(repr(value))}. Measure again.")
    for name, score in result.scores.items():
        if not isinstance(score, int | float) or isinstance(score, bool):
            raise DataError(f"{path} is damaged: {name}={shortened(repr(score))} is not a number. Measure again.")
    return result


def model_facts(name: str, model: Transformer) -> dict[str, Any]:
    """What a result says about a model; the sum is over its weights, so equal sums are equal models."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return {"name": name, "parameters": model.num_parameters(), "sha256": digest.hexdigest()}


def text_facts(name: str, documents: Sequence[str]) -> dict[str, Any]:
    """What a result says about a text."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.encode("utf-8", "replace") + b"\0")
    return {"name": name, "sha256": digest.hexdigest()}


def differences(first: Result, second: Result) -> list[str]:
    """Why two results must not be compared: the names of what differs; none if they may be."""
    if first.kind != second.kind:
        return ["kind"]
    found = []
    if first.data.get("sha256") != second.data.get("sha256"):
        found.append("data")
    names = sorted({*first.settings, *second.settings})
    return found + [f"settings.{name}" for name in names if first.settings.get(name) != second.settings.get(name)]


def results_table(results: Sequence[Result]) -> str:
    """Results side by side, one per column, with a last line for each that is not comparable to the first.

    Raises:
        DataError: there are none.
    """
    if not results:
        raise DataError("There are 0 results to show. Name at least one file.")
    names = list(dict.fromkeys(name for result in results for name in result.scores))
    heads = [str(result.model.get("name", "")) for result in results]
    cells = [[f"{result.scores[name]:.4f}" if name in result.scores else "-" for result in results] for name in names]
    warnings = [
        f"Not comparable: {heads[0]} and {head} differ in {', '.join(reasons)}."
        for head, result in zip(heads[1:], results[1:], strict=True)
        if (reasons := differences(results[0], result))
    ]
    rows = [["", *heads], *([name, *row] for name, row in zip(names, cells, strict=True))]
    return "\n".join([table(rows), *warnings])
