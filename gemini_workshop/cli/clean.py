"""``gemini-workshop data clean``: from raw texts to documents worth training on, and a report."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.preprocessing.pipeline import CleanDocument
    from gemini_workshop.data.preprocessing.report import Report


def clean(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="A corpus, as `list` shows it, or files: .jsonl with a field text, or text with the boundary between "
            "documents; also compressed (.gz)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for train.jsonl, validation.jsonl, test.jsonl and the report.")],
    size: Annotated[str, typer.Option(help="How much of a corpus; `info` shows which sizes there are.")] = "all",
    boundary: Annotated[str, typer.Option(help="Text between the documents of a text file; \\n is a line end.")] = (
        "<|endoftext|>"
    ),
    form: Annotated[Literal["NFC", "NFD", "NFKC", "NFKD"], typer.Option(help="Unicode normalization.")] = "NFC",
    min_characters: Annotated[int, typer.Option(help="Shorter documents are dropped.")] = 50,
    similarity: Annotated[
        float, typer.Option(help="A document this similar (Jaccard, 0 to 1) to an earlier one is dropped.")
    ] = 0.8,
    scrub: Annotated[bool, typer.Option(help="Replace e-mail addresses and phone numbers.")] = True,
    validation: Annotated[float, typer.Option(help="Fraction of the documents for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Fraction of the documents for the test.")] = 0.05,
) -> None:
    r"""Clean texts and split them without leaks.

    Bad and repeated documents are dropped; a report shows which and why.

    Examples:

        gemini-workshop data clean tinystories --size small --out clean/tinystories

        gemini-workshop data clean book.txt --boundary "\n\n\n" --out clean/book
    """
    from gemini_workshop.data.preprocessing.pipeline import Recipe, preprocess
    from gemini_workshop.data.preprocessing.quality import QualityLimits
    from gemini_workshop.data.preprocessing.report import Report
    from gemini_workshop.data.preprocessing.splitting import SplitFractions
    from gemini_workshop.files import check_target

    recipe = Recipe(
        form=form,
        scrubs_private_data=scrub,
        quality=QualityLimits(min_characters=min_characters),
        duplicate_similarity=similarity,
        related_similarity=min(similarity, Recipe().related_similarity),
        fractions=SplitFractions(validation=validation, test=test),
    )
    for name in ("train.jsonl", "report.json", "report.png"):
        check_target(out / name)
    report = Report()
    documents = _documents(sources, size, boundary.replace("\\n", "\n"))
    _write_splits(preprocess(documents, recipe, report), out)
    _write_report(report, out)
    typer.echo(report)
    typer.echo(f"\n{out}: train.jsonl, validation.jsonl, test.jsonl, report.json, report.png")


def _documents(sources: list[str], size: str, boundary: str) -> Iterator[str]:
    from gemini_workshop.data.corpora import stream_documents
    from gemini_workshop.data.documents import read_documents

    return itertools.chain.from_iterable(
        read_documents(source, boundary) if Path(source).is_file() else stream_documents(source, size)
        for source in sources
    )


def _write_splits(documents: "Iterator[CleanDocument]", out: Path) -> None:
    """One file per split; they take their names when all are complete, and nothing stays of them if one fails.

    The folder itself is not replaced: it may be one that holds other files.
    """
    from contextlib import ExitStack

    from gemini_workshop.data.preprocessing.splitting import SPLITS
    from gemini_workshop.files import opened_atomically

    with ExitStack() as stack:
        files = {split: stack.enter_context(opened_atomically(out / f"{split}.jsonl")) for split in SPLITS}
        for document in documents:
            record = {"text": document.text, "sha256": document.sha256}
            files[document.split].write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        for file in files.values():  # so that a full disk is met before the first one takes its name
            file.flush()


def _write_report(report: "Report", out: Path) -> None:
    import matplotlib

    from gemini_workshop.files import write_atomically
    from gemini_workshop.reading import without_halves
    from gemini_workshop.visualization.preprocessing import preprocessing_report
    from gemini_workshop.visualization.showing import save_figure
    from gemini_workshop.visualization.theme import use_theme

    content = without_halves(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    write_atomically(out / "report.json", content.encode())
    matplotlib.use("agg")
    use_theme()
    save_figure(preprocessing_report(report), out / "report.png")
