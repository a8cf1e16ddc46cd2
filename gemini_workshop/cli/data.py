"""``gemini-workshop data``: which texts there are, what they may be used for, and how to get them."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Name of a corpus, as `list` shows it.")]
Size = Annotated[str, typer.Option(help="How much of it; `info` shows which sizes there are.")]

app = typer.Typer(help="The texts to train on: list, describe, fetch and read them.", no_args_is_help=True)


@app.command("list")
def list_corpora() -> None:
    """List the corpora, with sizes and licence.

    Example: gemini-workshop data list
    """
    from gemini_workshop.data.corpora import corpus_names, find_corpus

    for name in corpus_names():
        corpus = find_corpus(name)
        typer.echo(f"{name:<12} {corpus.title:<18} {', '.join(corpus.sizes):<11} {corpus.licence}")


@app.command()
def info(name: Name) -> None:
    """Describe a corpus: what it is, its licence and source, and where it lies.

    Example: gemini-workshop data info tinystories
    """
    from gemini_workshop.data.corpora import MIRROR_VARIABLE, download_folder, find_corpus

    corpus = find_corpus(name)
    typer.echo(f"{corpus.title} ({corpus.name})\n{corpus.about}\n")
    typer.echo(f"licence    {corpus.licence}\nsource     {corpus.source}\nsizes      {', '.join(corpus.sizes)}")
    if corpus.is_embedded:
        typer.echo("place      part of the installation")
    else:
        typer.echo(f"place      the folder {MIRROR_VARIABLE} names, else {download_folder()}, else a download")


@app.command()
def get(name: Name, size: Size = "all") -> None:
    """Fetch a corpus, check it, and say where it lies. What is here already is not fetched again.

    Example: gemini-workshop data get shakespeare
    """
    from gemini_workshop.data.corpora import corpus_files, load_documents

    for path in corpus_files(name, size):
        typer.echo(path)
    documents = load_documents(name, size)
    typer.echo(f"{len(documents):,} documents, {sum(len(document) for document in documents):,} characters")


@app.command()
def sample(
    name: Name,
    size: Size = "all",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many documents to show.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed shows other documents.")] = 0,
) -> None:
    """Show a few documents, drawn at random.

    Examples:

        gemini-workshop data sample stories

        gemini-workshop data sample tinystories --size small -n 3 --seed 7
    """
    import random

    from gemini_workshop.data.corpora import load_documents

    documents = load_documents(name, size)
    chosen = random.Random(seed).sample(documents, min(count, len(documents)))
    typer.echo("\n\n---\n\n".join(chosen))
