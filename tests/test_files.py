import hashlib
from pathlib import Path

import pytest

from gemini_workshop import files
from gemini_workshop.files import sha256_of, whole_folder, write_atomically


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


def test_a_folder_appears_when_it_is_whole_and_takes_the_place_of_an_old_one(tmp_path):
    path = tmp_path / "new" / "folder"
    for content in ("old", "new"):
        with whole_folder(path) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text(content)
            assert not path.exists() or (path / "deep" / "file").read_text() == "old"
    assert (path / "deep" / "file").read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_whose_writing_fails_leaves_the_old_one_and_no_trace(tmp_path):
    path = tmp_path / "folder"
    with whole_folder(path) as folder:
        (folder / "file").write_text("old")

    def fail():
        with whole_folder(path) as folder:
            (folder / "file").write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    (tmp_path / ".folder.1.tmp" / "deep").mkdir(parents=True)
    with whole_folder(tmp_path / "folder"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_everything_in_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush", lambda path: flushed.append((path.name, (tmp_path / "folder").exists())))
    with whole_folder(tmp_path / "folder") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("content")
    assert {("deep", False), ("file", False)} < set(flushed)
    assert flushed[-1] == (tmp_path.name, True)


def test_what_is_written_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files.os, "fsync", lambda file: flushed.append(files.os.fstat(file).st_size))
    with files.opened_atomically(tmp_path / "a") as file:
        file.write(b"twelve bytes")
    assert flushed[0] == 12
    before = len(flushed)
    files.flush(tmp_path / "a")
    assert flushed[before:] == [12]
