"""Against a server that misbehaves in every way that we could think of."""

from dataclasses import replace

import pytest

from gemini_workshop.data.scraping import fetching
from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.data.scraping.fetching import Fetcher, Manners, _check_address, _joined, _retry_after_seconds
from gemini_workshop.errors import DataError
from tests.data.scraping.conftest import page


def fault_of(site, manners, path: str) -> PageFault:
    with Fetcher(manners) as fetcher, pytest.raises(PageFault) as caught:
        fetcher.fetch(site.url + path)
    return caught.value


def test_a_page_arrives_with_its_charset(site, manners):
    with Fetcher(manners) as fetcher:
        answer = fetcher.fetch(f"{site.url}/page/one")
    assert (answer.content.decode(), answer.charset, answer.url) == (page("one"), "utf-8", f"{site.url}/page/one")


def test_a_content_type_counts_in_any_case(site, manners):
    with Fetcher(manners) as fetcher:
        assert fetcher.fetch(f"{site.url}/shouting").content.decode() == page("one")


def test_a_proxy_of_the_environment_is_not_asked(site, manners, monkeypatch):
    """It would look names up for us, and lead to places that must not be visited."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Fetcher(manners) as fetcher:
        assert fetcher.fetch(f"{site.url}/page/one").content.decode() == page("one")


@pytest.mark.parametrize(
    ("path", "reason", "num_asked"),
    [
        ("/flood", "too large", 1),
        ("/huge", "too large", 1),
        ("/bomb", "too large", 1),
        ("/broken", "status 503", 2),
        ("/impatient", "status 429", 1),
        ("/missing", "status 404", 1),
        ("/picture", "content type", 1),
        ("/untyped", "content type", 1),
        ("/loop", "redirects", 4),
        ("/to-file", "address", 1),
        ("/to-nonsense", "unreachable", 2),
        ("/cut", "unreachable", 2),
        ("/reset", "unreachable", 2),
        ("/nonsense", "unreachable", 2),
    ],
)
def test_a_misbehaving_server_is_a_fault_with_a_reason_and_only_what_may_pass_is_tried_again(
    site, manners, path, reason, num_asked
):
    fault = fault_of(site, manners, path)
    assert fault.reason == reason
    assert fault.detail
    assert site.asked == [path] * num_asked


def test_a_server_that_is_silent_is_tried_again(site, manners):
    fault = fault_of(site, replace(manners, silence_seconds=0.2), "/slow")
    assert (fault.reason, site.asked) == ("timeout", ["/slow"] * 2)


@pytest.mark.parametrize("path", ["/drip", "/trickle"])
def test_a_server_that_is_never_silent_and_never_done_is_left(site, manners, path):
    """In its page or in its headers; the next page is fetched as ever."""
    with Fetcher(replace(manners, page_seconds=0.4)) as fetcher:
        with pytest.raises(PageFault, match=r"too slow: no end after 0\.4 s"):
            fetcher.fetch(site.url + path)
        fetcher.manners = manners
        assert fetcher.fetch(f"{site.url}/page/one").content
    assert site.asked == [path, "/page/one"]


def test_what_passes_at_the_second_attempt_is_no_fault(site, manners):
    with Fetcher(manners) as fetcher:
        assert fetcher.fetch(f"{site.url}/flaky/one").content.decode() == page("one")
    assert site.asked == ["/flaky/one"] * 2


def test_a_redirect_is_followed_and_every_address_is_checked_before_it_is_asked(site, manners):
    checked = []
    with Fetcher(manners) as fetcher:
        answer = fetcher.fetch(f"{site.url}/moved", check=checked.append)
    assert answer.url == f"{site.url}/page/moved"
    assert checked == [f"{site.url}/moved", f"{site.url}/page/moved"]


@pytest.mark.parametrize("host", ["169.254.169.254", "10.1.2.3", "192.168.0.1", "localhost", "[::1]", "2130706433"])
def test_a_redirect_to_a_private_address_is_refused_without_asking_it(site, manners, host):
    """Also by a name that leads there, and also to the server that is allowed under another name."""
    port = site.server_port if host in ("localhost", "2130706433") else 80
    fault = fault_of(site, manners, f"/to/{host}/{port}")
    assert fault.reason == "private address"
    assert len(site.asked) == 1


def test_a_private_address_needs_to_be_allowed_by_host_and_port(site, manners):
    for allowed in ((), (f"127.0.0.1:{site.server_port + 1}",), ("127.0.0.1",)):
        fault = fault_of(site, replace(manners, allowed=allowed), "/page/one")
        assert fault.reason == "private address"
        assert "127.0.0.1, which is not on the public internet" in fault.detail
    assert site.asked == []


def test_a_proxy_of_the_environment_is_not_used(site, manners, monkeypatch):
    """Behind a proxy nobody could check which machine is asked."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with Fetcher(manners) as fetcher:
        assert fetcher.fetch(f"{site.url}/page/one").content


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "http:///page", "example.org", "http://[::", "http://a\x00b/", ""]
)
def test_what_is_no_web_address_is_a_fault(manners, url):
    with Fetcher(manners) as fetcher, pytest.raises(PageFault, match="address"):
        fetcher.fetch(url)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.naps = 1000.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(round(seconds, 3))
        self.now += seconds

    def time(self):
        return 1_000_000_000.0 + self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(fetching, "time", clock)
    return clock


def test_a_host_is_asked_at_its_pace_and_another_one_need_not_wait(site, manners, clock):
    with Fetcher(replace(manners, delay_seconds=2.0)) as fetcher:
        fetcher.fetch(f"{site.url}/page/one")
        clock.now += 0.5
        fetcher.fetch(f"{site.url}/page/two")
        fetcher._keep_pace("elsewhere.example")
        assert clock.naps == [1.5]
        fetcher.delays["127.0.0.1"] = 5.0
        fetcher.fetch(f"{site.url}/page/three")
        assert clock.naps == [1.5, 5.0]


def test_redirects_and_new_attempts_keep_the_pace_too(site, manners, clock):
    with Fetcher(replace(manners, delay_seconds=2.0)) as fetcher:
        fetcher.fetch(f"{site.url}/moved")
        assert clock.naps == [2.0]
        clock.now += 10
        fetcher.fetch(f"{site.url}/flaky/one")
        assert sum(clock.naps) == pytest.approx(4.0)


def test_pauses_double_up_to_the_longest(site, manners, clock):
    fault_of(site, replace(manners, attempts=5, backoff_seconds=1.0, max_delay_seconds=3.0), "/broken")
    assert [nap for nap in clock.naps if nap] == [1.0, 2.0, 3.0, 3.0]


def test_a_server_that_asks_for_a_pause_gets_it(site, manners, clock):
    with Fetcher(manners) as fetcher:
        fetcher.fetch(f"{site.url}/patient/one")
    assert 7.0 in clock.naps


@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("", 0), ("soon", 0), ("-1", 0)])
def test_a_pause_is_asked_for_in_seconds(header, seconds):
    assert _retry_after_seconds(header) == seconds


def test_a_pause_is_asked_for_by_a_date(clock):
    clock.now = 0.0
    assert _retry_after_seconds("Sun, 09 Sep 2001 01:47:10 GMT") == 30
    assert _retry_after_seconds("Sun, 09 Sep 2001 01:46:10 GMT") == 0


@pytest.mark.parametrize(("name", "value"), [("delay_seconds", -1.0), ("attempts", 0), ("max_bytes", 0)])
def test_manners_that_cannot_work_are_an_error(name, value):
    with pytest.raises(DataError, match=f"{name}={value}"):
        Manners(**{name: value})


@pytest.mark.parametrize("location", ["//host:port", "http://[::1", "http://\ud800/"])
def test_a_redirect_to_what_is_no_address_is_a_fault_of_that_page_alone(location):
    with pytest.raises(PageFault, match=r"https://example\.org/ redirects to") as caught:
        _joined("https://example.org/", location)
    assert caught.value.reason == "address"


@pytest.mark.parametrize(
    "url",
    [
        "mailto:a@example.org",
        "http://xn--a/",
        "http://xn--zz--9/",
        "http://a..b/",
        "http://\ud800/",
        "http:///x",
        "http://a:65536/",
    ],
)
def test_what_is_no_address_on_the_web_is_a_fault_of_that_page_alone(url):
    with pytest.raises(PageFault) as caught:
        _check_address(url)
    assert caught.value.reason == "address"
    caught.value.detail.encode()
