import pytest

from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.data.scraping.fetching import Fetcher
from gemini_workshop.data.scraping.robots import Robots


@pytest.fixture
def robots(manners):
    with Fetcher(manners) as fetcher:
        yield Robots(fetcher)


def test_what_is_forbidden_is_a_fault_and_what_is_not_is_allowed(site, robots):
    robots.check(f"{site.url}/page/one")
    with pytest.raises(PageFault, match=r"robots: .*/robots\.txt forbids it to tester"):
        robots.check(f"{site.url}/private/one")


def test_the_rules_are_fetched_once(site, robots):
    for name in ("one", "two", "three"):
        robots.check(f"{site.url}/page/{name}?x=1")
    assert site.asked == ["/robots.txt"]


def test_rules_for_this_user_agent_count_more_than_those_for_all(site, robots):
    site.robots = (200, "User-agent: *\nAllow: /\n\nUser-agent: tester\nDisallow: /\n")
    with pytest.raises(PageFault, match="forbids"):
        robots.check(f"{site.url}/page/one")


def test_a_site_without_rules_allows_all(site, robots):
    site.robots = (404, "nothing here")
    robots.check(f"{site.url}/private/one")


def test_a_site_whose_rules_cannot_be_had_allows_nothing(site, robots):
    site.robots = (500, "broken")
    for _ in range(2):
        with pytest.raises(PageFault, match=r"robots: .*/robots\.txt cannot be had: status 500"):
            robots.check(f"{site.url}/page/one")
    assert len(site.asked) == 2  # as often as manners allow, and not again for the next page


def test_a_site_that_is_too_busy_for_its_rules_allows_nothing(site, robots):
    site.robots = (429, "later")
    with pytest.raises(PageFault, match=r"robots: .* cannot be had: status 429"):
        robots.check(f"{site.url}/page/one")


def test_nonsense_for_rules_forbids_nothing(site, robots):
    site.robots = (200, "<html>\x00 Disallow\n:::\n")
    robots.check(f"{site.url}/page/one")


def test_a_pause_that_the_site_asks_for_is_noted(site, robots):
    site.robots = (200, "User-agent: *\nCrawl-delay: 3\n")
    robots.check(f"{site.url}/page/one")
    assert robots.fetcher.delays == {"127.0.0.1": 3.0}


def test_a_site_that_asks_for_too_long_a_pause_is_not_visited(site, robots):
    site.robots = (200, "User-agent: *\nCrawl-delay: 3600\n")
    with pytest.raises(PageFault, match="asks for a pause of 3600 s"):
        robots.check(f"{site.url}/page/one")
