"""Is this machine ready for the workshop? Each check gives one finding, and each failure a command that fixes it.

``gemini-workshop doctor`` and lesson 00 print the same findings. Each check is a function that looks at one thing, so
that a test can break that thing.
"""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from gemini_workshop import paths

DISTRIBUTION = "gemini-from-scratch"
REINSTALL = f'"{sys.executable}" -m pip install -e .     (in the folder of the clone)'
AGAIN = f'"{sys.executable}" -m pip install --force-reinstall --no-deps WHEEL     (the file you installed from)'
GIB = 2**30
NEEDED_MEMORY_BYTES = 2 * GIB
NEEDED_DISK_BYTES = 1 * GIB
CHECKPOINT_FILES = ("model.safetensors", "config.yaml", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Args:
        verdict: ok; note, which is only information; or fail.
        found: what was found, in a few words.
        fix: the command or the step that fixes a failure.
    """

    name: str
    verdict: Literal["ok", "note", "fail"]
    found: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.verdict:<5}{self.name:<20} {self.found}"
        return f"{line}\n{'':5}{'':20} fix: {self.fix}" if self.fix else line


def diagnose() -> list[Finding]:
    """Run every check, in the order in which failures should be fixed."""
    return [
        python(),
        Finding("platform", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        *packages(),
        torch_build(),
        device(),
        cores(),
        memory(),
        disk(),
        learner_folder(),
        configs(),
        checkpoint(),
        samples(),
        notebooks(),
        kernel(),
        browser(),
    ]


def python(version: tuple[int, int, int] = sys.version_info[:3]) -> Finding:
    """Is this Python new enough?"""
    found = ".".join(map(str, version))
    if version < (3, 11):
        fix = "Install Python 3.11 to 3.13 and run: python3.11 -m venv .venv"
        return Finding("Python", "fail", f"{found}; 3.11 or newer is needed", fix)
    return Finding("Python", "ok", found)


def packages(distribution: str = DISTRIBUTION) -> Iterator[Finding]:
    """Is every required package installed, in a version that pyproject.toml allows?"""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in metadata.requires(distribution) or []]
    except metadata.PackageNotFoundError:
        yield Finding(distribution, "fail", "not installed in this Python", REINSTALL)
        return
    for requirement in needed:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement.name, str(requirement.specifier))


def _package(name: str, allowed: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    fix = f'"{sys.executable}" -m pip install "{name}{allowed}"'
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "fail", f"missing; {allowed} is needed", fix)
    if not SpecifierSet(allowed).contains(version, prereleases=True):
        return Finding(name, "fail", f"{version}; {allowed} is needed", fix)
    return Finding(name, "ok", version)


def torch_build() -> Finding:
    """Does PyTorch load, compute, and work with NumPy?"""
    fix = f'"{sys.executable}" -m pip install --force-reinstall "torch>=2.6,<2.14" numpy'
    try:
        import torch

        total = float(torch.arange(4.0).numpy().sum())
    except Exception as error:  # a broken binary can raise OSError, ImportError, RuntimeError
        return Finding("PyTorch works", "fail", f"{type(error).__name__}: {error}", fix)
    if total != 6:
        return Finding("PyTorch works", "fail", f"0 + 1 + 2 + 3 gives {total}", fix)
    cuda, hip = torch.version.cuda, torch.version.hip
    build = f"CUDA {cuda}" if cuda else f"ROCm {hip}" if hip else "CPU"
    return Finding("PyTorch works", "ok", f"{torch.__version__}, built for {build}")


def device() -> Finding:
    """Which device will the lessons use?"""
    try:
        import torch

        from gemini_workshop.devices import pick_device

        kind = pick_device().type
    except Exception as error:  # a broken PyTorch has its own finding
        return Finding("device", "fail", f"{type(error).__name__}: {error}", "Fix PyTorch first, as described above.")
    if kind == "cuda":
        return Finding("device", "ok", f"cuda: {torch.cuda.get_device_name()}")
    if torch.version.cuda:
        return Finding("device", "note", f"{kind}; PyTorch is built for CUDA, but finds no GPU with a working driver")
    return Finding("device", "ok", kind)


def cores() -> Finding:
    """Does PyTorch use no more threads than this process has cores?"""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        import torch

        threads = torch.get_num_threads()
    except Exception:  # a broken PyTorch has its own finding
        return Finding("cores", "ok", f"{usable}")
    found = f"{usable}; PyTorch computes with {threads} thread{'s' if threads > 1 else ''}"
    if threads > usable:
        fix = f"Too many threads slow each other down. Set OMP_NUM_THREADS={usable}."
        return Finding("cores", "note", found, fix)
    return Finding("cores", "ok", found)


def memory() -> Finding:
    """Is there enough free memory for the lessons?"""
    import psutil

    state = psutil.virtual_memory()
    found = f"{state.available / GIB:.1f} GiB free of {state.total / GIB:.1f} GiB"
    if state.available < NEEDED_MEMORY_BYTES:
        fix = f"Close other programs until {NEEDED_MEMORY_BYTES / GIB:.0f} GiB are free."
        return Finding("memory", "fail", found, fix)
    return Finding("memory", "ok", found)


def disk() -> Finding:
    """Is there enough disk space for checkpoints?"""
    folder = next(folder for folder in [paths.home(), *paths.home().absolute().parents] if folder.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}"
    if free < NEEDED_DISK_BYTES:
        fix = f"Free {NEEDED_DISK_BYTES / GIB:.0f} GiB there, or set GEMINI_WORKSHOP_HOME to another disk."
        return Finding("disk", "fail", found, fix)
    return Finding("disk", "ok", found)


def learner_folder() -> Finding:
    """Can progress be saved?"""
    folder = paths.home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "Set GEMINI_WORKSHOP_HOME to a folder that you can write to."
        return Finding("learner's folder", "fail", f"{folder}: {error.strerror}", fix)
    return Finding("learner's folder", "ok", str(folder))


def configs(folder: Path = paths.PACKAGE / "config" / "presets") -> Finding:
    """Do the presets load?"""
    from gemini_workshop.config import load_config, preset_names
    from gemini_workshop.errors import ConfigError

    for name in preset_names():
        try:
            load_config(folder / f"{name}.yaml")
        except ConfigError as error:
            return Finding("presets", "fail", f"{name}: {error}", _restore(folder))
    return Finding("presets", "ok", ", ".join(preset_names()))


def checkpoint(folder: Path = paths.PACKAGE / "checkpoints" / "stories-small") -> Finding:
    """Is the pretrained model here?"""
    missing = [name for name in CHECKPOINT_FILES if not _has_content(folder / name)]
    if missing:
        return Finding("pretrained model", "fail", f"{folder.name} lacks {', '.join(missing)}", _restore(folder))
    return Finding("pretrained model", "ok", folder.name)


def samples(folder: Path | None = None) -> Finding:
    """Are the sample texts here?"""
    folder = folder or paths.samples_folder()
    found = sorted(path.name for path in folder.glob("*") if path.suffix != ".md" and _has_content(path))
    if not found:
        return Finding("sample data", "fail", f"nothing in {folder}", _restore(folder))
    return Finding("sample data", "ok", ", ".join(found))


def notebooks() -> Finding:
    """Are the lessons here?"""
    folder = paths.notebooks_folder()
    count = sum(".ipynb_checkpoints" not in path.parts for path in folder.rglob("*.ipynb"))
    if not count:
        fix = "gemini-workshop notebooks build" if paths.clone_folder() else AGAIN
        return Finding("lessons", "fail", f"no notebook in {folder}", fix)
    return Finding("lessons", "ok", f"{count} notebooks")


def kernel() -> Finding:
    """Will notebooks run in this Python?"""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    where = "--sys-prefix" if sys.prefix != sys.base_prefix else "--user"
    fix = f'"{sys.executable}" -m ipykernel install {where} --name python3'
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Jupyter kernel", "fail", "no kernel called python3", fix)
    if not _is_this_python(program):
        return Finding("Jupyter kernel", "fail", f"python3 starts another Python: {program}", fix)
    return Finding("Jupyter kernel", "ok", "python3 starts this Python")


def browser() -> Finding:
    """Could the browser tests run? Only contributors need them."""
    programs = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((name for name in programs if shutil.which(name)), "no chromium")
    driver = "playwright" if importlib.util.find_spec("playwright") else "no playwright"
    return Finding("browser tests", "note", f"{found}, {driver} (for contributors)")


def _is_this_python(program: str) -> bool:
    """Whether Jupyter would start this Python. It uses the running Python in place of a bare name.

    Folders are compared without resolving links: the Pythons of all virtual environments are links to one file.
    """
    if Path(program).name == program:
        return program.removesuffix(".exe") in {"python", "python3", f"python3.{sys.version_info.minor}"}
    here, there = Path(sys.executable).parent, Path(program).parent
    return os.path.normcase(os.path.abspath(here)) == os.path.normcase(os.path.abspath(there))


def _restore(folder: Path) -> str:
    """How to restore files that came with the workshop."""
    return f'git restore "{folder}"' if paths.clone_folder() else AGAIN


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
