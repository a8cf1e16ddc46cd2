"""``gemini-workshop data code``: from Python files to documents and exercises."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.code_corpus import Module


def code(
    out: Annotated[Path, typer.Option(help="Folder for modules.jsonl and pairs.jsonl.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder of Python files. Default: the standard library of this Python.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also measure what indentation costs a tokenizer.")
    ] = False,
    merges: Annotated[int, typer.Option(min=1, help="How many merges each tokenizer of --compare learns.")] = 1000,
) -> None:
    """Turn Python files into training documents, and their functions into pairs of docstring and body.

    Files that do not parse and repeated ones are left out.

    Examples:

        gemini-workshop data code --out code

        gemini-workshop data code --root src --out code --compare
    """
    from gemini_workshop.data.code_corpus import code_modules, code_pairs, standard_library
    from gemini_workshop.data.files import write_atomically
    from gemini_workshop.data.preprocessing.report import Report

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
    if compare:
        _compare(modules, merges)


def _compare(modules: "list[Module]", num_merges: int) -> None:
    """Learn from one half of the modules, as their hash parts them, and measure on the other."""
    from gemini_workshop.data.code_tokens import compare_splits
    from gemini_workshop.data.preprocessing.splitting import hash_fraction

    sources = [module.source for module in modules]
    train = [source for source in sources if hash_fraction(source) < 0.5]
    held_out = [source for source in sources if hash_fraction(source) >= 0.5]
    typer.echo(f"\n{'split':<10} {'tokens a line':>14} {'of them blank':>14}")
    for name, cost in compare_splits(train, held_out, num_merges).items():
        typer.echo(f"{name:<10} {cost.tokens_per_line:>14.2f} {cost.indentation_share:>14.1%}")
