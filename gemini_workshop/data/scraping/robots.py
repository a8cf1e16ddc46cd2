"""What the owner of a site allows, by its ``robots.txt``.

Source: RFC 9309, section 2.3.1: a site without the file (4xx) allows all; one whose file cannot be had allows nothing.
"""

from typing import Any

import httpx

from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.data.scraping.fetching import Fetcher


class Robots:
    """The rules of every site visited, fetched when first needed."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.fetcher = fetcher
        self._rules: dict[str, Any] = {}  # of each site: a Protego, or the PageFault that rules it out

    def check(self, url: str) -> None:
        """Raise a PageFault unless the page may be fetched; note the pause that the site asks for."""
        site = httpx.URL(url)
        origin = str(site.copy_with(raw_path=b"/robots.txt", fragment=None))
        if origin not in self._rules:
            self._rules[origin] = self._fetch(origin)
        rules = self._rules[origin]
        if isinstance(rules, PageFault):
            raise rules
        manners = self.fetcher.manners
        if not rules.can_fetch(url, manners.user_agent):
            raise PageFault("robots", f"{origin} forbids it to {manners.user_agent}")
        delay_seconds = rules.crawl_delay(manners.user_agent) or 0.0
        if delay_seconds > manners.max_delay_seconds:
            raise PageFault("robots", f"{origin} asks for a pause of {delay_seconds:.0f} s")
        self.fetcher.delays[site.host] = delay_seconds

    def _fetch(self, origin: str) -> Any:
        from protego import Protego

        try:
            return Protego.parse(self.fetcher.fetch(origin, content_types=()).content.decode("utf-8", "replace"))
        except PageFault as fault:
            if fault.reason.startswith("status 4") and fault.reason != "status 429":
                return Protego.parse("")
            return (
                fault if fault.reason == "private address" else PageFault("robots", f"{origin} cannot be had: {fault}")
            )
