"""``gemini-workshop data``: corpora to list, describe and download, and tools to make your own."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import AsJson, Commands, print_json

if TYPE_CHECKING:
    from gemini_workshop.data.corpora import Corpus, CorpusFile

from gemini_workshop.cli.clean import clean
from gemini_workshop.cli.python_files import code
from gemini_workshop.cli.scrape import scrape
from gemini_workshop.cli.tasks import tasks
from gemini_workshop.cli.tokenize import tokenize

Name = Annotated[str, typer.Argument(help="Name of a corpus, as `list` shows it.")]
Size = Annotated[str, typer.Option(help="How much of it, small or all; `info` shows what that is.")]

app = Commands(help="List, inspect and download training data.", no_args_is_help=True)


@app.command("list")
def list_corpora(as_json: AsJson = False) -> None:
    """List the corpora.

    It shows what they hold, whether they are on this machine, and their licence.

    Examples:

        gemini-workshop data list

        gemini-workshop data list --json
    """
    from gemini_workshop.data.corpora import corpus_names, find_corpus

    corpora = [find_corpus(name) for name in corpus_names()]
    rows = [
        {"name": each.name, "holds": each.kind, "here": _where(each), "bytes": _bytes(each), "licence": each.licence}
        for each in corpora
    ]
    if as_json:
        print_json(rows)
        return
    line = "{name:<19} {holds:<10} {here:<10} {kB:<9} {licence}"
    typer.echo(line.format(name="name", holds="holds", here="here", kB="kB", licence="licence"))
    for corpus, row in zip(corpora, rows, strict=True):
        typer.echo(line.format(**row, kB=_kilobytes(_bytes(corpus))))


@app.command()
def info(name: Name, as_json: AsJson = False) -> None:
    """Describe a corpus.

    It shows what the corpus is, what it may be used for, its source and its files.

    Examples:

        gemini-workshop data info tinystories

        gemini-workshop data info tinystories --json
    """
    from gemini_workshop.data.corpora import find_corpus, find_here

    corpus = find_corpus(name)
    if as_json:
        print_json(dataclasses.asdict(corpus))
        return
    typer.echo(f"{corpus.title} ({corpus.name})\n{corpus.about}\n")
    typer.echo(f"holds      {corpus.kind}\nlicence    {corpus.licence}")
    typer.echo(f"weights    {_WEIGHTS[corpus.weights]}\nsource     {corpus.source}")
    for size, editions in corpus.sizes.items():
        found = find_here(corpus, size)
        typer.echo(f"\n--size {size}" + ("" if found else ": not on this machine"))
        if corpus.is_embedded:
            typer.echo("  part of the installation")
        elif editions[0].stream:
            typer.echo(f"  streamed from {editions[0].stream.path} on the Hugging Face hub")
        for i, edition in enumerate(editions):
            for file in () if corpus.is_embedded else edition.files:
                typer.echo(f"  {'or ' if i else ''}{_describe(file)}")


@app.command()
def get(name: Name, size: Size = "all") -> None:
    """Download a corpus and check it.

    It prints where the files are. What is on this machine already is not downloaded again.

    An interrupted download resumes where it stopped.

    Examples:

        gemini-workshop data get shakespeare

        gemini-workshop data get openwebtext --size small
    """
    from gemini_workshop.data.corpora import corpus_files, find_corpus
    from gemini_workshop.errors import DataError

    corpus = find_corpus(name)
    if corpus.sizes.get(size, corpus.sizes["all"])[0].stream:
        raise DataError(f"The corpus {name} is streamed in size {size} and never kept. Use --size small to keep some.")
    for path in corpus_files(name, size):
        typer.echo(path)
    typer.echo(_summary(name, size))


@app.command()
def sample(
    name: Name,
    size: Size = "all",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many items to show.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed for the selection.")] = 0,
) -> None:
    """Show a few random items of a corpus.

    They are documents, records, or the captions of images, audio and videos.

    Examples:

        gemini-workshop data sample stories

        gemini-workshop data sample tinystories --size small -n 3 --seed 7
    """
    import random

    items = _texts(name, size)
    chosen = random.Random(seed).sample(items, min(count, len(items)))
    typer.echo("\n\n---\n\n".join(chosen))


app.command()(tasks)
app.command()(tokenize)
app.command()(clean)
app.command()(scrape)
app.command()(code)

_WEIGHTS = {
    "yes": "may be shared if trained on it",
    "attribution": "may be shared if trained on it and the source is named; share-alike may apply",
    "non-commercial": "may be shared if trained on it for non-commercial use only",
    "unclear": "trained on it: unclear whether they may be shared; better not",
}


def _where(corpus: "Corpus") -> str:
    from gemini_workshop.data.corpora import find_here

    if corpus.is_embedded:
        return "always"
    here = [size for size in corpus.sizes if not corpus.sizes[size][0].stream and find_here(corpus, size)]
    return "yes" if len(here) == len(corpus.sizes) else here[0] if here else "no"


def _kilobytes(num_bytes: int | None) -> str:
    return "-" if num_bytes is None else f"{num_bytes // 1000:,}"


def _bytes(corpus: "Corpus") -> int | None:
    """The size of the preferred files of the size all, where all are known."""
    sizes = [file.num_bytes for file in corpus.sizes["all"][0].files]
    known = [size for size in sizes if size]
    return sum(known) if sizes and len(known) == len(sizes) else None


def _describe(file: "CorpusFile") -> str:
    size = f"{file.num_bytes:,} bytes" if file.num_bytes else "size not known"
    sha256 = f"sha256 {file.sha256}" if file.sha256 else "sha256 noted when first fetched"
    origin = file.url or (f"rows of {file.hub.path} ({file.hub.split})" if file.hub else "only in a mirror")
    return f"{file.path}, {size}\n      {sha256}\n      {origin}"


def _summary(name: str, size: str) -> str:
    from gemini_workshop.data import corpora

    kind = corpora.find_corpus(name).kind
    if kind == "text":
        documents = corpora.load_documents(name, size)
        return f"{len(documents):,} documents, {sum(map(len, documents)):,} characters"
    if kind == "vocabulary":
        return f"{len(corpora.corpus_files(name, size))} files"
    return f"{len(_texts(name, size)):,} {'audio clips' if kind == 'audio' else kind}"


def _texts(name: str, size: str) -> list[str]:
    """Each item of a corpus as text."""
    from gemini_workshop.data import corpora

    kind = corpora.find_corpus(name).kind
    if kind == "records":
        return [json.dumps(record, indent=2, ensure_ascii=False) for record in corpora.load_records(name, size)]
    if kind == "images":
        from gemini_workshop.data.media.images import load_images

        return load_images(name, size).captions
    if kind == "audio":
        from gemini_workshop.data.media.audio import load_audio

        return [clip.caption for clip in load_audio(name, size)]
    if kind == "videos":
        from gemini_workshop.data.media.video import load_videos

        return load_videos(name, size).captions
    return corpora.load_documents(name, size)
