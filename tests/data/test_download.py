import hashlib
import subprocess
import sys
import time

import pytest

from gemini_workshop.data.download import PIECE_BYTES, download, verify
from gemini_workshop.errors import DataError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def visible(folder):
    """What lies in a folder, without the locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def start_download(url, path):
    """Download without a sum in a process of its own."""
    imports = "import sys; from pathlib import Path; from gemini_workshop.data.download import download"
    return subprocess.Popen([sys.executable, "-c", f"{imports}; download(sys.argv[1], Path(sys.argv[2]))", url, path])


def wait_until(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_a_file_arrives_whole_and_alone(server, tmp_path):
    path = tmp_path / "folder" / "file.bin"
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content
    assert visible(path.parent) == ["file.bin"]


def test_a_broken_download_leaves_no_file_and_resumes_where_it_broke(server, tmp_path):
    path = tmp_path / "file.bin"
    server.breaks_at = 100_000
    with pytest.raises(DataError, match=r"broke off after 100,000 of 256,000 bytes\. Run it again to resume"):
        download(server.url, path)
    assert not path.exists()
    server.breaks_at = None
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content
    assert server.asked == [None, "bytes=100000-"]


def test_a_server_that_cannot_resume_sends_all_again(server, tmp_path):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(b"x" * 1000)
    server.knows_ranges = False
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content


@pytest.mark.parametrize(
    ("header", "mark", "later"),
    [
        ("ETag", '"1"', '"2"'),
        ("Last-Modified", "Fri, 20 Nov 2026 08:00:00 GMT", "Sat, 21 Nov 2026 08:00:00 GMT"),
    ],
)
def test_a_part_of_an_older_version_is_not_completed_with_a_newer_one(server, tmp_path, header, mark, later):
    path = tmp_path / "file.bin"
    server.breaks_at, server.version = 100_000, (header, mark)
    with pytest.raises(DataError, match="broke off"):
        download(server.url, path)
    server.breaks_at, server.version, server.content = None, (header, later), server.content[::-1]
    download(server.url, path)
    assert path.read_bytes() == server.content
    assert server.asked == [None, "bytes=100000-"]
    assert visible(tmp_path) == ["file.bin", "file.bin.sha256"]


@pytest.mark.parametrize("extra", [b"", b"more"], ids=["whole", "too long"])
def test_a_part_with_nothing_left_to_fetch_is_fetched_again(server, tmp_path, extra):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(server.content + extra)
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content
    assert server.asked == ["bytes=256000-" if not extra else "bytes=256004-", None]


def test_another_content_is_thrown_away(server, tmp_path):
    with pytest.raises(DataError, match=rf"sha256 is {sha256(server.content)}, not {'0' * 64}"):
        download(server.url, tmp_path / "file.bin", "0" * 64)
    assert visible(tmp_path) == []


def test_a_missing_file_is_an_error(server, tmp_path):
    server.missing = True
    with pytest.raises(DataError, match=r"file\.bin could not be fetched: Not Found"):
        download(server.url, tmp_path / "file.bin")
    assert visible(tmp_path) == []


def test_an_unreachable_server_is_an_error(tmp_path):
    with pytest.raises(DataError, match="could not be fetched"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "file.bin")


def test_a_killed_download_is_completed_by_the_next_with_the_same_bytes(server, tmp_path):
    path, part = tmp_path / "file.bin", tmp_path / "file.bin.part"
    server.pauses_at = 3 * PIECE_BYTES + 1000
    with start_download(server.url, path) as process:
        wait_until(lambda: part.exists() and part.stat().st_size >= 3 * PIECE_BYTES)
        process.kill()
    assert not path.exists()
    server.goes_on.set()
    download(server.url, path)
    assert path.read_bytes() == server.content
    assert server.asked == [None, f"bytes={3 * PIECE_BYTES}-"]
    assert visible(tmp_path) == ["file.bin", "file.bin.sha256"]
    verify(path)


def test_of_two_processes_one_downloads_and_the_other_waits(server, tmp_path):
    path = tmp_path / "file.bin"
    server.pauses_at = PIECE_BYTES
    with start_download(server.url, path) as first, start_download(server.url, path) as second:
        wait_until(lambda: server.asked)
        time.sleep(1)  # the other one reaches the lock, or, without a lock, the server
        server.goes_on.set()
        assert (first.wait(60), second.wait(60)) == (0, 0)
    assert path.read_bytes() == server.content
    assert server.asked == [None]


def test_a_file_without_a_published_sum_is_compared_with_the_one_noted(server, tmp_path):
    path = tmp_path / "file.bin"
    download(server.url, path)
    assert (tmp_path / "file.bin.sha256").read_text() == sha256(server.content)
    path.write_bytes(b"x" + server.content[1:])
    with pytest.raises(DataError, match=rf"file\.bin is damaged: .*not {sha256(server.content)}"):
        verify(path)


def test_a_file_that_is_here_is_not_asked_for(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"here")
    download(server.url, path)
    assert path.read_bytes() == b"here"
    assert server.asked == []


def test_a_part_that_begins_elsewhere_is_not_joined_to_what_is_here(server, tmp_path):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(b"x" * 1000)
    server.lies_about_ranges = True
    download(server.url, path)
    assert path.read_bytes() == server.content


@pytest.mark.parametrize("status", [202, 204])
def test_an_answer_without_a_file_is_an_error(server, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=f"the server answered {status}, without a file"):
        download(server.url, tmp_path / "file.bin")
    assert visible(tmp_path) == []


def test_an_empty_answer_is_no_file_whose_sum_is_to_be_noted(server, tmp_path):
    server.status = 200
    with pytest.raises(DataError, match="the server sent 0 bytes"):
        download(server.url, tmp_path / "file.bin")
    assert visible(tmp_path) == []


def test_a_file_of_which_neither_sum_nor_length_is_known_is_refused(server, tmp_path):
    server.says_length = False
    with pytest.raises(DataError, match="neither its sum nor its length is known"):
        download(server.url, tmp_path / "file.bin")
    assert visible(tmp_path) == []
    download(server.url, tmp_path / "file.bin", sha256(server.content))
    assert (tmp_path / "file.bin").read_bytes() == server.content
