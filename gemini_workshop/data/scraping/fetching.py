"""Fetch one page: at its host's pace, within limits of size and time, and again after a temporary fault."""

import email.utils
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import httpx

from gemini_workshop import __version__
from gemini_workshop.data.scraping.addresses import PublicTransport
from gemini_workshop.data.scraping.faults import PageFault, PassingFault
from gemini_workshop.errors import DataError

USER_AGENT = f"gemini-workshop/{__version__}"
REDIRECTS = {301, 302, 303, 307, 308}
PASSING = {429, 500, 502, 503, 504}
PAGES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manners:
    """How to behave towards servers, and what to put up with.

    Args:
        delay_seconds: from one request to the next to the same host; ``robots.txt`` may ask for more.
        max_delay_seconds: a host that asks for a longer pause is not visited.
        silence_seconds: how long to wait for the connection, and for each next piece.
        page_seconds: how long one attempt may take in all.
        attempts: for faults that may pass: no connection, a broken one, 429 and 5xx.
        backoff_seconds: the pause before the second attempt; each further one is twice as long.
        allowed: "host:port" on machines that are not public, as written in the URL.
    """

    user_agent: str = USER_AGENT
    delay_seconds: float = 1.0
    max_delay_seconds: float = 60.0
    silence_seconds: float = 20.0
    page_seconds: float = 60.0
    max_bytes: int = 5_000_000
    max_redirects: int = 5
    attempts: int = 4
    backoff_seconds: float = 1.0
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("delay_seconds", "backoff_seconds", "max_redirects"):
            if getattr(self, name) < 0:
                raise DataError(f"{name}={getattr(self, name)} is negative. Choose {name} >= 0.")
        for name in ("silence_seconds", "page_seconds", "max_bytes", "attempts"):
            if getattr(self, name) <= 0:
                raise DataError(f"{name}={getattr(self, name)} lets no page through. Choose {name} > 0.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent: ``url`` is where it was found in the end, ``charset`` what its header says of it."""

    url: str
    content: bytes
    charset: str | None
    location: str | None = None


class Fetcher:
    """Fetches pages one after another; use it in a ``with``."""

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.delays: dict[str, float] = {}  # hosts that asked for more than manners.delay_seconds
        self._last_request: dict[str, float] = {}
        self._transport = PublicTransport(manners.allowed)
        # Without the proxies of the environment: behind one, nobody could tell which machine is asked.
        self._client = httpx.Client(
            transport=self._transport,
            timeout=manners.silence_seconds,
            headers={"User-Agent": manners.user_agent, "Accept-Encoding": "identity"},
            trust_env=False,
        )

    def __enter__(self) -> "Fetcher":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close what is open."""
        self._client.close()

    def fetch(
        self, url: str, content_types: Collection[str] = PAGES, check: Callable[[str], None] | None = None
    ) -> Answer:
        """The page, wherever redirects lead.

        Args:
            content_types: those accepted; none given, all are.
            check: called with each address before it is asked; may raise.

        Raises:
            PageFault: the page cannot be had; a PassingFault if it was tried as often as allowed.
        """
        for _ in range(self.manners.max_redirects + 1):
            _check_address(url)
            if check is not None:
                check(url)
            answer = self._retrying()(self._request, url, content_types)
            if answer.location is None:
                return answer
            url = _joined(url, answer.location)
        raise PageFault("redirects", f"more than {self.manners.max_redirects}, the last one to {url}")

    def _retrying(self) -> Any:
        import tenacity

        growing = tenacity.wait_exponential(self.manners.backoff_seconds, max=self.manners.max_delay_seconds)

        def pause(state: tenacity.RetryCallState) -> float:
            fault = state.outcome.exception() if state.outcome else None
            asked = fault.wait_seconds if isinstance(fault, PassingFault) else 0.0
            return max(growing(state), asked)

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.manners.attempts),
            retry=tenacity.retry_if_exception_type(PassingFault),
            wait=pause,
            sleep=time.sleep,
            reraise=True,
        )

    def _request(self, url: str, content_types: Collection[str]) -> Answer:
        """Ask once. A watchdog hangs up on a server that sends a little now and then, and so is never silent."""
        self._keep_pace(httpx.URL(url).host)
        is_over = threading.Event()
        watchdog = threading.Timer(self.manners.page_seconds, self._hang_up, [is_over])
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._ask(url, content_types)
        except (httpx.TransportError, ValueError) as error:
            if is_over.is_set():
                raise PageFault("too slow", f"no end after {self.manners.page_seconds} s") from None
            if not isinstance(error, httpx.TransportError):
                raise
            reason = "timeout" if isinstance(error, httpx.TimeoutException) else "unreachable"
            raise PassingFault(reason, f"{type(error).__name__}: {error}") from None
        except httpx.DecodingError as error:
            raise PageFault("damaged", str(error)) from None
        finally:
            watchdog.cancel()

    def _hang_up(self, is_over: threading.Event) -> None:
        is_over.set()
        self._transport.close()

    def _ask(self, url: str, content_types: Collection[str]) -> Answer:
        with self._client.stream("GET", url) as response:
            if response.status_code in REDIRECTS and "location" in response.headers:
                return Answer(url, b"", None, response.headers["location"])
            self._check_status(response)
            _check_type(response, content_types)
            return Answer(url, self._read(response), response.charset_encoding)

    def _keep_pace(self, host: str) -> None:
        """Sleep until the host may be asked again."""
        if host in self._last_request:
            delay = max(self.manners.delay_seconds, self.delays.get(host, 0.0))
            time.sleep(max(0.0, self._last_request[host] + delay - time.monotonic()))
        self._last_request[host] = time.monotonic()

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in PASSING:
            wait_seconds = _retry_after_seconds(response.headers.get("retry-after", ""))
            if wait_seconds > self.manners.max_delay_seconds:
                raise PageFault(f"status {status}", f"the server asks to wait {wait_seconds:.0f} s")
            raise PassingFault(f"status {status}", response.reason_phrase, wait_seconds)
        if status != httpx.codes.OK:
            raise PageFault(f"status {status}", response.reason_phrase)

    def _read(self, response: httpx.Response) -> bytes:
        limit = self.manners.max_bytes
        stated = response.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise PageFault("too large", f"{int(stated):,} bytes, and the limit is {limit:,}")
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > limit:
                raise PageFault("too large", f"more than the limit of {limit:,} bytes")
        return bytes(body)


def _check_type(response: httpx.Response, content_types: Collection[str]) -> None:
    found = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_types and found not in content_types:
        raise PageFault("content type", f"{found or 'none'}, not {' or '.join(content_types)}")


def _check_address(url: str) -> None:
    try:
        parts = httpx.URL(url)
        parts.host.encode("idna")  # what a name is looked up as
        url.encode()
    except (httpx.InvalidURL, ValueError) as error:
        raise PageFault("address", f"{url[:200]!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.host or not 0 < (parts.port or 80) < 2**16:
        raise PageFault("address", f"{url[:200]} is not on the web")


def _joined(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise PageFault("address", f"{url[:200]} redirects to {location[:200]!r}: {error}") from None


def _retry_after_seconds(header: str) -> float:
    """The header holds seconds, or a date; anything else asks for nothing."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
