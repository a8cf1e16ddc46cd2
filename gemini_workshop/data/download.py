"""Fetch one file: with a progress bar, resumed where it broke off, checked, and in place only when whole."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from gemini_workshop.data.files import sha256_of
from gemini_workshop.errors import DataError

PIECE_BYTES = 1 << 16
TIMEOUT_SECONDS = 30


def download(url: str, path: Path, sha256: str | None = None) -> None:
    """Fetch ``url`` to ``path``. What an earlier call had left in ``path`` + ``.part`` is not fetched again.

    Args:
        sha256: what the file must sum to. Without it only the length that the server states is checked.

    Raises:
        DataError: the server cannot be reached, the connection broke, or the content is not the one expected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        num_expected = _fetch(url, part)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(f"{url} could not be fetched: {reason}.") from None
    if num_expected is not None and part.stat().st_size != num_expected:
        raise DataError(
            f"{url} broke off after {part.stat().st_size:,} of {num_expected:,} bytes. Run it again to go on."
        )
    if sha256 is not None and (found := sha256_of(part)) != sha256:
        part.unlink()
        raise DataError(f"{url} is not the file expected: its sha256 is {found}, not {sha256}. It was thrown away.")
    part.replace(path)


def _fetch(url: str, part: Path) -> int | None:
    """Add to ``part`` what it lacks; return how long the whole is, if the server says."""
    num_present = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={num_present}-"} if num_present else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()  # nothing is left to fetch, or the file there is another one now: start over
        return _fetch(url, part)
    with response:
        is_resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        num_present = num_present if is_resumed else 0
        stated = response.headers.get("Content-Length")
        num_expected = None if stated is None else num_present + int(stated)
        bar = tqdm(
            desc=part.stem, total=num_expected, initial=num_present, unit="B", unit_scale=True, disable=None, delay=1
        )
        with bar, part.open("ab" if is_resumed else "wb") as file:
            while piece := response.read(PIECE_BYTES):
                file.write(piece)
                bar.update(len(piece))
    return num_expected
