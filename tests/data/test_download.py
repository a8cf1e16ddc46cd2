import hashlib

import pytest

from gemini_workshop.data.download import download
from gemini_workshop.errors import DataError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_arrives_whole_and_alone(server, tmp_path):
    path = tmp_path / "folder" / "file.bin"
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_download_leaves_no_file_and_goes_on_where_it_broke(server, tmp_path):
    path = tmp_path / "file.bin"
    server.breaks_at = 100_000
    with pytest.raises(DataError, match=r"broke off after 100,000 of 256,000 bytes\. Run it again to go on"):
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


@pytest.mark.parametrize("extra", [b"", b"more"], ids=["whole", "too long"])
def test_a_part_with_nothing_left_to_fetch_is_fetched_anew(server, tmp_path, extra):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(server.content + extra)
    download(server.url, path, sha256(server.content))
    assert path.read_bytes() == server.content
    assert server.asked == ["bytes=256000-" if not extra else "bytes=256004-", None]


def test_another_content_is_thrown_away(server, tmp_path):
    with pytest.raises(DataError, match=rf"sha256 is {sha256(server.content)}, not {'0' * 64}"):
        download(server.url, tmp_path / "file.bin", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_an_error(server, tmp_path):
    server.missing = True
    with pytest.raises(DataError, match=r"file\.bin could not be fetched: Not Found"):
        download(server.url, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_an_error(tmp_path):
    with pytest.raises(DataError, match="could not be fetched"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "file.bin")
