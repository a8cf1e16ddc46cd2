"""What lies in the folder beside the wheels: repository, slides, data, checkpoints, scripts, and the sums of all."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from gemini_workshop.bundle.platforms import Platform
from gemini_workshop.checkpoint import find_checkpoint, save_model
from gemini_workshop.data.corpora.places import find_edition
from gemini_workshop.data.corpora.registry import Corpus, find_corpus
from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import sha256_of

MAY_BE_PASSED_ON = ("yes", "attribution")
SUMS = "SHA256SUMS"
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
HEADER = """# Data in this folder

Each text, image and recording belongs to its authors. Whoever copies this folder passes these names and licences on.

"""


def copy_repository(clone: Path, place: Path) -> None:
    """Put the files of a source distribution into ``place``: what is published, and nothing of whoever works there.

    Raises:
        WorkshopError: it cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        _build("build_sdist", clone, Path(folder))
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
        (top,) = (path for path in Path(folder).iterdir() if path.is_dir())
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(top, place)


def build_wheel(repository: Path, place: Path) -> str:
    """Build the project's own wheel from a copy of the repository; return its name.

    Raises:
        WorkshopError: it cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy, built = Path(folder, "copy"), Path(folder, "built")
        shutil.copytree(repository, copy)
        built.mkdir()
        _build("build_wheel", copy, built)
        (wheel,) = built.glob("*.whl")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, place / wheel.name)
        return wheel.name


def _build(what: str, clone: Path, place: Path) -> None:
    command = [sys.executable, "-c", BUILD, what, str(place)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise WorkshopError(f"{clone} cannot be built: {reason}. It has to be a clone, and setuptools 77 is needed.")


def copy_corpus(name: str, place: Path) -> None:
    """Put a corpus into a folder that is a mirror, with a line about whose it is.

    Args:
        name: of the corpus, and its size if not all of it: "tinystories:small".

    Raises:
        WorkshopError: its licence does not let it be passed on, or it cannot be had.
    """
    called, _, size = name.partition(":")
    corpus = find_corpus(called)
    if corpus.weights not in MAY_BE_PASSED_ON:
        raise WorkshopError(
            f"The corpus {called} may not be passed on, as far as we read its licence ({corpus.licence}). Leave it "
            "out; each learner can download it."
        )
    edition, paths = find_edition(corpus, size or "all")
    for file, path in zip(edition.files, paths, strict=True):
        target = place / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _add_source(corpus, place / "SOURCES.md")


def _add_source(corpus: Corpus, page: Path) -> None:
    line = f"- **{corpus.title}** (`{corpus.name}`): {corpus.licence}. From {corpus.source}\n"
    before = page.read_text("utf-8") if page.is_file() else HEADER
    if line not in before:
        page.write_text(before + line, "utf-8")


def copy_checkpoints(names: Sequence[str], place: Path) -> None:
    """Put runs and checkpoints of this machine into the folder.

    Raises:
        WorkshopError: one does not exist.
    """
    for name in names:
        found = find_checkpoint(name)
        save_model(place / Path(name).resolve().name, found.weights, found.config, found.tokenizer)


def copy_slides(repository: Path, place: Path) -> None:
    """Put the slides where they are found without looking for them."""
    place.mkdir(parents=True, exist_ok=True)
    for path in sorted((repository / "slides").glob("*.pdf")):
        shutil.copyfile(path, place / path.name)


def write_scripts(place: Path, target: Platform, python: str, wheel: str) -> None:
    """Put the scripts that install, and a page that says how, at the top."""
    values = {"@PYTHON@": python, "@PLATFORM@": target.name, "@SYSTEM@": target.system, "@WHEEL@": wheel}
    values["@MACHINES@"] = " ".join(target.machines)
    for source in (files("gemini_workshop.bundle") / "scripts").iterdir():
        text = source.read_text("utf-8")
        for mark, value in values.items():
            text = text.replace(mark, value)
        end = "\r\n" if source.name.endswith((".ps1", ".txt")) else "\n"
        (place / source.name).write_text(text, "utf-8", newline=end)


def write_sums(place: Path) -> int:
    """Write the sums of all files, for ``sha256sum -c``; return how many bytes the folder holds."""
    paths = sorted(path for path in place.rglob("*") if path.is_file() and path != place / SUMS)
    lines = [f"{sha256_of(path)}  {path.relative_to(place).as_posix()}\n" for path in paths]
    (place / SUMS).write_text("".join(lines), "utf-8", newline="\n")
    return sum(path.stat().st_size for path in paths)
