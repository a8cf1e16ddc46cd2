"""gemini-workshop bundle: one folder for a USB stick."""

from pathlib import Path
from typing import Annotated

import typer


def bundle(
    out: Annotated[Path, typer.Argument(help="The folder to make, or to complete.")],
    platform: Annotated[
        str | None,
        typer.Option(help="linux_x86_64, linux_aarch64, macos_arm64 or win_amd64. Default: this machine's."),
    ] = None,
    python: Annotated[str | None, typer.Option(help="3.11, 3.12 or 3.13. Default: this one's.")] = None,
    extra: Annotated[
        list[str] | None, typer.Option(help="Extra to install, too; can be repeated. Default: serve.")
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="Corpus to put into it, such as tinystories:small; can be repeated."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Run or checkpoint of yours to put into it; can be repeated.")
    ] = None,
    site: Annotated[Path | None, typer.Option(help="Folder of the built site.")] = None,
    cuda: Annotated[bool, typer.Option("--cuda", help="PyTorch for CUDA on Linux: several GB more.")] = False,
    index: Annotated[str | None, typer.Option(help="Address of another package index.")] = None,
    find_links: Annotated[
        list[Path] | None, typer.Option(help="Folder with wheels to choose from, too; can be repeated.")
    ] = None,
    no_index: Annotated[
        bool, typer.Option("--no-index", help="Choose from the folders of --find-links alone.")
    ] = False,
) -> None:
    """Make a folder for installing without a network.

    It holds the packages for one platform and version of Python, the repository, the slides, and scripts that install
    them; the sums of all files are in it. What an earlier call has fetched is not fetched again. Needs a clone, a
    network, and the extra bundle.

    Examples:

      gemini-workshop bundle usb/linux

      gemini-workshop bundle usb/windows --platform win_amd64 --python 3.12 --corpus tinystories:small
    """
    from gemini_workshop import paths
    from gemini_workshop.bundle.locking import Sources
    from gemini_workshop.bundle.making import Bundle, make_bundle
    from gemini_workshop.bundle.platforms import platform_called, python_called
    from gemini_workshop.errors import WorkshopError

    clone = paths.clone_folder()
    if clone is None:
        raise WorkshopError("This is not a clone of the repository, and a bundle is made from one. Run it in a clone.")
    wanted = Bundle(
        clone=clone,
        target=platform_called(platform),
        python=python_called(python),
        sources=Sources(index=index, find_links=tuple(find_links or ()), no_index=no_index),
        extras=tuple(extra) if extra else ("serve",),
        corpora=tuple(corpus or ()),
        checkpoints=tuple(checkpoint or ()),
        site=site,
        with_cuda=cuda,
    )
    make_bundle(wanted, out, typer.echo)
