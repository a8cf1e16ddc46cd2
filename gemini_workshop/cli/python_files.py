"""``gemini-workshop data code``: from Python files to documents and exercises."""

import json
from pathlib import Path
from typing import Annotated

import typer


def code(
    out: Annotated[Path, typer.Option(help="Folder for modules.jsonl and pairs.jsonl.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder of Python files. Default: the standard library of this Python.")
    ] = None,
) -> None:
    """Turn Python files into documents and exercises.

    An exercise is a pair: the head of a function with its docstring, and its body. Files that do not parse and
    repeated ones are left out.

    Examples:

        gemini-workshop data code --out code

        gemini-workshop data code --root src --out code
    """
    from gemini_workshop.data.code_corpus import code_modules, code_pairs
    from gemini_workshop.data.corpora.python_library import standard_library
    from gemini_workshop.data.preprocessing.report import Report
    from gemini_workshop.files import check_target, write_atomically

    for name in ("modules.jsonl", "pairs.jsonl"):
        check_target(out / name)
    report = Report()
    modules = list(code_modules(root or standard_library(), report))
    pairs = list(code_pairs(modules))
    typer.echo(report)
    for name, records in (
        ("modules.jsonl", [{"text": module.source, "name": module.name} for module in modules]),
        ("pairs.jsonl", [pair._asdict() for pair in pairs]),
    ):
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        write_atomically(out / name, lines.encode("utf-8", errors="replace"))
        typer.echo(f"{out / name}: {len(records):,} lines")
