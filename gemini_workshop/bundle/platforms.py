"""The kinds of machine that a folder can be for."""

import platform
import sys
from dataclasses import dataclass

from packaging import tags

from gemini_workshop.errors import WorkshopError, unknown_name

MACOS = (14, 0)  # and newer
GLIBC = 28  # 2.28 and newer
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True, slots=True)
class Platform:
    """One kind of machine.

    Attributes:
        name: as people give it.
        system, machine: as Python's ``platform`` calls them there; several for one where systems differ.
        target: as uv calls it.
        has_cuda_by_default: whether PyTorch's ordinary wheel is several GB of CUDA.
    """

    name: str
    system: str
    machines: tuple[str, ...]
    target: str
    has_cuda_by_default: bool = False

    def tags(self, python: str) -> list[tags.Tag]:
        """Which wheels fit this machine, the best first."""
        version = [int(part) for part in python.split(".")]
        platforms = self._platforms()
        own = tags.cpython_tags(version, platforms=platforms)
        return [*own, *tags.compatible_tags(version, f"cp{python.replace('.', '')}", platforms)]

    def _platforms(self) -> list[str]:
        machine = self.machines[0]
        if self.system == "Windows":
            return ["win_amd64"]
        if self.system == "Darwin":
            return list(tags.mac_platforms(MACOS, machine))
        old = {17: ["manylinux2014"], 12: ["manylinux2010"], 5: ["manylinux1"]}
        names = [name for minor in range(GLIBC, 4, -1) for name in (f"manylinux_2_{minor}", *old.get(minor, []))]
        return [f"{name}_{machine}" for name in (*names, "linux")]


PLATFORMS = {
    each.name: each
    for each in (
        Platform("linux_x86_64", "Linux", ("x86_64", "amd64"), "x86_64-manylinux_2_28", True),
        Platform("linux_aarch64", "Linux", ("aarch64", "arm64"), "aarch64-manylinux_2_28", True),
        Platform("macos_arm64", "Darwin", ("arm64",), "aarch64-apple-darwin"),
        Platform("macos_x86_64", "Darwin", ("x86_64",), "x86_64-apple-darwin"),
        Platform("win_amd64", "Windows", ("AMD64", "amd64"), "x86_64-pc-windows-msvc"),
    )
}


def platform_called(name: str | None) -> Platform:
    """The platform of this name; that of this machine where it is None.

    Raises:
        WorkshopError: there is none.
    """
    if name is not None:
        if name not in PLATFORMS:
            raise WorkshopError(unknown_name("platform", name, PLATFORMS))
        return PLATFORMS[name]
    system, machine = platform.system(), platform.machine()
    found = next((p for p in PLATFORMS.values() if p.system == system and machine in p.machines), None)
    if found is None:
        raise WorkshopError(
            f"This machine ({system}, {machine}) has no name here. Give --platform: {', '.join(PLATFORMS)}."
        )
    return found


def python_called(version: str | None) -> str:
    """The version of Python, such as "3.12"; that of this one where it is None.

    Raises:
        WorkshopError: the workshop does not run on it.
    """
    version = version or f"{sys.version_info.major}.{sys.version_info.minor}"
    if version not in PYTHONS:
        raise WorkshopError(
            f"--python {version!r} is not a version that the workshop runs on. Choose {', '.join(PYTHONS)}."
        )
    return version
