"""From a list of addresses to a file of problems and solutions; started again after a kill, it resumes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urldefrag

from filelock import FileLock, Timeout

from gemini_workshop.data.scraping.extraction import Selectors, decode_page, extract
from gemini_workshop.data.scraping.faults import PageFault, check_libraries
from gemini_workshop.data.scraping.fetching import Fetcher, Manners
from gemini_workshop.data.scraping.records import WRITTEN, Harvest, page_record, record_fault
from gemini_workshop.data.scraping.robots import Robots
from gemini_workshop.errors import DataError


def read_urls(path: str | Path) -> list[str]:
    """The addresses of a list, one per line, each once; ``#`` begins a comment line, ``#part`` of an address is cut.

    Raises:
        DataError: the list cannot be read, or a line is not a web address.
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
            raise DataError(f"{path}, line {number}: {line[:80]!r} is not a web address. It must begin with https://.")
        urls[urldefrag(line).url] = None
    return list(urls)


def scrape(
    urls: Iterable[str],
    path: str | Path,
    selectors: Selectors,
    manners: Manners,
    retries_failed: bool = False,
    report: Callable[[str, str], None] = lambda _url, _outcome: None,
) -> Counter[str]:
    """Fetch each address not yet in the log, in order, and append its page to ``path``.

    Args:
        retries_failed: try those again that an earlier run could not get.
        report: called with each address and its outcome.

    Returns:
        How many addresses had which outcome, earlier runs included.

    Raises:
        DataError: a library is missing, the file cannot be continued, or another process is writing it.
    """
    check_libraries()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path), Fetcher(manners) as fetcher:
        harvest, robots = Harvest(path, asdict(selectors)), Robots(fetcher)
        for url in urls:
            known = harvest.outcomes.get(url)
            if known is None or (retries_failed and known not in (WRITTEN, "duplicate")):
                report(url, _gather(url, harvest, fetcher, robots, selectors))
    return Counter(harvest.outcomes.values())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file against a second process; the system lets go of it when this one ends, however it ends."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"Another process is scraping into {path}. Wait for it, or choose another file.") from None
    try:
        yield
    finally:
        lock.release()


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
