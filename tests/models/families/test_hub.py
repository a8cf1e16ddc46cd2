"""Downloading by name, from a small hub of our own."""

import hashlib
import http.server
import json
import threading

import pytest
import torch

from gemini_workshop.errors import CheckpointError
from gemini_workshop.models.families import download_huggingface, load_huggingface, save_huggingface
from gemini_workshop.models.transformer import Transformer
from tests import tiny

COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as downloading one model needs."""

    files: dict[str, bytes]
    stated: dict[str, str]
    fetched: list[str]

    def do_HEAD(self):
        self.answer(send_body=False)

    def do_GET(self):
        self.answer(send_body=True)

    def answer(self, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/owner/tales/tree"):
            entries = [
                {"type": "file", "path": name, "size": len(body), "oid": self.stated[name][:40], **self.lfs(name)}
                for name, body in self.files.items()
            ]
            self.reply(json.dumps(entries).encode(), send_body)
        elif path.startswith("/api/models/owner/tales"):
            files = [{"rfilename": name, "size": len(body), **self.lfs(name)} for name, body in self.files.items()]
            self.reply(json.dumps({"id": "owner/tales", "sha": COMMIT, "siblings": files}).encode(), send_body)
        elif "/resolve/" in path and (name := path.rpartition("/")[2]) in self.files:
            self.fetched.append(name) if send_body else None
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{self.stated[name]}"'}
            self.reply(self.files[name], send_body, headers)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

    def lfs(self, name: str) -> dict:
        if not name.endswith(".safetensors"):
            return {}
        return {
            "lfs": {
                "oid": self.stated[name],
                "sha256": self.stated[name],
                "size": len(self.files[name]),
                "pointerSize": 1,
            }
        }

    def reply(self, body: bytes, send_body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def model():
    return Transformer(tiny.MODEL, torch.Generator().manual_seed(0))


@pytest.fixture
def hub(model, tmp_path, monkeypatch):
    """The address of a hub with one model, owner/tales."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    save_huggingface(model, tmp_path / "published")
    Hub.files = {path.name: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    Hub.files["pytorch_model.bin"] = b"not asked for"
    Hub.stated = {name: hashlib.sha256(body).hexdigest() for name, body in Hub.files.items()}
    Hub.fetched = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_downloaded_by_name_once(hub, model, tmp_path):
    folder = download_huggingface("owner/tales", tmp_path / "here", endpoint=hub)
    fetched = load_huggingface(folder).state_dict()
    assert all(torch.equal(weight, fetched[name]) for name, weight in model.state_dict().items())
    assert sorted(Hub.fetched) == ["config.json", "model.safetensors"]
    download_huggingface("owner/tales", tmp_path / "here", endpoint=hub)
    assert len(Hub.fetched) == 2


def test_a_file_with_another_sha256_is_deleted(hub, tmp_path):
    Hub.stated["model.safetensors"] = "0" * 64
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged: its sha256 is .*the hub gives 0000"):
        download_huggingface("owner/tales", tmp_path / "here", endpoint=hub)
    assert not (tmp_path / "here" / "model.safetensors").exists()


def test_a_model_that_is_not_there_is_named(hub, tmp_path):
    with pytest.raises(CheckpointError, match=r"The hub has no model 'owner/tails'\. Give owner and name"):
        download_huggingface("owner/tails", tmp_path / "here", endpoint=hub)
    with pytest.raises(CheckpointError, match=r"The hub has no model 'no such name'"):
        download_huggingface("no such name", tmp_path / "here", endpoint=hub)


def test_without_a_network_the_message_says_so(tmp_path):
    with pytest.raises(CheckpointError, match=r"owner/tales is not on this machine and could not be downloaded"):
        download_huggingface("owner/tales", tmp_path / "here", endpoint="http://127.0.0.1:9")
