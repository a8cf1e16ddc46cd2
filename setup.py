"""A wheel carries folders that are at the top of the repository, where people look for them.

``gemini_workshop.paths`` finds them in both places. Everything else about the package is in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TOP = Path(__file__).parent
CARRIED = (("notebooks", "**/[0-9][0-9]_*.ipynb"), ("data/samples", "*"))


class CarryFolders(build_py):
    """Build the package, and copy the built notebooks and the sample data into it."""

    def run(self) -> None:
        """Build; an editable install reads the clone itself and gets no copies."""
        super().run()
        if self.editable_mode:
            return
        for folder, pattern in CARRIED:
            for path in sorted((TOP / folder).glob(pattern)):
                if ".ipynb_checkpoints" not in path.parts:
                    place = Path(self.build_lib, "gemini_workshop", Path(folder).name, path.relative_to(TOP / folder))
                    self.mkpath(str(place.parent))
                    self.copy_file(str(path), str(place))


setup(cmdclass={"build_py": CarryFolders})
