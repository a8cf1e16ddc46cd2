"""The programs that grades are written for."""

from enum import StrEnum


class Format(StrEnum):
    """A program that reads grades."""

    nbgrader = "nbgrader"
    canvas = "canvas"
    moodle = "moodle"
