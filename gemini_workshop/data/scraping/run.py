"""From a list of addresses to a file of problems and solutions; started again after a kill, it goes on."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urldefrag

from gemini_workshop.data.scraping.extraction import Selectors, decode_page, extract
from gemini_workshop.data.scraping.faults import PageFault, check_libraries
from gemini_workshop.data.scraping.fetching import Fetcher, Manners
from gemini_workshop.data.scraping.records import WRITTEN, Harvest, page_record, record_fault
from gemini_workshop.data.scraping.robots import Robots
from gemini_workshop.errors import DataError


def read_urls(path: str | Path) -> list[str]:
    """The addresses of a list, one a line, each once; ``#`` begins a comment line, ``#part`` of an address is cut.

    Raises:
        DataError: the list cannot be read, or a line is no web address.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of addresses: {error}.") from None
    urls: dict[str, None] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if not line.startswith(("http://", "https://")):
            raise DataError(f"{path}, line {number}: {line[:80]!r} is no web address. It must begin with https://.")
        urls[urldefrag(line).url] = None
    return list(urls)


def scrape(
    urls: Iterable[str],
    path: str | Path,
    selectors: Selectors,
    manners: Manners,
    retries_failed: bool = False,
    tell: Callable[[str, str], None] = lambda _url, _outcome: None,
) -> Counter[str]:
    """Fetch each address not yet in the log, in order, and append its page to ``path``.

    Args:
        retries_failed: try those again that an earlier run could not get.
        tell: called with each address and its outcome.

    Returns:
        How many addresses had which outcome, earlier runs included.

    Raises:
        DataError: a library is missing, or the file is not one to go on with.
    """
    check_libraries()
    harvest = Harvest(path, asdict(selectors))
    with Fetcher(manners) as fetcher:
        robots = Robots(fetcher)
        for url in urls:
            known = harvest.outcomes.get(url)
            if known is None or (retries_failed and known not in (WRITTEN, "duplicate")):
                tell(url, _gather(url, harvest, fetcher, robots, selectors))
    return Counter(harvest.outcomes.values())


def _gather(url: str, harvest: Harvest, fetcher: Fetcher, robots: Robots, selectors: Selectors) -> str:
    try:
        answer = fetcher.fetch(url, check=robots.check)
        found = extract(decode_page(answer.content, answer.charset), selectors)
        record = page_record(found.problem, found.solution, found.title, url)
        if fault := record_fault(record):
            raise PageFault("schema", fault)
    except PageFault as fault:
        return harvest.fail(url, fault.reason, fault.detail)
    return harvest.write(record, found_at=answer.url)
