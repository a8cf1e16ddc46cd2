"""Which wheels a machine needs: resolved by uv for another system and another Python, too.

pip downloads for other systems as well, but asks this machine which packages the other one needs: Windows would lack
what only Windows needs. uv asks for the machine that is meant, and names each file with its size and its sum.

Source: PEP 751, "A file format to record Python dependencies for installation reproducibility".
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from gemini_workshop.bundle.platforms import MACOS, Platform
from gemini_workshop.errors import WorkshopError

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NOT_REACHED = ("error sending request", "dns error", "client error", "Failed to fetch", "timed out")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file to fetch.

    Attributes:
        url: where it is; ``file:`` for one on this machine.
    """

    package: str
    version: str
    url: str
    sha256: str
    num_bytes: int

    @property
    def filename(self) -> str:
        """The name that pip needs."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def local(self) -> Path | None:
        """Where it is on this machine, if it is."""
        return Path(url2pathname(urlsplit(self.url).path)) if self.url.startswith("file:") else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where wheels come from.

    Args:
        index: address of a package index; None for the usual one.
        find_links: folders with wheels.
        no_index: nothing but these folders.
    """

    index: str | None = None
    find_links: tuple[Path, ...] = ()
    no_index: bool = False

    def options(self) -> list[str]:
        """As uv wants them."""
        links = [part for folder in self.find_links for part in ("--find-links", str(folder))]
        index = ["--no-index"] if self.no_index else ["--default-index", self.index] if self.index else []
        return [*index, *links]


def wheels_for(
    project: Path, extras: Sequence[str], target: Platform, python: str, sources: Sources, *, with_cuda: bool = False
) -> list[Wheel]:
    """What a machine needs besides the project itself, pip included.

    Args:
        project: the folder with pyproject.toml.

    Raises:
        WorkshopError: a package has no wheel for this machine, or the index cannot be reached.
    """
    with tempfile.TemporaryDirectory() as folder:
        more, fixed, lock = (Path(folder, name) for name in ("more.in", "constraints.txt", "pylock.toml"))
        more.write_text("pip\n", "utf-8")
        version = None if with_cuda or not target.has_cuda_by_default else _cpu_build(sources, target, python)
        fixed.write_text(f"torch=={version}\n" if version else "", "utf-8")
        wanted = ["pip", "compile", str(project / "pyproject.toml"), str(more), "--constraint", str(fixed)]
        wanted += [part for extra in extras for part in ("--extra", extra)]
        machine = [
            "--python",
            sys.executable,
            "--python-platform",
            target.target,
            "--python-version",
            python,
            "--only-binary",
            ":all:",
        ]
        is_cpu = target.has_cuda_by_default and not with_cuda and version is None and not sources.no_index
        cpu = ["--index", CPU_INDEX, "--index-strategy", "unsafe-best-match"] if is_cpu else []
        result = ["--format", "pylock.toml", "--output-file", str(lock), "--quiet", "--no-header"]
        _run_uv([*wanted, *machine, *cpu, *sources.options(), *result], f"{target.name}, Python {python}")
        order = {tag: place for place, tag in enumerate(target.tags(python))}
        return [_wheel(entry, order) for entry in tomllib.loads(lock.read_text("utf-8")).get("packages", [])]


def _cpu_build(sources: Sources, target: Platform, python: str) -> str | None:
    """The version of a CPU build of PyTorch that lies in one of the folders and fits."""
    tag = f"cp{python.replace('.', '')}"
    found = []
    for folder in sources.find_links:
        for path in folder.glob("torch-*+cpu-*.whl"):
            _, version, _, tags = parse_wheel_filename(path.name)
            if any(each.interpreter == tag and each.platform.endswith(target.machines[0]) for each in tags):
                found.append(version)
    return str(max(found)) if found else None


def _run_uv(arguments: list[str], machine: str) -> None:
    from uv import find_uv_bin

    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    environment["MACOSX_DEPLOYMENT_TARGET"] = ".".join(map(str, MACOS))
    done = subprocess.run([find_uv_bin(), *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkshopError(_in_words(done.stderr, machine))


def _in_words(stderr: str, machine: str) -> str:
    """What uv said, in one line, with what to do."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", stderr)
    said = " ".join(re.sub(r"^\W*(error:|cause:|warning:|hint:)?\s*", "", line) for line in said.splitlines()).strip()
    if any(sign in said for sign in NOT_REACHED):
        return f"The package index cannot be reached: {said}. Connect to the network, or give --index or --find-links."
    return (
        f"There is no set of wheels for {machine}: {said} Choose another --platform or --python, or give --find-links."
    )


def _wheel(entry: Json, order: dict[Tag, int]) -> Wheel:
    """The wheel of a package that fits best."""
    wheels = [
        Wheel(entry["name"], entry["version"], each["url"], each["hashes"]["sha256"], each.get("size", 0))
        for each in entry["wheels"]
    ]
    best = min(wheels, key=lambda wheel: min(order.get(tag, len(order)) for tag in _tags(wheel)))
    return best if best.local is None else replace(best, num_bytes=best.local.stat().st_size)


def _tags(wheel: Wheel) -> frozenset[Tag]:
    return parse_wheel_filename(wheel.filename)[3]
