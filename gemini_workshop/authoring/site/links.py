"""Links in Markdown, from places in the repository to places in the site."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from gemini_workshop.authoring.site.pages import api_page, lesson_page, written_pages
from gemini_workshop.errors import WorkshopError

CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|(?P<tick>`+)[^`].*?(?P=tick)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
IMAGES = (".png", ".svg", ".jpg")
ELSEWHERE = ("https://", "http://", "mailto:")


class DeadLink(WorkshopError):
    """A link of a page that leads nowhere."""


def rewritten(text: str, page: str, top: Path, copy: Callable[[str], None]) -> str:
    """The Markdown text with every link made one of the site.

    Args:
        page: where the text is in the repository, ``docs/training.md``.
        top: the repository.
        copy: called with the path of each file that is linked and is not a page, for instance an image.

    Raises:
        DeadLink: a link leads to no file.
    """

    def in_prose(part: str) -> str:
        return LINK.sub(lambda match: f"]({site_link(match['target'], page, top, copy)})", part)

    return "".join(part if is_code else in_prose(part) for part, is_code in _parts(text))


def site_link(target: str, page: str, top: Path, copy: Callable[[str], None]) -> str:
    """Where a link of this page leads on the site."""
    if target.startswith((*ELSEWHERE, "#")):
        return target
    name, _, anchor = target.partition("#")
    file = (top / page).parent.joinpath(name).resolve()
    if not file.exists() or not file.is_relative_to(top.resolve()):
        raise DeadLink(f"{page} links to {target}, which is not there. Correct the link.")
    path = file.relative_to(top.resolve()).as_posix()
    found = page_of(path)
    if found is None:
        if file.is_dir():
            raise DeadLink(f"{page} links to the folder {path}, which has no page on the site. Link a file in it.")
        copy(path)
        return f"/files/{path}" if file.suffix in IMAGES else f"path:/files/{path}"
    return f"/{found}" + (f"#{anchor}" if anchor else "")


def page_of(path: str) -> str | None:
    """The source of the page that shows a file or a folder of the repository, with its suffix; None without one."""
    place = PurePosixPath(path)
    if path in written_pages():
        return f"{written_pages()[path]}.md"
    if place.is_relative_to("notebooks") and place.suffix in (".ipynb", ".py") and "_starter" not in place.stem:
        return f"{lesson_page(Path(path))}.ipynb"
    return f"{found}.rst" if (found := api_page(place)) else None


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces: prose and code in turn, and whether a piece is code."""
    end = 0
    for match in CODE.finditer(text):
        yield text[end : match.start()], False
        yield match[0], True
        end = match.end()
    yield text[end:], False
