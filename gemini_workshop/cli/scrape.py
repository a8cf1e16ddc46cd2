"""``gemini-workshop data scrape``: from a list of addresses to problems and solutions."""

from pathlib import Path
from typing import Annotated

import typer


def scrape(
    urls: Annotated[Path, typer.Argument(help="A text file: one address per line; # begins a comment.")],
    out: Annotated[Path, typer.Option(help="File for the pages, PAGES.jsonl; its log is PAGES.log.jsonl.")],
    problem: Annotated[str, typer.Option(help="CSS selector of the problem.")],
    solution: Annotated[str, typer.Option(help="CSS selector of the solution; the first match counts.")],
    title: Annotated[str, typer.Option(help="CSS selector of the title; optional on a page.")] = "title",
    delay: Annotated[float, typer.Option(min=0, help="Seconds between requests to one host.")] = 1.0,
    user_agent: Annotated[
        str | None, typer.Option(help="User agent; include how to reach you: 'my-project/1.0 (https://...)'.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed addresses again.")] = False,
    allow: Annotated[
        list[str] | None, typer.Option(help="host:port on a private network to allow; repeatable.")
    ] = None,
) -> None:
    """Scrape problems and solutions from web pages.

    Each page adds a line to a JSONL file. robots.txt is obeyed, and redirects to private networks are refused. After
    Ctrl-C or a crash the same command resumes where it stopped. Look up whether the owner of the pages permits your
    use of them.

    Example:

        gemini-workshop data scrape urls.txt --problem .question --solution .answer --out pages.jsonl
    """
    from gemini_workshop.data.scraping.faults import check_libraries

    check_libraries()
    from gemini_workshop.data.scraping.extraction import Selectors
    from gemini_workshop.data.scraping.fetching import USER_AGENT, Manners
    from gemini_workshop.data.scraping.run import read_urls
    from gemini_workshop.data.scraping.run import scrape as run

    outcomes = run(
        read_urls(urls),
        out,
        Selectors(problem=problem, solution=solution, title=title),
        Manners(delay_seconds=delay, user_agent=user_agent or USER_AGENT, allowed=tuple(allow or ())),
        retries_failed=retry_failed,
        report=lambda url, outcome: typer.echo(f"{outcome:<16} {url}"),
    )
    typer.echo(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()) or "no addresses")
    typer.echo(f"{out}; what became of each address: {out.with_suffix('.log.jsonl')}")
