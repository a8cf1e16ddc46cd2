"""The folder, step by step."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gemini_workshop.bundle.contents import (
    SUMS,
    build_wheel,
    copy_checkpoints,
    copy_corpus,
    copy_repository,
    copy_slides,
    write_scripts,
    write_sums,
)
from gemini_workshop.bundle.locking import Sources, wheels_for
from gemini_workshop.bundle.platforms import Platform
from gemini_workshop.bundle.wheels import MIB, check_room, clear, fetch, missing
from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import real_target

OURS = {"wheels", "repository", "slides", "data", "checkpoints", "site", SUMS}
OURS |= {"install.sh", "install.ps1", "verify.py", "START_HERE.txt"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What a folder is to hold.

    Args:
        clone: the repository.
        extras: of the project, installed with it.
        corpora: to put into it, such as "tinystories:small".
        checkpoints: runs of this machine to put into it.
        site: the folder of the built site, if there is one.
        with_cuda: PyTorch's build for CUDA on Linux, and not that for the CPU.
    """

    clone: Path
    target: Platform
    python: str
    sources: Sources = field(default_factory=Sources)
    extras: tuple[str, ...] = ("serve",)
    corpora: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    site: Path | None = None
    with_cuda: bool = False


def make_bundle(bundle: Bundle, out: Path, say: Callable[[str], object] = print) -> None:
    """Make the folder, or complete one that an earlier call began.

    Raises:
        WorkshopError: there is something else, a package has no wheel, the index cannot be reached, or the disk is too
            small.
    """
    start = time.monotonic()
    check_place(out)
    if bundle.site is not None and not (bundle.site / "index.html").is_file():
        raise WorkshopError(f"{bundle.site} has no index.html. Build the site first, or leave --site out.")
    say(f"Choosing wheels for {bundle.target.name}, Python {bundle.python} ...")
    wanted = wheels_for(
        bundle.clone, bundle.extras, bundle.target, bundle.python, bundle.sources, with_cuda=bundle.with_cuda
    )
    folder = out / "wheels"
    left = missing(wanted, folder)
    num_bytes = sum(wheel.num_bytes for wheel in wanted)
    say(f"{len(wanted)} wheels, {num_bytes / MIB:,.0f} MiB; {len(wanted) - len(left)} of them are there already.")
    check_room(left, out, 3 * _size(bundle.clone))
    fetch(left, folder, say)
    say("Copying the repository, and building its wheel ...")
    copy_repository(bundle.clone, out / "repository")
    own = build_wheel(out / "repository", folder)
    clear(folder, {wheel.filename for wheel in wanted} | {own})
    _copy_rest(bundle, out, say)
    write_scripts(
        out, bundle.target, bundle.python, f"{own.split('-')[0].replace('_', '-')}[{','.join(bundle.extras)}]"
    )
    say("Taking the sums of all files ...")
    total = write_sums(out)
    say(f"{out} is complete: {total / MIB:,.0f} MiB, in {time.monotonic() - start:,.0f} s. Start with START_HERE.txt.")


def check_place(out: Path) -> None:
    """Refuse a folder that holds something else: what is ours in it will be replaced.

    Raises:
        WorkshopError: it does.
    """
    if out.exists() and not out.is_dir():
        real_target(out / "x")
        raise WorkshopError(f"{out} is a file. Give the name of a new folder.")
    others = sorted(path.name for path in out.iterdir() if path.name not in OURS) if out.is_dir() else []
    if others:
        raise WorkshopError(f"{out} holds {others[0]!r}, which is not part of a bundle. Give the name of a new folder.")


def _copy_rest(bundle: Bundle, out: Path, say: Callable[[str], object]) -> None:
    for name in ("slides", "data", "checkpoints", "site"):
        shutil.rmtree(out / name, ignore_errors=True)
    copy_slides(out / "repository", out / "slides")
    for name in bundle.corpora:
        say(f"Copying the corpus {name} ...")
        copy_corpus(name, out / "data")
    copy_checkpoints(bundle.checkpoints, out / "checkpoints")
    if bundle.site is not None:
        shutil.copytree(bundle.site, out / "site")


def _size(clone: Path) -> int:
    """Bytes of what a clone publishes, roughly: without what is large and ignored."""
    folders = ("gemini_workshop", "notebooks", "docs", "slides", "tests", "data/samples")
    paths = (path for folder in folders for path in (clone / folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in paths)
