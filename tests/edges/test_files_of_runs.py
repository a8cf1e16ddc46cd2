"""Damaged and foreign files: what is beside a run's own is left alone, what is damaged is named."""

import gzip
import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.checkpoint import SHIPPED, check_sums, checkpoint_paths
from gemini_workshop.data import documents
from gemini_workshop.data.documents import read_documents
from gemini_workshop.data.preprocessing.cleaning import regular_whitespace
from gemini_workshop.errors import CheckpointError, DataError, WorkshopError
from gemini_workshop.evaluation.sandbox.inside import Loop
from gemini_workshop.files import whole_folder, write_atomically
from gemini_workshop.generation.beam_search import Beams, BeamSettings
from gemini_workshop.training.resume import remove_all_but
from gemini_workshop.training.run import read_source
from gemini_workshop.training.watching.callbacks import read_history
from gemini_workshop.training.watching.monitoring import matrix_product_flops

# Documents


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.jsonl", "A.JSONL", "a.jsonl.gz", "a.txt", "a.txt.gz"])
def test_documents_are_the_same_in_every_encoding(tmp_path, name, encoding):
    is_jsonl = "jsonl" in name.lower()
    text = '{"text": "Grüße"}\n\n{"text": "a\\u2028b"}\n' if is_jsonl else "Grüße<|endoftext|>a\u2028b"
    content = text.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert list(read_documents(tmp_path / name)) == ["Grüße", "a\u2028b"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.json", b"[]", r"a\.json is a \.json file, which is not read. Write plain text"),
    ("a.parquet", b"PAR1", "a.parquet is a .parquet file"),
    ("a.txt", b"\x89PNG\0", "a.txt is not text: byte 4 is 0"),
    ("a.txt.gz", b"no gzip", r"a\.txt\.gz cannot be read: "),
    ("a.txt.gz", gzip.compress(b"x" * 9999, mtime=0)[:30], r"a\.txt\.gz cannot be read: "),
    ("a.txt.gz", gzip.compress(b"x" * 9999, mtime=0)[:-9] + b"\1" * 9, r"a\.txt\.gz cannot be read: "),
    ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1, is '.*', not an object"),
    ("a.jsonl", b'{"text": 1}', "line 1, is .* not an object"),
    ("a.jsonl", b'"text"', "line 1, is .* not an object"),
])  # fmt: skip
def test_what_holds_no_documents_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        list(read_documents(tmp_path / name))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 100_000)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b" " * 10**6))
    with pytest.raises(DataError, match=r"more than 100,000 characters. Split it, or name another boundary."):
        list(read_documents(tmp_path / f"{name}.gz"))


def test_half_a_character_in_json_is_replaced(tmp_path):
    (tmp_path / "a.jsonl").write_text(r'{"text": "a\ud83d \ud83d\ude00"}')
    assert list(read_documents(tmp_path / "a.jsonl")) == ["a\ufffd 😀"]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab#\n", max_size=60), st.sampled_from(["#", "ab", "##", "a#b"]), st.integers(1, 7))
def test_a_boundary_is_found_wherever_the_pieces_end(tmp_path_factory, text, boundary, size):
    path = tmp_path_factory.getbasetemp() / "pieces.txt"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PIECE_CHARACTERS", size)
        found = list(read_documents(path, boundary))
    assert found == [part.strip() for part in text.split(boundary) if part.strip()]


def test_many_spaces_cost_no_more_than_their_number():
    text = "a" + " " * 200_000 + "b"
    assert regular_whitespace(text) == text
    assert regular_whitespace("a \t\nb  ") == "a\nb"


# Runs


def test_a_copy_beside_the_checkpoints_is_no_checkpoint(tmp_path):
    for name in ("step-000120", "step-000120.bak", "step-000120 (1)", "step-x", "step-001000"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-000099").write_text("a file")
    (tmp_path / "step-000098").symlink_to("step-000120")
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-001000", "step-000120"]
    remove_all_but(1, tmp_path, 1000)
    assert sorted(path.name for path in tmp_path.glob("step-0*[0-9]")) == ["step-000098", "step-000099", "step-001000"]


@pytest.mark.parametrize("name", ["../x", "/dev/zero", "folder", "pipe"])
def test_a_list_of_sums_that_leads_elsewhere_is_not_followed(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
    with pytest.raises(CheckpointError, match=f"is damaged: SHA256SUMS names {name}, which is not a file in it"):
        check_sums(tmp_path)
    check_sums(SHIPPED / "stories-small")


def test_a_damaged_line_of_a_history_costs_that_line(tmp_path):
    (tmp_path / "h").write_bytes(b'{"step": 1}\n\xff{\n[]\n{"step": "2"}\n' + b"[" * 100_000 + b'\n{"step": 3}\n{"st')
    assert read_history(tmp_path / "h") == [{"step": 1}, {"step": 3}]


@pytest.mark.parametrize(("content", "message"), [
    ({"shards": 3, "text_sha256": "a"}, "shards=3 is not a text"),
    ({"shards": "a"}, "text_sha256=None is not a text"),
    ([], "shards=None is not a text"),
])  # fmt: skip
def test_a_damaged_description_of_a_run_is_named(tmp_path, content, message):
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"run.json is damaged: {message}"):
        read_source(tmp_path)


def test_measuring_the_machine_leaves_the_random_numbers_of_a_run_alone():
    before = torch.get_rng_state()
    matrix_product_flops(torch.device("cpu"), "fp32", width=2, rounds=1)
    assert torch.equal(torch.get_rng_state(), before)


# Results


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("name", ["folder", "pipe"])
def test_only_files_are_replaced(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WorkshopError, match=f"{name} cannot be written: it is a"):
        write_atomically(tmp_path / name, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_folder_does_not_replace_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(WorkshopError, match="cannot become a folder: it is a file"),
        whole_folder(tmp_path / "file"),
    ):
        pytest.fail("the work began")
    assert (tmp_path / "file").read_text() == "mine"


# Rules and programs


def test_beams_hold_no_text_that_a_rule_cut_off():
    beams = Beams(BeamSettings(num_beams=3, max_new_tokens=2, stop_ids=[0], num_best=3))
    cut = -torch.inf
    beams.advance(torch.tensor([[cut, -1.0, cut, cut]]))
    assert beams.texts == [[1]]
    beams.advance(torch.tensor([[-0.5, cut, -1.0, cut]]))
    assert [found.token_ids for found in beams.finished] == [[1], [1, 2]]


def test_a_program_finds_its_own_module():
    loop = Loop()
    source = (
        "import pickle, sys\nfrom dataclasses import dataclass\n@dataclass\nclass Node:\n    next: 'Node' = None\n"
        "def same(): return pickle.loads(pickle.dumps(Node(Node()))) == Node(Node())\n"
        "here = sys.modules[__name__].Node is Node"
    )
    assert b"error" not in loop.reply(json.dumps(["run", source]).encode())
    assert loop.names["here"]
    assert loop.names["same"]()
