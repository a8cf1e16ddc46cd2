"""Fetch one file: with a progress bar, resumed where it broke off, checked, and in place only when whole.

path.part      what has arrived; a later call resumes from there, whatever ended the earlier one
path.sha256    the sum that was noted, for a file whose publisher states none
path           the whole, checked file
"""

import http.client
import os
import re
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from gemini_workshop.errors import DataError
from gemini_workshop.files import sha256_of, write_atomically

PIECE_BYTES = 1 << 16
TIMEOUT_SECONDS = 30


def download(url: str, path: Path, sha256: str | None = None) -> None:
    """Fetch ``url`` to ``path``. What an earlier call had left in ``path`` + ``.part`` is not fetched again.

    Of several processes that ask for the same file one fetches it and the others wait.

    Args:
        sha256: what the file must sum to. Without it the length that the server states is checked, and the sum of what
            came is noted, so that :func:`verify` compares the file with it from then on.

    Raises:
        DataError: the server cannot be reached, the connection broke, or the content is not the one expected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            _download(url, path, sha256)


def verify(path: Path, sha256: str | None = None, repacked: str | None = None) -> None:
    """Compare a file with its sum, or, where that is None, with the one noted when it was fetched, if any.

    Args:
        repacked: another sum that is right: of the same content, compressed again.

    Raises:
        DataError: they differ.
    """
    if sha256 is None and _sum_path(path).is_file():
        sha256 = _sum_path(path).read_text("ascii")
    if sha256 is not None and (found := sha256_of(path)) not in (sha256, repacked):
        raise DataError(f"{path} is damaged: its sha256 is {found}, not {sha256}. Delete it, and fetch it again.")


def note_sum(path: Path, sha256: str) -> None:
    """Note the sum of a file beside it, for :func:`verify`: before the file is in place, so that none is without."""
    write_atomically(_sum_path(path), sha256.encode("ascii"))


def _sum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _download(url: str, path: Path, sha256: str | None) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        num_expected = _fetch(url, part)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(f"{url} could not be fetched: {reason}.") from None
    if num_expected is not None and part.stat().st_size != num_expected:
        raise DataError(
            f"{url} broke off after {part.stat().st_size:,} of {num_expected:,} bytes. Run it again to resume."
        )
    found = sha256_of(part)
    if sha256 is None and num_expected is None:
        part.unlink()
        part.with_suffix(".version").unlink(missing_ok=True)
        raise DataError(
            f"{url} could not be fetched: neither its sum nor its length is known, so a part of it would pass for the "
            "whole. Download it by hand, and give its path."
        )
    if sha256 is None:
        if not part.stat().st_size:
            part.unlink()
            raise DataError(f"{url} could not be fetched: the server sent 0 bytes. Try again later.")
        note_sum(path, found)
    elif found != sha256:
        part.unlink()
        part.with_suffix(".version").unlink(missing_ok=True)
        raise DataError(f"{url} is not the file expected: its sha256 is {found}, not {sha256}. It was deleted.")
    part.replace(path)
    part.with_suffix(".version").unlink(missing_ok=True)


def _fetch(url: str, part: Path) -> int | None:
    """Add to ``part`` what it lacks; return how long the whole is, if the server says."""
    num_present = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers=_range_headers(num_present, part.with_suffix(".version")))
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # nothing is left to fetch, or the file there is another one now: start over
        return _fetch(url, part)
    with response:
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            if _first_byte(response.headers) != num_present:
                if not num_present:
                    raise DataError(f"{url} sent another part of the file than the one asked for. Try again later.")
                part.unlink()  # it cannot be continued there: start over
                return _fetch(url, part)
        elif response.status != http.HTTPStatus.OK:
            raise DataError(f"{url} could not be fetched: the server answered {response.status}, without a file.")
        else:
            num_present = 0
            part.unlink(missing_ok=True)  # before the mark of its successor is written: the two belong together
            _keep_version(response.headers, part.with_suffix(".version"))
        num_expected = _whole_length(response.headers, num_present)
        _append(response, part, num_present, num_expected)
    return part.stat().st_size if response.chunked else num_expected  # the last chunk says that it is the last


def _whole_length(headers: Message, num_present: int) -> int | None:
    """How long the whole file is, by what a server says of it or of the part that it sends."""
    whole = re.fullmatch(r"bytes [0-9]{1,18}-[0-9]{1,18}/([0-9]{1,18})", headers.get("Content-Range", ""))
    stated = headers.get("Content-Length", "")
    if whole:
        return int(whole[1])
    return num_present + int(stated) if re.fullmatch("[0-9]{1,18}", stated) else None


def _first_byte(headers: Message) -> int | None:
    """The place in the file where the part begins that a server sends."""
    found = re.match(r"bytes ([0-9]{1,18})-", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _range_headers(num_present: int, version: Path) -> dict[str, str]:
    """Ask for the rest, on condition that the file is still the one that we have a part of."""
    if not num_present:
        return {}
    condition = {"If-Range": version.read_text("ascii")} if version.is_file() else {}
    return {"Range": f"bytes={num_present}-", **condition}


def _keep_version(headers: Message, version: Path) -> None:
    """Keep the strongest mark that the server gives: a tag of the content, else its date."""
    tag = headers.get("ETag", "")
    mark = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    version.unlink(missing_ok=True)
    if mark:
        write_atomically(version, mark.encode("ascii"))


def _append(response: http.client.HTTPResponse, part: Path, num_present: int, num_expected: int | None) -> None:
    bar = tqdm(
        desc=part.stem, total=num_expected, initial=num_present, unit="B", unit_scale=True, disable=None, delay=1
    )
    with bar, part.open("ab") as file:
        while piece := response.read(PIECE_BYTES):
            file.write(piece)
            bar.update(len(piece))
        file.flush()
        os.fsync(file.fileno())
