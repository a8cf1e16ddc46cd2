"""For old tools; everything about this package stands in pyproject.toml."""

from setuptools import setup

setup()
