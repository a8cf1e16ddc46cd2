import hashlib
from pathlib import Path

import pytest

from gemini_workshop.data.files import sha256_of, write_atomically


def test_a_written_file_holds_the_new_content_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new folder" / "file.txt"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    write_atomically(path, b"old")

    def fail(source, target):
        raise OSError(f"no space to rename {source} to {target}")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_sum_is_that_of_hashlib(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"abc" * 1000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 1000).hexdigest()
