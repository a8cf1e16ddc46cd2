"""What can be wrong with one page: noted, and the next page is fetched."""

import importlib.util

from gemini_workshop.errors import DataError

LIBRARIES = ("httpx", "bs4", "lxml", "tenacity", "protego", "charset_normalizer")


class PageFault(Exception):
    """A page that cannot be had or used.

    Args:
        reason: one of a few words to count by.
        detail: what happened, for whoever reads the log.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class PassingFault(PageFault):
    """One that may be gone at the next attempt. ``wait_seconds`` is what the server asked for, if it did."""

    def __init__(self, reason: str, detail: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason, detail)
        self.wait_seconds = wait_seconds


def check_libraries() -> None:
    """Raise a DataError that says how to install the libraries, if one is missing."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise DataError(
            f"Scraping needs {', '.join(missing)}, not installed here. Run: pip install 'gemini-from-scratch[scraping]'"
        )
